//! As much of JSON (RFC 8259) as a log and SockJS need: strings, and values that are passed
//! over. Pure: text in, values out.

use std::fmt::Write;

/// The deepest nesting that is passed over.
const DEEPEST: usize = 32;

/// Appends a text as a JSON string (RFC 8259 §7). Control characters are escaped, those beyond ASCII too.
pub(crate) fn push_string(out: &mut String, text: &str) {
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            letter if letter.is_control() => {
                let _ = write!(out, "\\u{:04x}", u32::from(letter));
            }
            letter => out.push(letter),
        }
    }
    out.push('"');
}

/// A place in a JSON text. Every method leaves white space behind it.
#[derive(Clone, Copy)]
pub(crate) struct Json<'t> {
    rest: &'t str,
}

impl<'t> Json<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        Self { rest: text }.past_space()
    }

    #[inline(never)]
    fn past_space(self) -> Self {
        let is_space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        let end = self.rest.bytes().take_while(is_space).count();
        Self { rest: self.rest.get(end..).unwrap_or_default() }
    }

    // One copy of each: a check is in no hurry, and the program is small.

    /// Takes a piece of punctuation, or a word, if it is next.
    #[inline(never)]
    pub(crate) fn take(&mut self, token: &str) -> bool {
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                *self = Self { rest }.past_space();
                true
            }
            None => false,
        }
    }

    /// Whether nothing follows.
    pub(crate) fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// Takes a string. A surrogate that stands alone becomes U+FFFD, as servers have it.
    #[inline(never)]
    pub(crate) fn string(&mut self) -> Option<String> {
        let mut rest = self.rest.strip_prefix('"')?;
        let mut text = String::new();
        loop {
            let end = rest.find(['"', '\\'])?;
            let (plain, special) = rest.split_at_checked(end)?;
            if plain.bytes().any(|byte| byte < b' ') {
                return None;
            }
            text.push_str(plain);
            if let Some(behind) = special.strip_prefix('"') {
                *self = Self { rest: behind }.past_space();
                return Some(text);
            }
            let (letter, behind) = escape(special.strip_prefix('\\')?)?;
            text.push(letter);
            rest = behind;
        }
    }

    /// Takes a number without a sign and a fraction.
    pub(crate) fn natural(&mut self) -> Option<u16> {
        let end = self.rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at_checked(end)?;
        *self = Self { rest }.past_space();
        digits.parse().ok()
    }

    /// Takes an array of strings.
    pub(crate) fn strings(&mut self) -> Option<Vec<String>> {
        let mut strings = Vec::new();
        if !self.take("[") {
            return None;
        }
        if self.take("]") {
            return Some(strings);
        }
        loop {
            strings.push(self.string()?);
            if self.take("]") {
                return Some(strings);
            }
            if !self.take(",") {
                return None;
            }
        }
    }

    /// Calls `read` at the value of each member of an object; it takes the value, or says `None`.
    pub(crate) fn members(&mut self, mut read: impl FnMut(&str, &mut Self) -> Option<()>) -> Option<()> {
        if !self.take("{") {
            return None;
        }
        if self.take("}") {
            return Some(());
        }
        loop {
            let name = self.string()?;
            if !self.take(":") {
                return None;
            }
            read(&name, self)?;
            if self.take("}") {
                return Some(());
            }
            if !self.take(",") {
                return None;
            }
        }
    }

    /// Passes over a value.
    pub(crate) fn skip(&mut self) -> Option<()> {
        self.skip_nested(DEEPEST)
    }

    fn skip_nested(&mut self, depth: usize) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        if self.rest.starts_with('"') {
            return self.string().map(drop);
        }
        if self.rest.starts_with('{') {
            return self.members(|_, json| json.skip_nested(depth));
        }
        if self.take("[") {
            if self.take("]") {
                return Some(());
            }
            loop {
                self.skip_nested(depth)?;
                if self.take("]") {
                    return Some(());
                }
                if !self.take(",") {
                    return None;
                }
            }
        }
        // A number or a word: what it is does not matter here.
        let is_of_it = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '+' | '.');
        let end = self.rest.find(|letter| !is_of_it(letter)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at_checked(end).filter(|(word, _)| !word.is_empty())?;
        let is_value = matches!(word, "true" | "false" | "null")
            || word.starts_with(|letter: char| letter == '-' || letter.is_ascii_digit());
        *self = Self { rest }.past_space();
        is_value.then_some(())
    }
}

