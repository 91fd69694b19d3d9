//! The order of one turn, written down once: what the driver does, and what it is told to do.
//!
//! A driver has sockets and nothing else to know. In each turn it
//!
//! 1. carries out orders: the program may have sent much since the last turn;
//! 2. lets connections go on that were left over in the last turn ([`Engine::go_on`]);
//! 3. hands over what arrived ([`Engine::accept`], [`Engine::receive`], [`Engine::sent`]);
//! 4. says up to which time everything that had arrived was handed over ([`Engine::advance`]);
//! 5. carries out orders: everything that the turn brought about leaves, in one write for each connection.
//!
//! Orders are carried out after each call of 2 and 3, too ([`Engine::next_order`] until there is none): mostly there is
//! none, but where queues have grown for want of a flush it cannot wait for the end of the turn. Then the driver sleeps
//! until the [next deadline](Engine::next_deadline).

use super::connection::{Connection, Pause};
use super::{Application, Engine};
use crate::collections::Key;

/// What came of a connection's socket.
pub enum Arrival<'b> {
    /// Bytes. They are rewritten in place: unmasked, and decoded.
    Bytes(&'b mut [u8]),
    /// The end of the stream.
    End,
    /// The end of the stream, behind bytes that are not read while they are not welcome.
    EndBehindUnread,
    /// The connection is broken: reset, or failed in another way.
    Failure,
}

/// What a driver is to do with the socket of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Read once more: is its client still there? The end of the stream may stand behind the last byte.
    Probe(Key<Connection>),
    /// Write what [`Engine::outgoing`] has, and say what came of it.
    Write(Key<Connection>),
    /// Read on, in the next turn: bytes are welcome again.
    Read(Key<Connection>),
    /// Shut the sending side.
    Shut(Key<Connection>),
    /// Drop it: its key is free from now on.
    Drop(Key<Connection>),
}

/// How far a flush has come.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Flush {
    /// None is under way.
    Idle,
    /// Receivers are looked at before it is decided which of two a session keeps.
    Probing,
    /// Outboxes are written.
    Writing,
}

impl Engine {
    /// Something arrived on a connection, or its end.
    pub fn receive(&mut self, key: Key<Connection>, arrival: Arrival<'_>, application: &mut dyn Application) {
        match arrival {
            Arrival::Bytes(bytes) => self.take_bytes(key, bytes, application),
            Arrival::End => self.end_of_stream(key, application),
            Arrival::EndBehindUnread => {
                if let Some(connection) = self.connections.get_mut(key) {
                    connection.pause = Pause::BehindEnd;
                }
                self.end_behind_unread(key);
                self.tell(application);
            }
            Arrival::Failure => {
                self.drop_connection(key);
                self.tell(application);
            }
        }
    }

    /// Whether bytes of a connection are welcome, asked before each read. Where they are not, they stay in the socket, the
    /// client waits, and [`Order::Read`] says when they are welcome again.
    pub fn may_read(&mut self, key: Key<Connection>) -> bool {
        let is_welcome = self.is_reading(key);
        if let (false, Some(Connection { pause: pause @ Pause::No, .. })) =
            (is_welcome, self.connections.get_mut(key))
        {
            *pause = Pause::Yes;
        }
        is_welcome
    }

    /// Reads on from a connection whose bytes were not welcome, if they are now.
    pub(super) fn resume_reading(&mut self, key: Key<Connection>) {
        match self.connections.get(key).map(|connection| connection.pause) {
            None | Some(Pause::No) => {}
            Some(Pause::Yes | Pause::BehindEnd) if self.is_reading(key) => {
                if let Some(connection) = self.connections.get_mut(key) {
                    connection.pause = Pause::No;
                }
                self.resumed.push_back(key);
            }
            Some(Pause::Yes) => {}
            Some(Pause::BehindEnd) => self.end_behind_unread(key),
        }
    }

    /// The turn is over: lets everything happen that is due, and a flush is due with it. What is caused by it may make a
    /// flush due before all of it has happened, and then the rest is for the next turn. Clients are judged for their
    /// silence `until` a time: the one by which everything that had arrived was handed over.
    pub fn advance(&mut self, until: super::Millis, application: &mut dyn Application) {
        self.tick(until, application);
        self.flush_due = true;
    }

    /// What the driver is to do next; `None`: nothing before the next call.
    pub fn next_order(&mut self, application: &mut dyn Application) -> Option<Order> {
        loop {
            match self.flush {
                Flush::Idle if self.flush_due => self.flush = Flush::Probing,
                Flush::Idle => return None,
                Flush::Probing => {
                    if let Some(key) = self.to_probe.pop_front() {
                        return Some(Order::Probe(key));
                    }
                    self.settle(application);
                    self.flush = Flush::Writing;
                }
                Flush::Writing => {
                    let order = self.next_write();
                    if order.is_some() {
                        return order;
                    }
                    self.flush = if self.is_settled() { Flush::Idle } else { Flush::Probing };
                }
            }
        }
    }

    fn next_write(&mut self) -> Option<Order> {
        if let Some(key) = self.dirty.pop_front(&mut self.connections) {
            return Some(Order::Write(key));
        }
        if let Some(key) = self.shut.pop_front() {
            return Some(Order::Shut(key));
        }
        if let Some(key) = self.gone.pop_front() {
            self.connections.remove(key);
            return Some(Order::Drop(key));
        }
        self.resumed.pop_front().map(Order::Read)
    }
}
