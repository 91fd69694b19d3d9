//! The whole server without a socket or a clock: a deterministic machine.
//!
//! In go connections, bytes, ends of streams and the time; out come bytes to send, connections to drop and the next
//! deadline. Everything between happens here, so that every race is a unit test with a made-up clock.
//!
//! The files, from the top; each calls methods of itself and of those below it, and never one above:
//!
//! | file | what happens there |
//! |---|---|
//! | `turn` | the order of one turn; what the driver hands over, and what it is told to do |
//! | `shutdown` | the end of the server, and of a session at once |
//! | `input` | bytes → one HTTP request or WebSocket message at a time; what is incomplete waits in the inbox |
//! | `routing` | request → endpoint → what is asked of it |
//! | `upgrade` | the WebSocket handshake |
//! | `dispatch` | the only caller of the application: messages, openings, closes, its timers; a share of them in each turn |
//! | `expiry` | a wait is over: a heartbeat, a ping, an end |
//! | `output` | what follows when the last byte of an outbox has left |
//! | `receivers` | what waits in a session → one frame → the framing of its transport → an outbox |
//! | `answers` | response heads, and whole answers |
//! | `sending` | messages from the application: to one session, or to all of an endpoint |
//! | `connections` | connections are taken in, kept alive behind an answer, ended, dropped |
//! | `backpressure` | whether more may be read or queued now |
//! | `registry` | endpoints and sessions are found, created, closed, forgotten |
//! | `waits` | when each wait is over, and the timers that say so |
//! | `app_timers` | the timers of the application |
//! | `endpoint`, `connection`, `session`, `chain`, `memory` | what there is, and what it holds |
//! | `clients` | how many connections each client has |
//! | `clock`, `options`, `counters` | values |
//!
//! Two rules make re-entrancy simple. What a handler calls only changes state and queues, and never calls a handler.
//! What it caused to end is told from `Engine::notify`, after each unit of input; a session's slot is freed after its
//! close was told.

mod answers;
mod app_timers;
mod application;
mod backpressure;
mod booking;
mod budget;
mod byte_queue;
mod clients;
mod clock;
mod connection;
mod connections;
mod counters;
mod dispatch;
mod endpoint;
mod expiry;
mod input;
mod options;
mod output;
mod pool;
mod receivers;
mod registry;
mod routing;
mod sending;
mod session;
mod shutdown;
#[cfg(test)]
mod tests;
mod turn;
mod upgrade;
mod waits;
mod work;

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::sync::Arc;

pub use application::{Application, Event, Message, Request, Response};
pub use clock::{ManualClock, Millis, TimeSource};
pub use connection::Connection;
pub use counters::{Counters, Refusals};
pub use options::{EndpointOptions, OptionError, ServerOptions};
pub use session::{Cause, Close, SendError, Session, SessionId};

pub use turn::{Arrival, Order};
pub use waits::sooner;

use crate::collections::{Key, List, Slab, Wheel};
use crate::http::{Date, Network};
use crate::websocket::message::Assembly;
use app_timers::AppTimer;
use budget::Budget;
use clients::Clients;
use clock::Clock;
use connection::Dirty;
use endpoint::Endpoint;
use pool::Pool;
use session::Unflushed;
use turn::Flush;
use waits::Owner;
use work::Work;

/// The machine.
pub struct Engine {
    options: ServerOptions,
    /// Of the options; requests in the hands of handlers hold it too.
    trusted: Arc<[Network]>,
    endpoints: Vec<Endpoint>,
    connections: Slab<Connection>,
    clients: Clients,
    sessions: Slab<Session>,
    timers: Wheel<Owner>,
    app_timers: Wheel<AppTimer>,
    clock: Clock,
    date: Date,
    /// Connections with bytes to send, or with something that must follow the last one.
    dirty: List<Dirty>,
    /// Sessions with something to frame.
    unflushed: List<Unflushed>,
    /// What the application has yet to hear.
    notices: VecDeque<Notice>,
    /// Sessions whose queue has drained; told in the next turn, so that one that fills it again does not hold this one.
    drained: VecDeque<Key<Session>>,
    /// Sessions that were refused room because the whole server had none; told when it has.
    waiting_for_memory: VecDeque<Key<Session>>,
    flush: Flush,
    /// Queues have grown only because nothing was flushed since, or the turn is over: other work waits for a flush.
    flush_due: bool,
    /// Connections that go on in the next turn with what they sent before.
    postponed: VecDeque<Key<Connection>>,
    /// How many of them are to go on in this turn.
    left_over: usize,
    /// Of the turn, for the connection at hand.
    work: Work,
    /// Second receivers, and the first ones whose liveness decides what they get.
    pending_receivers: VecDeque<Key<Connection>>,
    to_probe: VecDeque<Key<Connection>>,
    /// Connections to shut for sending, and to drop.
    shut: VecDeque<Key<Connection>>,
    gone: VecDeque<Key<Connection>>,
    /// Connections whose bytes are welcome again.
    resumed: VecDeque<Key<Connection>>,
    budget: Budget,
    /// No connection is known to take nothing: none can make room before the next flush.
    nothing_to_evict: bool,
    pool: Pool,
    /// For frames that a transport rewrites, and for strings decoded from payloads.
    scratch: Vec<u8>,
    decoded: String,
    /// For whichever WebSocket begins a message that does not arrive whole.
    assembly: Option<Box<Assembly>>,
    randomness: RandomState,
    draws: u64,
    counters: Counters,
    stage: Stage,
    /// The program lets no new session in.
    refuses_sessions: bool,
}

