//! Clients that vanish or fall silent, at every point: what they held is given back (section 7, rules 2, 6 and 12;
//! section 12, rule 6).

use std::io::Write;
use std::net::Shutdown;
use std::time::Duration;

use crate::support::TestServer;
use crate::support::client::Client;
use crate::support::frames::{BINARY, FIN, PING, TEXT, close, frame, handshake, header, text};
use crate::{NEVER, REQUEST, flood, start};

const POLL: &str = "POST /echo/000/s/xhr HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";
const STREAM: &str = "POST /echo/000/s/xhr_streaming HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";
const SEND: &str = "POST /echo/000/s/xhr_send HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n";
const UPLOAD: &str = "POST /echo/000/s/xhr_send HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

/// Every point at which a client may stop, as what it has sent by then, and whether the server is patient with it there:
/// whoever waits for messages may wait for ever.
fn points() -> Vec<(&'static str, Vec<u8>, bool)> {
    let socket = |frames: &[u8]| [handshake("/echo/000/s/websocket", "").as_bytes(), frames].concat();
    let raw = |frames: &[u8]| [handshake("/echo/websocket", "").as_bytes(), frames].concat();
    let closed = |frames: &[u8]| [handshake("/close/websocket", "").as_bytes(), frames].concat();
    let text_of = |parts: &[&str]| parts.concat().into_bytes();
    vec![
        ("nothing", Vec::new(), false),
        ("half a request line", text_of(&["GET /ec"]), false),
        ("half a head", text_of(&["GET /echo HTTP/1.1\r\nHost: a\r\nX"]), false),
        ("half a head behind a request", text_of(&[REQUEST, "GET"]), false),
        ("a request", text_of(&[REQUEST]), false),
        ("a head without its body", text_of(&[SEND]), false),
        ("half a body", text_of(&[SEND, "[\"x"]), false),
        ("half a chunk", text_of(&[UPLOAD, "5\r\n[\"x"]), false),
        ("chunks without an end", text_of(&[UPLOAD, "5\r\n[\"x\"]\r\n0\r\n"]), false),
        ("a malformed request", text_of(&["\0"]), false),
        ("the opening poll", text_of(&[POLL]), false),
        ("a waiting poll", text_of(&[POLL, POLL]), true),
        ("a waiting poll with requests behind", text_of(&[POLL, POLL, REQUEST, REQUEST, "GE"]), true),
        ("a stream", text_of(&[STREAM]), true),
        ("a stream with a request behind", text_of(&[STREAM, REQUEST]), true),
        ("a poll that is told a close", text_of(&[&POLL.replace("echo", "close").repeat(2)]), false),
        ("half a handshake", handshake("/echo/websocket", "").into_bytes()[..60].to_vec(), false),
        ("a refused handshake", text_of(&["GET /echo/websocket HTTP/1.1\r\nHost: a\r\n\r\n"]), false),
        ("a WebSocket", socket(b""), true),
        ("half a frame's header", socket(&text("\"x\"")[..3]), true),
        ("half a frame", socket(&text("\"x\"")[..8]), true),
        ("half a large frame", socket(&header(FIN | TEXT, &[0xff, 0, 0, 0, 0, 0, 8, 0, 0])), true),
        ("half a ping", raw(&frame(FIN | PING, b"ping")[..7]), true),
        ("half a fragmented message", raw(&[frame(BINARY, &[0; 5000]), frame(0, &[0; 5000])].concat()), true),
        ("an echo", raw(&text("x")), true),
        ("a close", raw(&close(1000, "bye")), false),
        ("a violation", raw(&[0xff, 0xff]), false),
        ("the server's close", closed(b""), false),
        ("the server's close, and half an answer", closed(&close(3000, "")[..5]), false),
    ]
}

/// Sends all of it, and waits until the server has read it.
fn reach(server: &TestServer, bytes: &[u8]) -> Client {
    let mut client = Client::connect(server.address);
    server.feed(&mut client, bytes, [bytes.len()]);
    server.wait_for("the accept", |counters| counters.connections == 1);
    client
}

#[test]
fn a_client_that_vanishes_at_any_point_leaves_nothing() {
    let server = start(|server, endpoint| {
        server.head_timeout = NEVER;
        server.body_timeout = NEVER;
        server.keep_alive = NEVER;
        server.write_stall = NEVER;
        server.close_timeout = NEVER;
        endpoint.heartbeat_delay = Duration::from_secs(30);
        endpoint.disconnect_delay = Duration::from_millis(5);
    });
    for (what, bytes, _) in points() {
        // Answers that were not read make it a reset.
        drop(reach(&server, &bytes));
        server.wait_until_empty(&format!("{what}, and the client dropped"));
        // Read as far as the first answer goes; the end of the stream comes in peace, or both halves do.
        let mut client = reach(&server, &bytes);
        client.hang_up();
        client.rest();
        drop(client);
        server.wait_until_empty(&format!("{what}, and the client hung up"));
    }
    let counters = server.counters();
    assert_eq!(counters.opened, counters.closed);
}

#[test]
fn a_client_that_falls_silent_at_any_point_is_let_go() {
    let short = Duration::from_millis(20);
    let server = start(|server, endpoint| {
        server.head_timeout = short;
        server.body_timeout = short;
        server.keep_alive = short;
        server.close_timeout = short;
        endpoint.disconnect_delay = short;
    });
    for (what, bytes, _) in points().into_iter().filter(|(_, _, patient)| !patient) {
        let mut client = Client::connect(server.address);
        client.send(bytes);
        // The client is still there, and does nothing: the server ends it.
        client.rest();
        server.wait_until_empty(&format!("{what}, and silence"));
        drop(client);
    }
}

