//! The name of the JavaScript function that htmlfile and jsonp responses call.
//!
//! In goes a raw query value; out comes a name that is safe to print into a script. Everything else is
//! refused: these bytes are the client's, and a browser will execute what surrounds them.

use std::error::Error;
use std::fmt;

use super::form;

/// The longest name admitted. Clients use ten characters or so.
const MAX_LENGTH: usize = 32;

/// A function's name: 1 to 32 characters of `[a-zA-Z0-9-_.]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Callback {
    name: [u8; MAX_LENGTH],
    length: usize,
}

impl Callback {
    /// The name.
    pub fn as_str(&self) -> &str {
        self.name.get(..self.length).and_then(|name| str::from_utf8(name).ok()).unwrap_or_default()
    }
}

/// Why a request names no function. Its text is the body of the answer, with status 500 (protocol, section
/// 8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallbackError {
    /// The query has no such parameter.
    Missing,
    /// The name is empty, too long, or holds a character that could end it.
    Invalid,
}

impl CallbackError {
    /// The body of the answer.
    pub const fn message(self) -> &'static str {
        match self {
            CallbackError::Missing => "\"callback\" parameter required",
            CallbackError::Invalid => "invalid \"callback\" parameter",
        }
    }
}

impl fmt::Display for CallbackError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.message())
    }
}

impl Error for CallbackError {}

/// Admits the value of a request's `c` or `callback` parameter, given as it stands in the query.
pub fn callback(raw: Option<&str>) -> Result<Callback, CallbackError> {
    let raw = raw.ok_or(CallbackError::Missing)?;
    let mut callback = Callback { name: [0; MAX_LENGTH], length: 0 };
    // Byte by byte to the very end: a pattern that stops before a final line feed would admit `cb%0a`.
    for byte in form::decoded(raw.as_bytes()) {
        match callback.name.get_mut(callback.length) {
            Some(place) if byte.is_ascii_alphanumeric() || b"-_.".contains(&byte) => *place = byte,
            _ => return Err(CallbackError::Invalid),
        }
        callback.length += 1;
    }
    if callback.length == 0 { Err(CallbackError::Invalid) } else { Ok(callback) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_admitted() {
        let cases = [
            ("c", "c"),
            ("callback", "callback"),
            ("_jp.a5bCd9", "_jp.a5bCd9"),
            ("a-b_c.D9", "a-b_c.D9"),
            ("_jp%2Ea", "_jp.a"),
            ("%63%62", "cb"),
            ("abcdefghijklmnopqrstuvwxyz012345", "abcdefghijklmnopqrstuvwxyz012345"),
        ];
        for (raw, expected) in cases {
            assert_eq!(callback(Some(raw)).unwrap().as_str(), expected);
        }
    }

    #[test]
    fn everything_else_is_refused() {
        assert_eq!(callback(None), Err(CallbackError::Missing));
        let hostile = [
            "",
            "%",
            "%20",
            "+",
            " ",
            "*",
            "abc(",
            "abc%28",
            "cb%0a",
            "cb%0A",
            "cb%0d%0a",
            "cb\n",
            "%0acb",
            "cb%00",
            "cb%",
            "cb%2",
            "cb%zz",
            "a;b",
            "a%3Bb",
            "alert(1)",
            "%3Cscript%3E",
            "a/b",
            "a%2Fb",
            "a=b",
            "a,b",
            "a'b",
            "a%22b",
            "a\\b",
            "$",
            "é",
            "%C3%A9",
            "a%E2%80%A8",
            "%252E",
            "abcdefghijklmnopqrstuvwxyz0123456",
        ];
        for raw in hostile {
            assert_eq!(callback(Some(raw)), Err(CallbackError::Invalid), "{raw:?}");
        }
    }

    #[test]
    fn each_byte_by_itself() {
        for byte in 0..=255_u8 {
            let allowed = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
            assert_eq!(callback(Some(&format!("a%{byte:02x}"))).is_ok(), allowed, "{byte}");
        }
    }

    #[test]
    fn answers_are_the_protocols() {
        assert_eq!(CallbackError::Missing.to_string(), "\"callback\" parameter required");
        assert_eq!(CallbackError::Invalid.to_string(), "invalid \"callback\" parameter");
    }
}
