//! Sessions that make room for others, where an endpoint has as many as it may (contract, rule 7.1).
//!
//! Which of them may go is judged by the time up to which everything that had arrived was handed over, as every
//! silence is (rule 12.12): the next poll of a client may lie unread in a socket. A server to which nothing
//! happens would not know in time that clients are away; so a full endpoint has a timer (`waits`) that does
//! nothing but end the server's sleep.

use super::Engine;
use super::endpoint::{Endpoint, EndpointNumber};
use super::session::{Cause, Close, Session};
use super::waits::{EVICTABLE, LOOKS};
use crate::collections::Key;
use crate::websocket::close;

impl Engine {
    /// Whether one more session may open: the endpoint has room, or a session that can make room. Sessions whose
    /// clients still have to read go to the end of the list meanwhile.
    pub(super) fn has_place(&mut self, number: EndpointNumber) -> bool {
        let Some(endpoint) = self.endpoints.of(number) else { return false };
        // Sessions that have made room, or expired, and whose handlers are yet to be told,
        // have their memory until then.
        endpoint.sessions < endpoint.options.most_sessions()
            && (!endpoint.is_full() || self.next_to_evict(number).is_some())
    }

    /// Where the endpoint is full, a session makes room for the one that is about to open.
    pub(super) fn make_place(&mut self, number: EndpointNumber) {
        if self.endpoints.of(number).is_some_and(Endpoint::is_full)
            && let Some(key) = self.next_to_evict(number)
        {
            self.counters.evicted += 1;
            self.close_session(key, Close::new(close::ABNORMAL, "Session evicted", Cause::Evicted));
            self.forget_session(key);
        }
    }

    /// The session that has been without a receiver for longest, if that is long enough. A client that must first read
    /// what was written to it is not away until then: it goes to the end of the list. When it is away after all, the
    /// list is not quite in order, so that one that is too young does not end the search.
    fn next_to_evict(&mut self, number: EndpointNumber) -> Option<Key<Session>> {
        let (now, heard) = (self.time.now(), self.time.heard);
        let endpoint = self.endpoints.of_mut(number)?;
        let mut next = endpoint.detached.first(&self.sessions);
        for _ in 0..LOOKS {
            let key = next?;
            let since = self.sessions.get(key)?.since;
            if since.saturating_add(EVICTABLE) <= heard {
                return Some(key);
            }
            next = endpoint.detached.next(&self.sessions, key);
            if since > now {
                endpoint.detached.remove(&mut self.sessions, key);
                endpoint.detached.push_back(&mut self.sessions, key);
            }
        }
        None
    }
}
