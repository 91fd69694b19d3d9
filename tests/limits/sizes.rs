//! Sizes, at their documented defaults: exactly as much passes, one byte more has its answer, and the neighbour goes
//! on (rule 12.4; the table "Limits" of the crate's documentation).

use std::net::SocketAddr;

use sockjs_server::{EndpointOptions, ServerOptions};

use crate::support::client::Client;
use crate::support::frames::{BINARY, FIN, PING, PONG, frame, header, text};
use crate::{Neighbour, start};

/// A limit that a request can meet.
struct Limit {
    what: &'static str,
    default: usize,
    /// A request that is as large as it says.
    request: fn(usize) -> String,
    /// What is answered at the limit, and beyond it.
    statuses: (u16, u16),
}

const LIMITS: [Limit; 8] = [
    Limit { what: "request line", default: 8 << 10, request: line, statuses: (200, 414) },
    Limit { what: "header section", default: 16 << 10, request: section, statuses: (200, 431) },
    Limit { what: "header count", default: 100, request: fields, statuses: (200, 431) },
    Limit { what: "body elsewhere", default: 1 << 20, request: body, statuses: (404, 413) },
    Limit { what: "chunked body elsewhere", default: 1 << 20, request: chunk, statuses: (404, 413) },
    // Beyond the message: the array around it, and a little white space.
    Limit { what: "send request", default: (1 << 20) + 16, request: send, statuses: (204, 413) },
    Limit { what: "chunk extensions", default: 8 << 10, request: extensions, statuses: (404, 400) },
    Limit { what: "trailers", default: 8 << 10, request: trailers, statuses: (404, 400) },
];

fn line(length: usize) -> String {
    let rest = "GET /echo? HTTP/1.1".len();
    format!("GET /echo?{} HTTP/1.1\r\nHost: a\r\n\r\n", "q".repeat(length - rest))
}

