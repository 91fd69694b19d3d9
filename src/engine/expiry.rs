//! What happens when a wait is over: a heartbeat, a ping, or the end of a connection or a session.

use super::body::Share;
use super::connection::Connection;
use super::pace::Flow;
use super::reading::Reading;
use super::session::{Cause, Close, Session};
use super::waits::{deadline, is_silent, patience, pong_is_overdue};
use super::writing::Frame;
use super::writing::{Ping, WebSocket, Writing};
use super::{Engine, Millis};
use crate::collections::Key;
use crate::sockjs::{HEARTBEAT_FRAME, Transport};
use crate::websocket::close::{self};

impl Engine {
    pub(super) fn connection_timeout(&mut self, key: Key<Connection>, until: Millis) {
        let Some(connection) = self.connections.get(key) else { return };
        let waited = until.saturating_sub(connection.since);
        if let Flow::Stalled(since) = connection.pace.flow
            && until.saturating_sub(since.time()) >= self.longest_stall()
        {
            if let Some(session) = connection.session() {
                self.close_unresponsive(session);
            }
            return self.drop_connection(key);
        }
        if patience(&self.options, self.stage, connection).is_none_or(|patience| waited < patience) {
            return self.arm_connection(key);
        }
        if let Writing::Download(download) = connection.writing()
            && download.share == Share::Pages
        {
            return self.press_on_with_download(key);
        }
        if let Writing::Deferred { .. } = connection.writing() {
            return self.answer_unanswered(key);
        }
        match connection.reading() {
            Reading::Head(_) | Reading::Body(_) => self.refuse_unfinished(key, 408),
            // Nothing was asked, or all was answered: a status would have no request.
            Reading::Proxied | Reading::First | Reading::Next | Reading::Delivering { .. } => {
                self.drop_connection(key)
            }
            Reading::Frames { .. } | Reading::Discarded(_) | Reading::Ignored => self.drop_connection(key),
        }
    }

    pub(super) fn session_timeout(&mut self, key: Key<Session>, until: Millis) {
        let Some(session) = self.sessions.get(key) else { return };
        let Some(endpoint) = self.endpoints.of(session.endpoint) else { return };
        let connection = session.receiver.and_then(|receiver| self.connections.get(receiver));
        if deadline(session, connection, endpoint, self.stage).is_none_or(|deadline| deadline > until) {
            if let Some(receiver) = session.receiver {
                self.ask_how_far(receiver, endpoint.pong_timeout);
            }
            return self.arm_session(key);
        }
        match session.receiver {
            None => self.expire_session(key),
            Some(receiver) if pong_is_overdue(connection, endpoint, until) => {
                let close = Close::new(close::ABNORMAL, "No answer to a ping", Cause::Unresponsive);
                self.close_session(key, close);
                self.drop_connection(receiver);
            }
            Some(receiver) if connection.is_some_and(|it| matches!(it.writing(), Writing::Last { .. })) => {
                // The end of the response is still in the outbox, and the client has not taken a
                // byte of it for too long.
                self.close_unresponsive(key);
                self.drop_connection(receiver);
            }
            Some(receiver) => {
                let delay = endpoint.heartbeat_delay;
                self.ping(receiver, until.saturating_sub(delay));
                self.beat(key, receiver, until.saturating_sub(delay));
                self.end_silent_stream(key, receiver, until);
                self.arm_session(key);
            }
        }
    }

    /// Pings a client that speaks all the time, if much is on its way to it. No heartbeat asks such a client whether it
    /// is there, so that nothing shows how much it has read. If a slow client would need longer for that than for a
    /// pong, the ping asks: otherwise the server would notice long after the client has gone.
    fn ask_how_far(&mut self, receiver: Key<Connection>, pong_timeout: Millis) {
        let now = self.time.now();
        let Some(connection) = self.connections.get_mut(receiver) else { return };
        let is_far = connection.pace.read_by(now) > now.saturating_add(pong_timeout);
        let Some(WebSocket { ping: Ping::Rest, .. }) = connection.websocket() else { return };
        if is_far && connection.pace.takes_bytes() {
            self.send_ping(receiver);
        }
    }

    /// Ends a stream whose client has made no request for long: a client that is there opens the next stream at once,
    /// and without one the session expires.
    fn end_silent_stream(&mut self, key: Key<Session>, receiver: Key<Connection>, until: Millis) {
        let Some(session) = self.sessions.get(key) else { return };
        let Some(endpoint) = self.endpoints.of(session.endpoint) else { return };
        let Some(connection) = self.connections.get(receiver) else { return };
        if is_silent(session, connection, endpoint, until) {
            self.end_response(receiver);
        }
    }

    /// Pings the client of a WebSocket that was not heard after `since`.
    pub(super) fn ping(&mut self, receiver: Key<Connection>, since: Millis) {
        let Some(connection) = self.connections.get_mut(receiver) else { return };
        let Some(WebSocket { ping: Ping::Rest | Ping::Outstanding(_), .. }) = connection.websocket() else {
            return;
        };
        if connection.since > since {
            return;
        }
        if !connection.pace.takes_bytes() {
            // A client that does not read cannot answer; the limit on stalls ends the connection.
            connection.since = self.time.now();
            return;
        }
        if !connection.await_outstanding_pong(self.time.now()) {
            self.send_ping(receiver);
        }
    }

    fn send_ping(&mut self, receiver: Key<Connection>) {
        let Some(connection) = self.connections.get_mut(receiver) else { return };
        connection.queue_ping(&mut self.memory.pool);
        self.send_later(receiver);
    }

    /// Sends a heartbeat through a receiver that got nothing after `since`: proxies close silent
    /// connections, and clients expect a frame.
    pub(super) fn beat(&mut self, key: Key<Session>, receiver: Key<Connection>, since: Millis) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        if session.since > since {
            return;
        }
        session.since = self.time.now();
        let speaks_sockjs = session.transport != Transport::RawWebSocket;
        // A stalled receiver has bytes to read already, or the limit on stalls ends it.
        if speaks_sockjs && self.connections.get(receiver).is_some_and(|it| it.pace.takes_bytes()) {
            self.emit(receiver, Frame::Whole(HEARTBEAT_FRAME));
        }
    }
}
