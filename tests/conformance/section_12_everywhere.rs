//! Section 12: what holds on every route.

use std::io::Write;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use sockjs_server::{EndpointOptions, ServerOptions};

use crate::rule::{Rule, here, rule};
use crate::support::PATIENCE;
use crate::support::echo_process::EchoProcess;
use crate::support::frames::whole::{CLOSE, TEXT};
use crate::support::frames::{HANDSHAKE, frame};
use crate::support::receiver::Receiver;
use crate::support::target::{Target, eventually, fresh_id};
use crate::support::wire::{HTTP, Transport, json, messages};
use crate::support::{TestServer, endpoints};

pub const RULES: &[Rule] = &[
    rule("12.1", "optional white space around field values is fine", field_white_space),
    rule(
        "12.2",
        "a request's body is never read as the next request, on any route or error path",
        bodies_consumed,
    ),
    rule("12.2", "an incomplete request has no effect", incomplete_request),
    rule("12.2", "what was answered before a framing error stays answered", answered_before_error),
    rule("12.3", "a close in the handshake's packet is answered", close_behind_handshake),
    rule("12.3", "a session that ends before its open was told is told both", close_at_open),
    rule("12.4", "normal use fits: a request line of 8,000 bytes", long_request_line),
    rule("12.4", "normal use fits: cookies of 4 KiB, 50 headers", many_headers),
    rule("12.4", "normal use fits: messages of 64 KiB, on every transport", large_messages),
    rule("12.4", "JSON of any depth is refused without harm", deep_json),
    rule("12.5", "one client that does not read never slows the others", unread_echoes),
    here(
        "12.5",
        "a session without a receiver has a limit: the connection to the others goes on",
        queue_limit,
    ),
    here("12.6", "what expired gives back its session, its timer and its descriptor", nothing_left),
    rule("12.7", "an upgrade is answered only where WebSocket lives", upgrade_elsewhere),
    rule("12.7", "never on HTTP/1.0, or without Host", upgrade_http10),
    rule("12.8", "any legal session id works: __proto__, constructor, toString", strange_ids),
    rule("12.9", "only valid UTF-8 goes out, whatever came in", only_utf8),
    here(
        "12.10",
        "SIGTERM ends the process promptly in spite of open sessions; the port is free at once",
        sigterm,
    ),
];

