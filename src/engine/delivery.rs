//! Payload → messages → the application: of each connection as much in one turn as everybody else can wait for.
//!
//! A packet may cause much: thousands of messages, and each of them is for thousands. So each connection has a share of
//! the turn. What is left when it is used up goes on in the next turn, with a flush and everybody else's share between;
//! until then nothing more is read from that connection, and a request is not answered before its last message was told.

use super::connection::{Connection, Flow, Phase, Ping, Rest};
use super::session::Session;
use super::{Application, Engine, Message};
use crate::collections::Key;
use crate::sockjs::Messages;

/// Requests and messages of one connection that are dealt with in one turn.
const UNITS: u64 = 256;

/// Messages that they queue for clients meanwhile, a broadcast one for each recipient, before the turn is over for them.
const CAUSED: u64 = 1 << 18;

/// Decoded text whose memory is kept for the next payload.
const DECODED_KEPT: usize = 64 << 10;

/// How far the counters may go before a connection's share of the turn is used up.
#[derive(Default)]
pub(super) struct Share {
    units: u64,
    caused: u64,
}

impl Engine {
    /// A connection is about to be heard.
    pub(super) fn begin_share(&mut self) {
        self.share = Share {
            units: self.units().saturating_add(UNITS),
            caused: self.counters.messages_out.saturating_add(CAUSED),
        };
    }

    fn units(&self) -> u64 {
        self.counters.requests + self.counters.messages_in
    }

    /// Whether the rest of what the connection at hand sent must wait for the next turn, or at least for a flush.
    pub(super) fn is_share_used_up(&self) -> bool {
        self.flush_due || self.units() >= self.share.units || self.counters.messages_out >= self.share.caused
    }

    /// What a connection sent goes on in the next turn.
    pub(super) fn postpone(&mut self, key: Key<Connection>) {
        if let Some(connection) = self.connections.get_mut(key)
            && !std::mem::replace(&mut connection.postponed, true)
        {
            self.postponed.push_back(key);
        }
    }

    /// How many connections go on in this turn with what they sent before; see [`Engine::go_on`].
    pub fn postponed(&self) -> usize {
        self.postponed.len()
    }

    /// Goes on with what the next one of them sent. To be called at the begin of a turn, once for each of them.
    pub fn go_on(&mut self, application: &mut dyn Application) {
        let Some(key) = self.postponed.pop_front() else { return };
        let Some(connection) = self.connections.get_mut(key) else { return };
        connection.postponed = false;
        let rest = connection.rest_mut().and_then(|(session, place)| Some((session, place.take()?)));
        let before = connection.progress();
        self.begin_share();
        match rest {
            Some((session, rest)) => self.deliver_rest(key, session, rest, application),
            None => self.consume_inbox(key, application),
        }
        if self.connections.get(key).is_some_and(|connection| connection.progress() != before) {
            self.check_memory(key, application);
        }
        if self.connections.get(key).is_some_and(|connection| connection.hung_up) {
            self.end_of_stream(key, application);
        }
        self.tell(application);
        self.resume_reading(key);
    }

    /// The messages of a payload, in order, as long as the session is open. Returns what is left of it for later turns.
    pub(super) fn deliver<'m>(
        &mut self,
        key: Key<Session>,
        mut messages: Messages<'m>,
        application: &mut dyn Application,
    ) -> &'m str {
        let mut decoded = std::mem::take(&mut self.decoded);
        while self.is_open(key)
            && let Some(text) = messages.next(&mut decoded)
        {
            self.counters.messages_in += 1;
            application.message(self, key, Message::Text(text));
            if !messages.is_empty() && self.must_wait(key, messages.left().len()) {
                break;
            }
        }
        if decoded.capacity() <= DECODED_KEPT {
            self.decoded = decoded;
        }
        if self.is_open(key) { messages.left() } else { "" }
    }

    /// One message of a raw WebSocket.
    pub(super) fn deliver_raw(
        &mut self,
        key: Key<Session>,
        message: Message<'_>,
        application: &mut dyn Application,
    ) {
        if self.is_open(key) {
            self.counters.messages_in += 1;
            application.message(self, key, message);
        }
    }

    /// Whether the rest of a payload, so many bytes of it, must wait. A WebSocket's also waits for its client to read.
    fn must_wait(&mut self, key: Key<Session>, left: usize) -> bool {
        let receiver = self.sessions.get(key).and_then(|session| self.connections.get(session.receiver?));
        if let Some(receiver) =
            receiver.filter(|receiver| receiver.is_websocket() && self.is_unread(receiver))
        {
            if receiver.flow != Flow::Open {
                return self.can_keep(left);
            }
            // Its client may read, and so may others who got what it caused.
            self.flush_due = true;
        }
        self.is_share_used_up() && self.can_keep(left)
    }

    /// Whether there is room for so many bytes that came whole to wait for their turn: an eighth more than for what is
    /// unfinished, so that nobody can take it for all. Where there is none they do not wait: memory comes before fairness.
    pub(super) fn can_keep(&self, more: usize) -> bool {
        let room = self.options.buffered_bytes;
        self.memory.input.held() + more <= room / 8 * 5 && self.memory.held() + more <= room
    }

    /// Keeps what is left of a payload with the connection from which it came, for the next turn.
    pub(super) fn keep_rest(&mut self, key: Key<Connection>, left: &str) {
        if !left.is_empty() {
            self.put_back(key, Box::new(Rest::new(left)));
            self.postpone(key);
        }
    }

    fn put_back(&mut self, key: Key<Connection>, rest: Box<Rest>) {
        if let Some((_, place)) = self.connections.get_mut(key).and_then(Connection::rest_mut) {
            self.memory.input.hold(rest.buffered());
            *place = Some(rest);
        }
    }

    fn deliver_rest(
        &mut self,
        key: Key<Connection>,
        session: Key<Session>,
        mut rest: Box<Rest>,
        application: &mut dyn Application,
    ) {
        self.memory.input.release(rest.buffered());
        let Some(connection) = self.connections.get(key) else { return };
        if connection.is_websocket() && self.is_unread(connection) {
            // It goes on when the last byte for its client has left.
            return self.put_back(key, rest);
        }
        self.note_heard(key, session);
        let left = self.deliver(session, Messages::resume(rest.left()), application).len();
        if left > 0 {
            rest.shorten(left);
            self.put_back(key, rest);
            return self.postpone(key);
        }
        self.end_delivery(key);
    }

    /// A client whose messages are being told is not read meanwhile, nor missed: neither its pong nor its next receiver.
    fn note_heard(&mut self, key: Key<Connection>, session: Key<Session>) {
        if let Some(Connection { phase: Phase::WebSocket(socket), since, .. }) = self.connections.get_mut(key)
        {
            (socket.ping, *since) = (Ping::Rest, self.clock.now());
        }
        if let Some(Session { receiver: None, since, .. }) = self.sessions.get_mut(session) {
            *since = self.clock.now();
        }
    }

    /// The last message was told: the answer of a request, and what is behind it.
    fn end_delivery(&mut self, key: Key<Connection>) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        match &mut connection.phase {
            Phase::Delivering(delivery) => {
                let keep_alive = delivery.keep_alive;
                let Some(answer) = delivery.answer.take() else {
                    connection.phase = Phase::Idle { first: false };
                    return self.drop_connection(key);
                };
                self.memory.output.release(answer.len());
                connection.outbox.write(&mut self.memory, |out| out.extend_from_slice(&answer));
                self.finish_response(key, keep_alive);
            }
            _ if !connection.inbox.is_empty() => self.postpone(key),
            _ => {}
        }
    }
}
