//! The client's side of RFC 6455: frames as they are told to be, good or bad, and frames as they come.

use super::Target;
use super::http::{Answer, Connection};

/// A handshake's key whose answer is known, so that no hash is needed here (RFC 6455 §1.3).
pub const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
pub const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// The header lines of a proper handshake.
pub const HANDSHAKE: &str = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// First bytes of frames: FIN and the opcode.
pub const TEXT: u8 = 0x81;
pub const BINARY: u8 = 0x82;
pub const CLOSE: u8 = 0x88;
pub const PING: u8 = 0x89;
pub const PONG: u8 = 0x8a;
/// The same without FIN.
pub const TEXT_BEGINS: u8 = 0x01;
pub const CONTINUES: u8 = 0x00;
pub const CONTINUES_AND_ENDS: u8 = 0x80;

/// A connection that speaks frames.
pub struct WebSocket {
    pub connection: Connection,
    pub answer: Answer,
}

impl WebSocket {
    pub fn open(target: &Target, path: &str) -> Self {
        Self::open_with(target, path, HANDSHAKE)
    }

    /// Shakes hands with these header lines.
    pub fn open_with(target: &Target, path: &str, headers: &str) -> Self {
        let mut connection = target.connect();
        connection.request("GET", path, headers, b"");
        let answer = connection.head().expect(101);
        Self { connection, answer }
    }

    /// Sends a frame with this first byte.
    pub fn send_frame(&mut self, first: u8, payload: &[u8]) -> &mut Self {
        self.connection.send(masked(first, payload));
        self
    }

    pub fn send(&mut self, text: &str) -> &mut Self {
        self.send_frame(TEXT, text.as_bytes())
    }

    /// One frame: its first byte, and its payload. A server's frames are unmasked and of minimal length (§5.1, §5.2).
    pub fn frame(&mut self) -> (u8, Vec<u8>) {
        let [first, second] = self.bytes();
        assert_eq!(second & 0x80, 0, "§5.1: a server must not mask");
        let length = match second {
            126 => {
                let length = u16::from_be_bytes(self.bytes());
                assert!(length > 125, "§5.2: the minimal number of bytes for length {length}");
                usize::from(length)
            }
            127 => {
                let length = u64::from_be_bytes(self.bytes());
                assert!(length > 65535, "§5.2: the minimal number of bytes for length {length}");
                usize::try_from(length).expect("a length")
            }
            short => usize::from(short),
        };
        (first, self.connection.take(length))
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        self.connection.take(N).try_into().expect("so many were taken")
    }

    /// The next text message; pings are passed over.
    #[track_caller]
    pub fn text(&mut self) -> String {
        loop {
            match self.frame() {
                (TEXT, payload) => return String::from_utf8(payload).expect("§5.6: text is UTF-8"),
                (PING, _) => {}
                (first, payload) => panic!("a text frame, not {first:#04x} {}", payload.escape_ascii()),
            }
        }
    }

    /// The next frame is a close frame: its code and reason.
    #[track_caller]
    pub fn close(&mut self) -> Option<(u16, String)> {
        let (first, payload) = self.frame();
        assert_eq!(first, CLOSE, "a close frame, not {first:#04x} {}", payload.escape_ascii());
        let (code, reason) = payload.split_first_chunk()?;
        Some((
            u16::from_be_bytes(*code),
            String::from_utf8(reason.to_vec()).expect("§5.5.1: a reason is UTF-8"),
        ))
    }

    /// Panics unless the next frame is a close frame with this code, and then TCP ends.
    #[track_caller]
    pub fn expect_failure(&mut self, code: u16) {
        let close = self.close();
        assert_eq!(close.as_ref().map(|(code, _)| *code), Some(code), "the close code");
        self.connection.expect_end();
    }

    /// Closes as a client should, and panics unless the server answers and ends.
    #[track_caller]
    pub fn close_with(mut self, code: u16, reason: &str) {
        self.send_close(code, reason);
        assert_eq!(self.close().map(|(code, _)| code), Some(code), "§5.5.1: the code is sent back");
        self.connection.expect_end();
    }

    pub fn send_close(&mut self, code: u16, reason: &str) -> &mut Self {
        self.send_frame(CLOSE, &[&code.to_be_bytes(), reason.as_bytes()].concat())
    }
}

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A client's frame: masked, and of minimal length.
pub fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(payload.len() + 14);
    append_masked(&mut frame, first, payload);
    frame
}

/// Appends a client's frame.
pub fn append_masked(frame: &mut Vec<u8>, first: u8, payload: &[u8]) {
    frame.push(first);
    match payload.len() {
        length @ 0..=125 => frame.push(0x80 | length as u8),
        length @ 126..=65535 => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            frame.push(0x80 | 127);
            frame.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(&MASK);
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
}
