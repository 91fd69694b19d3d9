//! What every answer says: where it ends, when it was made, which methods there are (rules 1 and 10).

use crate::conversation;
use crate::support::TestServer;
use crate::support::client::Client;

/// Rule 1: a known path with another method.
#[test]
fn other_methods_are_405_with_allow_and_nothing_else() {
    let server = TestServer::echo();
    let mut client = Client::connect(server.address);
    for (target, allowed) in [
        ("/echo", "GET, HEAD"),
        ("/echo/", "GET, HEAD"),
        ("/echo/info", "OPTIONS, GET, HEAD"),
        ("/echo/iframe.html", "GET, HEAD"),
        ("/echo/iframe-0.3.4.html", "GET, HEAD"),
        ("/echo/websocket", "GET"),
        ("/echo/000/s/websocket", "GET"),
        ("/echo/000/s/xhr", "OPTIONS, POST"),
        ("/echo/000/s/xhr_streaming", "OPTIONS, POST"),
        ("/echo/000/s/xhr_send", "OPTIONS, POST"),
        ("/echo/000/s/eventsource", "GET, HEAD"),
        ("/echo/000/s/htmlfile?c=f", "GET, HEAD"),
        ("/echo/000/s/jsonp?c=f", "GET, HEAD"),
        ("/echo/000/s/jsonp_send", "POST"),
    ] {
        let allows = |method: &&str| !allowed.split(", ").any(|allowed| allowed == *method);
        let methods = ["GET", "HEAD", "POST", "OPTIONS", "PUT", "DELETE", "PATCH", "get", "BREW"];
        for method in methods.into_iter().filter(allows) {
            let answer = client.ask(method, target, "", b"");
            assert_eq!(answer.status, 405, "{method} {target}");
            assert_eq!(answer.header("Allow"), Some(allowed), "{method} {target}");
            assert_eq!(answer.header("Content-Length"), Some("0"), "{method} {target}");
            assert_eq!(answer.header("Content-Type"), None, "{method} {target}");
        }
    }
    assert_eq!(server.counters().opened, 0);
}

/// Rule 10: every answer but 101, 204 and 304 says where it ends, and those three do not (RFC 9110 §8.6).
#[test]
fn every_answer_says_where_it_ends_and_when_it_was_made() {
    let server = TestServer::echo();
    let mut client = Client::connect(server.address);
    for (method, target, headers, body) in [
        ("GET", "/echo", "", ""),
        ("GET", "/echo/info", "", ""),
        ("OPTIONS", "/echo/info", "", ""),
        ("GET", "/echo/iframe.html", "", ""),
        ("GET", "/echo/iframe.html", "If-None-Match: *\r\n", ""),
        ("GET", "/nowhere", "", ""),
        ("GET", "/echo/nowhere", "", ""),
        ("PUT", "/echo", "", "body"),
        ("POST", "/echo/000/s/xhr", "", ""),
        ("POST", "/echo/000/s/xhr_send", "", "[\"x\"]"),
        ("POST", "/echo/000/s/xhr_send", "", "{"),
        ("POST", "/echo/000/s/jsonp_send", "", "[\"x\"]"),
        ("GET", "/echo/000/s/jsonp?c=f", "", ""),
        ("GET", "/echo/000/s/jsonp", "", ""),
        ("POST", "/close/000/s/xhr_streaming", "", ""),
        ("GET", "/close/000/e/eventsource", "", ""),
        ("GET", "/close/000/h/htmlfile?c=f", "", ""),
        ("GET", "/echo/websocket", "", ""),
        ("OPTIONS", "*", "", ""),
        (
            "GET",
            "/echo/websocket",
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 1\r\n",
            "",
        ),
    ] {
        let answer = client.ask(method, target, headers, body.as_bytes());
        let ends = [
            answer.header("Content-Length").is_some(),
            answer.header("Transfer-Encoding") == Some("chunked"),
        ];
        let expected = if matches!(answer.status, 204 | 304) { 0 } else { 1 };
        let said = ends.into_iter().filter(|end| *end).count();
        assert_eq!(said, expected, "{method} {target}: {}", answer.head);
        assert_date(answer.header("Date").expect("a Date"));
    }
    // One more for those that end the connection.
    let refusal = conversation(&server, "\r\n\r\n\r\n\r\n");
    assert!(refusal.contains("\r\nContent-Length: ") && refusal.contains("\r\nConnection: close\r\n"));
}

/// `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 §5.6.7).
fn assert_date(date: &str) {
    let shape: String = date
        .chars()
        .map(|letter| match letter {
            '0'..='9' => '0',
            'a'..='z' => 'a',
            'A'..='Z' => 'A',
            other => other,
        })
        .collect();
    assert_eq!(shape, "Aaa, 00 Aaa 0000 00:00:00 AAA");
    assert!(date.ends_with(" GMT"));
}

/// Rule 1: OPTIONS (RFC 9110 §9.3.7).
#[test]
fn options_of_the_server_and_of_a_path_say_which_methods_there_are() {
    let server = TestServer::echo();
    let mut client = Client::connect(server.address);
    for (target, allowed) in [
        ("*", "GET, HEAD, POST, OPTIONS"),
        ("/echo/info", "OPTIONS, GET, HEAD"),
        ("/echo/000/s/xhr", "OPTIONS, POST"),
    ] {
        let answer = client.ask("OPTIONS", target, "", b"");
        assert_eq!((answer.status, answer.header("Allow")), (204, Some(allowed)), "{target}");
    }
}

/// Rule 1: HEAD (RFC 9110 §9.3.2), whatever is wrong with a request.
#[test]
fn an_answer_to_head_has_no_content() {
    let server = TestServer::echo();
    for request in [
        "HEAD /echo HTTP/1.1\r\n\r\n",
        "HEAD /echo HTTP/1.1\r\nHost: a\r\nExpect: miracles\r\n\r\n",
        "HEAD /echo HTTP/1.1\r\nHost: a\r\nX: \x01\r\n\r\n",
        "HEAD /echo/000/s/xhr HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "HEAD /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n",
    ] {
        let answer = conversation(&server, request);
        assert!(answer.starts_with("HTTP/1.1 4") && answer.contains("\r\nContent-Length: "), "{answer}");
        assert!(answer.ends_with("\r\n\r\n"), "{answer}");
    }
}
