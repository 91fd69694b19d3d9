//! What a program writes: a [`Handler`] for each endpoint, and what its callbacks are given.

mod groups;

use std::time::Duration;

use crate::collections::Key;
use crate::engine::{self, Close, Counters, Engine, Request, SendError, SessionId};
use crate::sockjs::Transport;

/// What an endpoint does. A closure is a handler too, if messages are all it cares for.
///
/// `S` is what the program keeps with each session: it starts as [`Default::default`], is reached through
/// [`Session::state`], and is dropped behind [`Handler::on_close`].
///
/// For every session `on_open` is called once, then `on_message` for each message in order, then `on_close` once,
/// however it ends; never one from inside of another, and never two at a time. From any of them a handler may send to
/// any session, broadcast, and close any session, its own too. A callback that panics costs its session, which closes
/// with 3000 `Internal error`, and nothing else. Where the `Drop` of a state, of a handler, or of the value that a panic
/// carries panics, nothing is lost at all; unless it does so while another panic unwinds through it, which ends the process
/// (a rule of Rust's).
///
/// ```
/// use sockjs_server::{Close, Handler, Request, Session};
///
/// struct Chat;
///
/// impl Handler<String> for Chat {
///     fn on_open(&mut self, session: &mut Session<'_, String>, request: &Request<'_>) {
///         *session.state() = request.query_parameter("name").unwrap_or("somebody").to_owned();
///         let text = format!("{} is here", session.state());
///         session.broadcast(&text);
///     }
///
///     fn on_message(&mut self, session: &mut Session<'_, String>, text: &str) {
///         let text = format!("{}: {text}", session.state());
///         session.broadcast(&text);
///     }
///
///     fn on_close(&mut self, session: &mut Session<'_, String>, _: &Close) {
///         let text = format!("{} has left", session.state());
///         session.broadcast(&text);
///     }
/// }
/// ```
pub trait Handler<S = ()>: Send + 'static {
    /// May this request open a session? Asked for every transport, before anything is allocated.
    fn admit(&mut self, request: &Request<'_>) -> Admission {
        let _ = request;
        Admission::Accept
    }

    /// A session is open.
    fn on_open(&mut self, session: &mut Session<'_, S>, request: &Request<'_>) {
        let _ = (session, request);
    }

    /// A text message from the client.
    fn on_message(&mut self, session: &mut Session<'_, S>, text: &str);

    /// A binary message, which only a raw WebSocket can carry. By default it closes the session with 1003, unsupported
    /// data (RFC 6455 §7.4.1).
    fn on_binary(&mut self, session: &mut Session<'_, S>, bytes: &[u8]) {
        let _ = bytes;
        session.close(1003, "Binary messages are not supported");
    }

    /// The session has ended, for whatever reason; it can no longer be sent to.
    fn on_close(&mut self, session: &mut Session<'_, S>, close: &Close) {
        let _ = (session, close);
    }

    /// A send said [`SendError::Full`] before, or messages were skipped, and everything that waited has left now. So many
    /// messages were `skipped` since this was called last: it is 0 unless [`EndpointOptions::overflow`] is
    /// [`Overflow::Skip`](crate::Overflow::Skip). Messages that are sent from now on come behind the gap.
    ///
    /// [`EndpointOptions::overflow`]: crate::EndpointOptions::overflow
    fn on_drain(&mut self, session: &mut Session<'_, S>, skipped: u64) {
        let _ = (session, skipped);
    }

    /// A group got its first member: a program that passes on messages from a broker subscribes to it.
    ///
    /// It is told like closes are: behind the callback that caused it, never from inside of another, and in order with
    /// them. By then the group may have lost that member again: a group that begins and ends, or ends and begins, before
    /// its notice was told is not told of at all. So the calls alternate for each name, and the last one says how it is.
    fn on_group_start(&mut self, endpoint: &mut Endpoint<'_>, name: &str) {
        let _ = (endpoint, name);
    }

    /// A group lost its last member; see [`Handler::on_group_start`].
    fn on_group_end(&mut self, endpoint: &mut Endpoint<'_>, name: &str) {
        let _ = (endpoint, name);
    }

    /// The timer set with [`Session::set_timer`] has run out.
    fn on_timer(&mut self, session: &mut Session<'_, S>) {
        let _ = session;
    }

    /// The timer set with [`Endpoint::set_timer`] has run out.
    fn on_endpoint_timer(&mut self, endpoint: &mut Endpoint<'_>) {
        let _ = endpoint;
    }
}