/// Reads an escape behind its backslash.
fn escape(text: &str) -> Option<(char, &str)> {
    let mut letters = text.chars();
    let letter = match letters.next()? {
        letter @ ('"' | '\\' | '/') => letter,
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'u' => return unicode(letters.as_str()),
        _ => return None,
    };
    Some((letter, letters.as_str()))
}

/// Reads what stands behind `\u`, and the second half of a pair of surrogates.
fn unicode(text: &str) -> Option<(char, &str)> {
    let (unit, rest) = code_unit(text)?;
    if (0xd800..0xdc00).contains(&unit)
        && let Some((low, behind)) = rest.strip_prefix("\\u").and_then(code_unit)
        && (0xdc00..0xe000).contains(&low)
    {
        let code = 0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
        return Some((char::from_u32(code)?, behind));
    }
    Some((char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER), rest))
}

fn code_unit(text: &str) -> Option<(u32, &str)> {
    let (digits, rest) = text.split_at_checked(4)?;
    let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    Some((u32::from_str_radix(digits, 16).ok().filter(|_| is_hex)?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn string(text: &str) -> Option<String> {
        let mut json = Json::new(text);
        json.string().filter(|_| json.is_at_end())
    }

    #[test]
    fn strings_are_read_as_others_read_them() {
        for text in [
            r#""""#,
            r#"  "a" "#,
            r#""\\\"\/\b\f\n\r\t""#,
            r#""\u00fc\u2028 ü \ud83d\ude42""#,
            r#""a"b"#,
            r#""a"#,
            r#""\x""#,
            r#""\u12""#,
            r#""\u+123""#,
            "\"\n\"",
            "a",
            "",
        ] {
            assert_eq!(string(text), serde_json::from_str(text).ok(), "{text}");
        }
        // Lone surrogates are valid JSON, and Rust has no string for them.
        for text in [r#""\ud83d""#, r#""\ude42""#] {
            assert_eq!(string(text).as_deref(), Some("\u{fffd}"), "{text}");
        }
        assert_eq!(string(r#""\ud83d\u0041""#).as_deref(), Some("\u{fffd}A"));
    }

    #[test]
    fn what_is_written_can_be_read() {
        let text = "a\"\\/\u{0}\n\u{1b}\u{7f}\u{9b}ü\u{2028}🙂";
        let mut out = String::new();
        push_string(&mut out, text);
        assert_eq!(string(&out).as_deref(), Some(text));
        assert!(!out.chars().any(char::is_control), "{out}");
    }

    #[test]
    fn arrays_and_objects_are_passed_over_or_read() {
        for text in
            ["[]", r#"["a","b"]"#, " [ \"a\" , \"b\" ] ", r#"["a",]"#, r#"["a""#, "[1]", r#""a""#, "["]
        {
            let read = Json::new(text).strings();
            assert_eq!(read, serde_json::from_str::<Vec<String>>(text).ok(), "{text}");
        }
        for text in [
            r#"{"a":[1,-2.5e+3,{"b":[]},null,true,"x"],"c":{}}"#,
            "[[[]]]",
            "0",
            "{",
            r#"{"a"}"#,
            r#"{"a":}"#,
            r#"{"a":1,}"#,
            "[1 2]",
            "nothing",
            "",
        ] {
            let mut json = Json::new(text);
            let is_sound = json.skip().is_some() && json.is_at_end();
            assert_eq!(is_sound, serde_json::from_str::<serde_json::Value>(text).is_ok(), "{text}");
        }
        assert!(Json::new(&"[".repeat(1_000_000)).skip().is_none());
    }

    #[test]
    fn numbers_are_natural() {
        for (text, number) in [("3000", Some(3000)), ("65536", None), ("-1", None), ("", None)] {
            assert_eq!(Json::new(text).natural(), number, "{text}");
        }
    }
}
