//! What grows with the number of sessions? The engine alone, with 10,000, 100,000 and 1,000,000 of them: WebSockets,
//! streams, and sessions between two polls, a third each. Every figure is of one operation, and the last column says
//! what it costs with the most sessions, in parts of what it costs with the fewest.
//!
//! "Busy" operations go round a tenth of the sessions, in an order that is no order of memory, so that with a million
//! of them hardly one is in the processor's caches; "few" operations go round the same 32 sessions among all others. A
//! figure of the latter kind that grows is an algorithm's fault, and the bench fails.
//!
//! `cargo bench --bench million` does all of it; with `-- week` a simulated week of 10,000 sessions that come, talk,
//! stall and go, with `-- 10000 100000` so many sessions.

#[path = "../support/counting.rs"]
mod counting;
mod driver;
mod week;

use std::process::ExitCode;
use std::time::Duration;

use driver::{ATTACHED, Driver, PREFIXES, frame, handshake, post};
use sockjs_server::collections::Key;
use sockjs_server::engine::{Connection, Message, Session};

#[global_allocator]
static ALLOCATOR: counting::Counting = counting::Counting;

/// How much more an operation may cost with the most sessions than with the fewest, apart from caches.
const GROWTH: f64 = 1.3;

/// Bytes of heap that a session may take in the engine, with its connection and its timer.
const WEBSOCKET: f64 = 400.0;
const STREAM: f64 = 450.0;

