//! A simulated week of 10,000 guests that come, talk, stall and go, over all kinds of receivers: what the server holds,
//! and the heap, are as large in the last day as in the second, and nothing is left when all have gone.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use sockjs_server::collections::Key;
use sockjs_server::engine::{Connection, Session, split_mix};

use crate::counting;
use crate::driver::{Driver, PREFIXES, frame, handshake, post};

const GUESTS: usize = 10_000;

const HOUR: u64 = 60 * 60 * 1000;

const DAYS: usize = 7;

/// How much more the heap may be in the last day than in the second.
const GROWTH: f64 = 1.03;

/// How long sessions wait for a receiver: longer than most guests are away.
const AWAY: Duration = Duration::from_secs(15 * 60);

/// Bytes that the server may keep when all have gone: 3 MiB of spare buffers, which have that bound, and small tables.
const KEPT: usize = (3 << 20) + (256 << 10);

/// A guest acts every ten minutes or so.
const ACTS: u64 = 10 * 60 * 1000;

/// One guest, with its connection if that is there.
#[derive(Clone, Copy)]
enum Guest {
    Away,
    WebSocket(Key<Connection>, Key<Session>),
    Stream(Key<Connection>),
    Poll(Option<Key<Connection>>),
}

struct Week {
    driver: Driver,
    guests: Vec<Guest>,
    by_key: HashMap<Key<Connection>, usize>,
    random: u64,
    /// The number of the next session over HTTP.
    next_id: usize,
    ids: Vec<usize>,
    visits: u64,
    stalls: u64,
}

/// What there was on average in a day.
#[derive(Default)]
struct Day {
    heap: f64,
    booked: f64,
    timers: f64,
    sessions: f64,
}

/// `false`: something has grown.
pub fn run() -> bool {
    let start = Instant::now();
    let mut week = Week::new();
    let before = counting::bytes_in_use();
    println!(
        "{:<26}{:>12}{:>12}{:>12}{:>12}",
        "day of the week", "heap bytes", "booked", "timers", "sessions"
    );
    let mut days = Vec::new();
    for day in 0..DAYS {
        let mut mean = Day::default();
        for hour in 0..24 {
            week.pass(((day * 24 + hour + 1) as u64) * HOUR);
            let counters = week.driver.engine.counters();
            mean.heap += counting::bytes_in_use().saturating_sub(before) as f64 / 24.0;
            mean.booked += counters.buffered as f64 / 24.0;
            mean.timers += counters.timers as f64 / 24.0;
            mean.sessions += counters.sessions as f64 / 24.0;
        }
        let Day { heap, booked, timers, sessions } = mean;
        println!("{:<26}{heap:>12.0}{booked:>12.0}{timers:>12.0}{sessions:>12.0}", day + 1);
        days.push(mean);
    }
    // The first day begins with no guest.
    let growth = days[DAYS - 1].heap / days[1].heap;
    let counters = week.driver.engine.counters();
    println!(
        "{} visits, {} messages, {} stalls, {} closes; {:.0} s",
        week.visits,
        counters.messages_in,
        week.stalls,
        counters.closed,
        start.elapsed().as_secs_f64()
    );
    let left = week.end(before);
    let holds = |holds: bool| if holds { "PASS" } else { "MISS" };
    println!(
        "{:<50}{growth:>11.3}  {}",
        "heap of the last day, in parts of the second's",
        holds(growth <= GROWTH)
    );
    println!("{:<50}{left:>11}  {}", "heap bytes when all have gone", holds(left <= KEPT));
    growth <= GROWTH && left <= KEPT
}

impl Week {
    fn new() -> Self {
        let mut driver = Driver::new(2 * GUESTS, Duration::from_secs(10 * 60), [AWAY; 2]);
        driver.program.opened.reserve(2 * GUESTS);
        driver.blocked.reserve(2 * GUESTS);
        driver.dropped.reserve(2 * GUESTS);
        driver.pings.reserve(2 * GUESTS);
        Self {
            driver,
            guests: vec![Guest::Away; GUESTS],
            by_key: HashMap::with_capacity(2 * GUESTS),
            random: 1,
            next_id: 0,
            ids: vec![0; GUESTS],
            visits: 0,
            stalls: 0,
        }
    }

    fn below(&mut self, bound: u64) -> u64 {
        split_mix(&mut self.random) % bound
    }

    /// Time passes, and each guest acts now and then.
    fn pass(&mut self, end: u64) {
        let pong = frame(10, b"");
        while self.driver.now() < end {
            let next = self.driver.now() + 1000;
            self.driver.pass_until(next, 500, |driver| {
                while let Some(key) = driver.pings.pop() {
                    driver.receive(key, &pong);
                }
            });
            let acts = GUESTS as u64 * 1000 / ACTS;
            for _ in 0..acts {
                let number = self.below(GUESTS as u64) as usize;
                self.act(number);
            }
            self.driver.settle();
            self.forget_dropped();
        }
    }

