//! The messages of a session → one frame → the framing of the transport → the receiver's outbox.
//!
//! A polling receiver ends with its first frame, a streaming one at the response limit, a WebSocket with its session.

use super::Engine;
use super::answers::{Exchange, Label};
use super::connection::Connection;
use super::session::{Cause, Close, INTERRUPTED, Session, State};
use super::work::Flush;
use super::writing::Frame;
use super::writing::{Poll, Stream, Writing};
use crate::collections::Key;
use crate::http;
use crate::sockjs::{Callback, Transport, write_close_frame};
use crate::websocket::close::{self, is_valid_received_code, write_close};

/// The prelude of a stream at most.
const PRELUDE: usize = 4 << 10;

impl Engine {
    /// Makes room for the beginning of a receiver's response. `false`: there was none, and
    /// the connection has been dropped.
    pub(super) fn make_room_for_receiver(&mut self, key: Key<Connection>) -> bool {
        self.make_room_for_answer(key, PRELUDE)
    }

    /// The response of an HTTP receiver: a streaming one begins now, a polling one with its frame.
    pub(super) fn begin_receiver(
        &mut self,
        exchange: &Exchange<'_>,
        session: Key<Session>,
        transport: Transport,
        label: Label,
        callback: Option<Callback>,
    ) {
        if !self.make_room_for_receiver(exchange.key) {
            return;
        }
        let Some(connection) = self.connections.get_mut(exchange.key) else { return };
        if transport.is_polling() {
            self.memory.buffers.scratch.clear();
            label
                .head(&mut self.memory.buffers.scratch, exchange, 200, &self.endpoints, &self.time.date)
                .leave_open();
            let head = Box::from(self.memory.buffers.scratch.as_slice());
            let keep_alive = exchange.keep_alive;
            connection.begin_poll(Poll { session, transport, head, callback, keep_alive });
            return self.book_connection(exchange.key);
        }
        let chunked = exchange.is_http11();
        // A stream of HTTP/1.0 ends with its connection.
        let exchange = Exchange { keep_alive: exchange.keep_alive && chunked, ..*exchange };
        self.memory.buffers.scratch.clear();
        let endpoint = label.endpoint.and_then(|number| self.endpoints.of(number));
        let is_open_to_host = endpoint.is_none_or(|endpoint| endpoint.origins.is_empty());
        let limit = endpoint.map_or(0, |endpoint| endpoint.options.response_limit);
        let callback = callback.as_ref().map_or("", Callback::as_str);
        transport.prelude(callback, is_open_to_host, &mut self.memory.buffers.scratch);
        connection.outbox.write_long(self.memory.buffers.scratch.len(), &mut self.memory.pool, |out| {
            let head = label.head(out, &exchange, 200, &self.endpoints, &self.time.date);
            if chunked {
                head.chunked();
                http::write_chunk(out, &[&self.memory.buffers.scratch]);
            } else {
                head.end();
                out.extend_from_slice(&self.memory.buffers.scratch);
            }
        });
        let keep_alive = exchange.keep_alive;
        let left = u32::try_from(limit).unwrap_or(u32::MAX);
        let stream = Stream { session, transport, chunked, keep_alive, left };
        connection.begin_stream(stream, self.time.now());
        self.leave_wait_to_session(exchange.key);
        self.send_later(exchange.key);
    }

