//! Frames that end a WebSocket (RFC 6455 §5, §7, §8), rule by rule, each with the code of the close. Conformance
//! holds each table against any server; `websocket/violations` holds all of them against ours, cut in several ways,
//! and sees what the application hears.

use super::frames::{BINARY, CLOSE, CONTINUATION, FIN, PING, PONG, TEXT, close, frame, header, mask, text};

/// A name, the bytes from the client, and the code.
pub type Row = (String, Vec<u8>, u16);

fn row(what: impl Into<String>, bytes: impl Into<Vec<u8>>, code: u16) -> Row {
    (what.into(), bytes.into(), code)
}

pub fn unmasked() -> Vec<Row> {
    vec![
        row("a frame without mask", [FIN | TEXT, 1, b'x'], 1002),
        row("a ping without mask", [FIN | PING, 0], 1002),
        row("a close without mask", [&[FIN | CLOSE, 2], &1000_u16.to_be_bytes()[..]].concat(), 1002),
    ]
}

pub fn reserved_bits() -> Vec<Row> {
    let bits = [0x40, 0x20, 0x10, 0x70];
    let rows = bits.into_iter().flat_map(|bits| {
        let fragments = [frame(TEXT, b"a"), frame(FIN | bits | CONTINUATION, b"x")].concat();
        [
            row(format!("bits {bits:#x} of a text"), frame(FIN | bits | TEXT, b"[]"), 1002),
            row(format!("bits {bits:#x} of a ping"), frame(FIN | bits | PING, b""), 1002),
            row(format!("bits {bits:#x} of a continuation"), fragments, 1002),
        ]
    });
    rows.collect()
}

pub fn reserved_opcodes() -> Vec<Row> {
    let opcodes = [0x3, 0x4, 0x5, 0x6, 0x7, 0xb, 0xc, 0xd, 0xe, 0xf];
    opcodes.map(|opcode| row(format!("opcode {opcode}"), frame(FIN | opcode, b""), 1002)).into()
}

/// A header whose length is written in two bytes.
pub fn in_two(first: u8, length: u16) -> Vec<u8> {
    header(first, &[&[0xfe][..], &length.to_be_bytes()].concat())
}

/// A header whose length is written in eight bytes.
pub fn in_eight(first: u8, length: u64) -> Vec<u8> {
    header(first, &[&[0xff][..], &length.to_be_bytes()].concat())
}

pub fn lengths() -> Vec<Row> {
    vec![
        row("125 in two bytes", in_two(FIN | TEXT, 125), 1002),
        row("0 in two bytes", in_two(FIN | TEXT, 0), 1002),
        row("65,535 in eight bytes", in_eight(FIN | TEXT, 65_535), 1002),
        row("1 in eight bytes", in_eight(FIN | BINARY, 1), 1002),
        row("2^63", in_eight(FIN | TEXT, 1 << 63), 1002),
        row("2^64 - 1", in_eight(FIN | BINARY, u64::MAX), 1002),
    ]
}

pub fn control_frames() -> Vec<Row> {
    vec![
        row("the header of a ping of 126 bytes", in_two(FIN | PING, 126), 1002),
        row("a ping of 126 bytes", frame(FIN | PING, &[b'x'; 126]), 1002),
        row("a pong of 126 bytes", frame(FIN | PONG, &[b'x'; 126]), 1002),
        row("a close of 126 bytes", frame(FIN | CLOSE, &[3; 126]), 1002),
        row("a fragmented ping", frame(PING, b"in pieces"), 1002),
        row("a fragmented close", frame(CLOSE, b""), 1002),
    ]
}

pub fn fragments() -> Vec<Row> {
    let fragment = |bytes: Vec<u8>| [frame(TEXT, b"x"), bytes].concat();
    vec![
        row("a continuation of nothing", frame(FIN | CONTINUATION, b"x"), 1002),
        row("an unfinished continuation of nothing", frame(CONTINUATION, b"x"), 1002),
        row("a text in a fragmented text", fragment(text("y")), 1002),
        row("a binary in a fragmented text", fragment(frame(FIN | BINARY, b"y")), 1002),
        row("a fragmented binary in a fragmented text", fragment(frame(BINARY, b"y")), 1002),
    ]
}

pub fn close_codes() -> Vec<Row> {
    let codes = [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535];
    codes.map(|code| row(format!("the close code {code}"), close(code, "reason"), 1002)).into()
}

pub fn close_payloads() -> Vec<Row> {
    vec![
        row("a close of one byte", frame(FIN | CLOSE, b"\x03"), 1002),
        row("a bad reason", frame(FIN | CLOSE, b"\x03\xe8\xff"), 1007),
        row("half a character for a reason", frame(FIN | CLOSE, b"\x03\xe8\xe2\x82"), 1007),
    ]
}

pub fn utf8() -> Vec<Row> {
    let bad =
        [&b"\xff"[..], b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"a\x80", b"\xe2\x82", b"\xe6\x97"];
    let rows = bad.into_iter().flat_map(|bytes| {
        let fragments = [frame(TEXT, b"["), frame(FIN | CONTINUATION, bytes)].concat();
        [
            row(format!("the text {}", bytes.escape_ascii()), text(bytes), 1007),
            row(format!("{} in a second fragment", bytes.escape_ascii()), fragments, 1007),
        ]
    });
    let half = |front: &[u8], behind| [frame(TEXT, front), frame(FIN | CONTINUATION, behind)].concat();
    rows.chain([
        row("half a character before the end", half(b"\xe2\x82", b""), 1007),
        row("half a character in fragments", half(b"\xe6", b"\x97"), 1007),
        row("half a character before a continuation", half(b"\xe6", b"x"), 1007),
    ])
    .collect()
}

/// Bad bytes in messages of which the rest does not come.
pub fn utf8_early() -> Vec<Row> {
    let begun =
        |payload: &[u8]| header(FIN | TEXT, &[0xe4]).into_iter().chain(mask(payload)).collect::<Vec<_>>();
    vec![
        row("bad UTF-8 at the start", begun(b"\xff"), 1007),
        row("bad UTF-8 in the middle", begun(b"ok\xed\xa0"), 1007),
        row("bad UTF-8 in a frame of 1000 bytes", &frame(FIN | TEXT, &[0xff; 1000])[..20], 1007),
        row("bad UTF-8 in the first fragment", frame(TEXT, b"fine until \xff"), 1007),
        row("a byte of no character in the first fragment", frame(TEXT, b"ok\x80"), 1007),
        // The second byte already says that no character begins so.
        row("half a surrogate in the first fragment", frame(TEXT, b"\xed\xa0"), 1007),
    ]
}

/// All tables, one behind the other.
pub fn all() -> Vec<Row> {
    let tables = [
        unmasked(),
        reserved_bits(),
        reserved_opcodes(),
        lengths(),
        control_frames(),
        fragments(),
        close_codes(),
        close_payloads(),
        utf8(),
        utf8_early(),
    ];
    tables.into_iter().flatten().collect()
}
