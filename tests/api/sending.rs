//! Sending, broadcasting, counting and closing; and what happens to clients that do not read.

use std::sync::mpsc;

use sockjs_server::{
    Cause, Close, EndpointOptions, Event, Handler, Overflow, SendError, ServerOptions, Session,
};

use crate::support::sockjs::SockJs;
use crate::support::websocket::WebSocket;
use crate::support::{PATIENCE, TestServer};

/// A telephone exchange: the first word says what to do.
struct Exchange;

impl Handler for Exchange {
    fn on_message(&mut self, session: &mut Session<'_>, text: &str) {
        match text.split_once(' ').unwrap_or((text, "")) {
            ("all", text) => _ = session.broadcast(text),
            ("others", text) => _ = session.broadcast_others(text),
            ("count", _) => {
                let endpoint = session.endpoint();
                let text = format!("{} {}", endpoint.session_count(), endpoint.sessions().len());
                session.send(&text).expect("it is open");
            }
            ("oldest", text) => {
                let oldest = session.endpoint().sessions()[0];
                session.endpoint().send(oldest, text).expect("it is open");
            }
            ("close", code) => session.close(code.parse().expect("a code"), "as you wish"),
            _ => session.close(1003, "what?"),
        }
    }
}

#[test]
fn messages_reach_one_all_or_all_but_one() {
    let server = TestServer::start(ServerOptions::default(), |server| {
        server.mount("/exchange", Exchange).expect("mount");
    });
    let mut polling = SockJs::polling(server.address, "/exchange", "a");
    let mut raw = WebSocket::raw(server.address, "/exchange");
    let mut sockjs = WebSocket::sockjs(server.address, "/exchange");

    assert_eq!(sockjs.send(r#""count""#).text(), r#"a["3 3"]"#);
    // One encoding for each wire format: characters that SockJS escapes, and the same as they are.
    raw.send("all \u{200d}<\"\u{1f600}");
    assert_eq!(raw.text(), "\u{200d}<\"\u{1f600}");
    assert_eq!(sockjs.text(), "a[\"\\u200d<\\\"\u{1f600}\"]");
    assert_eq!(polling.frame(), "a[\"\\u200d<\\\"\u{1f600}\"]");
    raw.send("others but me");
    assert_eq!(polling.frame(), r#"a["but me"]"#);
    assert_eq!(sockjs.text(), r#"a["but me"]"#);
    raw.send("oldest to the first");
    assert_eq!(polling.frame(), r#"a["to the first"]"#);
    raw.send("close 4242");
    raw.expect_close(4242, "as you wish");
    assert_eq!(polling.send_json(r#"["count"]"#), 204);
    assert_eq!(polling.frame(), r#"a["2 2"]"#);
}

/// Fills its own queue, and says what it was told.
struct Filler {
    told: mpsc::Sender<String>,
}

impl Handler for Filler {
    fn on_message(&mut self, session: &mut Session<'_>, text: &str) {
        match text {
            "fill" => {
                let kilobyte = "x".repeat(1 << 10);
                let taken = (0..1 << 20).take_while(|_| session.send(&kilobyte).is_ok()).count();
                assert_eq!(session.send(&kilobyte), Err(SendError::Full));
                let id = session.id();
                assert_eq!(session.endpoint().queued(id), session.queued());
                assert!((63 << 10..64 << 10).contains(&session.queued()), "{}", session.queued());
                self.told.send(format!("took {taken}")).expect("the test is waiting");
            }
            "all" => {
                let reached = session.broadcast(&"x".repeat(1 << 10));
                self.told.send(format!("reached {reached}")).expect("the test is waiting");
            }
            _ => {}
        }
    }

    fn on_drain(&mut self, session: &mut Session<'_>, _: u64) {
        assert_eq!(session.queued(), 0);
        assert_eq!(session.send("after the drain"), Ok(()));
        self.told.send("drained".to_owned()).expect("the test is waiting");
    }

    fn on_close(&mut self, _: &mut Session<'_>, close: &Close) {
        if close.cause == Cause::Overflow {
            self.told.send(close.to_string()).expect("the test is waiting");
        }
    }
}

fn filler() -> (TestServer, mpsc::Receiver<String>) {
    let (told, heard) = mpsc::channel();
    let server = TestServer::start(ServerOptions::default(), |server| {
        let mut options = EndpointOptions::default();
        options.send_queue = 64 << 10;
        server.mount_with("/filler", options, Filler { told }).expect("mount");
    });
    (server, heard)
}

/// Rule 12.5: the limit to the byte, and the drain.
#[test]
fn a_full_queue_is_said_and_its_drain_is_told() {
    let (server, heard) = filler();
    let mut polling = SockJs::polling(server.address, "/filler", "a");
    assert_eq!(polling.send_json(r#"["fill"]"#), 204);
    // 1024 bytes, two quotes, and a comma but for the first.
    assert_eq!(heard.recv_timeout(PATIENCE).as_deref(), Ok("took 63"));
    let frame = polling.frame();
    assert_eq!(frame.matches("xxxx").count(), 63 * 256);
    assert_eq!(heard.recv_timeout(PATIENCE).as_deref(), Ok("drained"));
    assert_eq!(polling.frame(), r#"a["after the drain"]"#);
    assert!(heard.try_recv().is_err(), "told once");
}

/// Rule 12.5: a gap is never silent: a session that cannot take a broadcast is closed, and the others do not notice.
#[test]
fn a_broadcast_closes_the_session_it_would_overflow() {
    let (server, heard) = filler();
    let mut stuck = SockJs::polling(server.address, "/filler", "stuck");
    let mut reader = WebSocket::raw(server.address, "/filler");
    assert_eq!(stuck.send_json(r#"["fill"]"#), 204);
    assert_eq!(heard.recv_timeout(PATIENCE).as_deref(), Ok("took 63"));
    reader.send("all");
    assert_eq!(heard.recv_timeout(PATIENCE).as_deref(), Ok("reached 1"));
    assert_eq!(heard.recv_timeout(PATIENCE).as_deref(), Ok(r#"1013 "Send queue full" (Overflow)"#));
    assert_eq!(reader.text().len(), 1 << 10);
    // What waited is delivered, and then the reason.
    assert!(stuck.frame().starts_with(r#"a["xxxx"#));
    assert_eq!(stuck.frame(), r#"c[1013,"Send queue full"]"#);
}

/// The observer hears of a gap once, also where the session closes in it.
#[test]
fn a_gap_that_ends_with_its_session_is_observed() {
    let (told, observed) = mpsc::channel();
    let server = TestServer::start(ServerOptions::default(), |server| {
        server.observe(move |event| match event {
            Event::Skipped { messages, .. } => told.send(format!("skipped {messages}")).expect("it listens"),
            Event::Closed { close, .. } => {
                told.send(format!("closed, {}", close.skipped)).expect("it listens");
            }
            _ => {}
        });
        let mut options = EndpointOptions::default();
        (options.send_queue, options.overflow) = (1, Overflow::Skip);
        server
            .mount_with("/all", options, |session: &mut Session<'_>, text: &str| {
                assert_eq!(session.broadcast(text), 1, "an empty queue takes any message");
                assert_eq!((session.broadcast(text), session.broadcast(text)), (0, 0));
                session.close(4000, "Bye");
            })
            .expect("mount");
    });
    let mut polling = SockJs::polling(server.address, "/all", "a");
    assert_eq!(polling.send_json(r#"["hello"]"#), 204);
    assert_eq!(polling.frame(), r#"a["hello"]"#);
    assert_eq!(polling.frame(), r#"c[4000,"Bye"]"#);
    assert_eq!(observed.recv_timeout(PATIENCE).as_deref(), Ok("skipped 2"));
    assert_eq!(observed.recv_timeout(PATIENCE).as_deref(), Ok("closed, 2"));
    assert_eq!(server.counters().skipped, 2);
    assert!(observed.try_recv().is_err());
}
