//! A session, in the hands of one of its callbacks.

use std::borrow::Cow;
use std::time::Duration;

use super::{Endpoint, millis};
use crate::collections::{Key, Values};
use crate::engine::{self, AnswerError, Response, SendError, SessionId, Ticket};
use crate::sockjs::Transport;

/// A session, in the hands of one of its callbacks.
pub struct Session<'a, S = ()> {
    /// With the states of all other sessions.
    pub(super) endpoint: Endpoint<'a, S>,
    pub(super) key: Key<engine::Session>,
    slot: u32,
    state: &'a mut S,
}

impl<'a, S> Session<'a, S> {
    pub(crate) fn new(
        endpoint: Endpoint<'a, S>,
        key: Key<engine::Session>,
        slot: u32,
        state: &'a mut S,
    ) -> Self {
        Self { endpoint, key, slot, state }
    }

    /// Its name, to reach it later: from other callbacks, or through a [`Handle`](crate::Handle).
    pub fn id(&self) -> SessionId {
        SessionId(self.key)
    }

    /// What the program keeps with it. To send what it holds, and not a text made of it, see [`Session::split`].
    pub fn state(&self) -> &S {
        self.state
    }

    /// What the program keeps with it, to be changed.
    pub fn state_mut(&mut self) -> &mut S {
        self.state
    }

    /// The transport by which it was opened.
    pub fn transport(&self) -> Transport {
        self.endpoint.engine.transport(self.key).unwrap_or(Transport::WebSocket)
    }

    /// The subprotocol that was chosen for it: one of
    /// [`EndpointOptions::subprotocols`](crate::EndpointOptions::subprotocols). `None` on every transport but the raw
    /// WebSocket, and where the client offered none that is spoken.
    pub fn subprotocol(&self) -> Option<&str> {
        self.endpoint.engine.subprotocol(self.key)
    }

    /// How long the last ping took that was answered: from when it had left until its pong came, in whole
    /// milliseconds. `None` before that, and on every transport but WebSocket. A ping is sent when nothing was
    /// heard of the client for [`heartbeat_delay`](crate::EndpointOptions::heartbeat_delay). A pong that comes
    /// later than that and [`pong_timeout`](crate::EndpointOptions::pong_timeout) after its ping, from a client
    /// that speaks meanwhile, is not counted.
    pub fn round_trip(&self) -> Option<Duration> {
        self.endpoint.engine.round_trip(self.key).map(Duration::from_millis)
    }

