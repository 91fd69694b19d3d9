//! UTF-8 that arrives in pieces: bytes go in as they come, and the first byte after which no text is possible
//! is an error at once (RFC 6455 §8.1; the Autobahn suite calls it fail-fast). Each byte is looked at once, for what
//! was found to be text is kept as text.

use super::WebSocketError;
use std::str;

/// A text that is put together from pieces cut anywhere, within characters too. After an error it has nothing more
/// to say.
#[derive(Debug, Default)]
pub struct Text {
    text: String,
    /// The start of a character whose rest has not come.
    begun: [u8; 4],
    begun_length: usize,
}

impl Text {
    /// An empty text, in memory that served another.
    pub fn within(mut memory: Vec<u8>) -> Self {
        memory.clear();
        Self { text: String::from_utf8(memory).unwrap_or_default(), ..Self::default() }
    }

    /// Its memory, with whatever is in it.
    pub fn into_memory(self) -> Vec<u8> {
        self.text.into_bytes()
    }

    /// Bytes of memory that it holds.
    pub fn capacity(&self) -> usize {
        self.text.capacity()
    }

    /// Bytes that were taken.
    pub fn len(&self) -> usize {
        self.text.len() + self.begun_length
    }

    /// Whether none were.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Makes room for so many bytes more than [were taken](Self::len), and for no others.
    pub fn reserve_exact(&mut self, additional: usize) {
        self.text.reserve_exact(self.begun_length + additional);
    }

    /// Takes the next bytes of the text.
    ///
    /// # Errors
    /// With them it can be none, whatever follows.
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<(), WebSocketError> {
        while self.begun_length > 0 {
            let Some(&byte) = bytes.split_off_first() else { return Ok(()) };
            self.go_on(byte)?;
        }
        let (whole, begun) = split_last_character(bytes);
        self.text.push_str(str::from_utf8(whole).map_err(|_| WebSocketError::InvalidUtf8)?);
        begun.iter().try_for_each(|&byte| self.go_on(byte))
    }

    /// The text, which must not end within a character.
    ///
    /// # Errors
    /// It does.
    pub fn finish(&self) -> Result<&str, WebSocketError> {
        match self.begun_length {
            0 => Ok(&self.text),
            _ => Err(WebSocketError::InvalidUtf8),
        }
    }

    /// One byte of a character that comes in pieces.
    fn go_on(&mut self, byte: u8) -> Result<(), WebSocketError> {
        if let Some(place) = self.begun.get_mut(self.begun_length) {
            *place = byte;
        }
        self.begun_length += 1;
        match str::from_utf8(self.begun.get(..self.begun_length).unwrap_or_default()) {
            Ok(character) => {
                self.text.push_str(character);
                self.begun_length = 0;
            }
            Err(error) if error.error_len().is_some() => return Err(WebSocketError::InvalidUtf8),
            Err(_) => {}
        }
        Ok(())
    }
}

/// Cuts off a last character that has begun but, by its first byte, not ended. Whether either part is UTF-8 is
/// another question.
fn split_last_character(bytes: &[u8]) -> (&[u8], &[u8]) {
    let is_first = |byte: &u8| byte & 0xC0 != 0x80;
    let begun = bytes.iter().rev().take(3).position(is_first).map_or(0, |behind| behind + 1);
    let length = match bytes.len().checked_sub(begun).and_then(|first| bytes.get(first)) {
        Some(0xC0..=0xDF) => 2,
        Some(0xE0..=0xEF) => 3,
        Some(0xF0..) => 4,
        _ => 0,
    };
    let begun = if begun < length { begun } else { 0 };
    bytes.split_at_checked(bytes.len().saturating_sub(begun)).unwrap_or((bytes, &[]))
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
        let mut utf8 = Text::default();
        let accepted = bytes.iter().take_while(|&&byte| utf8.push(&[byte]).is_ok()).count();
        assert_eq!(accepted, possible_length(bytes), "{bytes:02x?}");

        for cut in 0..=bytes.len() {
            let (front, back) = bytes.split_at(cut);
            let mut utf8 = Text::default();
            let result = utf8.push(front).and_then(|()| utf8.push(back)).and_then(|()| utf8.finish());
            assert_eq!(result.ok(), str::from_utf8(bytes).ok(), "{bytes:02x?} cut at {cut}");
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
            let mut utf8 = Text::default();
            assert_eq!(utf8.push(possible), Ok(()));
            assert!(utf8.push(&[impossible]).is_err(), "{possible:02x?} {impossible:02x}");
        }
    }

    #[test]
    fn memory_is_used_again() {
        let mut memory = Vec::with_capacity(100);
        memory.extend_from_slice(b"\xFFwhat another left");
        let place = memory.as_ptr();
        let mut text = Text::within(memory);
        assert!(text.is_empty());
        text.push("κόσμε".as_bytes()).unwrap();
        assert!(!text.is_empty());
        assert_eq!((text.len(), text.capacity(), text.finish()), (10, 100, Ok("κόσμε")));
        let memory = text.into_memory();
        assert_eq!(memory.as_ptr(), place);
    }
}
