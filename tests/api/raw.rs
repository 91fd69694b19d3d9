//! Raw WebSocket for programs: binary messages (rule 8).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use sockjs_server::{
    EndpointOptions, Handle, Handler, Refusal, Request, SendError, ServerOptions, Session, Transport,
};

use crate::support::TestServer;
use crate::support::client::Client;
use crate::support::frames::{HANDSHAKE, handshake, whole};
use crate::support::websocket::{Frame, WebSocket};

/// Text and binary, each as it came; and what SockJS sessions say to binary.
struct Both;

impl Handler for Both {
    fn on_open(&mut self, session: &mut Session<'_>, _: &Request<'_>) {
        let sent = session.send_binary(b"\x00\xff");
        match session.transport() {
            Transport::RawWebSocket => assert_eq!(sent, Ok(())),
            _ => {
                assert_eq!(sent, Err(SendError::NotBinary));
                session.send("not binary").expect("it is open");
            }
        }
    }

    fn on_message(&mut self, session: &mut Session<'_>, text: &str) {
        session.send(text).expect("it is open");
    }

    fn on_binary(&mut self, session: &mut Session<'_>, bytes: &[u8]) {
        session.send_binary(bytes).expect("it is open");
    }
}

#[test]
fn binary_messages_go_both_ways() {
    let server = TestServer::start(ServerOptions::default(), |server| {
        server.mount("/both", Both).expect("mount");
    });
    let mut socket = WebSocket::raw(server.address, "/both");
    assert_eq!(socket.next(), Frame::Binary(vec![0, 255]));
    let bytes: Vec<u8> = (0..100_000_u32).map(|number| (number * 7) as u8).collect();
    for length in [0, 1, 125, 126, 65_535, 65_536, bytes.len()] {
        assert_eq!(socket.send_binary(&bytes[..length]).next(), Frame::Binary(bytes[..length].to_vec()));
    }
    // Both kinds keep their order.
    socket.send_binary(b"1").send("2").send_binary(b"3");
    let frames = [socket.next(), socket.next(), socket.next()];
    assert_eq!(frames, [Frame::Binary(b"1".to_vec()), Frame::Text("2".into()), Frame::Binary(b"3".to_vec())]);
    socket.leave();

    let mut socket = WebSocket::sockjs(server.address, "/both");
    assert_eq!(socket.text(), r#"a["not binary"]"#);
    // Rule 9: binary on a SockJS session is 1003.
    socket.send_binary(b"x");
    assert!(matches!(socket.next(), Frame::Close(1003, _)));
}

/// Gives messages away that are as long as it is told, each way that it has.
struct Giver(Handle);

impl Handler for Giver {
    fn on_message(&mut self, session: &mut Session<'_>, length: &str) {
        let length = length.parse().expect("a length");
        let (id, handle) = (session.id(), &self.0);
        session.send("t".repeat(length)).expect("it is open");
        let mut endpoint = session.endpoint();
        match endpoint.send_binary(id, vec![b'b'; length]) {
            Ok(()) => handle.send_binary(id, vec![b'h'; length]).expect("it is open"),
            Err(error) => assert_eq!(error, SendError::NotBinary),
        }
        handle.send(id, "h".repeat(length)).expect("it is open");
    }
}

#[test]
fn messages_that_are_given_away_arrive_as_those_that_are_lent() {
    let server = TestServer::start(ServerOptions::default(), |server| {
        let giver = Giver(server.handle());
        server.mount("/giver", giver).expect("mount");
    });
    let mut raw = WebSocket::raw(server.address, "/giver");
    let mut sockjs = WebSocket::sockjs(server.address, "/giver");
    for length in [0, 1, 40_000, 300_000] {
        raw.send(&length.to_string());
        assert_eq!(raw.next(), Frame::Text("t".repeat(length)), "{length}");
        assert_eq!(raw.next(), Frame::Binary(vec![b'b'; length]), "{length}");
        assert_eq!(raw.next(), Frame::Binary(vec![b'h'; length]), "{length}");
        assert_eq!(raw.next(), Frame::Text("h".repeat(length)), "{length}");
        sockjs.send(&format!("[\"{length}\"]"));
        assert_eq!(sockjs.text(), format!("a[\"{}\"]", "t".repeat(length)), "{length}");
        assert_eq!(sockjs.text(), format!("a[\"{}\"]", "h".repeat(length)), "{length}");
    }
}

/// Rule 9 (RFC 6455 §7.4.1): a handler that knows no binary messages says so.
#[test]
fn by_default_binary_messages_are_not_supported() {
    let server = TestServer::start(ServerOptions::default(), |server| {
        server.mount("/text", |_: &mut Session<'_>, _: &str| {}).expect("mount");
    });
    let mut socket = WebSocket::raw(server.address, "/text");
    socket.send_binary(b"x");
    socket.expect_close(1003, "Binary messages are not supported");
}

/// The handler sees what was chosen, from the first callback on.
#[test]
fn the_chosen_subprotocol_is_told() {
    struct Speaker;
    impl Handler for Speaker {
        fn on_open(&mut self, session: &mut Session<'_>, _: &Request<'_>) {
            self.on_message(session, "");
        }
        fn on_message(&mut self, session: &mut Session<'_>, _: &str) {
            let text = session.subprotocol().unwrap_or("none").to_owned();
            session.send(&text).expect("room");
        }
    }
    let server = TestServer::start(ServerOptions::default(), |server| {
        let mut options = EndpointOptions::default();
        options.subprotocols = (0..255).map(|number| format!("v{number}")).collect();
        server.mount_with("/speaks", options, Speaker).expect("mount");
    });
    let open = |path: &str, headers: &str| {
        WebSocket::open_on(Client::connect(server.address), path, &format!("{HANDSHAKE}{headers}"))
    };
    for (offered, chosen) in [("v0", "v0"), ("x, v7, v3", "v3"), ("v254", "v254"), ("x", "none")] {
        let headers = format!("Sec-WebSocket-Protocol: {offered}\r\n");
        let mut socket = open("/speaks/websocket", &headers);
        assert_eq!([socket.text(), socket.send("again").text()], [chosen, chosen]);
        let mut sockjs = open("/speaks/0/s/websocket", &headers);
        assert_eq!([sockjs.text(), sockjs.text()], ["o", r#"a["none"]"#]);
    }
}

/// Heartbeats measure how far the client is.
#[test]
fn the_round_trip_of_a_ping_is_told() {
    let server = TestServer::start(ServerOptions::default(), |server| {
        let options = EndpointOptions::default().heartbeat_delay(Duration::from_millis(20));
        let tell = |session: &mut Session<'_>, _: &str| {
            let text = session.round_trip().map_or("none".to_owned(), |took| took.as_millis().to_string());
            session.send(&text).expect("room");
        };
        server.mount_with("/pings", options, tell).expect("mount");
    });
    let start = Instant::now();
    let mut socket = WebSocket::raw(server.address, "/pings");
    assert_eq!(socket.next(), Frame::Ping);
    socket.send_frame(whole::PONG, b"");
    socket.send("how long?");
    let took: u128 = loop {
        match socket.next() {
            Frame::Text(text) => break text.parse().expect("a number of milliseconds"),
            // The test was slow, and the next heartbeat is due.
            frame => assert_eq!(frame, Frame::Ping),
        }
    };
    assert!(took <= start.elapsed().as_millis() + 1, "{took}");
}

/// Nothing opens for a program that would not understand the client.
#[test]
fn a_subprotocol_can_be_required() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&asked);
    struct Asked(Arc<AtomicUsize>);
    impl Handler for Asked {
        fn admit(&mut self, _: &Request<'_>) -> Result<(), Refusal> {
            self.0.fetch_add(1, Ordering::SeqCst);
            Ok(())
        }
        fn on_message(&mut self, _: &mut Session<'_>, _: &str) {}
    }
    let server = TestServer::start(ServerOptions::default(), |server| {
        let mut options = EndpointOptions::default();
        options.subprotocols = vec!["v2".to_owned(), "v1".to_owned()];
        options.subprotocol_required = true;
        server.mount_with("/speaks", options, Asked(counting)).expect("mount");
    });
    for offered in ["", "Sec-WebSocket-Protocol: V1\r\n", "Sec-WebSocket-Protocol: x, y\r\n"] {
        let mut client = Client::connect(server.address);
        let mut answer = client.send(handshake("/speaks/websocket", offered)).head();
        client.body(&mut answer);
        assert_eq!(answer.status, 400, "{offered}");
        assert!(answer.text().contains("Sec-WebSocket-Protocol"), "{}", answer.text());
        client.expect_end();
    }
    let counters = server.counters();
    assert_eq!((counters.refused.not_admitted, counters.refused.total(), counters.opened), (3, 3, 0));
    assert_eq!(asked.load(Ordering::SeqCst), 0);
    let v1 = "Sec-WebSocket-Protocol: x, v1\r\n";
    let headers = format!("{HANDSHAKE}{v1}");
    let socket = WebSocket::open_on(Client::connect(server.address), "/speaks/websocket", &headers);
    assert_eq!(socket.answer.header("Sec-WebSocket-Protocol"), Some("v1"));
    // A SockJS session speaks SockJS, whatever is offered.
    WebSocket::sockjs(server.address, "/speaks").leave();
}
