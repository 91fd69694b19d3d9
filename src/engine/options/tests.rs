//! Each option is held to its rule.

use super::*;

#[test]
fn the_defaults_are_sound() {
    assert_eq!(ServerOptions::default().validate(), Ok(()));
    assert!(EndpointOptions::default().validate().is_ok());
}

#[test]
fn absurd_values_are_named() {
    let server = |change: fn(&mut ServerOptions)| {
        let mut options = ServerOptions::default();
        change(&mut options);
        options.validate().map(drop).map_err(|error| error.option())
    };
    assert_eq!(server(|options| options.request_line = 0), Err("request_line"));
    assert_eq!(server(|options| options.header_section = 0), Err("header_section"));
    assert_eq!(server(|options| options.header_count = 257), Err("header_count"));
    assert_eq!(server(|options| options.head_timeout = Duration::ZERO), Err("head_timeout"));
    assert_eq!(server(|options| options.body_timeout = Duration::MAX), Err("body_timeout"));
    assert_eq!(server(|options| options.keep_alive = Duration::ZERO), Err("keep_alive"));
    assert_eq!(server(|options| options.write_stall = Duration::ZERO), Err("write_stall"));
    assert_eq!(server(|options| options.slowest_client = 0), Err("slowest_client"));
    assert_eq!(server(|options| options.close_timeout = Duration::ZERO), Err("close_timeout"));
    assert_eq!(server(|options| options.connections = 0), Err("connections"));
    assert_eq!(server(|options| options.connections_per_client = Some(0)), Err("connections_per_client"));
    assert_eq!(server(|options| options.sessions_per_client = Some(0)), Err("sessions_per_client"));
    assert_eq!(server(|options| options.mailbox_bytes = 0), Err("mailbox_bytes"));
    assert_eq!(server(|options| options.buffered_bytes = 0), Err("buffered_bytes"));
    let endpoint = |change: fn(&mut EndpointOptions)| {
        let mut options = EndpointOptions::default();
        change(&mut options);
        options.validate().map(drop).map_err(|error| error.option())
    };
    assert_eq!(endpoint(|options| options.heartbeat_delay = Duration::ZERO), Err("heartbeat_delay"));
    assert_eq!(endpoint(|options| options.pong_timeout = Duration::ZERO), Err("pong_timeout"));
    assert_eq!(endpoint(|options| options.disconnect_delay = Duration::ZERO), Err("disconnect_delay"));
    assert_eq!(endpoint(|options| options.response_limit = 0), Err("response_limit"));
    assert_eq!(endpoint(|options| options.client_url = "a\r\nb".into()), Err("client_url"));
    assert_eq!(endpoint(|options| options.jsessionid = Some("\n".into())), Err("jsessionid"));
    assert_eq!(endpoint(|options| options.origins = vec![String::new()]), Err("origins"));
    assert_eq!(endpoint(|options| options.subprotocols = vec!["a b".into()]), Err("subprotocols"));
    assert_eq!(endpoint(|options| options.subprotocols = vec!["a".into(); 256]), Err("subprotocols"));
    assert_eq!(endpoint(|options| options.subprotocol_required = true), Err("subprotocol_required"));
    assert_eq!(endpoint(|options| options.message_size = 0), Err("message_size"));
    assert_eq!(endpoint(|options| options.send_queue = 0), Err("send_queue"));
    assert_eq!(endpoint(|options| options.session_id_length = 0), Err("session_id_length"));
    assert_eq!(endpoint(|options| options.sessions = 0), Err("sessions"));
    assert_eq!(endpoint(|options| options.groups = usize::MAX), Err("groups"));
    assert_eq!(endpoint(|options| options.groups_per_session = usize::MAX), Err("groups_per_session"));
    assert_eq!(endpoint(|options| options.group_name_length = 5000), Err("group_name_length"));
}

fn endpoint(change: impl FnOnce(&mut EndpointOptions)) -> Result<(), String> {
    let mut options = EndpointOptions::default();
    change(&mut options);
    options.validate().map(drop).map_err(|error| error.to_string())
}

