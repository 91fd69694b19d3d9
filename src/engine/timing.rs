//! What each wait means: one timer for each connection and each session, and what its state says when it runs out.
//!
//! Timers are lazy. A wait that moves back (activity on a connection, a frame on a receiver) only notes the time; the
//! timer runs out as it was armed, finds that it is early, and is armed for what is left.

use super::connection::{Connection, Flow, Phase, Ping};
use super::endpoint::{Endpoint, millis};
use super::receivers::Frame;
use super::session::{Cause, Close, Session, State};
use super::{Application, Engine, Millis, ServerOptions, Stage};
use crate::collections::Key;
use crate::sockjs::{HEARTBEAT_FRAME, Transport};
use crate::websocket::close;
use crate::websocket::frame::{Opcode, write_header};

/// Whose timer it is.
#[derive(Clone, Copy)]
pub(super) enum Owner {
    Connection(Key<Connection>),
    Session(Key<Session>),
}

impl Engine {
    /// When something is due next.
    pub fn next_deadline(&self) -> Option<Millis> {
        sooner(self.timers.next_deadline(), self.alarms.next_deadline())
    }

    /// Whether something is to be told or sent, so that the next turn should be at once.
    pub fn is_pending(&self) -> bool {
        let told = self.drained.is_empty() && self.notices.is_empty();
        let sent = self.dirty.is_empty() && self.unflushed.is_empty();
        !(told && sent && self.postponed.is_empty())
    }

    /// Lets everything happen that is due; what is caused by it may make a flush due, and then the rest is for the next
    /// turn.
    pub(super) fn tick(&mut self, until: Millis, application: &mut dyn Application) {
        self.tell_drained(application);
        self.ring(application);
        while let Some(owner) = self.timers.expire(until) {
            match owner {
                Owner::Connection(key) => self.connection_timeout(key, until),
                Owner::Session(key) => self.session_timeout(key, until),
            }
            self.tell(application);
            if self.flush_due {
                break;
            }
        }
    }

    /// Tells those whose queue has drained; but where a flush is due, one of them, and the rest in the next turn.
    fn tell_drained(&mut self, application: &mut dyn Application) {
        for _ in 0..self.drained.len() {
            let Some(key) = self.drained.pop_front() else { break };
            if self.is_open(key) {
                application.drained(self, key);
                self.clock.read();
                self.tell(application);
            }
            if self.flush_due {
                break;
            }
        }
    }

    /// Makes sure that the timer of a connection runs out no later than what it waits for.
    pub(super) fn arm_connection(&mut self, key: Key<Connection>) {
        let longest_stall = self.longest_stall();
        let Some(connection) = self.connections.get_mut(key) else { return };
        let phase = patience(&self.options, self.stage, connection)
            .map(|patience| connection.since.saturating_add(patience));
        let stall = match connection.flow {
            Flow::Stalled(since) => Some(since.saturating_add(longest_stall)),
            Flow::Open => None,
        };
        let Some(deadline) = sooner(phase, stall) else { return };
        if self.timers.deadline(&connection.timer).is_none_or(|armed| armed > deadline) {
            self.timers.arm(&mut connection.timer, Owner::Connection(key), deadline);
        }
    }

    /// How long a client may take nothing of what waits for it.
    fn longest_stall(&self) -> Millis {
        let wait = millis(self.options.write_stall);
        if self.stage == Stage::Stopping { wait.min(LAST_STALL) } else { wait }
    }

    fn connection_timeout(&mut self, key: Key<Connection>, until: Millis) {
        let Some(connection) = self.connections.get(key) else { return };
        let waited = until.saturating_sub(connection.since);
        if let Flow::Stalled(since) = connection.flow
            && until.saturating_sub(since) >= self.longest_stall()
        {
            if let Some(session) = connection.session() {
                self.close_session(session, Close::new(1002, "Connection interrupted", Cause::Unresponsive));
            }
            return self.drop_connection(key);
        }
        if patience(&self.options, self.stage, connection).is_none_or(|patience| waited < patience) {
            return self.arm_connection(key);
        }
        match connection.phase {
            Phase::Head(_) | Phase::Body(_) => self.refuse_unfinished(key, 408),
            // Nothing was asked, or all was answered: there is nobody to tell.
            _ => self.drop_connection(key),
        }
    }

