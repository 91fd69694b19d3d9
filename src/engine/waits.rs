//! Waits: one timer for each connection, session and full endpoint, and the deadline that follows from its state.
//!
//! Timers are lazy. A wait that moves back (activity on a connection, a frame on a receiver) only notes the time; the
//! timer runs out as it was armed, finds that it is early, and is armed for the rest of the wait.

use std::time::Duration;

use super::body::Share;
use super::connection::Connection;
use super::endpoint::{Endpoint, EndpointNumber, millis};
use super::pace::Flow;
use super::reading::Reading;
use super::session::{Session, State};
use super::time::Owner;
use super::writing::{Ping, Writing};
use super::{Engine, Millis, ServerOptions, Stage};
use crate::collections::Key;

impl Engine {
    /// When something is due next.
    pub fn next_deadline(&self) -> Option<Millis> {
        sooner(self.time.timers.next_deadline(), self.time.app_timers.next_deadline())
    }

    /// Makes sure that the timer of a connection runs out no later than what it waits for.
    pub(super) fn arm_connection(&mut self, key: Key<Connection>) {
        let longest_stall = self.longest_stall();
        let Some(connection) = self.connections.get_mut(key) else { return };
        let phase = patience(&self.options, self.stage, connection)
            .map(|patience| connection.since.saturating_add(patience));
        let stall = match connection.pace.flow {
            Flow::Stalled(since) => Some(since.time().saturating_add(longest_stall)),
            Flow::Taking => None,
        };
        let Some(deadline) = sooner(phase, stall) else { return };
        if self.time.timers.deadline(&connection.timer).is_none_or(|armed| armed > deadline) {
            self.time.timers.arm(&mut connection.timer, Owner::Connection(key), deadline);
        }
    }

    /// From here on the timer of the session watches over the wait for the client; but not over answers in front of
    /// this one that are stuck in the outbox.
    pub(super) fn leave_wait_to_session(&mut self, key: Key<Connection>) {
        if let Some(connection) = self.connections.get_mut(key) {
            self.time.timers.cancel(&mut connection.timer);
        }
        self.arm_connection(key);
    }

    /// How long a client may take no byte of its outbox.
    pub(super) fn longest_stall(&self) -> Millis {
        let wait = millis(self.options.write_stall);
        if self.stage == Stage::Stopping { wait.min(LAST_STALL) } else { wait }
    }

    /// Makes sure that the timer of a session runs out no later than what it waits for.
    pub(super) fn arm_session(&mut self, key: Key<Session>) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let Some(endpoint) = self.endpoints.of(session.endpoint) else { return };
        let connection = session.receiver.and_then(|receiver| self.connections.get(receiver));
        let Some(deadline) = deadline(session, connection, endpoint, self.stage) else { return };
        if self.time.timers.deadline(&session.timer).is_none_or(|armed| armed > deadline) {
            self.time.timers.arm(&mut session.timer, Owner::Session(key), deadline);
        }
    }

    /// Where an endpoint is full, makes sure that the server wakes when sessions can make room that cannot yet.
    pub(super) fn arm_endpoint(&mut self, number: EndpointNumber) {
        let heard = self.time.heard;
        let endpoint = self.endpoints.of_mut(number).filter(|endpoint| endpoint.is_full());
        let Some(endpoint) = endpoint else { return };
        if self.time.timers.deadline(&endpoint.places).is_some() {
            return;
        }
        let list = &endpoint.detached;
        let first = std::iter::successors(list.first(&self.sessions), |key| list.next(&self.sessions, *key));
        let time = |key| Some(self.sessions.get(key)?.since.saturating_add(EVICTABLE));
        let next = |key| time(key).filter(|time| *time > heard);
        // The soonest of those that would be looked at. Where all of these can make room already: the last of the list,
        // which is nearly always the youngest, so that by then every session can.
        let next =
            first.take(LOOKS).filter_map(next).min().or_else(|| list.last(&self.sessions).and_then(next));
        if let Some(time) = next {
            self.time.timers.arm(&mut endpoint.places, Owner::Endpoint(number), time);
        }
    }
}

/// How long a session must have been without a receiver before it makes room for another, in milliseconds: between two
/// polls a client is away for a round trip.
pub(super) const EVICTABLE: Millis = 1000;

/// Sessions that are looked at for one that makes room.
pub(super) const LOOKS: usize = 16;

