//! Messages (RFC 6455 §5.6), fragments (§5.4), pings (§5.5.2), and the length of each form of header (§5.2).

use tungstenite::Message;

use crate::support::frames::{BINARY, CONTINUATION, FIN, PING, PONG, TEXT, close, frame, text};
use crate::{RAW, SOCKJS, connect, recording, tungstenite};

const LENGTHS: [usize; 8] = [1, 2, 125, 126, 127, 65_535, 65_536, 1 << 20];

/// Rule 9 (§5.2) and rule 8, with an independent client.
#[test]
fn raw_messages_of_every_length_class_come_back_as_they_are() {
    let (server, _record) = recording(|_| {});
    let mut socket = tungstenite(&server, RAW);
    for length in [0].into_iter().chain(LENGTHS) {
        for message in [Message::text("x".repeat(length)), Message::binary(vec![0xff; length])] {
            socket.send(message.clone()).expect("send");
            assert!(socket.read().expect("read") == message, "{length}");
        }
    }
    let unicode = Message::text("\u{0}\u{7f}é日本\u{2028}\u{ffff}😀\u{10ffff}");
    socket.send(unicode.clone()).expect("send");
    assert_eq!(socket.read().expect("read"), unicode);
}

/// Rule 9 (§5.2), with an independent client.
#[test]
fn sockjs_messages_of_every_length_class_come_back_in_frames() {
    let (server, _record) = recording(|_| {});
    let mut socket = tungstenite(&server, SOCKJS);
    assert_eq!(socket.read().expect("read"), Message::text("o"));
    for length in LENGTHS {
        let json = format!("[\"{}\"]", "x".repeat(length));
        socket.send(Message::text(json.clone())).expect("send");
        assert!(socket.read().expect("read") == Message::text(format!("a{json}")), "{length}");
    }
    // Each side may cut SockJS's own frames as it likes; here the frame itself has the edges' lengths.
    for length in LENGTHS.into_iter().filter(|length| *length > 4) {
        let json = format!("[\"{}\"]", "x".repeat(length - 4));
        socket.send(Message::text(json.clone())).expect("send");
        assert!(socket.read().expect("read") == Message::text(format!("a{json}")), "{length}");
    }
}

/// Rule 6: an array or a single string; nothing, and an array of nothing, are heartbeats.
#[test]
fn sockjs_takes_arrays_strings_and_nothing() {
    let (server, record) = recording(|_| {});
    let mut client = connect(&server, SOCKJS);
    client.expect_text("o");
    for message in
        ["", "[]", "\"a\"", "", "[\"b\",\"c\"]", " [ \"\\ud800\" ] ", "[]", "[\"\u{2028}\\u0000\"]"]
    {
        client.send(text(message));
    }
    let mut got = String::new();
    while !got.ends_with("\"\\u2028\\u0000\"]") {
        let (first, payload) = client.frame();
        assert_eq!(first, FIN | TEXT);
        got += std::str::from_utf8(&payload).expect("UTF-8");
    }
    // How many messages share a frame depends on how they arrived.
    assert_eq!(got.replace("]a[", ","), "a[\"a\",\"b\",\"c\",\"\\ufffd\",\"\\u2028\\u0000\"]");
    let expected = ["open", "text a", "text b", "text c", "text \u{fffd}", "text \u{2028}\0"];
    assert_eq!(expected.map(|_| record.next()), expected);
}

/// Rule 9 (§5.4), and what the application hears.
#[test]
fn fragments_are_put_together_around_pings() {
    let (server, record) = recording(|_| {});
    let mut client = connect(&server, RAW);
    client.send(frame(TEXT, b"one "));
    client.send(frame(FIN | PING, b"first"));
    // Answered at once, and not only behind the message.
    client.expect_frame(FIN | PONG, "first");
    client.send(frame(CONTINUATION, b""));
    client.send(frame(CONTINUATION, b"mess"));
    client.send(frame(FIN | PONG, b"nobody asked"));
    client.send(frame(FIN | PING, b""));
    client.expect_frame(FIN | PONG, "");
    client.send(frame(FIN | CONTINUATION, b"age"));
    client.expect_text("one message");
    // A character may be cut by a fragment (RFC 6455 §5.6).
    for byte in "日".as_bytes().iter().take(2) {
        let first = if *byte == "日".as_bytes()[0] { TEXT } else { CONTINUATION };
        client.send(frame(first, &[*byte]));
    }
    client.send(frame(FIN | CONTINUATION, &"日".as_bytes()[2..]));
    client.expect_text("日");
    client.send(frame(BINARY, b"\xff")).send(frame(FIN | CONTINUATION, b"\xfe"));
    client.expect_frame(FIN | BINARY, b"\xff\xfe");
    client.send(frame(TEXT, b"")).send(frame(FIN | CONTINUATION, b""));
    client.expect_text("");
    let expected = ["open", "text one message", "text 日", "binary [255, 254]", "text "];
    assert_eq!(expected.map(|_| record.next()), expected);
}

/// Rule 12.3: a script of frames that ends in a close gives the same events and the same answers however it
/// is cut.
#[test]
fn frames_cut_anywhere_are_the_same_events() {
    let script = [
        text("hello"),
        frame(TEXT, "sp\u{e9}".as_bytes()),
        frame(FIN | PING, b"are you there"),
        frame(FIN | CONTINUATION, "lit \u{1f600}".as_bytes()),
        text(""),
        frame(FIN | BINARY, b"\x00\xff"),
        text("l".repeat(130)),
        frame(FIN | PONG, b"?"),
        close(4000, "done \u{e9}"),
    ]
    .concat();
    let (server, record) = recording(|_| {});
    let run = |cuts: Vec<usize>| {
        let mut client = connect(&server, RAW);
        server.feed(&mut client, &script, cuts);
        (client.rest(), record.until_close())
    };
    let whole = run(Vec::new());
    assert_eq!(whole.1.len(), 7, "{:?}", whole.1);
    assert_eq!(whole.1.last().map(String::as_str), Some("close 4000 Client"));
    for cut in 1..script.len() {
        assert_eq!(run(vec![cut]), whole, "cut at {cut}");
    }
    assert_eq!(run((1..script.len()).collect()), whole, "byte by byte");
}