    /// Queues a text message. It leaves at the end of the turn, packed with the others.
    ///
    /// It may be lent (`&str`) or given away (`String`). On a raw WebSocket 32 KiB and more that are given away are not
    /// copied; everywhere else a message is rewritten as JSON.
    ///
    /// # Errors
    /// [`SendError::Gone`] when the session is closed, [`SendError::Full`] when its client does not read: then the
    /// message was not taken, and [`Handler::on_drain`](crate::Handler::on_drain) tells when it is worth another try.
    /// Over WebSocket nothing more is read from a client that has 64 KiB to read; over HTTP what it sends comes on
    /// other connections, and comes in all the same.
    pub fn send<'m>(&mut self, text: impl Into<Cow<'m, str>>) -> Result<(), SendError> {
        self.endpoint.engine.send(self.key, text)
    }

    /// Queues a binary message: lent (`&[u8]`), or given away (`Vec<u8>`), as with [`Session::send`].
    ///
    /// # Errors
    /// As [`Session::send`], and [`SendError::NotBinary`] on every transport but the raw WebSocket.
    pub fn send_binary<'m>(&mut self, bytes: impl Into<Cow<'m, [u8]>>) -> Result<(), SendError> {
        self.endpoint.engine.send_binary(self.key, bytes)
    }

    /// Bytes that wait for its client now: messages, and what frames them. At
    /// [`EndpointOptions::send_queue`](crate::EndpointOptions::send_queue) it is full.
    pub fn queued(&self) -> usize {
        self.endpoint.engine.queued(self.key)
    }

    /// Closes it: queued messages go out first, then the code and the reason. Nothing happens if it is closed already.
    ///
    /// Codes are those of RFC 6455 §7.4; programs use 3000 to 4999. On a raw WebSocket a code that must not be sent
    /// goes out as 1000, and a reason is cut to 123 bytes (RFC 6455 §5.5). On SockJS it is cut only where the server
    /// has no room for the whole of it: it is kept until the session is forgotten.
    pub fn close(&mut self, code: u16, reason: &str) {
        self.endpoint.close(SessionId(self.key), code, reason);
    }

    /// Answers a request outside of every endpoint that waits for it; see [`Reply::later`](crate::Reply::later).
    ///
    /// # Errors
    /// [`AnswerError::Gone`]: the request does not wait, or its client has left.
    pub fn answer(&mut self, ticket: Ticket, response: Response) -> Result<(), AnswerError> {
        self.endpoint.answer(ticket, response)
    }

    /// Ends it at once: messages that wait for its client are dropped, no closing handshake is awaited, and the
    /// connection that carries its frames is cut. [`Handler::on_close`](crate::Handler::on_close) hears of it with
    /// [`Cause::Terminated`](crate::Cause), behind the callback at hand. For clients that are to be gone, not to be
    /// told; [`Session::close`] tells them.
    ///
    /// A client that comes back for such a session over HTTP is told 1002 `Session terminated`, for
    /// [`disconnect_delay`](crate::EndpointOptions::disconnect_delay). A session that was closed a moment before, in
    /// the same turn, is cut too, and its client is not told; later the time for its client is limited by
    /// [`close_timeout`](crate::ServerOptions::close_timeout).
    pub fn terminate(&mut self) {
        self.endpoint.terminate(SessionId(self.key));
    }

    /// Its state, and the session without it: to send what the state holds as it is. (A text that is
    /// made of the state needs no split.)
    ///
    /// ```
    /// # use sockjs_server::{SendError, Session};
    /// fn greet(session: &mut Session<'_, String>) -> Result<(), SendError> {
    ///     session.send(format!("hello {}", session.state()))?;
    ///     let (name, mut session) = session.split();
    ///     session.send(name.as_str())
    /// }
    /// ```
    pub fn split(&mut self) -> (&mut S, Session<'_>) {
        let Endpoint { engine, number, .. } = &mut self.endpoint;
        let endpoint = Endpoint::new(engine, *number, Values::none());
        // A box of a type without a size takes no memory, so that none is lost.
        let nothing = Box::leak(Box::new(()));
        (self.state, Session { endpoint, key: self.key, slot: self.slot, state: nothing })
    }

    /// Sends a text to every session of the endpoint, this one included; see [`Endpoint::broadcast`].
    pub fn broadcast(&mut self, text: &str) -> usize {
        self.endpoint.broadcast(text)
    }

    /// Sends a text to every session of the endpoint but this one; see [`Endpoint::broadcast`].
    pub fn broadcast_others(&mut self, text: &str) -> usize {
        self.endpoint.broadcast_except(text, SessionId(self.key))
    }

    /// Sets a timer: [`Handler::on_timer`](crate::Handler::on_timer) is called with its number once, `delay` from now,
    /// and never earlier. A session has as many timers as the program has numbers for them; setting one again moves
    /// it. They end with the session.
    ///
    /// ```
    /// use std::time::Duration;
    /// use sockjs_server::{Handler, Request, Session};
    ///
    /// struct Quiz;
    ///
    /// const HINT: u32 = 1;
    /// const TIME_IS_UP: u32 = 2;
    ///
    /// impl Handler for Quiz {
    ///     fn on_open(&mut self, session: &mut Session<'_>, _: &Request<'_>) {
    ///         session.set_timer(HINT, Duration::from_secs(10));
    ///         session.set_timer(TIME_IS_UP, Duration::from_secs(30));
    ///     }
    ///
    ///     fn on_message(&mut self, session: &mut Session<'_>, answer: &str) {
    ///         session.cancel_timer(HINT);
    ///         if answer == "42" {
    ///             session.close(3000, "Right!");
    ///         }
    ///     }
    ///
    ///     fn on_timer(&mut self, session: &mut Session<'_>, timer: u32) {
    ///         match timer {
    ///             HINT => _ = session.send("It is more than 41."),
    ///             TIME_IS_UP => session.close(3001, "Time is up"),
    ///             _ => {}
    ///         }
    ///     }
    /// }
    /// ```
    pub fn set_timer(&mut self, timer: u32, delay: Duration) {
        self.endpoint.engine.set_session_timer(self.key, timer, Some(millis(delay)));
    }

    /// Stops a timer, if it is set: [`Handler::on_timer`](crate::Handler::on_timer) does not hear of it any more.
    pub fn cancel_timer(&mut self, timer: u32) {
        self.endpoint.engine.set_session_timer(self.key, timer, None);
    }

    /// The endpoint it belongs to, to reach its other sessions.
    pub fn endpoint(&mut self) -> Endpoint<'_, S> {
        let Endpoint { engine, number, states } = &mut self.endpoint;
        Endpoint::new(engine, *number, states.with(self.slot, self.state))
    }
}