fn section(length: usize) -> String {
    let rest = "Host: a\r\nX: \r\n".len();
    format!("GET /echo HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(length - rest))
}

fn fields(count: usize) -> String {
    format!("GET /echo HTTP/1.1\r\nHost: a\r\n{}\r\n", "A: b\r\n".repeat(count - 1))
}

fn body(length: usize) -> String {
    format!("POST /other HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{}", "b".repeat(length))
}

const CHUNKED: &str = "POST /other HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

fn chunk(length: usize) -> String {
    format!("{CHUNKED}{length:x}\r\n{}\r\n0\r\n\r\n", "b".repeat(length))
}

fn send(length: usize) -> String {
    let array = format!("[\"{}\"]{:12}", "m".repeat(length - 16), "");
    format!("POST /echo/000/s/xhr_send HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{array}")
}

/// The extension's own bytes are those behind its semicolon; the zero of the last size, and its empty line, count too.
fn extensions(length: usize) -> String {
    let rest = "\r".len() + "0".len() + "\r".len() + "\r".len();
    format!("{CHUNKED}1;{}\r\nb\r\n0\r\n\r\n", "e".repeat(length - rest))
}

fn trailers(length: usize) -> String {
    let rest = "0".len() + "\r".len() + "A:\r\n".len() + "\r".len();
    format!("{CHUNKED}1\r\nb\r\n0\r\nA:{}\r\n\r\n", "t".repeat(length - rest))
}

/// The status of the answer to these bytes, and whether the connection outlives it.
fn outcome(address: SocketAddr, bytes: &str) -> (u16, bool) {
    let mut client = Client::connect(address);
    // Who is refused may not have sent all by then.
    let _ = std::io::Write::write_all(&mut client.stream, bytes.as_bytes());
    let answer = client.answer();
    let lives = answer.header("Connection") != Some("close");
    if lives {
        assert_eq!(client.ask("GET", "/echo", "", b"").status, 200);
    }
    (answer.status, lives)
}

#[test]
fn each_size_is_exact() {
    let server = start(|_, _| ());
    let mut neighbour = Neighbour::of(server.address);
    let mut poller = Client::connect(server.address);
    assert_eq!(poller.ask("POST", "/echo/000/s/xhr", "", b"").text(), "o\n");
    // The session that takes the large message waits on a receiver.
    poller.request("POST", "/echo/000/s/xhr", "", b"");
    for Limit { what, default, request, statuses: (at, beyond) } in LIMITS {
        assert_eq!(outcome(server.address, &request(default)), (at, true), "{what}, at its limit");
        assert_eq!(outcome(server.address, &request(default + 1)), (beyond, false), "{what}, beyond it");
        neighbour.expect_service(what);
    }
    assert_eq!(poller.head().status, 200);
}

/// What is beyond a limit is refused as soon as it is seen to be, or adds up to it: the rest need not come.
#[test]
fn a_size_beyond_its_limit_is_refused_before_the_rest_comes() {
    let server = start(|_, _| ());
    let mut neighbour = Neighbour::of(server.address);
    for (what, bytes, status) in [
        ("half a request line", format!("GET /{}", "x".repeat(9 << 10)), 414),
        ("half a header section", format!("GET /echo HTTP/1.1\r\nA: {}", "x".repeat(17 << 10)), 431),
        (
            "a head",
            format!("POST /other HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", (1 << 20) + 1),
            413,
        ),
        ("the size of a chunk", format!("{CHUNKED}{:x}\r\n", (1 << 20) + 1), 413),
        ("extensions of many chunks", CHUNKED.to_owned() + &"1;of=many\r\nx\r\n".repeat(10_000), 400),
        ("many trailers", format!("{CHUNKED}0\r\n{}", "Trailer: value\r\n".repeat(10_000)), 400),
        ("empty lines before a request", "\r\n".repeat(10_000), 400),
    ] {
        assert_eq!(outcome(server.address, &bytes), (status, false), "{what}");
        neighbour.expect_service(what);
    }
}

/// Rule 9: 1009, from one byte beyond the limit on.
#[test]
fn a_websocket_message_is_as_large_as_it_may_be() {
    let server = start(|_, _| ());
    let mut neighbour = Neighbour::of(server.address);
    let limit = EndpointOptions::default().message_size;
    let mut raw = Client::connect(server.address);
    raw.upgrade("/echo/websocket").send(frame(FIN | BINARY, &vec![7; limit]));
    raw.expect_frame(FIN | BINARY, vec![7; limit]);
    raw.send(frame(BINARY, &vec![7; limit - 1])).send(frame(FIN, &[7]));
    raw.expect_frame(FIN | BINARY, vec![7; limit]);
    // In two fragments, the second of which is a byte too many: its header says so, and its payload need not come.
    raw.send(frame(BINARY, &vec![7; limit])).send(header(FIN, &[0x81]));
    raw.expect_close(1009);
    raw.expect_end();
    neighbour.expect_service("a message too large");
    let mut sockjs = Client::connect(server.address);
    sockjs.upgrade("/echo/000/s/websocket").expect_text("o");
    let message = "m".repeat(limit);
    sockjs.send(text(format!("[\"{message}\"]"))).expect_text(format!("a[\"{message}\"]"));
    sockjs.send(text(format!("[\"{message}{}\"]", "m".repeat(13))));
    sockjs.expect_close(1009);
    neighbour.expect_service("a payload too large");
}

/// Rule 9 (RFC 6455 §5.5): all control frames have a payload of 125 bytes or less.
#[test]
fn a_control_frame_is_as_large_as_it_may_be() {
    let server = start(|_, _| ());
    let mut neighbour = Neighbour::of(server.address);
    let mut raw = Client::connect(server.address);
    raw.upgrade("/echo/websocket").send(frame(FIN | PING, &[7; 125])).expect_frame(FIN | PONG, [7; 125]);
    raw.send(frame(FIN | PING, &[7; 126])).expect_close(1002);
    neighbour.expect_service("a large ping");
}

/// Rule 12.4, for the path of a session.
#[test]
fn a_session_id_is_as_long_as_it_may_be() {
    let server = start(|_, _| ());
    let mut neighbour = Neighbour::of(server.address);
    let mut client = Client::connect(server.address);
    let limit = EndpointOptions::default().session_id_length;
    for (length, status) in [(limit, 200), (limit + 1, 404)] {
        let target = format!("/echo/000/{}/xhr", "s".repeat(length));
        assert_eq!(client.ask("POST", &target, "", b"").status, status, "{length}");
    }
    neighbour.expect_service("a long id");
}

/// Rule 7.3: the response ends once the limit was sent, framing counted (that of the chunks
/// is not the transport's), the prelude not.
#[test]
fn a_response_is_as_long_as_it_may_be() {
    const LIMIT: usize = 1000;
    let server = crate::support::TestServer::start(ServerOptions::default(), |server| {
        let mut options = EndpointOptions::default();
        options.response_limit = LIMIT;
        let echo = |session: &mut sockjs_server::Session<'_>, text: &str| session.send(text).expect("room");
        server.mount_with("/limited", options, echo).expect("mount");
        crate::neighbour::mount(server);
    });
    let mut neighbour = Neighbour::of(server.address);
    for (id, length, ends) in [("short", LIMIT - 1, false), ("exact", LIMIT, true)] {
        let target = format!("/limited/000/{id}");
        let mut stream = Client::connect(server.address);
        stream.request("POST", &format!("{target}/xhr_streaming"), "", b"");
        stream.head();
        stream.chunk().expect("a prelude");
        assert_eq!(stream.chunk().as_deref(), Some(&b"o\n"[..]));
        let frame = |count: usize| format!("a[\"{}\"]\n", "m".repeat(count));
        let count = length - "o\n".len() - frame(0).len();
        let mut sender = Client::connect(server.address);
        let send = format!("{target}/xhr_send");
        let message = format!("[\"{}\"]", "m".repeat(count));
        assert_eq!(sender.ask("POST", &send, "", message.as_bytes()).status, 204);
        assert_eq!(stream.chunk(), Some(frame(count).into_bytes()));
        // What comes next tells which it was: the end, or one more frame before it.
        assert_eq!(sender.ask("POST", &send, "", b"[\"next\"]").status, 204);
        assert_eq!(stream.chunk().is_none(), ends, "{id}");
        neighbour.expect_service("a stream that ends");
    }
}
