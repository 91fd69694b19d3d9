//! What all clients together may hold, and what waits for one of them (section 12, rule 5).

use std::time::Duration;

use sockjs_server::{EndpointOptions, Handler, SendError, ServerOptions, Session};

use crate::support::TestServer;
use crate::support::client::Client;
use crate::support::frames::{handshake, text};
use crate::{NEVER, start};

/// Sessions without a receiver have a limit to what waits for them; `send` says so, and nothing is lost silently.
#[test]
fn what_waits_for_a_session_is_bounded() {
    let mut options = EndpointOptions::default();
    options.send_queue = 1000;
    let server = TestServer::start(ServerOptions::default(), |server| {
        server
            .mount_with("/full", options, |session: &mut Session<'_>, text: &str| {
                let broadcast = text.starts_with("all ");
                if broadcast {
                    session.broadcast(text);
                } else if session.send(text) == Err(SendError::Full) {
                    session.close(3001, "Full");
                }
            })
            .expect("mount");
    });
    let mut client = Client::connect(server.address);
    for (id, prefix, closed) in
        [("a", "one ", "c[3001,\"Full\"]\n"), ("b", "all ", "c[1013,\"Send queue full\"]\n")]
    {
        let target = format!("/full/000/{id}/xhr");
        assert_eq!(client.ask("POST", &target, "", b"").text(), "o\n");
        let body = format!("[\"{prefix}{}\"]", "x".repeat(300));
        for _ in 0..5 {
            assert_eq!(client.ask("POST", &format!("{target}_send"), "", body.as_bytes()).status, 204);
        }
        // What was taken before comes out, and then the close that says there was more.
        let frame = client.ask("POST", &target, "", b"");
        assert_eq!(frame.text().matches(prefix).count(), 3, "{}", frame.text());
        assert_eq!(client.ask("POST", &target, "", b"").text(), closed);
    }
}

#[test]
fn beyond_the_most_connections_accepting_pauses() {
    let server = start(|server, _| server.connections = 2);
    let mut clients = [(); 3].map(|()| Client::connect(server.address));
    for client in &mut clients {
        client.request("GET", "/echo", "", b"");
    }
    let [first, second, third] = &mut clients;
    for client in [&mut *first, second] {
        assert_eq!(client.read_head().status, 200);
    }
    assert_eq!(server.counters().accepted, 2);
    first.hang_up();
    assert_eq!(third.read_head().status, 200);
    assert_eq!(server.counters().accepted, 3);
}

#[test]
fn beyond_the_most_sessions_receivers_get_503() {
    let server = start(|_, endpoint| endpoint.sessions = 2);
    let mut client = Client::connect(server.address);
    let mut socket = Client::connect(server.address);
    socket.upgrade("/echo/websocket");
    assert_eq!(client.ask("POST", "/echo/000/a/xhr", "", b"").status, 200);
    assert_eq!(client.ask("POST", "/echo/000/b/xhr", "", b"").status, 503);
    assert_eq!(client.ask("POST", "/echo/000/b/xhr_send", "", b"[]").status, 404);
    let mut refused = Client::connect(server.address);
    refused.send(handshake("/echo/websocket", ""));
    assert_eq!(refused.read_head().status, 503);
    // Another endpoint has room of its own, and so has this one when a session has ended.
    assert_eq!(client.ask("POST", "/broadcast/000/a/xhr", "", b"").status, 200);
    drop(socket);
    server.wait_for("room", |counters| counters.closed == 1);
    assert_eq!(client.ask("POST", "/echo/000/b/xhr", "", b"").status, 200);
}

/// What all connections together may hold (DESIGN: bytes buffered by the whole server).
#[test]
fn beyond_what_the_server_may_buffer_somebody_is_refused() {
    let server = start(|server, _| {
        server.buffered_bytes = 1 << 20;
        server.head_timeout = NEVER;
    });
    let mut clients: Vec<_> = (0..100).map(|_| Client::connect(server.address)).collect();
    for client in &mut clients {
        client.send(format!("GET /echo HTTP/1.1\r\nHost: a\r\nX: {}", "x".repeat(15 << 10)));
    }
    server.wait_for("a refusal", |counters| {
        counters.refused.total() > 0 || counters.accepted > counters.connections as u64
    });
}

/// Section 7, rule 5: what waits goes first, then the close; section 8: clients that read slowly must not lose it. So
/// the wait for the client's part of the goodbye can begin only when ours has left.
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
            session.send(&"x".repeat(LARGE)).expect("an empty queue takes any message");
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
    assert_eq!(slow.read_frame().1.len(), LARGE);
    assert_eq!(slow.expect_close(3000), "Go away!");
}
