//! Section 9: RFC 6455 as a server has to speak it. (`§` is the RFC's.)

use std::time::Duration;

use sockjs_server::{EndpointOptions, ServerOptions, Session};

use crate::rule::{Rule, here, rule};
use crate::support::TestServer;
use crate::support::bad_frames::{self, Row};
use crate::support::client::Answer;
use crate::support::frames::whole::{BINARY, CLOSE, PING, PONG, TEXT};
use crate::support::frames::{ACCEPT, CONTINUATION, FIN, HANDSHAKE, TEXT as TEXT_BEGINS, frame};
use crate::support::target::{Target, fresh_id};
use crate::support::websocket::WebSocket;
use crate::support::wire::messages;

pub const RULES: &[Rule] = &[
    rule(
        "9",
        "the answer is 101: Upgrade, Connection, Sec-WebSocket-Accept, and no Content-Length",
        accepted,
    ),
    rule("9", "Upgrade: any case, or one of a list", upgrade_values),
    rule("9", "Connection: a list that holds Upgrade, as Firefox's `keep-alive, Upgrade`", connection_values),
    rule("9", "without a proper Upgrade: 400 `Can \"Upgrade\" only to \"WebSocket\".`", no_upgrade),
    rule("9", "with a wrong Connection: 400 `\"Connection\" must be \"Upgrade\".`", wrong_connection),
    rule("9", "other methods than GET: 405", other_methods),
    rule("9", "Sec-WebSocket-Version 13, 8 and 7 share one framing", versions),
    rule("9", "any other version: 426 with Sec-WebSocket-Version: 13, 8, 7", other_versions),
    rule("9", "hixie-75 and hixie-76 are not spoken: 400", hixie),
    rule("9", "Sec-WebSocket-Key is the base64 of 16 bytes, once", keys),
    rule("9", "no subprotocol is chosen, no extension negotiated, whatever is offered", nothing_negotiated),
    here("9", "a raw WebSocket chooses the first subprotocol of the endpoint's that is offered", subprotocol),
    here("9", "a close reason longer than 123 bytes is cut at a character boundary", long_reason),
    rule("9", "the first frames may arrive in the packet of the request", frames_behind_request),
    rule("9", "a text of any length comes back: 0, 125, 126, 65535, 65536 and more", lengths),
    rule("9", "§5.4: a fragmented message is one message; control frames may stand between", fragments),
    rule("9", "frames cut at every byte mean the same", frames_cut),
    rule("9", "§5.5.2: a ping is answered with its payload, at once", pings),
    rule("9", "§5.5.3: a pong that nobody asked for is ignored", pongs),
    rule("9", "§5.5.1: a close is answered once, with the same code, and TCP ends", closes),
    rule("9", "§7.4: close codes are checked: 999, 1004-1006, 1015-2999 and 5000 -> 1002", bad_close_codes),
    rule(
        "9",
        "§5.5.1: a close payload of one byte -> 1002; a reason that is not UTF-8 -> 1007",
        bad_close_payloads,
    ),
    rule("9", "§5.1: masking is required -> 1002", unmasked),
    rule("9", "§5.2: RSV bits are zero -> 1002", reserved_bits),
    rule("9", "§5.2: reserved opcodes are refused -> 1002", reserved_opcodes),
    rule(
        "9",
        "§5.2: a length is written in the fewest bytes, and is below 2^63 -> 1002",
        lengths_not_minimal,
    ),
    rule("9", "§5.5: control frames are whole and at most 125 bytes -> 1002", control_frames),
    rule("9", "§5.4: a continuation of nothing, or a new message within another -> 1002", bad_fragments),
    rule("9", "§8.1: text that is not UTF-8 -> 1007, in one frame or many", bad_utf8),
    rule("9", "a bad byte fails the connection before the message is complete", bad_utf8_early),
    rule("9", "a character may be split between fragments", split_character),
    rule("9", "1003: a binary message on a SockJS session", binary_on_sockjs),
    here("9", "1009: a message that is too big, at once, from its header", too_big),
    here("9", "1001: going away at shutdown", going_away),
];

