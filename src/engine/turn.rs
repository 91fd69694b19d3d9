//! The order of one turn, written down once: the calls that a driver makes, and the orders that it carries out.
//!
//! A driver owns the sockets and knows nothing else. In each turn it
//!
//! 1. begins it ([`Engine::begin_turn`]) and carries out orders: the program may have sent much since the last turn,
//!    and some of what that turn brought about may be left over;
//! 2. lets connections go on that were left over in the last turn ([`Engine::go_on`]);
//! 3. hands over what arrived ([`Engine::accept`], [`Engine::receive`], [`Engine::sent`]);
//! 4. says up to which time everything that had arrived was handed over ([`Engine::advance`]);
//! 5. carries out orders: everything that the turn brought about leaves, in one write for each connection. Where these
//!    are many, they leave in parts, over several turns.
//!
//! Orders are carried out after each call of 2 and 3, too ([`Engine::next_order`] until there is none). Mostly there is
//! none; but where queues have grown only for want of a flush, or much was done since the last one, the flush cannot
//! wait for the end of the turn; and an answer goes ahead of a flush that is left over. Then the driver sleeps until
//! the [next deadline](Engine::next_deadline).

use super::budget::Purpose;
use super::connection::Connection;
use super::inflow::Inflow;
use super::time::Owner;
use super::work::{Flush, PARTS};
use super::{Application, Engine, Millis, Stage};
use crate::collections::Key;

/// What a driver read from the socket of a connection.
pub enum Arrival<'b> {
    /// Bytes. They are rewritten in place: unmasked, and decoded.
    Bytes(&'b mut [u8]),
    /// The end of the stream.
    End,
    /// The end of the stream, behind bytes that the driver left in the socket.
    EndBehindUnread,
    /// The connection is broken: reset, or failed in another way.
    Failure,
}

/// What a driver is to do with the socket of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Read once more: is its client still there? The end of the stream may stand behind the last byte.
    Probe(Key<Connection>),
    /// Write the bytes of [`Engine::outgoing`], and report the result by [`Engine::sent`].
    Write(Key<Connection>),
    /// Read on, in the next turn: bytes are welcome again.
    Read(Key<Connection>),
    /// Shut the sending side.
    Shut(Key<Connection>),
    /// Drop it: its key is free from now on.
    Drop(Key<Connection>),
}

impl Engine {
    /// A turn begins: what was left over in the last one is first.
    pub fn begin_turn(&mut self, application: &mut dyn Application) {
        self.turn.work.begin_turn();
        self.turn.parts += u32::from(self.turn.flush == Flush::Writing);
        // A search for stalled connections spares the one that is being answered: in this turn that is another one.
        self.memory.nothing_stalled = false;
        self.turn.left_over = self.queues.postponed.len();
        if !self.queues.next_notices.is_empty() {
            self.queues.notices.append(&mut self.queues.next_notices);
        }
        self.notify(application);
    }

    /// Commands of the program come next: a part of the turn is theirs, however much work arrived in it.
    pub fn begin_commands(&mut self) {
        self.turn.work.begin_tasks();
    }

    /// How much was done in this turn so far, in the unit of its budget; see `work`.
    pub fn work_done(&self) -> u64 {
        self.turn.work.done()
    }

    /// Whether the work of the turn is done, so that the commands that are left must wait for the next one.
    pub fn is_turn_done(&self) -> bool {
        self.must_flush_first() || self.turn.work.are_tasks_done()
    }

    /// A command of the program is about to be carried out.
    pub fn note_command(&mut self) {
        self.turn.work.note_task();
    }

    /// Something arrived on a connection, or its end.
    pub fn receive(&mut self, key: Key<Connection>, arrival: Arrival<'_>, application: &mut dyn Application) {
        match arrival {
            Arrival::Bytes(bytes) => self.take_bytes(key, bytes, application),
            Arrival::End => self.end_of_stream(key, application),
            Arrival::EndBehindUnread => {
                if let Some(connection) = self.connections.get_mut(key) {
                    connection.inflow.note_end_behind_unread();
                }
                self.end_behind_unread(key);
                self.notify(application);
            }
            Arrival::Failure => {
                self.drop_connection(key);
                self.notify(application);
            }
        }
    }

    /// Whether bytes of a connection are welcome, asked before each read. Where they are not, they stay in the socket,
    /// the client waits, and [`Order::Read`] says when they are welcome again.
    pub fn ask_to_read(&mut self, key: Key<Connection>) -> bool {
        let is_welcome = self.is_reading(key);
        if let (false, Some(connection)) = (is_welcome, self.connections.get_mut(key)) {
            connection.inflow.pause();
        }
        is_welcome
    }

