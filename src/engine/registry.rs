//! Endpoints and sessions: found, created, closed, forgotten (contract, section 7).
//!
//! Nothing here calls the application: that a session closed is noted, and told from `dispatch`.

use super::admission::Admitted;
use super::connection::Connection;
use super::endpoint::EndpointNumber;
use super::queues::Notice;
use super::session::{Cause, Close, INTERRUPTED, Origin, Session};
use super::{Engine, Millis, Stage};
use crate::collections::Key;
use crate::sockjs::{Route, Transport};
use crate::websocket::close::{self};

impl Engine {
    /// Whether a path exists here: its transport is on, and its session id of a length that may be.
    pub(super) fn is_offered(&self, number: EndpointNumber, route: Route<'_>) -> bool {
        let Some(endpoint) = self.endpoints.of(number) else { return false };
        let fits = match route {
            Route::Session { session, .. } => session.len() <= endpoint.options.session_id_length,
            Route::Iframe => endpoint.options.iframe,
            Route::Greeting | Route::Info | Route::RawWebSocket => true,
        };
        fits && route.is_enabled(endpoint.options.transports)
    }

    /// Whether requests for new sessions are answered 503 from now on, without a question to the application.
    pub fn refuse_sessions(&mut self, refuse: bool) {
        self.stage = match (self.stage, refuse) {
            (Stage::Serving | Stage::Draining, true) => Stage::Draining,
            (Stage::Serving | Stage::Draining, false) => Stage::Serving,
            (Stage::Stopping, _) => Stage::Stopping,
        };
    }

    /// Whether requests for new sessions are answered 503.
    pub fn refuses_sessions(&self) -> bool {
        self.stage != Stage::Serving
    }

    /// Whether a session is there and can be sent to.
    pub fn is_open(&self, key: Key<Session>) -> bool {
        self.sessions.get(key).is_some_and(Session::is_open)
    }

    /// The endpoint of a session.
    pub fn endpoint_of(&self, key: Key<Session>) -> Option<EndpointNumber> {
        self.sessions.get(key).map(|session| session.endpoint)
    }

    /// The transport by which a session was opened.
    pub fn transport(&self, key: Key<Session>) -> Option<Transport> {
        self.sessions.get(key).map(|session| session.transport)
    }

    /// The subprotocol that was chosen for a raw WebSocket.
    pub fn subprotocol(&self, key: Key<Session>) -> Option<&str> {
        let session = self.sessions.get(key)?;
        let spoken = &self.endpoints.of(session.endpoint)?.options.subprotocols;
        spoken.get(usize::from(session.subprotocol)).map(String::as_str)
    }

    /// How long the last ping of a WebSocket took that was answered.
    pub fn round_trip(&self, key: Key<Session>) -> Option<Millis> {
        let Origin::WebSocket(round_trip) = &self.sessions.get(key)?.origin else { return None };
        round_trip.last_measured()
    }

    /// Where the application keeps its own state of a session.
    pub fn state_slot(&self, key: Key<Session>) -> Option<u32> {
        self.sessions.get(key).map(|session| session.state_slot)
    }

    /// Notes where the application keeps its own state of a session.
    pub fn set_state_slot(&mut self, key: Key<Session>, slot: u32) {
        if let Some(session) = self.sessions.get_mut(key) {
            session.state_slot = slot;
        }
    }

    pub(super) fn find_session(&self, endpoint: EndpointNumber, id: &str) -> Option<Key<Session>> {
        self.endpoints.of(endpoint)?.table.find(&self.sessions, id.as_bytes())
    }

    /// The open sessions of an endpoint, oldest first.
    pub fn open_sessions(&self, number: EndpointNumber) -> impl Iterator<Item = Key<Session>> {
        let roster = self.endpoints.of(number).map(|endpoint| &endpoint.roster);
        let first = roster.and_then(|roster| roster.first(&self.sessions));
        std::iter::successors(first, move |key| roster?.next(&self.sessions, *key))
    }

    /// How many sessions of an endpoint are open.
    pub fn open_count(&self, number: EndpointNumber) -> usize {
        self.endpoints.of(number).map_or(0, |endpoint| endpoint.roster.len())
    }

    /// A new session, listed where it can be found; one that was refused is closed. It has no receiver yet.
    pub(super) fn create_session(
        &mut self,
        number: EndpointNumber,
        transport: Transport,
        id: Option<&str>,
        admitted: Admitted,
    ) -> Key<Session> {
        let Admitted { refused, client } = admitted;
        let mut session = Session::new(number, transport, id, self.time.now());
        let is_open = refused.is_none();
        if let Some(close) = refused {
            session.refuse(self.memory.fitting(close));
            self.memory.book_session(&mut session);
        }
        let key = self.sessions.insert(session);
        if let Some(endpoint) = self.endpoints.of_mut(number) {
            endpoint.sessions += 1;
            if is_open {
                endpoint.roster.push_back(&mut self.sessions, key);
            }
            if id.is_some() {
                endpoint.table.insert(&mut self.sessions, key);
                endpoint.detached.push_back(&mut self.sessions, key);
            }
        }
        self.arm_endpoint(number);
        if let Some(client) = client {
            self.clients.enter_session(client, key.index());
        }
        self.counters.opened += u64::from(is_open);
        if let Some(count) = self.counters.session_by(transport) {
            *count += 1;
        }
        key
    }