/// The sooner of two times that may never come.
pub fn sooner<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// How long a connection may stay as it is. While an answer is on its way out the client cannot go on: then
/// only the limit on stalls holds.
pub(super) fn patience(options: &ServerOptions, stage: Stage, connection: &Connection) -> Option<Millis> {
    let patience = match (connection.writing(), connection.reading()) {
        (Writing::Shut, _) => options.close_timeout,
        (Writing::Idle, Reading::Proxied | Reading::First | Reading::Head(_)) => options.head_timeout,
        (Writing::Idle, Reading::Body(_)) => options.body_timeout,
        (Writing::Idle, Reading::Next) if connection.outbox.is_empty() => options.keep_alive,
        (Writing::Idle, Reading::Discarded(_)) if connection.outbox.is_empty() => options.close_timeout,
        (Writing::Idle, _) => return None,
        (Writing::Deferred { .. }, _) => options.answer_timeout,
        (Writing::Download(download), _) if connection.outbox.is_empty() => match download.share {
            Share::Pages => LONGEST_WAIT_FOR_MEMORY.min(options.write_stall),
            Share::Readers => options.write_stall,
        },
        (Writing::Download(_), _) => return None,
        (Writing::Poll(_) | Writing::Stream(_) | Writing::Last { .. } | Writing::Frames(_), _) => {
            return None;
        }
        (Writing::Owed(_) | Writing::Abandoned | Writing::Closing | Writing::Gone, _) => return None,
    };
    Some(hurried(millis(patience), stage))
}

/// How long a download waits for memory before it may take what is kept for clients that read.
const LONGEST_WAIT_FOR_MEMORY: Duration = Duration::from_secs(1);

/// A server that stops waits for no client for long.
pub(super) fn hurried(wait: Millis, stage: Stage) -> Millis {
    match stage {
        Stage::Serving | Stage::Draining => wait,
        Stage::Stopping => wait.min(LAST_WAIT),
    }
}

/// How long a client may take for its part of the closing handshake while the server stops, in milliseconds.
pub(super) const LAST_WAIT: Millis = 500;

/// How long a client may take no byte while the server stops, in milliseconds.
pub(super) const LAST_STALL: Millis = 1000;

/// When the next wait of a session is over: for its client, or for the next heartbeat.
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
    let socket = match connection.writing() {
        Writing::Frames(socket) => socket,
        Writing::Stream(_) => return Some(heartbeat.min(end_of_silence(session, connection, endpoint))),
        Writing::Last { .. } => return last_byte_deadline(connection, endpoint, stage),
        Writing::Poll(_) | Writing::Idle | Writing::Owed(_) | Writing::Abandoned => return Some(heartbeat),
        Writing::Deferred { .. } | Writing::Download(_) => return Some(heartbeat),
        Writing::Closing | Writing::Shut | Writing::Gone => return Some(heartbeat),
    };
    let liveness = match socket.ping {
        Ping::Rest | Ping::Outstanding(_) => Some(connection.since.saturating_add(endpoint.heartbeat_delay)),
        Ping::Sent if connection.pace.takes_bytes() => {
            Some(connection.since.saturating_add(endpoint.pong_timeout))
        }
        // The ping, or bytes that the client must read before it can answer, have not left.
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
    match connection.pace.flow {
        Flow::Stalled(_) => Some(connection.since.saturating_add(hurried(endpoint.disconnect_delay, stage))),
        // The last byte leaves in this turn.
        Flow::Taking => None,
    }
}

/// When a stream ends whose client makes no request: after two heartbeats, and with the second one where that is due a
/// little later, since each of them is late by a moment.
fn end_of_silence(session: &Session, connection: &Connection, endpoint: &Endpoint) -> Millis {
    let end = connection.since.saturating_add(endpoint.heartbeat_delay.saturating_mul(2));
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
    let is_stream = matches!(connection.writing(), Writing::Stream(_));
    is_stream && end_of_silence(session, connection, endpoint) <= until
}

pub(super) fn pong_is_overdue(connection: Option<&Connection>, endpoint: &Endpoint, until: Millis) -> bool {
    connection.is_some_and(|connection| {
        let is_sent = connection.websocket().is_some_and(|socket| socket.ping == Ping::Sent);
        let waited = until.saturating_sub(connection.since);
        is_sent && connection.pace.takes_bytes() && waited >= endpoint.pong_timeout
    })
}

/// When a wait for the client begins: it must first read the bytes that are on their way to it. A server
/// that stops does not wait so long.
pub(super) fn client_can_answer(connection: &Connection, now: Millis, stage: Stage) -> Millis {
    match stage {
        Stage::Serving | Stage::Draining => connection.pace.read_by(now),
        Stage::Stopping => now,
    }
}