    /// Makes sure that the timer of a session runs out no later than what it waits for.
    pub(super) fn arm_session(&mut self, key: Key<Session>) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let Some(endpoint) = self.endpoints.get(usize::from(session.endpoint)) else { return };
        let connection = session.receiver.and_then(|receiver| self.connections.get(receiver));
        let Some(deadline) = deadline(session, connection, endpoint, self.stage) else { return };
        if self.timers.deadline(&session.timer).is_none_or(|armed| armed > deadline) {
            self.timers.arm(&mut session.timer, Owner::Session(key), deadline);
        }
    }

    fn session_timeout(&mut self, key: Key<Session>, until: Millis) {
        let Some(session) = self.sessions.get(key) else { return };
        let Some(endpoint) = self.endpoints.get(usize::from(session.endpoint)) else { return };
        let connection = session.receiver.and_then(|receiver| self.connections.get(receiver));
        if deadline(session, connection, endpoint, self.stage).is_none_or(|deadline| deadline > until) {
            return self.arm_session(key);
        }
        match session.receiver {
            None => self.expire_session(key),
            Some(receiver) if pong_is_overdue(connection, endpoint, until) => {
                let close = Close::new(close::ABNORMAL, "No answer to a ping", Cause::Unresponsive);
                self.close_session(key, close);
                self.drop_connection(receiver);
            }
            Some(receiver) if matches!(connection, Some(Connection { phase: Phase::Ending { .. }, .. })) => {
                // The end of its response is still here, and the client has not taken a byte of it for too long.
                self.close_session(key, Close::new(1002, "Connection interrupted", Cause::Unresponsive));
                self.drop_connection(receiver);
            }
            Some(receiver) => {
                let delay = endpoint.heartbeat_delay;
                let is_silent = is_silent(connection, endpoint, until);
                self.ping(receiver, until.saturating_sub(delay));
                self.beat(key, receiver, until.saturating_sub(delay));
                if is_silent {
                    // A client that is there opens the next stream at once; one that is not lets its session expire.
                    self.end_response(receiver, key);
                }
                self.arm_session(key);
            }
        }
    }

    /// Nothing was heard of a WebSocket's client after `since`: is it still there?
    fn ping(&mut self, receiver: Key<Connection>, since: Millis) {
        let Some(connection) = self.connections.get_mut(receiver) else { return };
        let Phase::WebSocket(socket) = &mut connection.phase else { return };
        if socket.ping != Ping::Rest || connection.since > since {
            return;
        }
        if connection.flow != Flow::Open {
            // A client that does not read cannot answer; the stall will end it.
            connection.since = self.clock.now();
            return;
        }
        socket.ping = Ping::Queued;
        connection.outbox.write(&mut self.memory, |out| write_header(out, Opcode::Ping, 0));
        self.mark_dirty(receiver);
    }

    /// Nothing was sent to a client after `since`: proxies and clients want to see that somebody is there.
    fn beat(&mut self, key: Key<Session>, receiver: Key<Connection>, since: Millis) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        if session.since > since {
            return;
        }
        session.since = self.clock.now();
        let speaks_sockjs = session.transport != Transport::RawWebSocket;
        // What waits already will show it, or the stall will end it.
        if speaks_sockjs && self.connections.get(receiver).is_some_and(|it| it.flow == Flow::Open) {
            self.emit(receiver, Frame::Whole(HEARTBEAT_FRAME));
        }
    }
}

