//! Timers of the application: of sessions, and of endpoints.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use sockjs_server::{Endpoint, Handler, Refusal, Request, Server, ServerOptions, Session};

use crate::support::websocket::WebSocket;
use crate::support::{PATIENCE, TestServer};

/// Long beside anything that a test does.
const FAR: Duration = Duration::from_secs(3600);

#[derive(Default)]
struct Clock {
    beats: usize,
}

/// What is kept with each session: when the timer was set.
struct Set(Option<Instant>);

/// The number of a timer, where there is one.
const FIRST: u32 = 7;

const DELAY: Duration = Duration::from_millis(20);

impl Handler<Set> for Clock {
    fn admit(&mut self, _: &Request<'_>) -> Result<Set, Refusal> {
        Ok(Set(None))
    }

    fn on_message(&mut self, session: &mut Session<'_, Set>, text: &str) {
        session.state_mut().0 = Some(Instant::now());
        match text {
            "set" => session.set_timer(FIRST, DELAY),
            "move nearer" => {
                session.set_timer(FIRST, FAR);
                session.set_timer(FIRST, DELAY);
            }
            "move away" => {
                session.set_timer(FIRST, Duration::ZERO);
                session.set_timer(FIRST, DELAY);
            }
            "cancel" => {
                session.set_timer(FIRST, Duration::ZERO);
                session.cancel_timer(FIRST);
                // Later than the other would have been.
                session.endpoint().set_timer(FIRST, DELAY);
            }
            _ => session.endpoint().set_timer(FIRST, DELAY),
        }
    }

    fn on_timer(&mut self, session: &mut Session<'_, Set>, timer: u32) {
        assert_eq!(timer, FIRST);
        let set = session.state().0.expect("it was set");
        assert!(set.elapsed() >= DELAY, "early");
        session.send("timer").expect("it is open");
    }

    fn on_endpoint_timer(&mut self, endpoint: &mut Endpoint<'_, Set>, _: u32) {
        self.beats += 1;
        endpoint.broadcast(&format!("beat {}", self.beats));
        if self.beats < 3 {
            endpoint.set_timer(FIRST, Duration::ZERO);
        }
    }
}

#[test]
fn timers_are_set_moved_stopped_and_set_again() {
    let server = TestServer::start(ServerOptions::default(), |server| {
        server.mount("/clock", Clock::default()).expect("mount");
    });
    let mut socket = WebSocket::raw(server.address, "/clock");
    assert_eq!(socket.send("set").text(), "timer");
    assert_eq!(socket.send("move nearer").text(), "timer");
    assert_eq!(socket.send("move away").text(), "timer");
    let mut other = WebSocket::raw(server.address, "/clock");
    socket.send("cancel");
    for beat in ["beat 1", "beat 2", "beat 3"] {
        assert_eq!(socket.text(), beat);
        assert_eq!(other.text(), beat);
    }
    // Nothing else was on its way.
    socket.leave();
    other.leave();
}

/// Tells of timers.
struct Last {
    told: mpsc::Sender<&'static str>,
}

impl Handler for Last {
    fn on_open(&mut self, session: &mut Session<'_>, _: &Request<'_>) {
        session.set_timer(FIRST, Duration::from_millis(1));
        session.close(4000, "before its time");
        session.endpoint().set_timer(FIRST, Duration::from_millis(30));
    }

