//! One session: its state, what waits for its client, and the words with which it ends.

use std::fmt;
use std::sync::Arc;

use super::Millis;
use super::byte_queue::ByteQueue;
use super::connection::Connection;
use crate::collections::{Hashed, Key, Link, Linked, Timer};
use crate::sockjs::Transport;

/// The state of one session.
pub struct Session {
    pub(super) endpoint: u16,
    pub(super) transport: Transport,
    pub(super) state: State,
    /// The client's secret name for it; WebSocket sessions have none, for nobody can look them up.
    pub(super) id: Option<Box<str>>,
    /// The connection that carries frames to the client now.
    pub(super) receiver: Option<Key<Connection>>,
    /// Messages for the client, as comma-joined JSON strings.
    pub(super) queue: ByteQueue,
    /// With a receiver: when something was sent last. Without: when the last receiver left.
    pub(super) since: Millis,
    pub(super) timer: Timer,
    /// The application's own timer.
    pub(super) alarm: Timer,
    pub(super) awaited: Awaited,
    /// Where the application keeps its own state of this session.
    pub(super) slot: u32,
    pub(super) chain: u32,
    pub(super) roster: Link,
    pub(super) unflushed: Link,
    /// What is booked for it.
    pub(super) booked: u32,
}

/// The open sessions of an endpoint.
pub(super) struct Roster;

impl Linked<Roster> for Session {
    fn link(&self) -> &Link {
        &self.roster
    }
    fn link_mut(&mut self) -> &mut Link {
        &mut self.roster
    }
}

/// The sessions with something to put into frames at the end of the turn.
pub(super) struct Unflushed;

impl Linked<Unflushed> for Session {
    fn link(&self) -> &Link {
        &self.unflushed
    }
    fn link_mut(&mut self) -> &mut Link {
        &mut self.unflushed
    }
}

impl Hashed for Session {
    fn hash_key(&self) -> &[u8] {
        self.id.as_deref().unwrap_or_default().as_bytes()
    }
    fn chain(&self) -> u32 {
        self.chain
    }
    fn set_chain(&mut self, next: u32) {
        self.chain = next;
    }
}

/// What whoever was told `Full` is to be told of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Awaited {
    Nothing,
    /// Everything that waits for the client has left.
    Drain,
    /// The whole server has room for so many bytes.
    Room(u32),
}

/// The life of a session has one turning point.
pub(super) enum State {
    /// The application may send, and hears messages. So many messages were skipped for it since `on_drain` was told last:
    /// while there are any, all are.
    Open { skipped: u64 },
    /// Over. What waits goes out, then the close frame.
    Closed {
        close: Arc<Close>,
        /// The application was told.
        told: bool,
        /// Later receivers still find it, and get the close frame, until `disconnect_delay` passed without one.
        lingers: bool,
    },
}

impl Session {
    pub(super) fn new(endpoint: u16, transport: Transport, id: Option<&str>, now: Millis) -> Self {
        Self {
            endpoint,
            transport,
            state: State::Open { skipped: 0 },
            id: id.map(Box::from),
            receiver: None,
            queue: ByteQueue::default(),
            since: now,
            timer: Timer::default(),
            alarm: Timer::default(),
            awaited: Awaited::Nothing,
            slot: u32::MAX,
            chain: u32::MAX,
            roster: Link::default(),
            unflushed: Link::default(),
            booked: 0,
        }
    }

    /// What it holds: see `budget`.
    pub(super) fn footprint(&self) -> u32 {
        u32::try_from(self.queue.footprint()).unwrap_or(u32::MAX)
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(self.state, State::Open { .. })
    }
}

/// The server's own name of a session: never the client's, which is a secret, and not used
/// again within 2³² sessions.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionId(pub(crate) Key<Session>);

impl fmt::Debug for SessionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SessionId({self})")
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.0.index(), self.0.generation())
    }
}

/// How a session ended, as `on_close` hears it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Close {
    /// The code that went to the client, or came from it (RFC 6455 §7.4; 1006 where nothing could be said).
    pub code: u16,
    /// The reason beside the code.
    pub reason: String,
    /// Who or what ended it.
    pub cause: Cause,
    /// Messages that were skipped for it and of which [`Handler::on_drain`](crate::Handler::on_drain) did not tell: see
    /// [`Overflow::Skip`](crate::Overflow::Skip).
    pub skipped: u64,
}

/// Who or what ended a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// The application called `close`.
    Application,
    /// The client sent a WebSocket close frame.
    Client,
    /// The receiver broke off: reset, or end of stream before its response ended.
    Interrupted,
    /// No receiver came for `disconnect_delay`.
    Expired,
    /// A ping had no answer for `pong_timeout`, or nothing could be written for `write_stall`.
    Unresponsive,
    /// The client broke the protocol: a bad frame, bad JSON, a message too large.
    Protocol,
    /// A message to many, or from a [`Handle`](crate::Handle), found the send queue full; see
    /// [`Overflow::Close`](crate::Overflow::Close).
    Overflow,
    /// The server shuts down.
    Shutdown,
    /// The handler panicked.
    Panic,
}

impl fmt::Display for Close {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {:?} ({:?})", self.code, self.reason, self.cause)
    }
}

impl Close {
    pub(super) fn new(code: u16, reason: &str, cause: Cause) -> Self {
        Self { code, reason: reason.to_owned(), cause, skipped: 0 }
    }
}

/// Why `send` did not take a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendError {
    /// There is no such session, or it is closed.
    Gone,
    /// The client does not read, and its queue is full; `on_drain` tells when it has emptied.
    Full,
    /// Binary messages exist on raw WebSocket alone: SockJS carries text.
    NotBinary,
}

impl fmt::Display for SendError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            SendError::Gone => "the session is closed",
            SendError::Full => "the session's send queue is full",
            SendError::NotBinary => "only a raw WebSocket carries binary messages",
        })
    }
}

impl std::error::Error for SendError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_small() {
        assert!(size_of::<Session>() <= 176, "{}", size_of::<Session>());
    }
}
