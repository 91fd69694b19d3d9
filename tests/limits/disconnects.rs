//! Clients that leave by a reset, close only their sending half, or fall silent, at each point of a conversation: the
//! application hears one close that says so, the later client hears it too, what the client held is given back, and the
//! neighbour goes on (rules 7.2, 7.6, 7.7, 12.2, 12.3 and 12.6).

use std::io::Write;
use std::net::Shutdown;
use std::time::Duration;

use sockjs_server::{EndpointOptions, ServerOptions};

use crate::support::TestServer;
use crate::support::client::Client;
use crate::support::frames::{BINARY, FIN, PING, TEXT, close, frame, handshake, header, text};
use crate::support::recorder::{Record, recorder};
use crate::{NEVER, Neighbour, REQUEST, neighbour, start};

/// A request whose answer is small and never read: an unread answer makes the end of a client a reset.
const GREETING: &str = "GET /recorder HTTP/1.1\r\nHost: a\r\n\r\n";

/// A point of a conversation.
struct Point {
    what: &'static str,
    /// What the client has sent by then.
    bytes: Vec<u8>,
    /// What the application hears when the client leaves here; nothing where no session ends with its connection.
    heard: &'static str,
    /// Whether the server waits for ever with a client that is silent here.
    is_patient: bool,
}

impl Point {
    fn new(what: &'static str, bytes: impl Into<Vec<u8>>, heard: &'static str, is_patient: bool) -> Self {
        Self { what, bytes: bytes.into(), heard, is_patient }
    }
}

const NOTHING: &str = "";
const INTERRUPTED: &str = "close 1002 Interrupted";
/// RFC 6455 §7.1.5: the code of a WebSocket that ended without a close frame.
const ABNORMAL: &str = "close 1006 Interrupted";
const ENOUGH: &str = "close 4000 Application";

/// Every point at which a client may stop.
fn points() -> impl Iterator<Item = Point> {
    http_points().into_iter().chain(websocket_points())
}