    /// Sends one frame through a receiver, which may end with it.
    pub(super) fn emit(&mut self, key: Key<Connection>, frame: Frame<'_>) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        if connection.is_gone() {
            // It was dropped as its response was to begin.
            return;
        }
        let has_ended = connection.write_frame(frame, &mut self.memory.pool);
        self.send_later(key);
        if has_ended {
            self.await_reader(key);
        }
    }

    /// The last byte of a receiver's response. It is its session's receiver until that byte has left.
    pub(super) fn end_response(&mut self, key: Key<Connection>) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        if connection.end_response(&mut self.memory.pool) {
            self.send_later(key);
            self.await_reader(key);
        }
    }

    /// Puts everything that a session has for its client into the receiver, if there is one whose socket takes it.
    pub(super) fn flush_session(&mut self, key: Key<Session>) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let Some(receiver) = session.receiver else {
            session.queue.shrink();
            return self.memory.book_session(session);
        };
        let Some(connection) = self.connections.get(receiver) else { return };
        if !connection.pace.takes_bytes() || matches!(connection.writing(), Writing::Last { .. }) {
            // The queue becomes one frame when the client reads again, or comes with the next receiver.
            session.queue.shrink();
            return self.memory.book_session(session);
        }
        self.emit_all(key);
    }

    /// The same even if the socket takes nothing now: all queued messages in one frame, and the close frame of a closed
    /// session.
    pub(super) fn emit_all(&mut self, key: Key<Session>) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let Some(receiver) = session.receiver else { return };
        if !session.queue.is_empty() {
            session.since = self.time.now();
            let mut queue = std::mem::take(&mut session.queue);
            self.memory.book_session(session);
            self.emit(receiver, Frame::Messages(&mut queue));
        }
        if let Some(Session { state: State::Closed { close, .. }, .. }) = self.sessions.get(key) {
            let close = close.clone();
            self.send_close(receiver, key, &close);
        }
    }

    /// While a flush is left over, the answer to what has just arrived on a connection does not wait for the rest of
    /// it. (Other connections for which it caused something do.)
    pub(super) fn answer_ahead(&mut self, key: Key<Connection>) {
        if self.turn.flush != Flush::Writing || self.turn.ahead.is_some() {
            return;
        }
        let socket = self.connections.get(key).and_then(Connection::websocket);
        if let Some(session) = socket.map(|socket| socket.session)
            && self.queues.unflushed.remove(&mut self.sessions, session)
        {
            self.flush_session(session);
        }
        if self.queues.unsent.remove(&mut self.connections, key) {
            self.turn.ahead = Some(key);
        }
    }

    /// The close frame of a closed session, and the end of the receiver that carries it. (A polling receiver that had
    /// to carry messages has ended with them, and so has a streaming one at its limit: then the next one gets it.)
    fn send_close(&mut self, receiver: Key<Connection>, key: Key<Session>, close: &Close) {
        let Some(session) = self.sessions.get(key) else { return };
        let is_raw = session.transport == Transport::RawWebSocket;
        if !is_raw {
            let mut frame = self.memory.pool.take(0);
            write_close_frame(&mut frame, close.code, &close.reason);
            self.emit(receiver, Frame::Whole(&frame));
            self.memory.pool.give(frame);
        }
        let Some(connection) = self.connections.get_mut(receiver) else { return };
        match connection.writing() {
            Writing::Frames(_) => {
                let (code, reason) = match (is_raw, close.cause) {
                    (true, _) if is_valid_received_code(close.code) => (close.code, close.reason.as_str()),
                    (true, _) => (close::NORMAL, close.reason.as_str()),
                    (false, Cause::Shutdown) => (close::GOING_AWAY, close.reason.as_str()),
                    (false, _) => (close::NORMAL, "Normal closure"),
                };
                connection.outbox.write(&mut self.memory.pool, |out| write_close(out, Some(code), reason));
                connection.await_close_frame(self.time.now());
                self.send_later(receiver);
                self.arm_connection(receiver);
                self.detach(key, receiver, self.time.now());
            }
            Writing::Stream(_) => self.end_response(receiver),
            Writing::Idle | Writing::Owed(_) | Writing::Abandoned | Writing::Poll(_) => {}
            Writing::Deferred { .. } | Writing::Download(_) | Writing::Last { .. } => {}
            Writing::Closing | Writing::Shut | Writing::Gone => {}
        }
    }

    /// Closes a receiver that its session does not take: another one is attached, or the session is gone.
    pub(super) fn turn_away(&mut self, key: Key<Connection>, code: u16, reason: &str) {
        let mut frame = self.memory.pool.take(0);
        write_close_frame(&mut frame, code, reason);
        self.emit(key, Frame::Whole(&frame));
        self.memory.pool.give(frame);
        self.end_response(key);
        if let Some(connection) = self.connections.get_mut(key) {
            connection.disown();
        }
    }
}

impl Engine {
    /// Another receiver for a session that is there. Whether it is the only one is known when the driver has
    /// looked at the socket of the first: a client that hung up before it came back must not be refused
    /// because of its own first receiver.
    pub(super) fn attach_or_wait(&mut self, key: Key<Connection>, session: Key<Session>) {
        self.note_request(session);
        match self.sessions.get(session).and_then(|session| session.receiver) {
            Some(_) => self.queues.second_receivers.push_back(key),
            None => self.attach(key, session),
        }
    }

    /// The next receiver whose session has a second one, and at which the driver must look before that is decided.
    pub(super) fn next_to_probe(&mut self) -> Option<Key<Connection>> {
        while let Some(second) = self.queues.second_receivers.get(self.queues.probed) {
            self.queues.probed += 1;
            let session = self.connections.get(*second).and_then(Connection::session);
            let first = session.and_then(|session| self.sessions.get(session)?.receiver);
            if first.is_some_and(|first| first != *second) {
                return first;
            }
        }
        None
    }

