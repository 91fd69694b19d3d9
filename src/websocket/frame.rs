//! Frame headers (RFC 6455 §5.2). A client's header goes in as bytes and comes out as a value, as "not all of
//! it is here yet", or as the rule it breaks: as soon as the byte that breaks it is there. A server's header
//! is written from opcode and length. Payloads are never looked at, and whether a frame fits what came before
//! it is for [`message`](super::message) to say.

use super::WebSocketError;

/// The longest payload of a control frame, and the longest whose length fits the second byte (RFC 6455 §5.5,
/// §5.2).
pub const CONTROL_LIMIT: usize = 125;

const FIN: u8 = 0x80;
const RESERVED: u8 = 0x70;
const OPCODE: u8 = 0x0F;
const CONTROL: u8 = 0x08;
/// In the byte of the length: a mask follows it.
pub(crate) const MASKED: u8 = 0x80;
/// In place of a length: it follows in two bytes.
const IN_TWO: u8 = 126;
/// In place of a length: it follows in eight bytes.
const IN_EIGHT: u8 = 127;

/// What a frame carries (RFC 6455 §11.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opcode {
    /// The next fragment of a message.
    Continuation = 0x0,
    /// A text message, or its first fragment.
    Text = 0x1,
    /// A binary message, or its first fragment.
    Binary = 0x2,
    /// The end of the connection, with a code and a reason or without.
    Close = 0x8,
    /// A question whether the peer is there.
    Ping = 0x9,
    /// The answer to it; or a heartbeat without a ping before it.
    Pong = 0xA,
}

impl Opcode {
    /// Whether frames of this kind may come between the fragments of a message (RFC 6455 §5.5).
    #[inline]
    pub fn is_control(self) -> bool {
        self as u8 & CONTROL != 0
    }

    #[inline]
    pub(crate) fn parse(bits: u8) -> Result<Self, WebSocketError> {
        Ok(match bits {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xA => Self::Pong,
            _ => return Err(WebSocketError::ReservedOpcode(bits)),
        })
    }
}

/// The header of a client's frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// This frame is the last of its message.
    pub fin: bool,
    /// What the payload is.
    pub opcode: Opcode,
    /// The key that the payload is masked with.
    pub mask: [u8; 4],
    /// How many bytes of payload follow: a claim, so no reason to allocate any.
    pub length: u64,
}

impl FrameHeader {
    /// Reads the header at the front of `input`, and says how many bytes it takes: 6, 8 or 14. `None` means
    /// that more must come.
    #[inline]
    pub fn parse(input: &[u8]) -> Result<Option<(Self, usize)>, WebSocketError> {
        let Some((&first, input)) = input.split_first() else { return Ok(None) };
        let (fin, opcode) = parse_first(first)?;
        let Some((&second, input)) = input.split_first() else { return Ok(None) };
        let short_length = parse_second(second, opcode)?;
        let (length, length_bytes, input) = match short_length {
            IN_TWO => {
                let Some((length, input)) = input.split_first_chunk() else { return Ok(None) };
                let length = u16::from_be_bytes(*length);
                if usize::from(length) <= CONTROL_LIMIT {
                    return Err(WebSocketError::NonMinimalLength);
                }
                (u64::from(length), 2, input)
            }
            IN_EIGHT => {
                if input.first().is_some_and(|byte| byte & 0x80 != 0) {
                    return Err(WebSocketError::LengthTopBit);
                }
                let Some((length, input)) = input.split_first_chunk() else { return Ok(None) };
                let length = u64::from_be_bytes(*length);
                if length <= u64::from(u16::MAX) {
                    return Err(WebSocketError::NonMinimalLength);
                }
                (length, 8, input)
            }
            length => (u64::from(length), 0, input),
        };
        let Some(&mask) = input.first_chunk() else { return Ok(None) };
        Ok(Some((Self { fin, opcode, mask, length }, 2 + length_bytes + mask.len())))
    }
}

/// FIN, RSV1–3 and opcode.
#[inline]
fn parse_first(byte: u8) -> Result<(bool, Opcode), WebSocketError> {
    if byte & RESERVED != 0 {
        return Err(WebSocketError::ReservedBits);
    }
    let fin = byte & FIN != 0;
    let opcode = Opcode::parse(byte & OPCODE)?;
    if opcode.is_control() && !fin {
        return Err(WebSocketError::FragmentedControl);
    }
    Ok((fin, opcode))
}

/// MASK, which clients must set, and the length, or how many bytes it takes.
#[inline]
fn parse_second(byte: u8, opcode: Opcode) -> Result<u8, WebSocketError> {
    if byte & MASKED == 0 {
        return Err(WebSocketError::Unmasked);
    }
    let length = byte & !MASKED;
    if opcode.is_control() && usize::from(length) > CONTROL_LIMIT {
        return Err(WebSocketError::LongControl);
    }
    Ok(length)
}

