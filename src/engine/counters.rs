//! What happened so far, and what there is now.

use super::clients::Clients;
use super::endpoint::Endpoint;
use super::groups;
use super::pages::PIECE;
use super::pool::kept_assembly;
use super::{Close, Connection, Engine, Session, pool};
use crate::sockjs::Transport;
use crate::websocket::close::{self, REASON_LIMIT};
use crate::websocket::message::Assembly;

/// A snapshot of the server's counters. The first fields say what is there now, the others only ever grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Connections now.
    pub connections: usize,
    /// Sessions now, closed ones that linger for a late receiver included.
    pub sessions: usize,
    /// Requests now whose answers [come later](crate::Reply::later).
    pub deferred: usize,
    /// Timers now: the server's own and the application's.
    pub timers: usize,
    /// Bytes that wait now: for the rest of a request or message, or to be sent.
    pub buffered: usize,
    /// Connections accepted.
    pub accepted: u64,
    /// Requests that were read whole, upgrades included.
    pub requests: u64,
    /// Requests, messages and connections refused, by cause.
    pub refused: Refusals,
    /// Sessions opened.
    pub opened: u64,
    /// Sessions closed: each opened one counts here once, at its end.
    pub closed: u64,
    /// Sessions that made room for others, since their endpoint had as many as it may: see
    /// [`EndpointOptions::sessions`](crate::EndpointOptions::sessions). Some of them were closed before, and lingered.
    pub evicted: u64,
    /// Messages from clients, as handlers saw them.
    pub messages_in: u64,
    /// Messages to clients, a broadcast counted once for each recipient.
    pub messages_out: u64,
    /// Messages that were skipped for sessions whose clients do not read; see
    /// [`Overflow::Skip`](crate::Overflow::Skip).
    pub skipped: u64,
    /// Bytes read.
    pub bytes_in: u64,
    /// Bytes written.
    pub bytes_out: u64,
    by_transport: [usize; Transport::ALL.len()],
}

impl Counters {
    /// Sessions now that were opened by one transport.
    pub fn sessions_by(&self, transport: Transport) -> usize {
        self.by_transport.get(transport as usize).copied().unwrap_or(0)
    }

    pub(super) fn session_by(&mut self, transport: Transport) -> Option<&mut usize> {
        self.by_transport.get_mut(transport as usize)
    }
}

/// What was refused, and why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusals {
    /// It broke a protocol.
    pub malformed: u64,
    /// It was beyond a limit on its size.
    pub too_large: u64,
    /// It took too long to arrive.
    pub too_slow: u64,
    /// The endpoint's origins, or the handler, did not admit it.
    pub not_admitted: u64,
    /// The server, or the endpoint, was full, or new sessions are refused.
    pub overloaded: u64,
    /// A connection whose client had [`connections_per_client`](crate::ServerOptions::connections_per_client), or a
    /// session whose client had [`sessions_per_client`](crate::ServerOptions::sessions_per_client).
    pub too_many: u64,
}

impl Refusals {
    /// All of them.
    pub fn total(&self) -> u64 {
        let of_requests = self.malformed + self.too_large + self.too_slow + self.not_admitted;
        of_requests + self.overloaded + self.too_many
    }

    /// Counts one that the protocols brought about, by its status or close code.
    pub(super) fn count(&mut self, status: u16) {
        *match status {
            408 => &mut self.too_slow,
            413 | 414 | 431 | close::TOO_BIG => &mut self.too_large,
            503 | close::TRY_AGAIN_LATER => &mut self.overloaded,
            _ => &mut self.malformed,
        } += 1;
    }
}

impl Engine {
    /// The counters as they stand.
    pub fn counters(&self) -> Counters {
        Counters {
            connections: self.connections.len(),
            sessions: self.sessions.len(),
            timers: self.time.timers.len() + self.time.app_timers.len(),
            buffered: self.memory.budget.held(),
            ..self.counters
        }
    }

    /// Bytes of memory that the options let the engine use at most: what may be buffered, twice since a buffer that
    /// grows is there twice for a moment; a message while it is dealt with; spare buffers; endpoints; and all
    /// connections and sessions there may be.
    pub fn memory_ceiling(&self) -> usize {
        let each = size_of::<Connection>() + size_of::<Assembly>() + OVERHEAD;
        let client = self.options.connections_per_client.map_or(0, |_| Clients::ENTRY);
        let owner = self.options.sessions_per_client.map_or(0, |_| Clients::OWNED);
        let connections = self.options.connections.saturating_mul(each + client);
        let sessions = self.endpoints.each().map(|endpoint| {
            let close = size_of::<Close>() + REASON_LIMIT + OVERHEAD;
            let each =
                size_of::<Session>() + 2 * OVERHEAD + close + endpoint.options.session_id_length + owner;
            let sessions = endpoint.options.most_sessions().saturating_mul(each);
            sessions.saturating_add(groups::most_memory(&endpoint.options))
        });
        sessions
            .fold(connections, usize::saturating_add)
            .saturating_add(self.options.buffered_bytes.saturating_mul(2))
            .saturating_add(pool::RETAINED)
            .saturating_add(kept_assembly(&self.options))
            .saturating_add(PIECE)
            .saturating_add(self.endpoints.count() * (size_of::<Endpoint>() + ENDPOINT))
            .saturating_add(self.largest_message().saturating_mul(3))
    }

    /// A message is decoded, and read from a form, beside what it came in.
    fn largest_message(&self) -> usize {
        let messages = self.endpoints.each().map(Endpoint::payload_limit);
        messages.max().unwrap_or(0).max(self.options.body_size)
    }
}

/// What an endpoint costs beside itself: its prefix, its options, and the iframe page.
const ENDPOINT: usize = 2048;

/// What a connection or a session costs beside itself: its slot, its timer's node, its socket, its place in a table.
const OVERHEAD: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_is_in_the_total_once() {
        let mut refused = Refusals { not_admitted: 7, too_many: 11, ..Refusals::default() };
        for (status, count) in [(400, 1), (413, 2), (408, 3), (503, 5)] {
            (0..count).for_each(|_| refused.count(status));
        }
        let Refusals { malformed, too_large, too_slow, not_admitted, overloaded, too_many } = refused;
        let counted = (malformed, too_large, too_slow, not_admitted, overloaded, too_many);
        assert_eq!(counted, (1, 2, 3, 7, 5, 11));
        assert_eq!(refused.total(), 29);
    }
}