fn path() -> String {
    format!("/echo/000/{}/websocket", fresh_id())
}

fn opened(target: &Target) -> WebSocket {
    let mut websocket = target.websocket(&path());
    assert_eq!(websocket.text(), "o");
    websocket
}

/// A handshake with other headers: the answer, read as far as its head.
fn shake(target: &Target, headers: &str) -> Answer {
    target.connect().request("GET", &path(), headers, b"").head()
}

fn accepted(target: &Target) {
    for path in ["/echo/websocket".to_owned(), path()] {
        let answer = target.websocket(&path).answer;
        assert_eq!(answer.header("Upgrade").map(str::to_lowercase).as_deref(), Some("websocket"));
        assert_eq!(answer.header("Connection").map(str::to_lowercase).as_deref(), Some("upgrade"));
        answer
            .expect_header("Sec-WebSocket-Accept", ACCEPT)
            .expect_header("Content-Length", None)
            .expect_header("Transfer-Encoding", None);
    }
}

fn upgrade_values(target: &Target) {
    for value in ["WebSocket", "WEBSOCKET", "websocket, h2c", "h2c , websocket", "h2c,WebSocket"] {
        let headers = HANDSHAKE.replace("Upgrade: websocket", &format!("Upgrade: {value}"));
        assert_eq!(shake(target, &headers).status, 101, "Upgrade: {value}");
    }
}

fn connection_values(target: &Target) {
    for value in ["upgrade", "UPGRADE", "keep-alive, Upgrade", "Upgrade,keep-alive", "keep-alive ,\tupgrade"]
    {
        let headers = HANDSHAKE.replace("Connection: Upgrade", &format!("Connection: {value}"));
        assert_eq!(shake(target, &headers).status, 101, "Connection: {value}");
    }
}

fn refused(target: &Target, headers: &str, status: u16, text: &str) -> Answer {
    let answer = target.ask("GET", &path(), headers, b"");
    assert_eq!((answer.status, answer.text().trim_end()), (status, text), "asked with {headers}");
    answer
}

fn no_upgrade(target: &Target) {
    let text = "Can \"Upgrade\" only to \"WebSocket\".";
    refused(target, "", 400, text);
    for value in ["xwebsocket", "websocketx", "h2c", "web socket", ""] {
        let headers = HANDSHAKE.replace("Upgrade: websocket", &format!("Upgrade: {value}"));
        refused(target, &headers, 400, text);
    }
}

fn wrong_connection(target: &Target) {
    for value in ["close", "keep-alive", "upgrades", ""] {
        let headers = HANDSHAKE.replace("Connection: Upgrade", &format!("Connection: {value}"));
        refused(target, &headers, 400, "\"Connection\" must be \"Upgrade\".");
    }
    refused(
        target,
        &HANDSHAKE.replace("Connection: Upgrade\r\n", ""),
        400,
        "\"Connection\" must be \"Upgrade\".",
    );
}

fn other_methods(target: &Target) {
    for path in ["/echo/websocket".to_owned(), path()] {
        for method in ["POST", "PUT", "DELETE"] {
            let answer = target.ask(method, &path, HANDSHAKE, b"").expect(405);
            assert!(answer.header("Allow").is_some_and(|methods| methods.contains("GET")), "{}", answer.head);
            answer.expect_header("Content-Type", None).expect_body("");
        }
    }
}

fn with_version(version: &str) -> String {
    HANDSHAKE.replace("Version: 13", &format!("Version: {version}"))
}

fn versions(target: &Target) {
    for version in ["13", "8", "7"] {
        let headers = format!("{}Sec-WebSocket-Origin: http://example.org\r\n", with_version(version));
        let mut websocket = WebSocket::open_on(target.connect(), &path(), &headers);
        assert_eq!(websocket.text(), "o");
        assert_eq!(websocket.send("[\"€\"]").text(), "a[\"€\"]", "version {version}");
        websocket.close_with(1000, "");
    }
}

