//! A client's frames behind our close, up to its own (RFC 6455 §7.1.1): everything else is thrown away.
//!
//! In go the bytes of a connection, cut anywhere; out comes whether the client's close frame has begun. Nothing is kept
//! of what is thrown away, and no rule but those of a frame's header is held.

use super::WebSocketError;
use super::frame::{FrameHeader, Opcode};

/// What is known of the frame that is thrown away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Discard {
    /// Bytes of its payload that are still to come.
    remaining: u64,
}

/// What became of the front of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discarded {
    /// So many bytes are thrown away; the rest is an incomplete header, to be passed again with more behind it.
    Bytes(usize),
    /// The client's close frame begins.
    Close,
}

impl Discard {
    /// From within a frame of whose payload so many bytes are still to come.
    pub fn within(remaining: u64) -> Self {
        Self { remaining }
    }

    /// Throws away what there is of `input` up to a close frame.
    ///
    /// # Errors
    ///
    /// A header that no client may send.
    pub fn discard(&mut self, input: &[u8]) -> Result<Discarded, WebSocketError> {
        let mut used = 0;
        loop {
            let rest = input.get(used..).unwrap_or_default();
            let arrived = usize::try_from(self.remaining).unwrap_or(usize::MAX).min(rest.len());
            self.remaining -= arrived as u64;
            used += arrived;
            if self.remaining > 0 {
                return Ok(Discarded::Bytes(used));
            }
            let Some((header, length)) = FrameHeader::parse(input.get(used..).unwrap_or_default())? else {
                return Ok(Discarded::Bytes(used));
            };
            if header.opcode == Opcode::Close {
                return Ok(Discarded::Close);
            }
            used += length;
            self.remaining = header.length;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame's header as a client sends it, with a length of 64 bits.
    fn header(opcode: u8, length: u64) -> Vec<u8> {
        [&[0x80 | opcode, 0xff][..], &length.to_be_bytes(), &[1, 2, 3, 4]].concat()
    }

    #[test]
    fn everything_up_to_the_close_is_thrown_away_however_it_is_cut() {
        let mut bytes = header(2, 70_000);
        bytes.extend(vec![0x88; 70_000]);
        bytes.extend([0x89, 0x80, 1, 2, 3, 4]);
        let end = bytes.len();
        bytes.extend([0x88, 0x80, 1, 2, 3, 4]);
        for step in [1, 2, 7, 4096, bytes.len()] {
            let mut discard = Discard::default();
            let (mut from, mut to) = (0, 0);
            let found = loop {
                assert!(to < bytes.len(), "the close is found");
                to = (to + step).min(bytes.len());
                match discard.discard(&bytes[from..to]).unwrap() {
                    Discarded::Bytes(count) => from += count,
                    Discarded::Close => break from,
                }
                assert!(to - from < 14, "no more than a header is kept");
            };
            assert!(found <= end, "{found} {end}");
            assert_eq!(to, bytes.len(), "the payload, which looks like close frames, is none");
        }
    }

    #[test]
    fn the_rest_of_a_frame_that_had_begun_is_no_header() {
        // The payload looks like a close frame.
        let mut discard = Discard::within(4);
        assert_eq!(discard.discard(&[0x88, 0x80, 0x88]), Ok(Discarded::Bytes(3)));
        assert_eq!(discard.discard(&[0x80, 0x88]), Ok(Discarded::Bytes(1)));
        assert_eq!(discard.discard(&[0x88, 0x80, 1, 2, 3, 4]), Ok(Discarded::Close));
    }

    #[test]
    fn a_payload_may_be_longer_than_any_that_is_read() {
        let mut discard = Discard::default();
        let front = header(2, u64::from(u32::MAX) * 1000);
        assert_eq!(discard.discard(&front), Ok(Discarded::Bytes(front.len())));
        assert_eq!(discard.discard(&[0; 1000]), Ok(Discarded::Bytes(1000)));
    }

    #[test]
    fn a_header_that_no_client_sends_is_an_error() {
        for bytes in [&[0x82, 0x05][..], &[0xf2, 0x85, 0, 0, 0, 0], &[0x83, 0x80, 0, 0, 0, 0]] {
            assert!(Discard::default().discard(bytes).is_err(), "{bytes:?}");
        }
    }
}
