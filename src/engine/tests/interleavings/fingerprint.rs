//! What the future of a connection and of a session depends on, as a number. This is the one place of the search that
//! looks at private fields of the engine.
//!
//! Times count from the present. Of bytes all counts, but for the serial numbers of messages: two states that differ in
//! how many messages have come and gone before are one.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::IoSlice;
use std::mem::discriminant;

use crate::collections::Key;
use crate::engine::connection::Connection;
use crate::engine::pace::Flow;
use crate::engine::reading::Reading;
use crate::engine::session::State;
use crate::engine::writing::Writing;
use crate::engine::{Engine, Millis};

/// Messages are this letter and a serial number of one digit.
pub(super) const SERIAL: u8 = b'm';

/// The hash of a value.
pub(super) fn hash(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// Bytes without the serial numbers of messages.
pub(super) fn without_serials(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for at in 1..bytes.len() {
        if bytes[at - 1] == SERIAL && bytes[at].is_ascii_digit() {
            bytes[at] = b'#';
        }
    }
    bytes
}

/// A time, from the present on.
fn ahead(engine: &Engine, time: Millis) -> i64 {
    time.wrapping_sub(engine.now()).cast_signed()
}

/// Whether a connection is the receiver of its session.
pub(super) fn is_receiver(engine: &Engine, key: Key<Connection>) -> bool {
    let session = engine.connections.get(key).and_then(Connection::session);
    let session = session.and_then(|session| engine.sessions.get(session));
    session.is_some_and(|session| session.receiver == Some(key))
}

/// A connection, what it holds, and its places in queues.
pub(super) fn connection(engine: &Engine, key: Key<Connection>) -> u64 {
    let Some(connection) = engine.connections.get(key) else { return 0 };
    let reading = match connection.reading() {
        Reading::Delivering { rest, .. } => hash(rest.is_some()),
        Reading::Frames { decoder, rest } => hash((rest.is_some(), decoder.remaining())),
        Reading::Proxied | Reading::First | Reading::Next => 0,
        Reading::Head(_) | Reading::Body(_) | Reading::Discarded(_) | Reading::Ignored => 0,
    };
    let writing = match connection.writing() {
        Writing::Last { session, keep_alive } => hash((session.is_some(), keep_alive)),
        Writing::Owed(owed) => hash(owed.keep_alive),
        Writing::Poll(poll) => hash(poll.keep_alive),
        Writing::Stream(stream) => hash((stream.left, stream.keep_alive)),
        Writing::Frames(socket) => hash(discriminant(&socket.ping)),
        Writing::Deferred { form, .. } => hash(format!("{form:?}")),
        Writing::Download(download) => hash((format!("{:?}", download.end), download.keep_alive)),
        Writing::Idle | Writing::Abandoned | Writing::Closing | Writing::Shut | Writing::Gone => 0,
    };
    let stall = match connection.pace.flow {
        Flow::Taking => None,
        Flow::Stalled(since) => Some(ahead(engine, since.time())),
    };
    let outbox = |slices: &[IoSlice<'_>]| slices.iter().map(|slice| &**slice).collect::<Vec<_>>().concat();
    let outbox = engine.outgoing(key, outbox).unwrap_or_default();
    let place = |queue: &VecDeque<Key<Connection>>| queue.iter().position(|queued| *queued == key);
    let waits = (
        ahead(engine, connection.since),
        ahead(engine, connection.pace.read_by(engine.now())),
        engine.time.timers.deadline(&connection.timer).map(|deadline| ahead(engine, deadline)),
    );
    let session = connection.session().map(|session| {
        let place = engine.sessions.iter().position(|(key, _)| key == session);
        (place, is_receiver(engine, key))
    });
    hash((
        (connection.progress(), reading, writing, stall, waits, session),
        (without_serials(&connection.inbox), without_serials(&outbox)),
        (discriminant(&connection.inflow), connection.is_postponed),
        (place(&engine.queues.second_receivers), place(&engine.queues.postponed)),
    ))
}

/// All sessions, and what is common to all.
pub(super) fn sessions(engine: &Engine) -> u64 {
    let of_session = |session: &crate::engine::Session| {
        let state = match &session.state {
            State::Open { .. } => None,
            State::Closed { close, remaining } => Some((close.code, close.cause, discriminant(remaining))),
        };
        let deadline = engine.time.timers.deadline(&session.timer).map(|deadline| ahead(engine, deadline));
        let waits = (ahead(engine, session.since), deadline);
        (state, session.queue.len(), session.receiver.is_some(), waits, discriminant(&session.awaited()))
    };
    let sessions: Vec<_> = engine.sessions.iter().map(|(_, session)| of_session(session)).collect();
    let queues = &engine.queues;
    let lists = (queues.notices.len(), queues.drained.len(), queues.waiting_for_memory.len(), queues.probed);
    let orders: Vec<_> = queues.orders.iter().map(discriminant).collect();
    hash((sessions, lists, orders, engine.is_flush_due(), discriminant(&engine.turn.flush)))
}
