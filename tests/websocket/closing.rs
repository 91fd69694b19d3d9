//! Closing (RFC 6455 §7) from either side, and liveness (rules 5, 7, 8 and 12.6).

use std::time::Duration;

use sockjs_server::{EndpointOptions, Handler, Request, ServerOptions, Session};
use tungstenite::Message;
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::coding::CloseCode;

use crate::support::TestServer;
use crate::support::client::Client;
use crate::support::frames::{CLOSE, FIN, PING, PONG, TEXT, close, close_payload, frame, text};
use crate::support::recorder::recorder;
use crate::{RAW, SOCKJS, connect, recording, tungstenite};

/// Rule 9 (§5.5.1), for every code and length of reason, with more frames behind.
#[test]
fn a_close_is_answered_once_with_its_code() {
    for target in [RAW, SOCKJS] {
        let (server, record) = recording(|_| {});
        for code in
            [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999]
        {
            for reason in ["", "because \u{e9}", &"r".repeat(123)] {
                let mut client = connect(&server, target);
                if target == SOCKJS {
                    client.expect_text("o");
                }
                // Nothing behind the close is read, a second close least of all.
                let behind = [frame(FIN | PING, b"still?"), text("\"x\""), close(1000, "")].concat();
                client.send([close(code, reason), behind].concat());
                client.expect_close(code);
                client.expect_end();
                assert_eq!(record.until_close(), ["open", &format!("close {code} Client")]);
            }
        }
        let mut client = connect(&server, target);
        client.send(frame(FIN | CLOSE, b""));
        if target == SOCKJS {
            client.expect_text("o");
        }
        client.expect_frame(FIN | CLOSE, "");
        client.expect_end();
        assert_eq!(record.until_close(), ["open", "close 1005 Client"]);
    }
}

/// Rule 9 (§5.5.1, §7.1.1), with an independent client.
#[test]
fn tungstenite_closes_and_is_closed() {
    let (server, record) = recording(|_| {});
    let mut socket = tungstenite(&server, RAW);
    let frame = CloseFrame { code: CloseCode::Library(3210), reason: "the client's".into() };
    socket.close(Some(frame)).expect("close");
    match socket.read().expect("the answer") {
        Message::Close(Some(frame)) => assert_eq!(u16::from(frame.code), 3210),
        other => panic!("{other:?}"),
    }
    assert!(matches!(socket.read(), Err(tungstenite::Error::ConnectionClosed)));
    assert_eq!(record.until_close(), ["open", "close 3210 Client"]);

    let mut socket = tungstenite(&server, RAW);
    socket.send(Message::text("close 3000 Go away!")).expect("send");
    match socket.read().expect("the close") {
        Message::Close(Some(frame)) => {
            assert_eq!((u16::from(frame.code), frame.reason.as_str()), (3000, "Go away!"));
        }
        other => panic!("{other:?}"),
    }
    // It answers by itself; then the server ends TCP, which is what a client waits for (RFC 6455 §7.1.1).
    assert!(matches!(socket.read(), Err(tungstenite::Error::ConnectionClosed)));
    assert_eq!(record.until_close(), ["open", "text close 3000 Go away!", "close 3000 Application"]);
}

/// Rules 7.5 and 8: waiting messages first, then the words.
#[test]
fn the_servers_close_comes_behind_what_waits() {
    let (server, record) = recording(|_| {});
    let mut client = connect(&server, RAW);
    client.send([text("one"), text("two"), text("close 3000 Go away!"), text("three")].concat());
    client.expect_text("one");
    client.expect_text("two");
    assert_eq!(client.expect_close(3000), "Go away!");
    client.send(close(3000, ""));
    client.expect_end();
    let expected = ["open", "text one", "text two", "text close 3000 Go away!", "close 3000 Application"];
    assert_eq!(record.until_close(), expected);

    let mut client = connect(&server, SOCKJS);
    client.expect_text("o");
    client.send(text("[\"one\",\"two\",\"close 3000 Go away!\",\"three\"]"));
    client.expect_text("a[\"one\",\"two\"]");
    client.expect_text("c[3000,\"Go away!\"]");
    client.expect_frame(FIN | CLOSE, close_payload(1000, "Normal closure"));
    client.send(close(1000, ""));
    client.expect_end();
    assert_eq!(record.until_close().len(), 5);
}

/// Rule 8: a client that reads slowly would lose the reason to the end of TCP.
#[test]
fn a_server_that_closed_waits_for_the_answer() {
    let (handler, _record) = recorder();
    let mut options = ServerOptions::default();
    options.close_timeout = Duration::from_secs(600);
    let server = TestServer::start(options, |server| {
        server.mount("/raw", handler).expect("mount");
    });
    for (target, order) in [(RAW, "close 3000 x"), (SOCKJS, "\"close 3000 x\"")] {
        let mut client = connect(&server, target);
        client.send(text(order));
        while client.frame().0 != FIN | CLOSE {}
        // Whatever else the turn of the close brought about has happened by now.
        server.counters();
        assert!(client.is_quiet());
        client.send(close(3000, ""));
        client.expect_end();
    }
}