impl<S, F> Handler<S> for F
where
    F: FnMut(&mut Session<'_, S>, &str) + Send + 'static,
{
    fn on_message(&mut self, session: &mut Session<'_, S>, text: &str) {
        self(session, text);
    }
}

/// The answer of [`Handler::admit`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// The session may open.
    Accept,
    /// It may not: the client gets this status, `400..=599`. Anything else becomes 403, and so do 401, 405, 407 and 426: they
    /// are invalid without a header field that a status alone cannot carry (RFC 9110 §15.5).
    Refuse(u16),
}

/// The server's name of a mounted endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EndpointId(pub(crate) u16);

/// A session, in the hands of one of its callbacks.
pub struct Session<'a, S = ()> {
    endpoint: Endpoint<'a>,
    key: Key<engine::Session>,
    state: &'a mut S,
}

impl<'a, S> Session<'a, S> {
    pub(crate) fn new(
        engine: &'a mut Engine,
        number: u16,
        key: Key<engine::Session>,
        state: &'a mut S,
    ) -> Self {
        Self { endpoint: Endpoint::new(engine, number), key, state }
    }

    /// Its name, to reach it later: from other callbacks, or through a [`Handle`](crate::Handle).
    pub fn id(&self) -> SessionId {
        SessionId(self.key)
    }

    /// What the program keeps with it.
    pub fn state(&mut self) -> &mut S {
        self.state
    }

    /// The transport by which it was opened.
    pub fn transport(&self) -> Transport {
        self.endpoint.engine.transport(self.key).unwrap_or(Transport::WebSocket)
    }

    /// Queues a text message. It leaves at the end of the turn, packed with the others.
    ///
    /// # Errors
    /// [`SendError::Gone`] when the session is closed, [`SendError::Full`] when its client does not read: then the message
    /// was not taken, and [`Handler::on_drain`] tells when it is worth another try. Over WebSocket nothing more is read from
    /// a client that has 64 KiB to read; over HTTP what it sends comes on other connections, and comes in all the same.
    pub fn send(&mut self, text: &str) -> Result<(), SendError> {
        self.endpoint.engine.send(self.key, text)
    }

    /// Queues a binary message.
    ///
    /// # Errors
    /// As [`Session::send`], and [`SendError::NotBinary`] on every transport but the raw WebSocket.
    pub fn send_binary(&mut self, bytes: &[u8]) -> Result<(), SendError> {
        self.endpoint.engine.send_binary(self.key, bytes)
    }

    /// Bytes that wait for its client now: messages, and what frames them. At
    /// [`EndpointOptions::send_queue`](crate::EndpointOptions::send_queue) it is full.
    pub fn queued(&self) -> usize {
        self.endpoint.engine.queued(self.key)
    }

    /// Closes it: what waits goes out first, then the code and the reason. Nothing happens if it is closed already.
    ///
    /// Codes are those of RFC 6455 §7.4; programs use 3000 to 4999. On a raw WebSocket a code that must not be sent
    /// goes out as 1000, and a reason is cut to 123 bytes.
    pub fn close(&mut self, code: u16, reason: &str) {
        self.endpoint.close(SessionId(self.key), code, reason);
    }

    /// What the program keeps with it, and its endpoint, at once: to send what the state says.
    ///
    /// ```
    /// # use sockjs_server::Session;
    /// fn greet(session: &mut Session<'_, String>) {
    ///     let (name, endpoint) = session.split();
    ///     endpoint.broadcast(name);
    /// }
    /// ```
    pub fn split(&mut self) -> (&mut S, &mut Endpoint<'a>) {
        (self.state, &mut self.endpoint)
    }

    /// Sends a text to every session of the endpoint, this one included; see [`Endpoint::broadcast`].
    pub fn broadcast(&mut self, text: &str) -> usize {
        self.endpoint.broadcast(text)
    }

    /// Sends a text to every session of the endpoint but this one; see [`Endpoint::broadcast`].
    pub fn broadcast_others(&mut self, text: &str) -> usize {
        self.endpoint.broadcast_except(text, SessionId(self.key))
    }

    /// Sets its one timer: [`Handler::on_timer`] is called once, `delay` from now. Setting it again moves it.
    pub fn set_timer(&mut self, delay: Duration) {
        self.endpoint.engine.set_session_alarm(self.key, Some(millis(delay)));
    }

