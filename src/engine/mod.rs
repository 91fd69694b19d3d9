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
//! | `shutdown` | the end of the server |
//! | `input` | bytes → one HTTP request or WebSocket message at a time; what is incomplete waits in the inbox |
//! | `routing` | request → endpoint → what is asked of it |
//! | `upgrade` | the WebSocket handshake |
//! | `dispatch` | the only caller of the application: messages, openings, closes, its timers; a share of them in each turn |
//! | `expiry` | a wait is over: a heartbeat, a ping, an end |
//! | `output` | what follows when the last byte of an outbox has left |
//! | `receivers` | what waits in a session → one frame → the framing of its transport → an outbox |
//! | `answers` | response heads, and whole answers |
//! | `sending` | messages from the application: to one session, to some, to a group, or to all of an endpoint |
//! | `connections` | connections are taken in, kept alive behind an answer, ended, dropped |
//! | `backpressure` | whether more may be read or queued now |
//! | `membership` | sessions join groups and leave them |
//! | `registry` | endpoints and sessions are found, created, closed, forgotten |
//! | `waits` | when each wait is over, and the timers that say so |
//! | `endpoint`, `groups`, `connection`, `session`, `chain`, `memory` | what there is, and what it holds |
//! | `clock`, `options`, `counters` | values |
//!
//! Two rules make re-entrancy simple. What a handler calls only changes state and queues, and never calls a handler.
//! What it caused to end is told from `Engine::notify`, after each unit of input; a session's slot is freed after its
//! close was told.

mod answers;
mod application;
mod backpressure;
mod budget;
mod byte_queue;
mod connection;
mod connections;
mod counters;
mod dispatch;
mod endpoint;
mod expiry;
mod groups;
mod input;
mod membership;
mod memory;
mod options;
mod output;
mod pool;
mod queues;
mod receivers;
mod registry;
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

use std::sync::Arc;

pub use application::{Application, Event, Message, Request, Response};
pub use connection::Connection;
pub use counters::{Counters, Refusals};
pub use groups::JoinError;
pub use options::{EndpointOptions, OptionError, Overflow, ServerOptions};
pub use session::{Cause, Close, SendError, Session, SessionId};
pub use time::{ManualClock, Millis, TimeSource};

pub use turn::{Arrival, Order};
pub use waits::sooner;

use crate::collections::Slab;
use crate::http::Network;
use endpoint::Endpoint;
use memory::Memory;
use pool::Buffers;
use queues::Queues;
use time::Time;
use work::Turn;

/// The machine.
pub struct Engine {
    options: ServerOptions,
    /// Of the options; requests in the hands of handlers hold it too.
    trusted: Arc<[Network]>,
    stage: Stage,
    time: Time,
    endpoints: Vec<Endpoint>,
    sessions: Slab<Session>,
    connections: Slab<Connection>,
    queues: Queues,
    turn: Turn,
    memory: Memory,
    buffers: Buffers,
    counters: Counters,
}

/// Whether the server takes new work.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Serving,
    Stopping,
}

impl Engine {
    /// A server without endpoints.
    pub fn new(options: ServerOptions, time: Box<dyn TimeSource>, unix_seconds: u64) -> Self {
        Self {
            trusted: options.trusted_proxies.as_slice().into(),
            stage: Stage::Serving,
            time: Time::new(time, unix_seconds),
            endpoints: Vec::new(),
            sessions: Slab::new(),
            connections: Slab::new(),
            queues: Queues::default(),
            turn: Turn::default(),
            memory: Memory::new(options.buffered_bytes),
            buffers: Buffers::default(),
            counters: Counters::default(),
            options,
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
