//! Writing JSON strings.
//!
//! In goes text; out comes a JSON string that every client's parser reads back as that text. Some characters
//! that JSON allows as they are do not survive every browser, and are escaped as well (protocol, section 5).

use super::scan;

/// Appends `text` as a JSON string, quotes included.
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    out.reserve(text.len().saturating_add(2));
    out.push(b'"');
    scan::copy_replacing(out, text.as_bytes(), is_suspect, escape);
    out.push(b'"');
}

/// How many bytes [`write_string`] appends.
pub fn string_length(text: &str) -> usize {
    // Escapes are written into a small buffer, so that one function alone knows them.
    let mut escaped = Vec::new();
    let mut rest = text.as_bytes();
    let mut length = 2;
    while let Some(clean) = scan::find(rest, is_suspect) {
        escaped.clear();
        let suspect = rest.get(clean..).unwrap_or_default();
        rest = escape(&mut escaped, suspect);
        length += clean + escaped.len();
    }
    length + rest.len()
}

/// Whether a JSON string cannot hold this byte as it is (RFC 8259 §7).
#[inline]
pub(super) fn is_forbidden(byte: u8) -> bool {
    (byte < 0x20) | (byte == b'"') | (byte == b'\\')
}

/// Whether [`escape`] must look at this byte: it is forbidden, or a fragile character may begin with it.
#[inline]
fn is_suspect(byte: u8) -> bool {
    is_forbidden(byte) | (byte == 0xE2) | (byte == 0xEF)
}

/// Whether some client loses or misreads this UTF-16 unit when it arrives as it is: U+2028 and U+2029 end a
/// line in the middle of a JavaScript string, and browsers have dropped the format characters and
/// non-characters.
fn is_fragile(unit: u16) -> bool {
    matches!(unit, 0x200C..=0x200F | 0x2028..=0x202F | 0x2060..=0x206F | 0xFFF0..=0xFFFF)
}

/// Writes the first character of `text`, escaped where that is needed, and returns the text after it.
///
/// `<` counts as needed: only callers whose output lies inside HTML suspect it.
pub(super) fn escape<'t>(out: &mut Vec<u8>, text: &'t [u8]) -> &'t [u8] {
    match text {
        &[lead @ (0xE2 | 0xEF), second, third, ref rest @ ..] => {
            let unit = u16::from(lead & 0x0F) << 12 | u16::from(second & 0x3F) << 6 | u16::from(third & 0x3F);
            if is_fragile(unit) {
                write_unicode_escape(out, unit);
            } else {
                out.extend_from_slice(&[lead, second, third]);
            }
            rest
        }
        &[byte, ref rest @ ..] => {
            match byte {
                b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
                0x08 => out.extend_from_slice(b"\\b"),
                b'\t' => out.extend_from_slice(b"\\t"),
                b'\n' => out.extend_from_slice(b"\\n"),
                0x0C => out.extend_from_slice(b"\\f"),
                b'\r' => out.extend_from_slice(b"\\r"),
                0x00..0x20 | b'<' => write_unicode_escape(out, u16::from(byte)),
                _ => out.push(byte),
            }
            rest
        }
        [] => text,
    }
}

/// Appends `\uXXXX`, in lower case as the protocol's suite compares it.
fn write_unicode_escape(out: &mut Vec<u8>, unit: u16) {
    let digit = |shift: u32| match (unit >> shift & 0xF) as u8 {
        value @ 0..10 => b'0' + value,
        value => b'a' - 10 + value,
    };
    out.extend_from_slice(&[b'\\', b'u', digit(12), digit(8), digit(4), digit(0)]);
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
        scan::copy_replacing(&mut out, b"a\xE2\x80", is_suspect, escape);
        assert_eq!(out, b"a\xE2\x80");
    }
}
