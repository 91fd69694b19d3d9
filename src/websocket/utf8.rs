//! UTF-8 that arrives in pieces: bytes go in as they come, and the first byte after which no text is possible
//! is an error at once (RFC 6455 §8.1; the Autobahn suite calls it fail-fast). It keeps one byte of state and
//! never the text.

use super::WebSocketError;
use std::str;

/// A validator that may be fed a text cut anywhere, within characters too. After an error it has nothing more
/// to say.
#[derive(Clone, Copy, Debug, Default)]
pub struct Utf8 {
    expected: Expected,
}

impl Utf8 {
    /// Takes the next bytes of the text.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), WebSocketError> {
        let mut rest = bytes;
        while self.expected != Expected::Character {
            let Some(&byte) = rest.split_off_first() else { return Ok(()) };
            self.expected = self.expected.after(byte)?;
        }
        let Err(error) = str::from_utf8(rest) else { return Ok(()) };
        if error.error_len().is_some() {
            return Err(WebSocketError::InvalidUtf8);
        }
        // The text so far is good and ends within a character, of which up to three bytes are here.
        for &byte in rest.iter().skip(error.valid_up_to()) {
            self.expected = self.expected.after(byte)?;
        }
        Ok(())
    }

    /// Says whether the text may end here: not within a character.
    pub fn finish(&self) -> Result<(), WebSocketError> {
        match self.expected {
            Expected::Character => Ok(()),
            _ => Err(WebSocketError::InvalidUtf8),
        }
    }
}

/// What must come next. Four leading bytes narrow the byte behind them (RFC 3629 §4), which keeps out
/// overlong forms, surrogates and what is beyond U+10FFFF.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Expected {
    #[default]
    Character,
    OneMore,
    TwoMore,
    ThreeMore,
    TwoMoreAfterE0,
    TwoMoreAfterEd,
    ThreeMoreAfterF0,
    ThreeMoreAfterF4,
}

impl Expected {
    fn after(self, byte: u8) -> Result<Self, WebSocketError> {
        Ok(match (self, byte) {
            (Self::Character, 0x00..=0x7F) => Self::Character,
            (Self::Character, 0xC2..=0xDF) => Self::OneMore,
            (Self::Character, 0xE0) => Self::TwoMoreAfterE0,
            (Self::Character, 0xED) => Self::TwoMoreAfterEd,
            (Self::Character, 0xE1..=0xEF) => Self::TwoMore,
            (Self::Character, 0xF0) => Self::ThreeMoreAfterF0,
            (Self::Character, 0xF1..=0xF3) => Self::ThreeMore,
            (Self::Character, 0xF4) => Self::ThreeMoreAfterF4,

            (Self::ThreeMore, 0x80..=0xBF) => Self::TwoMore,
            (Self::ThreeMoreAfterF0, 0x90..=0xBF) => Self::TwoMore,
            (Self::ThreeMoreAfterF4, 0x80..=0x8F) => Self::TwoMore,

            (Self::TwoMore, 0x80..=0xBF) => Self::OneMore,
            (Self::TwoMoreAfterE0, 0xA0..=0xBF) => Self::OneMore,
            (Self::TwoMoreAfterEd, 0x80..=0x9F) => Self::OneMore,

            (Self::OneMore, 0x80..=0xBF) => Self::Character,

            _ => return Err(WebSocketError::InvalidUtf8),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The length of the longest start of `bytes` that some text begins with, by the standard library's
    /// account.
    fn possible_length(bytes: &[u8]) -> usize {
        let is_possible = |length: &usize| match str::from_utf8(&bytes[..*length]) {
            Ok(_) => true,
            Err(error) => error.error_len().is_none(),
        };
        (0..=bytes.len()).take_while(is_possible).last().unwrap()
    }

    /// Fed byte by byte and at every cut, the validator must agree with the standard library on where the
    /// text stops being possible.
    fn check(bytes: &[u8]) {
        let mut utf8 = Utf8::default();
        let accepted = bytes.iter().take_while(|&&byte| utf8.feed(&[byte]).is_ok()).count();
        assert_eq!(accepted, possible_length(bytes), "{bytes:02x?}");

        for cut in 0..=bytes.len() {
            let (front, back) = bytes.split_at(cut);
            let mut utf8 = Utf8::default();
            let result = utf8.feed(front).and_then(|()| utf8.feed(back)).and_then(|()| utf8.finish());
            assert_eq!(result.is_ok(), str::from_utf8(bytes).is_ok(), "{bytes:02x?} cut at {cut}");
        }
    }

    #[test]
    fn agrees_with_the_standard_library_on_every_pair_and_on_all_edges_of_longer_ones() {
        for first in 0..=u8::MAX {
            for second in 0..=u8::MAX {
                check(&[first, second]);
            }
        }
        let edges = [0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC2, 0xF4, 0xFF];
        for first in [0xDF, 0xE0, 0xE1, 0xEC, 0xED, 0xEE, 0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5] {
            for second in edges {
                for third in edges {
                    for fourth in edges {
                        check(&[first, second, third, fourth]);
                        check(&[b'a', first, second, third, fourth, b'z']);
                    }
                }
            }
        }
    }

    #[test]
    fn text_of_every_width_passes() {
        check("Hello-µ@ßöäüàá-UTF-8!! κόσμε 日本語 \u{FFFF} 𐀀 \u{10FFFF}".as_bytes());
    }

    #[test]
    fn the_byte_that_makes_a_character_impossible_is_the_one_refused() {
        for (possible, impossible) in [
            (&b"\xF4"[..], 0x90),    // beyond U+10FFFF
            (b"\xED", 0xA0),         // a surrogate
            (b"\xE0", 0x9F),         // overlong, three bytes
            (b"\xF0", 0x8F),         // overlong, four bytes
            (b"\xF0\x9F\x98", b'x'), // a character broken off
            (b"text", 0x80),         // a character without its start
            (b"text", 0xC0),         // overlong, two bytes
        ] {
            let mut utf8 = Utf8::default();
            assert_eq!(utf8.feed(possible), Ok(()));
            assert!(utf8.feed(&[impossible]).is_err(), "{possible:02x?} {impossible:02x}");
        }
    }

    #[test]
    fn is_one_byte() {
        assert_eq!(size_of::<Utf8>(), 1);
    }
}
