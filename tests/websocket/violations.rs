//! What is refused (RFC 6455 §5, §7, §8), with which code, and that nothing more is read.

use crate::support::bad_frames::{self, Row, in_eight, in_two};
use crate::support::client::Client;
use crate::support::frames::{BINARY, FIN, TEXT, frame, handshake, header, text};
use crate::{RAW, SOCKJS, connect, recording};

/// The messages of the tests are no larger than this.
const LIMIT: usize = 1100;

/// All violations, and those that need the limit or the recorder.
fn violations() -> Vec<Row> {
    let row = |what: &str, bytes: Vec<u8>, code| (what.to_owned(), bytes, code);
    let fragments = [frame(TEXT, &[b'x'; 1000]), header(0, &[0xf5])].concat();
    let behind = [text("\"hush\""), frame(FIN, b"x")].concat();
    let mut rows = vec![
        row("2^63 - 1", in_eight(FIN | TEXT, (1 << 63) - 1), 1009),
        // The array around a message, and a little white space, are no part of it.
        row("more than the limit", in_two(FIN | TEXT, LIMIT as u16 + 17), 1009),
        row("more than the limit in fragments", fragments, 1009),
        row(FINISHED, behind, 1002),
    ];
    rows.extend(bad_frames::all());
    rows
}

/// The one violation behind a message that the application hears.
const FINISHED: &str = "a continuation of a finished message";

/// Rule 9 (§5, §7.4, §8.1), however the bytes are cut (rule 12.3), and what the application hears.
#[test]
fn violations_fail_the_connection_with_their_code() {
    for target in [RAW, SOCKJS] {
        let (server, record) = recording(|options| options.message_size = LIMIT);
        for (what, bytes, code) in violations() {
            for way in ["whole", "with the handshake", "byte by byte"] {
                let mut client = Client::connect(server.address);
                // A request, and a message, that must not be taken for such.
                let behind = [b"GET / HTTP/1.1\r\n\r\n".to_vec(), text("\"behind\"")].concat();
                match way {
                    "with the handshake" => {
                        client.send([handshake(target, "").as_bytes(), &bytes, &behind].concat());
                        client.expect_upgrade();
                    }
                    "whole" => drop(client.upgrade(target).send([&bytes[..], &behind].concat())),
                    _ => {
                        client.upgrade(target);
                        server.feed(&mut client, &bytes, 1..bytes.len());
                    }
                }
                if target == SOCKJS {
                    client.expect_text("o");
                }
                let reason = client.expect_close(code);
                assert!(!reason.is_empty(), "{what}");
                client.expect_end();
                let events = record.until_close();
                let close = format!("close {code} Protocol");
                let expected: &[&str] = match (&*what, target) {
                    (FINISHED, RAW) => &["open", "text \"hush\"", &close],
                    (FINISHED, _) => &["open", "text hush", &close],
                    _ => &["open", &close],
                };
                assert_eq!(events, expected, "{what}, {way}");
            }
        }
        server.wait_until_empty("violations");
    }
}

/// Rule 6: on a WebSocket, what is no payload ends the session and the connection at once.
#[test]
fn what_is_no_sockjs_payload_ends_the_session() {
    let (server, record) = recording(|_| {});
    for (payload, code) in [
        (text("["), 1002),
        (text("[\"a\""), 1002),
        (text("[\"a\",]"), 1002),
        (text("x"), 1002),
        (text("{}"), 1002),
        (text("1"), 1002),
        (text("null"), 1002),
        (text("[1]"), 1002),
        (text("[\"a\",[]]"), 1002),
        (text("[\"a\"]x"), 1002),
        (text("[".repeat(100_000)), 1002),
        (frame(FIN | BINARY, b"[\"a\"]"), 1003),
        (frame(FIN | BINARY, b""), 1003),
    ] {
        let mut client = connect(&server, SOCKJS);
        client.send([payload, text("[\"behind\"]")].concat());
        client.expect_text("o");
        client.expect_close(code);
        client.expect_end();
        assert_eq!(record.until_close(), ["open", &format!("close {code} Protocol")]);
    }
}
