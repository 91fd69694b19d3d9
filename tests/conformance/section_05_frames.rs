//! Section 5: the four frames, and how messages are written in them.

use std::time::Duration;

use sockjs_server::{EndpointOptions, ServerOptions, Session};

use crate::rule::{Rule, here, rule};
use crate::support::TestServer;
use crate::support::frames::whole::{PING, TEXT};
use crate::support::receiver::Receiver;
use crate::support::target::Target;
use crate::support::wire::{HTTP, messages};

pub const RULES: &[Rule] = &[
    rule("5", "`o` is the first frame of every session, sent at once, on every transport", open_frame),
    rule("5", "messages that wait are packed into one `a` frame, in order", packed),
    rule("5", "`c[3000,\"Go away!\"]` is the frame of a close, on every transport", close_frame),
    rule(
        "5",
        "quote and backslash are escaped, U+0000-U+001F too, five of them by their short forms",
        short_escapes,
    ),
    rule(
        "5",
        "U+200C-200F, U+2028-202F, U+2060-206F and U+FFF0-FFFF are escaped in lower case",
        escaped_classes,
    ),
    rule("5", "every other character goes out as UTF-8, those beyond the BMP included", plain_characters),
    rule("5", "frames are written so on WebSocket too", websocket_escapes),
    here(
        "5",
        "`h` goes out when nothing was sent for heartbeat_delay, on every transport with frames",
        heartbeat,
    ),
    here("5", "on a WebSocket a ping goes with it; a raw WebSocket gets the ping alone", heartbeat_ping),
];

fn open_frame(target: &Target) {
    for transport in HTTP {
        assert_eq!(Receiver::open(target, transport, &target.session("/echo")).frame(), "o", "{transport:?}");
    }
    assert_eq!(target.websocket(&format!("{}/websocket", target.session("/echo"))).text(), "o");
}

