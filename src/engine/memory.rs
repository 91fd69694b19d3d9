//! The memory of connections and sessions: the account, and the spare buffers.

use super::Engine;
use super::budget::{Budget, Footprint, Purpose};
use super::connection::Connection;
use super::pool::{Buffers, Pool};
use super::session::{Close, Session};
use crate::websocket::close::{REASON_LIMIT, truncate_reason};

/// The account of memory and the spare buffers.
pub(super) struct Memory {
    pub(super) budget: Budget,
    pub(super) pool: Pool,
    pub(super) buffers: Buffers,
    /// No connection is known to take nothing, so that none can make room before another one stalls.
    pub(super) nothing_stalled: bool,
}

impl Memory {
    /// An account of so many bytes at most.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            budget: Budget::new(limit),
            pool: Pool::default(),
            buffers: Buffers::default(),
            nothing_stalled: false,
        }
    }

    /// Books what a connection holds now, in place of what was booked for it before.
    pub(super) fn book_connection(&mut self, connection: &mut Connection) {
        let now = connection.footprint();
        self.budget.book(&mut connection.booked, now);
    }

    /// A connection is removed: nothing stays booked for it.
    pub(super) fn unbook_connection(&mut self, connection: &mut Connection) {
        self.budget.book(&mut connection.booked, Footprint::default());
    }

    /// A close as it can be kept for its session: a program's reason that is longer than a WebSocket carries (RFC 6455
    /// §5.5) is cut to that where there is no room for it.
    pub(super) fn fitting(&self, mut close: Close) -> Close {
        let length = close.reason.len();
        if length > REASON_LIMIT && !self.budget.admit(Purpose::Queued, length) {
            close.reason = truncate_reason(&close.reason).to_owned();
        }
        close
    }

    /// Books what a session holds now, in place of what was booked for it before.
    pub(super) fn book_session(&mut self, session: &mut Session) {
        self.book_for_session(session, session.footprint());
    }

    /// A session is about to be forgotten: nothing stays booked for it.
    pub(super) fn unbook_session(&mut self, session: &mut Session) {
        self.book_for_session(session, 0);
    }

    fn book_for_session(&mut self, session: &mut Session, now: u32) {
        let mut booked = Footprint { input: 0, output: std::mem::replace(&mut session.booked, now) };
        self.budget.book(&mut booked, Footprint { input: 0, output: now });
    }
}

impl Engine {
    /// For tests: whether each endpoint counts its sessions, and lists those that wait for a receiver.
    fn audit_places(&self) -> Result<(), String> {
        for (number, endpoint) in self.endpoints.numbered() {
            let all = || self.sessions.iter().map(|(_, it)| it).filter(|it| it.endpoint == number);
            let detached = all().filter(|it| it.detached.is_linked()).count();
            let waiting = all().filter(|it| it.can_be_found() && it.receiver.is_none()).count();
            let found = all().filter(|it| it.can_be_found()).count();
            let named = all().filter(|it| it.id().is_some()).count();
            let lists = [endpoint.detached.len(), detached, waiting];
            let counts = (all().count(), found, named - found);
            if lists != [detached; 3]
                || counts != (endpoint.sessions, endpoint.table.len(), endpoint.forgotten)
            {
                return Err(format!("{lists:?} sessions wait, {counts:?} are there, found and forgotten"));
            }
        }
        Ok(())
    }

    /// For tests: compares what is booked with what connections and sessions hold, and groups with open
    /// sessions, and says where both differ.
    ///
    /// # Errors
    /// The first difference, in words.
    pub fn audit(&self) -> Result<(), String> {
        let connections = self.connections.iter().map(|(key, it)| (key.index(), it.booked, it.footprint()));
        let output = |output| Footprint { input: 0, output };
        let sessions =
            self.sessions.iter().map(|(key, it)| (key.index(), output(it.booked), output(it.footprint())));
        for (number, endpoint) in self.endpoints.numbered() {
            endpoint.groups.audit_groups(|slot| {
                self.sessions.at(slot).is_some_and(|it| it.is_open() && it.endpoint == number)
            })?;
        }
        self.audit_places()?;
        let deferred = self.connections.iter().filter(|(_, it)| it.deferred().is_some()).count();
        if deferred != self.counters.deferred {
            return Err(format!("{deferred} requests wait, and {} are counted", self.counters.deferred));
        }
        let mut sum = 0;
        for (index, booked, held) in connections.chain(sessions) {
            if booked != held {
                return Err(format!("entry {index} holds {held:?}, and {booked:?} is booked"));
            }
            sum += booked.input as usize + booked.output as usize;
        }
        match self.memory.budget.booked() {
            booked if booked == sum => Ok(()),
            booked => Err(format!("{booked} bytes are booked, and {sum} are held")),
        }
    }
}
