//! The end: of what a client sends, of a connection, of the server.

use super::connection::{Connection, Flow, Phase, WebSocket};
use super::session::{Cause, Close, Session};
use super::{Application, Engine, Stage};
use crate::collections::Key;

impl Engine {
    /// The client sends no more. What it asked for before is answered; a receiver's response that does not end with this
    /// turn was broken off. In either case what was answered so far goes out.
    pub fn eof(&mut self, key: Key<Connection>, application: &mut dyn Application) {
        self.hear_out(key, application);
        let Some(connection) = self.connections.get(key) else { return };
        let goes_on = match &connection.phase {
            // Whether all of an answer arrives is known when it has left.
            Phase::Delivering(_) | Phase::Ending { .. } => true,
            _ if connection.postponed => true,
            Phase::WebSocket(WebSocket { rest: Some(_), .. }) => true,
            // What is here whole waits for the answers before it to leave.
            Phase::Idle { .. } | Phase::Head(_) | Phase::Body(_) | Phase::WebSocket(_) => {
                !connection.inbox.is_empty() && self.is_backed_up(connection)
            }
            _ => false,
        };
        match self.connections.get_mut(key) {
            Some(connection) if goes_on => connection.hung_up = true,
            Some(Connection {
                phase: Phase::Polling(_) | Phase::Streaming(_) | Phase::WebSocket(_), ..
            }) => self.end_receiver(key, true),
            _ => self.end_behind_output(key, true),
        }
        self.tell(application);
    }

    /// What waits in the inbox of a connection for no more than the last byte before it is dealt with.
    fn hear_out(&mut self, key: Key<Connection>, application: &mut dyn Application) {
        let Some(connection) = self.connections.get(key) else { return };
        if !connection.postponed && !connection.inbox.is_empty() {
            self.begin_share();
            self.consume_inbox(key, application);
        }
    }

    /// The same of a client that sent more before than is welcome now: a response that is under way cannot reach its end
    /// any more. Everybody else's end is seen behind what it sent.
    pub fn eof_behind_unread(&mut self, key: Key<Connection>, application: &mut dyn Application) {
        let phase = self.connections.get(key).map(|connection| &connection.phase);
        if let Some(Phase::Polling(_) | Phase::Streaming(_)) = phase {
            self.end_receiver(key, false);
            self.tell(application);
        }
    }

    /// The client of a receiver has hung up. How packets and turns were cut must not matter: what the session has for it by
    /// now may end the response; and whose receiver it is may be open until the end of the turn.
    pub(super) fn end_receiver(&mut self, key: Key<Connection>, peer_done: bool) {
        let Some(session) = self.connections.get(key).and_then(Connection::session) else { return };
        let is_settled = self.sessions.get(session).is_some_and(|session| session.receiver == Some(key));
        if is_settled {
            self.emit_all(session);
        }
        let Some(connection) = self.connections.get_mut(key) else { return };
        match connection.phase {
            Phase::Ending { .. } => connection.hung_up = peer_done,
            _ if !is_settled => connection.hung_up = peer_done,
            _ => self.end_behind_output(key, peer_done),
        }
    }

    /// Ends a connection whose client has hung up behind what waits for it. Its session hears that its receiver broke off.
    fn end_behind_output(&mut self, key: Key<Connection>, peer_done: bool) {
        if let Some(session) = self.connections.get(key).and_then(Connection::session) {
            self.receiver_broke_off(session, key);
        }
        let Some(connection) = self.connections.get_mut(key) else { return };
        if peer_done && connection.outbox.is_empty() {
            return self.drop_connection(key);
        }
        connection.enter(Phase::Finishing { peer_done }, &mut self.memory);
        self.drop_inbox(key);
        self.mark_dirty(key);
    }

    /// The connection is broken: reset, or failed in another way. What a WebSocket sent and the application did not hear is
    /// lost with it, as what is still in the socket.
    pub fn reset(&mut self, key: Key<Connection>, application: &mut dyn Application) {
        self.drop_connection(key);
        self.tell(application);
    }

    /// Ends a connection here and now. Its session hears that its receiver broke off. (Where the messages of a request are
    /// being told, their session lives on and hears them all; nobody is answered then.)
    pub(super) fn drop_connection(&mut self, key: Key<Connection>) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        connection.flow = Flow::Open;
        connection.outbox.clear(&mut self.memory);
        let session = connection.session();
        match &mut connection.phase {
            Phase::Gone => return,
            Phase::Delivering(delivery)
                if self.sessions.get(delivery.session).is_some_and(Session::is_open) =>
            {
                delivery.drop_answer(&mut self.memory);
                return self.drop_inbox(key);
            }
            _ => connection.enter(Phase::Gone, &mut self.memory),
        }
        self.timers.cancel(&mut connection.timer);
        self.drop_inbox(key);
        self.dirty.remove(&mut self.connections, key);
        self.gone.push_back(key);
        if let Some(session) = session {
            self.receiver_broke_off(session, key);
        }
    }

    /// The next connection whose socket is to be dropped; its key is free then.
    pub fn next_gone(&mut self) -> Option<Key<Connection>> {
        let key = self.gone.pop_front()?;
        self.connections.remove(key);
        Some(key)
    }

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
            // client between two polls, who comes for the close frame, and for one that was to read much first.
            connection.since = self.clock.now();
            if let Flow::Stalled(since) = &mut connection.flow {
                *since = self.clock.now();
            }
            if let Phase::Idle { first: false } = connection.phase
                && !awaits_receivers
                && connection.inbox.is_empty()
            {
                // Nobody needs it any more.
                connection.phase = Phase::Finishing { peer_done: false };
                self.mark_dirty(key);
            }
            self.arm_connection(key);
        }
        self.tell(application);
    }

    /// Whether nothing is left: no session to be told goodbye, no connection.
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
        // There is nobody left to be sent anything.
        self.pressed = false;
        self.tell(application);
        left
    }
}