fn other_versions(target: &Target) {
    for version in ["0", "6", "9", "12", "14", "25", "130", "x"] {
        let answer = target.ask("GET", &path(), &with_version(version), b"");
        assert_eq!(answer.status, 426, "version {version}: {}", answer.head);
        answer.expect_header("Sec-WebSocket-Version", "13, 8, 7");
    }
}

fn hixie(target: &Target) {
    let hixie75 = "Upgrade: WebSocket\r\nConnection: Upgrade\r\nOrigin: http://example.org\r\n";
    let hixie76 = format!(
        "{hixie75}Sec-WebSocket-Key1: 4 @1  46546xW%0l 1 5\r\nSec-WebSocket-Key2: 12998 5 Y3 1  .P00\r\n"
    );
    for headers in [hixie75, &hixie76] {
        let mut connection = target.connect();
        connection.request("GET", &path(), headers, b"");
        connection.head().expect(400);
    }
}

fn keys(target: &Target) {
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    for bad in [
        "",
        "Sec-WebSocket-Key:\r\n",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ\r\n",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j\r\n",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQAA\r\n",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25 ZQ==\r\n",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25-ZQ==\r\n",
        &key.repeat(2),
    ] {
        let answer = shake(target, &HANDSHAKE.replace(key, bad));
        assert_eq!(answer.status, 400, "with {bad:?}: {}", answer.head);
    }
}

fn nothing_negotiated(target: &Target) {
    let offers = "Sec-WebSocket-Protocol: chat, v10.stomp\r\n\
                  Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n";
    for path in ["/echo/websocket".to_owned(), path()] {
        WebSocket::open_on(target.connect(), &path, &format!("{HANDSHAKE}{offers}"))
            .answer
            .expect_header("Sec-WebSocket-Protocol", None)
            .expect_header("Sec-WebSocket-Extensions", None);
    }
}

/// A server with one endpoint at `/echo`; `bye` closes with a long reason.
fn start(change: impl FnOnce(&mut EndpointOptions)) -> (TestServer, Target) {
    let mut options = EndpointOptions::default();
    change(&mut options);
    let server = TestServer::start(ServerOptions::default(), |server| {
        let handler = |session: &mut Session<'_>, text: &str| match text {
            // 122 bytes, and a character of three.
            "bye" => session.close(3000, &("x".repeat(122) + "€€€")),
            _ => session.send(text).expect("room"),
        };
        server.mount_with("/echo", options, handler).expect("mount");
    });
    let target = Target::at(server.address);
    (server, target)
}

fn subprotocol() {
    let (_server, target) = start(|options| options.subprotocols = vec!["v2".into(), "v1".into()]);
    for (offers, chosen) in [
        (&["v1"][..], Some("v1")),
        (&["v1, v2"], Some("v2")),
        (&["v0, v1, v2"], Some("v2")),
        (&["v1", "v2"], Some("v2")),
        (&["v0", "v1"], Some("v1")),
        (&["x,v1"], Some("v1")),
        (&["V1"], None),
        (&["V2, other"], None),
        (&["x"], None),
        (&[], None),
    ] {
        let offers: String =
            offers.iter().map(|offer| format!("Sec-WebSocket-Protocol: {offer}\r\n")).collect();
        let headers = format!("{HANDSHAKE}{offers}");
        let raw = WebSocket::open_on(target.connect(), "/echo/websocket", &headers);
        assert_eq!(raw.answer.header("Sec-WebSocket-Protocol"), chosen, "offered {offers}");
        // A SockJS session speaks SockJS.
        let framed = WebSocket::open_on(target.connect(), &path(), &headers);
        framed.answer.expect_header("Sec-WebSocket-Protocol", None);
    }
}

fn long_reason() {
    let (_server, target) = start(|_| {});
    let mut raw = target.websocket("/echo/websocket");
    assert_eq!(raw.send("bye").close(), Some((3000, "x".repeat(122))));
}

