//! Section 8: what surrounds a frame on each transport.

use std::time::Duration;

use sockjs_server::{EndpointOptions, ServerOptions, Session};

use crate::rule::{Rule, here, rule};
use crate::support::TestServer;
use crate::support::client::Answer;
use crate::support::frames::whole::{BINARY, TEXT};
use crate::support::receiver::Receiver;
use crate::support::target::{Target, fresh_id};
use crate::support::wire::{CALLBACK, HTTP, POLLING, STREAMING, Transport, Wire, json, messages, sending};

pub const RULES: &[Rule] = &[
    rule("8", "every receiver has its Content-Type: script, event stream or page", content_types),
    rule(
        "8",
        "HTTP/1.1: a streaming response is chunked; the prelude and each frame are a chunk of their own",
        chunks,
    ),
    rule(
        "8",
        "HTTP/1.0: a streaming response is not chunked, has no Content-Length, and ends with its connection",
        streaming_http10,
    ),
    rule("8", "HTTP/1.0: a polling response says its length or closes", polling_http10),
    rule("8", "HTTP/1.1: a polling response keeps its connection", polling_http11),
    rule("8", "xhr-polling: the body is `F` and a line feed", xhr_polling),
    rule(
        "8",
        "xhr-streaming: prelude 2048 times `h` and a line feed; each frame `F` and a line feed",
        xhr_streaming,
    ),
    rule("8", "eventsource: prelude CR LF; each frame `data: F` CR LF CR LF", eventsource),
    rule(
        "8",
        "eventsource: in F `%`, CR, LF and NUL are percent-encoded, and nothing else is",
        eventsource_escapes,
    ),
    rule(
        "8",
        "htmlfile: the page, padded to more than 1024 bytes, ended by CR LF CR LF; each frame a script",
        htmlfile,
    ),
    rule(
        "8",
        "htmlfile: `<` is escaped, so that a message with </script> does not leave the script",
        htmlfile_escapes,
    ),
    rule("8", "jsonp-polling: nosniff, and the body `/**/CALLBACK(J);` CR LF", jsonp),
    rule("8", "a callback is 1-32 characters of [a-zA-Z0-9-_.], percent-decoded", callbacks),
    rule(
        "8",
        "a missing callback -> 500 `\"callback\" parameter required`; no session is created",
        callback_missing,
    ),
    rule(
        "8",
        "any other callback -> 500 `invalid \"callback\" parameter`; no session is created",
        callback_invalid,
    ),
    rule("8", "a session may change its transport from one receiver to the next", transports_mixed),
    rule("8", "what clients send comes back over every transport", echo_everywhere),
    rule("8", "websocket: each frame is one text message", websocket_frames),
    rule(
        "8",
        "websocket: after a `c` frame the server sends a close 1000 `Normal closure`, and ends",
        websocket_close,
    ),
    rule(
        "8",
        "raw websocket: no `o`; messages both ways as they are, text as text and binary as binary",
        raw_messages,
    ),
    rule("8", "raw websocket: the server's close is a WebSocket close with its code and reason", raw_close),
    here("8", "raw websocket: no `h`", raw_no_heartbeat),
    here("8", "streaming responses tell nginx not to buffer: X-Accel-Buffering: no", accel_buffering),
    here("8", "a server-side close ends TCP itself when the client never answers", close_is_bounded),
    here("8", "a client that reads slowly gets the reason of a close", slow_client_gets_reason),
];

fn content_types(target: &Target) {
    for (transport, expected) in [
        (Transport::XhrPolling, "application/javascript; charset=UTF-8"),
        (Transport::XhrStreaming, "application/javascript; charset=UTF-8"),
        (Transport::EventSource, "text/event-stream"),
        (Transport::HtmlFile, "text/html; charset=UTF-8"),
        (Transport::JsonpPolling, "application/javascript; charset=UTF-8"),
    ] {
        let mut connection = target.connect();
        let path = format!("{}{}", target.session("/echo"), transport.path());
        let answer = connection.request(transport.method(), &path, "", b"").head().expect(200);
        assert_eq!(answer.header("Content-Type"), Some(expected), "{transport:?}");
    }
}

