//! Sessions whose client leaves by a reset, or closes only its sending half, at each point of their life: the
//! application hears one close that says so, the later client hears it too, and the neighbour goes on (section 7, rules
//! 6 and 7).

use sockjs_server::{EndpointOptions, ServerOptions};

use crate::support::TestServer;
use crate::support::client::Client;
use crate::support::frames::{BINARY, FIN, PING, TEXT, close, frame, handshake, text};
use crate::support::recorder::recorder;
use crate::{NEVER, Neighbour, neighbour};

/// Answered before anything else, and never read: that is what makes the end of a client a reset.
const GREETING: &str = "GET /recorder HTTP/1.1\r\nHost: a\r\n\r\n";

/// Where a session may stand, as what its client has sent by then, and what the application hears of its end.
fn points() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    const INTERRUPTED: &str = "close 1002 Interrupted";
    // RFC 6455 §7.1.5: what a WebSocket that ended without a close frame is said to have closed with.
    const ABNORMAL: &str = "close 1006 Interrupted";
    // Each has a session of its own, named for its receiver.
    let request = |method: &str, path: &str| {
        let line = format!("{method} /recorder/000/{path} HTTP/1.1\r\n");
        format!("{line}Host: a\r\nContent-Length: 0\r\n\r\n").into_bytes()
    };
    let then = |mut bytes: Vec<u8>, more: &[u8]| {
        bytes.extend_from_slice(more);
        bytes
    };
    let twice = |bytes: Vec<u8>| bytes.repeat(2);
    let socket = handshake("/recorder/000/s/websocket", "").into_bytes();
    let raw = handshake("/recorder/websocket", "").into_bytes();
    vec![
        ("a pending poll", twice(request("POST", "poll/xhr")), INTERRUPTED),
        ("a pending jsonp poll", twice(request("GET", "jsonp/jsonp?c=f")), INTERRUPTED),
        (
            "a poll with requests behind it",
            then(twice(request("POST", "behind/xhr")), GREETING.as_bytes()),
            INTERRUPTED,
        ),
        ("xhr streaming", request("POST", "stream/xhr_streaming"), INTERRUPTED),
        ("an event source", request("GET", "source/eventsource"), INTERRUPTED),
        ("an html file", request("GET", "file/htmlfile?c=f"), INTERRUPTED),
        (
            "a stream with half a request behind it",
            then(request("GET", "half/eventsource"), b"GET /"),
            INTERRUPTED,
        ),
        ("a WebSocket", socket.clone(), ABNORMAL),
        ("a WebSocket within a header", then(socket.clone(), &text("\"x\"")[..1]), ABNORMAL),
        ("a WebSocket within a frame", then(socket.clone(), &text("\"x\"")[..7]), ABNORMAL),
        ("a raw WebSocket", raw.clone(), ABNORMAL),
        ("a raw WebSocket within a ping", then(raw.clone(), &frame(FIN | PING, b"ping")[..8]), ABNORMAL),
        ("a raw WebSocket within a message", then(raw.clone(), &frame(TEXT, b"first")), ABNORMAL),
        ("a raw WebSocket within a large one", then(raw.clone(), &frame(BINARY, &[7; 70_000])), ABNORMAL),
        // What was said before the client left stays said.
        ("a goodbye", then(raw.clone(), &close(1000, "bye")), "close 1000 Client"),
        ("a violation", then(raw.clone(), &[0xff, 0x80]), "close 1002 Protocol"),
        ("the server's goodbye", then(raw, &text("close 4000 enough")), "close 4000 Application"),
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

fn leave(way: Way) {
    let (handler, record) = recorder();
    let server = TestServer::start(ServerOptions::default(), |server| {
        let mut options = EndpointOptions::default();
        options.disconnect_delay = NEVER;
        server.mount_with("/recorder", options, handler).expect("mount");
        neighbour::mount(server);
    });
    let mut neighbour = Neighbour::of(server.address);
    for (what, bytes, heard) in points() {
        // None but the neighbour's.
        server.wait_for("the connections before to be gone", |counters| counters.connections == 1);
        let mut client = Client::connect(server.address);
        let all = [GREETING.as_bytes(), &bytes].concat();
        server.feed(&mut client, &all, [all.len()]);
        server.wait_for("all of it to be read", |counters| counters.connections == 2);
        if way != Way::Reset {
            client.hang_up();
        }
        if way == Way::HalfClose {
            client.rest();
        }
        drop(client);
        let mut events = record.until_close();
        events.retain(|event| !event.starts_with("text "));
        assert_eq!(events, ["open", heard], "{way:?} at {what}");
        // Sessions over HTTP have a name under which a later client finds them.
        let line = String::from_utf8_lossy(&bytes);
        let path = line.split(' ').nth(1).unwrap_or_default();
        if let Some(name) = path.split('/').nth(3).filter(|_| !path.ends_with("websocket")) {
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
