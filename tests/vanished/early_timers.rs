//! The application's timers count from the call that sets them, and never ring early (rule 12.11).

use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use sockjs_server::{Handler, Refusal, Request, ServerOptions, Session};

use crate::support::client::Client;
use crate::support::frames::text;
use crate::support::{PATIENCE, TestServer};

/// When the session's timer was set, and for how long.
type Setting = Option<(Instant, Duration)>;

/// A handler that works for so many microseconds, and sets a timer for so many milliseconds. When a timer rings, the
/// handler tells the test the delay and how long after the call the timer rang.
struct Clock(Sender<(Duration, Duration)>);

impl Handler<Setting> for Clock {
    fn admit(&mut self, _: &Request<'_>) -> Result<Setting, Refusal> {
        Ok(None)
    }

    fn on_message(&mut self, session: &mut Session<'_, Setting>, text: &str) {
        let (work, delay) = text.split_once(' ').expect("two numbers");
        thread::sleep(Duration::from_micros(work.parse().expect("a number")));
        let delay = Duration::from_millis(delay.parse().expect("a number"));
        *session.state_mut() = Some((Instant::now(), delay));
        session.set_timer(0, delay);
    }

    fn on_timer(&mut self, session: &mut Session<'_, Setting>, _: u32) {
        let (set, delay) = session.state().expect("the timer was set");
        self.0.send((delay, set.elapsed())).expect("the test listens");
    }
}

fn clock() -> (TestServer, Receiver<(Duration, Duration)>) {
    let (rings, rung) = mpsc::channel();
    let server = TestServer::start(ServerOptions::default(), |server| {
        server.mount("/clock", Clock(rings)).expect("mount");
    });
    (server, rung)
}

/// By how much each timer was early that rang early.
fn early(rung: &Receiver<(Duration, Duration)>, count: usize) -> Vec<Duration> {
    let all = (0..count).map(|_| rung.recv_timeout(PATIENCE).expect("it rings"));
    all.filter(|(delay, took)| took < delay).map(|(delay, took)| delay - took).collect()
}

#[test]
fn a_timer_counts_from_its_call_and_not_from_the_work_before() {
    let (server, rung) = clock();
    let mut client = Client::connect(server.address);
    client.upgrade("/clock/websocket");
    let early: Vec<Duration> = (0..3)
        .flat_map(|_| {
            client.send(text("300000 200"));
            early(&rung, 1)
        })
        .collect();
    println!("timers: {} of 3 timers of 200 ms behind work of 300 ms rang early, by {early:?}", early.len());
    assert!(early.is_empty(), "rang early by {early:?}");
}

#[test]
fn no_timer_rings_early() {
    const TIMERS: usize = 50;
    let (server, rung) = clock();
    let mut clients: Vec<Client> = (0..TIMERS).map(|_| Client::connect(server.address)).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        client.upgrade("/clock/websocket");
        // The timers are set all over the millisecond, for steps of the golden ratio leave no large gap.
        client.send(text(format!("{} 100", number * 618 % 1000)));
    }
    let early = early(&rung, TIMERS);
    println!("timers: {} of {TIMERS} timers of 100 ms rang early, by {early:?}", early.len());
    assert!(early.is_empty(), "rang early by {early:?}");
}
