//! The handshake (RFC 6455 §4.2), and what may come in its packet (rules 12.3 and 12.7).

use crate::support::TestServer;
use crate::support::client::Client;
use crate::support::frames::{ACCEPT, KEY, close, handshake, text};
use crate::{RAW, SOCKJS, recording};

// The handshake (RFC 6455 §4.2).

/// Rule 9: the answer has no field more.
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
    let answer = client.answer();
    let versions = answer.header("Sec-WebSocket-Version");
    assert_eq!(versions, (answer.status == 426).then_some("13, 8, 7"), "{}", answer.head);
    let upgrades = matches!(answer.status, 101 | 426);
    assert_eq!(answer.header("Upgrade"), upgrades.then_some("websocket"), "{}", answer.head);
    (answer.status, answer.text().to_owned(), client)
}

const HOST: &str = "Host: localhost";
const UPGRADE: &str = "Upgrade: websocket";
const CONNECTION: &str = "Connection: Upgrade";
const VERSION: &str = "Sec-WebSocket-Version: 13";
const KEY_FIELD: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";

/// Rule 9: Upgrade, Connection, versions, on both kinds of WebSocket.
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

/// Rule 9: refusals with their words, and what follows on the connection.
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
        (vec![HOST, UPGRADE, CONNECTION, VERSION, VERSION, KEY_FIELD], 426, version),
        (vec![HOST, UPGRADE, CONNECTION, VERSION, "Sec-WebSocket-Version: 8", KEY_FIELD], 426, version),
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
            if fields.contains(&UPGRADE) {
                // It may have begun to speak it: none of that is read as a request.
                client.expect_end();
            } else {
                assert_eq!(client.ask("GET", "/raw", "", b"").text(), "Welcome to SockJS!\n");
            }
        }
    }
    record.expect_silence();
}

/// Rule 12.7: an upgrade is answered only where WebSocket lives, never on HTTP/1.0, never without Host.
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

// What comes in the packet of the handshake (rule 12.3).

/// Rule 12.3, and what the application hears.
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

/// Rule 12.3, and what the application hears.
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

/// Rules 12.2 and 12.3.
#[test]
fn an_upgrade_may_come_behind_other_requests_and_have_a_body() {
    let (server, record) = recording(|_| {});
    let mut client = Client::connect(server.address);
    let upgrade = handshake(RAW, "Content-Length: 12\r\n") + "no frame yet";
    let poll = "POST /raw/000/s/xhr HTTP/1.1\r\nHost: a\r\n\r\n";
    client.send([poll.as_bytes(), upgrade.as_bytes(), &text("x")].concat());
    assert_eq!(client.answer().text(), "o\n");
    client.expect_upgrade();
    client.expect_text("x");
    let expected = ["open", "open", "text x"];
    assert_eq!(expected.map(|_| record.next()), expected);
}