fn chunks(target: &Target) {
    for transport in STREAMING {
        let session = target.session("/echo");
        // Prelude, and one chunk for each frame, or this panics.
        let mut receiver = Receiver::open(target, transport, &session);
        assert_eq!(receiver.answer.header("Transfer-Encoding"), Some("chunked"), "{transport:?}");
        assert_eq!(receiver.answer.header("Content-Length"), None, "{transport:?}");
        assert_eq!(receiver.frame(), "o");
        for message in ["a", "b", "c"] {
            target.send(&session, &json(&[message]));
            assert_eq!(receiver.frame(), format!("a[\"{message}\"]"), "{transport:?}");
        }
    }
}

/// One receiver on HTTP/1.0: the head, and the body up to the end of the connection.
fn receive_http10(target: &Target, transport: Transport, session: &str, headers: &str) -> Answer {
    let mut connection = target.connect();
    connection.request_http10(transport.method(), &format!("{session}{}", transport.path()), headers, b"");
    let mut answer = connection.head().expect(200);
    answer.body = connection.rest();
    answer
}

fn streaming_http10(target: &Target) {
    for transport in STREAMING {
        for headers in ["", "Connection: keep-alive\r\n", "Connection: close\r\n"] {
            let session = target.session("/close");
            let answer = receive_http10(target, transport, &session, headers)
                .expect_header("Transfer-Encoding", None)
                .expect_header("Content-Length", None);
            assert!(answer.closes(), "{transport:?}: {}", answer.head);
            let body = answer.text();
            let frames = ["o", r#"c[3000,"Go away!"]"#].map(|frame| transport.wrap(frame));
            let prelude = body.strip_suffix(&frames.concat());
            transport.check_prelude(prelude.unwrap_or_else(|| panic!("{transport:?}: {body}")).as_bytes());
        }
    }
}

fn polling_http10(target: &Target) {
    for transport in POLLING {
        let session = target.session("/echo");
        let answer = receive_http10(target, transport, &session, "").expect_header("Transfer-Encoding", None);
        assert_eq!(answer.text(), transport.wrap("o"));
        let mut connection = target.connect();
        target.send(&session, r#"["x"]"#);
        let path = format!("{session}{}", transport.path());
        connection.request_http10(transport.method(), &path, "Connection: keep-alive\r\n", b"");
        let answer = connection.answer().expect(200);
        assert_eq!(answer.text(), transport.wrap("a[\"x\"]"));
        if answer.header("Connection").is_some_and(|value| value.eq_ignore_ascii_case("keep-alive")) {
            connection.request_http10("GET", "/echo", "", b"").answer().expect(200);
        }
    }
}

fn polling_http11(target: &Target) {
    for transport in POLLING {
        let mut connection = target.connect();
        let path = format!("{}{}", target.session("/echo"), transport.path());
        connection.ask(transport.method(), &path, "", b"").expect(200);
        connection.ask("GET", "/echo", "", b"").expect(200);
    }
}

fn xhr_polling(target: &Target) {
    let session = target.session("/echo");
    target.post(&format!("{session}/xhr"), "").expect(200).expect_body("o\n");
    target.send(&session, r#"["x"]"#);
    target.post(&format!("{session}/xhr"), "").expect(200).expect_body("a[\"x\"]\n");
}

fn xhr_streaming(target: &Target) {
    let mut connection = target.connect();
    let session = target.session("/echo");
    connection.request("POST", &format!("{session}/xhr_streaming"), "", b"").head().expect(200);
    assert_eq!(connection.chunk().as_deref(), Some(format!("{}\n", "h".repeat(2048)).as_bytes()));
    assert_eq!(connection.chunk().as_deref(), Some(&b"o\n"[..]));
    target.send(&session, r#"["x"]"#);
    assert_eq!(connection.chunk().as_deref(), Some(&b"a[\"x\"]\n"[..]));
}

fn eventsource(target: &Target) {
    let mut connection = target.connect();
    let session = target.session("/echo");
    connection.request("GET", &format!("{session}/eventsource"), "", b"").head().expect(200);
    assert_eq!(connection.chunk().as_deref(), Some(&b"\r\n"[..]));
    assert_eq!(connection.chunk().as_deref(), Some(&b"data: o\r\n\r\n"[..]));
    target.send(&session, r#"["x"]"#);
    assert_eq!(connection.chunk().as_deref(), Some(&b"data: a[\"x\"]\r\n\r\n"[..]));
}

fn eventsource_escapes(target: &Target) {
    let mut connection = target.connect();
    let session = target.session("/echo");
    connection.request("GET", &format!("{session}/eventsource"), "", b"").head().expect(200);
    connection.chunk();
    connection.chunk();
    target.send(&session, &json(&["%41 100% %25 \r\n\0 +&<é"]));
    let event = connection.chunk().map(|chunk| String::from_utf8(chunk).expect("UTF-8"));
    assert_eq!(event.as_deref(), Some("data: a[\"%2541 100%25 %2525 \\r\\n\\u0000 +&<é\"]\r\n\r\n"));
}

fn htmlfile(target: &Target) {
    let mut connection = target.connect();
    let session = target.session("/echo");
    connection.request("GET", &format!("{session}/htmlfile?c={CALLBACK}"), "", b"").head().expect(200);
    Transport::HtmlFile.check_prelude(&connection.chunk().expect("a prelude"));
    assert_eq!(connection.chunk().as_deref(), Some(&b"<script>\np(\"o\");\n</script>\r\n"[..]));
    target.send(&session, r#"["x"]"#);
    assert_eq!(connection.chunk().as_deref(), Some(&b"<script>\np(\"a[\\\"x\\\"]\");\n</script>\r\n"[..]));
}

fn htmlfile_escapes(target: &Target) {
    let session = target.session("/echo");
    let mut receiver = Receiver::open(target, Transport::HtmlFile, &session);
    assert_eq!(receiver.frame(), "o");
    let message = "</script><script>alert(1)</script><!--\u{2028}\\u003c";
    target.send(&session, &json(&[message]));
    let chunk = receiver.client.chunk().expect("a frame");
    let text = String::from_utf8(chunk.clone()).expect("UTF-8");
    assert!(text.contains("\\u003c/script>\\u003cscript>alert(1)"), "{text}");
    assert_eq!(messages(&Transport::HtmlFile.unwrap(&chunk)), [message]);
}

fn jsonp(target: &Target) {
    let session = target.session("/echo");
    let path = format!("{session}/jsonp?c=%63allback");
    target
        .get(&path)
        .expect(200)
        .expect_header("X-Content-Type-Options", "nosniff")
        .expect_header("Content-Type", "application/javascript; charset=UTF-8")
        .expect_body("/**/callback(\"o\");\r\n");
    target.send(&session, &json(&["x\"\\\u{2028}</script>"]));
    let expected = "/**/callback(\"a[\\\"x\\\\\\\"\\\\\\\\\\\\u2028</script>\\\"]\");\r\n";
    target.get(&path).expect(200).expect_body(expected);
}

/// The two that take a callback.
const CALLED: [&str; 2] = ["jsonp", "htmlfile"];

fn callbacks(target: &Target) {
    for callback in
        ["a", "Z", "_jp.abc123", "a-b_c.D9", "%61%2E", "abcdefghijklmnopqrstuvwxyz012345", "0", "-"]
    {
        for kind in CALLED {
            let path = format!("{}/{kind}?x=1&c={callback}&y=2", target.session("/echo"));
            target.connect().request("GET", &path, "", b"").head().expect(200);
        }
    }
}

fn refused(target: &Target, path: &str, text: &str) {
    for kind in CALLED {
        let session = target.session("/echo");
        let path = format!("{session}/{kind}{path}");
        let answer = target.get(&path);
        assert_eq!((answer.status, answer.text().trim_end()), (500, text), "{path}");
        target.post(&format!("{session}/xhr_send"), "[]").expect(404);
    }
}

fn callback_missing(target: &Target) {
    for path in ["", "?", "?a=b", "?C=x", "?cc=x", "?callbac=x"] {
        refused(target, path, "\"callback\" parameter required");
    }
}

fn callback_invalid(target: &Target) {
    for callback in [
        "%20",
        "a%20b",
        "*",
        "abc(",
        "abc%28",
        "alert(1)//",
        "a;b",
        "cb%0a",
        "cb%0d%0a",
        "%00",
        "a%00b",
        "%3Cscript%3E",
        "a%27",
        "a%22",
        "a[0]",
        "%C3%A9",
        "%",
        "%zz",
        "abcdefghijklmnopqrstuvwxyz0123456",
        "a+b",
        "$",
        "\u{e9}",
    ] {
        if callback.is_ascii() {
            refused(target, &format!("?c={callback}"), "invalid \"callback\" parameter");
        }
    }
}

fn transports_mixed(target: &Target) {
    let session = target.session("/echo");
    let mut stream = Receiver::open(target, Transport::XhrStreaming, &session);
    assert_eq!(stream.frame(), "o");
    target.send(&session, &json(&["x".repeat(5000)]));
    assert_eq!(stream.frame().len(), 5005);
    stream.expect_end();
    for transport in HTTP {
        target.send(&session, &json(&["y".repeat(5000)]));
        let mut receiver = Receiver::open(target, transport, &session);
        assert_eq!(receiver.frame().len(), 5005, "{transport:?}");
        receiver.expect_end();
    }
}

fn echo_everywhere(target: &Target) {
    let said = [
        "",
        "a",
        "\"\\/\n",
        "€ é \u{1f600}",
        "%41+&=;",
        "%41 %25 100% %",
        "</script>",
        "</script><script>",
        "\u{2028}\u{fff0}\u{7f}",
        "a,b]",
    ];
    let mut said: Vec<_> = said.iter().map(|message| (json(&[message]), *message)).collect();
    // JavaScript's strings may hold half of a pair of surrogates.
    for (written, message) in
        [(r"a\ud800b", "a\u{fffd}b"), (r"\udc00", "\u{fffd}"), (r"\ud83d\ud83d\ude00", "\u{fffd}\u{1f600}")]
    {
        said.push((format!("[\"{written}\"]"), message));
    }
    for transport in HTTP {
        let session = target.session("/echo");
        let mut connection = target.connect();
        let mut receiver = Receiver::open(target, transport, &session);
        assert_eq!(receiver.frame(), "o");
        for (json, message) in &said {
            let (path, headers, body, status) = sending(transport, &session, json);
            connection.ask("POST", &path, headers, &body).expect(status);
            if !transport.is_streaming() {
                receiver = Receiver::open(target, transport, &session);
            }
            assert_eq!(messages(&receiver.frame()), [*message], "{transport:?}");
        }
    }
    let mut websocket = target.websocket(&format!("/echo/000/{}/websocket", fresh_id()));
    assert_eq!(websocket.text(), "o");
    for (json, message) in &said {
        assert_eq!(messages(&websocket.send(json).text()), [*message]);
    }
}

fn websocket_frames(target: &Target) {
    let mut websocket = target.websocket(&format!("/echo/000/{}/websocket", fresh_id()));
    assert_eq!(websocket.frame(), (TEXT, b"o".to_vec()));
    websocket.send(r#"["x"]"#);
    assert_eq!(websocket.frame(), (TEXT, br#"a["x"]"#.to_vec()));
}

fn websocket_close(target: &Target) {
    let mut websocket = target.websocket(&format!("/close/000/{}/websocket", fresh_id()));
    assert_eq!((websocket.text(), websocket.text()), ("o".into(), r#"c[3000,"Go away!"]"#.into()));
    assert_eq!(websocket.close(), Some((1000, "Normal closure".to_owned())));
    websocket.send_close(1000, "").client.expect_end();
}

fn raw_messages(target: &Target) {
    let mut raw = target.websocket("/echo/websocket");
    for text in ["[\"a\"]", "", "o", "x", "\u{2028}\u{ffff}\u{1f600}\0"] {
        raw.send(text);
        assert_eq!(raw.frame(), (TEXT, text.as_bytes().to_vec()));
    }
    for bytes in [&b""[..], b"\0\xff\xfe\x80", &[0xaa; 70_000]] {
        raw.send_frame(BINARY, bytes);
        assert!(raw.frame() == (BINARY, bytes.to_vec()), "{} bytes", bytes.len());
    }
    raw.close_with(1000, "");
}

fn raw_close(target: &Target) {
    let mut raw = target.websocket("/close/websocket");
    assert_eq!(raw.close(), Some((3000, "Go away!".to_owned())));
    raw.send_close(3000, "").client.expect_end();
}

/// A server whose sessions are closed by the message `close`.
fn start(change: impl FnOnce(&mut ServerOptions, &mut EndpointOptions)) -> (TestServer, Target) {
    let (mut options, mut endpoint) = (ServerOptions::default(), EndpointOptions::default());
    change(&mut options, &mut endpoint);
    let server = TestServer::start(options, |server| {
        let handler = |session: &mut Session<'_>, text: &str| {
            session.send(text).expect("room");
            if text.starts_with("close") {
                session.close(3000, "Go away!");
            }
        };
        server.mount_with("/echo", endpoint, handler).expect("mount");
    });
    let target = Target::at(server.address);
    (server, target)
}

fn raw_no_heartbeat() {
    let (_server, target) = start(|_, options| options.heartbeat_delay = Duration::from_millis(30));
    // The SockJS session beside it is the clock: when it was told three times, so would have been the other.
    let mut raw = target.websocket("/echo/websocket");
    let mut framed = target.websocket("/echo/0/s/websocket");
    assert_eq!(framed.text(), "o");
    for _ in 0..3 {
        assert_eq!(framed.text(), "h");
    }
    assert_eq!(raw.send("done").text(), "done");
}

fn accel_buffering() {
    let (_server, target) = start(|_, _| {});
    for transport in STREAMING {
        let receiver = Receiver::open(&target, transport, &target.session("/echo"));
        assert_eq!(receiver.answer.header("X-Accel-Buffering"), Some("no"), "{transport:?}");
    }
}

fn close_is_bounded() {
    let (server, target) = start(|options, _| options.close_timeout = Duration::from_millis(100));
    let mut raw = target.websocket("/echo/websocket");
    raw.send("close");
    assert_eq!(raw.text(), "close");
    assert_eq!(raw.close(), Some((3000, "Go away!".to_owned())));
    raw.client.expect_end();
    drop(raw);
    server.wait_for("nothing to be left", |counters| (counters.connections, counters.timers) == (0, 0));
}

fn slow_client_gets_reason() {
    let (_server, target) = start(|_, options| options.send_queue = 16 << 20);
    // More than the sockets hold waits for the client when the close comes; it sends on, and reads only then.
    let message = format!("close{}", "x".repeat(900_000));
    let mut raw = target.websocket("/echo/websocket");
    raw.send(&message).send("unread").send("unread too");
    assert_eq!(raw.text().len(), message.len());
    assert_eq!(raw.close(), Some((3000, "Go away!".to_owned())));
    raw.send_close(3000, "").client.expect_end();
}
