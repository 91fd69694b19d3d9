//! Reading the messages that a client sends: JSON arrays of strings (protocol, section 6).
//!
//! In goes a body; out come its messages, all of them or none. Nothing is allocated but what a caller's
//! scratch buffer needs for one message with escapes in it.
//!
//! An array of strings is so small a part of JSON that it is read by hand here. What is refused is shown to
//! `serde_json`, only to tell JSON of another shape from no JSON at all.
//!
//! JavaScript's strings may hold half of a surrogate pair, which no UTF-8 can. Such a half becomes U+FFFD and
//! the message lives on; this is why `serde_json`, which refuses it, does not decode the strings.

use std::error::Error;
use std::{fmt, mem};

use serde_json::value::RawValue;

use super::json::Forbidden;
use super::scan::{self, Written};

/// Why a body carries no messages. Its text is the body of the answer, with status 500 (protocol, section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayloadError {
    /// There is nothing, or JSON that is not an array of strings.
    Expected,
    /// This is not JSON (RFC 8259).
    Broken,
}

impl PayloadError {
    /// The body of the answer.
    pub const fn message(self) -> &'static str {
        match self {
            PayloadError::Expected => "Payload expected.",
            PayloadError::Broken => "Broken JSON encoding.",
        }
    }
}

impl fmt::Display for PayloadError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.message())
    }
}

impl Error for PayloadError {}

/// The messages of one body, handed out in order.
#[derive(Debug, Default)]
pub struct Messages<'a> {
    /// From the next message on, known to be well-formed.
    left: &'a str,
    /// The next message: most bodies have only one, which is then looked through only once.
    next: Option<Literal<'a>>,
    /// What follows the next message.
    rest: &'a str,
}

impl<'a> Messages<'a> {
    /// Checks the whole body of an `xhr_send` or `jsonp_send`.
    pub fn parse(body: &'a [u8]) -> Result<Self, PayloadError> {
        if body.is_empty() {
            return Err(PayloadError::Expected);
        }
        let text = str::from_utf8(body).map_err(|_| PayloadError::Broken)?;
        Self::array(text).ok_or_else(|| refusal(text))
    }

    /// Checks a WebSocket message, which may also be a single string, or empty: then it carries nothing.
    pub fn parse_frame(body: &'a str) -> Result<Self, PayloadError> {
        if body.is_empty() {
            return Ok(Self::default());
        }
        Self::array(body).or_else(|| Self::single(body)).ok_or_else(|| refusal(body))
    }

    fn array(text: &'a str) -> Option<Self> {
        let inside = skip_space(skip_space(text).strip_prefix('[')?);
        if let Some(end) = inside.strip_prefix(']') {
            return skip_space(end).is_empty().then_some(Self::default());
        }
        let (first, rest) = Literal::take(inside)?;
        let mut after = skip_space(rest);
        while let Some(next) = after.strip_prefix(',') {
            let (_, rest) = Literal::take(skip_space(next))?;
            after = skip_space(rest);
        }
        let end = after.strip_prefix(']')?;
        skip_space(end).is_empty().then_some(Messages { left: inside, next: Some(first), rest })
    }

    fn single(text: &'a str) -> Option<Self> {
        let left = skip_space(text);
        let (literal, rest) = Literal::take(left)?;
        skip_space(rest).is_empty().then_some(Messages { left, next: Some(literal), rest })
    }

    /// Goes on with what was [left](Self::left) of messages that were checked before.
    pub fn resume(left: &'a str) -> Self {
        match Literal::take(left) {
            Some((literal, rest)) => Self { left, next: Some(literal), rest },
            None => Self::default(),
        }
    }

    /// The text from the next message on; empty if none is left.
    pub fn left(&self) -> &'a str {
        self.left
    }

    /// The next message. It lies in the body if it has no escapes, and else is decoded into `scratch`.
    pub fn next<'s>(&mut self, scratch: &'s mut String) -> Option<&'s str>
    where
        'a: 's,
    {
        let literal = self.next.take()?;
        let after = skip_space(self.rest).strip_prefix(',');
        *self = after.map_or_else(Self::default, |after| Self::resume(skip_space(after)));
        match literal {
            Literal::Plain(text) => Some(text),
            Literal::Escaped(text) => {
                decode(text, scratch)?;
                Some(scratch)
            }
        }
    }

    /// Whether no message is left.
    pub fn is_empty(&self) -> bool {
        self.next.is_none()
    }
}

/// Why a text was refused that is not an array of strings. Nesting costs neither stack nor more memory than
/// the text has, since a `RawValue` is looked through by a loop.
#[cold]
fn refusal(text: &str) -> PayloadError {
    match serde_json::from_str::<&RawValue>(text) {
        Ok(_) => PayloadError::Expected,
        Err(_) => PayloadError::Broken,
    }
}

