//! Reading `application/x-www-form-urlencoded`, the only form in which old browsers can send a jsonp message,
//! and in which pages write queries.
//!
//! In goes a body, a query or a single encoded value; out come decoded bytes, or the text that they are.

use std::borrow::Cow;

/// Whether a `Content-Type` says that the body is a form: parameters and case do not matter (RFC 9110
/// §8.3.1).
pub fn is_form(content_type: Option<&[u8]>) -> bool {
    content_type.and_then(|value| value.split(|&byte| byte == b';').next()).is_some_and(|media_type| {
        media_type.trim_ascii().eq_ignore_ascii_case(b"application/x-www-form-urlencoded")
    })
}

/// The value of the first field called `name`, decoded into `scratch`.
pub fn field<'s>(body: &[u8], name: &str, scratch: &'s mut Vec<u8>) -> Option<&'s [u8]> {
    let value = body.split(|&byte| byte == b'&').find_map(|pair| {
        let mut halves = pair.splitn(2, |&byte| byte == b'=');
        let is_named = halves.next().is_some_and(|half| decoded(half).eq(name.bytes()));
        is_named.then(|| halves.next().unwrap_or_default())
    })?;
    scratch.clear();
    scratch.extend(decoded(value));
    Some(scratch)
}

/// The value of the first parameter of a query called `name`, decoded; `None` if there is none, or its bytes are not
/// UTF-8. What needs no decoding is not copied.
pub fn parameter<'q>(query: &'q str, name: &str) -> Option<Cow<'q, str>> {
    let mut pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let (_, value) = pairs.find(|(other, _)| decoded(other.as_bytes()).eq(name.bytes()))?;
    if !value.contains(['+', '%']) {
        return Some(Cow::Borrowed(value));
    }
    String::from_utf8(decoded(value.as_bytes()).collect()).ok().map(Cow::Owned)
}

/// The bytes that an encoded value stands for. A `%` without two hexadecimal digits stands for itself.
pub(super) fn decoded(value: &[u8]) -> impl Iterator<Item = u8> {
    let mut rest = value;
    std::iter::from_fn(move || {
        let (&first, after) = rest.split_first()?;
        let (byte, after) = match first {
            b'+' => (b' ', after),
            b'%' => decoded_octet(after).unwrap_or((b'%', after)),
            _ => (first, after),
        };
        rest = after;
        Some(byte)
    })
}

/// The byte written as the two hexadecimal digits that `text` begins with, and the text after them.
fn decoded_octet(text: &[u8]) -> Option<(u8, &[u8])> {
    let digit = |digit: u8| char::from(digit).to_digit(16);
    let (&[high, low], rest) = text.split_first_chunk()?;
    let octet = digit(high)? * 16 + digit(low)?;
    Some((u8::try_from(octet).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::super::random::Random;
    use super::*;

    #[test]
    fn fields_are_found_and_decoded() {
        let cases: [(&str, Option<&str>); 24] = [
            ("d=x", Some("x")),
            ("d=%5B%22x%22%5D", Some("[\"x\"]")),
            ("d=%5b%22x%22%5d", Some("[\"x\"]")),
            ("d=a+b%2Bc%20d", Some("a b+c d")),
            ("d=a=b=c", Some("a=b=c")),
            ("d=%E2%82%AC", Some("€")),
            ("d=%25%32%35", Some("%25")),
            ("c=1&d=2&d=3", Some("2")),
            ("&&d=2", Some("2")),
            ("dd=1&d=2", Some("2")),
            ("%64=2", Some("2")),
            ("d", Some("")),
            ("d=", Some("")),
            ("d=&d=2", Some("")),
            ("d=%", Some("%")),
            ("d=%4", Some("%4")),
            ("d=%4g%g4%%34", Some("%4g%g4%4")),
            ("d=% 41%+1%é", Some("% 41% 1%é")),
            ("", None),
            ("=x", None),
            ("D=x", None),
            ("x=d", None),
            ("d;=x", None),
            (" d=x", None),
        ];
        let mut scratch = b"left over".to_vec();
        for (body, expected) in cases {
            let found = field(body.as_bytes(), "d", &mut scratch);
            assert_eq!(found, expected.map(str::as_bytes), "{body:?}");
        }
    }

    /// Base64 has all that is special in a query: `+`, `/` and `=`.
    #[test]
    fn parameters_of_a_query_are_text() {
        let cases: [(&str, Option<&str>); 26] = [
            ("token=abc", Some("abc")),
            ("token=a%2Bb/c%3D%3D", Some("a+b/c==")),
            ("token=a%2bb%2Fc==", Some("a+b/c==")),
            ("token=a+b", Some("a b")),
            ("token=a%20b", Some("a b")),
            ("token=%C3%A9%F0%9F%98%80", Some("é😀")),
            ("token=%00%0d%0A", Some("\0\r\n")),
            ("token=%26%3D%3F%23", Some("&=?#")),
            ("token=%2525", Some("%25")),
            ("token=100%", Some("100%")),
            ("token=%zz%4", Some("%zz%4")),
            ("token=a?b", Some("a?b")),
            ("token", Some("")),
            ("token=", Some("")),
            ("a=1&token=2&token=3", Some("2")),
            ("&&token=2&", Some("2")),
            ("%74oken=2", Some("2")),
            ("to+ken=1&token=2", Some("2")),
            // The first one counts, whatever it is.
            ("token=%ff&token=2", None),
            ("token=%C3", None),
            ("token=%ED%A0%80", None),
            ("token=%C0%80", None),
            ("tokens=1", None),
            ("Token=1", None),
            ("a=token", None),
            ("", None),
        ];
        for (query, expected) in cases {
            assert_eq!(parameter(query, "token").as_deref(), expected, "{query:?}");
        }
        assert!(matches!(parameter("token=a/b==", "token"), Some(Cow::Borrowed("a/b=="))));
        assert_eq!(parameter("a+b%3D=1", "a b=").as_deref(), Some("1"));
    }

    #[test]
    fn what_was_encoded_is_decoded() {
        let mut scratch = Vec::new();
        for seed in 0..500 {
            let mut random = Random::new(seed);
            let value: Vec<u8> =
                (0..random.below(40)).map(|_| u8::try_from(random.below(256)).unwrap()).collect();
            let mut body = b"first=1&d=".to_vec();
            for &byte in &value {
                match byte {
                    b' ' if random.below(2) == 0 => body.push(b'+'),
                    b'%' | b'&' | b'+' => body.extend_from_slice(format!("%{byte:02x}").as_bytes()),
                    _ if random.below(3) == 0 => body.extend_from_slice(format!("%{byte:02X}").as_bytes()),
                    _ => body.push(byte),
                }
            }
            assert_eq!(field(&body, "d", &mut scratch), Some(value.as_slice()));
        }
    }

    #[test]
    fn media_types() {
        let cases: [(Option<&str>, bool); 9] = [
            (Some("application/x-www-form-urlencoded"), true),
            (Some("Application/X-WWW-Form-URLencoded"), true),
            (Some("application/x-www-form-urlencoded; charset=UTF-8"), true),
            (Some(" application/x-www-form-urlencoded\t;charset=UTF-8"), true),
            (Some("application/x-www-form-urlencoded2"), false),
            (Some("text/plain; application/x-www-form-urlencoded"), false),
            (Some("text/plain"), false),
            (Some(""), false),
            (None, false),
        ];
        for (content_type, expected) in cases {
            assert_eq!(is_form(content_type.map(str::as_bytes)), expected, "{content_type:?}");
        }
    }
}
