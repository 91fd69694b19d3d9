//! What is refused (RFC 6455 §5, §7, §8), with which code, and that nothing more is read.

use crate::support::client::Client;
use crate::support::frames::{
    BINARY, CLOSE, CONTINUATION, FIN, PING, PONG, TEXT, close, frame, handshake, header, mask, text,
};
use crate::{RAW, SOCKJS, connect, recording};

/// Bytes from a client, and the code with which the connection fails.
fn violations() -> Vec<(&'static str, Vec<u8>, u16)> {
    let two = |length: u16| [&[0xfe][..], &length.to_be_bytes()].concat();
    let eight = |length: u64| [&[0xff][..], &length.to_be_bytes()].concat();
    let fragment = |bytes: Vec<u8>| [frame(TEXT, b"a"), bytes].concat();
    // RFC 6455 §7.4: close codes that must not be sent.
    let codes = [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535];
    let codes = codes.map(|code| ("a code that must not be sent", close(code, "reason"), 1002));
    let others = vec![
        ("RSV1", frame(FIN | 0x40 | TEXT, b"x"), 1002),
        ("RSV2", frame(FIN | 0x20 | TEXT, b"x"), 1002),
        ("RSV3", frame(FIN | 0x10 | TEXT, b"x"), 1002),
        ("RSV1 of a control frame", frame(FIN | 0x40 | PING, b""), 1002),
        ("RSV1 of a continuation", fragment(frame(FIN | 0x40 | CONTINUATION, b"x")), 1002),
        ("opcode 3", frame(FIN | 0x3, b"x"), 1002),
        ("opcode 7", frame(FIN | 0x7, b"x"), 1002),
        ("opcode 11", frame(FIN | 0xb, b""), 1002),
        ("opcode 15", frame(FIN | 0xf, b""), 1002),
        ("a frame without mask", vec![FIN | TEXT, 1, b'x'], 1002),
        ("a ping without mask", vec![FIN | PING, 0], 1002),
        ("a close without mask", [&[FIN | CLOSE, 2], &1000_u16.to_be_bytes()[..]].concat(), 1002),
        ("125 in two bytes", header(FIN | TEXT, &two(125)), 1002),
        ("0 in two bytes", header(FIN | TEXT, &two(0)), 1002),
        ("65,535 in eight bytes", header(FIN | TEXT, &eight(65_535)), 1002),
        ("1 in eight bytes", header(FIN | BINARY, &eight(1)), 1002),
        ("2^63", header(FIN | TEXT, &eight(1 << 63)), 1002),
        ("2^64 - 1", header(FIN | BINARY, &eight(u64::MAX)), 1002),
        ("2^63 - 1", header(FIN | TEXT, &eight((1 << 63) - 1)), 1009),
        ("more than the limit", header(FIN | TEXT, &two(1117)), 1009),
        ("more than the limit in fragments", [frame(TEXT, &[b'x'; 1000]), header(0, &[0xf5])].concat(), 1009),
        ("a ping of 126 bytes", frame(FIN | PING, &[b'x'; 126]), 1002),
        ("a pong of 126 bytes", frame(FIN | PONG, &[b'x'; 126]), 1002),
        ("a close of 126 bytes", frame(FIN | CLOSE, &[3; 126]), 1002),
        ("a fragmented ping", frame(PING, b"x"), 1002),
        ("a fragmented close", frame(CLOSE, b""), 1002),
        ("a continuation of nothing", frame(FIN | CONTINUATION, b"x"), 1002),
        ("an unfinished continuation of nothing", frame(CONTINUATION, b"x"), 1002),
        ("a continuation of a finished message", [text("\"hush\""), frame(FIN, b"x")].concat(), 1002),
        ("a text in a fragmented text", fragment(text("x")), 1002),
        ("a binary in a fragmented text", fragment(frame(FIN | BINARY, b"x")), 1002),
        ("a close of one byte", frame(FIN | CLOSE, b"\x03"), 1002),
        ("bad UTF-8", text(b"\xff"), 1007),
        ("an overlong character", text(b"\xc0\xaf"), 1007),
        ("a surrogate", text(b"\xed\xa0\x80"), 1007),
        ("beyond Unicode", text(b"\xf4\x90\x80\x80"), 1007),
        ("half a character", text(b"\xe6\x97"), 1007),
        ("half a character in fragments", [frame(TEXT, b"\xe6"), frame(FIN, b"\x97")].concat(), 1007),
        ("half a character before a continuation", [frame(TEXT, b"\xe6"), frame(FIN, b"x")].concat(), 1007),
        ("a bad reason", frame(FIN | CLOSE, b"\x03\xe8\xff"), 1007),
        // As the bytes arrive: the rest of these messages never comes.
        (
            "bad UTF-8 at the start",
            header(FIN | TEXT, &[0xe4]).into_iter().chain(mask(b"\xff")).collect(),
            1007,
        ),
        (
            "bad UTF-8 in the middle",
            header(FIN | TEXT, &[0xe4]).into_iter().chain(mask(b"ok\xed\xa0")).collect(),
            1007,
        ),
        ("bad UTF-8 in the first fragment", frame(TEXT, b"ok\x80"), 1007),
    ];
    others.into_iter().chain(codes).collect()
}

#[test]
fn violations_fail_the_connection_with_their_code() {
    for target in [RAW, SOCKJS] {
        let (server, record) = recording(|options| options.message_size = 1100);
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
                let expected: &[&str] = match (what, target) {
                    ("a continuation of a finished message", RAW) => &["open", "text \"hush\"", &close],
                    ("a continuation of a finished message", _) => &["open", "text hush", &close],
                    _ => &["open", &close],
                };
                assert_eq!(events, expected, "{what}, {way}");
            }
        }
        server.wait_until_empty("violations");
    }
}

/// Section 6: on a WebSocket, what is no payload ends the session and the connection at once.
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
