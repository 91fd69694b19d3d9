//! WebSocket: section 9 of the wire contract whole, with `tungstenite` as an independent client for what is right, and
//! a plain socket for what is wrong.

mod support;

use std::net::TcpStream;
use std::time::Duration;

use sockjs_server::{EndpointOptions, Handler, Request, ServerOptions, Session};
use support::client::Client;
use support::frames::{
    ACCEPT, BINARY, CLOSE, CONTINUATION, FIN, KEY, PING, PONG, TEXT, close, close_payload, frame, handshake,
    header, mask, text,
};
use support::recorder::{Record, recorder};
use support::{PATIENCE, TestServer};
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::{Message, WebSocket};

const RAW: &str = "/raw/websocket";
const SOCKJS: &str = "/raw/000/session/websocket";

/// A server whose one endpoint tells what it hears.
fn recording(change: impl FnOnce(&mut EndpointOptions)) -> (TestServer, Record) {
    let (handler, record) = recorder();
    let mut options = EndpointOptions::default();
    change(&mut options);
    let mut server_options = ServerOptions::default();
    server_options.close_timeout = Duration::from_millis(100);
    let server = TestServer::start(server_options, |server| {
        server.mount_with("/raw", options, handler).expect("mount");
    });
    (server, record)
}

/// The independent client.
fn tungstenite(server: &TestServer, target: &str) -> WebSocket<TcpStream> {
    let stream = TcpStream::connect(server.address).expect("connect");
    stream.set_read_timeout(Some(PATIENCE)).expect("timeout");
    let url = format!("ws://localhost{target}");
    tungstenite::client(url, stream).expect("a handshake").0
}

fn connect(server: &TestServer, target: &str) -> Client {
    let mut client = Client::connect(server.address);
    client.upgrade(target);
    client
}

// Messages (RFC 6455 §5.6), and the length of each form of header (§5.2).

const LENGTHS: [usize; 8] = [1, 2, 125, 126, 127, 65_535, 65_536, 1 << 20];

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

/// Section 6: an array or a single string; nothing, and an array of nothing, are heartbeats.
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
        let (first, payload) = client.read_frame();
        assert_eq!(first, FIN | TEXT);
        got += std::str::from_utf8(&payload).expect("UTF-8");
    }
    // How many messages share a frame depends on how they arrived.
    assert_eq!(got.replace("]a[", ","), "a[\"a\",\"b\",\"c\",\"\\ufffd\",\"\\u2028\\u0000\"]");
    let expected = ["open", "text a", "text b", "text c", "text \u{fffd}", "text \u{2028}\0"];
    assert_eq!(expected.map(|_| record.next()), expected);
}

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

#[test]
fn a_ping_is_answered_with_its_payload() {
    let (server, _record) = recording(|_| {});
    for target in [RAW, SOCKJS] {
        let mut client = connect(&server, target);
        if target == SOCKJS {
            client.expect_text("o");
        }
        for payload in [&b""[..], b"x", &[0xff; 125]] {
            client.send(frame(FIN | PING, payload));
            client.expect_frame(FIN | PONG, payload);
        }
    }
}

/// Section 12, rule 3: a script of frames that ends in a close gives the same events and the same answers however it
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

// The handshake (RFC 6455 §4.2).

