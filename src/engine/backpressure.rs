//! Whether a session may get one message more, and whether more bytes of a connection are read: not while its client
//! does not read, and not while the whole server has no room.

use crate::websocket::message::INCOMPLETE;

use super::Engine;
use super::budget::Purpose;
use super::connection::Connection;
use super::reading::Reading;
use super::session::{SendError, Session};
use super::work::Flush;
use super::writing::Writing;
use crate::collections::Key;
use crate::sockjs::{Transport, simple_wrapping};

/// Pipelined bytes that are kept while a response is under way; beyond it reading pauses.
pub(super) const READ_AHEAD: usize = 16 << 10;

/// Bytes that may wait for a client before what it sends is left unread: its own answers, echoes and pongs.
pub(super) const HIGH_WATER: usize = 64 << 10;

/// What a message costs beside its text. Escapes are not foreseen, so the last message that is taken may go beyond the
/// limit by them.
pub(super) const QUOTES_AND_COMMA: usize = 3;

/// As much as this waits in a queue that is empty as its user sees it: the head of an answer, a prelude, a frame.
pub(super) const SLIGHT: usize = 4096;

/// The same on a raw WebSocket, where what the user sent waits there too.
pub(super) const SLIGHT_RAW: usize = 512;

/// What a session can take.
pub(super) struct Room {
    /// The connection that takes the message as it is: a raw WebSocket's.
    pub(super) raw: Option<Key<Connection>>,
    /// Bytes that the message takes.
    pub(super) wanted: usize,
    /// Nothing, or next to nothing, waits for the session's client: there is nothing of its own to drain.
    pub(super) is_empty: bool,
    /// `send` must not take the message.
    pub(super) is_full: bool,
    /// A message to many is taken even beyond the limit: the client reads, as far as is known, and its messages wait
    /// for nothing but the end of this turn.
    pub(super) may_exceed_limit: bool,
}

/// How much larger a transport can make a JSON string that it rewrites, with the buffer that grows meanwhile.
pub(super) const REWRITTEN: usize = 3;

/// Bytes that may wait for a client that reads before they should be flushed, where half of
/// its queue's limit is not less.
pub(super) const PRESSING: usize = 64 << 10;

impl Engine {
    /// Whether a flush goes before all other work: queues of clients that read have grown only for
    /// want of one, or the turn is over.
    pub(super) fn is_flush_due(&self) -> bool {
        self.turn.flush_requested || self.memory.budget.has_grown()
    }

    /// The same for work that goes on between the parts of a flush: of that a little does not wait for the next one, if
    /// that is due for want of memory alone, of which there is enough until then.
    pub(super) fn must_flush_first(&self) -> bool {
        match self.turn.flush {
            Flush::Writing if !self.turn.work.has_done_a_part() => self.turn.flush_requested,
            Flush::Writing | Flush::Idle | Flush::Probing => self.is_flush_due(),
        }
    }

    /// Input of a connection was dealt with, or kept. What it and others brought about leaves before much more is dealt
    /// with: a short answer must not wait for long messages of many other clients.
    pub(super) fn flush_if_worth_while(&mut self) {
        let writes = self.queues.unsent.len() + self.queues.unflushed.len();
        self.turn.flush_requested |= self.turn.work.is_flush_worth_while(writes);
    }

    /// Whether so many bytes more may be stored for this purpose.
    pub(super) fn admits(&self, purpose: Purpose, bytes: usize) -> bool {
        self.memory.budget.admit(purpose, bytes)
    }

