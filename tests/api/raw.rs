//! Raw WebSocket for programs: binary messages (rule 8).

use sockjs_server::{Handler, Request, SendError, ServerOptions, Session, Transport};

use crate::support::TestServer;
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