fn frames_behind_request(target: &Target) {
    let mut connection = target.connect();
    let mut bytes = connection.bytes_of("GET", &path(), HANDSHAKE, b"");
    bytes.extend(frame(TEXT, br#"["a"]"#));
    bytes.extend(frame(PING, b"p"));
    bytes.extend(frame(TEXT, br#"["b"]"#));
    connection.send(bytes);
    let answer = connection.head().expect(101);
    let mut websocket = WebSocket { client: connection, answer };
    assert_eq!(websocket.text(), "o");
    let (mut received, mut ponged) = (Vec::new(), false);
    while received.len() < 2 {
        match websocket.frame() {
            (PONG, payload) => ponged = payload == b"p",
            (TEXT, payload) => received.extend(messages(std::str::from_utf8(&payload).expect("UTF-8"))),
            (first, _) => panic!("{first:#04x}"),
        }
    }
    assert_eq!(received, ["a", "b"]);
    // The pong may stand behind both messages.
    assert!(ponged || websocket.frame() == (PONG, b"p".to_vec()));
}

fn lengths(target: &Target) {
    let mut raw = target.websocket("/echo/websocket");
    for length in [0, 1, 124, 125, 126, 127, 128, 65535, 65536, 65537, 300_000, 1 << 20] {
        let text = "x".repeat(length);
        assert!(raw.send(&text).text() == text, "{length} bytes");
    }
    let mut framed = opened(target);
    for length in [0, 1, 120, 121, 122, 65530, 65531, 65536, 300_000] {
        let text = "y".repeat(length);
        assert!(messages(&framed.send(&format!("[\"{text}\"]")).text()) == [text], "{length} bytes");
    }
}

fn fragments(target: &Target) {
    let mut websocket = opened(target);
    websocket.send_frame(TEXT_BEGINS, b"[\"a").send_frame(PING, b"1").send_frame(CONTINUATION, b"b");
    websocket.send_frame(CONTINUATION, b"").send_frame(PONG, b"").send_frame(FIN | CONTINUATION, b"c\"]");
    assert_eq!(websocket.frame(), (PONG, b"1".to_vec()));
    assert_eq!(websocket.text(), r#"a["abc"]"#);
    let mut raw = target.websocket("/echo/websocket");
    raw.send_frame(0x02, b"\xff").send_frame(PING, b"").send_frame(FIN | CONTINUATION, b"\xfe");
    assert_eq!((raw.frame(), raw.frame()), ((PONG, vec![]), (BINARY, b"\xff\xfe".to_vec())));
}

fn frames_cut(target: &Target) {
    let mut websocket = opened(target);
    let long = "z".repeat(200);
    let mut bytes = frame(TEXT, "[\"€\u{1f600}\"]".as_bytes());
    bytes.extend(frame(TEXT, format!("[\"{long}\"]").as_bytes()));
    bytes.extend(frame(PING, b"ping"));
    for byte in bytes {
        websocket.client.send([byte]);
    }
    // A pong may overtake messages, which may be packed.
    let (mut received, mut ponged) = (Vec::new(), false);
    while received.len() < 2 || !ponged {
        match websocket.frame() {
            (PONG, payload) => ponged = payload == b"ping",
            (TEXT, payload) => received.extend(messages(std::str::from_utf8(&payload).expect("UTF-8"))),
            (first, _) => panic!("{first:#04x}"),
        }
    }
    assert_eq!(received, ["€\u{1f600}", &long]);
}

fn pings(target: &Target) {
    for mut websocket in [target.websocket("/echo/websocket"), opened(target)] {
        for payload in [&b""[..], b"x", b"\0\xff\x80", &[7; 125]] {
            websocket.send_frame(PING, payload);
            assert_eq!(websocket.frame(), (PONG, payload.to_vec()));
        }
    }
}

fn pongs(target: &Target) {
    let mut raw = target.websocket("/echo/websocket");
    raw.send_frame(PONG, b"unasked").send_frame(PONG, b"");
    assert_eq!(raw.send("a").text(), "a");
}

fn closes(target: &Target) {
    for (code, reason) in [(1000, ""), (1001, "bye"), (1011, "é"), (3000, "x"), (4999, &*"r".repeat(123))] {
        opened(target).close_with(code, reason);
        target.websocket("/echo/websocket").close_with(code, reason);
    }
    let mut without_code = opened(target);
    without_code.send_frame(0x88, b"");
    let answered = without_code.close();
    assert!(answered.is_none() || answered.as_ref().is_some_and(|(code, _)| *code == 1000), "{answered:?}");
    without_code.client.expect_end();
}

/// Each row must end the connection with its code, on either kind of WebSocket.
fn fails(target: &Target, rows: Vec<Row>) {
    for (what, bytes, code) in rows {
        for path in ["/echo/websocket".to_owned(), path()] {
            let mut websocket = target.websocket(&path);
            if path != "/echo/websocket" {
                assert_eq!(websocket.text(), "o");
            }
            websocket.client.send_if_wanted(&bytes);
            let (first, payload) = websocket.frame();
            assert_eq!(first, CLOSE, "a close frame after {what}");
            let got = payload.first_chunk().map(|code| u16::from_be_bytes(*code));
            assert_eq!(got, Some(code), "the close code after {what}");
            websocket.client.expect_end();
        }
    }
}

fn bad_close_codes(target: &Target) {
    fails(target, bad_frames::close_codes());
}

fn bad_close_payloads(target: &Target) {
    fails(target, bad_frames::close_payloads());
}

fn unmasked(target: &Target) {
    fails(target, bad_frames::unmasked());
}

fn reserved_bits(target: &Target) {
    fails(target, bad_frames::reserved_bits());
}

fn reserved_opcodes(target: &Target) {
    fails(target, bad_frames::reserved_opcodes());
}

fn lengths_not_minimal(target: &Target) {
    fails(target, bad_frames::lengths());
}

fn control_frames(target: &Target) {
    fails(target, bad_frames::control_frames());
}

fn bad_fragments(target: &Target) {
    fails(target, bad_frames::fragments());
}

fn bad_utf8(target: &Target) {
    fails(target, bad_frames::utf8());
}

fn bad_utf8_early(target: &Target) {
    fails(target, bad_frames::utf8_early());
}

fn split_character(target: &Target) {
    let mut raw = target.websocket("/echo/websocket");
    let [one, two, three] = ["\u{1f600}".as_bytes()[..1].to_vec(), vec![0x9f, 0x98], vec![0x80]];
    raw.send_frame(TEXT_BEGINS, &one).send_frame(CONTINUATION, &two).send_frame(FIN | CONTINUATION, &three);
    assert_eq!(raw.text(), "\u{1f600}");
}

fn binary_on_sockjs(target: &Target) {
    opened(target).send_frame(BINARY, br#"["a"]"#).expect_failure(1003);
}

fn too_big() {
    let (_server, target) = start(|options| options.message_size = 1000);
    let mut raw = target.websocket("/echo/websocket");
    let fits = "x".repeat(1000);
    assert_eq!(raw.send(&fits).text(), fits);
    // A header alone, with a length that nobody will send.
    raw.client.send([TEXT, 0xff, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4]);
    raw.expect_failure(1009);
    let mut raw = target.websocket("/echo/websocket");
    raw.send_frame(TEXT_BEGINS, &[b'x'; 600]);
    raw.client.send_if_wanted(frame(CONTINUATION, &[b'x'; 600]));
    raw.expect_failure(1009);
}

fn going_away() {
    let (server, target) = start(|options| options.heartbeat_delay = Duration::from_secs(30));
    let mut framed = opened(&target);
    let mut raw = target.websocket("/echo/websocket");
    assert_eq!(raw.send("there").text(), "there");
    server.handle.shutdown();
    assert!(framed.text().starts_with("c[1001,"));
    assert_eq!(framed.close().map(|(code, _)| code), Some(1001));
    assert_eq!(raw.close().map(|(code, _)| code), Some(1001));
    framed.client.expect_end();
    raw.client.expect_end();
}