/// Whether the server takes new work.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Serving,
    Stopping,
}

/// What the application hears outside of the call that caused it.
enum Notice {
    Accepted(Option<SocketAddr>),
    Refused(Option<SocketAddr>, u16),
    Closed(Key<Session>),
}

impl Engine {
    /// A server without endpoints.
    pub fn new(options: ServerOptions, time: Box<dyn TimeSource>, unix_seconds: u64) -> Self {
        let clock = Clock::new(time);
        let now = clock.now();
        Self {
            trusted: options.trusted_proxies.as_slice().into(),
            budget: Budget::new(options.buffered_bytes),
            clients: Clients::new(options.connections_per_client),
            options,
            endpoints: Vec::new(),
            connections: Slab::new(),
            sessions: Slab::new(),
            timers: Wheel::new(now),
            app_timers: Wheel::new(now),
            clock,
            date: Date::new(unix_seconds),
            dirty: List::new(),
            unflushed: List::new(),
            notices: VecDeque::new(),
            drained: VecDeque::new(),
            waiting_for_memory: VecDeque::new(),
            flush: Flush::Idle,
            flush_due: false,
            postponed: VecDeque::new(),
            left_over: 0,
            work: Work::default(),
            pending_receivers: VecDeque::new(),
            to_probe: VecDeque::new(),
            shut: VecDeque::new(),
            gone: VecDeque::new(),
            resumed: VecDeque::new(),
            pool: Pool::default(),
            nothing_to_evict: false,
            scratch: Vec::new(),
            decoded: String::new(),
            assembly: None,
            randomness: RandomState::new(),
            draws: 0,
            counters: Counters::default(),
            stage: Stage::Serving,
            refuses_sessions: false,
        }
    }

    /// Mounts an endpoint and says which number it has; `None`: all 65,536 numbers are taken.
    ///
    /// # Errors
    /// An option that cannot work.
    pub fn mount(&mut self, prefix: &str, options: EndpointOptions) -> Result<Option<u16>, OptionError> {
        let Ok(number) = u16::try_from(self.endpoints.len()) else { return Ok(None) };
        self.endpoints.push(Endpoint::new(prefix, options)?);
        Ok(Some(number))
    }

    /// The prefix of an endpoint.
    pub fn prefix(&self, number: u16) -> &str {
        self.endpoints.get(usize::from(number)).map_or("", |endpoint| &*endpoint.prefix)
    }

    /// The prefixes in use.
    pub fn prefixes(&self) -> impl Iterator<Item = &str> {
        self.endpoints.iter().map(|endpoint| &*endpoint.prefix)
    }

    /// The server-wide options.
    pub fn options(&self) -> &ServerOptions {
        &self.options
    }

    /// Reads the clock, and says what time it is. Everything that follows happens at this time.
    pub fn read_clock(&mut self) -> Millis {
        self.clock.read()
    }

    /// Tells the calendar's time, in seconds since 1970, for the `Date` of answers.
    pub fn set_date(&mut self, unix_seconds: u64) {
        self.date.update(unix_seconds);
    }

    /// The time of the last [`Engine::read_clock`].
    pub fn now(&self) -> Millis {
        self.clock.now()
    }

    /// 32 bits that nobody can foresee, from the standard library's randomly keyed hasher.
    fn entropy(&mut self) -> u32 {
        self.draws += 1;
        self.randomness.hash_one(self.draws) as u32
    }
}
