//! What clients send (protocol.md, section 6), against `serde_json` and the plainest form decoder: a payload is taken
//! exactly when it is an array of strings, each message is what JSON says it is, and all are handed out or none.

use serde_json::value::RawValue;
use sockjs_server::sockjs::form::{field, is_form};
use sockjs_server::sockjs::{Messages, PayloadError};

use super::Input;

pub fn check(data: &[u8]) {
    let mut input = Input::new(data);
    let kind = input.byte();
    let bytes = input.rest();
    match kind & 3 {
        0 => check_body(bytes),
        1 => check_frame(&String::from_utf8_lossy(bytes)),
        2 => check_form(bytes),
        _ => {
            // The same message by all ways.
            let text = String::from_utf8_lossy(bytes).into_owned();
            let json = serde_json::to_string(&[&text]).expect("strings are JSON");
            assert_eq!(collect(Messages::parse(json.as_bytes())), Ok(vec![text.clone()]));
            assert_eq!(collect(Messages::parse_frame(&json)), Ok(vec![text.clone()]));
            assert_eq!(collect(Messages::parse_frame(&json[1..json.len() - 1])), Ok(vec![text]));
            let form: String = json.bytes().map(|byte| format!("%{byte:02X}")).collect();
            let mut scratch = Vec::new();
            let form = format!("x=1&d={form}&d=2");
            assert_eq!(field(form.as_bytes(), "d", &mut scratch), Some(json.as_bytes()));
        }
    }
    let _ = is_form(Some(bytes));
}

fn collect(parsed: Result<Messages<'_>, PayloadError>) -> Result<Vec<String>, PayloadError> {
    let mut messages = parsed?;
    let mut scratch = String::from("of another message");
    let mut texts = Vec::new();
    while !messages.is_empty() {
        let left = messages.left();
        let text = messages.next(&mut scratch).expect("what was checked is handed out, all of it");
        texts.push(text.to_owned());
        if texts.len() % 3 == 0 {
            assert_eq!(Messages::resume(left).next(&mut scratch), texts.last().map(String::as_str));
            messages = Messages::resume(messages.left());
        }
    }
    assert_eq!((messages.left(), messages.next(&mut scratch)), ("", None));
    Ok(texts)
}

fn check_body(bytes: &[u8]) {
    let ours = collect(Messages::parse(bytes));
    let Ok(text) = std::str::from_utf8(bytes) else {
        return assert_eq!(ours, Err(PayloadError::Broken));
    };
    judge(text, &ours, serde_json::from_str::<Vec<String>>(text).ok());
    if text.is_empty() {
        assert_eq!(ours, Err(PayloadError::Expected));
    }
}

fn check_frame(text: &str) {
    let ours = collect(Messages::parse_frame(text));
    if text.is_empty() {
        return assert_eq!(ours, Ok(Vec::new()));
    }
    let single = || serde_json::from_str::<String>(text).map(|text| vec![text]);
    judge(text, &ours, serde_json::from_str::<Vec<String>>(text).or_else(|_| single()).ok());
}

fn judge(text: &str, ours: &Result<Vec<String>, PayloadError>, theirs: Option<Vec<String>>) {
    let is_json = serde_json::from_str::<&RawValue>(text).is_ok();
    match (ours, theirs) {
        (Ok(ours), Some(theirs)) => assert_eq!(*ours, theirs),
        (Ok(ours), None) => {
            // Lone surrogates are JavaScript's, and no Rust string's: serde_json refuses them, we may not.
            assert!(is_json && text.to_ascii_lowercase().contains("\\ud"), "{text:?}");
            assert!(ours.iter().any(|text| text.contains('\u{fffd}')));
        }
        (Err(_), Some(_)) => panic!("refused: {text:?}"),
        (Err(PayloadError::Expected), None) => assert!(is_json || text.is_empty(), "{text:?}"),
        (Err(PayloadError::Broken), None) => assert!(!is_json, "{text:?}"),
    }
}

fn check_form(body: &[u8]) {
    let mut scratch = b"of another form".to_vec();
    let ours = field(body, "d", &mut scratch);
    let mut pairs = body.split(|byte| *byte == b'&').map(|pair| {
        let (name, value) = match pair.iter().position(|byte| *byte == b'=') {
            Some(at) => (&pair[..at], &pair[at + 1..]),
            None => (pair, &[][..]),
        };
        (decode(name), decode(value))
    });
    let theirs = pairs.find(|(name, _)| name == b"d").map(|(_, value)| value);
    assert_eq!(ours, theirs.as_deref());
}

/// <https://url.spec.whatwg.org/#urlencoded-parsing>, as it is written there.
fn decode(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(&byte) = value.get(at) {
        let digits = value.get(at + 1..at + 3).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        at += 1;
        match (byte, digits.and_then(|digits| std::str::from_utf8(digits).ok())) {
            (b'+', _) => out.push(b' '),
            (b'%', Some(digits)) => {
                out.push(u8::from_str_radix(digits, 16).expect("two digits"));
                at += 2;
            }
            _ => out.push(byte),
        }
    }
    out
}
