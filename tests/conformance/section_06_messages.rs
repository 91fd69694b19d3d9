//! Section 6: what clients send, and what is said to what they should not.

use crate::rule::{Rule, rule};
use crate::support::frames::whole::TEXT;
use crate::support::target::Target;
use crate::support::wire::messages;

pub const RULES: &[Rule] = &[
    rule("6", "xhr_send: 204, text/plain, an empty body", xhr_send),
    rule("6", "xhr_send: the body is JSON, whatever the Content-Type", any_content_type),
    rule("6", "jsonp_send: a form with field `d` -> 200, text/plain, `ok`", jsonp_form),
    rule("6", "jsonp_send: any other type carries the JSON as the body itself", jsonp_plain),
    rule("6", "WebSocket: a message is a JSON array of strings, or a single JSON string", websocket_messages),
    rule("6", "WebSocket: an empty message is ignored", websocket_empty),
    rule("6", "`[]` is valid and carries nothing, on every transport", empty_array),
    rule("6", "xhr_send: an empty body -> 500 `Payload expected.`", empty_body),
    rule("6", "jsonp_send: an empty body, or an empty or missing `d` -> 500 `Payload expected.`", empty_form),
    rule(
        "6",
        "JSON of another shape (object, number, a string, other elements) -> 500 `Payload expected.`",
        other_shapes,
    ),
    rule("6", "text that is not JSON -> 500 `Broken JSON encoding.`", broken_json),
    rule("6", "a body that is not UTF-8 -> 500 `Broken JSON encoding.`", not_utf8),
    rule("6", "sending to an unknown session -> 404", unknown_session),
    rule(
        "6",
        "WebSocket: a payload that is refused ends the session and the connection at once",
        websocket_refused,
    ),
    rule("6", "a body that fails delivers none of its messages, and the session lives on", all_or_nothing),
    rule("6", "a lone surrogate becomes U+FFFD; the rest of the message stays", lone_surrogates),
    rule("6", "a pair of surrogates in escapes is one character", surrogate_pairs),
    rule("6", "every escape is read, raw U+2028, U+2029 and U+007F too", escapes),
    rule("6", "white space around the JSON is JSON", white_space),
];

