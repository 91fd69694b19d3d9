//! Persistent connections, pipelining, HTTP/1.0, HEAD and invitations (RFC 9112 §9; RFC 9110 §9.3.2, §10.1.1).

use crate::support::TestServer;
use crate::support::client::Client;
use crate::{GREETING, LAST, conversation, statuses};

// Persistent connections and pipelining (RFC 9112 §9.3).

/// Rule 10 (§9.3.2), for a poll that is under way for certain, and a second one behind it.
#[test]
fn pipelined_requests_wait_behind_a_pending_poll() {
    let server = TestServer::echo();
    let mut receiver = Client::connect(server.address);
    let mut sender = Client::connect(server.address);
    assert_eq!(receiver.ask("POST", "/echo/000/s/xhr", "", b"").text(), "o\n");
    receiver.request("POST", "/echo/000/s/xhr", "", b"").request("GET", "/echo", "", b"");
    receiver.request("POST", "/echo/000/s/xhr", "", b"").send(LAST);
    server.wait_for("the poll", |counters| counters.requests == 2);
    assert_eq!(sender.ask("POST", "/echo/000/s/xhr_send", "", b"[\"one\"]").status, 204);
    assert_eq!(receiver.answer().text(), "a[\"one\"]\n");
    assert_eq!(receiver.answer().text(), GREETING);
    // The second poll is under way now, and the last request behind it waits.
    server.wait_for("the second poll", |counters| counters.requests == 5);
    assert_eq!(sender.ask("POST", "/echo/000/s/xhr_send", "", b"[\"two\"]").status, 204);
    assert_eq!(receiver.answer().text(), "a[\"two\"]\n");
    assert_eq!(receiver.answer().text(), GREETING);
    receiver.expect_end();
}

/// Rule 10 (§9.3, §9.6), for every spelling of `close`.
#[test]
fn connections_persist_until_either_side_says_close() {
    let server = TestServer::echo();
    let mut client = Client::connect(server.address);
    for _ in 0..100 {
        let answer = client.ask("GET", "/echo", "", b"");
        assert_eq!((answer.text(), answer.header("Connection")), (GREETING, None));
    }
    for close in ["close", "Close", "keep-alive, close", "foo ,\tCLOSE"] {
        let answer = conversation(
            &server,
            format!("GET /echo HTTP/1.1\r\nHost: a\r\nConnection: {close}\r\n\r\n{LAST}"),
        );
        assert_eq!(statuses(&answer), ["200"], "{close:?}");
        assert!(answer.contains("\r\nConnection: close\r\n"), "{answer}");
    }
    server.wait_for("only the first to be left", |counters| counters.connections == 1);
}

// HTTP/1.0.

/// Rule 10: HTTP/1.0, and what its client is told.
#[test]
fn http_1_0_closes_unless_asked_to_keep_alive() {
    let server = TestServer::echo();
    for (headers, closes) in [
        ("", true),
        ("Host: localhost\r\n", true),
        ("Connection: close\r\n", true),
        ("Connection: keep-alive, close\r\n", true),
        ("Connection: keep-alive\r\n", false),
        ("Connection: Keep-Alive\r\n", false),
    ] {
        let mut client = Client::connect(server.address);
        client.send(format!("GET /echo HTTP/1.0\r\n{headers}\r\n"));
        let answer = client.answer();
        assert_eq!(answer.text(), GREETING);
        let said = answer.header("Connection").expect("HTTP/1.0 is always told");
        assert_eq!(said, if closes { "close" } else { "keep-alive" }, "{headers:?}");
        if !closes {
            client.send("GET /echo HTTP/1.0\r\n\r\n");
            assert_eq!(client.answer().text(), GREETING);
        }
        client.expect_end();
    }
}

