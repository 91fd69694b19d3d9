//! The client's side of RFC 6455. Pure: bytes in, frames out.

/// The fields of a handshake. A key that is always the same needs no SHA-1 here.
pub(super) const HANDSHAKE: &str = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                                    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// What a server makes of that key: both are the example of RFC 6455 §1.3.
pub(super) const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// The largest message that is read.
const LARGEST_MESSAGE: usize = 1 << 20;

const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// What arrives.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Received {
    Text(String),
    Binary,
    /// Its payload goes back in a pong.
    Ping(Vec<u8>),
    Pong,
    /// 1005: without a code (RFC 6455 §7.1.5).
    Close {
        code: u16,
        reason: String,
    },
}

/// The server does not speak RFC 6455.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotWebSocket;

/// Puts messages together.
#[derive(Debug, Default)]
pub(super) struct Reader {
    /// The opcode and the fragments of a message that is not whole.
    message: Option<(u8, Vec<u8>)>,
}

impl Reader {
    /// Takes the next message or control frame from the front of the input; `None`: it is not whole.
    pub(super) fn take(&mut self, input: &mut Vec<u8>) -> Result<Option<Received>, NotWebSocket> {
        while let Some((is_last, opcode, payload)) = take_frame(input)? {
            if opcode >= CLOSE {
                return control(is_last, opcode, payload).map(Some);
            }
            let (opcode, mut bytes) = match (opcode, self.message.take()) {
                (CONTINUATION, Some(message)) => message,
                (TEXT | BINARY, None) => (opcode, Vec::new()),
                _ => return Err(NotWebSocket),
            };
            bytes.extend_from_slice(&payload);
            if bytes.len() > LARGEST_MESSAGE {
                return Err(NotWebSocket);
            }
            match (is_last, opcode) {
                (false, _) => self.message = Some((opcode, bytes)),
                (true, TEXT) => {
                    return String::from_utf8(bytes)
                        .map(|text| Some(Received::Text(text)))
                        .map_err(|_| NotWebSocket);
                }
                (true, _) => return Ok(Some(Received::Binary)),
            }
        }
        Ok(None)
    }
}

fn control(is_last: bool, opcode: u8, payload: Vec<u8>) -> Result<Received, NotWebSocket> {
    match opcode {
        _ if !is_last || payload.len() > 125 => Err(NotWebSocket),
        PING => Ok(Received::Ping(payload)),
        PONG => Ok(Received::Pong),
        CLOSE => match payload.split_first_chunk() {
            None if payload.is_empty() => Ok(Received::Close { code: 1005, reason: String::new() }),
            None => Err(NotWebSocket),
            Some((code, reason)) => {
                let reason = String::from_utf8(reason.to_vec()).map_err(|_| NotWebSocket)?;
                Ok(Received::Close { code: u16::from_be_bytes(*code), reason })
            }
        },
        _ => Err(NotWebSocket),
    }
}

/// Takes a frame: whether it is the last of its message, its opcode, its payload.
fn take_frame(input: &mut Vec<u8>) -> Result<Option<(bool, u8, Vec<u8>)>, NotWebSocket> {
    let Some(&[first, second]) = input.first_chunk() else { return Ok(None) };
    // No extension was offered, and servers do not mask (RFC 6455 §5.1, §5.2).
    if first & 0x70 != 0 || second & 0x80 != 0 {
        return Err(NotWebSocket);
    }
    let short = [second];
    let extended = match second {
        126 => input.get(2..4).map(|length| (4, length)),
        127 => input.get(2..10).map(|length| (10, length)),
        _ => Some((2, &short[..])),
    };
    let Some((start, length)) = extended else { return Ok(None) };
    let length = length.iter().fold(0_u64, |length, byte| length << 8 | u64::from(*byte));
    let length =
        usize::try_from(length).ok().filter(|length| *length <= LARGEST_MESSAGE).ok_or(NotWebSocket)?;
    if input.len() < start + length {
        return Ok(None);
    }
    let payload = input.drain(..start + length).skip(start).collect();
    Ok(Some((first & 0x80 != 0, first & 0x0f, payload)))
}

/// A text message, masked (RFC 6455 §5.3).
pub(super) fn text(text: &str, mask: [u8; 4]) -> Vec<u8> {
    frame(TEXT, text.as_bytes(), mask)
}

