//! What each connection and session holds is booked, after it was touched, for what was booked before.

use super::Engine;
use super::budget::Footprint;
use super::connection::Connection;
use super::session::Session;
use crate::collections::Key;

impl Engine {
    /// A connection was touched. Where output has grown much, a flush is due.
    pub(super) fn book_connection(&mut self, key: Key<Connection>) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let now = connection.footprint();
        self.budget.book(&mut connection.booked, now);
        self.flush_due |= self.budget.is_flush_due();
    }

    /// A session was touched.
    pub(super) fn book_session(&mut self, key: Key<Session>) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let (before, output) = (session.booked, session.footprint());
        session.booked = output;
        let mut booked = Footprint { input: 0, output: before };
        self.budget.book(&mut booked, Footprint { input: 0, output });
        self.flush_due |= self.budget.is_flush_due();
    }

    /// Whether what is booked is what is held, for tests: the sum of both, if they differ.
    pub fn audit(&self) -> Result<(), String> {
        for (key, connection) in self.connections.iter() {
            if connection.booked != connection.footprint() {
                let (booked, holds) = (connection.booked, connection.footprint());
                return Err(format!("connection {} holds {holds:?}, and {booked:?} is booked", key.index()));
            }
        }
        for (key, session) in self.sessions.iter() {
            if session.booked != session.footprint() {
                let (booked, holds) = (session.booked, session.footprint());
                return Err(format!("session {} holds {holds:?}, and {booked:?} is booked", key.index()));
            }
        }
        let connections =
            self.connections.iter().map(|(_, it)| it.booked.input as usize + it.booked.output as usize);
        let sum: usize = connections.chain(self.sessions.iter().map(|(_, it)| it.booked as usize)).sum();
        match self.budget.booked() {
            booked if booked == sum => Ok(()),
            booked => Err(format!("{booked} bytes are booked, and {sum} are held")),
        }
    }
}
