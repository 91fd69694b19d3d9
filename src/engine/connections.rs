//! Connections: taken in, kept alive behind an answer, ended, dropped.

use std::io::IoSlice;
use std::net::SocketAddr;

use super::budget::Purpose;
use super::connection::{Connection, Flow, Phase, Rest};
use super::session::{Cause, Close, Session};
use super::waits::client_can_answer;
use super::{Engine, Notice, Stage};
use crate::collections::Key;
use crate::websocket::close;

/// Slices of one write. More wait for the next.
pub(super) const SLICES: usize = 64;

/// The status under which a log sees a connection that its client has one too many of (RFC 6585 §4). It is not sent.
const TOO_MANY: u16 = 429;

/// The head of an answer at most, with what it echoes.
const HEAD: usize = 3 << 10;

impl Engine {
    /// Whether there is room for one more connection.
    pub fn can_accept(&self) -> bool {
        self.stage == Stage::Serving && self.connections.len() < self.options.connections
    }

    /// Takes a connection in. Where its client has as many as it may, the connection ends before anything is read.
    pub fn accept(&mut self, peer: Option<SocketAddr>) -> Key<Connection> {
        let key = self.take_in(peer);
        self.count_client(key);
        key
    }

    fn take_in(&mut self, peer: Option<SocketAddr>) -> Key<Connection> {
        self.counters.accepted += 1;
        let connection = Connection::new(peer, self.clock.now());
        self.notices.push_back(Notice::Accepted(connection.peer()));
        let key = self.connections.insert(connection);
        self.arm_connection(key);
        key
    }

    /// The same for a connection that must begin with a PROXY header, which names the client.
    pub fn accept_proxied(&mut self, peer: Option<SocketAddr>) -> Key<Connection> {
        let key = self.take_in(peer);
        if let Some(connection) = self.connections.get_mut(key) {
            connection.phase = Phase::Proxied;
        }
        key
    }

