//! What each wait means: one timer for each connection and each session, and what its state says of its deadline.
//!
//! Timers are lazy. A wait that moves back (activity on a connection, a frame on a receiver) only notes the time; the
//! timer runs out as it was armed, finds that it is early, and is armed for what is left.

use super::connection::{Connection, Flow, Phase, Ping, Stream};
use super::endpoint::{Endpoint, millis};
use super::session::{Session, State};
use super::{Engine, Millis, ServerOptions, Stage};
use crate::collections::Key;

/// Whose timer it is.
#[derive(Clone, Copy)]
pub(super) enum Owner {
    Connection(Key<Connection>),
    Session(Key<Session>),
}

impl Engine {
    /// When something is due next.
    pub fn next_deadline(&self) -> Option<Millis> {
        sooner(self.timers.next_deadline(), self.app_timers.next_deadline())
    }

    /// Makes sure that the timer of a connection runs out no later than what it waits for.
    pub(super) fn arm_connection(&mut self, key: Key<Connection>) {
        let longest_stall = self.longest_stall();
        let Some(connection) = self.connections.get_mut(key) else { return };
        let phase = patience(&self.options, self.stage, connection)
            .map(|patience| connection.since.saturating_add(patience));
        let stall = match connection.flow {
            Flow::Stalled(since) => Some(since.time().saturating_add(longest_stall)),
            Flow::Open => None,
        };
        let Some(deadline) = sooner(phase, stall) else { return };
        if self.timers.deadline(&connection.timer).is_none_or(|armed| armed > deadline) {
            self.timers.arm(&mut connection.timer, Owner::Connection(key), deadline);
        }
    }

    /// How long a client may take nothing of what waits for it.
    pub(super) fn longest_stall(&self) -> Millis {
        let wait = millis(self.options.write_stall);
        if self.stage == Stage::Stopping { wait.min(LAST_STALL) } else { wait }
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
pub(super) fn patience(options: &ServerOptions, stage: Stage, connection: &Connection) -> Option<Millis> {
    let patience = match connection.phase {
        Phase::Proxied | Phase::Idle { first: true } | Phase::Head(_) => options.head_timeout,
        Phase::Body(_) => options.body_timeout,
        Phase::Idle { first: false } | Phase::AwaitingClose(_) if !connection.outbox.is_empty() => {
            return None;
        }
        Phase::Idle { first: false } => options.keep_alive,
        Phase::AwaitingClose(_) | Phase::Lingering => options.close_timeout,
        Phase::Polling(_) | Phase::Streaming(_) | Phase::Ending { .. } | Phase::WebSocket(_) => return None,
        Phase::Delivering(_) | Phase::Finishing { .. } | Phase::Gone => return None,
    };
    Some(hurried(millis(patience), stage))
}

/// A server that stops waits for nobody for long.
pub(super) fn hurried(wait: Millis, stage: Stage) -> Millis {
    match stage {
        Stage::Serving => wait,
        Stage::Stopping => wait.min(LAST_WAIT),
    }
}

/// How long a client may take for its part of the closing handshake while the server stops, in milliseconds.
pub(super) const LAST_WAIT: Millis = 500;

/// How long it may take no byte of it.
pub(super) const LAST_STALL: Millis = 1000;

/// What a session waits for next.
pub(super) fn deadline(
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
            return Some(heartbeat.min(end_of_silence(session, stream, endpoint)));
        }
        Phase::Ending { .. } => return last_byte_deadline(connection, endpoint, stage),
        _ => return Some(heartbeat),
    };
    let liveness = match socket.ping {
        Ping::Rest | Ping::Outstanding(_) => Some(connection.since.saturating_add(endpoint.heartbeat_delay)),
        Ping::Sent if connection.flow == Flow::Open => {
            Some(connection.since.saturating_add(endpoint.pong_timeout))
        }
        // The ping, or what the client must read before it can answer, has not left.
        Ping::Queued | Ping::Sent => None,
    };
    sooner(liveness, Some(heartbeat))
}

/// When a session whose response has ended, but whose last byte the client does not take, is given up.
pub(super) fn last_byte_deadline(
    connection: &Connection,
    endpoint: &Endpoint,
    stage: Stage,
) -> Option<Millis> {
    match connection.flow {
        Flow::Stalled(_) => Some(connection.since.saturating_add(hurried(endpoint.disconnect_delay, stage))),
        // It leaves in this turn.
        Flow::Open => None,
    }
}

/// When a stream ends whose client makes no request: after two heartbeats, and with the second one where that is due a
/// little later, since each of them is late by a moment.
fn end_of_silence(session: &Session, stream: &Stream, endpoint: &Endpoint) -> Millis {
    let end = stream.asked.saturating_add(endpoint.heartbeat_delay.saturating_mul(2));
    let heartbeat = session.since.saturating_add(endpoint.heartbeat_delay);
    if (end..=end.saturating_add(LATE)).contains(&heartbeat) { heartbeat } else { end }
}

/// How late the second heartbeat of a stream may be, in milliseconds.
const LATE: Millis = 250;

/// Whether the client of a stream has made no request for so long that the stream must not go on.
pub(super) fn is_silent(
    session: &Session,
    connection: &Connection,
    endpoint: &Endpoint,
    until: Millis,
) -> bool {
    match &connection.phase {
        Phase::Streaming(stream) => end_of_silence(session, stream, endpoint) <= until,
        _ => false,
    }
}

pub(super) fn pong_is_overdue(connection: Option<&Connection>, endpoint: &Endpoint, until: Millis) -> bool {
    match connection {
        Some(Connection { phase: Phase::WebSocket(socket), flow: Flow::Open, since, .. }) => {
            socket.ping == Ping::Sent && until.saturating_sub(*since) >= endpoint.pong_timeout
        }
        _ => false,
    }
}

/// From when on the client can be waited for: it must first read what is on its way to it. A server that stops does not wait
/// so long.
pub(super) fn client_can_answer(connection: &Connection, now: Millis, stage: Stage) -> Millis {
    match stage {
        Stage::Serving => connection.read_by(now),
        Stage::Stopping => now,
    }
}
