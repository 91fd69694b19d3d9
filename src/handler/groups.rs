//! Groups as handlers use them: sessions of one endpoint under a name, to which messages are published.

use std::sync::Arc;

use super::{Endpoint, Session};
use crate::engine::{JoinError, Message, SessionId};

/// Groups: a message that is published to a group goes to the sessions that have joined it.
///
/// A group is a name; it begins with its first member and ends with its last one, of which
/// [`Handler::on_group_start`](crate::Handler::on_group_start) and
/// [`Handler::on_group_end`](crate::Handler::on_group_end) tell. A session leaves all its groups when it closes.
///
/// ```
/// use sockjs_server::{Close, Handler, Request, Session};
///
/// /// A page opens `/rooms?name=kitchen`.
/// struct Rooms;
///
/// impl Handler for Rooms {
///     fn on_open(&mut self, session: &mut Session<'_>, request: &Request<'_>) {
///         let name = request.query_parameter("name").unwrap_or("lobby".into());
///         match session.join(&name) {
///             Ok(()) => _ = session.publish_others(&name, "one more is here"),
///             Err(error) => session.close(4000, &error.to_string()),
///         }
///     }
///
///     fn on_message(&mut self, session: &mut Session<'_>, text: &str) {
///         for name in session.groups() {
///             session.publish(&name, text);
///         }
///     }
///
///     fn on_close(&mut self, session: &mut Session<'_>, _: &Close) {
///         // It is no member any more: the others hear it.
///         for name in session.groups() {
///             session.publish(&name, "one has left");
///         }
///     }
/// }
/// ```
impl<S> Session<'_, S> {
    /// Makes it a member of a group of its endpoint. Joining twice is joining once.
    ///
    /// # Errors
    /// [`JoinError::Gone`] when it is closed; [`JoinError::NameTooLong`], [`JoinError::TooManyOfSession`] and
    /// [`JoinError::TooManyGroups`] at the limits of [`EndpointOptions`](crate::EndpointOptions).
    pub fn join(&mut self, name: &str) -> Result<(), JoinError> {
        self.endpoint.engine.join(self.key, name)
    }

    /// Ends its membership. `false`: it was no member.
    pub fn leave(&mut self, name: &str) -> bool {
        self.endpoint.engine.leave(self.key, name)
    }

    /// Whether it is a member of a group.
    pub fn is_member(&self, name: &str) -> bool {
        self.endpoint.engine.is_member(self.key, name)
    }

    /// The names of its groups, in the order in which it joined them. In
    /// [`Handler::on_close`](crate::Handler::on_close): of those in which it was when it closed.
    pub fn groups(&self) -> Vec<Arc<str>> {
        self.endpoint.engine.groups_of(self.key).cloned().collect()
    }

    /// Sends a text to all members of a group, this session included if it is one; see [`Endpoint::publish`].
    pub fn publish(&mut self, name: &str, text: &str) -> usize {
        self.endpoint.publish(name, text)
    }

    /// Sends a text to all members of a group but this session; see [`Endpoint::publish`].
    pub fn publish_others(&mut self, name: &str, text: &str) -> usize {
        self.endpoint.publish_except(name, text, SessionId(self.key))
    }

    /// Sends a binary message to all members of a group, this session included if it is one; see
    /// [`Endpoint::publish_binary`].
    pub fn publish_binary(&mut self, name: &str, bytes: &[u8]) -> usize {
        self.endpoint.publish_binary(name, bytes)
    }
}

/// Groups: see [`Session::join`].
impl<S> Endpoint<'_, S> {
    /// Makes one of its sessions a member of a group.
    ///
    /// # Errors
    /// As [`Session::join`]. A session of another endpoint is [`JoinError::Gone`].
    pub fn join(&mut self, session: SessionId, name: &str) -> Result<(), JoinError> {
        self.check(session).map_err(|_| JoinError::Gone)?;
        self.engine.join(session.0, name)
    }

    /// Ends the membership of one of its sessions. `false`: it was no member, or is not of this endpoint.
    pub fn leave(&mut self, session: SessionId, name: &str) -> bool {
        self.check(session).is_ok() && self.engine.leave(session.0, name)
    }

    /// Whether one of its sessions is a member of a group.
    pub fn is_member(&self, session: SessionId, name: &str) -> bool {
        self.check(session).is_ok() && self.engine.is_member(session.0, name)
    }

    /// Sends a text to all members of a group, and says to how many. It is encoded once for each wire format, and costs
    /// for each member what [`Endpoint::broadcast`] costs. A name without members is a group of none.
    pub fn publish(&mut self, name: &str, text: &str) -> usize {
        self.engine.publish(self.number, name, Message::Text(text), None)
    }

    /// Sends a text to all members of a group but one.
    pub fn publish_except(&mut self, name: &str, text: &str, except: SessionId) -> usize {
        self.engine.publish(self.number, name, Message::Text(text), Some(except.0))
    }

    /// Sends a binary message to all members of a group that came by raw WebSocket, and says to how many. SockJS
    /// carries text: members on other transports are passed over, and nothing tells them.
    pub fn publish_binary(&mut self, name: &str, bytes: &[u8]) -> usize {
        self.engine.publish(self.number, name, Message::Binary(bytes), None)
    }

    /// Sends a text to these of its sessions, and says to how many: as [`Endpoint::publish`] to a group of them. A
    /// session that is closed, or not of this endpoint, is passed over; one that is named twice gets it twice.
    pub fn send_to(&mut self, sessions: &[SessionId], text: &str) -> usize {
        self.engine.send_to(Some(self.number), sessions, text)
    }

    /// The members of a group, the one that joined first in front.
    pub fn members(&self, name: &str) -> Vec<SessionId> {
        self.engine.members(self.number, name).map(SessionId).collect()
    }

    /// How many members a group has.
    pub fn member_count(&self, name: &str) -> usize {
        self.engine.member_count(self.number, name)
    }

    /// The names of the groups that have members, in no order.
    pub fn groups(&self) -> Vec<Arc<str>> {
        self.engine.group_names(self.number).cloned().collect()
    }

    /// The names of the groups of one of its sessions, in the order in which it joined them.
    pub fn groups_of(&self, session: SessionId) -> Vec<Arc<str>> {
        match self.check(session) {
            Ok(()) => self.engine.groups_of(session.0).cloned().collect(),
            Err(_) => Vec::new(),
        }
    }
}