    /// Reads on from a connection whose bytes were not welcome, if they are now.
    pub(super) fn resume_reading(&mut self, key: Key<Connection>) {
        let Some(connection) = self.connections.get(key) else { return };
        let inflow = connection.inflow;
        if inflow.is_paused() && self.is_reading(key) {
            if let Some(connection) = self.connections.get_mut(key) {
                connection.inflow = Inflow::Flowing;
            }
            self.queues.orders.push_back(Order::Read(key));
        } else if inflow == Inflow::PausedBeforeEnd {
            self.end_behind_unread(key);
        }
    }

    /// Ends the turn: lets everything happen that is due, and makes a flush due. Work that this causes may make a flush
    /// due before everything has happened; the rest is for the next turn then. Clients are judged for their silence
    /// `until` a time: the one by which everything that had arrived was handed over.
    pub fn advance(&mut self, until: Millis, application: &mut dyn Application) {
        self.run_due_timers(until, application);
        // Behind a flush that is left over the next one follows by itself; until then arrivals do not wait.
        self.turn.flush_requested |= self.turn.flush == Flush::Idle;
    }

    /// The next order for the driver; `None`: there is none before the next call.
    pub fn next_order(&mut self, application: &mut dyn Application) -> Option<Order> {
        if let Some(key) = self.turn.ahead.take()
            && self.connections.get(key).is_some_and(|connection| !connection.is_gone())
        {
            self.turn.work.note_write();
            return Some(Order::Write(key));
        }
        loop {
            match self.turn.flush {
                Flush::Idle if self.is_flush_due() => self.turn.flush = Flush::Probing,
                Flush::Idle => return None,
                Flush::Probing => {
                    if let Some(key) = self.next_to_probe() {
                        return Some(Order::Probe(key));
                    }
                    self.settle(application);
                    self.turn.flush = Flush::Writing;
                }
                // A flush of so many writes would hold arrivals for too long: the rest leaves first in the next turn.
                Flush::Writing if self.is_flush_interrupted() || self.turn.work.is_overdone() => {
                    return self.next_other_order();
                }
                Flush::Writing => {
                    let order = self.next_write();
                    if order.is_some() {
                        return order;
                    }
                    self.turn.flush = if self.is_settled() { Flush::Idle } else { Flush::Probing };
                }
            }
        }
    }

    /// Whether the driver looks at arrivals before the rest of the flush. Not where another flush is requested already,
    /// nor where a second receiver waits for its decision; not where memory is short, since what a client can take must
    /// not stay in memory; and not while the server stops.
    fn is_flush_interrupted(&self) -> bool {
        let is_part_out = self.turn.work.is_part_done() && self.turn.parts < PARTS;
        let may_wait = !self.turn.flush_requested && self.queues.second_receivers.is_empty();
        let has_time = self.admits(Purpose::Page, 0) && self.stage != Stage::Stopping;
        is_part_out && may_wait && has_time && !self.queues.unsent.is_empty()
    }

    /// The number of the flush that is left over, if one is: it goes on in the next turn.
    pub fn left_over_flush(&self) -> Option<u64> {
        (self.turn.flush == Flush::Writing).then_some(self.turn.flushes)
    }

    fn next_write(&mut self) -> Option<Order> {
        if let Some(key) = self.queues.unsent.pop_front(&mut self.connections) {
            self.turn.work.note_write();
            return Some(Order::Write(key));
        }
        self.next_other_order()
    }

    fn next_other_order(&mut self) -> Option<Order> {
        let order = self.queues.orders.pop_front();
        if let Some(Order::Drop(key)) = order {
            self.remove_connection(key);
        }
        order
    }
}

impl Engine {
    /// How many connections go on in the next turn; see [`Engine::go_on`].
    pub fn postponed(&self) -> usize {
        self.queues.postponed.len()
    }

    /// Goes on with the input of one connection that was left over in the last turn. `false`: no connection is left, or
    /// the half of the turn that is for them is used up.
    pub fn go_on(&mut self, application: &mut dyn Application) -> bool {
        if self.turn.left_over == 0 || self.turn.work.is_half_done() {
            return false;
        }
        self.turn.left_over -= 1;
        let Some(key) = self.queues.postponed.pop_front() else { return false };
        self.go_on_with_connection(key, application);
        true
    }

