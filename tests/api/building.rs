//! What a person can get wrong while building a server is an error there, and says what is wrong.

use std::io::ErrorKind;
use std::net::TcpListener;
use std::time::Duration;

use sockjs_server::{EndpointOptions, MountError, Server, ServerOptions, Session, Transports};

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

#[test]
fn an_address_in_use_is_the_systems_to_say() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("listen");
    let address = taken.local_addr().expect("an address");
    assert_eq!(Server::bind(address).expect_err("it is taken").kind(), ErrorKind::AddrInUse);
    assert!(Server::bind("no address").is_err());
    assert!(server().listen("127.0.0.1").is_err());
}