fn xhr_send(target: &Target) {
    let session = target.opened("/echo");
    target
        .post(&format!("{session}/xhr_send"), r#"["x"]"#)
        .expect(204)
        .expect_header("Content-Type", "text/plain; charset=UTF-8")
        .expect_body("");
    assert_eq!(target.poll(&session), r#"a["x"]"#);
}

fn any_content_type(target: &Target) {
    let session = target.opened("/echo");
    for kind in [
        "text/plain",
        "T",
        "application/json",
        "application/xml",
        "",
        "application/json; charset=utf-8",
        "text/xml; charset=utf-8",
        "text/xml",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
    ] {
        let headers = format!("Content-Type: {kind}\r\n");
        target.ask("POST", &format!("{session}/xhr_send"), &headers, br#"["a"]"#).expect(204);
        assert_eq!(target.poll(&session), r#"a["a"]"#, "{kind}");
    }
}

const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";

fn jsonp_form(target: &Target) {
    let session = target.opened("/echo");
    for (headers, body, message) in [
        (FORM, "d=%5B%22x%22%5D", "x"),
        (FORM, "d=%5b%22x%22%5d&e=1", "x"),
        (FORM, "a=b&d=[\"x\"]", "x"),
        (FORM, "d=%5B%22a+b%2Bc%22%5D", "a b+c"),
        (FORM, "d=%5B%22%E2%82%AC%22%5D", "€"),
        ("Content-Type: application/x-www-form-urlencoded; charset=UTF-8\r\n", "d=%5B%22x%22%5D", "x"),
    ] {
        target
            .ask("POST", &format!("{session}/jsonp_send"), headers, body.as_bytes())
            .expect(200)
            .expect_header("Content-Type", "text/plain; charset=UTF-8")
            .expect_body("ok");
        assert_eq!(messages(&target.poll(&session)), [message], "{body}");
    }
}

fn jsonp_plain(target: &Target) {
    let session = target.opened("/echo");
    for headers in ["Content-Type: text/plain\r\n", "Content-Type: application/json\r\n"] {
        target
            .ask("POST", &format!("{session}/jsonp_send"), headers, br#"["%61+"]"#)
            .expect(200)
            .expect_header("Content-Type", "text/plain; charset=UTF-8")
            .expect_body("ok");
        assert_eq!(messages(&target.poll(&session)), ["%61+"], "{headers}");
    }
}

fn websocket_messages(target: &Target) {
    let mut websocket = target.websocket(&format!("{}/websocket", target.session("/echo")));
    assert_eq!(websocket.text(), "o");
    for (sent, expected) in
        [(r#"["a"]"#, r#"a["a"]"#), (r#""b""#, r#"a["b"]"#), (r#" [ "c" ] "#, r#"a["c"]"#)]
    {
        assert_eq!(websocket.send(sent).text(), expected);
    }
    websocket.send(r#"["d","e"]"#);
    let mut got = messages(&websocket.text());
    if got.len() < 2 {
        got.extend(messages(&websocket.text()));
    }
    assert_eq!(got, ["d", "e"]);
}

fn websocket_empty(target: &Target) {
    let mut websocket = target.websocket(&format!("{}/websocket", target.session("/echo")));
    assert_eq!(websocket.text(), "o");
    websocket.send("").send_frame(TEXT, b"").send(r#"["a"]"#);
    assert_eq!(websocket.text(), r#"a["a"]"#);
}

fn empty_array(target: &Target) {
    let session = target.opened("/echo");
    target.send(&session, "[]");
    target.ask("POST", &format!("{session}/jsonp_send"), FORM, b"d=%5B%5D").expect(200).expect_body("ok");
    target.send(&session, r#"["after"]"#);
    assert_eq!(target.poll(&session), r#"a["after"]"#);
    let mut websocket = target.websocket(&format!("{}/websocket", target.session("/echo")));
    assert_eq!(websocket.text(), "o");
    assert_eq!(websocket.send("[]").send(r#"["after"]"#).text(), r#"a["after"]"#);
}

/// Refusals may end in a line feed; servers differ, clients do not look.
fn refused(target: &Target, path: &str, headers: &str, body: &[u8], text: &str) {
    let answer = target.ask("POST", path, headers, body);
    let found = (answer.status, answer.text().trim_end());
    assert_eq!(found, (500, text), "for {:?} to {path}", body.escape_ascii().to_string());
}

fn empty_body(target: &Target) {
    refused(target, &format!("{}/xhr_send", target.opened("/echo")), "", b"", "Payload expected.");
}

fn empty_form(target: &Target) {
    let path = format!("{}/jsonp_send", target.opened("/echo"));
    for body in ["", "d", "d=", "p=p", "dd=%5B%5D", "=%5B%5D"] {
        refused(target, &path, FORM, body.as_bytes(), "Payload expected.");
    }
    refused(target, &path, "Content-Type: text/plain\r\n", b"", "Payload expected.");
}

const OTHER_SHAPES: [&str; 13] = [
    "{}",
    r#"{"a":["b"]}"#,
    "1",
    "-1.5e3",
    "true",
    "null",
    r#""a""#,
    "[1]",
    r#"["a",1]"#,
    r#"[["a"]]"#,
    "[null]",
    r#"["a",{}]"#,
    "[true]",
];

fn other_shapes(target: &Target) {
    let session = target.opened("/echo");
    for body in OTHER_SHAPES {
        refused(target, &format!("{session}/xhr_send"), "", body.as_bytes(), "Payload expected.");
        refused(
            target,
            &format!("{session}/jsonp_send"),
            FORM,
            format!("d={body}").as_bytes(),
            "Payload expected.",
        );
    }
}

const BROKEN: [&str; 12] = [
    "[\"x",
    "x",
    "[",
    "]",
    "[\"a\",]",
    "[\"a\"]]",
    "[\"a\"] x",
    "[\"a\" \"b\"]",
    "['a']",
    "[\"\\x\"]",
    "[\"\n\"]",
    "[\"\\u12\"]",
];

fn broken_json(target: &Target) {
    let session = target.opened("/echo");
    for body in BROKEN {
        refused(target, &format!("{session}/xhr_send"), "", body.as_bytes(), "Broken JSON encoding.");
        let plain = "Content-Type: text/plain\r\n";
        refused(target, &format!("{session}/jsonp_send"), plain, body.as_bytes(), "Broken JSON encoding.");
    }
    refused(target, &format!("{session}/jsonp_send"), FORM, b"d=%5B%22x", "Broken JSON encoding.");
}

fn not_utf8(target: &Target) {
    let path = format!("{}/xhr_send", target.opened("/echo"));
    for body in
        [&b"[\"\xff\"]"[..], b"[\"\xc0\xaf\"]", b"[\"\xed\xa0\x80\"]", b"[\"a\",\"\xe2\x82\"]", b"\xff"]
    {
        refused(target, &path, "", body, "Broken JSON encoding.");
    }
}

fn unknown_session(target: &Target) {
    let session = target.session("/echo");
    for kind in ["xhr_send", "jsonp_send"] {
        target.post(&format!("{session}/{kind}"), r#"["x"]"#).expect(404);
    }
    assert_eq!(target.poll(&session), "o", "sending did not create it");
}

fn websocket_refused(target: &Target) {
    for payload in ["[\"a", "x", "{}", "1", "[1]", "null", "[\"a\",1]", " "] {
        let mut websocket = target.websocket(&format!("{}/websocket", target.session("/echo")));
        assert_eq!(websocket.text(), "o");
        websocket.send(payload);
        // With or without a close frame: the connection ends, and nothing was echoed.
        let rest = websocket.client.rest();
        assert!(rest.is_empty() || rest[0] == 0x88, "{payload:?} was answered with {}", rest.escape_ascii());
    }
}

fn all_or_nothing(target: &Target) {
    let session = target.opened("/echo");
    for body in [r#"["a","b",1]"#, r#"["a","b""#, r#"["a"],"#, "[\"a\",\"\u{1}\"]", r#"["a","\ud"]"#] {
        target.post(&format!("{session}/xhr_send"), body).expect(500);
    }
    target.send(&session, r#"["z"]"#);
    assert_eq!(target.poll(&session), r#"a["z"]"#);
}

fn lone_surrogates(target: &Target) {
    let session = target.opened("/echo");
    for (sent, expected) in [
        (r"\ud800", "\u{fffd}"),
        (r"a\udfffb", "a\u{fffd}b"),
        (r"\ud800\u0041", "\u{fffd}A"),
        (r"\ud800\n", "\u{fffd}\n"),
        (r"\udc00\ud800", "\u{fffd}\u{fffd}"),
        (r"\ud83d\ud83d\ude00", "\u{fffd}\u{1f600}"),
        (r"\ud83d€", "\u{fffd}€"),
    ] {
        target.send(&session, &format!("[\"{sent}\"]"));
        assert_eq!(messages(&target.poll(&session)), [expected], "{sent}");
    }
    let mut websocket = target.websocket(&format!("{}/websocket", target.session("/echo")));
    assert_eq!(websocket.text(), "o");
    assert_eq!(messages(&websocket.send(r#"["a\udc00b"]"#).text()), ["a\u{fffd}b"]);
}

fn surrogate_pairs(target: &Target) {
    let session = target.opened("/echo");
    target.send(&session, r#"["\ud83d\uDE00\ud800\udc00\udbff\udfff"]"#);
    assert_eq!(messages(&target.poll(&session)), ["\u{1f600}\u{10000}\u{10ffff}"]);
}

fn escapes(target: &Target) {
    let session = target.opened("/echo");
    target.send(
        &session,
        "[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0000\\u00e9\\u00E9\\u2028\\uFFFF\u{7f}\u{2028}\u{2029}\u{feff}\"]",
    );
    let expected = "\"\\/\u{8}\u{c}\n\r\t\0éé\u{2028}\u{ffff}\u{7f}\u{2028}\u{2029}\u{feff}";
    assert_eq!(messages(&target.poll(&session)), [expected]);
}

fn white_space(target: &Target) {
    let session = target.opened("/echo");
    target.send(&session, " \t\r\n[ \"a\"\t,\r\n\"b\" ]\n");
    assert_eq!(target.poll(&session), r#"a["a","b"]"#);
}
