//! A WebSocket: frames go out as they are told to, good or bad, and come in as they are.

use std::net::SocketAddr;

use super::client::{Answer, Client};
use super::frames::{self, HANDSHAKE, close_payload, whole};

/// A connection that speaks frames.
pub struct WebSocket {
    pub client: Client,
    /// The answer to the handshake.
    pub answer: Answer,
}

/// A frame that came, as what it means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    Text(String),
    Binary(Vec<u8>),
    Ping,
    Close(u16, String),
}

impl WebSocket {
    /// Shakes hands on a connection, with these header lines.
    pub fn open_on(mut client: Client, path: &str, headers: &str) -> Self {
        let answer = client.request("GET", path, headers, b"").expect_upgrade();
        Self { client, answer }
    }

    /// A raw WebSocket of an endpoint.
    pub fn raw(address: SocketAddr, endpoint: &str) -> Self {
        Self::open_on(Client::connect(address), &format!("{endpoint}/websocket"), HANDSHAKE)
    }

    /// A SockJS session over WebSocket, open.
    pub fn sockjs(address: SocketAddr, endpoint: &str) -> Self {
        let path = format!("{endpoint}/000/x/websocket");
        let mut socket = Self::open_on(Client::connect(address), &path, HANDSHAKE);
        assert_eq!(socket.text(), "o");
        socket
    }

    /// Sends a frame with this first byte.
    pub fn send_frame(&mut self, first: u8, payload: &[u8]) -> &mut Self {
        self.client.send(frames::frame(first, payload));
        self
    }

    pub fn send(&mut self, text: &str) -> &mut Self {
        self.send_frame(whole::TEXT, text.as_bytes())
    }

    pub fn send_binary(&mut self, bytes: &[u8]) -> &mut Self {
        self.send_frame(whole::BINARY, bytes)
    }

    pub fn send_close(&mut self, code: u16, reason: &str) -> &mut Self {
        self.send_frame(whole::CLOSE, &close_payload(code, reason))
    }

    /// The next frame: its first byte, and its payload.
    pub fn frame(&mut self) -> (u8, Vec<u8>) {
        self.client.frame()
    }

    /// The next frame, as what it means.
    pub fn next(&mut self) -> Frame {
        let (first, payload) = self.frame();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("only valid UTF-8 goes out");
        match (first, payload.split_first_chunk()) {
            (whole::TEXT, _) => Frame::Text(text(&payload)),
            (whole::BINARY, _) => Frame::Binary(payload),
            (whole::PING, _) => Frame::Ping,
            (whole::CLOSE, Some((code, reason))) => Frame::Close(u16::from_be_bytes(*code), text(reason)),
            _ => panic!("a frame that begins with {first:#04x}: {}", payload.escape_ascii()),
        }
    }

    /// The next text message; pings are passed over.
    #[track_caller]
    pub fn text(&mut self) -> String {
        loop {
            match self.next() {
                Frame::Text(text) => return text,
                Frame::Ping => {}
                frame => panic!("a text frame, not {frame:?}"),
            }
        }
    }

    /// The next frame, which is a close frame: its code and reason, if it has any.
    #[track_caller]
    pub fn close(&mut self) -> Option<(u16, String)> {
        let (first, payload) = self.frame();
        assert_eq!(first, whole::CLOSE, "a close frame, not {first:#04x} {}", payload.escape_ascii());
        let (code, reason) = payload.split_first_chunk()?;
        Some((u16::from_be_bytes(*code), String::from_utf8(reason.to_vec()).expect("a reason is UTF-8")))
    }

    /// Panics unless the next frame is the server's close frame; answers it, and panics unless TCP ends.
    #[track_caller]
    pub fn expect_close(mut self, code: u16, reason: &str) {
        assert_eq!(self.close(), Some((code, reason.to_owned())));
        self.send_close(code, "").client.expect_end();
    }

    /// Panics unless the next frame is a close frame with this code, and then TCP ends.
    #[track_caller]
    pub fn expect_failure(&mut self, code: u16) {
        assert_eq!(self.close().map(|(code, _)| code), Some(code), "the close code");
        self.client.expect_end();
    }

    /// Closes as a client should, and panics unless the server answers with the same code at once, and ends.
    #[track_caller]
    pub fn close_with(mut self, code: u16, reason: &str) {
        self.send_close(code, reason).expect_failure(code);
    }

    /// Closes, and panics unless the answer is the next frame: no other frame was on its way.
    #[track_caller]
    pub fn leave(self) {
        self.close_with(1000, "");
    }
}
