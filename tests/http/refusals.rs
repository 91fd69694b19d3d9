//! Requests that are refused, and what looks like them but is fine (RFC 9112 §2 to §7; section 12, rule 1).

use crate::support::TestServer;
use crate::support::client::Client;
use crate::{GREETING, LAST, conversation, statuses};

/// What comes before, and is answered.
const GOOD: &str = "GET /echo HTTP/1.1\r\nHost: a\r\n\r\n";

/// The fields of heads by which two parsers could disagree.
const MALFORMED: [(&str, &str); 58] = [
    ("both framings", "Host: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5"),
    ("both framings", "Host: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked"),
    ("differing lengths", "Host: a\r\nContent-Length: 5\r\nContent-Length: 6"),
    ("a length twice", "Host: a\r\nContent-Length: 5\r\ncontent-length: 5"),
    ("a list of lengths", "Host: a\r\nContent-Length: 5, 5"),
    ("a length with a sign", "Host: a\r\nContent-Length: +5"),
    ("a negative length", "Host: a\r\nContent-Length: -5"),
    ("a length in hexadecimal", "Host: a\r\nContent-Length: 0x5"),
    ("a length with a fraction", "Host: a\r\nContent-Length: 5.0"),
    ("two numbers", "Host: a\r\nContent-Length: 5 5"),
    ("no length", "Host: a\r\nContent-Length:"),
    ("a length of white space", "Host: a\r\nContent-Length:  "),
    ("a length that wraps 64 bits", "Host: a\r\nContent-Length: 18446744073709551621"),
    ("a length far beyond", "Host: a\r\nContent-Length: 999999999999999999999999999999"),
    ("chunked not last", "Host: a\r\nTransfer-Encoding: chunked, gzip"),
    ("chunked twice", "Host: a\r\nTransfer-Encoding: chunked, chunked"),
    ("chunked twice in two fields", "Host: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
    ("identity in another field", "Host: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity"),
    ("not chunked at all", "Host: a\r\nTransfer-Encoding: identity"),
    ("chunked with a parameter", "Host: a\r\nTransfer-Encoding: chunked;a=b"),
    ("chunked in quotes", "Host: a\r\nTransfer-Encoding: \"chunked\""),
    ("something like chunked", "Host: a\r\nTransfer-Encoding: xchunked"),
    ("a coding of nothing", "Host: a\r\nTransfer-Encoding:"),
    ("an empty last coding", "Host: a\r\nTransfer-Encoding: chunked,"),
    ("a vertical tab before chunked", "Host: a\r\nTransfer-Encoding: \x0bchunked"),
    ("no Host", "A: b"),
    ("two Hosts", "Host: a\r\nHost: b"),
    ("the same Host twice", "Host: a\r\nhost: a"),
    ("an empty Host", "Host:"),
    ("a Host that is a port", "Host: :80"),
    ("a Host with a path", "Host: a/b"),
    ("a Host with user information", "Host: user@a"),
    ("a Host with white space", "Host: a b"),
    ("a list of Hosts", "Host: a, b"),
    ("a Host with a bad port", "Host: a:8o"),
    ("a Host with two ports", "Host: a:80:80"),
    ("a Host with a broken bracket", "Host: [::1"),
    ("a Host beyond ASCII", "Host: b\u{fc}cher.example"),
    ("white space before the colon", "Host: a\r\nContent-Length : 5"),
    ("a tab before the colon", "Host: a\r\nContent-Length\t: 5"),
    ("a folded field", "Host: a\r\nA: b\r\n c"),
    ("a field folded by a tab", "Host: a\r\nA: b\r\n\tc"),
    ("white space before the first field", " Host: a"),
    ("a field without colon", "Host: a\r\nA"),
    ("a field without name", "Host: a\r\n: b"),
    ("a name with a space in it", "Host: a\r\nA B: c"),
    ("a name with a control byte", "Host: a\r\nA\x01: b"),
    ("a name beyond ASCII", "Host: a\r\n\u{e9}: b"),
    ("a name with a separator", "Host: a\r\nA(b): c"),
    ("NUL in a value", "Host: a\r\nA: b\0c"),
    ("a control byte in a value", "Host: a\r\nA: b\x1bc"),
    ("DEL in a value", "Host: a\r\nA: b\x7fc"),
    ("a bare CR in a value", "Host: a\r\nA: b\rc"),
    ("a bare CR between fields", "Host: a\rA: b"),
    ("a bare LF between fields", "Host: a\nA: b"),
    ("a bare LF hiding a field", "Host: a\r\nA: b\nContent-Length: 5"),
    ("CR CR LF", "Host: a\r\r\nA: b"),
    ("LF CR", "Host: a\n\rA: b"),
];

/// Request lines that are none.
const MALFORMED_LINES: [(&str, &str); 22] = [
    ("no version", "GET /echo"),
    ("no target", "GET HTTP/1.1"),
    ("two spaces", "GET  /echo HTTP/1.1"),
    ("a space in the target", "GET /ec ho HTTP/1.1"),
    ("a tab", "GET\t/echo HTTP/1.1"),
    ("a space behind", "GET /echo HTTP/1.1 "),
    ("a space before", " GET /echo HTTP/1.1"),
    ("a method of no token", "G(T /echo HTTP/1.1"),
    ("a version without dot", "GET /echo HTTP/11"),
    ("a version of three digits", "GET /echo HTTP/1.10"),
    ("a version in lower case", "GET /echo http/1.1"),
    ("another protocol", "GET /echo ICAP/1.1"),
    ("a bare CR", "GET /ec\rho HTTP/1.1"),
    ("a bare LF", "GET /echo HTTP/1.1\nA: b"),
    ("NUL", "GET /ec\0ho HTTP/1.1"),
    ("DEL", "GET /ec\x7fho HTTP/1.1"),
    ("a byte beyond ASCII", "GET /\u{e9}cho HTTP/1.1"),
    ("a fragment", "GET /echo#there HTTP/1.1"),
    ("a path without slash", "GET echo HTTP/1.1"),
    ("an authority", "GET localhost:80 HTTP/1.1"),
    ("the asterisk for GET", "GET * HTTP/1.1"),
    ("user information", "GET http://user@localhost/echo HTTP/1.1"),
];

/// Chunked bodies that are none (RFC 9112 §7.1).
const MALFORMED_CHUNKS: [(&str, &str); 26] = [
    ("no size", "\r\n"),
    ("a size with a sign", "+5\r\n[\"x\"]\r\n0\r\n\r\n"),
    ("a negative size", "-5\r\n[\"x\"]\r\n0\r\n\r\n"),
    ("a size with a prefix", "0x5\r\n[\"x\"]\r\n0\r\n\r\n"),
    ("a size with an underscore", "0_5\r\n[\"x\"]\r\n0\r\n\r\n"),
    ("no hexadecimal", "g\r\n[\"x\"]\r\n0\r\n\r\n"),
    ("white space before", " 5\r\n[\"x\"]\r\n0\r\n\r\n"),
    ("white space behind", "5 \r\n[\"x\"]\r\n0\r\n\r\n"),
    ("a comma", "5,\r\n[\"x\"]\r\n0\r\n\r\n"),
    ("a size of 17 digits", "00000000000000005\r\n[\"x\"]\r\n0\r\n\r\n"),
    ("a size that wraps 64 bits", "10000000000000005\r\n[\"x\"]\r\n0\r\n\r\n"),
    ("a bare LF behind the size", "5\n[\"x\"]\r\n0\r\n\r\n"),
    ("a bare CR behind the size", "5\r[\"x\"]\r\n0\r\n\r\n"),
    ("NUL behind the size", "5\0\r\n[\"x\"]\r\n0\r\n\r\n"),
    ("a bare LF behind the data", "5\r\n[\"x\"]\n0\r\n\r\n"),
    ("no line end behind the data", "5\r\n[\"x\"]0\r\n\r\n"),
    ("more data than said", "4\r\n[\"x\"]\r\n0\r\n\r\n"),
    ("an extension without name", "5;\r\n[\"x\"]\r\n0\r\n\r\n"),
    ("an extension with a bare LF", "5;a\nb\r\n[\"x\"]\r\n0\r\n\r\n"),
    ("a line end in a quoted string", "5;a=\"\r\n[\"x\"]\r\n0\r\n\r\n"),
    ("a control byte in an extension", "5;a=\x01\r\n[\"x\"]\r\n0\r\n\r\n"),
    ("a trailer without colon", "5\r\n[\"x\"]\r\n0\r\nA\r\n\r\n"),
    ("a trailer with white space before the colon", "5\r\n[\"x\"]\r\n0\r\nA : b\r\n\r\n"),
    ("a folded trailer", "5\r\n[\"x\"]\r\n0\r\nA: b\r\n c\r\n\r\n"),
    ("a control byte in a trailer", "5\r\n[\"x\"]\r\n0\r\nA: \0\r\n\r\n"),
    ("a bare LF for the end", "5\r\n[\"x\"]\r\n0\r\n\n"),
];

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

#[test]
fn malformed_heads_are_refused_and_nothing_more_is_read() {
    let server = TestServer::echo();
    for (what, fields) in MALFORMED {
        let malformed = format!("POST /echo/000/s/xhr HTTP/1.1\r\n{fields}\r\n\r\n");
        assert_refused(&server, what, &malformed);
    }
    for (what, line) in MALFORMED_LINES {
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

#[test]
fn malformed_chunks_are_refused_and_nothing_more_is_read() {
    let server = TestServer::echo();
    let mut client = Client::connect(server.address);
    assert_eq!(client.ask("POST", "/close/000/known/xhr", "", b"").text(), "o\n");
    let head = "POST /echo/000/unknown/xhr_send HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (what, body) in MALFORMED_CHUNKS {
        let before = server.counters();
        let answers = conversation(&server, format!("{GOOD}{head}{body}{LAST}"));
        assert_eq!(statuses(&answers), ["200", "400"], "{what}: {answers}");
        assert_eq!(server.counters().requests - before.requests, 1, "{what}");
    }
}

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

#[test]
fn a_host_follows_its_grammar() {
    let server = TestServer::echo();
    let mut client = Client::connect(server.address);
    for host in ["a", "A.b-c_d~e", "127.0.0.1:8081", "[::1]", "[2001:db8::1]:80", "a:", "%41", "a  ", "\ta"] {
        client.send(format!("GET /echo HTTP/1.1\r\nHost:{host}\r\n\r\n"));
        assert_eq!(client.answer().text(), GREETING, "{host:?}");
    }
}

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
        "Host: a\r\nX:\r\nY: \r\nContent-Length: 5\r\n\r\n[\"x\"]",
    ] {
        client.send(format!("\r\n\r\nPOST /echo/000/s/xhr_send HTTP/1.1\r\n{head}"));
        assert_eq!(client.answer().status, 204, "{head:?}");
    }
    assert_eq!(server.counters().messages_in, 6);
}

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