    /// The client of a session made a request for it. Where a streaming response is under way, nothing else shows that
    /// its client is still there: unread bytes fit into the buffers of operating systems for long.
    pub(super) fn note_request(&mut self, key: Key<Session>) {
        let Some(receiver) = self.sessions.get(key).and_then(|session| session.receiver) else { return };
        if let Some(receiver) = self.connections.get_mut(receiver) {
            receiver.note_request(self.time.now());
        }
    }

    /// Closes a session for the application; see [`Engine::close_session`].
    pub fn close(&mut self, key: Key<Session>, code: u16, reason: &str) -> bool {
        self.close_session(key, Close::new(code, reason, Cause::Application))
    }

    /// Ends a session. Its queue goes out, then the close frame; the application hears of it once.
    /// `false`: it was closed already.
    pub fn close_session(&mut self, key: Key<Session>, close: Close) -> bool {
        let close = self.memory.fitting(close);
        let Some(session) = self.sessions.get_mut(key) else { return false };
        if !session.close(close) {
            return false;
        }
        self.memory.book_session(session);
        session.app_timers.cancel_all(&mut self.time.app_timers);
        let number = session.endpoint;
        // Its close is told before the ends of the groups of which it was the last member.
        self.queues.notices.push_back(Notice::Closed(key));
        if let Some(endpoint) = self.endpoints.of_mut(number) {
            endpoint.roster.remove(&mut self.sessions, key);
            let notices = &mut self.queues.notices;
            let left = endpoint
                .groups
                .close_member(key.index(), |group| notices.push_back(Notice::Group(number, group)));
            self.turn.work.note_memberships(left);
        }
        self.queues.unflushed.push_back(&mut self.sessions, key);
        self.counters.closed += 1;
        true
    }

    /// A receiver has ended as it should; the session waits for the next one from then on, or is over.
    pub(super) fn detach(&mut self, key: Key<Session>, receiver: Key<Connection>, from: Millis) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        if session.receiver != Some(receiver) {
            return;
        }
        session.receiver = None;
        session.since = from;
        self.await_receiver(key);
        self.arm_session(key);
        self.release(key);
    }

    /// A receiver was cut off before its client can have had all of it, so the session is over.
    pub(super) fn receiver_broke_off(&mut self, key: Key<Session>, receiver: Key<Connection>) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        if session.receiver.is_some_and(|current| current != receiver) {
            // This receiver was turned away, or its client has come back already on another connection.
            return;
        }
        session.queue.give_back(&mut self.memory.pool);
        self.memory.book_session(session);
        let close = Close::new(session.broken_off_code(), INTERRUPTED.1, Cause::Interrupted);
        self.close_session(key, close);
        self.detach(key, receiver, self.time.now());
    }

    /// The client of a receiver takes nothing for too long: the session is over.
    pub(super) fn close_unresponsive(&mut self, key: Key<Session>) {
        let Some(session) = self.sessions.get(key) else { return };
        let close = Close::new(session.broken_off_code(), INTERRUPTED.1, Cause::Unresponsive);
        self.close_session(key, close);
    }

    /// No receiver came in time, or none will: later receivers do not find the session any more.
    pub(super) fn expire_session(&mut self, key: Key<Session>) {
        self.close_session(key, Close::new(close::ABNORMAL, "Session expired", Cause::Expired));
        self.forget_session(key);
    }

    /// No request finds a session any more. Its slot is freed when its handler was told.
    pub(super) fn forget_session(&mut self, key: Key<Session>) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        session.note_expired();
        if let Some(endpoint) = self.endpoints.of_mut(session.endpoint)
            && endpoint.table.remove(&mut self.sessions, key)
        {
            endpoint.detached.remove(&mut self.sessions, key);
            endpoint.forgotten += 1;
        }
        self.release(key);
    }

    /// A session waits for a receiver from now on. (None will come for one that no request can name.)
    pub(super) fn await_receiver(&mut self, key: Key<Session>) {
        let Some(session) = self.sessions.get(key).filter(|session| session.can_be_found()) else { return };
        let number = session.endpoint;
        if let Some(endpoint) = self.endpoints.of_mut(number) {
            // In the list already where its client was heard while it waited.
            endpoint.detached.remove(&mut self.sessions, key);
            endpoint.detached.push_back(&mut self.sessions, key);
        }
        self.arm_endpoint(number);
    }

    /// A session has a receiver.
    pub(super) fn set_receiver(&mut self, key: Key<Session>, receiver: Key<Connection>) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        session.receiver = Some(receiver);
        if let Some(endpoint) = self.endpoints.of_mut(session.endpoint) {
            endpoint.detached.remove(&mut self.sessions, key);
        }
    }

    /// Frees the slot of a session that is over.
    pub(super) fn release(&mut self, key: Key<Session>) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        if !session.is_over() {
            return;
        }
        session.queue.give_back(&mut self.memory.pool);
        self.memory.unbook_session(session);
        self.time.timers.cancel(&mut session.timer);
        let (number, has_id, transport) = (session.endpoint, session.id().is_some(), session.transport);
        if let Some(count) = self.counters.session_by(transport) {
            *count = count.saturating_sub(1);
        }
        self.queues.unflushed.remove(&mut self.sessions, key);
        if let Some(endpoint) = self.endpoints.of_mut(number) {
            endpoint.sessions -= 1;
            // One with an id is over when no request finds it.
            endpoint.forgotten -= usize::from(has_id);
        }
        self.clients.leave_session(key.index());
        self.sessions.remove(key);
    }
}
