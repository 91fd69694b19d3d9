//! Endpoints and sessions: found, created, closed, forgotten (contract, section 7).
//!
//! Nothing here calls the application: that a session closed is noted, and told from `dispatch`.

use std::sync::Arc;

use super::connection::{Connection, Phase};
use super::queues::Notice;
use super::session::{Cause, Close, Session, State};
use super::{Engine, Millis};
use crate::collections::Key;
use crate::sockjs::{Route, Transport};
use crate::websocket::close::{self};

/// What a receiver is told whose session was interrupted, or has gone while it came.
pub(super) const INTERRUPTED: (u16, &str) = (1002, "Connection interrupted");

impl Engine {
    /// The endpoint with the longest prefix that holds the path, and the path below it.
    pub(super) fn find_endpoint<'p>(&self, path: &'p str) -> Option<(u16, &'p str)> {
        let numbered = (0..).zip(&self.endpoints);
        let found = numbered.filter_map(|(number, endpoint)| Some((number, endpoint.below(path)?)));
        found.min_by_key(|(_, below)| below.len())
    }

    /// Whether a path exists here: its transport is on, and its session id of a length that may be.
    pub(super) fn is_offered(&self, number: u16, route: Route<'_>) -> bool {
        let Some(endpoint) = self.endpoints.get(usize::from(number)) else { return false };
        let fits = match route {
            Route::Session { session, .. } => session.len() <= endpoint.options.session_id_length,
            Route::Iframe => endpoint.options.iframe,
            Route::Greeting | Route::Info | Route::RawWebSocket => true,
        };
        fits && route.is_enabled(endpoint.options.transports)
    }

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

    pub(super) fn find_session(&self, endpoint: u16, id: &str) -> Option<Key<Session>> {
        self.endpoints.get(usize::from(endpoint))?.table.find(&self.sessions, id.as_bytes())
    }

    /// The open sessions of an endpoint, oldest first.
    pub fn open_sessions(&self, number: u16) -> impl Iterator<Item = Key<Session>> {
        let roster = self.endpoints.get(usize::from(number)).map(|endpoint| &endpoint.roster);
        let first = roster.and_then(|roster| roster.first(&self.sessions));
        std::iter::successors(first, move |key| roster?.next(&self.sessions, *key))
    }

    /// How many sessions of an endpoint are open.
    pub fn open_count(&self, number: u16) -> usize {
        self.endpoints.get(usize::from(number)).map_or(0, |endpoint| endpoint.roster.len())
    }

    /// A new session, listed where it can be found. It has no receiver yet.
    pub(super) fn create_session(
        &mut self,
        number: u16,
        transport: Transport,
        id: Option<&str>,
    ) -> Key<Session> {
        let key = self.sessions.insert(Session::new(number, transport, id, self.time.now()));
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

    /// The client of a session made a request for it. Where a streaming response is under way, nothing else shows that its
    /// client is still there: what it does not read fits into the buffers of operating systems for long.
    pub(super) fn note_request(&mut self, key: Key<Session>) {
        let Some(receiver) = self.sessions.get(key).and_then(|session| session.receiver) else { return };
        if let Some(Connection { phase: Phase::Streaming(stream), .. }) = self.connections.get_mut(receiver) {
            stream.asked = self.time.now();
        }
    }

    /// Closes a session for the application; see [`Engine::close_session`].
    pub fn close(&mut self, key: Key<Session>, code: u16, reason: &str) -> bool {
        self.close_session(key, Close::new(code, reason, Cause::Application))
    }

    /// Ends a session. What waits goes out, then the close frame; the application hears of it once. `false`: it was
    /// closed already.
    pub fn close_session(&mut self, key: Key<Session>, close: Close) -> bool {
        let Some(session) = self.sessions.get_mut(key) else { return false };
        let State::Open { skipped } = session.state else { return false };
        let close = Close { skipped, ..close };
        let lingers = session.id.is_some();
        session.state = State::Closed { close: Arc::new(close), told: false, lingers };
        self.time.alarms.cancel(&mut session.alarm);
        let number = session.endpoint;
        // Its close is told before the ends of the groups of which it was the last member.
        self.queues.notices.push_back(Notice::Closed(key));
        if let Some(endpoint) = self.endpoints.get_mut(usize::from(number)) {
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
        session.queue.clear(&mut self.memory.pool);
        self.memory.book_session(session);
        let code = if session.id.is_some() { INTERRUPTED.0 } else { close::ABNORMAL };
        self.close_session(key, Close::new(code, INTERRUPTED.1, Cause::Interrupted));
        self.detach(key, receiver, self.time.now());
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
    pub(super) fn release(&mut self, key: Key<Session>) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        if !matches!(session.state, State::Closed { told: true, lingers: false, .. })
            || session.receiver.is_some()
        {
            return;
        }
        session.queue.clear(&mut self.memory.pool);
        self.memory.book_session(session);
        self.time.timers.cancel(&mut session.timer);
        let (number, has_id, transport) = (session.endpoint, session.id.is_some(), session.transport);
        if let Some(count) = self.counters.session_by(transport) {
            *count = count.saturating_sub(1);
        }
        self.queues.unflushed.remove(&mut self.sessions, key);
        if let Some(endpoint) = self.endpoints.get_mut(usize::from(number)) {
            endpoint.sessions -= 1;
            if has_id {
                endpoint.table.remove(&mut self.sessions, key);
            }
        }
        self.sessions.remove(key);
    }
}