/// Rule 8: a server-side close, whatever the client makes of it.
#[test]
fn a_server_that_closed_ends_tcp_itself() {
    let (server, _record) = recording(|_| {});
    type Answer = fn(&mut Client);
    let answers: [(&str, Answer); 5] = [
        ("a close", |client| {
            client.send(close(3000, ""));
        }),
        ("messages that nobody reads, and a close", |client| {
            client.send([text("\"x\""), frame(FIN | PING, b"?"), close(3000, "")].concat());
        }),
        ("no frame at all", |client| {
            client.send([0xff; 20]);
        }),
        ("the end of the stream", |client| client.hang_up()),
        // Bounded by `close_timeout` alone.
        ("nothing", |_| {}),
    ];
    for (what, answer) in answers {
        for (target, order) in [(RAW, "close 3000 x"), (SOCKJS, "\"close 3000 x\"")] {
            let mut client = connect(&server, target);
            client.send(text(order));
            while client.frame().0 != FIN | CLOSE {}
            answer(&mut client);
            client.expect_end();
            drop(client);
            server.wait_until_empty(what);
        }
    }
}

/// Rule 9 (§7.4): codes that must not be sent go out as 1000, and reasons are cut.
#[test]
fn close_frames_of_the_server_are_valid() {
    struct Closer;
    impl Handler for Closer {
        fn on_open(&mut self, session: &mut Session<'_>, request: &Request<'_>) {
            let parameter = |name| request.query_parameter(name).expect("a parameter");
            let length = parameter("length").parse().expect("a length");
            session.close(parameter("code").parse().expect("a code"), &parameter("letter").repeat(length));
        }
        fn on_message(&mut self, _: &mut Session<'_>, _: &str) {}
    }
    let server = TestServer::start(ServerOptions::default(), |server| {
        server.mount("/raw", Closer).expect("mount");
    });
    for (code, sent) in [
        (1000, 1000),
        (1001, 1001),
        (4999, 4999),
        (0, 1000),
        (999, 1000),
        (1005, 1000),
        (1006, 1000),
        (1015, 1000),
        (5000, 1000),
    ] {
        let mut client = connect(&server, &format!("{RAW}?code={code}&letter=x&length=0"));
        assert_eq!(client.expect_close(sent), "");
        client.hang_up();
    }
    // Rule 9: a reason longer than 123 bytes is cut. (Queries are ASCII; conformance cuts between characters.)
    for (length, sent) in [(123, 123), (124, 123), (5000, 123)] {
        let mut client = connect(&server, &format!("{RAW}?code=3000&letter=x&length={length}"));
        assert_eq!(client.expect_close(3000), "x".repeat(sent));
        client.hang_up();
    }
    // The frame of SockJS has room for all of it.
    let mut client = connect(&server, &format!("{SOCKJS}?code=3000&letter=x&length=5000"));
    client.expect_text("o");
    client.expect_text(format!("c[3000,\"{}\"]", "x".repeat(5000)));
    assert_eq!(client.expect_close(1000), "Normal closure");
}

/// `EndpointOptions::send_queue`: an empty queue takes any message.
#[test]
fn an_empty_queue_takes_any_message_at_once() {
    struct Greeter;
    impl Handler for Greeter {
        fn on_open(&mut self, session: &mut Session<'_>, _: &Request<'_>) {
            session.send("x".repeat(5000)).expect("an empty queue takes any message");
        }
        fn on_message(&mut self, _: &mut Session<'_>, _: &str) {}
    }
    let mut options = EndpointOptions::default();
    options.send_queue = 4096;
    let server = TestServer::start(ServerOptions::default(), |server| {
        server.mount_with("/raw", options, Greeter).expect("mount");
    });
    connect(&server, RAW).expect_text("x".repeat(5000));
    let mut client = connect(&server, SOCKJS);
    client.expect_text("o");
    client.expect_text(format!("a[\"{}\"]", "x".repeat(5000)));
}

// Liveness (rules 5 and 12.6).

/// Rule 5: the heartbeat, again and again.
#[test]
fn heartbeats_are_frames_on_sockjs_and_pings_on_both() {
    let (server, _record) = recording(|options| {
        options.heartbeat_delay = Duration::from_millis(30);
        options.pong_timeout = Duration::from_secs(60);
    });
    let mut client = connect(&server, SOCKJS);
    client.expect_text("o");
    for _ in 0..3 {
        let mut beat = [client.frame(), client.frame()];
        beat.sort();
        assert_eq!(beat, [(FIN | TEXT, b"h".to_vec()), (FIN | PING, Vec::new())]);
        client.send(frame(FIN | PONG, b""));
    }
    let mut client = connect(&server, RAW);
    for _ in 0..3 {
        client.expect_frame(FIN | PING, "");
        client.send(frame(FIN | PONG, b""));
    }
}

/// Rule 12.6: the wait for a pong, and what the application hears.
#[test]
fn a_client_that_does_not_answer_a_ping_is_gone() {
    let (server, record) = recording(|options| {
        options.heartbeat_delay = Duration::from_millis(30);
        options.pong_timeout = Duration::from_millis(30);
    });
    for target in [RAW, SOCKJS] {
        let mut client = connect(&server, target);
        client.rest();
        assert_eq!(record.until_close(), ["open", "close 1006 Unresponsive"]);
    }
    server.wait_until_empty("silence");
}