#[test]
fn a_handshake_is_answered_with_what_it_takes_and_nothing_else() {
    let (server, _record) = recording(|_| {});
    let mut client = Client::connect(server.address);
    client.send(handshake(
        RAW,
        "Sec-WebSocket-Protocol: chat, v2\r\nSec-WebSocket-Extensions: permessage-deflate\r\n",
    ));
    let answer = client.expect_upgrade();
    assert!(answer.head.starts_with("HTTP/1.1 101 Switching Protocols\r\n"), "{}", answer.head);
    let mut fields = answer.headers.clone();
    fields.retain(|(name, _)| name != "Date");
    fields.sort();
    let expected = [("Connection", "Upgrade"), ("Sec-WebSocket-Accept", ACCEPT), ("Upgrade", "websocket")];
    assert_eq!(fields, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    // RSV1 would be a compressed message, had the extension been taken.
    client.send(text("plain"));
    client.expect_text("plain");
}

/// A request for an upgrade with these fields instead of the usual ones.
fn attempt(server: &TestServer, line: &str, fields: &[&str]) -> (u16, String, Client) {
    let mut client = Client::connect(server.address);
    let fields: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
    client.send(format!("{line}\r\n{fields}\r\n"));
    let mut answer = client.read_head();
    client.read_body(&mut answer);
    let versions = answer.header("Sec-WebSocket-Version");
    assert_eq!(versions, (answer.status == 426).then_some("13, 8, 7"), "{}", answer.head);
    (answer.status, answer.text().to_owned(), client)
}

const HOST: &str = "Host: localhost";
const UPGRADE: &str = "Upgrade: websocket";
const CONNECTION: &str = "Connection: Upgrade";
const VERSION: &str = "Sec-WebSocket-Version: 13";
const KEY_FIELD: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";

#[test]
fn upgrades_are_recognised_in_all_their_spellings() {
    let (server, _record) = recording(|_| {});
    assert_eq!(KEY_FIELD, format!("Sec-WebSocket-Key: {KEY}"));
    for fields in [
        [HOST, UPGRADE, CONNECTION, VERSION, KEY_FIELD],
        // Firefox.
        [HOST, UPGRADE, "Connection: keep-alive, Upgrade", VERSION, KEY_FIELD],
        [HOST, UPGRADE, "Connection: upgrade,keep-alive", VERSION, KEY_FIELD],
        [HOST, UPGRADE, "Connection: close\r\nConnection: UPGRADE", VERSION, KEY_FIELD],
        [HOST, "Upgrade: WebSocket", CONNECTION, VERSION, KEY_FIELD],
        [HOST, "upgrade:WEBSOCKET", "connection:upgrade", VERSION, KEY_FIELD],
        [HOST, "Upgrade: h2c, websocket", CONNECTION, VERSION, KEY_FIELD],
        // hybi-10 and hybi-07.
        [HOST, UPGRADE, CONNECTION, "Sec-WebSocket-Version: 8", KEY_FIELD],
        [HOST, UPGRADE, CONNECTION, "Sec-WebSocket-Version: 7\r\nSec-WebSocket-Origin: http://a", KEY_FIELD],
        [HOST, UPGRADE, CONNECTION, VERSION, "Sec-WebSocket-Key:  dGhlIHNhbXBsZSBub25jZQ== "],
    ] {
        for target in [RAW, SOCKJS] {
            let line = format!("GET {target} HTTP/1.1");
            let (status, body, mut client) = attempt(&server, &line, &fields);
            assert_eq!((status, &*body), (101, ""), "{fields:?}");
            if target == SOCKJS {
                client.expect_text("o");
            }
            client.send(text(if target == RAW { "x" } else { "\"x\"" }));
            client.expect_text(if target == RAW { "x" } else { "a[\"x\"]" });
        }
    }
}

#[test]
fn refused_handshakes_say_why() {
    let (server, record) = recording(|_| {});
    let only_websocket = "Can \"Upgrade\" only to \"WebSocket\".";
    let must_upgrade = "\"Connection\" must be \"Upgrade\".";
    let hixie = "\"Sec-WebSocket-Version\" is wanted: hixie drafts are not spoken.";
    let version = "\"Sec-WebSocket-Version\" must be 13, 8 or 7.";
    let key = "\"Sec-WebSocket-Key\" must be one base64 of 16 bytes.";
    let mut refusals: Vec<(Vec<&str>, u16, &str)> = vec![
        (vec![HOST], 400, only_websocket),
        (vec![HOST, CONNECTION, VERSION, KEY_FIELD], 400, only_websocket),
        (vec![HOST, "Upgrade: h2c", CONNECTION, VERSION, KEY_FIELD], 400, only_websocket),
        (vec![HOST, "Upgrade: websocketx", CONNECTION, VERSION, KEY_FIELD], 400, only_websocket),
        (vec![HOST, "Upgrade: web socket", CONNECTION, VERSION, KEY_FIELD], 400, only_websocket),
        (vec![HOST, UPGRADE, VERSION, KEY_FIELD], 400, must_upgrade),
        (vec![HOST, UPGRADE, "Connection: close", VERSION, KEY_FIELD], 400, must_upgrade),
        (vec![HOST, UPGRADE, "Connection: Upgrades", VERSION, KEY_FIELD], 400, must_upgrade),
        (vec![HOST, UPGRADE, CONNECTION, KEY_FIELD], 400, hixie),
        (vec![HOST, UPGRADE, CONNECTION], 400, hixie),
        (vec![HOST, UPGRADE, CONNECTION, "Sec-WebSocket-Key1: 4 @1  46546xW%0l 1 5"], 400, hixie),
        (vec![HOST, UPGRADE, CONNECTION, VERSION], 400, key),
        (vec![HOST, UPGRADE, CONNECTION, VERSION, KEY_FIELD, KEY_FIELD], 400, key),
    ];
    let versions = ["0", "6", "9", "12", "14", "013", "x", "", "13, 8"];
    let versions = versions.map(|version| format!("Sec-WebSocket-Version: {version}"));
    let other = |field| (vec![HOST, UPGRADE, CONNECTION, field, KEY_FIELD], 426, version);
    refusals.extend(versions.iter().map(|field| other(field)));
    let keys =
        ["", "x", "==", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZQ=", "dGhlIHNhbXBsZSBub25jZQAA"];
    let keys = keys.into_iter().chain([
        "dGhlIHNhbXBsZSBub25j==",
        "dGhlIHNhbXBsZSBub2 jZQ==",
        "dGhlIHNhbXBsZSBub2-jZQ==",
    ]);
    let keys: Vec<String> = keys.map(|key| format!("Sec-WebSocket-Key: {key}")).collect();
    let bad = |field| (vec![HOST, UPGRADE, CONNECTION, VERSION, field], 400, key);
    refusals.extend(keys.iter().map(|field| bad(field)));
    for (fields, status, body) in refusals {
        for target in [RAW, SOCKJS] {
            let line = format!("GET {target} HTTP/1.1");
            let (got, text, mut client) = attempt(&server, &line, &fields);
            assert_eq!((got, &*text), (status, body), "{fields:?}");
            // It was a request like any other: the connection goes on, unless it was to close.
            if !fields.contains(&"Connection: close") {
                assert_eq!(client.ask("GET", "/raw", "", b"").text(), "Welcome to SockJS!\n");
            }
        }
    }
    record.expect_silence();
}

/// Section 12, rule 7: an upgrade is answered only where WebSocket lives, never on HTTP/1.0, never without Host.
#[test]
fn there_is_no_upgrade_anywhere_else() {
    let (server, record) = recording(|_| {});
    let all = [HOST, UPGRADE, CONNECTION, VERSION, KEY_FIELD];
    for (line, status) in [
        (format!("GET {RAW} HTTP/1.0"), 400),
        (format!("GET {SOCKJS} HTTP/1.0"), 400),
        (format!("POST {RAW} HTTP/1.1"), 405),
        (format!("HEAD {SOCKJS} HTTP/1.1"), 405),
        (format!("OPTIONS {SOCKJS} HTTP/1.1"), 405),
        ("GET /raw HTTP/1.1".to_owned(), 200),
        ("GET /raw/info HTTP/1.1".to_owned(), 200),
        ("GET /raw/000/session/xhr HTTP/1.1".to_owned(), 405),
        ("GET /raw/000/websocket HTTP/1.1".to_owned(), 404),
        ("GET /websocket HTTP/1.1".to_owned(), 404),
    ] {
        assert_eq!(attempt(&server, &line, &all).0, status, "{line}");
    }
    assert_eq!(attempt(&server, &format!("GET {RAW} HTTP/1.1"), &all[1..]).0, 400);
    record.expect_silence();
    let (server, _record) = recording(|options| {
        use sockjs_server::Transport::{RawWebSocket, WebSocket};
        options.transports = options.transports.without(WebSocket).without(RawWebSocket);
    });
    for target in [RAW, SOCKJS] {
        assert_eq!(attempt(&server, &format!("GET {target} HTTP/1.1"), &all).0, 404);
    }
}

#[test]
fn a_subprotocol_is_chosen_where_the_program_names_one() {
    let (server, _record) = recording(|options| options.subprotocols = vec!["v2".into(), "v1".into()]);
    for (offered, chosen) in [
        ("Sec-WebSocket-Protocol: v1\r\n", Some("v1")),
        ("Sec-WebSocket-Protocol: v1, v2\r\n", Some("v2")),
        ("Sec-WebSocket-Protocol: v0\r\nSec-WebSocket-Protocol: v1\r\n", Some("v1")),
        ("Sec-WebSocket-Protocol: V2\r\n", None),
        ("", None),
    ] {
        let mut client = Client::connect(server.address);
        client.send(handshake(RAW, offered));
        assert_eq!(client.expect_upgrade().header("Sec-WebSocket-Protocol"), chosen, "{offered}");
        let mut client = Client::connect(server.address);
        client.send(handshake(SOCKJS, offered));
        assert_eq!(client.expect_upgrade().header("Sec-WebSocket-Protocol"), None, "{offered}");
    }
}

#[test]
fn origins_are_checked() {
    let (server, _record) = recording(|options| options.origins = vec!["https://friend.example".into()]);
    for (origin, status) in [
        ("Origin: https://friend.example", 101),
        ("Origin: https://foe.example", 403),
        ("Origin: null", 403),
        ("Sec-WebSocket-Version: 8\r\nSec-WebSocket-Origin: https://foe.example", 403),
        ("X: no page", 101),
    ] {
        for target in [RAW, SOCKJS] {
            let line = format!("GET {target} HTTP/1.1");
            let fields = [origin, HOST, UPGRADE, CONNECTION, VERSION, KEY_FIELD];
            assert_eq!(attempt(&server, &line, &fields).0, status, "{origin}");
        }
    }
    assert_eq!(server.counters().opened, 4);
}

// What comes in the packet of the handshake (section 12, rule 3).

#[test]
fn frames_may_come_in_the_packet_of_the_request() {
    let (server, record) = recording(|_| {});
    let mut client = Client::connect(server.address);
    client.send([handshake(RAW, "").into_bytes(), text("first"), text("second")].concat());
    client.expect_upgrade();
    client.expect_text("first");
    client.expect_text("second");
    let expected = ["open", "text first", "text second"];
    assert_eq!(expected.map(|_| record.next()), expected);
    let mut client = Client::connect(server.address);
    client.send([handshake(SOCKJS, "").into_bytes(), text("\"first\"")].concat());
    client.expect_upgrade();
    client.expect_text("o");
    client.expect_text("a[\"first\"]");
}

#[test]
fn a_close_may_come_in_the_packet_of_the_request() {
    for target in [RAW, SOCKJS] {
        let (server, record) = recording(|_| {});
        let message = text(if target == RAW { "hush" } else { "\"hush\"" });
        let mut client = Client::connect(server.address);
        client.send([handshake(target, "").into_bytes(), message, close(3456, "bye")].concat());
        client.expect_upgrade();
        if target == SOCKJS {
            client.expect_text("o");
        }
        client.expect_close(3456);
        client.expect_end();
        assert_eq!(record.until_close(), ["open", "text hush", "close 3456 Client"]);
        drop(client);
        server.wait_until_empty("a close in the packet of the handshake");
        record.expect_silence();
    }
}

#[test]
fn an_upgrade_may_come_behind_other_requests_and_have_a_body() {
    let (server, record) = recording(|_| {});
    let mut client = Client::connect(server.address);
    let upgrade = handshake(RAW, "Content-Length: 12\r\n") + "no frame yet";
    let poll = "POST /raw/000/s/xhr HTTP/1.1\r\nHost: a\r\n\r\n";
    client.send([poll.as_bytes(), upgrade.as_bytes(), &text("x")].concat());
    let mut answer = client.read_head();
    client.read_body(&mut answer);
    assert_eq!(answer.text(), "o\n");
    client.expect_upgrade();
    client.expect_text("x");
    let expected = ["open", "open", "text x"];
    assert_eq!(expected.map(|_| record.next()), expected);
}

#[test]
fn every_upgrade_is_a_session_of_its_own() {
    let (server, _record) = recording(|_| {});
    let mut clients = [SOCKJS, SOCKJS].map(|target| connect(&server, target));
    for client in &mut clients {
        client.expect_text("o");
    }
    let [one, two] = &mut clients;
    one.send(text("\"one\""));
    one.expect_text("a[\"one\"]");
    two.send(text("\"two\""));
    two.expect_text("a[\"two\"]");
    // Nor is it found under its id by a transport of HTTP.
    let mut http = Client::connect(server.address);
    assert_eq!(http.ask("POST", "/raw/000/session/xhr_send", "", b"[\"x\"]").status, 404);
    assert_eq!(http.ask("POST", "/raw/000/session/xhr", "", b"").text(), "o\n");
}

// What is refused (RFC 6455 §5, §7, §8).

/// Bytes from a client, and the code with which the connection fails.
fn violations() -> Vec<(&'static str, Vec<u8>, u16)> {
    let two = |length: u16| [&[0xfe][..], &length.to_be_bytes()].concat();
    let eight = |length: u64| [&[0xff][..], &length.to_be_bytes()].concat();
    let fragment = |bytes: Vec<u8>| [frame(TEXT, b"a"), bytes].concat();
    vec![
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
    ]
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

/// 1003 on a raw WebSocket is the program's choice, and the default.
#[test]
fn a_program_that_takes_no_binary_refuses_it() {
    let server = TestServer::start(ServerOptions::default(), |server| {
        server.mount("/raw", |_: &mut Session<'_>, _: &str| {}).expect("mount");
    });
    let mut client = connect(&server, RAW);
    client.send(frame(FIN | BINARY, b"x"));
    client.expect_close(1003);
    client.hang_up();
    client.expect_end();
}

/// Section 10's limits have their like here: the largest message that is taken, and the next one.
#[test]
fn the_largest_message_is_taken_and_the_next_refused() {
    let (server, _record) = recording(|options| options.message_size = 70_000);
    let mut client = connect(&server, RAW);
    client.send(text("x".repeat(70_000)));
    client.expect_text("x".repeat(70_000));
    client.send(frame(TEXT, &[b'x'; 69_999])).send(frame(FIN | CONTINUATION, b"x"));
    client.expect_text("x".repeat(70_000));
    client.send(frame(TEXT, &[b'x'; 69_999])).send(header(FIN | CONTINUATION, &[0x82]));
    client.expect_close(1009);
    client.expect_end();
    let mut client = connect(&server, SOCKJS);
    client.expect_text("o");
    client.send(text(format!("[\"{}\"]", "x".repeat(70_000))));
    client.expect_text(format!("a[\"{}\"]", "x".repeat(70_000)));
    client.send(header(FIN | TEXT, &[0xff, 0, 0, 0, 0, 0, 1, 0x12, 0]));
    client.expect_close(1009);
    client.expect_end();
}

// Closing (RFC 6455 §7).

#[test]
fn a_close_is_answered_once_with_its_code() {
    for target in [RAW, SOCKJS] {
        let (server, record) = recording(|_| {});
        for code in
            [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999]
        {
            for reason in ["", "because \u{e9}", &"r".repeat(123)] {
                let mut client = connect(&server, target);
                if target == SOCKJS {
                    client.expect_text("o");
                }
                // Nothing behind the close is read, a second close least of all.
                let behind = [frame(FIN | PING, b"still?"), text("\"x\""), close(1000, "")].concat();
                client.send([close(code, reason), behind].concat());
                client.expect_close(code);
                client.expect_end();
                assert_eq!(record.until_close(), ["open", &format!("close {code} Client")]);
            }
        }
        let mut client = connect(&server, target);
        client.send(frame(FIN | CLOSE, b""));
        if target == SOCKJS {
            client.expect_text("o");
        }
        client.expect_frame(FIN | CLOSE, "");
        client.expect_end();
        assert_eq!(record.until_close(), ["open", "close 1005 Client"]);
    }
}

#[test]
fn close_codes_that_must_not_be_sent_are_refused() {
    let (server, record) = recording(|_| {});
    for code in [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535] {
        let mut client = connect(&server, RAW);
        client.send(close(code, "reason"));
        client.expect_close(1002);
        client.expect_end();
        assert_eq!(record.until_close(), ["open", "close 1002 Protocol"], "{code}");
    }
}

#[test]
fn tungstenite_closes_and_is_closed() {
    let (server, record) = recording(|_| {});
    let mut socket = tungstenite(&server, RAW);
    let frame = CloseFrame { code: CloseCode::Library(3210), reason: "the client's".into() };
    socket.close(Some(frame)).expect("close");
    match socket.read().expect("the answer") {
        Message::Close(Some(frame)) => assert_eq!(u16::from(frame.code), 3210),
        other => panic!("{other:?}"),
    }
    assert!(matches!(socket.read(), Err(tungstenite::Error::ConnectionClosed)));
    assert_eq!(record.until_close(), ["open", "close 3210 Client"]);

    let mut socket = tungstenite(&server, RAW);
    socket.send(Message::text("close 3000 Go away!")).expect("send");
    match socket.read().expect("the close") {
        Message::Close(Some(frame)) => {
            assert_eq!((u16::from(frame.code), frame.reason.as_str()), (3000, "Go away!"));
        }
        other => panic!("{other:?}"),
    }
    // It answers by itself; then the server ends TCP, which is what a client waits for (RFC 6455 §7.1.1).
    assert!(matches!(socket.read(), Err(tungstenite::Error::ConnectionClosed)));
    assert_eq!(record.until_close(), ["open", "text close 3000 Go away!", "close 3000 Application"]);
}

/// Section 7, rule 5, and section 8: waiting messages first, then the words.
#[test]
fn the_servers_close_comes_behind_what_waits() {
    let (server, record) = recording(|_| {});
    let mut client = connect(&server, RAW);
    client.send([text("one"), text("two"), text("close 3000 Go away!"), text("three")].concat());
    client.expect_text("one");
    client.expect_text("two");
    assert_eq!(client.expect_close(3000), "Go away!");
    client.send(close(3000, ""));
    client.expect_end();
    let expected = ["open", "text one", "text two", "text close 3000 Go away!", "close 3000 Application"];
    assert_eq!(record.until_close(), expected);

    let mut client = connect(&server, SOCKJS);
    client.expect_text("o");
    client.send(text("[\"one\",\"two\",\"close 3000 Go away!\",\"three\"]"));
    client.expect_text("a[\"one\",\"two\"]");
    client.expect_text("c[3000,\"Go away!\"]");
    client.expect_frame(FIN | CLOSE, close_payload(1000, "Normal closure"));
    client.send(close(1000, ""));
    client.expect_end();
    assert_eq!(record.until_close().len(), 5);
}

#[test]
fn a_server_that_closed_ends_tcp_itself() {
    let (server, _record) = recording(|_| {});
    type Answer = fn(&mut Client);
    let answers: [(&str, Answer); 5] = [
        ("a close", |client| {
            client.send(close(3000, ""));
        }),
        ("messages that nobody reads, and a close", |client| {
            client.send([text("\"x\""), frame(FIN | PING, b"?"), close(3000, "")].concat());
        }),
        ("no frame at all", |client| {
            client.send([0xff; 20]);
        }),
        ("the end of the stream", |client| client.hang_up()),
        // Bounded by `close_timeout` alone.
        ("nothing", |_| {}),
    ];
    for (what, answer) in answers {
        for (target, order) in [(RAW, "close 3000 x"), (SOCKJS, "\"close 3000 x\"")] {
            let mut client = connect(&server, target);
            client.send(text(order));
            while client.read_frame().0 != FIN | CLOSE {}
            answer(&mut client);
            client.expect_end();
            drop(client);
            server.wait_until_empty(what);
        }
    }
}

#[test]
fn close_frames_of_the_server_are_valid() {
    struct Closer;
    impl Handler for Closer {
        fn on_open(&mut self, session: &mut Session<'_>, request: &Request<'_>) {
            let parameter = |name| request.query_parameter(name).expect("a parameter");
            let length = parameter("length").parse().expect("a length");
            session.close(parameter("code").parse().expect("a code"), &parameter("letter").repeat(length));
        }
        fn on_message(&mut self, _: &mut Session<'_>, _: &str) {}
    }
    let server = TestServer::start(ServerOptions::default(), |server| {
        server.mount("/raw", Closer).expect("mount");
    });
    for (code, sent) in
        [(1000, 1000), (4999, 4999), (0, 1000), (1005, 1000), (1006, 1000), (1015, 1000), (5000, 1000)]
    {
        let mut client = connect(&server, &format!("{RAW}?code={code}&letter=x&length=0"));
        assert_eq!(client.expect_close(sent), "");
        client.hang_up();
    }
    // Section 9: a reason longer than 123 bytes is cut. (Queries are ASCII; cutting between characters is tested with
    // the protocol itself.)
    for (length, sent) in [(123, 123), (124, 123), (5000, 123)] {
        let mut client = connect(&server, &format!("{RAW}?code=3000&letter=x&length={length}"));
        assert_eq!(client.expect_close(3000), "x".repeat(sent));
        client.hang_up();
    }
    // The frame of SockJS has room for all of it.
    let mut client = connect(&server, &format!("{SOCKJS}?code=3000&letter=x&length=5000"));
    client.expect_text("o");
    client.expect_text(format!("c[3000,\"{}\"]", "x".repeat(5000)));
    assert_eq!(client.expect_close(1000), "Normal closure");
}

/// `EndpointOptions::send_queue`: an empty queue takes any message.
#[test]
#[ignore = "BUG: the head of the handshake's answer, or the open frame, counts as what waits"]
fn an_empty_queue_takes_any_message_at_once() {
    struct Greeter;
    impl Handler for Greeter {
        fn on_open(&mut self, session: &mut Session<'_>, _: &Request<'_>) {
            session.send(&"x".repeat(5000)).expect("an empty queue takes any message");
        }
        fn on_message(&mut self, _: &mut Session<'_>, _: &str) {}
    }
    let mut options = EndpointOptions::default();
    options.send_queue = 4096;
    let server = TestServer::start(ServerOptions::default(), |server| {
        server.mount_with("/raw", options, Greeter).expect("mount");
    });
    connect(&server, RAW).expect_text("x".repeat(5000));
    let mut client = connect(&server, SOCKJS);
    client.expect_text("o");
    client.expect_text(format!("a[\"{}\"]", "x".repeat(5000)));
}

// Liveness (sections 5 and 12, rule 6).

#[test]
fn heartbeats_are_frames_on_sockjs_and_pings_on_both() {
    let (server, _record) = recording(|options| {
        options.heartbeat_delay = Duration::from_millis(30);
        options.pong_timeout = Duration::from_secs(60);
    });
    let mut client = connect(&server, SOCKJS);
    client.expect_text("o");
    for _ in 0..3 {
        let mut beat = [client.read_frame(), client.read_frame()];
        beat.sort();
        assert_eq!(beat, [(FIN | TEXT, b"h".to_vec()), (FIN | PING, Vec::new())]);
        client.send(frame(FIN | PONG, b""));
    }
    let mut client = connect(&server, RAW);
    for _ in 0..3 {
        client.expect_frame(FIN | PING, "");
        client.send(frame(FIN | PONG, b""));
    }
}

#[test]
fn a_client_that_does_not_answer_a_ping_is_gone() {
    let (server, record) = recording(|options| {
        options.heartbeat_delay = Duration::from_millis(30);
        options.pong_timeout = Duration::from_millis(30);
    });
    for target in [RAW, SOCKJS] {
        let mut client = connect(&server, target);
        client.rest();
        assert_eq!(record.until_close(), ["open", "close 1006 Unresponsive"]);
    }
    server.wait_until_empty("silence");
}
