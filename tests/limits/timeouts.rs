//! Waits: none is over before its time, each has its end, and the neighbour, who has
//! waited longer, goes on (rule 12.6).

use std::time::{Duration, Instant};

use sockjs_server::{Handler, ServerOptions, Session};

use crate::support::TestServer;
use crate::support::client::Client;
use crate::support::frames::{BINARY, FIN, PING, close, frame, text};
use crate::unread::flood;
use crate::{NEVER, Neighbour, start};

/// What the wait under test is set to. The neighbour's own requests never take that long.
const WAIT: Duration = Duration::from_millis(500);

/// The server's clock ticks in milliseconds, and its waits begin with a tick.
const TICK: Duration = Duration::from_millis(1);

/// Asserts that this took the wait at least.
fn expect_wait(act: impl FnOnce()) {
    let start = Instant::now();
    act();
    let waited = start.elapsed();
    assert!(waited + TICK >= WAIT, "it took only {waited:?}");
}

#[test]
fn a_head_has_its_time() {
    let server = start(|server, _| server.head_timeout = WAIT);
    let mut neighbour = Neighbour::of(server.address);
    expect_wait(|| {
        let mut slow = Client::connect(server.address);
        assert_eq!(slow.send("GET /echo HT").head().status, 408);
    });
    expect_wait(|| Client::connect(server.address).expect_end());
    neighbour.expect_service("a slow head");
}

#[test]
fn a_body_has_its_time() {
    let server = start(|server, _| server.body_timeout = WAIT);
    let mut neighbour = Neighbour::of(server.address);
    for framing in ["Content-Length: 5\r\n\r\n1", "Transfer-Encoding: chunked\r\n\r\n5\r\n1"] {
        let mut slow = Client::connect(server.address);
        expect_wait(|| {
            let head = "POST /echo/000/s/xhr_send HTTP/1.1\r\nHost: a\r\n";
            assert_eq!(slow.send(format!("{head}{framing}")).head().status, 408);
        });
    }
    neighbour.expect_service("slow bodies");
}

#[test]
fn an_idle_connection_has_its_time() {
    let server = start(|server, _| server.keep_alive = WAIT);
    let mut neighbour = Neighbour::of(server.address);
    let mut idle = Client::connect(server.address);
    expect_wait(|| {
        assert_eq!(idle.ask("GET", "/echo", "", b"").status, 200);
        idle.expect_end();
    });
    neighbour.expect_service("an idle connection");
}

/// A client that has begun to read has the whole time again (`write_stall` is without a byte taken).
#[test]
fn a_stall_has_its_time() {
    let server = start(|server, _| (server.write_stall, server.slowest_client) = (WAIT, 1 << 30));
    let mut neighbour = Neighbour::of(server.address);
    let mut stalled = Client::connect(server.address);
    stalled.upgrade("/echo/websocket");
    let start = Instant::now();
    flood(&server, &mut stalled, |_| frame(FIN | BINARY, &[7; 40_000]));
    // Only the neighbour and its two sessions are left.
    server.wait_for("the end of the stall", |it| (it.connections, it.sessions) == (1, 2));
    assert!(start.elapsed() + TICK >= WAIT);
    neighbour.expect_service("a stall");
}

/// Rule 8: a server-side close waits, bounded in time.
#[test]
fn a_closing_handshake_has_its_time() {
    let server = start(|server, _| server.close_timeout = WAIT);
    let mut neighbour = Neighbour::of(server.address);
    let mut silent = Client::connect(server.address);
    expect_wait(|| {
        silent.upgrade("/close/websocket").expect_close(3000);
        silent.expect_end();
    });
    // One that answers is not waited for.
    let server = start(|server, _| server.close_timeout = NEVER);
    let mut polite = Client::connect(server.address);
    polite.upgrade("/close/websocket").expect_close(3000);
    polite.send(close(3000, "")).expect_end();
    neighbour.expect_service("a silent farewell");
}

/// Rule 7.4.
#[test]
fn a_session_without_a_receiver_has_its_time() {
    let server = start(|_, endpoint| endpoint.disconnect_delay = WAIT);
    let mut neighbour = Neighbour::of(server.address);
    let mut client = Client::connect(server.address);
    expect_wait(|| {
        assert_eq!(client.ask("POST", "/echo/000/s/xhr", "", b"").text(), "o\n");
        while client.ask("POST", "/echo/000/s/xhr_send", "", b"[]").status == 204 {}
    });
    assert_eq!(client.ask("POST", "/echo/000/s/xhr_send", "", b"[]").status, 404);
    neighbour.expect_service("an abandoned session");
}

/// Rule 5, and the wait for a pong.
#[test]
fn a_heartbeat_has_its_time_and_so_has_its_answer() {
    let server = start(|_, endpoint| {
        endpoint.heartbeat_delay = WAIT;
        endpoint.pong_timeout = WAIT;
    });
    let mut neighbour = Neighbour::of(server.address);
    let mut stream = Client::connect(server.address);
    expect_wait(|| {
        stream.request("POST", "/echo/000/s/xhr_streaming", "", b"").take_until(b"\no\n\r\n");
        assert_eq!(stream.chunk().as_deref(), Some(&b"h\n"[..]));
    });
    let mut silent = Client::connect(server.address);
    let start = Instant::now();
    silent.upgrade("/echo/websocket").expect_frame(FIN | PING, b"");
    assert!(start.elapsed() + TICK >= WAIT);
    // Raw WebSockets hear no other heartbeat.
    silent.expect_end();
    assert!(start.elapsed() + 2 * TICK >= 2 * WAIT);
    neighbour.expect_service("a client that does not answer");
}

/// Rule 7.5: what waits goes first, then the close; rule 8: clients that read slowly must not lose it. So the wait for
/// the client's part of the closing handshake can begin only when the server's close has left.
#[test]
fn a_slow_reader_gets_all_that_came_before_the_close() {
    const LARGE: usize = 32 << 20;

    struct Generous;
    impl Handler for Generous {
        fn on_message(&mut self, session: &mut Session<'_>, text: &str) {
            if text == "clock" {
                return session.set_timer(0, Duration::from_millis(300));
            }
            // More than the buffers of two sockets hold.
            session.send("x".repeat(LARGE)).expect("an empty queue takes any message");
            session.close(3000, "Go away!");
        }
        fn on_timer(&mut self, session: &mut Session<'_>, _: u32) {
            session.send("it is time").expect("room");
        }
    }

    let mut options = ServerOptions::default();
    options.close_timeout = Duration::from_millis(20);
    let server = TestServer::start(options, |server| {
        server.mount("/generous", Generous).expect("mount");
    });
    let mut slow = Client::connect(server.address);
    slow.upgrade("/generous/websocket").send(text("all"));
    let mut clock = Client::connect(server.address);
    clock.upgrade("/generous/websocket").send(text("clock")).expect_text("it is time");
    assert_eq!(slow.frame().1.len(), LARGE);
    assert_eq!(slow.expect_close(3000), "Go away!");
}
