//! What happened so far, and what there is now.

use super::Engine;

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
            ..self.counters
        }
    }
}
