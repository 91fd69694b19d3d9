//! Section 10: HTTP/1.1, strictly. (`§` is RFC 9112's.)

use std::time::Duration;

use sockjs_server::{EndpointOptions, ServerOptions, Session};

use crate::rule::{Rule, here, rule};
use crate::support::TestServer;
use crate::support::bad_requests::{self, Row};
use crate::support::client::Client;
use crate::support::target::Target;

pub const RULES: &[Rule] = &[
    rule("10", "§9.3: a connection persists from answer to answer, errors included", persistence),
    rule("10", "§9.6: `Connection: close` closes it behind the answer", connection_close),
    rule("10", "§9.3.2: pipelined requests are answered in order", pipelining),
    rule("10", "§9.3.2: requests behind a waiting poll wait for it", pipelining_behind_poll),
    rule("10", "HTTP/1.0: the connection closes, unless the client asks to keep it", http10),
    rule("10", "HTTP/1.0: Host may be missing", http10_without_host),
    rule("10", "§7.1: chunked request bodies, with extensions and trailers", chunked_bodies),
    rule("10", "RFC 9110 §10.1.1: `Expect: 100-continue` is answered before the body", expect_continue),
    rule("10", "§3.2.2: a target may be an absolute URI", absolute_form),
    rule("10", "RFC 9110 §6.6.1: answers have a Date", date),
    rule("10", "a POST without Content-Length and Transfer-Encoding has an empty body", no_length),
    rule("10", "every answer but 101, 204 and 304 says where it ends", answers_end),
    rule("10", "204 and 304 have no body and no Content-Length", bodiless),
    rule("10", "§6.1: both Transfer-Encoding and Content-Length -> 400, closed", both_lengths),
    rule("10", "§6.3: differing or malformed Content-Length -> 400, closed", bad_lengths),
    rule("10", "§6.3: a transfer coding whose last is not exactly `chunked` -> refused, closed", bad_codings),
    rule("10", "§3.2: no Host, several, or one that is none -> 400, closed", bad_hosts),
    rule(
        "10",
        "§2.2, §5: bare CR, space before the colon, obs-fold, control bytes -> 400, closed",
        bad_lines,
    ),
    rule("10", "§3: a request line that is none -> 400, closed", bad_request_lines),
    rule("10", "§7.1: malformed chunk sizes -> 400, closed", bad_chunks),
    rule("10", "§2.2: a request cut at every byte means the same", cut_everywhere),
    here("10", "limits have their answers: request line 414, header section 431, body 413", limits),
    here("10", "limits have their answers: a head or body that does not come is 408", timeouts),
    here("10", "an idle connection is closed", idle),
];

fn persistence(target: &Target) {
    let mut connection = target.connect();
    let session = target.session("/echo");
    connection.ask("GET", "/echo", "", b"").expect(200);
    connection.ask("GET", "/echo/nowhere", "", b"").expect(404);
    connection.ask("PUT", "/echo/info", "", b"ignored").expect(405);
    connection.ask("POST", &format!("{session}/xhr_send"), "", b"[\"x\"]").expect(404);
    connection.ask("POST", &format!("{session}/xhr"), "", b"ignored").expect(200).expect_body("o\n");
    connection.ask("POST", &format!("{session}/xhr_send"), "", b"{}").expect(500);
    connection.ask("POST", &format!("{session}/xhr_send"), "", b"[\"x\"]").expect(204);
    connection.ask("OPTIONS", &format!("{session}/xhr_send"), "", b"").expect(204);
    connection.ask("GET", &format!("{session}/jsonp"), "", b"").expect(500);
    connection.ask("POST", &format!("{session}/xhr"), "", b"").expect(200).expect_body("a[\"x\"]\n");
    connection.ask("GET", "/echo/websocket", "", b"").expect(400);
    connection.ask("GET", "/echo/info", "", b"").expect(200);
}

fn connection_close(target: &Target) {
    for (path, status) in [("/echo", 200), ("/echo/nowhere", 404), ("/echo/info", 200)] {
        let mut connection = target.connect();
        connection.ask("GET", path, "Connection: close\r\n", b"").expect(status);
        connection.expect_end();
    }
}

fn pipelining(target: &Target) {
    let mut connection = target.connect();
    let session = target.opened("/echo");
    let mut bytes = Vec::new();
    for number in 0..50 {
        let message = format!("[\"{number}\"]");
        bytes.extend(connection.bytes_of("POST", &format!("{session}/xhr_send"), "", message.as_bytes()));
        bytes.extend(connection.bytes_of("POST", &format!("{session}/xhr"), "", b""));
        bytes.extend(connection.bytes_of("GET", "/echo/nowhere", "", b""));
    }
    connection.send(bytes);
    for number in 0..50 {
        connection.answer().expect(204);
        connection.answer().expect(200).expect_body(&format!("a[\"{number}\"]\n"));
        connection.answer().expect(404);
    }
}