    /// What a session can take, of a message of this length that adds so many bytes to what is held. Where a transport
    /// rewrites it, it is there twice for a moment, and larger. Requests a flush where much waits for a client that
    /// reads.
    pub(super) fn room(&mut self, key: Key<Session>, framed: usize, added: usize) -> Result<Room, SendError> {
        let session = self.sessions.get(key).filter(|session| session.is_open()).ok_or(SendError::Gone)?;
        let endpoint = self.endpoints.of(session.endpoint).ok_or(SendError::Gone)?;
        let connection = session.receiver.and_then(|receiver| self.connections.get(receiver));
        let unsent = connection.map_or(0, |connection| connection.outbox.len());
        let waiting = session.queue.len() + unsent;
        let is_raw = session.transport == Transport::RawWebSocket;
        if is_raw && connection.is_none() {
            // Its messages are frames of the connection, and it closes with that.
            return Err(SendError::Gone);
        }
        let wanted = match simple_wrapping(session.transport) {
            Some(_) => added,
            None => added.saturating_add(framed.saturating_mul(REWRITTEN)),
        };
        let limit = endpoint.options.send_queue;
        let reads = connection.is_some_and(|connection| connection.pace.takes_bytes());
        let slight = match is_raw {
            true if limit < SLIGHT => 0,
            true => SLIGHT_RAW,
            false => SLIGHT,
        };
        let is_empty = waiting == 0 || (reads && session.queue.is_empty() && unsent <= slight);
        let is_over = !self.admits(Purpose::Prompt, wanted);
        self.turn.flush_requested |= reads && (waiting >= PRESSING || waiting + framed > limit / 2);
        // Bytes that wait for the rest of a flush alone take no room of the next message.
        let is_leaving = reads && waiting <= limit / 2 && self.turn.flush == Flush::Writing;
        Ok(Room {
            raw: session.receiver.filter(|_| is_raw),
            wanted,
            is_empty,
            is_full: (!is_empty && !is_leaving && waiting + framed > limit)
                || (waiting > 0 && !self.admits(Purpose::Queued, wanted))
                || is_over,
            may_exceed_limit: reads && !is_over,
        })
    }

    /// Bytes that wait for a session's client: messages, and what frames them.
    pub fn queued(&self, key: Key<Session>) -> usize {
        let Some(session) = self.sessions.get(key) else { return 0 };
        let receiver = session.receiver.and_then(|receiver| self.connections.get(receiver));
        session.queue.len() + receiver.map_or(0, |receiver| receiver.outbox.len())
    }

    /// Whether so much waits for a client to read that what it sends must wait.
    pub(super) fn has_output_waiting(&self, connection: &Connection) -> bool {
        let mut waiting = connection.outbox.len();
        if let Some(socket) = connection.websocket() {
            waiting += self.sessions.get(socket.session).map_or(0, |session| session.queue.len());
        }
        waiting >= HIGH_WATER || (waiting > 0 && !self.admits(Purpose::Queued, 0))
    }

    /// Whether what a connection sent must wait for its next turn, or for its client to read.
    pub(super) fn is_backed_up(&self, connection: &Connection) -> bool {
        connection.has_rest() || self.has_output_waiting(connection)
    }

    /// Whether more bytes are welcome: see [`Engine::ask_to_read`].
    pub fn is_reading(&self, key: Key<Connection>) -> bool {
        let Some(connection) = self.connections.get(key) else { return false };
        match connection.writing() {
            Writing::Poll(_) | Writing::Stream(_) | Writing::Last { .. } => {
                connection.inbox.len() < READ_AHEAD
            }
            Writing::Deferred { .. } | Writing::Download(_) => connection.inbox.len() < READ_AHEAD,
            Writing::Closing | Writing::Shut => true,
            Writing::Owed(_) | Writing::Abandoned | Writing::Gone => false,
            Writing::Idle | Writing::Frames(_) => {
                let may_add = !connection.is_postponed && !has_units_waiting(connection);
                may_add && !self.is_backed_up(connection)
            }
        }
    }
}

/// Whether a connection's inbox holds more than one incomplete unit: whole units are dealt with when the outbox has
/// left, and until then nothing is added to them.
pub(super) fn has_units_waiting(connection: &Connection) -> bool {
    match connection.reading() {
        Reading::First | Reading::Next => !connection.inbox.is_empty(),
        Reading::Frames { .. } => connection.inbox.len() > INCOMPLETE,
        Reading::Proxied | Reading::Head(_) | Reading::Body(_) | Reading::Discarded(_) => false,
        Reading::Delivering { .. } | Reading::Ignored => false,
    }
}
