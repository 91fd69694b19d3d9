//! What a person can get wrong while building a server is an error there, and says what is wrong.

use std::io::ErrorKind;
use std::net::TcpListener;
use std::time::Duration;

use sockjs_server::{EndpointOptions, MountError, OptionError, Server, ServerOptions, Session, Transports};

fn ignore(_: &mut Session<'_>, _: &str) {}

fn server() -> Server {
    Server::new(ServerOptions::default()).expect("server")
}

#[test]
fn prefixes_that_are_none_are_refused() {
    for prefix in [
        "echo",
        "/echo//",
        "//",
        "/a b",
        "/echo?x",
        "/echo#x",
        "/\u{e4}",
        "/a\r\nb",
        " /echo",
        "echo/",
        "/a//b",
        "//a",
        "/.",
        "/./a",
        "/a/../b",
        "/a/..",
        "/%2e%2E/a",
        "/a\\b",
        "/a\"b",
        "/%zz",
    ] {
        let error = server().mount(prefix, ignore).expect_err(prefix);
        assert_eq!(error, MountError::Prefix(prefix.to_owned()));
        let said = error.to_string();
        assert!(said.contains(&format!("{prefix:?}")) && said.contains("\"/echo\""), "{said}");
        assert_eq!(std::io::Error::from(error).kind(), ErrorKind::InvalidInput);
    }
    for prefix in ["", "/", "/echo", "/echo/", "/a/b/c", "/__proto__", "/a%20b", "/a.b~c"] {
        assert!(server().mount(prefix, ignore).is_ok(), "{prefix:?}");
    }
}

#[test]
fn a_prefix_is_mounted_once() {
    let mut server = server();
    server.mount("/echo", ignore).expect("the first");
    for prefix in ["/echo", "/echo/"] {
        assert_eq!(server.mount(prefix, ignore), Err(MountError::Taken(prefix.to_owned())));
    }
    server.mount("/echo/more", ignore).expect("another");
    server.mount("", ignore).expect("the root");
    assert_eq!(server.mount("/", ignore), Err(MountError::Taken("/".to_owned())));
    assert_eq!(
        MountError::Taken("/echo".to_owned()).to_string(),
        "another endpoint has the prefix \"/echo\""
    );
}

/// The option that must be named, and what makes it absurd.
type Change<O> = (&'static str, fn(&mut O));

#[test]
fn options_that_cannot_work_are_named() {
    let changes: [Change<EndpointOptions>; 13] = [
        ("heartbeat_delay", |options| options.heartbeat_delay = Duration::ZERO),
        ("disconnect_delay", |options| options.disconnect_delay = Duration::MAX),
        ("response_limit", |options| options.response_limit = 0),
        ("message_size", |options| options.message_size = usize::MAX),
        ("send_queue", |options| options.send_queue = 0),
        ("sessions", |options| options.sessions = 0),
        ("origins", |options| options.origins.push("a\nb".to_owned())),
        ("subprotocols", |options| options.subprotocols.push("a,b".to_owned())),
        ("client_url", |options| options.client_url.clear()),
        ("heartbeat_delay", |options| options.heartbeat_delay = Duration::from_secs(35)),
        ("base_url", |options| options.base_url = Some("https://a.example/echo/".to_owned())),
        ("jsessionid", |options| options.jsessionid = Some("SameSite=None".to_owned())),
        ("transports", |options| options.transports = Transports::none()),
    ];
    for (name, change) in changes {
        let mut options = EndpointOptions::default();
        change(&mut options);
        let mut server = server();
        let error = server.mount_with("/echo", options, ignore).expect_err(name);
        assert!(matches!(&error, MountError::Option(error) if error.option() == name));
        assert!(error.to_string().contains(&format!("`{name}`")), "{error}");
        // It left nothing behind.
        server.mount("/echo", ignore).expect("the prefix is free");
    }
    let changes: [Change<ServerOptions>; 6] = [
        ("request_line", |options| options.request_line = 0),
        ("header_count", |options| options.header_count = usize::MAX),
        ("head_timeout", |options| options.head_timeout = Duration::ZERO),
        ("connections", |options| options.connections = 0),
        ("buffered_bytes", |options| options.buffered_bytes = 0),
        ("shutdown_grace", |options| options.shutdown_grace = Duration::MAX),
    ];
    for (name, change) in changes {
        let mut options = ServerOptions::default();
        change(&mut options);
        let error = Server::new(options).expect_err(name);
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains(&format!("`{name}`")), "{error}");
    }
}

/// For a number or a wait beyond its range, at both ends.
#[test]
fn an_error_names_the_option_its_range_and_the_value() {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    const NANOSECOND: Duration = Duration::from_nanos(1);
    let of_server: [(Change<ServerOptions>, &str); 24] = [
        (("request_line", |it| it.request_line = 63), "be between 64 and 1048576 bytes, but is 63"),
        (
            ("request_line", |it| it.request_line = 1_048_577),
            "be between 64 and 1048576 bytes, but is 1048577",
        ),
        (("header_section", |it| it.header_section = 0), "be between 64 and 16777216 bytes, but is 0"),
        (("header_count", |it| it.header_count = 0), "be between 1 and 256, but is 0"),
        (("header_count", |it| it.header_count = 257), "be between 1 and 256, but is 257"),
        (("head_timeout", |it| it.head_timeout = NANOSECOND), "be between 1 ms and 24 h, but is 1ns"),
        (("body_timeout", |it| it.body_timeout = 2 * DAY), "be between 1 ms and 24 h, but is 172800s"),
        (("keep_alive", |it| it.keep_alive = NANOSECOND), "be between 1 ms and 24 h, but is 1ns"),
        (("write_stall", |it| it.write_stall = NANOSECOND), "be between 1 ms and 24 h, but is 1ns"),
        (("slowest_client", |it| it.slowest_client = 0), "be between 1 and 1073741824 bytes, but is 0"),
        (("close_timeout", |it| it.close_timeout = NANOSECOND), "be between 1 ms and 24 h, but is 1ns"),
        (("connections", |it| it.connections = 0), "be between 1 and 1048576, but is 0"),
        (("connections", |it| it.connections = 1_048_577), "be between 1 and 1048576, but is 1048577"),
        (
            ("connections_per_client", |it| it.connections_per_client = Some(0)),
            "be between 1 and 1048576, but is 0",
        ),
        (
            ("connections_per_client", |it| it.connections_per_client = Some(1_048_577)),
            "be between 1 and 1048576, but is 1048577",
        ),
        (
            ("sessions_per_client", |it| it.sessions_per_client = Some(0)),
            "be between 1 and 16777216, but is 0",
        ),
        (
            ("sessions_per_client", |it| it.sessions_per_client = Some(16_777_217)),
            "be between 1 and 16777216, but is 16777217",
        ),
        (("buffered_bytes", |it| it.buffered_bytes = 1000), "be at least 1048576 bytes, but is 1000"),
        (
            ("mailbox_bytes", |it| it.mailbox_bytes = 4095),
            "be between 4096 and 1073741824 bytes, but is 4095",
        ),
        (
            ("mailbox_bytes", |it| it.mailbox_bytes = (1 << 30) + 1),
            "be between 4096 and 1073741824 bytes, but is 1073741825",
        ),
        (("shutdown_grace", |it| it.shutdown_grace = 2 * DAY), "be at most 24 h, but is 172800s"),
        (("body_size", |it| it.body_size = (1 << 30) + 1), "be at most 1073741824 bytes, but is 1073741825"),
        (
            ("head_timeout", |it| it.head_timeout = DAY + NANOSECOND),
            "be between 1 ms and 24 h, but is 86400.000000001s",
        ),
        (
            ("header_section", |it| it.header_section = u32::MAX as usize),
            "be between 64 and 16777216 bytes, but is 4294967295",
        ),
    ];
    for ((name, change), rule) in of_server {
        let mut options = ServerOptions::default();
        change(&mut options);
        let error = Server::new(options).expect_err(name);
        let inner = error.get_ref().and_then(|error| error.downcast_ref::<OptionError>());
        assert_eq!(inner.map(OptionError::option), Some(name));
        assert_eq!(error.to_string(), format!("option `{name}` must {rule}"));
    }
    let of_endpoint: [(Change<EndpointOptions>, &str); 8] = [
        (("pong_timeout", |it| it.pong_timeout = NANOSECOND), "be between 1 ms and 24 h, but is 1ns"),
        (("disconnect_delay", |it| it.disconnect_delay = NANOSECOND), "be between 1 ms and 24 h, but is 1ns"),
        (("response_limit", |it| it.response_limit = 0), "be between 1 and 1073741824 bytes, but is 0"),
        (("message_size", |it| it.message_size = 0), "be between 1 and 1073741824 bytes, but is 0"),
        (("send_queue", |it| it.send_queue = 0), "be between 1 and 1073741824 bytes, but is 0"),
        (("session_id_length", |it| it.session_id_length = 4097), "be between 1 and 4096 bytes, but is 4097"),
        (("sessions", |it| it.sessions = 0), "be between 1 and 16777216, but is 0"),
        (("transports", |it| it.transports = Transports::none()), "hold at least one transport, but is {}"),
    ];
    for ((name, change), rule) in of_endpoint {
        let mut options = EndpointOptions::default();
        change(&mut options);
        let error = server().mount_with("/echo", options, ignore).expect_err(name);
        assert_eq!(error.to_string(), format!("option `{name}` must {rule}"));
    }
}

#[test]
fn an_address_in_use_is_the_systems_to_say() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("listen");
    let address = taken.local_addr().expect("an address");
    let error = Server::bind(address).expect_err("it is taken");
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
    assert!(error.to_string().starts_with(&format!("{address}: ")), "it is named: {error}");
    assert!(Server::bind("no address").is_err());
    assert!(server().listen("127.0.0.1").is_err());
}