    /// Stops its timer.
    pub fn cancel_timer(&mut self) {
        self.endpoint.engine.set_session_alarm(self.key, None);
    }

    /// The endpoint it belongs to, to reach its other sessions.
    pub fn endpoint(&mut self) -> &mut Endpoint<'a> {
        &mut self.endpoint
    }
}

/// The server, in the hands of a fallback, or of a task that [`Handle::run`](crate::Handle::run) brought to it.
pub struct Context<'a> {
    engine: &'a mut Engine,
}

impl<'a> Context<'a> {
    pub(crate) fn new(engine: &'a mut Engine) -> Self {
        Self { engine }
    }

    /// One of its endpoints.
    pub fn endpoint(&mut self, endpoint: EndpointId) -> Endpoint<'_> {
        Endpoint::new(self.engine, endpoint.0)
    }

    /// What happened so far, and what there is now.
    pub fn counters(&self) -> Counters {
        self.engine.counters()
    }
}

/// An endpoint, in the hands of a callback: all its sessions, and its timer.
pub struct Endpoint<'a> {
    engine: &'a mut Engine,
    number: u16,
}

impl<'a> Endpoint<'a> {
    pub(crate) fn new(engine: &'a mut Engine, number: u16) -> Self {
        Self { engine, number }
    }

    /// Its name.
    pub fn id(&self) -> EndpointId {
        EndpointId(self.number)
    }

    /// Queues a text message for one of its sessions.
    ///
    /// # Errors
    /// As [`Session::send`]. A session of another endpoint is [`SendError::Gone`]: endpoints share nothing.
    pub fn send(&mut self, session: SessionId, text: &str) -> Result<(), SendError> {
        self.check(session)?;
        self.engine.send(session.0, text)
    }

    /// Queues a binary message for one of its sessions.
    ///
    /// # Errors
    /// As [`Session::send_binary`].
    pub fn send_binary(&mut self, session: SessionId, bytes: &[u8]) -> Result<(), SendError> {
        self.check(session)?;
        self.engine.send_binary(session.0, bytes)
    }

    /// Sends a text to all its sessions, and says to how many. It is encoded once for each wire format. Where a session's
    /// client does not read, and its queue is full, [`EndpointOptions::overflow`](crate::EndpointOptions::overflow) says what
    /// happens: such a session is not counted.
    pub fn broadcast(&mut self, text: &str) -> usize {
        self.engine.broadcast(self.number, text, None)
    }

    /// Sends a text to all its sessions but one.
    pub fn broadcast_except(&mut self, text: &str, except: SessionId) -> usize {
        self.engine.broadcast(self.number, text, Some(except.0))
    }

    /// Bytes that wait for the client of one of its sessions; see [`Session::queued`]. 0 where there is no such session.
    pub fn queued(&self, session: SessionId) -> usize {
        self.check(session).map_or(0, |()| self.engine.queued(session.0))
    }

    /// Closes one of its sessions; see [`Session::close`]. `false`: it was closed already, or is not of this endpoint.
    pub fn close(&mut self, session: SessionId, code: u16, reason: &str) -> bool {
        self.check(session).is_ok() && self.engine.close(session.0, code, reason)
    }

    /// Its open sessions, oldest first.
    pub fn sessions(&self) -> Vec<SessionId> {
        self.engine.open_sessions(self.number).map(SessionId).collect()
    }

    /// How many of its sessions are open.
    pub fn session_count(&self) -> usize {
        self.engine.open_count(self.number)
    }

    /// Sets its one timer: [`Handler::on_endpoint_timer`] is called once, `delay` from now. Setting it again moves it.
    pub fn set_timer(&mut self, delay: Duration) {
        self.engine.set_endpoint_alarm(self.number, Some(millis(delay)));
    }

    /// Stops its timer.
    pub fn cancel_timer(&mut self) {
        self.engine.set_endpoint_alarm(self.number, None);
    }

    fn check(&self, session: SessionId) -> Result<(), SendError> {
        match self.engine.endpoint_of(session.0) {
            Some(number) if number == self.number => Ok(()),
            _ => Err(SendError::Gone),
        }
    }
}

/// The server's ticks in a duration, so that nothing is early: rounded up, and one more for the present tick, of which a
/// part is over.
fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX).saturating_add(1)
}