fn field_white_space(target: &Target) {
    let session = target.opened("/echo");
    let path = format!("{}{session}/xhr_send", target.base);
    for (before, after) in [("", ""), ("\t", "\t"), ("  \t ", "   ")] {
        let lines = format!("Host:{before}{}{after}\r\nContent-Length:{before}5{after}\r\n", target.host);
        let request = format!("POST {path} HTTP/1.1\r\n{lines}Origin:{before}null{after}\r\n\r\n[\"x\"]");
        target
            .connect()
            .send(request)
            .answer()
            .expect(204)
            .expect_header("Access-Control-Allow-Origin", "null");
        assert_eq!(target.poll(&session), r#"a["x"]"#);
    }
}

fn bodies_consumed(target: &Target) {
    let session = target.opened("/echo");
    // A body that is a request itself: were it read as one, its answer would stand before the next.
    let smuggled = target.connect().bytes_of("GET", "/echo/smuggled", "", b"");
    for (method, path) in [
        ("GET", "/echo".to_owned()),
        ("GET", "/echo/info".to_owned()),
        ("GET", "/echo/iframe.html".to_owned()),
        ("GET", "/echo/nowhere".to_owned()),
        ("POST", "/echo/nowhere".to_owned()),
        ("PUT", "/echo".to_owned()),
        ("DELETE", "/echo/info".to_owned()),
        ("OPTIONS", format!("{session}/xhr")),
        ("POST", format!("{session}/xhr_send")),
        ("POST", format!("{session}/jsonp_send")),
        ("POST", format!("{}/xhr_send", target.session("/echo"))),
        ("POST", format!("{}/xhr", target.session("/echo"))),
        ("GET", format!("{}/jsonp", target.session("/echo"))),
        ("GET", format!("{}/jsonp?c=x", target.session("/echo"))),
        ("GET", "/echo/websocket".to_owned()),
        ("POST", "/echo/websocket".to_owned()),
        ("POST", "/".to_owned()),
        ("POST", "/nowhere".to_owned()),
    ] {
        let mut connection = target.connect();
        let next = connection.bytes_of("GET", "/echo", "", b"");
        let whole = [connection.bytes_of(method, &path, "", &smuggled), next].concat();
        connection.send_if_wanted(whole);
        let first = connection.answer();
        let rest = String::from_utf8(connection.hang_up_and_read()).expect("text");
        // Either the connection closed, or exactly the greeting follows.
        let answers = rest.matches("HTTP/1.1 ").count();
        let sound = answers == 0 || (answers == 1 && rest.contains("Welcome to SockJS!\n"));
        assert!(sound, "{method} {path} ({}): {rest}", first.status);
    }
}

fn incomplete_request(target: &Target) {
    let session = target.opened("/echo");
    for whole in [&b"[\"lost\"]"[..], b"[\"lost\"]   "] {
        let mut connection = target.connect();
        let bytes = connection.bytes_of("POST", &format!("{session}/xhr_send"), "", whole);
        connection.send(&bytes[..bytes.len() - 1]);
        let rest = connection.hang_up_and_read();
        assert!(!rest.starts_with(b"HTTP/1.1 2"), "{}", rest.escape_ascii());
    }
    let fresh = target.session("/echo");
    let mut connection = target.connect();
    let bytes = connection.bytes_of("POST", &format!("{fresh}/xhr"), "", b"12345");
    connection.send(&bytes[..bytes.len() - 1]).hang_up_and_read();
    target.post(&format!("{fresh}/xhr_send"), "[]").expect(404);
    target.send(&session, r#"["kept"]"#);
    assert_eq!(target.poll(&session), r#"a["kept"]"#);
}

fn answered_before_error(target: &Target) {
    let mut connection = target.connect();
    let mut bytes = connection.bytes_of("GET", "/echo", "", b"");
    bytes.extend(b"GET / HTTP/1.1\r\nbad line\r\n\r\n");
    connection.send_if_wanted(bytes);
    connection.answer().expect(200).expect_body("Welcome to SockJS!\n");
    connection.answer().expect(400);
    connection.expect_end();
}

fn close_behind_handshake(target: &Target) {
    for path in ["/echo/websocket".to_owned(), format!("/echo/000/{}/websocket", fresh_id())] {
        let mut connection = target.connect();
        let mut bytes = connection.bytes_of("GET", &path, HANDSHAKE, b"");
        bytes.extend(frame(CLOSE, &1000_u16.to_be_bytes()));
        connection.send(bytes);
        connection.head().expect(101);
        let rest = connection.rest();
        assert!(rest.ends_with(&[0x88, 2, 3, 0xe8]), "{}", rest.escape_ascii());
    }
}

fn close_at_open(target: &Target) {
    let session = target.session("/close");
    let mut stream = Receiver::open(target, Transport::XhrStreaming, &session);
    assert_eq!((stream.frame(), stream.frame()), ("o".into(), r#"c[3000,"Go away!"]"#.into()));
    stream.expect_end();
    // A message in the packet of the handshake comes too late for a session that closed as it opened.
    let mut connection = target.connect();
    let mut bytes = connection.bytes_of("GET", &format!("/close/0/{}/websocket", fresh_id()), HANDSHAKE, b"");
    bytes.extend(frame(TEXT, br#"["x"]"#));
    connection.send(bytes).head().expect(101);
    let frames = connection.take(2 + 1 + 2 + 18);
    assert_eq!(frames, [b"\x81\x01o\x81\x12", &br#"c[3000,"Go away!"]"#[..]].concat());
}

fn long_request_line(target: &Target) {
    let path = format!("/echo?{}", "x".repeat(8000 - target.base.len() - "GET /echo? HTTP/1.1".len()));
    target.get(&path).expect(200);
}

fn many_headers(target: &Target) {
    let cookie = format!("Cookie: a={}; JSESSIONID=found\r\n", "x".repeat(4096));
    let headers: String =
        (0..48).map(|number| format!("X-Header-{number}: {}\r\n", "v".repeat(100))).collect();
    let path = format!("{}/xhr", target.session("/cookie_needed_echo"));
    let answer = target.ask("POST", &path, &(cookie + &headers), b"").expect(200);
    assert_eq!(answer.header("Set-Cookie"), Some("JSESSIONID=found; path=/"));
}

fn large_messages(target: &Target) {
    let message = "0123456789abcdef".repeat(4096);
    for transport in HTTP {
        let session = target.session("/echo");
        let mut receiver = Receiver::open(target, transport, &session);
        assert_eq!(receiver.frame(), "o");
        target.send(&session, &json(&[&message]));
        if !transport.is_streaming() {
            receiver = Receiver::open(target, transport, &session);
        }
        assert!(messages(&receiver.frame()) == [message.as_str()], "{transport:?}");
    }
    let mut websocket = target.websocket(&format!("/echo/000/{}/websocket", fresh_id()));
    assert_eq!(websocket.text(), "o");
    assert!(messages(&websocket.send(&json(&[&message])).text()) == [message.as_str()]);
}

fn deep_json(target: &Target) {
    let session = target.opened("/echo");
    for body in ["[".repeat(60_000), "{\"a\":".repeat(10_000), "[".repeat(30_000) + &"]".repeat(30_000)] {
        target.post(&format!("{session}/xhr_send"), body).expect(500);
    }
    target.send(&session, r#"["alive"]"#);
    assert_eq!(target.poll(&session), r#"a["alive"]"#);
}

fn unread_echoes(target: &Target) {
    let mut greedy = target.websocket("/echo/websocket");
    greedy.client.stream.set_write_timeout(Some(Duration::from_millis(200))).expect("timeout");
    let frame = frame(TEXT, &[b'x'; 60_000]);
    // Until the server reads no more, or has taken 64 MiB in.
    let unread = (0..1100).find(|_| greedy.client.stream.write_all(&frame).is_err());
    assert!(unread.is_some(), "64 MiB were taken from a client that reads nothing");
    let session = target.opened("/echo");
    for number in 0..20 {
        target.send(&session, &format!("[\"{number}\"]"));
        assert_eq!(target.poll(&session), format!("a[\"{number}\"]"));
    }
}

fn queue_limit() {
    let server = TestServer::start(ServerOptions::default(), |server| {
        let mut options = EndpointOptions::default();
        options.send_queue = 100_000;
        endpoints::mount(server, &options).expect("mount");
    });
    let target = Target::at(server.address);
    let mut listener = Receiver::open(&target, Transport::EventSource, &target.session("/broadcast"));
    let silent = target.opened("/broadcast");
    let speaker = target.opened("/broadcast");
    let message = "x".repeat(30_000);
    assert_eq!(listener.frame(), "o");
    // Too much for one that does not read, and less than the response limit.
    for _ in 0..4 {
        target.send(&speaker, &json(&[&message]));
        assert_eq!(messages(&listener.frame()), [message.as_str()]);
        target.poll(&speaker);
    }
    // The one that never came back was closed for what it did not take: a gap is never silent.
    eventually("the silent session is told", || target.poll(&silent).starts_with("c[1013,"));
}

fn nothing_left() {
    let server = TestServer::start(ServerOptions::default(), |server| {
        let mut options = EndpointOptions::default();
        options.disconnect_delay = Duration::from_millis(50);
        endpoints::mount(server, &options).expect("mount");
    });
    let target = Target::at(server.address);
    for transport in HTTP {
        for endpoint in ["/echo", "/close", "/ticker"] {
            let mut receiver = Receiver::open(&target, transport, &target.session(endpoint));
            assert_eq!(receiver.frame(), "o");
        }
    }
    drop(target.websocket("/ticker/0/s/websocket"));
    drop(target.websocket("/echo/websocket"));
    server.wait_for("nothing to be left", |counters| {
        (counters.sessions, counters.connections, counters.timers) == (0, 0, 0)
            && counters.opened == counters.closed
    });
}

fn upgrade_elsewhere(target: &Target) {
    for (path, status) in [("/echo", 200), ("/echo/info", 200), ("/echo/iframe.html", 200), ("/echo/a", 404)]
    {
        let mut connection = target.connect();
        connection.ask("GET", path, HANDSHAKE, b"").expect(status).expect_header("Upgrade", None);
    }
    let path = format!("{}/xhr", target.session("/echo"));
    target.ask("POST", &path, HANDSHAKE, b"").expect(200).expect_body("o\n");
}

fn upgrade_http10(target: &Target) {
    let mut connection = target.connect();
    connection.request_http10("GET", "/echo/websocket", HANDSHAKE, b"");
    assert_ne!(connection.head().status, 101, "on HTTP/1.0");
    let request = format!("GET {}/echo/websocket HTTP/1.1\r\n{HANDSHAKE}\r\n", target.base);
    target.connect().send(request).answer().expect(400);
}

fn strange_ids(target: &Target) {
    // These cannot be made unique, so the sessions of an earlier run must be gone first.
    for id in ["__proto__", "constructor", "toString", "hasOwnProperty", "__defineGetter__", "null", "0"] {
        let session = format!("/disabled_websocket_echo/proto/{id}");
        eventually("the id is free", || target.post(&format!("{session}/xhr_send"), "[]").status == 404);
        assert_eq!(target.poll(&session), "o", "{id}");
        target.send(&session, r#"["x"]"#);
        assert_eq!(target.poll(&session), r#"a["x"]"#, "{id}");
    }
}

fn only_utf8(target: &Target) {
    let bytes_in = [&b"\xff"[..], b"\xc3", b"\xed\xa0\x80"];
    for bytes in bytes_in {
        for header in ["Origin", "Access-Control-Request-Headers", "Cookie"] {
            let mut connection = target.connect();
            let mut request = connection.bytes_of("GET", "/cookie_needed_echo/info", "", b"");
            request.truncate(request.len() - 2);
            request.extend(format!("{header}: JSESSIONID=").as_bytes());
            request.extend(bytes);
            request.extend(b"\r\n\r\n");
            // Reading the head panics if it is not UTF-8.
            assert_eq!(connection.send(request).answer().status, 200, "{header}");
        }
    }
}

fn sigterm() {
    let mut process = EchoProcess::start();
    let target = Target::at(process.address());
    let mut stream = Receiver::open(&target, Transport::XhrStreaming, &target.session("/echo"));
    let mut websocket = target.websocket("/echo/0/s/websocket");
    target.opened("/echo");
    let _idle = target.connect();
    assert_eq!((stream.frame(), websocket.text()), ("o".into(), "o".into()));
    let start = Instant::now();
    process.terminate();
    assert_eq!(stream.frame(), r#"c[1001,"Server shutdown"]"#, "its sessions are told");
    eventually("the process ends", || process.child.try_wait().expect("a child").is_some());
    assert_eq!(process.code(), Some(0));
    assert!(start.elapsed() < PATIENCE / 2, "it took {:?}", start.elapsed());
    TcpListener::bind(target.address).expect("the port can be bound again at once");
}
