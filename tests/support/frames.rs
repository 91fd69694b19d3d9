//! WebSocket by hand: frames as a client sends them, broken ones too, and frames as they come from the server.

use super::client::{Answer, Client};

/// The key of RFC 6455's own example (§1.3), and what must be made of it.
pub const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
pub const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

pub const FIN: u8 = 0x80;
pub const CONTINUATION: u8 = 0x0;
pub const TEXT: u8 = 0x1;
pub const BINARY: u8 = 0x2;
pub const CLOSE: u8 = 0x8;
pub const PING: u8 = 0x9;
pub const PONG: u8 = 0xa;

/// The first bytes of frames that are whole messages.
pub mod whole {
    pub const TEXT: u8 = super::FIN | super::TEXT;
    pub const BINARY: u8 = super::FIN | super::BINARY;
    pub const CLOSE: u8 = super::FIN | super::CLOSE;
    pub const PING: u8 = super::FIN | super::PING;
    pub const PONG: u8 = super::FIN | super::PONG;
}

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// The header lines of a proper handshake.
pub const HANDSHAKE: &str = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// A request with a proper handshake, and these header lines behind it.
pub fn handshake(target: &str, headers: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n{HANDSHAKE}{headers}\r\n")
}

/// A masked frame with this first byte, and the payload's length in its shortest form.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let length = payload.len();
    let mut bytes = match length {
        0..126 => vec![first, 0x80 | length as u8],
        126..0x1_0000 => [&[first, 0xfe][..], &(length as u16).to_be_bytes()].concat(),
        _ => [&[first, 0xff][..], &(length as u64).to_be_bytes()].concat(),
    };
    bytes.extend(MASK);
    bytes.extend(mask(payload));
    bytes
}

/// A payload as it travels behind the mask that all frames here have.
pub fn mask(payload: &[u8]) -> impl Iterator<Item = u8> {
    payload.iter().zip(MASK.into_iter().cycle()).map(|(byte, mask)| byte ^ mask)
}

/// A header that announces more than follows: `length` as its bytes are given, then the mask.
pub fn header(first: u8, length: &[u8]) -> Vec<u8> {
    [&[first], length, &MASK].concat()
}

pub fn text(payload: impl AsRef<[u8]>) -> Vec<u8> {
    frame(FIN | TEXT, payload.as_ref())
}

pub fn close(code: u16, reason: &str) -> Vec<u8> {
    frame(FIN | CLOSE, &close_payload(code, reason))
}

/// What a close frame with this code and reason holds.
pub fn close_payload(code: u16, reason: &str) -> Vec<u8> {
    [&code.to_be_bytes(), reason.as_bytes()].concat()
}

impl Client {
    /// Becomes a WebSocket.
    pub fn upgrade(&mut self, target: &str) -> &mut Self {
        self.send(handshake(target, ""));
        self.expect_upgrade();
        self
    }

    /// The answer to a handshake (RFC 6455 §4.2.2).
    pub fn expect_upgrade(&mut self) -> Answer {
        let answer = self.head();
        assert_eq!(answer.status, 101, "{}", answer.head);
        assert_eq!(answer.header("Sec-WebSocket-Accept"), Some(ACCEPT), "{}", answer.head);
        answer
    }

    /// The next frame: its first byte and its payload. Servers do not mask, and use the shortest length (RFC 6455 §5.1,
    /// §5.2).
    pub fn frame(&mut self) -> (u8, Vec<u8>) {
        let header = self.take(2);
        let length = match header[1] {
            length @ 0..=125 => usize::from(length),
            126 => {
                let length = usize::from(u16::from_be_bytes(self.take(2).try_into().expect("two")));
                assert!(length > 125, "a length in its shortest form");
                length
            }
            127 => {
                let length = u64::from_be_bytes(self.take(8).try_into().expect("eight")) as usize;
                assert!(length > 0xffff, "a length in its shortest form");
                length
            }
            byte => panic!("a masked frame: {byte:02x}"),
        };
        (header[0], self.take(length))
    }

    pub fn expect_frame(&mut self, first: u8, payload: impl AsRef<[u8]>) {
        let (got, bytes) = self.frame();
        let payload = payload.as_ref();
        if (got, &*bytes) != (first, payload) {
            let show = |bytes: &[u8]| String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).into_owned();
            panic!("wanted {first:02x} {:?}, got {got:02x} {:?}", show(payload), show(&bytes));
        }
    }

    pub fn expect_text(&mut self, payload: impl AsRef<[u8]>) {
        self.expect_frame(FIN | TEXT, payload);
    }

    /// A close frame with this code; its reason.
    pub fn expect_close(&mut self, code: u16) -> String {
        let (first, payload) = self.frame();
        assert_eq!(first, FIN | CLOSE, "wanted close {code}, got {:?}", String::from_utf8_lossy(&payload));
        let (got, reason) = payload.split_at(2);
        let reason = String::from_utf8(reason.to_vec()).expect("a reason is text");
        assert_eq!(got, code.to_be_bytes(), "wanted close {code}, got {got:?} {reason:?}");
        reason
    }
}