/// Those of HTTP. Each session has a name of its own.
fn http_points() -> Vec<Point> {
    let request = |method: &str, path: &str| {
        format!("{method} /recorder/000/{path} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
    };
    let poll = |name: &str| request("POST", &format!("{name}/xhr"));
    let twice = |request: String| request.repeat(2);
    let send = |name: &str, framing: &str| {
        format!("POST /recorder/000/{name}/xhr_send HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n")
    };
    let body = |front: &str| send("s", "Content-Length: 5") + front;
    let chunks = |front: &str| send("s", "Transfer-Encoding: chunked") + front;
    let order = "[\"close 4000 enough\"]";
    let told = send("told", &format!("Content-Length: {}", order.len())) + order;
    let told = poll("told") + &told + &poll("told");
    let behind_poll = [&twice(poll("behind")), GREETING, GREETING, "GE"].concat();
    let behind_stream = request("POST", "more/xhr_streaming") + GREETING;
    let half_behind = request("GET", "half/eventsource") + "GET /";
    let half_handshake = &handshake("/recorder/websocket", "")[..60];
    let refused = "GET /recorder/websocket HTTP/1.1\r\nHost: a\r\n\r\n";
    vec![
        Point::new("nothing", "", NOTHING, false),
        Point::new("half a request line", "GET /reco", NOTHING, false),
        Point::new("half a head", "GET /recorder HTTP/1.1\r\nHost: a\r\nX", NOTHING, false),
        Point::new("half a head behind a request", GREETING.to_owned() + "GET", NOTHING, false),
        Point::new("a request", GREETING, NOTHING, false),
        Point::new("a head without its body", body(""), NOTHING, false),
        Point::new("half a body", body("[\"x"), NOTHING, false),
        Point::new("half a chunk", chunks("5\r\n[\"x"), NOTHING, false),
        Point::new("chunks without an end", chunks("5\r\n[\"x\"]\r\n0\r\n"), NOTHING, false),
        Point::new("a malformed request", "\0", NOTHING, false),
        Point::new("the opening poll", poll("open"), NOTHING, false),
        Point::new("a pending poll", twice(poll("poll")), INTERRUPTED, true),
        Point::new("a pending jsonp poll", twice(request("GET", "jsonp/jsonp?c=f")), INTERRUPTED, true),
        Point::new("a poll with requests behind it", behind_poll, INTERRUPTED, true),
        Point::new("xhr streaming", request("POST", "stream/xhr_streaming"), INTERRUPTED, true),
        Point::new("an event source", request("GET", "source/eventsource"), INTERRUPTED, true),
        Point::new("an html file", request("GET", "file/htmlfile?c=f"), INTERRUPTED, true),
        Point::new("a stream with a request behind it", behind_stream, INTERRUPTED, true),
        Point::new("a stream with half a request behind it", half_behind, INTERRUPTED, true),
        Point::new("a poll that is told a close", told, ENOUGH, false),
        Point::new("half a handshake", half_handshake, NOTHING, false),
        Point::new("a refused handshake", refused, NOTHING, false),
    ]
}

fn websocket_points() -> Vec<Point> {
    let upgrade = |target: &str, frames: &[u8]| [handshake(target, "").as_bytes(), frames].concat();
    let socket = |frames: &[u8]| upgrade("/recorder/000/s/websocket", frames);
    let raw = |frames: &[u8]| upgrade("/recorder/websocket", frames);
    let closed = |frames: &[u8]| raw(&[&text("close 4000 enough"), frames].concat());
    let two_fragments = [frame(BINARY, &[0; 5000]), frame(0, &[0; 5000])].concat();
    let large = header(FIN | TEXT, &[0xff, 0, 0, 0, 0, 0, 8, 0, 0]);
    vec![
        Point::new("a WebSocket", socket(b""), ABNORMAL, true),
        Point::new("a WebSocket within a header", socket(&text("\"x\"")[..1]), ABNORMAL, true),
        Point::new("a WebSocket within a mask", socket(&text("\"x\"")[..3]), ABNORMAL, true),
        Point::new("a WebSocket within a frame", socket(&text("\"x\"")[..8]), ABNORMAL, true),
        Point::new("a WebSocket behind a large header", socket(&large), ABNORMAL, true),
        Point::new("a raw WebSocket", raw(b""), ABNORMAL, true),
        Point::new("a raw WebSocket within a ping", raw(&frame(FIN | PING, b"ping")[..8]), ABNORMAL, true),
        Point::new("a raw WebSocket within a message", raw(&frame(TEXT, b"first")), ABNORMAL, true),
        Point::new("a raw WebSocket behind two fragments", raw(&two_fragments), ABNORMAL, true),
        Point::new("a raw WebSocket within a large one", raw(&frame(BINARY, &[7; 70_000])), ABNORMAL, true),
        Point::new("an echo", raw(&text("x")), ABNORMAL, true),
        // What was said before the client left stays said.
        Point::new("a close", raw(&close(1000, "bye")), "close 1000 Client", false),
        Point::new("a violation", raw(&[0xff, 0x80]), "close 1002 Protocol", false),
        Point::new("the server's close", closed(b""), ENOUGH, false),
        Point::new("half an answer to it", closed(&close(4000, "")[..5]), ENOUGH, false),
    ]
}

/// How a client leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// With unread bytes, which makes it a reset.
    Reset,
    /// Only its sending half; what comes is read.
    HalfClose,
    /// Its sending half, and then the rest by a reset.
    Both,
}

impl Way {
    fn leave(self, mut client: Client) {
        if self != Way::Reset {
            client.hang_up();
        }
        if self == Way::HalfClose {
            client.rest();
        }
    }
}

fn recording(change: impl FnOnce(&mut ServerOptions, &mut EndpointOptions)) -> (TestServer, Record) {
    let (handler, record) = recorder();
    let (mut server_options, mut options) = (ServerOptions::default(), EndpointOptions::default());
    change(&mut server_options, &mut options);
    let server = TestServer::start(server_options, |server| {
        server.mount_with("/recorder", options, handler).expect("mount");
        neighbour::mount(server);
    });
    (server, record)
}

