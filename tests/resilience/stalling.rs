//! Clients that send and never read: they are not read either, and get all that was taken as soon as they read.

use std::io::Write;

use crate::support::TestServer;
use crate::support::client::Client;
use crate::support::frames::{FIN, PING, PONG, TEXT, frame, text};
use crate::{REQUEST, flood};

/// Asserts that another client is served.
fn assert_serves(server: &TestServer) {
    let mut other = Client::connect(server.address);
    assert_eq!(other.ask("GET", "/echo", "", b"").text(), "Welcome to SockJS!\n");
    other.upgrade("/echo/000/other/websocket").expect_text("o");
    other.send(text("\"still\""));
    other.expect_text("a[\"still\"]");
}

#[test]
fn a_pipelining_client_that_never_reads_is_not_read() {
    let server = TestServer::echo();
    let mut client = Client::connect(server.address);
    let request = |number| format!("GET /echo?{number} HTTP/1.1\r\nHost: a\r\n\r\n").into_bytes();
    let (begun, rest) = flood(&server, &mut client, request);
    assert_serves(&server);
    // What it pipelined is answered as soon as it reads: none lost, none twice.
    let mut writer = client.stream.try_clone().expect("clone");
    std::thread::scope(|scope| {
        scope.spawn(move || {
            writer.write_all(&rest).expect("the last request");
            writer
                .write_all(b"GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                .expect("one more");
        });
        for _ in 0..begun {
            assert_eq!(client.answer().status, 200);
        }
        assert_eq!(client.head().status, 404);
    });
    assert_eq!(server.counters().requests, begun as u64 + 1 + 2);
}

#[test]
fn a_websocket_that_sends_and_never_reads_is_not_read() {
    for target in ["/echo/websocket", "/echo/000/s/websocket"] {
        let raw = target == "/echo/websocket";
        let server = TestServer::echo();
        let mut client = Client::connect(server.address);
        client.upgrade(target);
        let message = |number: usize| format!("{number:010}").repeat(500);
        let unit =
            |number| if raw { text(message(number)) } else { text(format!("\"{}\"", message(number))) };
        let (begun, rest) = flood(&server, &mut client, unit);
        assert_serves(&server);
        // Everything that was taken comes back, in order.
        let mut writer = client.stream.try_clone().expect("clone");
        std::thread::scope(|scope| {
            scope.spawn(move || writer.write_all(&rest).expect("the last frame"));
            if raw {
                for number in 0..begun {
                    client.expect_text(message(number));
                }
                return;
            }
            client.expect_text("o");
            let mut number = 0;
            while number < begun {
                // Messages that waited together come in one frame.
                let (first, payload) = client.frame();
                assert_eq!(first, FIN | TEXT);
                let frame = String::from_utf8(payload).expect("UTF-8");
                let inner = frame.strip_prefix("a[\"").and_then(|rest| rest.strip_suffix("\"]"));
                for text in inner.expect("messages").split("\",\"") {
                    assert!(text == message(number), "message {number}");
                    number += 1;
                }
            }
        });
    }
}

#[test]
fn pings_that_nobody_reads_the_answers_of_are_not_read() {
    let server = TestServer::echo();
    let mut client = Client::connect(server.address);
    client.upgrade("/echo/websocket");
    let (begun, rest) = flood(&server, &mut client, |number| frame(FIN | PING, &[number as u8; 125]));
    assert_serves(&server);
    let mut writer = client.stream.try_clone().expect("clone");
    std::thread::scope(|scope| {
        scope.spawn(move || writer.write_all(&rest).expect("the last ping"));
        for number in 0..begun {
            client.expect_frame(FIN | PONG, [number as u8; 125]);
        }
    });
}

/// Behind a pending poll only so much is read ahead.
#[test]
fn requests_behind_a_pending_poll_are_not_read_without_end() {
    let server = TestServer::echo();
    let mut client = Client::connect(server.address);
    assert_eq!(client.ask("POST", "/echo/000/s/xhr", "", b"").text(), "o\n");
    client.request("POST", "/echo/000/s/xhr", "", b"");
    let (begun, rest) = flood(&server, &mut client, |_| REQUEST.into());
    assert_serves(&server);
    let mut sender = Client::connect(server.address);
    assert_eq!(sender.ask("POST", "/echo/000/s/xhr_send", "", b"[\"x\"]").status, 204);
    let mut writer = client.stream.try_clone().expect("clone");
    std::thread::scope(|scope| {
        scope.spawn(move || writer.write_all(&rest).expect("the last request"));
        assert_eq!(client.answer().text(), "a[\"x\"]\n");
        for _ in 0..begun {
            assert_eq!(client.answer().text(), "Welcome to SockJS!\n");
        }
    });
}
