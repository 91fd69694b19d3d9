//! What happened so far, and what there is now.

use super::{Connection, Engine, Session, memory};

/// A snapshot of the server's counters. The first fields say what is there now, the others only ever grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Connections now.
    pub connections: usize,
    /// Sessions now, closed ones that linger for a late receiver included.
    pub sessions: usize,
    /// Timers now: the server's own and the application's.
    pub timers: usize,
    /// Bytes that wait now: for the rest of a request or message, or to be sent.
    pub buffered: usize,
    /// Connections accepted.
    pub accepted: u64,
    /// Requests that were read whole, upgrades included.
    pub requests: u64,
    /// Requests and connections refused for what they sent: a malformed head, a limit, a time-out.
    pub refused: u64,
    /// Sessions opened.
    pub opened: u64,
    /// Sessions closed: each opened one counts here once, at its end.
    pub closed: u64,
    /// Messages from clients, as handlers saw them.
    pub messages_in: u64,
    /// Messages to clients, a broadcast counted once for each recipient.
    pub messages_out: u64,
    /// Bytes read.
    pub bytes_in: u64,
    /// Bytes written.
    pub bytes_out: u64,
}

impl Engine {
    /// The counters as they stand.
    pub fn counters(&self) -> Counters {
        Counters {
            connections: self.connections.len(),
            sessions: self.sessions.len(),
            timers: self.timers.len(),
            buffered: self.memory.held(),
            ..self.counters
        }
    }

    /// Bytes of memory that the options let the engine use at most: what may be buffered, twice since a growing buffer may
    /// be half empty, spare buffers, and all connections and sessions there may be.
    pub fn memory_ceiling(&self) -> usize {
        let connections = self.options.connections.saturating_mul(size_of::<Connection>() + OVERHEAD);
        let sessions = self.endpoints.iter().map(|endpoint| {
            let each = size_of::<Session>() + 2 * OVERHEAD + endpoint.options.session_id_length;
            endpoint.options.sessions.saturating_mul(each)
        });
        sessions
            .fold(connections, usize::saturating_add)
            .saturating_add(self.options.buffered_bytes.saturating_mul(2))
            .saturating_add(memory::RETAINED)
    }
}

/// What a connection or a session costs beside itself: its slot, its timer's node, its socket, its place in a table.
const OVERHEAD: usize = 128;