    /// Guests whose connections the server has dropped: those that poll come back, the others are away.
    fn forget_dropped(&mut self) {
        while let Some(key) = self.driver.dropped.pop() {
            let Some(number) = self.by_key.remove(&key) else { continue };
            let guest = &mut self.guests[number];
            *guest = if let Guest::Poll(_) = guest { Guest::Poll(None) } else { Guest::Away };
        }
        self.driver.program.opened.clear();
    }

    fn act(&mut self, number: usize) {
        let dice = self.below(100);
        match self.guests[number] {
            Guest::Away => self.come(number, dice),
            Guest::WebSocket(key, _) if self.driver.blocked.contains(&key) => self.driver.unblock(key),
            Guest::WebSocket(key, session) => self.speak(key, session, dice),
            Guest::Stream(key) if dice < 20 => self.driver.hang_up(key),
            Guest::Stream(_) => self.post(number, "xhr_send"),
            Guest::Poll(_) if dice < 5 => {
                if let Guest::Poll(Some(key)) = self.guests[number] {
                    self.driver.hang_up(key);
                    self.forget_dropped();
                }
                self.guests[number] = Guest::Away;
            }
            Guest::Poll(connection) => {
                let key = match connection {
                    Some(key) => key,
                    None => self.connect(number),
                };
                self.guests[number] = Guest::Poll(Some(key));
                self.post(number, "xhr_send");
                self.driver.receive(key, post(PREFIXES[1], self.ids[number], "xhr", "").as_bytes());
            }
        }
    }

    fn connect(&mut self, number: usize) -> Key<Connection> {
        let key = self.driver.accept();
        self.by_key.insert(key, number);
        key
    }

    fn come(&mut self, number: usize, dice: u64) {
        self.visits += 1;
        self.next_id += 1;
        self.ids[number] = self.next_id;
        let key = self.connect(number);
        self.driver.program.opened.clear();
        match dice {
            0..50 => {
                self.driver.receive(key, handshake().as_bytes());
                let session = self.driver.program.opened.pop().expect("it opens");
                self.driver.engine.join(session, &format!("group {}", dice % 10)).expect("room");
                self.guests[number] = Guest::WebSocket(key, session);
            }
            50..75 => {
                let request = post(PREFIXES[0], self.next_id, "xhr_streaming", "");
                self.driver.receive(key, request.as_bytes());
                self.guests[number] = Guest::Stream(key);
            }
            _ => {
                self.driver.receive(key, post(PREFIXES[1], self.next_id, "xhr", "").as_bytes());
                self.guests[number] = Guest::Poll(Some(key));
            }
        }
    }

    /// A guest on a WebSocket talks, joins and leaves, stops reading, or goes.
    fn speak(&mut self, key: Key<Connection>, session: Key<Session>, dice: u64) {
        match dice {
            0..5 => self.driver.receive(key, &frame(8, &1000_u16.to_be_bytes())),
            5..10 => self.driver.hang_up(key),
            10..20 => {
                self.stalls += 1;
                self.driver.blocked.insert(key);
                self.driver.receive(key, &frame(1, br#"["an echo that it does not read"]"#));
            }
            20..25 => _ = self.driver.engine.join(session, &format!("visit {}", self.visits % 500)),
            25..30 => _ = self.driver.engine.leave(session, &format!("group {}", dice % 10)),
            30..40 => {
                let text = "x".repeat(1 << (4 + dice % 10));
                let _ = self.driver.engine.send(session, &text);
            }
            _ => self.driver.receive(key, &frame(1, br#"["a message of thirty letters..."]"#)),
        }
    }

    /// A request on a connection of its own.
    fn post(&mut self, number: usize, action: &str) {
        let prefix = if let Guest::Poll(_) = self.guests[number] { PREFIXES[1] } else { PREFIXES[0] };
        let sender = self.driver.accept();
        self.driver.receive(sender, post(prefix, self.ids[number], action, r#"["a message"]"#).as_bytes());
        self.driver.hang_up(sender);
    }

    /// All go. Returns how much more heap is in use than before the week.
    fn end(&mut self, before: usize) -> usize {
        for number in 0..GUESTS {
            match self.guests[number] {
                Guest::WebSocket(key, _) | Guest::Stream(key) | Guest::Poll(Some(key)) => {
                    self.driver.hang_up(key)
                }
                Guest::Away | Guest::Poll(None) => {}
            }
        }
        let end = self.driver.now() + HOUR;
        self.driver.pass_until(end, 500, |_| {});
        let counters = self.driver.engine.counters();
        let left = (counters.connections, counters.sessions, counters.timers, counters.buffered);
        assert_eq!(left, (0, 0, 0, 0));
        assert_eq!(counters.opened, counters.closed);
        counting::bytes_in_use().saturating_sub(before)
    }
}