    fn on_message(&mut self, _: &mut Session<'_>, _: &str) {}

    fn on_timer(&mut self, _: &mut Session<'_>, _: u32) {
        self.told.send("of a closed session").expect("the test is waiting");
    }

    fn on_endpoint_timer(&mut self, _: &mut Endpoint<'_>, _: u32) {
        self.told.send("of the endpoint").expect("the test is waiting");
    }
}

#[test]
fn a_timer_ends_with_its_session() {
    let (told, heard) = mpsc::channel();
    let server = TestServer::start(ServerOptions::default(), |server| {
        server.mount("/last", Last { told }).expect("mount");
    });
    WebSocket::raw(server.address, "/last").expect_close(4000, "before its time");
    assert_eq!(heard.recv_timeout(PATIENCE), Ok("of the endpoint"));
    let counters = server.wait_for("the end", |counters| counters.connections == 0);
    assert_eq!(counters.timers, 0);
}

/// Rule 12.11.
#[test]
fn a_timer_that_is_set_between_two_turns_runs_from_then_on() {
    let mut server = Server::new(ServerOptions::default()).expect("server");
    let (rings, rang) = mpsc::channel();
    struct Bell(mpsc::Sender<Instant>);
    impl Handler for Bell {
        fn on_message(&mut self, _: &mut Session<'_>, _: &str) {}
        fn on_endpoint_timer(&mut self, _: &mut Endpoint<'_>, _: u32) {
            self.0.send(Instant::now()).expect("the test listens");
        }
    }
    let endpoint = server.mount("/bell", Bell(rings)).expect("mount");
    server.turn(Some(Duration::ZERO)).expect("turn");
    // The program does something else for longer than the timer is to take.
    std::thread::sleep(2 * DELAY);
    let set = Instant::now();
    server.endpoint(endpoint).set_timer(FIRST, DELAY);
    let rang = loop {
        server.turn(Some(PATIENCE)).expect("turn");
        if let Ok(rang) = rang.try_recv() {
            break rang;
        }
    };
    assert!(rang - set >= DELAY, "early");
}

/// Sets the timers that the client names, `number:milliseconds` each; a number alone is cancelled.
struct Numbers;

impl Handler for Numbers {
    fn on_message(&mut self, session: &mut Session<'_>, text: &str) {
        for word in text.split(' ') {
            let delay = |text: &str| Duration::from_millis(text.parse().expect("milliseconds"));
            let number = |text: &str| text.parse().expect("a number");
            match word.split_once(':') {
                Some(("all", _)) => {
                    (0..1000).for_each(|number| session.set_timer(number, Duration::from_millis(10)))
                }
                Some((text, milliseconds)) => session.set_timer(number(text), delay(milliseconds)),
                None => session.cancel_timer(number(word)),
            }
        }
        session.endpoint().set_timer(u32::MAX, Duration::from_millis(150));
        // The endpoint's are apart from the session's.
        session.endpoint().set_timer(1, FAR);
        session.endpoint().cancel_timer(1);
    }

    fn on_timer(&mut self, session: &mut Session<'_>, timer: u32) {
        session.send(timer.to_string()).expect("it is open");
        if timer == 2_000 {
            // Of those that are due now this one is not told any more, and this one anew.
            session.cancel_timer(2_001);
            session.set_timer(3_000, Duration::ZERO);
        }
    }

    fn on_endpoint_timer(&mut self, endpoint: &mut Endpoint<'_>, timer: u32) {
        endpoint.broadcast(&format!("endpoint {timer}"));
    }
}

#[test]
fn timers_of_one_session_are_told_apart_by_their_numbers() {
    let server = TestServer::start(ServerOptions::default(), |server| {
        server.mount("/numbers", Numbers).expect("mount");
    });
    let mut socket = WebSocket::raw(server.address, "/numbers");
    let end = format!("endpoint {}", u32::MAX);
    for (text, expected) in [
        ("1:40 2:20 4294967295:1", &["4294967295", "2", "1"][..]),
        ("1:1 2:1 1 5", &["2"]),
        ("1:100000 1:5 2:1", &["2", "1"]),
        ("2000:5 2001:5", &["2000", "3000"]),
        ("0:1 0:1 0:1", &["0"]),
    ] {
        socket.send(text);
        for expected in expected {
            assert_eq!(socket.text(), *expected, "of {text:?}");
        }
        assert_eq!(socket.text(), end, "and no more of {text:?}");
    }
    socket.send("all:0");
    for number in 0..1000 {
        assert_eq!(socket.text(), number.to_string());
    }
    assert_eq!(socket.text(), end);
    // All of them end with their session.
    socket.send("all:0 1000:100000000");
    socket.leave();
    let counters = server
        .wait_for("the endpoint's to be over", |counters| counters.connections == 0 && counters.timers == 0);
    assert_eq!(counters.sessions, 0);
}
