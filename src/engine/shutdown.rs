//! The end of the server: every session is told, and the rest is cut; and the end of a session that is not told.

use super::application::Application;
use super::connection::{Flow, Phase, Stamp};
use super::registry::INTERRUPTED;
use super::session::{Cause, Close, Session};
use super::{Engine, Stage};
use crate::collections::Key;
use crate::websocket::close;

impl Engine {
    /// Begins the end: no new connections or sessions, every session is closed with this code and reason, connections
    /// end behind what they are at, and the waits of the closing handshakes are short from now on.
    pub fn stop(&mut self, code: u16, reason: &str, application: &mut dyn Application) {
        self.stage = Stage::Stopping;
        self.clock.read();
        let mut awaits_receivers = false;
        let keys: Vec<_> = self.sessions.iter().map(|(key, _)| key).collect();
        for key in keys {
            self.close_session(key, Close::new(code, reason, Cause::Shutdown));
            if let Some(session) = self.sessions.get_mut(key)
                && session.receiver.is_none()
            {
                awaits_receivers = true;
                session.since = self.clock.now();
                self.arm_session(key);
            }
        }
        let keys: Vec<_> = self.connections.iter().map(|(key, _)| key).collect();
        for key in keys {
            let Some(connection) = self.connections.get_mut(key) else { continue };
            // Its last chance is a short one, but it begins now: for a request that is on its way, or not here whole, for a
            // client between two polls, which comes for the close frame, and for one that was to read much first.
            connection.since = self.clock.now();
            if let Flow::Stalled(since) = &mut connection.flow {
                *since = Stamp::new(self.clock.now());
            }
            if let Phase::Idle { first: false } = connection.phase
                && !awaits_receivers
                && connection.inbox.is_empty()
            {
                // No client needs it any more.
                connection.phase = Phase::Finishing { peer_done: false };
                self.mark_dirty(key);
            }
            self.arm_connection(key);
        }
        self.notify(application);
    }

    /// Ends a session at once: messages that wait for its client are dropped, and its receiver with them. The application hears of it
    /// behind the call. `false`: it was closed already, and its receiver is dropped all the same.
    ///
    /// A session over HTTP can be found until `disconnect_delay` has passed, as one that was interrupted: otherwise the next
    /// poll of its client would open a session anew.
    pub fn terminate(&mut self, key: Key<Session>) -> bool {
        let Some(session) = self.sessions.get_mut(key) else { return false };
        let code = if session.id.is_some() { INTERRUPTED.0 } else { close::ABNORMAL };
        let receiver = session.receiver;
        session.queue.clear(&mut self.pool);
        self.book_session(key);
        let was_open = self.close_session(key, Close::new(code, "Session terminated", Cause::Terminated));
        if let Some(receiver) = receiver {
            self.drop_connection(receiver);
        }
        was_open
    }

    /// Whether nothing is left: no session and no connection.
    pub fn is_empty(&self) -> bool {
        self.connections.is_empty() && self.sessions.is_empty()
    }

    /// Cuts what is left, sessions and connections, and says how many of each.
    pub fn cut(&mut self, application: &mut dyn Application) -> (usize, usize) {
        let left = (self.sessions.len(), self.connections.len());
        let keys: Vec<_> = self.connections.iter().map(|(key, _)| key).collect();
        for key in keys {
            self.drop_connection(key);
        }
        let keys: Vec<_> = self.sessions.iter().map(|(key, _)| key).collect();
        for key in keys {
            self.expire_session(key);
        }
        // Those that were left for the sake of a session.
        let keys: Vec<_> = self.connections.iter().map(|(key, _)| key).collect();
        for key in keys {
            self.drop_connection(key);
        }
        // No client is left to be sent anything.
        self.flush_due = false;
        self.work.begin_turn();
        self.notify(application);
        left
    }
}
