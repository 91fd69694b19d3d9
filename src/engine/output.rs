//! Outboxes → the reactor; and what follows when the last byte has left.

use super::waits::client_can_answer;

use super::Engine;
use super::connection::{Connection, Flow, Phase, Ping, Stamp};
use super::session::Awaited;
use crate::collections::Key;

/// Bytes of which it matters when exactly they were written.
const READ_SLOWLY: usize = 16 << 10;

impl Engine {
    pub(super) fn note_sent(&mut self, key: Key<Connection>, count: usize, blocked: bool) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        self.counters.bytes_out += count as u64;
        connection.outbox.advance(count, &mut self.pool);
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
        connection.outbox.shrink();
        if !matches!(connection.flow, Flow::Stalled(_) if count == 0) {
            let now = self.clock.read();
            connection.flow = Flow::Stalled(Stamp::new(client_can_answer(connection, now, self.stage)));
            self.arm_connection(key);
            self.await_reader(key);
        }
    }

    fn after_last_byte(&mut self, key: Key<Connection>) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let was_stalled = connection.flow != Flow::Open;
        connection.flow = Flow::Open;
        let waits_for_this = match &connection.phase {
            Phase::WebSocket(socket) => socket.rest.is_some() || !connection.inbox.is_empty(),
            Phase::Idle { .. } | Phase::Head(_) | Phase::Body(_) | Phase::AwaitingClose(_) => {
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
            Phase::Idle { first: false } | Phase::AwaitingClose(_) => self.begin_wait(key),
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
                let is_ping_out = socket.ping == Ping::Queued;
                // The pong may have waited until the client had read what was before it.
                if socket.ping == Ping::Queued || (socket.ping == Ping::Sent && was_stalled) {
                    socket.ping = Ping::Sent;
                    connection.since = client_can_answer(connection, self.clock.read(), self.stage);
                    self.arm_session(session);
                }
                if let (true, Some(session)) = (is_ping_out, self.sessions.get_mut(session)) {
                    session.round_trip.note_ping_sent(self.clock.now());
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
