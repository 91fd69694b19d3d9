//! Clients of sessions, on top of the plain socket: one that polls, and one that speaks WebSocket.

use std::net::SocketAddr;

use crate::support::client::{Answer, Client};
use crate::support::frames::{self, BINARY, CLOSE, FIN, PING, TEXT, handshake};

/// A session over xhr-polling.
pub struct Polling {
    pub client: Client,
    path: String,
}

impl Polling {
    pub fn open(address: SocketAddr, endpoint: &str, id: &str) -> Self {
        let mut polling = Self { client: Client::connect(address), path: format!("{endpoint}/000/{id}") };
        assert_eq!(polling.poll(), "o");
        polling
    }

    /// Waits for one frame.
    pub fn poll(&mut self) -> String {
        let answer = self.client.ask("POST", &format!("{}/xhr", self.path), "", b"");
        assert_eq!(answer.status, 200, "{}", answer.head);
        answer.text().strip_suffix('\n').expect("a frame ends its line").to_owned()
    }

    /// Asks for a frame, and does not wait.
    pub fn begin_poll(&mut self) {
        self.client.request("POST", &format!("{}/xhr", self.path), "", b"");
    }

    /// The frame of a poll that has begun.
    pub fn end_poll(&mut self) -> String {
        let mut answer = self.client.read_head();
        self.client.read_body(&mut answer);
        answer.text().trim_end().to_owned()
    }

    /// Sends a JSON array of strings, and says with which status it was answered.
    pub fn send(&mut self, payload: &str) -> u16 {
        self.client.ask("POST", &format!("{}/xhr_send", self.path), "", payload.as_bytes()).status
    }
}

/// What came over a WebSocket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    Text(String),
    Binary(Vec<u8>),
    Ping,
    Close(u16, String),
}

/// A WebSocket, raw or with SockJS frames.
pub struct WebSocket {
    pub client: Client,
}

impl WebSocket {
    /// A raw WebSocket of an endpoint.
    pub fn raw(address: SocketAddr, endpoint: &str) -> Self {
        Self::upgrade(address, &format!("{endpoint}/websocket"), "").0
    }

    /// A SockJS session over WebSocket, open.
    pub fn sockjs(address: SocketAddr, endpoint: &str) -> Self {
        let (mut socket, _) = Self::upgrade(address, &format!("{endpoint}/000/x/websocket"), "");
        assert_eq!(socket.next(), Frame::Text("o".into()));
        socket
    }

    /// An upgrade with header lines of its own, and the answer to it.
    pub fn upgrade(address: SocketAddr, target: &str, headers: &str) -> (Self, Answer) {
        let mut client = Client::connect(address);
        let answer = client.send(handshake(target, headers)).expect_upgrade();
        (Self { client }, answer)
    }

    pub fn text(&mut self, text: &str) -> &mut Self {
        self.client.send(frames::text(text));
        self
    }

    pub fn binary(&mut self, bytes: &[u8]) -> &mut Self {
        self.client.send(frames::frame(FIN | BINARY, bytes));
        self
    }

    pub fn close(&mut self, code: u16) -> &mut Self {
        self.client.send(frames::close(code, ""));
        self
    }

    /// The next frame.
    pub fn next(&mut self) -> Frame {
        const WHOLE_TEXT: u8 = FIN | TEXT;
        const WHOLE_BINARY: u8 = FIN | BINARY;
        const WHOLE_CLOSE: u8 = FIN | CLOSE;
        const WHOLE_PING: u8 = FIN | PING;
        let (first, payload) = self.client.read_frame();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("only valid UTF-8 goes out");
        match (first, payload.split_first_chunk()) {
            (WHOLE_TEXT, _) => Frame::Text(text(&payload)),
            (WHOLE_BINARY, _) => Frame::Binary(payload),
            (WHOLE_PING, _) => Frame::Ping,
            (WHOLE_CLOSE, Some((code, reason))) => Frame::Close(u16::from_be_bytes(*code), text(reason)),
            _ => panic!("a frame that begins with {first:#x}: {payload:?}"),
        }
    }

    /// The next frame, which is text.
    pub fn next_text(&mut self) -> String {
        match self.next() {
            Frame::Text(text) => text,
            frame => panic!("expected text, got {frame:?}"),
        }
    }

    /// The server's close frame, which is answered, and the end.
    pub fn expect_close(mut self, code: u16, reason: &str) {
        assert_eq!(self.next(), Frame::Close(code, reason.to_owned()));
        self.close(code);
        self.client.expect_end();
    }

    /// Says goodbye, and waits for the answer: nothing came before it.
    pub fn leave(mut self) {
        self.close(1000);
        assert_eq!(self.next(), Frame::Close(1000, String::new()));
        self.client.expect_end();
    }
}
