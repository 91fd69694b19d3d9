//! Connections: taken in, kept alive behind an answer, ended, dropped.

use std::net::SocketAddr;

use super::body::Reader;
use super::budget::Purpose;
use super::connection::Connection;
use super::in_layer::InLayer;
use super::pace::Flow;
use super::queues::Notice;
use super::reading::Rest;
use super::reply::Ticket;
use super::session::{Cause, Close, Session};
use super::turn::Order;
use super::writing::Form;
use super::{Engine, Stage};
use crate::collections::Key;
use crate::websocket::close;

/// The answer where a client has one session too many (RFC 6585 §4). Of one connection too many the observer is told
/// with this status, and the client gets nothing.
pub(super) const TOO_MANY: u16 = 429;

/// The status with which the observer is told of a connection that the server has no room for. The client gets nothing.
const FULL: u16 = 503;

/// The head of an answer at most, with what it echoes.
const HEAD: usize = 3 << 10;

/// The end of a session whose client does not read, where its memory is needed.
fn out_of_memory() -> Close {
    Close::new(close::TRY_AGAIN_LATER, "The server is out of memory", Cause::Unresponsive)
}

impl Engine {
    /// Whether there is room for one more connection.
    pub fn can_accept(&self) -> bool {
        self.stage != Stage::Stopping && self.connections.len() < self.options.connections
    }

    /// Takes a connection in. Where its client has as many as it may, the connection ends before anything is read.
    pub fn accept(&mut self, peer: Option<SocketAddr>) -> Key<Connection> {
        let key = self.take_in(peer);
        self.count_client(key);
        key
    }

    fn take_in(&mut self, peer: Option<SocketAddr>) -> Key<Connection> {
        self.counters.accepted += 1;
        let connection = Connection::new(peer, self.time.now());
        self.queues.notices.push_back(Notice::Accepted(connection.peer()));
        let key = self.connections.insert(connection);
        self.arm_connection(key);
        key
    }

    /// The same for a connection that must begin with a PROXY header, which names the client.
    pub fn accept_proxied(&mut self, peer: Option<SocketAddr>) -> Key<Connection> {
        let key = self.take_in(peer);
        if let Some(connection) = self.connections.get_mut(key) {
            connection.expect_proxy_header();
        }
        key
    }

    /// Refuses a connection that the program hands in, since there are as many as there may be.
    pub fn refuse_connection(&mut self, peer: Option<SocketAddr>) {
        self.counters.refused.overloaded += 1;
        self.queues.notices.push_back(Notice::Refused(peer, FULL));
    }

    /// Clients name this connection `https`: TLS ends in the driver.
    pub fn note_https(&mut self, key: Key<Connection>) {
        if let Some(connection) = self.connections.get_mut(key) {
            connection.in_layer.note_https();
        }
    }

    /// The layer of a connection has failed: its client broke a protocol below HTTP. Returns where it comes from.
    pub fn note_layer_failure(&mut self, key: Key<Connection>) -> Option<SocketAddr> {
        self.counters.refused.malformed += 1;
        self.connections.get(key).and_then(Connection::peer)
    }

