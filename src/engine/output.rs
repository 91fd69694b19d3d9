//! Bytes have left: how a client reads, and what follows when the last byte of an outbox has left.

use std::io::IoSlice;

use super::connection::{Connection, Following};
use super::pace::{Flow, Stamp};
use super::session::{Awaited, Session};
use super::turn::Order;
use super::waits::client_can_answer;
use super::writing::{Ping, Writing};
use super::{Engine, Millis};
use crate::collections::Key;

/// From so many bytes on a write is worth a reading of the clock.
const WORTH_A_CLOCK_READING: usize = 16 << 10;

/// Slices of one write. Further ones leave in the next.
const SLICES: usize = 64;

impl Engine {
    /// Calls `write` with the bytes of an outbox, in as many slices as one write takes. `None`: it is empty.
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
            self.send_later(key);
        }
    }

    pub(super) fn note_sent(&mut self, key: Key<Connection>, count: usize, blocked: bool) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        self.counters.bytes_out += count as u64;
        connection.outbox.advance(count, &mut self.memory.pool);
        // To read the clock costs more than the error matters: by so few bytes `read_by` moves by a second at most, at
        // the rate that clients have by default.
        let now = if count < WORTH_A_CLOCK_READING { self.time.now() } else { self.time.read() };
        connection.pace.note_written(count, now, self.options.slowest_client);
        if connection.outbox.is_empty() {
            return self.after_last_byte(key);
        }
        if !blocked {
            self.send_later(key);
            return;
        }
        connection.outbox.shrink();
        if count > 0 || connection.pace.takes_bytes() {
            let now = self.time.read();
            connection.pace.flow = Flow::Stalled(Stamp::new(client_can_answer(connection, now, self.stage)));
            self.memory.nothing_stalled = false;
            self.arm_connection(key);
            self.await_reader(key);
        }
    }

    fn after_last_byte(&mut self, key: Key<Connection>) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let was_stalled = !connection.pace.takes_bytes();
        connection.pace.flow = Flow::Taking;
        if connection.has_input_behind_output() {
            self.postpone(key);
        }
        let Some(connection) = self.connections.get_mut(key) else { return };
        match connection.note_last_byte_left() {
            Following::Nothing => {}
            Following::Drop => self.drop_connection(key),
            Following::Shut => {
                self.queues.orders.push_back(Order::Shut(key));
                self.begin_wait(key);
            }
            Following::NextPiece => {
                connection.since = self.time.now();
                self.postpone(key);
            }
            Following::AwaitClient => {
                self.begin_wait(key);
            }
            Following::Response { session, keep_alive } => {
                self.finish_response(key, keep_alive);
                let next_poll = self.begin_wait(key);
                if let Some(session) = session {
                    self.detach(session, key, next_poll);
                    self.settle_drain(session);
                }
            }
            Following::Receiver(session) => {
                let is_ping_out = connection.websocket().is_some_and(|socket| socket.ping == Ping::Queued);
                if connection.ping_left(was_stalled) {
                    connection.since = client_can_answer(connection, self.time.read(), self.stage);
                    self.arm_session(session);
                }
                if is_ping_out
                    && let Some(round_trip) = self.sessions.get_mut(session).and_then(Session::round_trip_mut)
                {
                    round_trip.note_ping_sent(self.time.now());
                }
                self.receiver_takes_more(session);
            }
        }
    }

    /// The receiver of a session takes more.
    fn receiver_takes_more(&mut self, key: Key<Session>) {
        let Some(session) = self.sessions.get(key) else { return };
        if !session.queue.is_empty() || !session.is_open() {
            self.queues.unflushed.push_back(&mut self.sessions, key);
        } else if session.awaited() == Awaited::Drain {
            self.settle_drain(key);
        }
    }

    /// A handler that was told `Full` is told once that the queue has drained, when all bytes have left.
    pub(super) fn settle_drain(&mut self, key: Key<Session>) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        if session.awaited() != Awaited::Drain || !session.queue.is_empty() {
            return;
        }
        let receiver = session.receiver.and_then(|receiver| self.connections.get(receiver));
        if receiver.is_none_or(|it| it.pace.takes_bytes() && it.outbox.is_empty()) {
            session.set_awaited(Awaited::Nothing);
            self.queues.drained.push_back(key);
        }
    }
}

/// What follows an answer, and the waits behind it.
impl Engine {
    /// The answer is in the outbox: behind it comes the next request, or the end.
    pub(super) fn finish_response(&mut self, key: Key<Connection>, keep_alive: bool) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let is_sent = connection.outbox.is_empty();
        connection.answered(keep_alive, self.time.now());
        match keep_alive {
            true if connection.inbox.is_empty() => {}
            true => self.postpone(key),
            false => self.drop_inbox(key),
        }
        // A receiver's response has left already, and nothing follows it on a connection that is kept.
        if !keep_alive || !is_sent {
            self.send_later(key);
        }
        self.arm_connection(key);
    }

    /// The client's turn begins: the last byte of the outbox has left. Says from when on the client can answer.
    fn begin_wait(&mut self, key: Key<Connection>) -> Millis {
        let now = self.time.read();
        let Some(connection) = self.connections.get_mut(key) else { return now };
        connection.since = client_can_answer(connection, now, self.stage);
        let since = connection.since;
        self.arm_connection(key);
        since
    }

    /// The end of a response is in the outbox, and its client takes nothing now: the session waits for as long as a
    /// client needs that reads at the slowest rate, from the last byte that it took. (A stall may last longer, but the
    /// session must not depend on whether the server or the operating system holds the bytes.)
    pub(super) fn await_reader(&mut self, key: Key<Connection>) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        if let (Writing::Last { session: Some(session), .. }, Flow::Stalled(_)) =
            (connection.writing(), connection.pace.flow)
        {
            let session = *session;
            let (unsent, now) = (connection.outbox.len(), self.time.read());
            connection.since = connection.pace.read_with(unsent, now, self.options.slowest_client);
            self.arm_session(session);
        }
    }
}
