//! Writing JSON strings.
//!
//! In goes text; out comes a JSON string that every client's parser reads back as that text. Some characters
//! that JSON allows as they are do not survive every browser, and are escaped as well (protocol, section 5).

use super::scan::{self, Set, Written};

/// The bytes that a JSON string cannot hold as they are (RFC 8259 §7).
pub(super) struct Forbidden;

impl Set for Forbidden {
    const OTHERS: [u8; 4] = *b"\"\"\\\\";
}

/// The same, and the bytes with which a fragile character may begin.
struct Suspect;

impl Set for Suspect {
    const OTHERS: [u8; 4] = *b"\"\\\xE2\xEF";
}

/// Appends `text` as a JSON string, quotes included.
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    out.reserve(text.len().saturating_add(2));
    out.push(b'"');
    scan::copy_replacing::<Suspect>(out, text.as_bytes(), escape);
    out.push(b'"');
}

/// How many bytes [`write_string`] appends.
pub fn string_length(text: &str) -> usize {
    let mut rest = text.as_bytes();
    let mut length = 2;
    while let Some(clean) = scan::find::<Suspect>(rest) {
        let (written, after) = escape(rest.get(clean..).unwrap_or_default());
        length += clean + written.length();
        rest = after;
    }
    length + rest.len()
}

/// Whether some client loses or misreads this UTF-16 unit when it arrives as it is: U+2028 and U+2029 end a
/// line in the middle of a JavaScript string, and browsers have dropped the format characters and
/// non-characters.
fn is_fragile(unit: u16) -> bool {
    matches!(unit, 0x200C..=0x200F | 0x2028..=0x202F | 0x2060..=0x206F | 0xFFF0..=0xFFFF)
}

/// How each ASCII character is written.
static ASCII: [Written; 0x80] = {
    let mut all = [Written::NOTHING; 0x80];
    let mut byte = 0;
    while byte < 0x80 {
        all[byte as usize] = match byte {
            b'"' | b'\\' => pair(byte),
            0x08 => pair(b'b'),
            b'\t' => pair(b't'),
            b'\n' => pair(b'n'),
            0x0C => pair(b'f'),
            b'\r' => pair(b'r'),
            0x00..0x20 => unicode(byte as u16),
            _ => Written::one(byte),
        };
        byte += 1;
    }
    all
};

/// A backslash and one character.
const fn pair(character: u8) -> Written {
    Written::counted([b'\\', character, 0, 0, 0, 0, 0, 2])
}

/// `\uXXXX`, in lower case as the protocol's suite compares it.
const fn unicode(unit: u16) -> Written {
    const fn digit(unit: u16, shift: u32) -> u8 {
        match (unit >> shift & 0xF) as u8 {
            value @ 0..10 => b'0' + value,
            value => b'a' - 10 + value,
        }
    }
    let [first, second] = [digit(unit, 12), digit(unit, 8)];
    Written::counted([b'\\', b'u', first, second, digit(unit, 4), digit(unit, 0), 0, 6])
}

/// How the first character of `text` is written, escaped where that is needed, and the text after it. A byte that is
/// not the first of a character, or lacks its rest, stays as it is.
#[inline(always)]
pub(super) fn escape(text: &[u8]) -> (Written, &[u8]) {
    match text {
        &[byte @ ..0x80, ref rest @ ..] => {
            (ASCII.get(usize::from(byte)).copied().unwrap_or(Written::NOTHING), rest)
        }
        &[lead @ (0xE2 | 0xEF), second, third, ref rest @ ..] => {
            let unit = u16::from(lead & 0x0F) << 12 | u16::from(second & 0x3F) << 6 | u16::from(third & 0x3F);
            let itself = Written::counted([lead, second, third, 0, 0, 0, 0, 3]);
            (if is_fragile(unit) { unicode(unit) } else { itself }, rest)
        }
        &[byte, ref rest @ ..] => (Written::one(byte), rest),
        [] => (Written::NOTHING, text),
    }
}

/// The same within HTML, where `<` may begin a tag.
#[inline(always)]
pub(super) fn escape_in_html(text: &[u8]) -> (Written, &[u8]) {
    match text {
        [b'<', rest @ ..] => (const { unicode(b'<' as u16) }, rest),
        _ => escape(text),
    }
}

#[cfg(test)]
mod tests {
    use super::super::random::Random;
    use super::*;

    fn written(text: &str) -> String {
        let mut out = Vec::new();
        write_string(&mut out, text);
        assert_eq!(string_length(text), out.len(), "{text:?}");
        String::from_utf8(out).unwrap()
    }

    /// Section 5, character by character.
    fn naive(text: &str) -> String {
        let mut out = String::from("\"");
        for character in text.chars() {
            match character {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\u{8}' => out.push_str("\\b"),
                '\t' => out.push_str("\\t"),
                '\n' => out.push_str("\\n"),
                '\u{c}' => out.push_str("\\f"),
                '\r' => out.push_str("\\r"),
                '\u{0}'..='\u{1f}'
                | '\u{200c}'..='\u{200f}'
                | '\u{2028}'..='\u{202f}'
                | '\u{2060}'..='\u{206f}'
                | '\u{fff0}'..='\u{ffff}' => out.push_str(&format!("\\u{:04x}", u32::from(character))),
                _ => out.push(character),
            }
        }
        out.push('"');
        out
    }

    #[test]
    fn writes_what_the_protocol_writes() {
        let cases = [
            ("", r#""""#),
            ("x", r#""x""#),
            ("a/b", r#""a/b""#),
            ("</script>", r#""</script>""#),
            ("say \"hi\" \\o/", r#""say \"hi\" \\o/""#),
            ("\0\u{1}\u{1f}\u{7f}", "\"\\u0000\\u0001\\u001f\u{7f}\""),
            ("\u{8}\t\n\u{b}\u{c}\r", r#""\b\t\n\u000b\f\r""#),
            ("\u{200b}\u{200c}\u{200f}\u{2010}", "\"\u{200b}\\u200c\\u200f\u{2010}\""),
            ("\u{2027}\u{2028}\u{202f}\u{2030}", "\"\u{2027}\\u2028\\u202f\u{2030}\""),
            ("\u{205f}\u{2060}\u{206f}\u{2070}", "\"\u{205f}\\u2060\\u206f\u{2070}\""),
            ("\u{ffef}\u{fff0}\u{ffff}\u{10000}", "\"\u{ffef}\\ufff0\\uffff\u{10000}\""),
            ("日本語、全角!😀", "\"日本語、全角!😀\""),
        ];
        for (text, expected) in cases {
            assert_eq!(written(text), expected);
            assert_eq!(naive(text), expected);
        }
    }

    #[test]
    fn every_character_is_read_back() {
        for character in '\0'..=char::MAX {
            let text = character.to_string();
            let json = written(&text);
            assert_eq!(json, naive(&text));
            assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }
    }

    #[test]
    fn random_text_is_written_as_the_naive_writer_does() {
        for seed in 0..2000 {
            let text = Random::new(seed).text(200);
            let json = written(&text);
            assert_eq!(json, naive(&text));
            assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }
    }

    #[test]
    fn appends() {
        let mut out = b"a[".to_vec();
        write_string(&mut out, "one");
        write_string(&mut out, "two");
        assert_eq!(out, br#"a["one""two""#);
    }

    #[test]
    fn bytes_that_end_in_the_middle_of_a_character_pass_through() {
        let mut out = Vec::new();
        scan::copy_replacing::<Suspect>(&mut out, b"a\xE2\x80", escape);
        assert_eq!(out, b"a\xE2\x80");
    }
}