/// The sooner of two times that may never come.
pub fn sooner<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// How long a connection may stay in its phase. While an answer is on its way out the client is not the one to hurry:
/// whether it reads at all is the stall's affair.
fn patience(options: &ServerOptions, stage: Stage, connection: &Connection) -> Option<Millis> {
    let patience = match connection.phase {
        Phase::Proxied | Phase::Idle { first: true } | Phase::Head(_) => options.head_timeout,
        Phase::Body(_) => options.body_timeout,
        Phase::Idle { first: false } | Phase::Farewell(_) if !connection.outbox.is_empty() => return None,
        Phase::Idle { first: false } => options.keep_alive,
        Phase::Farewell(_) | Phase::Lingering => options.close_timeout,
        Phase::Polling(_) | Phase::Streaming(_) | Phase::Ending { .. } | Phase::WebSocket(_) => return None,
        Phase::Delivering(_) | Phase::Finishing { .. } | Phase::Gone => return None,
    };
    Some(hurried(millis(patience), stage))
}

/// A server that stops waits for nobody for long.
fn hurried(wait: Millis, stage: Stage) -> Millis {
    match stage {
        Stage::Serving => wait,
        Stage::Stopping => wait.min(LAST_WAIT),
    }
}

/// How long a client may take for its part of the goodbye while the server stops, in milliseconds.
const LAST_WAIT: Millis = 500;

/// How long it may take no byte of it.
const LAST_STALL: Millis = 1000;

/// What a session waits for next.
fn deadline(
    session: &Session,
    connection: Option<&Connection>,
    endpoint: &Endpoint,
    stage: Stage,
) -> Option<Millis> {
    let Some(connection) = connection else {
        return Some(session.since.saturating_add(hurried(endpoint.disconnect_delay, stage)));
    };
    if let State::Closed { .. } = session.state {
        return None;
    }
    let heartbeat = session.since.saturating_add(endpoint.heartbeat_delay);
    let socket = match &connection.phase {
        Phase::WebSocket(socket) => socket,
        Phase::Streaming(stream) => {
            return Some(heartbeat.min(stream.asked.saturating_add(silence(endpoint))));
        }
        Phase::Ending { .. } => return last_byte_deadline(connection, endpoint, stage),
        _ => return Some(heartbeat),
    };
    let liveness = match socket.ping {
        Ping::Rest => Some(connection.since.saturating_add(endpoint.heartbeat_delay)),
        Ping::Sent if connection.flow == Flow::Open => {
            Some(connection.since.saturating_add(endpoint.pong_timeout))
        }
        // The ping, or what the client must read before it can answer, has not left.
        Ping::Queued | Ping::Sent => None,
    };
    sooner(liveness, Some(heartbeat))
}

/// When a session whose response has ended, but whose last byte the client does not take, is given up.
fn last_byte_deadline(connection: &Connection, endpoint: &Endpoint, stage: Stage) -> Option<Millis> {
    match connection.flow {
        Flow::Stalled(_) => Some(connection.since.saturating_add(hurried(endpoint.disconnect_delay, stage))),
        // It leaves in this turn.
        Flow::Open => None,
    }
}

/// How long a stream goes on without a request from its client.
fn silence(endpoint: &Endpoint) -> Millis {
    endpoint.heartbeat_delay.saturating_mul(2)
}

/// Whether the client of a stream has made no request for so long that the stream must not go on.
fn is_silent(connection: Option<&Connection>, endpoint: &Endpoint, until: Millis) -> bool {
    match connection {
        Some(Connection { phase: Phase::Streaming(stream), .. }) => {
            until.saturating_sub(stream.asked) >= silence(endpoint)
        }
        _ => false,
    }
}

fn pong_is_overdue(connection: Option<&Connection>, endpoint: &Endpoint, until: Millis) -> bool {
    match connection {
        Some(Connection { phase: Phase::WebSocket(socket), flow: Flow::Open, since, .. }) => {
            socket.ping == Ping::Sent && until.saturating_sub(*since) >= endpoint.pong_timeout
        }
        _ => false,
    }
}
