//! Requests that are refused, and what looks like them but is fine (RFC 9112 §2 to §7; rule 12.1).

use crate::support::TestServer;
use crate::support::bad_requests::{BOTH_LENGTHS, CHUNKS, CODINGS, FIELDS, HOSTS, LENGTHS, REQUEST_LINES};
use crate::support::client::Client;
use crate::{GREETING, LAST, conversation, statuses};

/// What comes before, and is answered.
const GOOD: &str = "GET /echo HTTP/1.1\r\nHost: a\r\n\r\n";

/// A valid request before, what is malformed, and a request behind that must not be taken for one: the first is
/// answered, the second refused, and the connection ends.
fn assert_refused(server: &TestServer, what: &str, malformed: &str) {
    let before = server.counters();
    let smuggled = "POST /echo/000/smuggled/xhr HTTP/1.1\r\nHost: a\r\n\r\n";
    let answers = conversation(server, format!("{GOOD}{malformed}{smuggled}{smuggled}"));
    assert_eq!(statuses(&answers), ["200", "400"], "{what}: {answers}");
    let (_, refusal) = answers.split_once(GREETING).expect("the first answer");
    assert!(refusal.contains("\r\nConnection: close\r\n"), "{what}: {refusal}");
    let after = server.counters();
    assert_eq!(after.opened, 0, "{what}");
    assert_eq!(after.messages_in, 0, "{what}");
    assert_eq!(after.requests - before.requests, 1, "{what}");
    assert_eq!(after.refused.total() - before.refused.total(), 1, "{what}");
}

/// Rule 10 (§2.2, §3, §5, §6), and rule 12.2: what was answered before stays answered.
#[test]
fn malformed_heads_are_refused_and_nothing_more_is_read() {
    let server = TestServer::echo();
    let behind_host = [&BOTH_LENGTHS[..], &LENGTHS, &CODINGS].concat();
    let behind_host = behind_host.into_iter().map(|(what, fields)| (what, format!("Host: a\r\n{fields}")));
    let fields = [&HOSTS[..], &FIELDS].concat();
    let fields = fields.into_iter().map(|(what, fields)| (what, fields.replace("HOST", "a")));
    for (what, fields) in behind_host.chain(fields) {
        let malformed = format!("POST /echo/000/s/xhr HTTP/1.1\r\n{fields}\r\n\r\n");
        assert_refused(&server, what, &malformed);
    }
    for (what, line) in REQUEST_LINES {
        let line = line.replace("PATH", "/echo");
        assert_refused(&server, what, &format!("{line}\r\nHost: a\r\n\r\n"));
    }
    // HTTP/1.0 has no chunks: older proxies would not see where the body ends.
    assert_refused(
        &server,
        "chunks in HTTP/1.0",
        "POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    );
    assert_refused(&server, "bare LFs", "GET /echo HTTP/1.1\nHost: a\n\n");
}

/// Rule 10 (§7.1), and rule 12.2.
#[test]
fn malformed_chunks_are_refused_and_nothing_more_is_read() {
    let server = TestServer::echo();
    let head = "POST /echo/000/unknown/xhr_send HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (what, body) in CHUNKS {
        let before = server.counters();
        let answers = conversation(&server, format!("{GOOD}{head}{body}{LAST}"));
        assert_eq!(statuses(&answers), ["200", "400"], "{what}: {answers}");
        assert_eq!(server.counters().requests - before.requests, 1, "{what}");
    }
}

/// Rule 10: versions, codings and methods that exist and are not spoken here.
#[test]
fn what_is_well_formed_but_unknown_is_refused_by_name() {
    let server = TestServer::echo();
    for (request, status) in [
        ("GET /echo HTTP/2.0\r\nHost: a\r\n\r\n", "505"),
        ("GET /echo HTTP/1.2\r\nHost: a\r\n\r\n", "505"),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505"),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "501"),
        ("CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", "501"),
    ] {
        // `PRI *` has a target that no method of ours takes: either refusal will do.
        let answers = conversation(&server, format!("{request}{LAST}"));
        let got = statuses(&answers);
        assert!(got == [status] || (request.starts_with("PRI") && got == ["400"]), "{request:?}: {answers}");
    }
}

/// Rule 10 (§3.2): what is a host.
#[test]
fn a_host_follows_its_grammar() {
    let server = TestServer::echo();
    let mut client = Client::connect(server.address);
    for host in ["a", "A.b-c_d~e", "127.0.0.1:8081", "[::1]", "[2001:db8::1]:80", "a:", "%41", "a  ", "\ta"] {
        client.send(format!("GET /echo HTTP/1.1\r\nHost:{host}\r\n\r\n"));
        assert_eq!(client.answer().text(), GREETING, "{host:?}");
    }
}

/// Rule 12.1, and RFC 9112 §2.2 on empty lines.
#[test]
fn white_space_around_values_and_empty_lines_before_requests_are_fine() {
    let server = TestServer::echo();
    let mut client = Client::connect(server.address);
    assert_eq!(client.ask("POST", "/echo/000/s/xhr", "", b"").text(), "o\n");
    for head in [
        "Host:a\r\nContent-Length:5\r\n\r\n[\"x\"]",
        "Host: \t a\t\r\nContent-Length: \t5 \t \r\n\r\n[\"x\"]",
        "HOST: a\r\nCONTENT-LENGTH: 5\r\n\r\n[\"x\"]",
        "Host: a\r\nContent-Length: 0000005\r\n\r\n[\"x\"]",
        "Host: a\r\nTransfer-Encoding: \tchunked \r\n\r\n5\r\n[\"x\"]\r\n0\r\n\r\n",
        "Host: a\r\nTransfer-Encoding: Chunked\r\n\r\n5\r\n[\"x\"]\r\n0\r\n\r\n",
        "Host: a\r\nX:\r\nY: \r\nContent-Length: 5\r\n\r\n[\"x\"]",
    ] {
        client.send(format!("\r\n\r\nPOST /echo/000/s/xhr_send HTTP/1.1\r\n{head}"));
        assert_eq!(client.answer().status, 204, "{head:?}");
    }
    assert_eq!(server.counters().messages_in, 7);
}

/// Rule 10 (§3.2.2), with every form of authority.
#[test]
fn absolute_targets_are_understood() {
    let server = TestServer::echo();
    let mut client = Client::connect(server.address);
    for (target, body) in [
        ("http://localhost/echo", GREETING),
        ("HTTP://localhost:8081/echo?query", GREETING),
        ("https://other.example/echo/", GREETING),
        ("http://[::1]:80/echo/000/s/xhr", "o\n"),
        ("http://localhost", "Not Found\n"),
        ("http://localhost?/echo", "Not Found\n"),
    ] {
        let method = if target.ends_with("xhr") { "POST" } else { "GET" };
        assert_eq!(client.ask(method, target, "", b"").text(), body, "{target}");
    }
    for target in ["http:///echo", "ftp://localhost/echo", "http:/echo", "http://a b/echo"] {
        assert_refused_line(&server, target);
    }
}

fn assert_refused_line(server: &TestServer, target: &str) {
    let answers = conversation(server, format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n{LAST}"));
    assert_eq!(statuses(&answers), ["400"], "{target}");
}