    fn go_on_with_connection(&mut self, key: Key<Connection>, application: &mut dyn Application) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        connection.is_postponed = false;
        let rest = connection.rest_mut().and_then(|(session, place)| Some((session, place.take()?)));
        let before = connection.progress();
        let is_downloading = connection.is_downloading();
        self.turn.work.begin_connection();
        match rest {
            Some((session, rest)) => self.deliver_rest(key, session, rest, application),
            None if is_downloading => self.go_on_with_download(key, application),
            None => self.consume_inbox(key, application),
        }
        if self.connections.get(key).is_some_and(|connection| connection.progress() != before) {
            self.check_memory(key, application);
        }
        if self.connections.get(key).is_some_and(|connection| connection.inflow.has_ended()) {
            self.end_of_stream(key, application);
        }
        self.notify(application);
        self.flush_if_worth_while();
        self.book_connection(key);
        self.answer_ahead(key);
        self.resume_reading(key);
    }

    /// The client sends no more. Its requests before the end are answered; a receiver's response that does not end with
    /// this turn was broken off. In either case the answers so far go out.
    pub(super) fn end_of_stream(&mut self, key: Key<Connection>, application: &mut dyn Application) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        connection.inflow = Inflow::Ended;
        self.consume_before_end(key, application);
        let Some(connection) = self.connections.get(key) else { return };
        if connection.end_must_wait(self.is_backed_up(connection)) {
            return self.notify(application);
        }
        match connection.session() {
            Some(_) => self.end_receiver(key),
            None => self.end_behind_output(key),
        }
        self.notify(application);
    }

    /// Deals with units in the inbox of a connection that wait for nothing but the last byte of the outbox.
    pub(super) fn consume_before_end(&mut self, key: Key<Connection>, application: &mut dyn Application) {
        let Some(connection) = self.connections.get(key) else { return };
        if !connection.is_postponed && !connection.inbox.is_empty() {
            self.turn.work.begin_connection();
            self.consume_inbox(key, application);
        }
    }

    /// Whether a notice, bytes or an order wait for a turn, so that the next one should be at once.
    pub fn is_pending(&self) -> bool {
        let nothing_to_tell = self.queues.drained.is_empty()
            && self.queues.notices.is_empty()
            && self.queues.next_notices.is_empty();
        let nothing_to_send = self.queues.unsent.is_empty() && self.queues.unflushed.is_empty();
        // The program may drop a connection between two turns, and nothing but this order is left of it.
        let no_orders = self.queues.orders.is_empty();
        // A flush that had more to do than its turn allows goes on in the next.
        let no_rest = self.queues.postponed.is_empty() && self.turn.flush == Flush::Idle;
        !(nothing_to_tell && nothing_to_send && no_orders && no_rest)
    }

    /// Lets every wait that is over end, and every timer that is due run out, until a flush is due; the
    /// rest is for the next turn then.
    pub(super) fn run_due_timers(&mut self, until: Millis, application: &mut dyn Application) {
        self.turn.work.begin_tasks();
        self.time.heard = until;
        self.notify_drained(application);
        self.notify_app_timers(application);
        while let Some(owner) = self.time.timers.expire(until) {
            match owner {
                Owner::Connection(key) => self.connection_timeout(key, until),
                Owner::Session(key) => self.session_timeout(key, until),
                Owner::Endpoint(number) => self.arm_endpoint(number),
            }
            self.notify(application);
            self.turn.work.note_task();
            if self.must_flush_first() || self.turn.work.are_tasks_done() {
                break;
            }
        }
    }

    /// The socket of a connection took so many bytes. If it took less than there was, it is
    /// `blocked` until it becomes writable.
    pub fn sent(&mut self, key: Key<Connection>, count: usize, blocked: bool) {
        self.turn.work.note_written(count);
        self.note_sent(key, count, blocked);
        self.book_connection(key);
        self.resume_reading(key);
    }

    /// Puts all queued messages into frames, and tells the application of everything that this caused.
    pub(super) fn settle(&mut self, application: &mut dyn Application) {
        self.turn.flush_requested = false;
        self.turn.work.begin_flush();
        self.turn.parts = 0;
        self.turn.flushes += 1;
        self.memory.budget.begin_flush();
        self.settle_second_receivers();
        loop {
            let least = self.memory.budget.least();
            while let Some(key) = self.queues.unflushed.pop_front(&mut self.sessions) {
                self.flush_session(key);
            }
            self.memory.budget.restore_least(least);
            self.notify(application);
            if self.queues.unflushed.is_empty() {
                break;
            }
        }
        self.settle_waiting_for_memory();
        self.settle_waiting_downloads();
    }

    /// Whether this turn has nothing more to frame, to tell or to send.
    pub(super) fn is_settled(&self) -> bool {
        let nothing_to_send = self.queues.unsent.is_empty() && self.queues.unflushed.is_empty();
        let nothing_to_tell = self.queues.notices.is_empty() || self.turn.work.are_notices_done();
        let nothing_waits = !self.has_room_for_waiting() && !self.can_resume_downloads();
        let no_orders = self.queues.second_receivers.is_empty() && self.queues.orders.is_empty();
        nothing_to_send && nothing_to_tell && nothing_waits && no_orders
    }
}
