//! The whole server without a socket or a clock: a deterministic machine.
//!
//! In go connections, bytes, ends of streams and the time; out come bytes to send, connections to drop and the next
//! deadline. Everything between happens here, so that every race is a unit test with a made-up clock.
//!
//! # A turn
//!
//! 1. [`Engine::begin_turn`]: the application hears of events that the last turn left over.
//! 2. [`Engine::go_on`]: input that was put off in the last turn goes on, one connection after the other.
//! 3. [`Engine::accept`], [`Engine::receive`], [`Engine::writable`]: connections and bytes arrive. Each unit of input
//!    (a request, a frame) is dealt with whole; what the handlers send is queued.
//! 4. [`Engine::advance`]: waits that are over end.
//! 5. [`Engine::next_order`]: the flush. Queues become frames, frames become writes, and [`Engine::sent`] says what
//!    left. A flush of many writes goes on in the next turns, in parts, with arrivals between.
//!
//! # The files
//!
//! From the top; each file calls methods of itself and of those below it, and never one above (a test sees to it):
//!
//! | file | content |
//! |---|---|
//! | `turn` | the order of one turn: the calls of the driver, and the orders for it |
//! | `shutdown` | the end of the server, and of a session at once |
//! | `input` | bytes → one HTTP request or WebSocket frame at a time; incomplete units wait in the inbox |
//! | `routing` | request → endpoint → what is asked of it |
//! | `upgrade` | the WebSocket handshake |
//! | `dispatch` | the calls to a session's handler: messages, openings, closes, timers, each within the turn's budget |
//! | `expiry` | a wait is over: a heartbeat, a ping, an end |
//! | `receivers` | the messages of a session → one frame → the receiver's outbox; which receiver a session keeps |
//! | `pages` | answers of the program's own, now or later, and bodies that are read piece by piece |
//! | `answers` | response heads, and whole answers |
//! | `sending` | messages from the application: to one session, to some, to a group, or to all of an endpoint |
//! | `output` | outboxes → the driver, and what follows the last byte |
//! | `connections` | connections are taken in, ended, dropped |
//! | `backpressure` | whether a message may be queued, and more input read |
//! | `membership`, `groups` | sessions join groups and leave them; the groups of an endpoint |
//! | `eviction` | sessions make room for others where an endpoint is full |
//! | `registry` | endpoints and sessions are found, created, closed, forgotten |
//! | `waits` | when each wait is over, and the timers for them |
//! | `app_timers` | the timers of the application |
//! | `memory`, `queues`, `counters` | the account of memory with the spare buffers; postponed work; figures |
//! | `reply`, `application`, `admission`, `endpoint` | answers now or later; the interface of the handlers; refusals; one mounted service |
//! | `connection`, `reading`, `writing` | a connection: its two halves, and the rules that couple them; in `connection/websocket` its pings |
//! | `session` | a session |
//! | `inflow`, `pace`, `body`, `outgoing`, `byte_queue`, `in_layer` | their parts: whether more input follows, how the client reads, bodies, messages on their way out, queued bytes, a layer below |
//! | `clients` | how many connections each client has, and which addresses are trusted proxies |
//! | `pool`, `budget`, `options`, `work`, `time`, `entropy` | values: spare buffers, limits of memory, options, the budget of a turn, the clock, random numbers |
//!
//! # Re-entrancy
//!
//! Two rules make it simple. A call from a handler only changes state and queues, and never calls a handler.
//! Closes that such a call causes are told from `Engine::notify`, behind each unit of input; the slot of a
//! session is freed behind its close.