    /// The driver holds so many bytes between the outbox of a connection and its socket, which takes
    /// none at present. Where the server has no room for them the connection ends: bytes that a layer
    /// has made cannot be given back to it.
    pub fn hold_in_layer(&mut self, key: Key<Connection>, bytes: usize) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        if connection.is_gone() {
            return;
        }
        let more = bytes.saturating_sub(connection.in_layer.footprint());
        if more > 0 && (bytes > InLayer::MOST || !self.make_room(Purpose::Control, more)) {
            if let Some(session) = self.connections.get(key).and_then(Connection::session) {
                self.close_session(session, out_of_memory());
            }
            return self.drop_connection(key);
        }
        // Where room was made, the connection may itself have been one of those that take nothing.
        if let Some(connection) = self.connections.get_mut(key).filter(|connection| !connection.is_gone()) {
            connection.in_layer.set(bytes);
            self.book_connection(key);
        }
    }

    /// The client of a connection is known now: the connection counts as one of that client's, or ends where the client
    /// has too many. Unix sockets have no client, and a trusted proxy stands for many.
    pub(super) fn count_client(&mut self, key: Key<Connection>) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let Some(client) = connection.peer().map(|peer| peer.ip()) else { return };
        if self.clients.is_trusted(client) {
            return;
        }
        connection.is_counted = self.clients.enter(client);
        if !connection.is_counted {
            self.note_too_many(key);
            self.drop_connection(key);
        }
    }

    /// The driver drops the socket of a connection: nothing of it is left.
    pub(super) fn remove_connection(&mut self, key: Key<Connection>) {
        let Some(mut connection) = self.connections.remove(key) else { return };
        debug_assert!(connection.is_gone(), "a connection that was dropped lives again");
        debug_assert!(!connection.unsent.is_linked(), "a connection that was dropped waits for a write");
        self.memory.unbook_connection(&mut connection);
        if let (true, Some(peer)) = (connection.is_counted, connection.peer()) {
            self.clients.leave(peer.ip());
        }
    }

    /// Counts a refusal, and notes it for the observer.
    pub(super) fn note_refusal(&mut self, key: Key<Connection>, status: u16) {
        self.counters.refused.count(status);
        self.queue_refusal(key, status);
    }

    /// The same for a connection or a session that its client has one too many of.
    pub(super) fn note_too_many(&mut self, key: Key<Connection>) {
        self.counters.refused.too_many += 1;
        self.queue_refusal(key, TOO_MANY);
    }

    /// The same for a request that the endpoint's origins, or the handler, did not admit.
    pub(super) fn note_not_admitted(&mut self, key: Key<Connection>, status: u16) {
        self.counters.refused.not_admitted += 1;
        self.queue_refusal(key, status);
    }

    pub(super) fn queue_refusal(&mut self, key: Key<Connection>, status: u16) {
        let peer = self.connections.get(key).and_then(Connection::peer);
        self.queues.notices.push_back(Notice::Refused(peer, status));
    }

    /// The request of a connection that ends waits for no answer any more.
    fn abandon_request(&mut self, key: Key<Connection>) {
        if let Some((ticket, _)) = self.take_deferred(key) {
            self.queues.notices.push_back(Notice::Unanswered(ticket));
        }
    }

    /// Takes out the request that waits for its answer: that is made now, or never.
    pub(super) fn take_deferred(&mut self, key: Key<Connection>) -> Option<(Ticket, Form)> {
        let (number, form) = self.connections.get_mut(key)?.end_deferral()?;
        self.counters.deferred -= 1;
        Some((Ticket { connection: key, number }, form))
    }

    /// Drops a reader of the program's, and notes for the observer if that panicked.
    pub(super) fn discard_reader(&mut self, reader: Option<Reader>) {
        if !reader.is_none_or(Reader::close) {
            self.queues.notices.push_back(Notice::Panicked);
        }
    }

    /// Books what a connection holds, after it was touched.
    pub(super) fn book_connection(&mut self, key: Key<Connection>) {
        if let Some(connection) = self.connections.get_mut(key) {
            self.memory.book_connection(connection);
        }
    }

    /// Keeps the rest of a payload with the connection from which it came, for the next turn.
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

    pub(super) fn drop_inbox(&mut self, key: Key<Connection>) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let inbox = std::mem::take(&mut connection.inbox);
        self.memory.pool.give(inbox);
        self.book_connection(key);
    }

    /// Ends a connection behind the bytes of its outbox: the client has hung up. For its
    /// session the receiver has broken off.
    pub(super) fn end_behind_output(&mut self, key: Key<Connection>) {
        if let Some(session) = self.connections.get(key).and_then(Connection::session) {
            self.receiver_broke_off(session, key);
        }
        self.abandon_request(key);
        let Some(connection) = self.connections.get_mut(key) else { return };
        if connection.inflow.has_ended() && connection.outbox.is_empty() {
            return self.drop_connection(key);
        }
        connection.close();
        self.drop_inbox(key);
        self.send_later(key);
    }

    /// Whether so many bytes more may be stored. Where they may not, connections whose sockets take nothing are
    /// dropped, largest outbox first: until there is room for a message too, so that not each of those that follow
    /// must look through all connections again.
    pub(super) fn make_room(&mut self, purpose: Purpose, bytes: usize) -> bool {
        if self.admits(purpose, bytes) {
            return true;
        }
        // For a page none is dropped where a message for the same client would still have room.
        if self.memory.nothing_stalled || self.admits(Purpose::Queued, bytes) {
            return false;
        }
        let mut stalled: Vec<_> = self
            .connections
            .iter()
            .filter(|(key, connection)| !connection.pace.takes_bytes() && Some(*key) != self.turn.answering)
            .map(|(key, connection)| (connection.booked.output, key))
            .collect();
        stalled.sort_unstable_by_key(|(output, _)| *output);
        while !self.admits(Purpose::Queued, bytes)
            && let Some((_, key)) = stalled.pop()
        {
            if let Some(session) = self.connections.get(key).and_then(Connection::session) {
                self.close_session(session, out_of_memory());
            }
            self.drop_connection(key);
        }
        // Only a write shows of more sockets that they take nothing.
        self.memory.nothing_stalled = stalled.is_empty();
        self.admits(purpose, bytes)
    }

    /// Makes room for an answer with so many bytes behind its head. `false`: there was none, and the connection has
    /// been dropped, since an answer that says so would have no room either.
    pub(super) fn make_room_for_answer(&mut self, key: Key<Connection>, bytes: usize) -> bool {
        let has_room = self.make_room(Purpose::Answer, bytes.saturating_add(HEAD));
        if !has_room {
            self.drop_connection(key);
        }
        // Where room was made, the connection may itself have been one of those that take nothing.
        self.connections.get(key).is_some_and(|connection| !connection.is_gone())
    }

    /// Ends a connection here and now. For its session the receiver has broken off. Where the messages of a request are
    /// being delivered, their session lives on and gets them all, and the answer is dropped. Messages of a WebSocket
    /// that the application has not heard are lost with it, like bytes that are still in the socket.
    pub(super) fn drop_connection(&mut self, key: Key<Connection>) {
        self.abandon_request(key);
        let reader = self.connections.get_mut(key).and_then(Connection::take_reader);
        self.discard_reader(reader);
        let Some(connection) = self.connections.get_mut(key) else { return };
        connection.pace.flow = Flow::Taking;
        connection.outbox.give_back(&mut self.memory.pool);
        connection.in_layer.set(0);
        let session = connection.session();
        let delivering = connection.delivering().and_then(|session| self.sessions.get(session));
        if !connection.fail(delivering.is_some_and(Session::is_open)) {
            return self.drop_inbox(key);
        }
        self.time.timers.cancel(&mut connection.timer);
        self.drop_inbox(key);
        self.queues.unsent.remove(&mut self.connections, key);
        self.queues.orders.push_back(Order::Drop(key));
        if let Some(session) = session {
            self.receiver_broke_off(session, key);
        }
    }
}
