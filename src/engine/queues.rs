//! Work that is put off: until the unit of input at hand was dealt with, until the flush, or until the next turn.

use std::collections::VecDeque;
use std::net::SocketAddr;

use super::Engine;
use super::connection::{Connection, Unsent};
use super::endpoint::EndpointNumber;
use super::groups::Group;
use super::reply::Ticket;
use super::session::{Session, Unflushed};
use super::turn::Order;
use crate::collections::{Key, List};

/// The lists of postponed work. A connection or a session that is gone by the time at which it comes up is passed over.
#[derive(Default)]
pub(super) struct Queues {
    /// Events of which the application is told behind the unit of input at hand.
    pub(super) notices: VecDeque<Notice>,
    /// Groups of which the application is told in the next turn, since a callback that told it of a group has caused
    /// it: one that ends what it begins does not hold this turn.
    pub(super) next_notices: VecDeque<Notice>,
    /// Sessions with something to frame in the flush.
    pub(super) unflushed: List<Unflushed>,
    /// Receivers that came while their session had another one: which of both the session keeps is decided in the
    /// flush, when the driver has looked at the socket of the first.
    pub(super) second_receivers: VecDeque<Key<Connection>>,
    /// How many of them the driver has looked at.
    pub(super) probed: usize,
    /// Connections with bytes for the socket, or with something that must follow the last one.
    pub(super) unsent: List<Unsent>,
    /// Orders for the driver beside writes and probes.
    pub(super) orders: VecDeque<Order>,
    /// Connections whose inbox goes on in the next turn.
    pub(super) postponed: VecDeque<Key<Connection>>,
    /// Sessions whose queue has drained. Their handlers are told in the next turn, so that one that fills its queue
    /// again does not hold this turn.
    pub(super) drained: VecDeque<Key<Session>>,
    /// Downloads that have no memory for their next piece.
    pub(super) waiting_downloads: VecDeque<Key<Connection>>,
    /// Sessions that were refused room because the whole server had none. Their handlers are told when it has.
    pub(super) waiting_for_memory: VecDeque<Key<Session>>,
}

/// An event of which the application is told outside of the call that caused it.
pub(super) enum Notice {
    Accepted(Option<SocketAddr>),
    Refused(Option<SocketAddr>, u16),
    Closed(Key<Session>),
    /// A request whose answer was to come later ended without it.
    Unanswered(Ticket),
    /// Something of the program's panicked as it was dropped.
    Panicked,
    /// A group of this endpoint got its first member, or lost its last one.
    Group(EndpointNumber, Key<Group>),
}

impl Engine {
    /// A connection has something for its socket, or something that must follow the last byte.
    pub(super) fn send_later(&mut self, key: Key<Connection>) {
        self.queues.unsent.push_back(&mut self.connections, key);
        self.book_connection(key);
    }

    /// Puts off the input of a connection to the next turn.
    pub(super) fn postpone(&mut self, key: Key<Connection>) {
        if let Some(connection) = self.connections.get_mut(key)
            && !std::mem::replace(&mut connection.is_postponed, true)
        {
            self.queues.postponed.push_back(key);
        }
    }
}