mod admission;
mod answers;
mod app_timers;
mod application;
mod backpressure;
mod body;
mod budget;
mod byte_queue;
mod clients;
mod connection;
mod connections;
mod counters;
mod dispatch;
mod endpoint;
mod entropy;
mod eviction;
mod expiry;
mod groups;
mod in_layer;
mod inflow;
mod input;
mod membership;
mod memory;
mod options;
mod outgoing;
mod output;
mod pace;
mod pages;
mod pool;
mod queues;
mod reading;
mod receivers;
mod registry;
mod reply;
mod routing;
mod sending;
mod session;
mod shutdown;
#[cfg(test)]
mod tests;
mod time;
mod turn;
mod upgrade;
mod waits;
mod work;
mod writing;

pub use admission::Refusal;
pub use application::{Application, Event, Message, Request, Response};
pub use body::Body;
pub use connection::Connection;
pub use counters::{Counters, Refusals};
pub use endpoint::EndpointNumber;
pub use entropy::split_mix;
pub use groups::JoinError;
pub use options::{EndpointOptions, OptionError, Overflow, ServerOptions};
pub use outgoing::Outgoing;
pub use reply::{AnswerError, Reply, Ticket};
pub use session::{Cause, Close, SendError, Session, SessionId};
pub use time::{ManualClock, Millis, TimeSource};

pub use turn::{Arrival, Order};
pub use waits::sooner;

use crate::collections::Slab;
use clients::Clients;
use endpoint::{Endpoint, Endpoints};
use entropy::Entropy;
use memory::Memory;
use queues::Queues;
use time::Time;
use work::Turn;

/// The machine.
pub struct Engine {
    options: ServerOptions,
    stage: Stage,
    time: Time,
    endpoints: Endpoints,
    sessions: Slab<Session>,
    connections: Slab<Connection>,
    clients: Clients,
    queues: Queues,
    turn: Turn,
    memory: Memory,
    counters: Counters,
    entropy: Entropy,
}

/// Whether the server takes new work.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Serving,
    /// Sessions that are there go on; new ones are refused.
    Draining,
    Stopping,
}

impl Engine {
    /// A server without endpoints.
    pub fn new(options: ServerOptions, time: Box<dyn TimeSource>, unix_seconds: u64) -> Self {
        Self {
            stage: Stage::Serving,
            time: Time::new(time, unix_seconds),
            endpoints: Endpoints::default(),
            sessions: Slab::new(),
            connections: Slab::new(),
            clients: Clients::new(&options),
            queues: Queues::default(),
            turn: Turn::default(),
            memory: Memory::new(options.buffered_bytes),
            counters: Counters::default(),
            entropy: Entropy::default(),
            options,
        }
    }

    /// Takes the random numbers of answers from a seed, so that they are the same each time.
    pub fn seed(&mut self, seed: u64) {
        self.entropy = Entropy::Seeded(seed);
    }

    /// Mounts an endpoint and says which number it has; `None`: all 65,536 numbers are taken.
    ///
    /// # Errors
    /// An option that cannot work.
    pub fn mount(
        &mut self,
        prefix: &str,
        options: EndpointOptions,
    ) -> Result<Option<EndpointNumber>, OptionError> {
        Ok(self.endpoints.add(Endpoint::new(prefix, options)?))
    }

    /// The prefix of an endpoint.
    pub fn prefix(&self, number: EndpointNumber) -> &str {
        self.endpoints.of(number).map_or("", |endpoint| &*endpoint.prefix)
    }

    /// The prefixes in use.
    pub fn prefixes(&self) -> impl Iterator<Item = &str> {
        self.endpoints.each().map(|endpoint| &*endpoint.prefix)
    }

    /// The server-wide options.
    pub fn options(&self) -> &ServerOptions {
        &self.options
    }

    /// Reads the clock, and says what time it is. Everything that follows happens at this time.
    pub fn read_clock(&mut self) -> Millis {
        self.time.read()
    }

    /// Tells the calendar's time, in seconds since 1970, for the `Date` of answers.
    pub fn set_date(&mut self, unix_seconds: u64) {
        self.time.date.update(unix_seconds);
    }

    /// The time of the last [`Engine::read_clock`].
    pub fn now(&self) -> Millis {
        self.time.now()
    }
}