/// The text after leading white space, in JSON's sense (RFC 8259 §2).
fn skip_space(text: &str) -> &str {
    text.trim_start_matches([' ', '\t', '\n', '\r'])
}

/// The inside of a JSON string, its escapes checked but not decoded.
#[derive(Debug)]
enum Literal<'a> {
    Plain(&'a str),
    Escaped(&'a str),
}

impl<'a> Literal<'a> {
    /// The string that `text` begins with, and the text after it (RFC 8259 §7).
    fn take(text: &'a str) -> Option<(Self, &'a str)> {
        let inside = text.strip_prefix('"')?;
        let mut has_escapes = false;
        let mut rest = inside.as_bytes();
        loop {
            rest = scan::skip_clean::<Forbidden>(rest);
            if rest.is_empty() {
                return None;
            }
            // The next block has something in it: byte by byte.
            let left = rest.len().saturating_sub(scan::SHORT);
            while rest.len() > left {
                rest = match rest {
                    [b'"', ..] => {
                        let (text, end) = inside.split_at_checked(inside.len() - rest.len())?;
                        let literal = if has_escapes { Literal::Escaped(text) } else { Literal::Plain(text) };
                        return Some((literal, end.strip_prefix('"')?));
                    }
                    [b'\\', escape @ ..] => {
                        has_escapes = true;
                        escape.get(escape_length(escape)?..)?
                    }
                    [0..b' ', ..] | [] => return None,
                    [_, after @ ..] => after,
                };
            }
        }
    }
}

/// Writes what the inside of a string stands for into `scratch`, in place of what that held.
fn decode(text: &str, scratch: &mut String) -> Option<()> {
    let mut bytes = mem::take(scratch).into_bytes();
    bytes.clear();
    scan::copy_replacing::<Forbidden>(&mut bytes, text.as_bytes(), unescape);
    *scratch = String::from_utf8(bytes).ok()?;
    Some(())
}

/// How many bytes belong to the escape whose backslash stands before `text`.
fn escape_length(text: &[u8]) -> Option<usize> {
    match text {
        [b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => Some(1),
        [b'u', digits @ ..] => digits.first_chunk::<4>()?.iter().all(u8::is_ascii_hexdigit).then_some(5),
        _ => None,
    }
}

/// The byte that each escape of one letter stands for, where it is not the letter itself.
static LETTERS: [u8; 0x80] = {
    let mut letters = [0; 0x80];
    let mut letter = 0;
    while letter < 0x80 {
        letters[letter as usize] = match letter {
            b'b' => 0x08,
            b'f' => 0x0C,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            itself => itself,
        };
        letter += 1;
    }
    letters
};

/// The first byte of `text`, or the character of the escape with which it begins, and the text after that. Escapes were
/// checked before: what is none stands for nothing.
#[inline(always)]
fn unescape(text: &[u8]) -> (Written, &[u8]) {
    match text {
        &[byte, ref rest @ ..] if byte != b'\\' => (Written::one(byte), rest),
        [_, b'u', digits @ ..] => unescape_unit(digits),
        &[_, letter, ref rest @ ..] => {
            let byte = LETTERS.get(usize::from(letter)).copied().unwrap_or(letter);
            (Written::one(byte), rest)
        }
        _ => (Written::NOTHING, &[]),
    }
}

/// The same behind the `\u` of an escape.
fn unescape_unit(digits: &[u8]) -> (Written, &[u8]) {
    let Some((character, rest)) = decode_unicode_escape(digits) else { return (Written::NOTHING, &[]) };
    let mut bytes = [0; 4];
    let length = character.encode_utf8(&mut bytes).len();
    let [first, second, third, fourth] = bytes;
    (Written::counted([first, second, third, fourth, 0, 0, 0, length as u8]), rest)
}

/// The character of the escape whose `\u` stands before `text`, and the text after it. Two escapes that make
/// a surrogate pair are one character; half a pair is U+FFFD.
fn decode_unicode_escape(text: &[u8]) -> Option<(char, &[u8])> {
    let (unit, rest) = take_unit(text)?;
    if let 0xD800..0xDC00 = unit
        && let Some((low @ 0xDC00..0xE000, rest)) = rest.strip_prefix(b"\\u").and_then(take_unit)
    {
        let character = char::from_u32(0x1_0000 + ((unit & 0x3FF) << 10 | low & 0x3FF))?;
        return Some((character, rest));
    }
    Some((char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER), rest))
}

/// The number that the first four hexadecimal digits of `text` make, and the text after them.
fn take_unit(text: &[u8]) -> Option<(u32, &[u8])> {
    let (digits, rest) = text.split_first_chunk::<4>()?;
    let unit = digits.iter().try_fold(0, |unit, &digit| Some(unit << 4 | char::from(digit).to_digit(16)?))?;
    Some((unit, rest))
}

#[cfg(test)]
mod tests;
