use super::super::random::Random;
use super::*;

fn collect(mut messages: Messages<'_>) -> Vec<String> {
    let mut scratch = String::from("left over");
    let mut collected = Vec::new();
    while !messages.is_empty() {
        // A reader that stops here goes on with the same.
        let resumed = Messages::resume(messages.left()).next(&mut scratch).map(str::to_owned);
        assert_eq!(messages.next(&mut scratch), resumed.as_deref());
        collected.extend(resumed);
    }
    assert_eq!((messages.left(), messages.next(&mut scratch)), ("", None));
    collected
}

fn parsed(body: &str) -> Result<Vec<String>, PayloadError> {
    Messages::parse(body.as_bytes()).map(collect)
}

fn parsed_frame(body: &str) -> Result<Vec<String>, PayloadError> {
    Messages::parse_frame(body).map(collect)
}

#[test]
fn arrays_of_strings() {
    let cases: [(&str, &[&str]); 12] = [
        ("[]", &[]),
        (" \t\r\n[ \t\r\n] \t\r\n", &[]),
        (r#"["x"]"#, &["x"]),
        (r#"["",""]"#, &["", ""]),
        (r#"["x","y","z"]"#, &["x", "y", "z"]),
        (" [ \"x\" ,\n\"y\"\t,\r\"z\" ] ", &["x", "y", "z"]),
        (r#"[","," ,","]",","]"#, &[",", " ,", "]", ","]),
        (r#"["[\"x\"]"]"#, &[r#"["x"]"#]),
        (
            r#"["a message much longer than a block","é","\\","日本語"]"#,
            &["a message much longer than a block", "é", "\\", "日本語"],
        ),
        ("[\"\u{2028}\u{2029}\u{7f}\u{feff}😀\"]", &["\u{2028}\u{2029}\u{7f}\u{feff}😀"]),
        (r#"["plain","\n","plain","\t\t"]"#, &["plain", "\n", "plain", "\t\t"]),
        (r#"["<>'&/%+"]"#, &["<>'&/%+"]),
    ];
    for (body, expected) in cases {
        assert_eq!(parsed(body).unwrap(), expected, "{body:?}");
        assert_eq!(parsed_frame(body).unwrap(), expected, "{body:?}");
    }
}

#[test]
fn escapes() {
    let cases = [
        (r#"\" \\ \/ \b \f \n \r \t"#, "\" \\ / \u{8} \u{c} \n \r \t"),
        (r"\u0000\u001f\u0041\u00e9\u20AC\uffff", "\0\u{1f}Aé€\u{ffff}"),
        (r"\u2028\u2029", "\u{2028}\u{2029}"),
        (r"\\u0041", r"\u0041"),
        (r"\\\u0041", r"\A"),
        (r"\uD83D\uDE00", "😀"),
        (r"\ud83d\ude00", "😀"),
        (r"\ud800\udc00\udbff\udfff", "\u{10000}\u{10ffff}"),
        // Halves of pairs.
        (r"\ud800", "\u{fffd}"),
        (r"\udc00", "\u{fffd}"),
        (r"a\ud800b", "a\u{fffd}b"),
        (r"\ud800\ud800", "\u{fffd}\u{fffd}"),
        (r"\udc00\ud800", "\u{fffd}\u{fffd}"),
        (r"\ud83d\ud83d\ude00", "\u{fffd}😀"),
        (r"\ud83d\ude00\ude00", "😀\u{fffd}"),
        (r"\ud83d\n", "\u{fffd}\n"),
        (r"\ud83d\u0041", "\u{fffd}A"),
        (r"\ud83d\\ude00", "\u{fffd}\\ude00"),
        (r"\ud83dude00", "\u{fffd}ude00"),
        ("\\ud83d😀", "\u{fffd}😀"),
        (r"\udbff\ue000", "\u{fffd}\u{e000}"),
        (r"\ud7ff\udfff\ue000", "\u{d7ff}\u{fffd}\u{e000}"),
    ];
    for (inside, expected) in cases {
        assert_eq!(parsed(&format!("[\"{inside}\"]")).unwrap(), [expected], "{inside:?}");
        assert_eq!(parsed(&format!("[\"{inside}\",\"{inside}\"]")).unwrap(), [expected; 2], "{inside:?}");
        assert_eq!(parsed_frame(&format!("\"{inside}\"")).unwrap(), [expected], "{inside:?}");
    }
}

#[test]
fn other_json_is_not_a_payload() {
    let cases = [
        "{}",
        "1",
        "-0.5e+7",
        "1e999",
        "null",
        "true",
        "false",
        "[1]",
        "[null]",
        "[[]]",
        "[[\"x\"]]",
        "[{}]",
        r#"["x",1]"#,
        r#"[1,"x"]"#,
        r#"["x",["y"]]"#,
        r#"{"x":"y"}"#,
        r#"{"x":["y"]}"#,
        " 1 ",
        r#"["\ud800",1]"#,
    ];
    for body in cases {
        assert_eq!(parsed(body), Err(PayloadError::Expected), "{body:?}");
        assert_eq!(parsed_frame(body), Err(PayloadError::Expected), "{body:?}");
    }
}

#[test]
fn everything_else_is_broken() {
    let cases = [
        " ",
        "x",
        "[",
        "]",
        "[]]",
        "[][]",
        "[] x",
        "[,]",
        "[\"x\",]",
        "[,\"x\"]",
        "[\"x\"",
        "[\"x\",",
        "[\"x\" \"y\"]",
        "[\"x\",,\"y\"]",
        "[\"x]",
        "[\"x\\\"]",
        "['x']",
        "[x]",
        "[1, x",
        "[1,",
        "[\"x\"]\0",
        "\u{feff}[\"x\"]",
        "[\"x\"};",
        "[\"\\x41\"]",
        "[\"\\u\"]",
        "[\"\\u00\"]",
        "[\"\\u004\"]",
        "[\"\\u004g\"]",
        "[\"\\u+041\"]",
        "[\"\\U0041\"]",
        "[\"\\'\"]",
        "[\"\\",
        "[\"\\u",
        "[\"\\u0041",
        "[\"\\ud83d\\u\"]",
        "[\"\\é\"]",
        "[\"\\u00é1\"]",
        "[\"\\u004é\"]",
        "[\u{a0}]",
        "[\u{b}]",
        "\"",
        "\"x",
        "{",
        "{]",
        "[\"a\nb\"]",
        "[\"a\0b\"]",
        "[\"\t\"]",
        "[\"\u{1f}\"]",
        "nul",
        "01",
        "[01]",
        "\"x\" \"y\"",
        "\"x\"]",
        "[\"x\"] [\"y\"]",
    ];
    for body in cases {
        assert_eq!(parsed(body), Err(PayloadError::Broken), "{body:?}");
        assert_eq!(parsed_frame(body), Err(PayloadError::Broken), "{body:?}");
    }
    for control in 0..0x20_u8 {
        let body = format!("[\"a message longer than one block{}\"]", char::from(control));
        assert_eq!(parsed(&body), Err(PayloadError::Broken), "{control}");
    }
}

#[test]
fn what_is_not_utf8_is_broken() {
    let cases: [&[u8]; 7] = [
        b"[\"\xff\"]",
        b"[\"\xc3\"]",
        b"[\"\xc0\x80\"]",
        b"[\"\xed\xa0\x80\"]",
        b"[\"\xf4\x90\x80\x80\"]",
        b"\xff",
        b"[\"x\"]\xff",
    ];
    for body in cases {
        assert_eq!(Messages::parse(body).map(collect), Err(PayloadError::Broken), "{body:?}");
    }
}

#[test]
fn a_websocket_message_may_be_empty_or_a_single_string() {
    assert_eq!(parsed(""), Err(PayloadError::Expected));
    assert_eq!(parsed_frame("").unwrap(), [""; 0]);
    let cases = [("\"\"", ""), ("\"x\"", "x"), (" \"x\\n\"\r\n", "x\n"), ("\"]\"", "]")];
    for (body, expected) in cases {
        assert_eq!(parsed(body), Err(PayloadError::Expected), "{body:?}");
        assert_eq!(parsed_frame(body).unwrap(), [expected], "{body:?}");
    }
}

#[test]
fn deep_nesting_is_looked_through() {
    let (open, close) = ("[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(parsed(&open), Err(PayloadError::Broken));
    assert_eq!(parsed(&format!("{open}{close}")), Err(PayloadError::Expected));
    assert_eq!(parsed(&format!("{open}{close}]")), Err(PayloadError::Broken));
    assert_eq!(parsed(&"{\"a\":".repeat(100_000)), Err(PayloadError::Broken));
}

#[test]
fn messages_without_escapes_are_borrowed() {
    let body = r#"["plain","esc\naped","plain"]"#;
    let mut messages = Messages::parse(body.as_bytes()).unwrap();
    let mut scratch = String::new();
    messages.next(&mut scratch).unwrap();
    assert_eq!(scratch.capacity(), 0);
    messages.next(&mut scratch).unwrap();
    let capacity = scratch.capacity();
    messages.next(&mut scratch).unwrap();
    assert_eq!((scratch.as_str(), scratch.capacity()), ("esc\naped", capacity));
}

/// A JSON literal of random text, each character written in one of the ways that JSON has for it.
fn random_literal(random: &mut Random, text: &str) -> String {
    let mut literal = String::from("\"");
    for character in text.chars() {
        match character {
            '\n' if random.below(2) == 0 => literal.push_str("\\n"),
            '/' if random.below(2) == 0 => literal.push_str("\\/"),
            '"' | '\\' if random.below(2) == 0 => literal.extend(['\\', character]),
            '\0'..' ' | '"' | '\\' => literal.push_str(&format!("\\u{:04X}", u32::from(character))),
            _ if random.below(6) == 0 => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    literal.push_str(&format!("\\u{unit:04x}"));
                }
            }
            _ => literal.push(character),
        }
    }
    literal.push('"');
    literal
}

#[test]
fn what_was_written_is_read() {
    for seed in 0..1500 {
        let mut random = Random::new(seed);
        let texts: Vec<String> = (0..random.below(5)).map(|_| random.text(60)).collect();
        let space = ["", " ", "\n\t"][random.below(3)];
        let literals: Vec<String> = texts.iter().map(|text| random_literal(&mut random, text)).collect();
        let body = format!("{space}[{space}{}{space}]{space}", literals.join(&format!("{space},{space}")));
        assert_eq!(parsed(&body).unwrap(), texts, "{body:?}");
        assert_eq!(serde_json::from_str::<Vec<String>>(&body).unwrap(), texts, "{body:?}");
    }
}

/// What JavaScript makes of a body that is an array of strings, by way of UTF-16.
fn by_utf16(body: &str) -> Vec<String> {
    let mut messages = Vec::new();
    let mut literals = body.chars();
    while literals.any(|character| character == '"') {
        let mut units = Vec::new();
        loop {
            let unit = match literals.next().unwrap() {
                '"' => break,
                '\\' => match literals.next().unwrap() {
                    'b' => 8,
                    'f' => 12,
                    'n' => 10,
                    'r' => 13,
                    't' => 9,
                    'u' => {
                        let digits: String = literals.by_ref().take(4).collect();
                        u16::from_str_radix(&digits, 16).unwrap()
                    }
                    itself => u16::try_from(u32::from(itself)).unwrap(),
                },
                itself => {
                    units.extend_from_slice(itself.encode_utf16(&mut [0; 2]));
                    continue;
                }
            };
            units.push(unit);
        }
        messages.push(String::from_utf16_lossy(&units));
    }
    messages
}

/// Bodies made of the tokens of JSON in any order: what we take, `serde_json` takes for the same messages;
/// what we refuse, it refuses too, and it alone says how.
#[test]
fn random_tokens_are_judged_as_serde_json_does() {
    const TOKENS: &[&str] = &[
        "[",
        "]",
        "[",
        "]",
        "\"",
        "\"",
        "\"",
        "\",\"",
        "\",\"",
        ",",
        " ",
        "\n",
        "x",
        "a longer run of plain text",
        "\\",
        "\\n",
        "\\u0041",
        "\\ud83d",
        "\\ude00",
        "\\u12",
        "é",
        "\u{2028}",
        "1",
        "{",
        "}",
        ":",
        "null",
        "\t",
        "\u{1}",
    ];
    let mut accepted = 0;
    for seed in 0..60_000 {
        let mut random = Random::new(seed);
        let inside: String = (0..random.below(11)).map(|_| random.pick(TOKENS)).collect();
        let body = if random.below(4) == 0 { inside } else { format!("[\"{inside}\"]") };
        match (parsed(&body), serde_json::from_str::<Vec<String>>(&body)) {
            (Ok(ours), Ok(theirs)) => {
                accepted += 1;
                assert_eq!(ours, theirs, "{body:?}");
                assert_eq!(ours, by_utf16(&body), "{body:?}");
            }
            (Ok(ours), Err(_)) => {
                assert!(body.contains("\\ud83d") || body.contains("\\ude00"), "{body:?}");
                assert_eq!(ours, by_utf16(&body), "{body:?}");
            }
            (Err(_), Ok(_)) => panic!("refused {body:?}"),
            (Err(error), Err(_)) => {
                let is_json = serde_json::from_str::<&RawValue>(&body).is_ok();
                let expected =
                    if body.is_empty() || is_json { PayloadError::Expected } else { PayloadError::Broken };
                assert_eq!(error, expected, "{body:?}");
            }
        }
    }
    assert!(accepted > 1000, "{accepted}");
}

#[test]
fn every_cut_of_a_body_is_refused() {
    let body = "[\"plain text, more than a block of it\", \"\\ud83d\\ude00 é\\n\"]";
    for cut in (0..body.len()).filter(|&cut| body.is_char_boundary(cut)) {
        let expected = if cut == 0 { PayloadError::Expected } else { PayloadError::Broken };
        assert_eq!(parsed(&body[..cut]), Err(expected), "{cut}");
    }
    assert_eq!(parsed(body).unwrap().len(), 2);
}

#[test]
fn answers_are_the_protocols() {
    assert_eq!(PayloadError::Expected.to_string(), "Payload expected.");
    assert_eq!(PayloadError::Broken.to_string(), "Broken JSON encoding.");
}
