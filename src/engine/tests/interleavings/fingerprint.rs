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
use crate::engine::connection::{Connection, Flow, Phase};
use crate::engine::session::State;
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
    let phase = match &connection.phase {
        Phase::Idle { first: flag } | Phase::Finishing { peer_done: flag } => hash(flag),
        Phase::Ending { session, keep_alive } => hash((session.is_some(), keep_alive)),
        Phase::Polling(poll) => hash(poll.keep_alive),
        Phase::Streaming(stream) => hash((stream.sent, stream.keep_alive, ahead(engine, stream.asked))),
        Phase::Delivering(delivery) => hash((delivery.rest.is_some(), delivery.answer.is_some())),
        Phase::WebSocket(socket) => {
            hash((discriminant(&socket.ping), socket.rest.is_some(), socket.decoder.remaining()))
        }
        Phase::Proxied | Phase::Head(_) | Phase::Body(_) => 0,
        Phase::AwaitingClose(_) | Phase::Lingering | Phase::Gone => 0,
    };
    let stall = match connection.flow {
        Flow::Open => None,
        Flow::Stalled(since) => Some(ahead(engine, since.time())),
    };
    let outbox = |slices: &[IoSlice<'_>]| slices.iter().map(|slice| &**slice).collect::<Vec<_>>().concat();
    let outbox = engine.outgoing(key, outbox).unwrap_or_default();
    let place = |queue: &VecDeque<Key<Connection>>| queue.iter().position(|queued| *queued == key);
    let waits = (
        ahead(engine, connection.since),
        ahead(engine, connection.read_by(engine.now())),
        engine.timers.deadline(&connection.timer).map(|deadline| ahead(engine, deadline)),
    );
    let session = connection.session().map(|session| {
        let place = engine.sessions.iter().position(|(key, _)| key == session);
        (place, is_receiver(engine, key))
    });
    hash((
        (connection.progress(), phase, stall, waits, session),
        (without_serials(&connection.inbox), without_serials(&outbox)),
        (connection.hung_up, connection.postponed, discriminant(&connection.pause)),
        (place(&engine.to_probe), place(&engine.pending_receivers), place(&engine.postponed)),
    ))
}

/// All sessions, and what is common to all.
pub(super) fn sessions(engine: &Engine) -> u64 {
    let of_session = |session: &crate::engine::Session| {
        let state = match &session.state {
            State::Open => None,
            State::Closed { close, told, lingers } => Some((close.code, close.cause, *told, *lingers)),
        };
        let deadline = engine.timers.deadline(&session.timer).map(|deadline| ahead(engine, deadline));
        let waits = (ahead(engine, session.since), deadline);
        (state, session.queue.len(), session.receiver.is_some(), waits, discriminant(&session.awaited))
    };
    let sessions: Vec<_> = engine.sessions.iter().map(|(_, session)| of_session(session)).collect();
    let lists = (engine.notices.len(), engine.drained.len(), engine.waiting_for_memory.len());
    let connections = (engine.shut.len(), engine.gone.len(), engine.resumed.len());
    hash((sessions, lists, connections, engine.flush_due, discriminant(&engine.flush)))
}