/// Section 12, rule 5, with the largest thing that a session may owe its client: it stays, and is not waited for long.
#[test]
fn a_client_that_takes_nothing_is_cut() {
    let server = start(|server, endpoint| {
        server.write_stall = Duration::from_millis(50);
        server.slowest_client = 1 << 30;
        endpoint.disconnect_delay = Duration::from_millis(5);
    });
    let mut client = Client::connect(server.address);
    client.upgrade("/echo/websocket");
    let (taken, _) = flood(&server, &mut client, |_| frame(FIN | BINARY, &[7; 32 << 10]));
    assert!(taken > 0);
    server.wait_until_empty("a stall");
}

/// A receiver that broke off closes its session, and a later one is told so (section 7, rules 6 and 12).
#[test]
fn a_receiver_that_broke_off_is_noticed_before_the_next() {
    let server = start(|_, endpoint| endpoint.disconnect_delay = NEVER);
    for round in 0..50 {
        let target = format!("/echo/000/{round}/xhr");
        let mut first = Client::connect(server.address);
        assert_eq!(first.ask("POST", &target, "", b"").text(), "o\n");
        first.request("POST", &target, "", b"");
        server.wait_for("the poll", |counters| counters.requests == round * 3 + 2);
        let mut second = Client::connect(server.address);
        // No time lies between the end of the first and the request of the second.
        drop(first);
        assert_eq!(second.ask("POST", &target, "", b"").text(), "c[1002,\"Connection interrupted\"]\n");
    }
}

/// A second receiver leaves the first undisturbed (section 7, rule 2).
#[test]
fn a_second_receiver_is_turned_away() {
    let server = TestServer::echo();
    let [mut first, mut second] = [(); 2].map(|()| Client::connect(server.address));
    assert_eq!(first.ask("POST", "/echo/000/s/xhr", "", b"").text(), "o\n");
    first.request("POST", "/echo/000/s/xhr", "", b"");
    server.wait_for("the poll", |counters| counters.requests == 2);
    let refused = "c[2010,\"Another connection still open\"]\n";
    assert_eq!(second.ask("POST", "/echo/000/s/xhr", "", b"").text(), refused);
    assert!(second.ask("POST", "/echo/000/s/xhr_streaming", "", b"").text().ends_with(refused));
    assert_eq!(second.ask("POST", "/echo/000/s/xhr_send", "", b"[\"x\"]").status, 204);
    assert_eq!(first.answer().text(), "a[\"x\"]\n");
}

/// Section 7, rule 6: a receiver's end of stream closes its session, though more was pipelined before it than is read.
#[test]
fn a_receiver_that_hangs_up_behind_more_than_is_read_ahead_is_noticed() {
    let server = TestServer::echo();
    for pieces in [1, 30] {
        let mut client = Client::connect(server.address);
        client.request("POST", &format!("/echo/000/{pieces}/xhr_streaming"), "", b"");
        client.head();
        for _ in 0..pieces {
            client.send(vec![b'x'; 90_000 / pieces]);
        }
        client.hang_up();
        server.wait_for("the session to close", |counters| counters.opened == counters.closed);
    }
}

/// Section 12, rule 3: whether the end of the stream comes in the packet of the request, or later.
#[test]
fn a_client_that_asks_and_closes_its_half_is_answered() {
    let server = start(|_, endpoint| endpoint.disconnect_delay = NEVER);
    let poll = |name: &str| POLL.replace("/s/", &format!("/{name}/"));
    let socket = [handshake("/echo/000/w/websocket", "").as_bytes(), &text("[\"x\"]")].concat();
    for round in 0..50 {
        let session = format!("s{round}");
        for (bytes, end) in [
            (REQUEST.as_bytes().to_vec(), "\r\n\r\nWelcome to SockJS!\n"),
            (poll(&session).into_bytes(), "\r\n\r\no\n"),
            ([REQUEST, &poll(&format!("behind{round}"))].concat().into_bytes(), "\r\n\r\no\n"),
            (socket.clone(), "a[\"x\"]"),
        ] {
            let mut client = Client::connect(server.address);
            client.send(&bytes).hang_up();
            let answers = String::from_utf8_lossy(&client.rest()).into_owned();
            assert!(answers.ends_with(end), "{answers:?} to {:?}", String::from_utf8_lossy(&bytes));
        }
        // Its poll had ended before it left.
        let mut again = Client::connect(server.address);
        assert_eq!(again.ask("POST", &format!("/echo/000/{session}/xhr_send"), "", b"[]").status, 204);
    }
}

/// Section 12, rule 2: a poll that is answered at once among more requests than one turn takes, and the end behind them.
#[test]
fn what_was_asked_before_the_end_of_the_stream_is_answered() {
    let server = TestServer::echo();
    let bytes = [REQUEST.repeat(300), POLL.to_owned(), REQUEST.repeat(3000)].concat();
    let mut client = Client::connect(server.address);
    std::thread::scope(|scope| {
        let mut writer = client.stream.try_clone().expect("clone");
        scope.spawn(move || {
            writer.write_all(bytes.as_bytes()).expect("the server reads");
            writer.shutdown(Shutdown::Write).expect("shutdown");
        });
        let answers = String::from_utf8(client.rest()).expect("text");
        assert_eq!(answers.matches("Welcome to SockJS!").count(), 3300);
        assert_eq!(answers.matches("\r\n\r\no\n").count(), 1);
    });
}