#[test]
fn a_refusal_says_the_rule_and_the_value() {
    let options = ServerOptions { header_count: 257, ..ServerOptions::default() };
    let said = options.validate().map(drop).map_err(|error| error.to_string());
    assert_eq!(said, Err("option `header_count` must be between 1 and 256, but is 257".into()));
    let options = ServerOptions { buffered_bytes: 5, ..ServerOptions::default() };
    let said = options.validate().map(drop).map_err(|error| error.to_string());
    assert_eq!(said, Err("option `buffered_bytes` must be at least 1048576 bytes, but is 5".into()));
    assert_eq!(
        endpoint(|options| options.heartbeat_delay = Duration::from_secs(60)),
        Err("option `heartbeat_delay` must be between 1 ms and 24 h, and under 35 s while jsonp-polling is on, \
             but is 60s"
            .into())
    );
}

/// Contract, section 8: jsonp's client gives up after 35 s without a frame.
#[test]
fn a_heartbeat_comes_before_the_client_of_jsonp_gives_up() {
    let with = |delay, transports| {
        endpoint(|options| (options.heartbeat_delay, options.transports) = (delay, transports)).is_ok()
    };
    let without_jsonp = Transports::all().without(Transport::JsonpPolling);
    assert!(with(Duration::from_millis(34_999), Transports::all()));
    assert!(!with(Duration::from_secs(35), Transports::all()));
    assert!(with(Duration::from_secs(35), without_jsonp));
    assert!(with(LONGEST_WAIT, without_jsonp));
    assert!(!with(LONGEST_WAIT + Duration::from_millis(1), without_jsonp));
}

#[test]
fn an_endpoint_offers_a_transport() {
    assert!(endpoint(|options| options.transports = Transports::none()).is_err());
    assert!(endpoint(|options| options.transports = Transports::none().with(Transport::XhrPolling)).is_ok());
}

#[test]
fn paths_can_be_appended_to_a_base_url() {
    let with = |url: &str| endpoint(|options| options.base_url = Some(url.into())).is_ok();
    for url in [
        "http://a",
        "https://a.example",
        "https://a.example:8443/b/echo",
        "http://[::1]:8081/echo",
        "http://127.0.0.1:0/%20",
    ] {
        assert!(with(url), "{url}");
    }
    for url in [
        "",
        "/echo",
        "//a.example/echo",
        "a.example/echo",
        "ws://a.example/echo",
        // The client looks for the scheme in lower case.
        "HTTPS://a.example/echo",
        "https:/a.example",
        "https://",
        "https:///echo",
        "https://user@a.example",
        "https://a.example:x",
        "https://a.example:65536",
        "https://a.example/",
        "https://a.example/echo/",
        "https://a.example/echo?a=b",
        "https://a.example?a",
        "https://a.example/echo#a",
        "https://a.example#a",
        "https://a.example/a b",
        " https://a.example",
        "https://a.example\\echo",
        "https://a.example/a\\b",
        "https://a.example/\u{e4}",
        "https://a.example/a\nb",
    ] {
        assert!(!with(url), "{url}");
    }
}

#[test]
fn a_client_url_is_one_word() {
    let with = |url: &str| endpoint(|options| options.client_url = url.into()).is_ok();
    for url in ["/sockjs.js", "sockjs.js", "//cdn.example/a.js", "https://cdn.example/a.js?b=\"<c>"] {
        assert!(with(url), "{url}");
    }
    for url in ["", " ", "/a b.js", "/a.js ", "\t/a.js", "/a.js\n", "\u{a0}", "/a\u{7f}"] {
        assert!(!with(url), "{url:?}");
    }
}

/// RFC 6265bis §5.7: browsers drop it otherwise.
#[test]
fn a_cookie_for_all_sites_is_secure() {
    let with = |attributes: &str| endpoint(|options| options.jsessionid = Some(attributes.into())).is_ok();
    for attributes in [
        "",
        "Secure",
        "Secure; SameSite=None",
        "samesite=none;SECURE",
        "SameSite = None ; Secure",
        "SameSite=Lax",
        "SameSite=Strict; HttpOnly",
        "Secure; SameSite=None; Partitioned",
    ] {
        assert!(with(attributes), "{attributes}");
    }
    for attributes in [
        "SameSite=None",
        "samesite=NONE; HttpOnly",
        " SameSite = None ",
        "SameSite=None; Insecure",
        "SameSite=None; Comment=Secure",
        "Partitioned",
        "SameSite=None\r\nSecure",
    ] {
        assert!(!with(attributes), "{attributes:?}");
    }
}