/// Writes the header of a server's frame: whole, unmasked, its length in the shortest form.
#[inline]
pub fn write_header(out: &mut Vec<u8>, opcode: Opcode, length: usize) {
    let first = FIN | opcode as u8;
    match length {
        0..=CONTROL_LIMIT => out.extend_from_slice(&[first, length as u8]),
        126..=0xFFFF => {
            let [a, b] = (length as u16).to_be_bytes();
            out.extend_from_slice(&[first, IN_TWO, a, b]);
        }
        _ => {
            let [a, b, c, d, e, f, g, h] = (length as u64).to_be_bytes();
            out.extend_from_slice(&[first, IN_EIGHT, a, b, c, d, e, f, g, h]);
        }
    }
}

/// How many bytes [`write_header`] writes for a payload of `length` bytes.
#[inline]
pub fn header_length(length: usize) -> usize {
    match length {
        0..=CONTROL_LIMIT => 2,
        126..=0xFFFF => 4,
        _ => 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use WebSocketError::*;

    const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

    /// Parses `bytes` whole and with more behind them, and every shorter start of them, which must ask for
    /// more.
    fn parse(bytes: &[u8]) -> FrameHeader {
        for length in 0..bytes.len() {
            assert_eq!(FrameHeader::parse(&bytes[..length]), Ok(None), "{length} bytes of {bytes:02x?}");
        }
        let (header, length) = FrameHeader::parse(bytes).unwrap().unwrap();
        assert_eq!(length, bytes.len());
        assert_eq!(FrameHeader::parse(&[bytes, b"more"].concat()), Ok(Some((header, length))));
        header
    }

    #[test]
    fn lengths_at_the_edges_of_each_form() {
        for (length, bytes) in [
            (0, &[0x80][..]),
            (1, &[0x81]),
            (125, &[0xFD]),
            (126, &[0xFE, 0, 126]),
            (0xFFFF, &[0xFE, 0xFF, 0xFF]),
            (0x10000, &[0xFF, 0, 0, 0, 0, 0, 1, 0, 0]),
            (u64::MAX >> 1, &[0xFF, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]),
        ] {
            let header = parse(&[&[0x82], bytes, &MASK].concat());
            assert_eq!(header, FrameHeader { fin: true, opcode: Opcode::Binary, mask: MASK, length });
        }
    }

    #[test]
    fn every_first_byte() {
        for byte in 0..=u8::MAX {
            let expected = match (byte & RESERVED, byte & OPCODE, byte & FIN) {
                (0, 0..=2, _) | (0, 8..=10, FIN) => None,
                (0, 8..=10, _) => Some(FragmentedControl),
                (0, opcode, _) => Some(ReservedOpcode(opcode)),
                _ => Some(ReservedBits),
            };
            assert_eq!(FrameHeader::parse(&[byte]).err(), expected, "{byte:02x}");
            if expected.is_none() {
                let header = parse(&[&[byte, 0x80], &MASK[..]].concat());
                assert_eq!(header.opcode as u8, byte & OPCODE);
                assert_eq!(header.fin, byte & FIN != 0);
            }
        }
    }

    #[test]
    fn a_fault_is_refused_with_the_byte_that_makes_it() {
        for (bytes, error) in [
            (&[0x81, 0x05][..], Unmasked),
            (&[0x81, 0x7E], Unmasked),
            (&[0x89, 0x00], Unmasked),
            (&[0x88, 0xFE], LongControl),
            (&[0x89, 0xFE], LongControl),
            (&[0x8A, 0xFF], LongControl),
            (&[0x81, 0xFE, 0, 125], NonMinimalLength),
            (&[0x81, 0xFE, 0, 0], NonMinimalLength),
            (&[0x82, 0xFF, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF], NonMinimalLength),
            (&[0x82, 0xFF, 0x80], LengthTopBit),
        ] {
            let (_, before) = bytes.split_last().unwrap();
            assert_eq!(FrameHeader::parse(before), Ok(None), "{before:02x?}");
            for more in [&b""[..], b"m", b"more than enough"] {
                assert_eq!(FrameHeader::parse(&[bytes, more].concat()), Err(error), "{bytes:02x?}");
            }
        }
    }

    #[test]
    fn server_headers() {
        for (opcode, length, expected) in [
            (Opcode::Text, 5, &[0x81, 0x05][..]), // RFC 6455 §5.7
            (Opcode::Ping, 5, &[0x89, 0x05]),
            (Opcode::Binary, 256, &[0x82, 0x7E, 0x01, 0x00]),
            (Opcode::Binary, 65_536, &[0x82, 0x7F, 0, 0, 0, 0, 0, 1, 0, 0]),
            (Opcode::Close, 0, &[0x88, 0x00]),
            (Opcode::Pong, 125, &[0x8A, 0x7D]),
            (Opcode::Text, 126, &[0x81, 0x7E, 0x00, 0x7E]),
            (Opcode::Text, 65_535, &[0x81, 0x7E, 0xFF, 0xFF]),
        ] {
            let mut out = b"before".to_vec();
            write_header(&mut out, opcode, length);
            assert_eq!(out, [b"before", expected].concat());
            assert_eq!(header_length(length), expected.len());
        }
    }
}
