//! The end of the server: every session is closed, and connections that are still there at the end are cut. And the end
//! of a session of which its client is not told.

use super::application::Application;
use super::pace::{Flow, Stamp};
use super::reading::Reading;
use super::session::{Cause, Close, Session};
use super::writing::Writing;
use super::{Engine, Stage};
use crate::collections::Key;

impl Engine {
    /// Begins the end: no new connections or sessions, every session is closed with this code and reason, connections
    /// end behind their request, and the waits of the closing handshakes are short from now on.
    pub fn stop(&mut self, code: u16, reason: &str, application: &mut dyn Application) {
        self.stage = Stage::Stopping;
        self.time.read();
        let mut awaits_receivers = false;
        let keys: Vec<_> = self.sessions.iter().map(|(key, _)| key).collect();
        for key in keys {
            self.close_session(key, Close::new(code, reason, Cause::Shutdown));
            if let Some(session) = self.sessions.get_mut(key)
                && session.receiver.is_none()
            {
                awaits_receivers = true;
                session.since = self.time.now();
                self.arm_session(key);
            }
        }
        let keys: Vec<_> = self.connections.iter().map(|(key, _)| key).collect();
        for key in keys {
            let Some(connection) = self.connections.get_mut(key) else { continue };
            // The last wait is short, but it begins now: a request may be on its way, or not here whole; a client
            // between two polls comes for the close frame; another client had much to read first.
            connection.since = self.time.now();
            if let Flow::Stalled(since) = &mut connection.pace.flow {
                *since = Stamp::new(self.time.now());
            }
            if let (Reading::Next, Writing::Idle) = (connection.reading(), connection.writing())
                && !awaits_receivers
                && connection.inbox.is_empty()
            {
                // No session is without a receiver, so that no client comes back for a close frame on this connection.
                connection.close();
                self.send_later(key);
            }
            self.arm_connection(key);
        }
        self.notify(application);
    }

    /// Ends a session at once: messages that wait for its client are dropped, and its receiver with
    /// them. The application hears of it behind the call. `false`: it was closed already, and its
    /// receiver is dropped all the same.
    ///
    /// A session over HTTP can be found until `disconnect_delay` has passed, as one that was interrupted: otherwise the
    /// next poll of its client would open a session anew.
    pub fn terminate(&mut self, key: Key<Session>) -> bool {
        let Some(session) = self.sessions.get_mut(key) else { return false };
        let code = session.broken_off_code();
        let receiver = session.receiver;
        session.queue.give_back(&mut self.memory.pool);
        self.memory.book_session(session);
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

    /// Cuts the sessions and connections that are still there, and says how many of each.
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
        // Connections whose messages were being told were left until their sessions closed.
        let keys: Vec<_> = self.connections.iter().map(|(key, _)| key).collect();
        for key in keys {
            self.drop_connection(key);
        }
        // There are no more turns: all notices are told now, however many there are. They have an end, since
        // sessions can no longer join groups.
        while !(self.queues.notices.is_empty() && self.queues.next_notices.is_empty()) {
            // No connection is left to which a flush could write.
            self.turn.flush_requested = false;
            self.memory.budget.begin_flush();
            self.turn.work.begin_turn();
            self.queues.notices.append(&mut self.queues.next_notices);
            self.notify(application);
        }
        // The orders to drop connections are carried out, however much the telling was.
        self.turn.work.begin_turn();
        left
    }
}
