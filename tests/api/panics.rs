//! A handler that panics loses its session, and nothing else; the observer hears of it.

use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::sync::mpsc;
use std::time::Duration;

use sockjs_server::{
    Cause, Close, Context, Endpoint, EndpointOptions, Event, Handler, Refusal, Request, Response, Server,
    ServerOptions, Session,
};

use crate::support::client::Client;
use crate::support::sockjs::SockJs;
use crate::support::websocket::WebSocket;
use crate::support::{PATIENCE, TestServer, turn_until};

/// A value that panics as it is dropped: with another of its kind, and so on without end.
#[derive(Default)]
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic_any(Bomb);
    }
}

/// How a callback panics: with a text, or with a value whose drop panics too.
const WAYS: [fn(); 2] = [|| panic!("as it was asked to"), || panic_any(Bomb)];

/// Panics at one place.
struct Fragile {
    place: &'static str,
    panic: fn(),
    closed: mpsc::Sender<Close>,
}

impl Fragile {
    fn reach(&self, place: &str) {
        if self.place == place {
            (self.panic)();
        }
    }
}

impl Handler for Fragile {
    fn admit(&mut self, _: &Request<'_>) -> Result<(), Refusal> {
        self.reach("admit");
        Ok(())
    }

    fn on_open(&mut self, _: &mut Session<'_>, _: &Request<'_>) {
        self.reach("open");
    }