fn pipelining_behind_poll(target: &Target) {
    let session = target.opened("/echo");
    let mut connection = target.connect();
    let poll = connection.bytes_of("POST", &format!("{session}/xhr"), "", b"");
    let greeting = connection.bytes_of("GET", "/echo", "", b"");
    connection.send([poll, greeting].concat());
    // The answer to this is no answer to those.
    target.send(&session, r#"["now"]"#);
    connection.answer().expect(200).expect_body("a[\"now\"]\n");
    connection.answer().expect(200).expect_body("Welcome to SockJS!\n");
}

fn http10(target: &Target) {
    let mut connection = target.connect();
    connection.request_http10("GET", "/echo", "", b"");
    connection.answer().expect(200).expect_body("Welcome to SockJS!\n");
    connection.expect_end();
    let mut connection = target.connect();
    connection.request_http10("GET", "/echo", "Connection: keep-alive\r\n", b"");
    let answer = connection.answer().expect(200).expect_header("Transfer-Encoding", None);
    let kept = answer.header("Connection").is_some_and(|value| value.eq_ignore_ascii_case("keep-alive"));
    if kept {
        connection.request_http10("GET", "/echo", "", b"").answer().expect(200);
    }
    connection.expect_end();
    assert!(kept, "Connection: keep-alive was not granted: {}", answer.head);
}

fn http10_without_host(target: &Target) {
    let mut connection = target.connect();
    let base = &target.base;
    connection.send(format!("GET {base}/echo HTTP/1.0\r\n\r\n")).answer().expect(200);
}

/// A request whose body is sent as it is written here.
fn chunked(connection: &mut Client, path: &str, body: &str) -> u16 {
    let head = connection.bytes_of("GET", path, "Transfer-Encoding: chunked\r\n", b"");
    let head = String::from_utf8(head).expect("text").replacen("GET", "POST", 1);
    connection.send_if_wanted(head + body);
    connection.answer().status
}

fn chunked_bodies(target: &Target) {
    let session = target.opened("/echo");
    let path = format!("{session}/xhr_send");
    let mut connection = target.connect();
    for body in [
        "5\r\n[\"a\"]\r\n0\r\n\r\n",
        "1\r\n[\r\n4\r\n\"a\"]\r\n0\r\n\r\n",
        "1\r\n[\r\n1\r\n\"\r\n1\r\na\r\n2\r\n\"]\r\n0\r\n\r\n",
        "00005\r\n[\"a\"]\r\n000\r\n\r\n",
        "5;name=value\r\n[\"a\"]\r\n0;last\r\n\r\n",
        "5;name=value;other=\"quoted \\\" ; text\";bare\r\n[\"a\"]\r\n0\r\n\r\n",
        "5\r\n[\"a\"]\r\n0\r\nTrailer: read\r\nand: dropped\r\n\r\n",
        // A trailer is no header: nothing that it says has an effect.
        "5\r\n[\"a\"]\r\n0\r\nTrailer: x\r\nContent-Length: 99\r\nConnection: close\r\n\r\n",
        // Sizes in upper case too.
        &format!("100A\r\n[\"a\"]{:4101}\r\n0\r\n\r\n", ""),
    ] {
        assert_eq!(chunked(&mut connection, &path, body), 204, "{body:?}");
        assert_eq!(target.poll(&session), r#"a["a"]"#, "{body:?}");
    }
    assert_eq!(chunked(&mut connection, &path, "0\r\n\r\n"), 500, "an empty body");
}

fn expect_continue(target: &Target) {
    let session = target.opened("/echo");
    let mut connection = target.connect();
    let whole =
        connection.bytes_of("POST", &format!("{session}/xhr_send"), "Expect: 100-continue\r\n", br#"["a"]"#);
    let (head, body) = whole.split_at(whole.len() - 5);
    connection.send(head);
    connection.head().expect(100);
    connection.send(body).answer().expect(204);
    assert_eq!(target.poll(&session), r#"a["a"]"#);
}

fn absolute_form(target: &Target) {
    let Target { host, base, .. } = target;
    for authority in [host.as_str(), "example.org:80"] {
        let request = format!("GET http://{authority}{base}/echo/?a HTTP/1.1\r\nHost: {host}\r\n\r\n");
        target.connect().send(request).answer().expect(200).expect_body("Welcome to SockJS!\n");
    }
}

fn date(target: &Target) {
    for path in ["/echo", "/echo/info", "/echo/nowhere", "/echo/iframe.html"] {
        let answer = target.get(path);
        let date = answer.header("Date").unwrap_or_else(|| panic!("no Date: {}", answer.head));
        assert!(date.len() == 29 && date.ends_with(" GMT"), "{date}");
    }
}

fn no_length(target: &Target) {
    let mut connection = target.connect();
    for _ in 0..2 {
        let path = format!("{}{}/xhr", target.base, target.session("/echo"));
        connection.send(format!("POST {path} HTTP/1.1\r\nHost: {}\r\n\r\n", target.host));
        connection.answer().expect(200).expect_body("o\n");
        let path = format!("{}{}/xhr_send", target.base, target.opened("/echo"));
        connection.send(format!("POST {path} HTTP/1.1\r\nHost: {}\r\n\r\n", target.host));
        let answer = connection.answer().expect(500);
        assert_eq!(answer.text().trim_end(), "Payload expected.");
    }
}

fn answers_end(target: &Target) {
    let open = target.opened("/echo");
    for (method, path) in [
        ("GET", "/echo".to_owned()),
        ("GET", "/echo/info".to_owned()),
        ("GET", "/echo/iframe.html".to_owned()),
        ("GET", "/echo/nowhere".to_owned()),
        ("PUT", "/echo/info".to_owned()),
        ("GET", "/echo/websocket".to_owned()),
        ("POST", format!("{open}/xhr_send")),
        ("POST", format!("{}/xhr", target.session("/echo"))),
        ("GET", format!("{}/htmlfile?c=x", target.session("/echo"))),
        ("GET", format!("{}/jsonp", target.session("/echo"))),
    ] {
        let answer = target.connect().request(method, &path, "", b"").head();
        let ends = answer.header("Content-Length").is_some()
            || answer.header("Transfer-Encoding").is_some_and(|coding| coding == "chunked")
            || answer.header("Connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        assert!(ends, "{method} {path}: {}", answer.head);
    }
}

fn bodiless(target: &Target) {
    let session = target.opened("/echo");
    let tag = target.get("/echo/iframe.html").header("ETag").expect("an ETag").to_owned();
    for (method, path, headers, body, status) in [
        ("OPTIONS", "/echo/info", String::new(), &b""[..], 204),
        ("POST", &format!("{session}/xhr_send"), String::new(), b"[]", 204),
        ("GET", "/echo/iframe.html", format!("If-None-Match: {tag}\r\n"), b"", 304),
    ] {
        let mut connection = target.connect();
        let answer = connection.ask(method, path, &headers, body).expect(status);
        answer.expect_header("Transfer-Encoding", None).expect_header("Content-Length", None);
        connection.ask("GET", "/echo", "", b"").expect(200);
    }
}

/// Sends these bytes, with a sound request behind them that must not be answered, and panics unless the answer is this.
fn refused(target: &Target, bytes: &str, status: u16) {
    let mut connection = target.connect();
    let bytes = bytes.replace("PATH", &format!("{}/echo", target.base)).replace("HOST", &target.host);
    let next = connection.bytes_of("GET", "/echo/info", "", b"");
    connection.send_if_wanted([bytes.as_bytes(), &next].concat());
    let answer = connection.answer();
    assert_eq!(answer.status, status, "after {bytes:?}: {}", answer.head);
    assert!(connection.rest().is_empty(), "something was answered behind {bytes:?}");
}

/// The same for heads with these fields.
fn refused_with(target: &Target, rows: &[Row]) {
    for (_, fields) in rows {
        let head = format!("POST PATH/a/b/xhr_send HTTP/1.1\r\n{fields}\r\n\r\n");
        refused(target, &(head + "0\r\n\r\n"), 400);
    }
}

/// The same for heads with these fields behind `Host`.
fn refused_behind_host(target: &Target, rows: &[Row]) {
    for (_, fields) in rows {
        let head = format!("POST PATH/a/b/xhr_send HTTP/1.1\r\nHost: HOST\r\n{fields}\r\n\r\n");
        refused(target, &(head + "0\r\n\r\n"), 400);
    }
}

fn both_lengths(target: &Target) {
    refused_behind_host(target, &bad_requests::BOTH_LENGTHS);
}

fn bad_lengths(target: &Target) {
    refused_behind_host(target, &bad_requests::LENGTHS);
}

fn bad_codings(target: &Target) {
    refused_behind_host(target, &bad_requests::CODINGS);
    // A coding below chunked that is not known may be 501 instead (§6.1).
    let fields = "Host: HOST\r\nTransfer-Encoding: gzip, chunked";
    refused(target, &format!("POST PATH/a/b/xhr_send HTTP/1.1\r\n{fields}\r\n\r\n0\r\n\r\n"), 501);
}

fn bad_hosts(target: &Target) {
    refused_with(target, &bad_requests::HOSTS);
}

fn bad_lines(target: &Target) {
    refused_with(target, &bad_requests::FIELDS);
}

fn bad_request_lines(target: &Target) {
    for (_, line) in bad_requests::REQUEST_LINES {
        refused(target, &format!("{line}\r\nHost: HOST\r\n\r\n"), 400);
    }
}

fn bad_chunks(target: &Target) {
    let session = target.opened("/echo");
    for (what, body) in bad_requests::CHUNKS {
        let mut connection = target.connect();
        let next = String::from_utf8(connection.bytes_of("GET", "/echo", "", b"")).expect("text");
        let status = chunked(&mut connection, &format!("{session}/xhr_send"), &(body.to_owned() + &next));
        assert_eq!(status, 400, "{what}");
        assert!(connection.rest().is_empty(), "something was answered behind {what}");
    }
    target.send(&session, r#"["none of those"]"#);
    assert_eq!(target.poll(&session), r#"a["none of those"]"#);
}

fn cut_everywhere(target: &Target) {
    let session = target.opened("/echo");
    let mut connection = target.connect();
    let headers = "Origin: null\r\nX-Long: some value\r\n";
    let whole = connection.bytes_of("POST", &format!("{session}/xhr_send"), headers, "[\"é\"]".as_bytes());
    for at in 1..whole.len() {
        let (before, after) = whole.split_at(at);
        connection.send(before).send(after).answer().expect(204);
        assert_eq!(target.poll(&session), "a[\"é\"]", "cut at {at}");
    }
    for byte in whole {
        connection.send([byte]);
    }
    connection.answer().expect(204);
}

fn start(change: impl FnOnce(&mut ServerOptions, &mut EndpointOptions)) -> (TestServer, Target) {
    let (mut options, mut endpoint) = (ServerOptions::default(), EndpointOptions::default());
    change(&mut options, &mut endpoint);
    let server = TestServer::start(options, |server| {
        server.mount_with("/echo", endpoint, |_: &mut Session<'_>, _: &str| {}).expect("mount");
    });
    let target = Target::at(server.address);
    (server, target)
}

fn limits() {
    let (_server, target) = start(|options, endpoint| {
        (options.request_line, options.header_section, options.header_count) = (100, 200, 10);
        endpoint.message_size = 1000;
    });
    refused(&target, &format!("GET PATH?{} HTTP/1.1\r\nHost: HOST\r\n\r\n", "x".repeat(100)), 414);
    refused(&target, &format!("GET PATH HTTP/1.1\r\nHost: HOST\r\nA: {}\r\n\r\n", "x".repeat(200)), 431);
    refused(&target, &format!("GET PATH HTTP/1.1\r\nHost: HOST\r\n{}\r\n", "A:\r\n".repeat(10)), 431);
    let session = target.opened("/echo");
    let mut connection = target.connect();
    let path = format!("{session}/xhr_send");
    // A declared length is enough.
    let fields = "Host: a\r\nOrigin: http://a\r\nContent-Length: 9999999999";
    connection.send(format!("POST {path} HTTP/1.1\r\n{fields}\r\n\r\n"));
    // Rule 2: error answers too let the page read them.
    connection.answer().expect(413).expect_header("Access-Control-Allow-Origin", "http://a");
    connection.expect_end();
    let mut connection = target.connect();
    let body = format!("{:x}\r\n{}\r\n", 9000, "x".repeat(9000));
    assert_eq!(chunked(&mut connection, &path, &body), 413);
    connection.expect_end();
    target.send(&session, "[]");
}

fn timeouts() {
    let (server, target) = start(|options, _| {
        options.head_timeout = Duration::from_millis(100);
        options.body_timeout = Duration::from_millis(100);
    });
    for begun in [
        "GET",
        "GET /echo HTTP/1.1\r\nHost: a\r\n",
        "POST /echo/a/b/xhr_send HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n[",
    ] {
        let mut connection = target.connect();
        connection.send(begun).answer().expect(408);
        connection.expect_end();
    }
    server.wait_for("nothing to be left", |counters| (counters.connections, counters.timers) == (0, 0));
}

fn idle() {
    let (server, target) = start(|options, _| {
        options.keep_alive = Duration::from_millis(50);
        options.head_timeout = Duration::from_millis(100);
    });
    let mut connection = target.connect();
    connection.ask("GET", "/echo", "", b"").expect(200);
    connection.expect_end();
    // One that never said anything ends too, with or without an answer.
    target.connect().rest();
    server.wait_for("nothing to be left", |counters| (counters.connections, counters.timers) == (0, 0));
}
