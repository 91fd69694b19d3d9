//! Finds the end of a request head in bytes that arrive bit by bit.
//!
//! In goes all that arrived of a request so far; out comes the length of its head, once complete, or the
//! error that no further byte could mend. It looks at each byte once, however the head was cut into packets,
//! and never beyond the head: bytes behind it (a body, the next request) are left alone. It knows lines, not
//! their meaning: that is [`Request::parse`](super::Request::parse)'s.

use super::{HttpError, MAX_HEADERS};

/// Empty lines forgiven before a request line: some old clients send one after a POST body (RFC 9112 §2.2).
const EMPTY_LINES: u8 = 2;

/// How large a head may be.
#[derive(Clone, Copy, Debug)]
pub struct HeadLimits {
    /// Bytes of the request line, its CRLF not counted.
    pub request_line: usize,
    /// Bytes of all field lines with their CRLFs.
    pub header_section: usize,
    /// Number of field lines; more than [`MAX_HEADERS`] is the same as that.
    pub header_count: usize,
}

/// Searches a growing buffer for the end of a head.
///
/// Good for one head; the next request on the connection takes a new one.
#[derive(Debug, Default)]
pub struct HeadScanner {
    /// Where to go on: all before this was looked at.
    searched: u32,
    /// Where the line begins that is not complete yet.
    line: u32,
    part: Part,
}

/// The part of the head that the incomplete line belongs to.
#[derive(Clone, Copy, Debug)]
enum Part {
    RequestLine { empty_lines: u8 },
    Fields { start: u32, count: u16 },
}

// Every connection that waits for a request holds one.
const _: () = assert!(size_of::<HeadScanner>() <= 16);

impl Default for Part {
    fn default() -> Self {
        Part::RequestLine { empty_lines: 0 }
    }
}

impl HeadScanner {
    /// Searches `input`, all that arrived of this request from its first byte on, for the end of the head.
    ///
    /// Returns the length of the head with its closing empty line, or `None` while that is still to come. Up
    /// to two empty lines before the request line are part of the head.
    ///
    /// A bare LF is an error, although RFC 9112 §2.2 lets a recipient take it for a line's end: a proxy in
    /// front may not, and the two would then see different fields.
    ///
    /// # Errors
    ///
    /// As soon as the bytes so far can no longer become a head within `limits`.
    pub fn scan(&mut self, input: &[u8], limits: &HeadLimits) -> Result<Option<usize>, HttpError> {
        let mut at = self.searched as usize;
        loop {
            at += find_control(input.get(at..).unwrap_or_default());
            // Before a word on the byte found, so that the same error comes first however the input is cut.
            self.check_length(at, limits)?;
            match input.get(at..).unwrap_or_default() {
                [] | [b'\r'] => {
                    self.searched = offset(at)?;
                    return Ok(None);
                }
                [b'\t', ..] => at += 1,
                [b'\r', b'\n', ..] => {
                    let next = at + 2;
                    if self.end_line(input, at, next, limits)? {
                        return Ok(Some(next));
                    }
                    at = next;
                }
                [b'\r', ..] => return Err(HttpError::BareCr),
                [b'\n', ..] => return Err(HttpError::BareLf),
                [..] => return Err(HttpError::ControlByte),
            }
        }
    }

    /// Refuses when the part up to `at` is already too long.
    fn check_length(&self, at: usize, limits: &HeadLimits) -> Result<(), HttpError> {
        match self.part {
            Part::RequestLine { .. } if at - self.line as usize > limits.request_line => {
                Err(HttpError::RequestLineTooLong)
            }
            Part::Fields { start, .. } if at - start as usize > limits.header_section => {
                Err(HttpError::HeaderSectionTooLarge)
            }
            _ => Ok(()),
        }
    }

    /// Takes note of a line that ends at `end`, the next one beginning at `next`. True if it closes the head.
    fn end_line(
        &mut self,
        input: &[u8],
        end: usize,
        next: usize,
        limits: &HeadLimits,
    ) -> Result<bool, HttpError> {
        let line = input.get(self.line as usize..end).unwrap_or_default();
        self.line = offset(next)?;
        self.searched = self.line;
        self.part = match (self.part, line) {
            (Part::RequestLine { empty_lines: EMPTY_LINES }, []) => return Err(HttpError::EmptyLines),
            (Part::RequestLine { empty_lines }, []) => Part::RequestLine { empty_lines: empty_lines + 1 },
            (Part::RequestLine { .. }, _) => Part::Fields { start: self.line, count: 0 },
            (Part::Fields { .. }, []) => return Ok(true),
            (Part::Fields { .. }, [b' ' | b'\t', ..]) => return Err(HttpError::FoldedField),
            (Part::Fields { count, .. }, _) if usize::from(count) >= limits.header_count.min(MAX_HEADERS) => {
                return Err(HttpError::TooManyFields);
            }
            (Part::Fields { start, count }, _) => Part::Fields { start, count: count + 1 },
        };
        Ok(false)
    }
}

/// Positions are kept in 32 bits; no sane limit lets a head grow past them.
fn offset(at: usize) -> Result<u32, HttpError> {
    u32::try_from(at).map_err(|_| HttpError::HeaderSectionTooLarge)
}

/// The position of the first byte below 0x20 or equal to 0x7F, or the length if there is none.
///
/// Eight bytes at a time. One added to its low seven bits turns each byte we look for, and no other below
/// 0x80, into one of 0x01..=0x20 and 0x80, so that a single comparison is enough; no sum overflows its byte,
/// so no byte disturbs its neighbours.
fn find_control(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const TOPS: u64 = ONES << 7;

    let (words, tail) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let next = (word & !TOPS) + ONES;
        let above_0x20 = (next & !TOPS) + ONES * (0x80 - 0x21);
        let found = !(above_0x20 | word) & TOPS;
        if found != 0 {
            return index * 8 + found.trailing_zeros() as usize / 8;
        }
    }
    let clean = tail.iter().position(u8::is_ascii_control).unwrap_or(tail.len());
    bytes.len() - tail.len() + clean
}

#[cfg(test)]
mod tests;