    fn on_message(&mut self, session: &mut Session<'_>, text: &str) {
        match text {
            "sound" => _ = session.send("and safe"),
            "timer" => session.set_timer(0, Duration::from_millis(1)),
            "endpoint timer" => session.endpoint().set_timer(0, Duration::from_millis(1)),
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

    fn on_drain(&mut self, _: &mut Session<'_>, _: u64) {
        self.reach("drain");
    }

    fn on_timer(&mut self, _: &mut Session<'_>, _: u32) {
        self.reach("timer");
    }

    fn on_endpoint_timer(&mut self, _: &mut Endpoint<'_>, _: u32) {
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

fn fragile(place: &'static str, panic: fn()) -> (TestServer, Ears) {
    let (told, closed) = mpsc::channel();
    let (tell, panicked) = mpsc::channel();
    let server = TestServer::start(ServerOptions::default(), |server| {
        let mut options = EndpointOptions::default();
        // Room for one `more`, and not for two.
        options.send_queue = 8;
        server.mount_with("/fragile", options, Fragile { place, panic, closed: told }).expect("mount");
        server.observe(move |event| {
            if let Event::Panicked { session } = event {
                tell.send(session.is_some()).expect("the test is waiting");
            }
        });
        server.fallback(move |_, request, _| {
            if request.path() == "/panic" {
                panic();
            }
            Response::new(204)
        });
    });
    (server, Ears { panicked, closed })
}

#[test]
fn in_every_callback_it_costs_the_session_alone() {
    let places = ["open", "message", "binary", "timer", "drain"];
    for (place, panic) in places.iter().flat_map(|place| WAYS.map(|panic| (*place, panic))) {
        let (server, ears) = fragile(place, panic);
        let mut other = (place != "open").then(|| WebSocket::raw(server.address, "/fragile"));
        let mut socket = WebSocket::raw(server.address, "/fragile");
        match place {
            "message" => {
                // What was sent before it goes out; what came behind it is not heard.
                socket.send("now").send("sound");
                assert_eq!(socket.text(), "before it");
            }
            "binary" => _ = socket.send_binary(b"now"),
            "timer" => _ = socket.send("timer"),
            "drain" => {
                socket.send("fill");
                assert_eq!(socket.text(), "more");
            }
            _ => {}
        }
        socket.expect_close(3000, "Internal error");
        ears.expect_panic(true);
        ears.expect_close(Cause::Panic);
        if let Some(other) = &mut other {
            assert_eq!(other.send("sound").text(), "and safe");
        }
        assert!(ears.closed.try_recv().is_err(), "{place}: one close");
        assert!(ears.panicked.try_recv().is_err(), "{place}: one panic");
    }
}

#[test]
fn polling_clients_are_told_too() {
    for panic in WAYS {
        let (server, ears) = fragile("message", panic);
        let mut polling = SockJs::polling(server.address, "/fragile", "a");
        assert_eq!(polling.send_json(r#"["now","sound"]"#), 204);
        assert_eq!(polling.frame(), r#"a["before it"]"#);
        assert_eq!(polling.frame(), r#"c[3000,"Internal error"]"#);
        ears.expect_panic(true);
        ears.expect_close(Cause::Panic);
    }
}

#[test]
fn in_on_close_the_session_ends_as_it_was_to_end() {
    for panic in WAYS {
        let (server, ears) = fragile("close", panic);
        WebSocket::raw(server.address, "/fragile").leave();
        ears.expect_panic(true);
        ears.expect_close(Cause::Client);
        let mut socket = WebSocket::raw(server.address, "/fragile");
        assert_eq!(socket.send("sound").text(), "and safe");
        let counters = server.wait_for("the first to be gone", |counters| counters.connections == 1);
        assert_eq!((counters.sessions, counters.closed), (1, 1));
    }
}

#[test]
fn without_a_session_there_is_none_to_lose() {
    for panic in WAYS {
        let (server, ears) = fragile("endpoint timer", panic);
        let mut socket = WebSocket::raw(server.address, "/fragile");
        socket.send("endpoint timer");
        ears.expect_panic(false);
        let mut client = Client::connect(server.address);
        assert_eq!(client.ask("GET", "/panic", "", b"").status, 500);
        ears.expect_panic(false);
        assert_eq!(client.ask("GET", "/else", "", b"").status, 204);
        server.handle.run(move |_| panic()).expect("room");
        ears.expect_panic(false);
        assert_eq!(socket.send("sound").text(), "and safe");
        assert!(ears.closed.try_recv().is_err());
    }
}

#[test]
fn in_admission_it_refuses() {
    for panic in WAYS {
        let (server, ears) = fragile("admit", panic);
        let mut client = Client::connect(server.address);
        assert_eq!(client.ask("POST", "/fragile/0/s/xhr", "", b"").status, 500);
        ears.expect_panic(false);
        assert_eq!(client.ask("GET", "/else", "", b"").status, 204);
        let counters = server.counters();
        assert_eq!((counters.opened, counters.refused.total()), (0, 1));
        assert!(ears.closed.try_recv().is_err());
    }
}

#[test]
fn a_broken_observer_stops_nothing() {
    for panic in WAYS {
        let server = TestServer::start(ServerOptions::default(), |server| {
            server.observe(move |_| panic());
            server
                .mount("/echo", |session: &mut Session<'_>, text: &str| _ = session.send(text))
                .expect("mount");
        });
        let mut socket = WebSocket::raw(server.address, "/echo");
        assert_eq!(socket.send("still here").text(), "still here");
        socket.leave();
    }
}

/// What a panic of the state's drop costs is told, and nothing else comes of it.
#[test]
fn a_state_whose_drop_panics_costs_nothing() {
    let (tell, panicked) = mpsc::channel();
    let server = TestServer::start(ServerOptions::default(), |server| {
        server
            .mount("/state", |session: &mut Session<'_, Option<Bomb>>, text: &str| match text {
                "keep" => *session.state_mut() = Some(Bomb),
                // The state before is dropped in the handler's own hands.
                "drop" => *session.state_mut() = None,
                _ => _ = session.send(text),
            })
            .expect("mount");
        server.observe(move |event| {
            if let Event::Panicked { session } = event {
                tell.send(session.is_some()).expect("the test is waiting");
            }
        });
    });
    let mut other = WebSocket::raw(server.address, "/state");
    let mut leaving = WebSocket::raw(server.address, "/state");
    assert_eq!(leaving.send("keep").send("kept").text(), "kept");
    leaving.leave();
    assert_eq!(panicked.recv_timeout(PATIENCE), Ok(true));
    let mut dropping = WebSocket::raw(server.address, "/state");
    dropping.send("keep").send("drop");
    dropping.expect_close(3000, "Internal error");
    assert_eq!(panicked.recv_timeout(PATIENCE), Ok(true));
    assert_eq!(other.send("still here").text(), "still here");
    other.send("keep");
    server.wait_for("all but one to be gone", |counters| (counters.sessions, counters.closed) == (1, 2));
    // It stops in peace with one more.
    assert_eq!(server.stop().sessions_cut, 0);
    assert_eq!(panicked.recv_timeout(PATIENCE), Ok(true));
}

/// A handler whose drop panics, and whose sessions' states do.
struct Unsound(Bomb);

impl Handler<Bomb> for Unsound {
    fn admit(&mut self, _: &Request<'_>) -> Result<Bomb, Refusal> {
        Ok(Bomb)
    }

    fn on_message(&mut self, _: &mut Session<'_, Bomb>, _: &str) {}
}

/// Each drop would end the process if it met another.
#[test]
fn at_the_end_of_a_server_everything_is_dropped_in_peace() {
    let (tell, panicked) = mpsc::channel();
    let mut server = Server::bind("127.0.0.1:0").expect("server");
    for prefix in ["/a", "/b"] {
        server.mount(prefix, Unsound(Bomb)).expect("mount");
    }
    for _ in 0..2 {
        let bomb = Bomb;
        // The second takes the place of the first.
        server.fallback(move |_: &mut Context<'_>, _: &Request<'_>, _: &[u8]| {
            let _ = &bomb;
            Response::new(204)
        });
        let (tell, bomb) = (tell.clone(), Bomb);
        server.observe(move |event| {
            let _ = &bomb;
            if let Event::Panicked { .. } = event {
                tell.send(()).expect("the test is waiting");
            }
        });
    }
    drop(tell);
    // The first fallback's drop was told to the first observer, whose own was told to the second.
    assert_eq!(panicked.try_iter().count(), 2);
    let address = server.addresses()[0];
    let clients = ["/a/0/one", "/b/0/one", "/b/0/two"].map(|session| {
        let mut client = Client::connect(address);
        client.request("POST", &format!("{session}/xhr"), "", b"");
        client
    });
    turn_until(&mut server, |server| server.counters().sessions >= clients.len());
    let handle = server.handle();
    for _ in 0..2 {
        let bomb = Bomb;
        handle.run(move |_| drop(bomb)).expect("room");
    }
    assert!(catch_unwind(AssertUnwindSafe(|| drop(server))).is_ok());
    // Three states, two handlers and a fallback.
    assert_eq!(panicked.try_iter().count(), 6);
}

/// What a task has captured is dropped with it, run or not.
#[test]
fn a_task_whose_captures_panic_costs_nothing() {
    let mut server = Server::bind("127.0.0.1:0").expect("server");
    let handle = server.handle();
    let task = |bomb: Bomb| move |_: &mut Context<'_>| drop(bomb);
    handle.run(task(Bomb)).expect("room");
    server.turn(Some(Duration::ZERO)).expect("turn");
    handle.run(task(Bomb)).expect("room");
    server.shutdown(1001, "bye");
    handle.run(task(Bomb)).expect("room");
    while server.report().is_none() {
        server.turn(None).expect("turn");
    }
}