    /// It is known which client a connection is of: it counts as one of that client's, or ends where they are as many as
    /// there may be. Unix sockets have no client, and a trusted proxy stands for many.
    pub(super) fn count_client(&mut self, key: Key<Connection>) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let Some(client) = connection.peer().map(|peer| peer.ip()) else { return };
        if self.trusted.iter().any(|network| network.contains(client)) {
            return;
        }
        connection.is_counted = self.clients.enter(client);
        if !connection.is_counted {
            self.counters.refused.too_many += 1;
            self.queue_refusal(key, TOO_MANY);
            self.drop_connection(key);
        }
    }

    /// The driver drops the socket of a connection: nothing of it is left.
    pub(super) fn remove_connection(&mut self, key: Key<Connection>) {
        self.book_connection(key);
        if let Some(connection) = self.connections.remove(key)
            && let (true, Some(peer)) = (connection.is_counted, connection.peer())
        {
            self.clients.leave(peer.ip());
        }
    }

    /// Counts a refusal, and has it told.
    pub(super) fn note_refusal(&mut self, key: Key<Connection>, status: u16) {
        self.counters.refused.count(status);
        self.queue_refusal(key, status);
    }

    /// The same for what the endpoint's origins, or the handler, did not admit.
    pub(super) fn note_not_admitted(&mut self, key: Key<Connection>, status: u16) {
        self.counters.refused.not_admitted += 1;
        self.queue_refusal(key, status);
    }

    pub(super) fn queue_refusal(&mut self, key: Key<Connection>, status: u16) {
        let peer = self.connections.get(key).and_then(Connection::peer);
        self.notices.push_back(Notice::Refused(peer, status));
    }

    pub(super) fn mark_dirty(&mut self, key: Key<Connection>) {
        self.dirty.push_back(&mut self.connections, key);
        self.book_connection(key);
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

    /// What a connection sent goes on in the next turn.
    pub(super) fn postpone(&mut self, key: Key<Connection>) {
        if let Some(connection) = self.connections.get_mut(key)
            && !std::mem::replace(&mut connection.postponed, true)
        {
            self.postponed.push_back(key);
        }
    }

    /// Keeps what is left of a payload with the connection from which it came, for the next turn.
    pub(super) fn keep_rest(&mut self, key: Key<Connection>, left: &str) {
        if !left.is_empty() {
            self.put_back(key, Box::new(Rest::new(left)));
            self.postpone(key);
        }
    }

    pub(super) fn put_back(&mut self, key: Key<Connection>, rest: Box<Rest>) {
        if let Some((_, place)) = self.connections.get_mut(key).and_then(Connection::rest_mut) {
            *place = Some(rest);
        }
        self.book_connection(key);
    }

    /// The answer is in the outbox: the next request, or the end.
    pub(super) fn finish_response(&mut self, key: Key<Connection>, keep_alive: bool) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        connection.since = self.clock.now();
        connection.phase = match keep_alive {
            true => Phase::Idle { first: false },
            false => Phase::Finishing { peer_done: false },
        };
        match keep_alive {
            true if connection.inbox.is_empty() => {}
            true => self.postpone(key),
            false => self.drop_inbox(key),
        }
        self.mark_dirty(key);
        self.arm_connection(key);
    }

    /// The client's turn begins: everything of ours has left.
    pub(super) fn begin_wait(&mut self, key: Key<Connection>) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        connection.since = client_can_answer(connection, self.clock.read(), self.stage);
        self.arm_connection(key);
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

    pub(super) fn drop_inbox(&mut self, key: Key<Connection>) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let inbox = std::mem::take(&mut connection.inbox);
        self.pool.give(inbox);
        self.book_connection(key);
    }

    /// A response that is on its way out is nothing to a session any more.
    pub(super) fn disown(&mut self, key: Key<Connection>) {
        if let Some(Connection { phase: Phase::Ending { session, .. }, .. }) = self.connections.get_mut(key) {
            *session = None;
        }
    }

    /// Ends a connection whose client has hung up behind what waits for it. Its session hears that its receiver broke off.
    pub(super) fn end_behind_output(&mut self, key: Key<Connection>, peer_done: bool) {
        if let Some(session) = self.connections.get(key).and_then(Connection::session) {
            self.receiver_broke_off(session, key);
        }
        let Some(connection) = self.connections.get_mut(key) else { return };
        if peer_done && connection.outbox.is_empty() {
            return self.drop_connection(key);
        }
        connection.phase = Phase::Finishing { peer_done };
        self.drop_inbox(key);
        self.mark_dirty(key);
    }

    /// Whether so many bytes more may be stored; where they may not, connections whose clients take nothing are dropped, those
    /// that hold most first, until there is room again.
    pub(super) fn make_room(&mut self, purpose: Purpose, bytes: usize) -> bool {
        if self.budget.admit(purpose, bytes) {
            return true;
        }
        if self.nothing_to_evict {
            return false;
        }
        let mut stalled: Vec<_> = self
            .connections
            .iter()
            .filter(|(_, connection)| matches!(connection.flow, Flow::Stalled(_)))
            .map(|(key, connection)| (connection.booked.output, key))
            .collect();
        stalled.sort_unstable_by_key(|(output, _)| *output);
        while !self.budget.admit(Purpose::Queued, bytes)
            && let Some((_, key)) = stalled.pop()
        {
            if let Some(session) = self.connections.get(key).and_then(Connection::session) {
                let reason = "The server is out of memory";
                self.close_session(session, Close::new(close::TRY_AGAIN_LATER, reason, Cause::Unresponsive));
            }
            self.drop_connection(key);
        }
        // Until the next flush no more sockets can be known to take nothing.
        self.nothing_to_evict = stalled.is_empty();
        self.budget.admit(purpose, bytes)
    }

    /// Whether an answer with so many bytes behind its head, or in place of it, may be stored. A connection for which not
    /// even that is left ends: an answer that says so would have no room either.
    pub(super) fn can_answer(&mut self, key: Key<Connection>, bytes: usize) -> bool {
        let has_room = self.make_room(Purpose::Answer, bytes.saturating_add(HEAD));
        if !has_room {
            self.drop_connection(key);
        }
        has_room
    }

    /// Ends a connection here and now. Its session hears that its receiver broke off. (Where the messages of a request are
    /// being told, their session lives on and hears them all; nobody is answered then. What a WebSocket sent and the
    /// application did not hear is lost with it, as what is still in the socket.)
    pub(super) fn drop_connection(&mut self, key: Key<Connection>) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        connection.flow = Flow::Open;
        connection.outbox.clear(&mut self.pool);
        let session = connection.session();
        match &mut connection.phase {
            Phase::Gone => return,
            Phase::Delivering(delivery)
                if self.sessions.get(delivery.session).is_some_and(Session::is_open) =>
            {
                delivery.answer = None;
                return self.drop_inbox(key);
            }
            _ => connection.phase = Phase::Gone,
        }
        self.timers.cancel(&mut connection.timer);
        self.drop_inbox(key);
        self.dirty.remove(&mut self.connections, key);
        self.gone.push_back(key);
        if let Some(session) = session {
            self.receiver_broke_off(session, key);
        }
    }
}