/// The answer to a ping.
pub(super) fn pong(payload: &[u8], mask: [u8; 4]) -> Vec<u8> {
    frame(PONG, payload, mask)
}

/// A close frame with 1000.
pub(super) fn close(mask: [u8; 4]) -> Vec<u8> {
    frame(CLOSE, &1000_u16.to_be_bytes(), mask)
}

fn frame(opcode: u8, payload: &[u8], mask: [u8; 4]) -> Vec<u8> {
    let mut frame = vec![0x80 | opcode];
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(length @ ..126), _) => frame.push(0x80 | length),
        (_, Ok(length)) => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&length.to_be_bytes());
        }
        _ => {
            frame.push(0x80 | 127);
            frame.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(&mask);
    frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads everything, in pieces of this size.
    fn read(bytes: &[u8], piece: usize) -> Result<Vec<Received>, NotWebSocket> {
        let (mut reader, mut input, mut all) = (Reader::default(), Vec::new(), Vec::new());
        for piece in bytes.chunks(piece) {
            input.extend_from_slice(piece);
            while let Some(received) = reader.take(&mut input)? {
                all.push(received);
            }
        }
        Ok(all)
    }

    #[test]
    fn messages_are_put_together_and_control_frames_come_between() {
        let bytes = [
            &b"\x81\x01o"[..],
            b"\x01\x02a[\x89\x01p\x00\x01\"\x80\x02\"]",
            b"\x8a\x00\x82\x01x",
            b"\x88\x04\x03\xe8no",
            b"\x88\x00",
        ];
        for piece in [bytes.concat().len(), 1, 3] {
            let text = |text: &str| Received::Text(text.to_owned());
            let close = |code, reason: &str| Received::Close { code, reason: reason.to_owned() };
            let expected = vec![
                text("o"),
                Received::Ping(b"p".to_vec()),
                text("a[\"\"]"),
                Received::Pong,
                Received::Binary,
                close(1000, "no"),
                close(1005, ""),
            ];
            assert_eq!(read(&bytes.concat(), piece), Ok(expected));
        }
        for (length, head) in [(300, &b"\x81\x7e\x01\x2c"[..]), (65_536, b"\x81\x7f\0\0\0\0\0\x01\0\0")] {
            let bytes = [head, &vec![b'x'; length]].concat();
            assert_eq!(read(&bytes, 1000), Ok(vec![Received::Text("x".repeat(length))]));
        }
    }

    #[test]
    fn what_breaks_the_rules_is_an_error() {
        for bytes in [
            &b"\x81\x81abcdx"[..],
            b"\xc1\x01x",
            b"\x80\x01x",
            b"\x01\x01x\x81\x01x",
            b"\x81\x01\xff",
            b"\x83\x00",
            b"\x8b\x00",
            b"\x09\x00",
            b"\x88\x01x",
            b"\x88\x03\x03\xe8\xff",
            b"\x89\x7e\x00\x7e",
            b"\x81\x7f\xff\xff\xff\xff\xff\xff\xff\xff",
        ] {
            let bytes = [bytes, &[0; 200]].concat();
            assert_eq!(read(&bytes, bytes.len()), Err(NotWebSocket), "{bytes:?}");
        }
    }

    #[test]
    fn what_is_sent_is_masked() {
        let mask = [1, 2, 3, 4];
        assert_eq!(close(mask), b"\x88\x82\x01\x02\x03\x04\x02\xea");
        assert_eq!(pong(b"", mask), b"\x8a\x80\x01\x02\x03\x04");
        // The example of RFC 6455 §5.7.
        let hello = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
        assert_eq!(text("Hello", [0x37, 0xfa, 0x21, 0x3d]), hello);
        for (length, head) in [
            (125, &[0x81, 0xfd][..]),
            (126, &[0x81, 0xfe, 0, 126]),
            (65_535, &[0x81, 0xfe, 255, 255]),
            (65_536, &[0x81, 0xff, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            let frame = text(&"x".repeat(length), mask);
            assert!(frame.starts_with(head), "{length}");
            assert_eq!(frame.len(), head.len() + 4 + length);
        }
    }
}
