//! An endpoint, in the hands of a callback, and its name.

use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::time::Duration;

use super::millis;
use crate::collections::Values;
use crate::engine::{AnswerError, EndpointNumber, Engine, Response, SendError, SessionId, Ticket};

/// The server's name of a mounted endpoint, whose sessions have the state `S`. It names nothing in another server.
pub struct EndpointId<S = ()> {
    pub(crate) number: EndpointNumber,
    // A function, not a value: an id is `Send` and `Sync` whatever the state is.
    names: PhantomData<fn() -> S>,
}

impl<S> EndpointId<S> {
    pub(crate) fn new(number: EndpointNumber) -> Self {
        Self { number, names: PhantomData }
    }
}

// Derived, these would ask the same of `S`, which an id does not hold.

impl<S> Clone for EndpointId<S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S> Copy for EndpointId<S> {}

impl<S> PartialEq for EndpointId<S> {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl<S> Eq for EndpointId<S> {}

impl<S> Hash for EndpointId<S> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.number.hash(state);
    }
}

impl<S> fmt::Debug for EndpointId<S> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("EndpointId").field(&self.number).finish()
    }
}

/// An endpoint, in the hands of a callback: all its sessions, and its timers.
pub struct Endpoint<'a, S = ()> {
    pub(super) engine: &'a mut Engine,
    pub(super) number: EndpointNumber,
    pub(super) states: Values<'a, S>,
}

impl<'a, S> Endpoint<'a, S> {
    pub(crate) fn new(engine: &'a mut Engine, number: EndpointNumber, states: Values<'a, S>) -> Self {
        Self { engine, number, states }
    }

    /// Its name.
    pub fn id(&self) -> EndpointId<S> {
        EndpointId::new(self.number)
    }

    /// Queues a text message for one of its sessions.
    ///
    /// # Errors
    /// As [`Session::send`](crate::Session::send). A session of another endpoint is
    /// [`SendError::Gone`]: endpoints share nothing.
    pub fn send<'m>(&mut self, session: SessionId, text: impl Into<Cow<'m, str>>) -> Result<(), SendError> {
        self.check(session)?;
        self.engine.send(session.0, text)
    }

    /// Queues a binary message for one of its sessions.
    ///
    /// # Errors
    /// As [`Session::send_binary`](crate::Session::send_binary).
    pub fn send_binary<'m>(
        &mut self,
        session: SessionId,
        bytes: impl Into<Cow<'m, [u8]>>,
    ) -> Result<(), SendError> {
        self.check(session)?;
        self.engine.send_binary(session.0, bytes)
    }

    /// Sends a text to all its sessions, and says to how many. It is encoded once for each
    /// wire format. Where a session's client does not read, and its queue is full,
    /// [`EndpointOptions::overflow`](crate::EndpointOptions::overflow) says what happens:
    /// such a session is not counted.
    pub fn broadcast(&mut self, text: &str) -> usize {
        self.engine.broadcast(self.number, text, None)
    }

    /// Sends a text to all its sessions but one.
    pub fn broadcast_except(&mut self, text: &str, except: SessionId) -> usize {
        self.engine.broadcast(self.number, text, Some(except.0))
    }

    /// Bytes that wait for the client of one of its sessions; see [`Session::queued`](crate::Session::queued). 0
    /// where there is no such session.
    pub fn queued(&self, session: SessionId) -> usize {
        self.check(session).map_or(0, |()| self.engine.queued(session.0))
    }

    /// Closes one of its sessions; see [`Session::close`](crate::Session::close). `false`: it was closed
    /// already, or is not of this endpoint.
    pub fn close(&mut self, session: SessionId, code: u16, reason: &str) -> bool {
        self.check(session).is_ok() && self.engine.close(session.0, code, reason)
    }

    /// Ends one of its sessions at once; see [`Session::terminate`](crate::Session::terminate). `false`: it was closed
    /// already, or is not of this endpoint.
    pub fn terminate(&mut self, session: SessionId) -> bool {
        self.check(session).is_ok() && self.engine.terminate(session.0)
    }

    /// Answers a request that waits for it, for whatever path; see [`Reply::later`](crate::Reply::later).
    ///
    /// # Errors
    /// [`AnswerError::Gone`]: the request does not wait, or its client has left.
    pub fn answer(&mut self, ticket: Ticket, response: Response) -> Result<(), AnswerError> {
        self.engine.answer_later(ticket, response)
    }

    /// Whether a request waits for its answer, and its client for that.
    pub fn is_waiting(&self, ticket: Ticket) -> bool {
        self.engine.is_waiting(ticket)
    }

    /// Its open sessions, oldest first.
    pub fn sessions(&self) -> Vec<SessionId> {
        self.engine.open_sessions(self.number).map(SessionId).collect()
    }

    /// What the program keeps with one of its sessions, the one included whose callback runs; from admission until
    /// behind [`Handler::on_close`](crate::Handler::on_close). `None`: it has gone, or is not of this endpoint.
    ///
    /// ```
    /// # use sockjs_server::{Endpoint, Session};
    /// /// The names of all, and one more visit for each.
    /// fn count_visit(endpoint: &mut Endpoint<'_, (String, usize)>) -> Vec<String> {
    ///     let mut names = Vec::new();
    ///     for session in endpoint.sessions() {
    ///         if let Some((name, visits)) = endpoint.state_mut(session) {
    ///             *visits += 1;
    ///             names.push(name.clone());
    ///         }
    ///     }
    ///     names
    /// }
    /// ```
    pub fn state_mut(&mut self, session: SessionId) -> Option<&mut S> {
        self.check(session).ok()?;
        self.states.at_mut(self.engine.state_slot(session.0)?)
    }

    /// The same, to be read alone.
    pub fn state(&self, session: SessionId) -> Option<&S> {
        self.check(session).ok()?;
        self.states.at(self.engine.state_slot(session.0)?)
    }

    /// How many of its sessions are open.
    pub fn session_count(&self) -> usize {
        self.engine.open_count(self.number)
    }

    /// Sets a timer of the endpoint, not of a session:
    /// [`Handler::on_endpoint_timer`](crate::Handler::on_endpoint_timer) is called with its number once, `delay` from
    /// now, and never earlier. Setting one again moves it. Its numbers are apart from those of sessions.
    pub fn set_timer(&mut self, timer: u32, delay: Duration) {
        self.engine.set_endpoint_timer(self.number, timer, Some(millis(delay)));
    }

    /// Stops a timer, if it is set.
    pub fn cancel_timer(&mut self, timer: u32) {
        self.engine.set_endpoint_timer(self.number, timer, None);
    }

    pub(super) fn check(&self, session: SessionId) -> Result<(), SendError> {
        match self.engine.endpoint_of(session.0) {
            Some(number) if number == self.number => Ok(()),
            _ => Err(SendError::Gone),
        }
    }
}