/// Rule 8: HTTP/1.0, a poll, and a send request on the same connection.
#[test]
fn a_poll_of_http_1_0_has_a_length_and_may_be_kept_alive() {
    let server = TestServer::echo();
    let mut client = Client::connect(server.address);
    client.send("POST /echo/000/s/xhr HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    let answer = client.answer();
    assert_eq!(answer.header("Content-Length"), Some("2"));
    assert_eq!(answer.header("Transfer-Encoding"), None);
    assert_eq!((answer.text(), answer.header("Connection")), ("o\n", Some("keep-alive")));
    client.send(
        "POST /echo/000/s/xhr_send HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\n[\"x\"]",
    );
    assert_eq!(client.answer().status, 204);
    client.send("POST /echo/000/s/xhr HTTP/1.0\r\n\r\n");
    assert_eq!(client.answer().text(), "a[\"x\"]\n");
    client.expect_end();
}

// HEAD (rule 1; RFC 9110 §9.3.2).

/// Rule 1: HEAD, with every field, and on error answers too.
#[test]
fn head_has_the_fields_of_get() {
    let server = TestServer::echo();
    let mut client = Client::connect(server.address);
    for target in ["/echo", "/echo/iframe.html", "/nowhere", "/echo/nowhere", "/echo/0/s/jsonp"] {
        let mut fields = ["GET", "HEAD"].map(|method| client.ask(method, target, "", b"").headers);
        for fields in &mut fields {
            fields.retain(|(name, _)| name != "Date" && name != "Expires");
        }
        assert_eq!(fields[0], fields[1], "{target}");
    }
}

/// Rule 1: HEAD of a response whose length GET does not know before.
#[test]
fn head_of_a_receiver_claims_no_length() {
    let server = TestServer::echo();
    let mut client = Client::connect(server.address);
    for target in ["/echo/000/s/eventsource", "/echo/000/s/htmlfile?c=f", "/echo/000/s/jsonp?c=f"] {
        let mut answer = client.ask("HEAD", target, "", b"");
        assert_eq!(answer.header("Content-Length"), None, "{target}");
        // All else is as GET has it, but for the poll's length.
        let mut fields = Client::connect(server.address).request("GET", target, "", b"").head().headers;
        for fields in [&mut fields, &mut answer.headers] {
            fields.retain(|(name, _)| !["Date", "Content-Length", "Transfer-Encoding"].contains(&&**name));
        }
        assert_eq!(answer.headers, fields, "{target}");
    }
}

// Expect: 100-continue (RFC 9110 §10.1.1).

/// Sends a head that expects to be invited, with these header lines; the first status that comes back.
fn expect(client: &mut Client, target: &str, version: &str, headers: &str) -> u16 {
    client.send(format!(
        "POST {target} HTTP/{version}\r\nHost: localhost\r\nExpect: 100-continue\r\n{headers}\r\n"
    ));
    client.head().status
}

/// Rule 10: `Expect: 100-continue`, and when the invitation is not needed.
#[test]
fn a_body_is_invited_when_it_is_waited_for() {
    let server = TestServer::echo();
    let mut client = Client::connect(server.address);
    assert_eq!(client.ask("POST", "/echo/000/s/xhr", "", b"").text(), "o\n");
    assert_eq!(expect(&mut client, "/echo/000/s/xhr_send", "1.1", "Content-Length: 5\r\n"), 100);
    client.send("[\"x\"]");
    assert_eq!(client.head().status, 204);
    assert_eq!(expect(&mut client, "/echo/000/s/xhr_send", "1.1", "Transfer-Encoding: chunked\r\n"), 100);
    client.send("5\r\n[\"y\"]\r\n0\r\n\r\n");
    assert_eq!(client.head().status, 204);
    assert_eq!(client.ask("POST", "/echo/000/s/xhr", "", b"").text(), "a[\"x\",\"y\"]\n");
    // Where there is nothing to wait for, nobody is invited.
    assert_eq!(expect(&mut client, "/echo/000/s/xhr_send", "1.1", "Content-Length: 0\r\n"), 500);
    client.take("Payload expected.".len());
    // The body came along with the head, or began to: it was not waited for.
    let request = "POST /echo/000/s/xhr_send HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\
                   Content-Length: 5\r\n\r\n[\"z\"]";
    for cut in [request.len(), request.len() - 1] {
        server.feed(&mut client, request.as_bytes(), [cut]);
        assert_eq!(client.head().status, 204, "cut at {cut}");
    }
}

/// Rule 10: `Expect: 100-continue`, and bodies that are not invited.
#[test]
fn a_body_that_will_not_be_taken_is_not_invited() {
    let server = TestServer::echo();
    for (target, version, headers, status) in [
        ("/echo/000/s/xhr_send", "1.1", "Content-Length: 99999999\r\n", 413),
        ("/echo/000/s/xhr_send", "1.1", "Content-Length: x\r\n", 400),
        ("/nowhere", "1.1", "Content-Length: 99999999\r\n", 413),
        ("/echo", "1.1", "Content-Length: 0\r\n", 405),
    ] {
        let mut client = Client::connect(server.address);
        assert_eq!(expect(&mut client, target, version, headers), status, "{target} {headers}");
    }
    // HTTP/1.0 knows no invitations: the body comes without, and the first answer is the last.
    let mut client = Client::connect(server.address);
    let request = "POST /nowhere HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\nbody";
    server.feed(&mut client, request.as_bytes(), [request.len() - 4]);
    assert_eq!(client.head().status, 404);
}

/// Rule 10: other expectations.
#[test]
fn no_other_expectation_can_be_met() {
    let server = TestServer::echo();
    let answer = conversation(
        &server,
        format!("POST /echo HTTP/1.1\r\nHost: a\r\nExpect: miracles\r\nContent-Length: 0\r\n\r\n{LAST}"),
    );
    assert_eq!(statuses(&answer), ["417"]);
}
