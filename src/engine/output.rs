//! Bytes have left: how a client reads, and what follows when the last byte of an outbox has left.

use super::waits::client_can_answer;

use super::Engine;
use super::connection::{Connection, Following};
use super::pace::{Flow, Stamp};
use super::session::Awaited;
use super::turn::Order;
use crate::collections::Key;

/// From so many bytes on it matters when exactly they were written.
const READ_SLOWLY: usize = 16 << 10;

impl Engine {
    pub(super) fn note_sent(&mut self, key: Key<Connection>, count: usize, blocked: bool) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        self.counters.bytes_out += count as u64;
        connection.outbox.advance(count, &mut self.memory.pool);
        // The clock costs more than a few bytes can matter.
        let now = if count < READ_SLOWLY { self.time.now() } else { self.time.read() };
        connection.pace.note_written(count, now, self.options.slowest_client);
        if connection.outbox.is_empty() {
            return self.after_last_byte(key);
        }
        if !blocked {
            self.send_later(key);
            return;
        }
        connection.outbox.shrink();
        if count > 0 || connection.pace.is_open() {
            let now = self.time.read();
            connection.pace.flow = Flow::Stalled(Stamp::new(client_can_answer(connection, now, self.stage)));
            self.arm_connection(key);
            self.await_reader(key);
        }
    }

    fn after_last_byte(&mut self, key: Key<Connection>) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let was_stalled = !connection.pace.is_open();
        connection.pace.flow = Flow::Open;
        if connection.has_input_behind_output() {
            self.postpone(key);
        }
        let Some(connection) = self.connections.get_mut(key) else { return };
        match connection.last_byte_left() {
            Following::Nothing => {}
            Following::Drop => self.drop_connection(key),
            Following::Shut => {
                self.queues.orders.push_back(Order::Shut(key));
                self.begin_wait(key);
            }
            Following::ClientsTurn => self.begin_wait(key),
            Following::Response { session, keep_alive } => {
                let next_poll = client_can_answer(connection, self.time.read(), self.stage);
                self.finish_response(key, keep_alive);
                self.begin_wait(key);
                if let Some(session) = session {
                    self.detach(session, key, next_poll);
                    self.settle_drain(session);
                }
            }
            Following::Receiver(session) => {
                if connection.ping_left(was_stalled) {
                    connection.since = client_can_answer(connection, self.time.read(), self.stage);
                    self.arm_session(session);
                }
                self.go_on_with(session);
            }
        }
    }

    /// A session's receiver takes more.
    fn go_on_with(&mut self, key: Key<super::Session>) {
        let Some(session) = self.sessions.get(key) else { return };
        if !session.queue.is_empty() || !session.is_open() {
            self.queues.unflushed.push_back(&mut self.sessions, key);
        } else if session.awaited == Awaited::Drain {
            self.settle_drain(key);
        }
    }
}