    /// Decides what the second receivers get, now that the driver has looked at the first ones.
    pub(super) fn settle_second_receivers(&mut self) {
        self.queues.probed = 0;
        while let Some(key) = self.queues.second_receivers.pop_front() {
            let Some(session) = self.connections.get(key).and_then(Connection::session) else { continue };
            self.give_up_first_receiver(session, key);
            match self.sessions.get(session).map(|session| session.receiver) {
                Some(Some(first)) if first != key => {
                    self.turn_away(key, 2010, "Another connection still open")
                }
                Some(_) => self.attach(key, session),
                None => self.turn_away(key, INTERRUPTED.0, INTERRUPTED.1),
            }
            let Some(connection) = self.connections.get(key) else { continue };
            if connection.inflow.is_end_known() && connection.writing().is_http_receiver() {
                // Its client has hung up before it was decided that this is a receiver.
                self.end_receiver(key);
            }
        }
    }

    /// Gives up a first receiver whose client has hung up, and is here with a second one: the client cannot have
    /// read bytes that have not left.
    pub(super) fn give_up_first_receiver(&mut self, session: Key<Session>, second: Key<Connection>) {
        let Some(first) = self.sessions.get(session).and_then(|session| session.receiver) else { return };
        if first == second || !self.connections.get(first).is_some_and(|it| it.inflow.is_end_known()) {
            return;
        }
        self.receiver_broke_off(session, first);
        if let Some(first) = self.connections.get_mut(first) {
            first.disown();
        }
    }

    /// Whether a connection is a receiver of this session. One that ended for want of memory carries nothing: then the
    /// session waits for the next one.
    pub(super) fn carries(&self, key: Key<Connection>, session: Key<Session>) -> bool {
        self.connections.get(key).and_then(Connection::session) == Some(session)
    }

    pub(super) fn attach(&mut self, key: Key<Connection>, session: Key<Session>) {
        if !self.carries(key, session) {
            return;
        }
        self.set_receiver(session, key);
        let Some(state) = self.sessions.get_mut(session) else { return };
        state.since = self.time.now();
        self.flush_session(session);
        self.arm_session(session);
    }

    /// The client of a receiver has hung up. How packets and turns were cut must not matter: messages that
    /// the session has by now may end the response as they should; and whether the session takes this
    /// receiver may be open until the flush.
    pub(super) fn end_receiver(&mut self, key: Key<Connection>) {
        let Some(session) = self.connections.get(key).and_then(Connection::session) else { return };
        let is_settled = self.sessions.get(session).is_some_and(|session| session.receiver == Some(key));
        if is_settled {
            self.emit_all(session);
        }
        let has_last =
            self.connections.get(key).is_some_and(|it| matches!(it.writing(), Writing::Last { .. }));
        // The end stays noted in `inflow` until the last byte has left, or it is known
        // which receiver the session keeps.
        if is_settled && !has_last {
            self.end_behind_output(key);
        }
    }

    /// The same where the end stands behind bytes that are not welcome now: a response that is under way cannot reach
    /// its client any more. For all other connections the end is dealt with behind those bytes.
    pub(super) fn end_behind_unread(&mut self, key: Key<Connection>) {
        match self.connections.get(key).map(Connection::writing) {
            Some(writing) if writing.is_http_receiver() => self.end_receiver(key),
            Some(Writing::Deferred { .. }) => self.end_behind_output(key),
            _ => {}
        }
    }

    /// Ends a WebSocket: `code` and `reason` go to the client, `close` to the application.
    pub(super) fn end_websocket(
        &mut self,
        key: Key<Connection>,
        code: Option<u16>,
        reason: &str,
        close: Close,
    ) {
        let session = self.connections.get(key).and_then(Connection::session);
        if let Some(session) = session {
            // Messages that were sent before the close leave before it, even if the client does not read just now: how
            // frames were cut into packets must not matter.
            self.emit_all(session);
        }
        let Some(connection) = self.connections.get_mut(key) else { return };
        if connection.websocket().is_some() {
            connection.outbox.write(&mut self.memory.pool, |out| write_close(out, code, reason));
        }
        connection.close();
        self.send_later(key);
        if let Some(session) = session {
            self.close_session(session, close);
            self.detach(session, key, self.time.now());
        }
    }

    /// Fails a WebSocket whose client broke a rule: sends a close frame with the code, and
    /// reads no more (RFC 6455 §7.1.7).
    pub(super) fn fail_websocket(&mut self, key: Key<Connection>, code: u16, reason: &str) {
        self.note_refusal(key, code);
        self.end_websocket(key, Some(code), reason, Close::new(code, reason, Cause::Protocol));
    }

    /// The client's close frame: answered once, with the same code (RFC 6455 §5.5.1).
    pub(super) fn answer_close(&mut self, key: Key<Connection>, frame: Option<(u16, &str)>) {
        let (code, reason) = frame.unwrap_or((close::NO_STATUS, ""));
        let echoed = frame.map(|(code, _)| code);
        self.end_websocket(key, echoed, "", Close::new(code, reason, Cause::Client));
    }
}