/// Sessions that are enough to say what one of them takes.
const MANY: usize = 100_000;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let counts: Vec<usize> = arguments.iter().filter_map(|argument| argument.parse().ok()).collect();
    let (measured, is_week) = match &*arguments {
        [] => (vec![10_000, 100_000, 1_000_000], true),
        [word] if word == "week" => (Vec::new(), true),
        words if counts.len() == words.len() => (counts, false),
        _ => {
            eprintln!("what is asked for is `week`, or numbers of sessions");
            return ExitCode::FAILURE;
        }
    };
    let is_sound = measured.is_empty() || print(&measured);
    let is_flat = !is_week || week::run();
    if is_sound && is_flat { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What a figure must keep to.
#[derive(Clone, Copy, PartialEq)]
enum Bound {
    None,
    /// It must not grow.
    Flat,
    /// It must not be more.
    Most(f64),
}

/// A figure: what it is of, its value, and its bound.
type Row = (&'static str, f64, Bound);

/// Prints the figures of each number of sessions side by side. `false`: one of them is beyond its bound.
fn print(counts: &[usize]) -> bool {
    let columns: Vec<Vec<Row>> = counts.iter().map(|count| Sessions::measure(*count)).collect();
    let (Some(first), Some(last)) = (columns.first(), columns.last()) else { return true };
    print!("{:<52}", "");
    counts.iter().for_each(|count| print!("{count:>11}"));
    println!("{:>8}", "growth");
    let mut is_sound = true;
    for (place, (what, least, bound)) in first.iter().enumerate() {
        print!("{what:<52}");
        columns.iter().for_each(|column| print!("{:>11.3}", column[place].1));
        let most = last[place].1;
        let holds = match bound {
            Bound::None => None,
            Bound::Flat => Some(most <= least * GROWTH),
            // Of fewer sessions each has a large part of the spare buffers.
            Bound::Most(bound) => counts.last().filter(|count| **count >= MANY).map(|_| most <= *bound),
        };
        let verdict = match holds {
            None => "",
            Some(true) => "PASS",
            Some(false) => "MISS",
        };
        println!("{:>8.2}  {verdict}", most / least);
        is_sound &= holds != Some(false);
    }
    is_sound
}

/// The default.
const HEARTBEAT: Duration = Duration::from_secs(25);

/// Arrivals of one turn.
const AT_ONCE: usize = 32;

/// Operations that are timed together, where there are enough of them.
const TIMED: usize = 100_000;

/// Busy sessions whose memory stays in the processor's caches.
const FEW: usize = 32;

/// The sessions of a run.
struct Sessions {
    driver: Driver,
    websockets: Vec<(Key<Connection>, Key<Session>)>,
    streams: Vec<(Key<Connection>, Key<Session>)>,
    /// The connections of sessions between two polls.
    polls: Vec<Key<Connection>>,
    /// Those on which clients of streams send.
    senders: Vec<Key<Connection>>,
    rows: Vec<Row>,
}

/// Microseconds of this thread's processor time for each of so many: other programs do not count.
fn each(count: usize, work: impl FnOnce()) -> f64 {
    let start = thread_time();
    work();
    (thread_time() - start).as_secs_f64() * 1e6 / count as f64
}

/// The time for which this thread was on a processor.
fn thread_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// A walk over so many places, each once in a round, in no order.
fn walk(places: usize, steps: usize) -> impl Iterator<Item = usize> {
    // Prime, and no divisor of any number of sessions.
    (0..steps).map(move |step| step * 7_919 % places)
}

impl Sessions {
    fn measure(count: usize) -> Vec<Row> {
        let third = count / 3;
        let mut driver =
            Driver::new(count + 1, HEARTBEAT, [Duration::from_secs(5), Duration::from_secs(120)]);
        driver.program.opened.reserve(count);
        let mut it = Self {
            driver,
            websockets: Vec::with_capacity(third),
            streams: Vec::with_capacity(third),
            polls: Vec::with_capacity(third),
            senders: Vec::new(),
            rows: Vec::new(),
        };
        it.open(third);
        it.join(third);
        it.talk();
        it.publish(third);
        it.beat();
        it.close();
        assert_eq!(it.driver.engine.counters().sessions, 0);
        it.rows
    }

    fn note(&mut self, what: &'static str, value: f64, bound: Bound) {
        self.rows.push((what, value, bound));
    }

    /// Opens a third of each kind, within half a minute.
    fn open(&mut self, third: usize) {
        let handshake = handshake();
        let names = ["sessions between two polls", "WebSockets", "streams"];
        let opened = ["opens a session between two polls, µs", "opens a WebSocket, µs", "opens a stream, µs"];
        let heap = [
            "heap of a session between two polls, bytes",
            "heap of a WebSocket, bytes",
            "heap of a stream, bytes",
        ];
        let bounds = [Bound::None, Bound::Most(WEBSOCKET), Bound::Most(STREAM)];
        for kind in 0..names.len() {
            let (start, length) = [(0, 5_000), (5_000, 12_000), (17_000, 12_000)][kind];
            let before = counting::bytes_in_use();
            let took = each(third, || {
                for first in (0..third).step_by(AT_ONCE) {
                    self.driver.set_time(start + length * first as u64 / third as u64);
                    self.driver.turn(|driver| {
                        for number in first..third.min(first + AT_ONCE) {
                            let key = driver.accept();
                            match kind {
                                0 => {
                                    driver.receive(key, post(PREFIXES[1], number, "xhr", "").as_bytes());
                                    self.polls.push(key);
                                }
                                1 => driver.receive(key, handshake.as_bytes()),
                                _ => {
                                    let request = post(PREFIXES[0], number, "xhr_streaming", "");
                                    driver.receive(key, request.as_bytes());
                                }
                            }
                            let session = driver.program.opened.pop().expect("it opens");
                            match kind {
                                0 => {}
                                1 => self.websockets.push((key, session)),
                                _ => self.streams.push((key, session)),
                            }
                        }
                    });
                }
                self.driver.settle();
            });
            let bytes = (counting::bytes_in_use() - before) as f64 / third as f64;
            self.note(opened[kind], took, Bound::None);
            self.note(heap[kind], bytes, bounds[kind]);
        }
        assert_eq!(self.driver.engine.counters().sessions, 3 * third);
    }

    /// Every WebSocket and every stream is in a group of 10, one of 1,000, and one of all.
    fn join(&mut self, third: usize) {
        let sizes = [(10, "ten"), (1000, "thousand"), (usize::MAX, "all")];
        let heap = ["heap of a membership in a group of 10, bytes", "of 1,000", "of all"];
        let joins = ["joins a group of 10, µs", "of 1,000", "of all"];
        for (place, (size, name)) in sizes.into_iter().enumerate() {
            let before = counting::bytes_in_use();
            let took = each(2 * third, || {
                let members = self.websockets.iter().chain(&self.streams);
                for (number, (_, session)) in members.enumerate() {
                    let name = format!("{name}-{}", number / size);
                    self.driver.engine.join(*session, &name).expect("room");
                    if number % AT_ONCE == 0 {
                        self.driver.turn(|_| {});
                    }
                }
                self.driver.settle();
            });
            let bytes = (counting::bytes_in_use() - before) as f64 / (2 * third) as f64;
            self.note(joins[place], took, Bound::None);
            self.note(heap[place], bytes, Bound::None);
        }
    }

    /// A tenth of the sessions is busy; then the same few.
    fn talk(&mut self) {
        let message = frame(1, br#"["a message of thirty letters..."]"#);
        let body = r#"["a message of thirty letters..."]"#;
        for (places, suffix, bound) in [(self.websockets.len() / 10, 0, Bound::None), (FEW, 1, Bound::Flat)] {
            let steps = TIMED.max(places);
            let places = places.min(self.websockets.len());
            // The busy ones lie among all others.
            let stride = self.websockets.len() / places;
            for round in 0..2 {
                // The first round warms the caches, and grows the pool.
                let echoes = each(steps, || {
                    self.round(places, steps, |it, driver, place| {
                        driver.receive(it.websockets[place * stride].0, &message);
                    });
                });
                let requests = each(steps, || {
                    self.round(places, steps, |it, driver, place| {
                        let request = post(PREFIXES[0], place * stride, "xhr_send", body);
                        driver.receive(it.senders[place % it.senders.len()], request.as_bytes());
                    });
                });
                let polls = each(steps, || {
                    self.round(places, steps, |it, driver, place| {
                        let (id, key) = (place * stride, it.polls[place * stride]);
                        driver.receive(key, post(PREFIXES[1], id, "xhr_send", body).as_bytes());
                        driver.receive(key, post(PREFIXES[1], id, "xhr", "").as_bytes());
                    });
                });
                if round == 1 {
                    let names = [
                        ["busy: an echo on a WebSocket, µs", "few: an echo on a WebSocket, µs"],
                        [
                            "busy: xhr_send, and the echo on its stream, µs",
                            "few: xhr_send, and the echo on its stream, µs",
                        ],
                        [
                            "busy: xhr_send, and the poll for its echo, µs",
                            "few: xhr_send, and the poll for its echo, µs",
                        ],
                    ];
                    self.note(names[0][suffix], echoes, bound);
                    self.note(names[1][suffix], requests, bound);
                    self.note(names[2][suffix], polls, bound);
                }
            }
        }
    }

    /// So many operations, some in each turn. Each of them must have brought an echo.
    fn round(&mut self, places: usize, steps: usize, mut work: impl FnMut(&Self, &mut Driver, usize)) {
        let mut driver = std::mem::replace(&mut self.driver, Driver::new(1, HEARTBEAT, [HEARTBEAT; 2]));
        if self.senders.is_empty() {
            self.senders = (0..AT_ONCE).map(|_| driver.accept()).collect();
        }
        let before = driver.engine.counters().messages_out;
        let mut steps_left = steps;
        let mut places = walk(places, steps);
        while steps_left > 0 {
            driver.turn(|driver| {
                for place in places.by_ref().take(AT_ONCE) {
                    work(self, driver, place);
                    steps_left -= 1;
                }
            });
            while driver.engine.is_pending() {
                driver.turn(|_| {});
            }
        }
        assert_eq!(driver.engine.counters().messages_out - before, steps as u64);
        self.driver = driver;
    }

    /// A message to each group of 10, then of 1,000, up to so many members; and to all.
    fn publish(&mut self, third: usize) {
        for (size, name, what, bound) in [
            (10, "ten", "publishes to a group of 10, µs for each member", Bound::None),
            (1000, "thousand", "to one of 1,000", Bound::None),
            (2 * third, "all", "to all", Bound::None),
        ] {
            let groups = (2 * third / size).max(1);
            let steps = (4 * TIMED / size).max(1);
            let before = self.driver.engine.counters().messages_out;
            let mut took = 0.0;
            for _ in 0..2 {
                took = each(steps * size.min(2 * third), || {
                    for group in walk(groups, steps) {
                        let text = Message::Text("a message of thirty letters...");
                        self.driver.engine.publish(ATTACHED, &format!("{name}-{group}"), text, None);
                        self.driver.settle();
                    }
                });
            }
            let sent = self.driver.engine.counters().messages_out - before;
            assert!(sent >= (2 * steps * size.min(2 * third)) as u64 / 2, "{sent}");
            self.note(what, took, bound);
        }
        // The same ten groups, which stay in the caches.
        let mut took = 0.0;
        for _ in 0..2 {
            took = each(TIMED * 10, || {
                for group in walk(10, TIMED) {
                    let text = Message::Text("a message of thirty letters...");
                    self.driver.engine.publish(ATTACHED, &format!("ten-{group}"), text, None);
                    self.driver.settle();
                }
            });
        }
        self.note("few: to one of ten groups of 10", took, Bound::Flat);
    }

    /// Every WebSocket and every stream gets a heartbeat, and each WebSocket's client answers its ping.
    fn beat(&mut self) {
        let pong = frame(10, b"");
        let (end, before) = (self.driver.now() + 26_000, self.driver.engine.counters().bytes_out);
        let beats = self.websockets.len() + self.streams.len();
        let took = each(beats, || {
            self.driver.pass_until(end, 1, |driver| {
                while let Some(key) = driver.pings.pop() {
                    driver.receive(key, &pong);
                }
            });
        });
        assert!(
            self.driver.engine.counters().bytes_out - before >= 3 * beats as u64,
            "each has its heartbeat"
        );
        self.note("a heartbeat, with its pong, µs", took, Bound::None);
    }

    /// Clients leave, with a close frame or without; sessions between two polls expire.
    fn close(&mut self) {
        let goodbye = frame(8, &1000_u16.to_be_bytes());
        let keys = [&self.websockets, &self.streams];
        let names = ["a close handshake, µs", "a stream that breaks off, µs"];
        let mut rows = Vec::new();
        for ((kind, name), sessions) in names.into_iter().enumerate().zip(keys) {
            let before = self.driver.program.closed;
            let places: Vec<_> = walk(sessions.len(), sessions.len()).collect();
            let took = each(sessions.len(), || {
                for chunk in places.chunks(AT_ONCE) {
                    self.driver.turn(|driver| {
                        for place in chunk {
                            match kind {
                                0 => driver.receive(sessions[*place].0, &goodbye),
                                _ => driver.hang_up(sessions[*place].0),
                            }
                        }
                    });
                    self.driver.dropped.clear();
                }
                self.driver.settle();
            });
            assert_eq!(self.driver.program.closed - before, sessions.len() as u64);
            rows.push((name, took, Bound::None));
        }
        let before = self.driver.program.closed;
        let end = self.driver.now() + 150_000;
        let took = each(self.polls.len(), || self.driver.pass_until(end, 1, |_| {}));
        assert_eq!(self.driver.program.closed - before, self.polls.len() as u64);
        rows.push(("a session that expires, µs", took, Bound::None));
        self.rows.extend(rows);
        for key in self.polls.iter().chain(&self.senders) {
            self.driver.hang_up(*key);
        }
        self.driver.settle();
    }
}
