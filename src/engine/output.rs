//! Outboxes → the reactor; and what follows when the last byte has left.

use std::io::IoSlice;

use super::connection::{Connection, Flow, Phase, Ping};
use super::session::Awaited;
use super::{Application, Engine, Millis, Stage};
use crate::collections::Key;

/// Bytes of which it matters when exactly they were written.
const READ_SLOWLY: usize = 16 << 10;

/// Slices of one write. More wait for the next.
const SLICES: usize = 64;

impl Engine {
    pub(super) fn mark_dirty(&mut self, key: Key<Connection>) {
        self.dirty.push_back(&mut self.connections, key);
    }

    /// Everything that waits goes into frames, and everything that followed is told.
    pub(super) fn settle(&mut self, application: &mut dyn Application) {
        (self.flush_due, self.queued) = (false, 0);
        self.settle_contenders();
        loop {
            while let Some(key) = self.unflushed.pop_front(&mut self.sessions) {
                self.flush_session(key);
            }
            self.tell(application);
            if self.unflushed.is_empty() {
                break;
            }
        }
        self.settle_starved();
    }

    /// Whether nothing is left to be framed, told or sent in this turn.
    pub(super) fn is_settled(&self) -> bool {
        let is_sent = self.dirty.is_empty() && self.unflushed.is_empty();
        let is_told = self.notices.is_empty() && !self.has_room_for_starved();
        is_sent && is_told && self.contenders.is_empty() && self.to_probe.is_empty() && self.gone.is_empty()
    }

    /// What waits for a connection's client, for one write: calls `write` with the slices, if there are any.
    pub fn outgoing<R>(&self, key: Key<Connection>, write: impl FnOnce(&[IoSlice<'_>]) -> R) -> Option<R> {
        let outbox = &self.connections.get(key)?.outbox;
        if let Some(bytes) = outbox.as_slice() {
            return (!bytes.is_empty()).then(|| write(&[IoSlice::new(bytes)]));
        }
        let mut slices = [IoSlice::new(&[]); SLICES];
        let mut count = 0;
        for (slice, bytes) in slices.iter_mut().zip(outbox.slices()) {
            *slice = IoSlice::new(bytes);
            count += 1;
        }
        slices.get(..count).filter(|slices| !slices.is_empty()).map(write)
    }

    /// The socket takes bytes again.
    pub fn writable(&mut self, key: Key<Connection>) {
        if self.connections.get(key).is_some_and(|connection| !connection.outbox.is_empty()) {
            self.mark_dirty(key);
        }
    }

    /// So many bytes have left. If the socket took less than there was, it is `blocked` until it says otherwise.
    pub fn sent(&mut self, key: Key<Connection>, count: usize, blocked: bool) {
        self.note_sent(key, count, blocked);
        self.resume_reading(key);
    }

    fn note_sent(&mut self, key: Key<Connection>, count: usize, blocked: bool) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        self.counters.bytes_out += count as u64;
        connection.outbox.advance(count, &mut self.memory);
        // A few bytes take no time that matters.
        let now = if count < READ_SLOWLY { self.clock.now() } else { self.clock.read() };
        connection.note_written(count, now, self.options.slowest_client);
        if connection.outbox.is_empty() {
            return self.after_last_byte(key);
        }
        if !blocked {
            self.mark_dirty(key);
            return;
        }
        connection.outbox.shrink(&mut self.memory);
        if !matches!(connection.flow, Flow::Stalled(_) if count == 0) {
            let now = self.clock.read();
            connection.flow = Flow::Stalled(client_can_answer(connection, now, self.stage));
            self.arm_connection(key);
            self.await_reader(key);
        }
    }

    /// The end of a response waits in the outbox, and its client takes nothing now: the session waits for as long as a
    /// client needs that reads at the slowest rate, from the last byte that it took. (A stall may last longer, but how much
    /// of a response is in whose buffers must not matter to the session.)
    pub(super) fn await_reader(&mut self, key: Key<Connection>) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        if let (Phase::Ending { session: Some(session), .. }, Flow::Stalled(_)) =
            (&connection.phase, connection.flow)
        {
            let session = *session;
            connection.since = connection.all_read_by(self.clock.read(), self.options.slowest_client);
            self.arm_session(session);
        }
    }

    fn after_last_byte(&mut self, key: Key<Connection>) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let was_stalled = connection.flow != Flow::Open;
        connection.flow = Flow::Open;
        let waits_for_this = match &connection.phase {
            Phase::WebSocket(socket) => socket.rest.is_some() || !connection.inbox.is_empty(),
            Phase::Idle { .. } | Phase::Head(_) | Phase::Body(_) | Phase::Farewell(_) => {
                !connection.inbox.is_empty()
            }
            Phase::Ending { .. } => connection.hung_up,
            _ => false,
        };
        if waits_for_this {
            self.postpone(key);
        }
        let Some(connection) = self.connections.get_mut(key) else { return };
        match &mut connection.phase {
            Phase::Finishing { peer_done: true } => self.drop_connection(key),
            Phase::Finishing { peer_done: false } => {
                connection.phase = Phase::Lingering;
                self.shut.push_back(key);
                self.begin_wait(key);
            }
            Phase::Idle { first: false } | Phase::Farewell(_) => self.begin_wait(key),
            Phase::Ending { session, keep_alive } => {
                let (session, keep_alive) = (*session, *keep_alive);
                let next_poll = client_can_answer(connection, self.clock.read(), self.stage);
                self.finish_response(key, keep_alive);
                self.begin_wait(key);
                if let Some(session) = session {
                    self.detach(session, key, next_poll);
                    self.settle_drain(session);
                }
            }
            Phase::WebSocket(socket) => {
                let session = socket.session;
                // The pong may have waited until the client had read what was before it.
                if socket.ping == Ping::Queued || (socket.ping == Ping::Sent && was_stalled) {
                    socket.ping = Ping::Sent;
                    connection.since = client_can_answer(connection, self.clock.read(), self.stage);
                    self.arm_session(session);
                }
                self.go_on_with(session);
            }
            Phase::Polling(_) | Phase::Streaming(_) => {
                if let Some(session) = connection.session() {
                    self.go_on_with(session);
                }
            }
            Phase::Proxied
            | Phase::Idle { first: true }
            | Phase::Head(_)
            | Phase::Body(_)
            | Phase::Delivering(_)
            | Phase::Lingering
            | Phase::Gone => {}
        }
    }

    /// The client's turn begins: everything of ours has left.
    fn begin_wait(&mut self, key: Key<Connection>) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        connection.since = client_can_answer(connection, self.clock.read(), self.stage);
        self.arm_connection(key);
    }

    /// A session's receiver takes more.
    fn go_on_with(&mut self, key: Key<super::Session>) {
        let Some(session) = self.sessions.get(key) else { return };
        if !session.queue.is_empty() || !session.is_open() {
            self.unflushed.push_back(&mut self.sessions, key);
        } else if session.awaited == Awaited::Drain {
            self.settle_drain(key);
        }
    }
}

/// From when on the client can be waited for: it must first read what is on its way to it. A server that stops does not wait
/// so long.
fn client_can_answer(connection: &Connection, now: Millis, stage: Stage) -> Millis {
    match stage {
        Stage::Serving => connection.read_by(now),
        Stage::Stopping => now,
    }
}
