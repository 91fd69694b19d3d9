//! A handler that panics loses its session, and nothing else; the observer hears of it.

use std::sync::mpsc;
use std::time::Duration;

use sockjs_server::{
    Admission, Cause, Close, Endpoint, EndpointOptions, Event, Handler, Request, Response, ServerOptions,
    Session,
};

use crate::clients::{Polling, WebSocket};
use crate::support::client::Client;
use crate::support::{PATIENCE, TestServer};

/// Panics where its prefix says.
struct Fragile {
    place: &'static str,
    closed: mpsc::Sender<Close>,
}

impl Fragile {
    fn reach(&self, place: &str) {
        assert_ne!(self.place, place, "as it was asked to");
    }
}

impl Handler for Fragile {
    fn admit(&mut self, _: &Request<'_>) -> Admission {
        self.reach("admit");
        Admission::Accept
    }

    fn on_open(&mut self, _: &mut Session<'_>, _: &Request<'_>) {
        self.reach("open");
    }

    fn on_message(&mut self, session: &mut Session<'_>, text: &str) {
        match text {
            "sound" => _ = session.send("and safe"),
            "timer" => session.set_timer(Duration::from_millis(1)),
            "endpoint timer" => session.endpoint().set_timer(Duration::from_millis(1)),
            "fill" => while session.send("more").is_ok() {},
            _ => {
                session.send("before it").expect("it is open");
                self.reach("message");
            }
        }
    }

    fn on_binary(&mut self, _: &mut Session<'_>, _: &[u8]) {
        self.reach("binary");
    }

    fn on_drain(&mut self, _: &mut Session<'_>) {
        self.reach("drain");
    }

    fn on_timer(&mut self, _: &mut Session<'_>) {
        self.reach("timer");
    }

    fn on_endpoint_timer(&mut self, _: &mut Endpoint<'_>) {
        self.reach("endpoint timer");
    }

    fn on_close(&mut self, _: &mut Session<'_>, close: &Close) {
        self.closed.send(close.clone()).expect("the test is waiting");
        self.reach("close");
    }
}

/// What the test hears: panics that were observed (in the hands of a session or not), and closes.
struct Ears {
    panicked: mpsc::Receiver<bool>,
    closed: mpsc::Receiver<Close>,
}

impl Ears {
    fn expect_panic(&self, of_a_session: bool) {
        assert_eq!(self.panicked.recv_timeout(PATIENCE), Ok(of_a_session));
    }

    fn expect_close(&self, cause: Cause) {
        assert_eq!(self.closed.recv_timeout(PATIENCE).map(|close| close.cause), Ok(cause));
    }
}

fn fragile(place: &'static str) -> (TestServer, Ears) {
    let (told, closed) = mpsc::channel();
    let (tell, panicked) = mpsc::channel();
    let server = TestServer::start(ServerOptions::default(), |server| {
        let mut options = EndpointOptions::default();
        // Room for one `more`, and not for two.
        options.send_queue = 8;
        server.mount_with("/fragile", options, Fragile { place, closed: told }).expect("mount");
        server.observe(move |event| {
            if let Event::Panicked { session } = event {
                tell.send(session.is_some()).expect("the test is waiting");
            }
        });
        server.fallback(|_, request, _| match request.path() {
            "/panic" => panic!("as it was asked to"),
            _ => Response::new(204),
        });
    });
    (server, Ears { panicked, closed })
}

#[test]
fn in_every_callback_it_costs_the_session_alone() {
    for place in ["open", "message", "binary", "timer", "drain"] {
        let (server, ears) = fragile(place);
        let mut other = (place != "open").then(|| WebSocket::raw(server.address, "/fragile"));
        let mut socket = WebSocket::raw(server.address, "/fragile");
        match place {
            "message" => {
                // What was sent before it goes out; what came behind it is not heard.
                socket.text("now").text("sound");
                assert_eq!(socket.next_text(), "before it");
            }
            "binary" => _ = socket.binary(b"now"),
            "timer" => _ = socket.text("timer"),
            "drain" => {
                socket.text("fill");
                assert_eq!(socket.next_text(), "more");
            }
            _ => {}
        }
        socket.expect_close(3000, "Internal error");
        ears.expect_panic(true);
        ears.expect_close(Cause::Panic);
        if let Some(other) = &mut other {
            assert_eq!(other.text("sound").next_text(), "and safe");
        }
        assert!(ears.closed.try_recv().is_err(), "{place}: one close");
        assert!(ears.panicked.try_recv().is_err(), "{place}: one panic");
    }
}

#[test]
fn polling_clients_are_told_too() {
    let (server, ears) = fragile("message");
    let mut polling = Polling::open(server.address, "/fragile", "a");
    assert_eq!(polling.send(r#"["now","sound"]"#), 204);
    assert_eq!(polling.poll(), r#"a["before it"]"#);
    assert_eq!(polling.poll(), r#"c[3000,"Internal error"]"#);
    ears.expect_panic(true);
    ears.expect_close(Cause::Panic);
}

#[test]
fn in_on_close_the_session_ends_as_it_was_to_end() {
    let (server, ears) = fragile("close");
    WebSocket::raw(server.address, "/fragile").leave();
    ears.expect_panic(true);
    ears.expect_close(Cause::Client);
    let mut socket = WebSocket::raw(server.address, "/fragile");
    assert_eq!(socket.text("sound").next_text(), "and safe");
    let counters = server.wait_for("the first to be gone", |counters| counters.connections == 1);
    assert_eq!((counters.sessions, counters.closed), (1, 1));
}

#[test]
fn without_a_session_there_is_none_to_lose() {
    let (server, ears) = fragile("endpoint timer");
    let mut socket = WebSocket::raw(server.address, "/fragile");
    socket.text("endpoint timer");
    ears.expect_panic(false);
    let mut client = Client::connect(server.address);
    assert_eq!(client.ask("GET", "/panic", "", b"").status, 500);
    ears.expect_panic(false);
    assert_eq!(client.ask("GET", "/else", "", b"").status, 204);
    server.handle.run(|_| panic!("as it was asked to"));
    ears.expect_panic(false);
    assert_eq!(socket.text("sound").next_text(), "and safe");
    assert!(ears.closed.try_recv().is_err());
}

#[test]
fn in_admission_it_refuses() {
    let (server, ears) = fragile("admit");
    let mut client = Client::connect(server.address);
    assert_eq!(client.ask("POST", "/fragile/0/s/xhr", "", b"").status, 500);
    ears.expect_panic(false);
    assert_eq!(client.ask("GET", "/else", "", b"").status, 204);
    let counters = server.counters();
    assert_eq!((counters.opened, counters.refused.total()), (0, 1));
    assert!(ears.closed.try_recv().is_err());
}

#[test]
fn a_broken_observer_stops_nothing() {
    let server = TestServer::start(ServerOptions::default(), |server| {
        server.observe(|_| panic!("as it was asked to"));
        server.mount("/echo", |session: &mut Session<'_>, text: &str| _ = session.send(text)).expect("mount");
    });
    let mut socket = WebSocket::raw(server.address, "/echo");
    assert_eq!(socket.text("still here").next_text(), "still here");
    socket.leave();
}
