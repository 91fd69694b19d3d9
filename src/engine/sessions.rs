//! Sessions from their opening to their end: found, opened, closed, expired (PROTOCOL.md, section 7).

use std::sync::Arc;

use super::answers::Exchange;
use super::connection::{Connection, Phase};
use super::receivers::Frame;
use super::session::{Cause, Close, Session, State};
use super::{Application, Engine, Millis, Notice, Stage};
use crate::collections::Key;
use crate::sockjs::{OPEN_FRAME, Transport};
use crate::websocket::close::{self, write_close};

/// What a receiver is told whose session was interrupted, or has gone while it came.
const INTERRUPTED: (u16, &str) = (1002, "Connection interrupted");

impl Engine {
    /// Whether a session is there and can be sent to.
    pub fn is_open(&self, key: Key<Session>) -> bool {
        self.sessions.get(key).is_some_and(Session::is_open)
    }

    /// The endpoint of a session.
    pub fn endpoint_of(&self, key: Key<Session>) -> Option<u16> {
        self.sessions.get(key).map(|session| session.endpoint)
    }

    /// The transport by which a session was opened.
    pub fn transport(&self, key: Key<Session>) -> Option<Transport> {
        self.sessions.get(key).map(|session| session.transport)
    }

    /// Where the application keeps its own state of a session.
    pub fn slot(&self, key: Key<Session>) -> Option<u32> {
        self.sessions.get(key).map(|session| session.slot)
    }

    /// Notes where the application keeps its own state of a session.
    pub fn set_slot(&mut self, key: Key<Session>, slot: u32) {
        if let Some(session) = self.sessions.get_mut(key) {
            session.slot = slot;
        }
    }

    /// Closes a session for the application; see [`Engine::close_session`].
    pub fn close(&mut self, key: Key<Session>, code: u16, reason: &str) -> bool {
        self.close_session(key, Close::new(code, reason, Cause::Application))
    }

    pub(super) fn find_session(&self, endpoint: u16, id: &str) -> Option<Key<Session>> {
        self.endpoints.get(usize::from(endpoint))?.table.find(&self.sessions, id.as_bytes())
    }

    /// May one more session open here? `Err` holds the status of the refusal.
    pub(super) fn admit(
        &mut self,
        exchange: &Exchange<'_>,
        number: u16,
        transport: Transport,
        application: &mut dyn Application,
    ) -> Result<(), u16> {
        let endpoint = self.endpoints.get(usize::from(number)).ok_or(404_u16)?;
        if self.stage == Stage::Stopping || endpoint.sessions >= endpoint.options.sessions {
            self.note_refusal(exchange.key, 503);
            return Err(503);
        }
        let path = endpoint.shown(exchange.request.path(), transport);
        let request = self.show(exchange, path, Some(transport));
        let admission = application.admit(number, &request);
        self.clock.read();
        admission.inspect_err(|status| self.note_not_admitted(exchange.key, *status))
    }

    /// A new session, listed where it can be found. It has no receiver yet.
    pub(super) fn create_session(
        &mut self,
        number: u16,
        transport: Transport,
        id: Option<&str>,
    ) -> Key<Session> {
        let key = self.sessions.insert(Session::new(number, transport, id, self.clock.now()));
        if let Some(endpoint) = self.endpoints.get_mut(usize::from(number)) {
            endpoint.sessions += 1;
            endpoint.roster.push_back(&mut self.sessions, key);
            if id.is_some() {
                endpoint.table.insert(&mut self.sessions, key);
            }
        }
        self.counters.opened += 1;
        if let Some(count) = self.counters.session_by(transport) {
            *count += 1;
        }
        key
    }