/// A client that has sent all of it, which the server has read. Others have so many connections.
fn reach(server: &TestServer, bytes: &[u8], others: usize) -> Client {
    let mut client = Client::connect(server.address);
    server.feed(&mut client, bytes, [bytes.len()]);
    server.wait_for("the accept", |counters| counters.connections == others + 1);
    client
}

/// The application and a later client hear of the end.
fn leave(way: Way) {
    let (server, record) = recording(|_, endpoint| endpoint.disconnect_delay = NEVER);
    let mut neighbour = Neighbour::of(server.address);
    for Point { what, bytes, heard, .. } in points().filter(|point| !point.heard.is_empty()) {
        // None but the neighbour's.
        server.wait_for("the connections before to be gone", |counters| counters.connections == 1);
        way.leave(reach(&server, &[GREETING.as_bytes(), &bytes].concat(), 1));
        let mut events = record.until_close();
        events.retain(|event| !event.starts_with("text "));
        assert_eq!(events, ["open", heard], "{way:?} at {what}");
        if heard == INTERRUPTED {
            // Sessions over HTTP have a name under which a later client finds them.
            let line = String::from_utf8_lossy(&bytes);
            let name = line.split('/').nth(3).expect("a name");
            let mut late = Client::connect(server.address);
            let told = late.ask("POST", &format!("/recorder/000/{name}/xhr"), "", b"");
            assert_eq!(told.text(), "c[1002,\"Connection interrupted\"]\n", "{way:?} at {what}");
        }
        neighbour.expect_service(what);
    }
    record.expect_silence();
}

#[test]
fn a_reset_ends_a_session_at_any_point() {
    leave(Way::Reset);
}

#[test]
fn a_half_close_ends_a_session_at_any_point() {
    leave(Way::HalfClose);
}

#[test]
fn a_half_close_and_then_a_reset_end_a_session_at_any_point() {
    leave(Way::Both);
}

/// Rule 12.6: what expired gives back its memory and descriptor.
#[test]
fn a_client_that_vanishes_at_any_point_leaves_nothing() {
    let (server, _record) = recording(|server, endpoint| {
        server.head_timeout = NEVER;
        server.body_timeout = NEVER;
        server.keep_alive = NEVER;
        server.write_stall = NEVER;
        server.close_timeout = NEVER;
        endpoint.heartbeat_delay = Duration::from_secs(30);
        endpoint.disconnect_delay = Duration::from_millis(5);
    });
    for Point { what, bytes, .. } in points() {
        for way in [Way::Reset, Way::HalfClose] {
            way.leave(reach(&server, &bytes, 0));
            server.wait_until_empty(&format!("{what}, and {way:?}"));
        }
    }
    let counters = server.counters();
    assert_eq!(counters.opened, counters.closed);
}

/// Rule 12.6: every wait has a timer.
#[test]
fn a_client_that_falls_silent_at_any_point_is_let_go() {
    let short = Duration::from_millis(20);
    let (server, _record) = recording(|server, endpoint| {
        server.head_timeout = short;
        server.body_timeout = short;
        server.keep_alive = short;
        server.close_timeout = short;
        endpoint.disconnect_delay = short;
    });
    for Point { what, bytes, .. } in points().filter(|point| !point.is_patient) {
        let mut client = Client::connect(server.address);
        client.send(bytes);
        // The client is still there, and does nothing: the server ends it.
        client.rest();
        server.wait_until_empty(&format!("{what}, and silence"));
        drop(client);
    }
}

/// Rule 7.6: a receiver's end of stream closes its session, though more was pipelined before it than is read.
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

/// Rule 12.3: whether the end of the stream comes in the packet of the request, or later.
#[test]
fn a_client_that_asks_and_closes_its_half_is_answered() {
    let server = start(|_, endpoint| endpoint.disconnect_delay = NEVER);
    let poll =
        |name: &str| format!("POST /echo/000/{name}/xhr HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
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

/// Rule 12.2: a poll that is answered at once among more requests than one turn takes, and the end behind them.
#[test]
fn what_was_asked_before_the_end_of_the_stream_is_answered() {
    let server = TestServer::echo();
    let bytes = [
        REQUEST.repeat(300),
        "POST /echo/000/s/xhr HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
        REQUEST.repeat(3000),
    ]
    .concat();
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
