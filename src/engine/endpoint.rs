//! One mounted service: its prefix, its options made ready, and the sessions that are its own.

use std::sync::Arc;
use std::time::Duration;

use super::Millis;
use super::app_timers::AppTimers;
use super::groups::Groups;
use super::options::{EndpointOptions, OptionError};
use super::session::{Detached, Roster};
use crate::collections::{List, Table, Timer};
use crate::http::Origins;
use crate::sockjs::{Iframe, Transport};

/// The engine's name of an endpoint: its place among those that are mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointNumber(u16);

impl EndpointNumber {
    /// The number of the endpoint at a place.
    pub const fn new(place: u16) -> Self {
        Self(place)
    }

    /// Its place among those that are mounted, from 0 on.
    pub fn place(self) -> usize {
        usize::from(self.0)
    }
}

/// All endpoints, in the order in which they were mounted. None is ever removed.
#[derive(Default)]
pub(super) struct Endpoints(Vec<Endpoint>);

impl Endpoints {
    /// Adds an endpoint. `None`: all 65,536 numbers are taken.
    pub(super) fn add(&mut self, endpoint: Endpoint) -> Option<EndpointNumber> {
        let number = u16::try_from(self.0.len()).ok()?;
        self.0.push(endpoint);
        Some(EndpointNumber(number))
    }

    pub(super) fn of(&self, number: EndpointNumber) -> Option<&Endpoint> {
        self.0.get(number.place())
    }

    pub(super) fn of_mut(&mut self, number: EndpointNumber) -> Option<&mut Endpoint> {
        self.0.get_mut(number.place())
    }

    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// All of them, with their numbers.
    pub(super) fn numbered(&self) -> impl Iterator<Item = (EndpointNumber, &Endpoint)> {
        (0..).map(EndpointNumber).zip(&self.0)
    }

    pub(super) fn each(&self) -> std::slice::Iter<'_, Endpoint> {
        self.0.iter()
    }

    /// The endpoint with the longest prefix that holds the path, and the path below it.
    pub(super) fn under<'p>(&self, path: &'p str) -> Option<(EndpointNumber, &'p str)> {
        let found = self.numbered().filter_map(|(number, endpoint)| Some((number, endpoint.below(path)?)));
        found.min_by_key(|(_, below)| below.len())
    }
}

/// An endpoint as the engine keeps it.
pub(super) struct Endpoint {
    /// Without a trailing slash; empty for the root.
    pub(super) prefix: Box<str>,
    pub(super) options: EndpointOptions,
    pub(super) iframe: Arc<Iframe>,
    /// The pages that may come in.
    pub(super) origins: Origins,
    /// HTTP sessions by their id.
    pub(super) table: Table,
    /// The open sessions, in the order in which they opened.
    pub(super) roster: List<Roster>,
    pub(super) groups: Groups,
    /// HTTP sessions without a receiver, in the order in which they began to wait for one.
    pub(super) detached: List<Detached>,
    /// All sessions, closed ones that linger included.
    pub(super) sessions: usize,
    /// Of these, HTTP sessions that no request finds any more, and whose handler is yet to be told of their close.
    pub(super) forgotten: usize,
    /// Runs out when sessions can make room for others that could not before.
    pub(super) places: Timer,
    pub(super) app_timers: AppTimers,
    pub(super) heartbeat_delay: Millis,
    pub(super) pong_timeout: Millis,
    pub(super) disconnect_delay: Millis,
}

impl Endpoint {
    pub(super) fn new(prefix: &str, options: EndpointOptions) -> Result<Self, OptionError> {
        let origins = options.validate()?;
        Ok(Self {
            prefix: prefix.into(),
            iframe: Arc::new(Iframe::new(&options.client_url, origins.frame_policy())),
            origins,
            table: Table::new(),
            roster: List::new(),
            groups: Groups::default(),
            detached: List::new(),
            sessions: 0,
            forgotten: 0,
            places: Timer::default(),
            app_timers: AppTimers::default(),
            heartbeat_delay: millis(options.heartbeat_delay),
            pong_timeout: millis(options.pong_timeout),
            disconnect_delay: millis(options.disconnect_delay),
            options,
        })
    }

    /// The part of `path` below the prefix, if it lies there.
    pub(super) fn below<'p>(&self, path: &'p str) -> Option<&'p str> {
        let below = path.strip_prefix(&*self.prefix)?;
        (below.is_empty() || below.starts_with('/')).then_some(below)
    }

    /// The prefix, as a part of a path that lies below it.
    pub(super) fn prefix_of<'p>(&self, path: &'p str) -> &'p str {
        path.get(..self.prefix.len()).unwrap_or_default()
    }

    /// What of a path is the program's to see when a session opens by this transport: not the session's name.
    pub(super) fn shown<'p>(&self, path: &'p str, transport: Transport) -> &'p str {
        if transport == Transport::RawWebSocket { path } else { self.prefix_of(path) }
    }

    /// Whether there are as many sessions as there may be, not counting those that no request finds any more.
    pub(super) fn is_full(&self) -> bool {
        self.sessions - self.forgotten >= self.options.sessions
    }

    pub(super) fn offers(&self, transport: Transport) -> bool {
        self.options.transports.contains(transport)
    }

    /// The largest SockJS payload: the array around a message of full size must not make it too large.
    pub(super) fn payload_limit(&self) -> usize {
        self.options.message_size + ENVELOPE
    }
}

/// Room for `["` and `"]`, and a little white space.
const ENVELOPE: usize = 16;

/// A duration in the server's ticks; options are at most a day long.
pub(super) fn millis(duration: Duration) -> Millis {
    Millis::try_from(duration.as_millis()).unwrap_or(Millis::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_at_a_slash() {
        let new = |prefix| Endpoint::new(prefix, EndpointOptions::default()).unwrap();
        let endpoint = new("/echo");
        assert_eq!(endpoint.below("/echo"), Some(""));
        assert_eq!(endpoint.below("/echo/"), Some("/"));
        assert_eq!(endpoint.below("/echo/info"), Some("/info"));
        assert_eq!(endpoint.below("/echoes"), None);
        assert_eq!(endpoint.below("/ECHO"), None);
        assert_eq!(new("").below("/info"), Some("/info"));
    }
}