fn packed(target: &Target) {
    let session = target.opened("/echo");
    target.send(&session, r#"["1"]"#);
    target.send(&session, r#"["2","3"]"#);
    target.send(&session, "[]");
    target.send(&session, r#"["4"]"#);
    assert_eq!(target.poll(&session), r#"a["1","2","3","4"]"#);
}

fn close_frame(target: &Target) {
    for transport in HTTP {
        let session = target.session("/close");
        let mut receiver = Receiver::open(target, transport, &session);
        assert_eq!(receiver.frame(), "o", "{transport:?}");
        if !transport.is_streaming() {
            receiver = Receiver::open(target, transport, &session);
        }
        assert_eq!(receiver.frame(), r#"c[3000,"Go away!"]"#, "{transport:?}");
        receiver.expect_end();
    }
    let mut websocket = target.websocket(&format!("{}/websocket", target.session("/close")));
    assert_eq!((websocket.text(), websocket.text()), ("o".into(), r#"c[3000,"Go away!"]"#.into()));
}

/// The frame that carries one message, as the contract has it written.
fn expected_frame(message: &str) -> String {
    let mut frame = "a[\"".to_owned();
    for character in message.chars() {
        match character {
            '"' => frame.push_str("\\\""),
            '\\' => frame.push_str("\\\\"),
            '\u{8}' => frame.push_str("\\b"),
            '\t' => frame.push_str("\\t"),
            '\n' => frame.push_str("\\n"),
            '\u{c}' => frame.push_str("\\f"),
            '\r' => frame.push_str("\\r"),
            '\0'..='\u{1f}'
            | '\u{200c}'..='\u{200f}'
            | '\u{2028}'..='\u{202f}'
            | '\u{2060}'..='\u{206f}'
            | '\u{fff0}'..='\u{ffff}' => frame.push_str(&format!("\\u{:04x}", u32::from(character))),
            _ => frame.push(character),
        }
    }
    frame.push_str("\"]");
    frame
}

/// Has the message echoed by polling, and compares every byte of the frame.
fn check_echo(target: &Target, message: &str) {
    let session = target.opened("/echo");
    target.send(&session, &serde_json::to_string(&[message]).expect("JSON"));
    let frame = target.poll(&session);
    if frame != expected_frame(message) {
        let expected = expected_frame(message);
        let differs =
            frame.chars().zip(expected.chars()).position(|(one, other)| one != other).unwrap_or_default();
        let around = |text: &str| text.chars().skip(differs.saturating_sub(8)).take(24).collect::<String>();
        panic!("got ...{:?}, expected ...{:?}", around(&frame), around(&expected));
    }
}

fn characters(range: std::ops::RangeInclusive<u32>) -> String {
    range.filter_map(char::from_u32).collect()
}

fn short_escapes(target: &Target) {
    check_echo(target, &characters(0..=0x7f));
}

fn escaped_classes(target: &Target) {
    for range in [0x2008..=0x2013, 0x2024..=0x2033, 0x205c..=0x2073, 0xffec..=0x10003] {
        check_echo(target, &characters(range));
    }
}

fn plain_characters(target: &Target) {
    for start in (0x80..0x10000).step_by(0x2000) {
        let is_escaped = |character: &char| expected_frame(&character.to_string()).contains('\\');
        check_echo(
            target,
            &characters(start..=start + 0x1fff).replace(|character| is_escaped(&character), ""),
        );
    }
    for start in [0x10000, 0x1f300, 0x2fff0, 0xe0000, 0x10ff00] {
        check_echo(target, &characters(start..=start + 0xff));
    }
}

fn websocket_escapes(target: &Target) {
    let message =
        characters(0..=0x1f) + "\"\\\u{7f}\u{200c}\u{2028}\u{2060}\u{fff0}\u{ffff}é€\u{1f600}\u{10ffff}";
    let mut websocket = target.websocket(&format!("{}/websocket", target.session("/echo")));
    assert_eq!(websocket.text(), "o");
    websocket.send(&serde_json::to_string(&[&message]).expect("JSON"));
    let frame = websocket.text();
    assert_eq!(frame, expected_frame(&message));
    assert_eq!(messages(&frame), [message]);
}

/// A server whose heartbeat comes soon.
fn lively() -> (TestServer, Target) {
    let server = TestServer::start(ServerOptions::default(), |server| {
        let mut options = EndpointOptions::default();
        options.heartbeat_delay = Duration::from_millis(50);
        server.mount_with("/echo", options, |_: &mut Session<'_>, _: &str| {}).expect("mount");
    });
    let target = Target::at(server.address);
    (server, target)
}

fn heartbeat() {
    let (_server, target) = lively();
    for transport in HTTP {
        let session = target.session("/echo");
        let mut receiver = Receiver::open(&target, transport, &session);
        assert_eq!(receiver.frame(), "o", "{transport:?}");
        if transport.is_streaming() {
            assert_eq!(receiver.frame(), "h", "{transport:?}");
            // A client that shows nothing of itself for two heartbeats gets the end of the response (7.13).
            target.send(&session, "[]");
            assert_eq!(receiver.frame(), "h", "{transport:?}");
        } else {
            let mut receiver = Receiver::open(&target, transport, &session);
            assert_eq!(receiver.frame(), "h", "{transport:?}");
            receiver.expect_end();
        }
    }
}

fn heartbeat_ping() {
    let (_server, target) = lively();
    let mut websocket = target.websocket("/echo/000/s/websocket");
    assert_eq!(websocket.text(), "o");
    let (first, second) = (websocket.frame(), websocket.frame());
    let heartbeat = (TEXT, b"h".to_vec());
    assert!(first == heartbeat || second == heartbeat, "{first:?} {second:?}");
    assert!(first.0 == PING || second.0 == PING, "{first:?} {second:?}");
    let mut raw = target.websocket("/echo/websocket");
    assert_eq!(raw.frame().0, PING);
}
