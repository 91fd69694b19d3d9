//! The end of the server: every session is told, and what is left is cut.

use super::application::Application;
use super::connection::{Flow, Phase, Stamp};
use super::session::{Cause, Close};
use super::{Engine, Stage};

impl Engine {
    /// Begins the end: no new connections or sessions, every session is closed with this code and reason, connections
    /// end behind what they are at, and the waits of the closing handshakes are short from now on.
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
            // Its last chance is a short one, but it begins now: for a request that is on its way, or not here whole, for a
            // client between two polls, which comes for the close frame, and for one that was to read much first.
            connection.since = self.time.now();
            if let Flow::Stalled(since) = &mut connection.flow {
                *since = Stamp::new(self.time.now());
            }
            if let Phase::Idle { first: false } = connection.phase
                && !awaits_receivers
                && connection.inbox.is_empty()
            {
                // No client needs it any more.
                connection.phase = Phase::Finishing { peer_done: false };
                self.send_later(key);
            }
            self.arm_connection(key);
        }
        self.notify(application);
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
        // There are no more turns: all that is left is told now, however much it is. It has an end, since sessions can no
        // longer join groups.
        while !(self.queues.notices.is_empty() && self.queues.next_notices.is_empty()) {
            // No client is left to be sent anything.
            self.turn.flush_due = false;
            self.memory.budget.begin_flush();
            self.turn.work.begin_turn();
            self.queues.notices.append(&mut self.queues.next_notices);
            self.notify(application);
        }
        left
    }
}