    /// Sends the open frame through the first receiver, and tells the application.
    pub(super) fn open_session(
        &mut self,
        key: Key<Session>,
        exchange: &Exchange<'_>,
        application: &mut dyn Application,
    ) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        session.receiver = Some(exchange.key);
        let (number, transport) = (usize::from(session.endpoint), session.transport);
        if transport != Transport::RawWebSocket {
            self.emit(exchange.key, Frame::Whole(OPEN_FRAME));
        }
        self.arm_session(key);
        let path = self.endpoints.get(number).map_or("", |it| it.shown(exchange.request.path(), transport));
        let request = self.show(exchange, path, Some(transport));
        application.opened(self, key, &request);
        // What is sent first leaves now: the time that the application took is no part of any wait.
        let now = self.clock.read();
        if let Some(session) = self.sessions.get_mut(key) {
            session.since = now;
        }
        if let Some(Connection { phase: Phase::WebSocket(_), since, .. }) =
            self.connections.get_mut(exchange.key)
        {
            *since = now;
        }
    }

    /// The client of a session made a request for it. Where a streaming response is under way, nothing else shows that its
    /// client is still there: what it does not read fits into the buffers of operating systems for long.
    pub(super) fn note_request(&mut self, key: Key<Session>) {
        let Some(receiver) = self.sessions.get(key).and_then(|session| session.receiver) else { return };
        if let Some(Connection { phase: Phase::Streaming(stream), .. }) = self.connections.get_mut(receiver) {
            stream.asked = self.clock.now();
        }
    }

    /// Another receiver for a session that is there. Whether it is the only one is known once the reactor has looked
    /// at the socket of the first: a client that hung up before it came back is not told that it is still there.
    pub(super) fn contend(&mut self, key: Key<Connection>, session: Key<Session>) {
        self.note_request(session);
        match self.sessions.get(session).and_then(|session| session.receiver) {
            Some(first) => {
                self.to_probe.push_back(first);
                self.contenders.push_back(key);
            }
            None => self.attach(key, session),
        }
    }

    /// Decides what the second receivers get, now that the first ones were looked at.
    pub(super) fn settle_contenders(&mut self) {
        while let Some(key) = self.contenders.pop_front() {
            let Some(session) = self.connections.get(key).and_then(Connection::session) else { continue };
            self.give_up_first(session, key);
            match self.sessions.get(session).map(|session| session.receiver) {
                Some(Some(first)) if first != key => {
                    self.turn_away(key, 2010, "Another connection still open")
                }
                Some(_) => self.attach(key, session),
                None => self.turn_away(key, INTERRUPTED.0, INTERRUPTED.1),
            }
            let Some(connection) = self.connections.get(key) else { continue };
            if let (true, Phase::Polling(_) | Phase::Streaming(_)) = (connection.hung_up, &connection.phase) {
                // Its client has left meanwhile.
                self.end_receiver(key, true);
            }
        }
    }

    /// A first receiver whose client has hung up, but is here with a second: what has not left cannot have been read.
    fn give_up_first(&mut self, session: Key<Session>, second: Key<Connection>) {
        let Some(first) = self.sessions.get(session).and_then(|session| session.receiver) else { return };
        if first != second && self.connections.get(first).is_some_and(|first| first.hung_up) {
            self.receiver_broke_off(session, first);
            self.disown(first);
        }
    }

    fn attach(&mut self, key: Key<Connection>, session: Key<Session>) {
        let Some(state) = self.sessions.get_mut(session) else { return };
        state.receiver = Some(key);
        state.since = self.clock.now();
        self.flush_session(session);
        self.arm_session(session);
    }

    /// A receiver has ended as it should; the session waits for the next one from then on, or is over.
    pub(super) fn detach(&mut self, key: Key<Session>, receiver: Key<Connection>, from: Millis) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        if session.receiver != Some(receiver) {
            return;
        }
        session.receiver = None;
        session.since = from;
        self.arm_session(key);
        self.release(key);
    }

    /// A receiver was cut off before its client can have had all of it, so the session is over.
    pub(super) fn receiver_broke_off(&mut self, key: Key<Session>, receiver: Key<Connection>) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        if session.receiver.is_some_and(|current| current != receiver) {
            // It was turned away, or its client has come back already on another connection.
            return;
        }
        session.queue.clear(&mut self.memory);
        let code = if session.id.is_some() { INTERRUPTED.0 } else { close::ABNORMAL };
        self.close_session(key, Close::new(code, INTERRUPTED.1, Cause::Interrupted));
        self.detach(key, receiver, self.clock.now());
    }

    /// Ends a session. What waits goes out, then the close frame; the application hears of it once. `false`: it was
    /// closed already.
    pub fn close_session(&mut self, key: Key<Session>, close: Close) -> bool {
        let Some(session) = self.sessions.get_mut(key) else { return false };
        if !session.is_open() {
            return false;
        }
        let lingers = session.id.is_some();
        session.state = State::Closed { close: Arc::new(close), told: false, lingers };
        self.alarms.cancel(&mut session.alarm);
        if let Some(endpoint) = self.endpoints.get_mut(usize::from(session.endpoint)) {
            endpoint.roster.remove(&mut self.sessions, key);
        }
        self.unflushed.push_back(&mut self.sessions, key);
        self.notices.push_back(Notice::Closed(key));
        self.counters.closed += 1;
        true
    }

    pub(super) fn tell_closed(&mut self, key: Key<Session>, application: &mut dyn Application) {
        let Some(Session { state: State::Closed { close, told, .. }, .. }) = self.sessions.get_mut(key)
        else {
            return;
        };
        *told = true;
        let close = Arc::clone(close);
        application.closed(self, key, &close);
        self.release(key);
    }

    /// No receiver came in time, or none will: nobody can find the session any more.
    pub(super) fn expire_session(&mut self, key: Key<Session>) {
        self.close_session(key, Close::new(close::ABNORMAL, "Session expired", Cause::Expired));
        if let Some(Session { state: State::Closed { lingers, .. }, .. }) = self.sessions.get_mut(key) {
            *lingers = false;
        }
        self.release(key);
    }

    /// Frees the slot of a session of which nothing is left to do or to tell.
    fn release(&mut self, key: Key<Session>) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        if !matches!(session.state, State::Closed { told: true, lingers: false, .. })
            || session.receiver.is_some()
        {
            return;
        }
        session.queue.clear(&mut self.memory);
        self.timers.cancel(&mut session.timer);
        let (number, has_id, transport) = (session.endpoint, session.id.is_some(), session.transport);
        if let Some(count) = self.counters.session_by(transport) {
            *count = count.saturating_sub(1);
        }
        self.unflushed.remove(&mut self.sessions, key);
        if let Some(endpoint) = self.endpoints.get_mut(usize::from(number)) {
            endpoint.sessions -= 1;
            if has_id {
                endpoint.table.remove(&mut self.sessions, key);
            }
        }
        self.sessions.remove(key);
    }

    /// Fails a WebSocket for what its client did: a close frame with the code, and no more is read (RFC 6455 §7.1.7).
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

    fn end_websocket(&mut self, key: Key<Connection>, code: Option<u16>, reason: &str, close: Close) {
        let session = self.connections.get(key).and_then(Connection::session);
        if let Some(session) = session {
            // What was sent before leaves before, though the client may not read just now: how frames were cut into
            // packets must not matter.
            self.emit_all(session);
        }
        let Some(connection) = self.connections.get_mut(key) else { return };
        if let Phase::WebSocket(_) = connection.phase {
            connection.outbox.write(&mut self.memory, |out| write_close(out, code, reason));
        }
        connection.enter(Phase::Finishing { peer_done: false }, &mut self.memory);
        self.mark_dirty(key);
        if let Some(session) = session {
            self.close_session(session, close);
            self.detach(session, key, self.clock.now());
        }
    }
}
