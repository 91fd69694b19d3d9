//! What a program writes: a [`Handler`] for each endpoint, and what its callbacks are given.

mod groups;

use std::any::Any;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::time::Duration;

use crate::collections::{Key, Values};
use crate::engine::{self, Close, Counters, EndpointNumber, Engine, Refusal, Request, SendError, SessionId};
use crate::mounts::{self, Mount};
use crate::sockjs::Transport;

/// What an endpoint does. A closure is a handler too, if messages are all it cares for.
///
/// `S` is what the program keeps with each session. [`Handler::admit`] makes it of the session's first request; it is
/// reached through [`Session::state`], and dropped behind [`Handler::on_close`]. A handler without such state admits
/// every request unless it says otherwise; one with state must implement `admit`. A closure's state begins as
/// [`Default::default`].
///
/// For every session `on_open` is called once, then `on_message` for each message in order, then `on_close` once,
/// however it ends; never one from inside of another, and never two at a time. From any of them a handler may send to
/// any session, broadcast, and close any session, its own too. A callback that panics costs its session, which closes
/// with 3000 `Internal error`, and nothing else. Where the `Drop` of a state, of a handler, or of the value that a panic
/// carries panics, nothing is lost at all; unless it does so while another panic unwinds through it, which ends the process
/// (a rule of Rust's).
///
/// ```
/// use sockjs_server::{Close, Handler, Refusal, Request, Session};
///
/// struct Chat;
///
/// struct Guest {
///     name: String,
/// }
///
/// impl Handler<Guest> for Chat {
///     fn admit(&mut self, request: &Request<'_>) -> Result<Guest, Refusal> {
///         let name = request.query_parameter("name").ok_or(Refusal::status(403))?;
///         Ok(Guest { name: name.to_string() })
///     }
///
///     fn on_open(&mut self, session: &mut Session<'_, Guest>, _: &Request<'_>) {
///         session.broadcast(&format!("{} is here", session.state().name));
///     }
///
///     fn on_message(&mut self, session: &mut Session<'_, Guest>, text: &str) {
///         session.broadcast(&format!("{}: {text}", session.state().name));
///     }
///
///     fn on_close(&mut self, session: &mut Session<'_, Guest>, _: &Close) {
///         session.broadcast(&format!("{} has left", session.state().name));
///     }
/// }
/// ```
pub trait Handler<S = ()>: Send + 'static {
    /// May this request open a session, and what is the session's state? Asked for every transport, before anything is
    /// sent. The state is dropped with its session, and at once if the session does not open after all.
    ///
    /// Only handlers without state, `S = ()`, may leave it out: then every request is admitted. A handler with state that does
    /// not implement it does not compile, since nothing else can make the state. (`cargo check` does not see it yet. Where the
    /// state is another type without a size, the program compiles and refuses with 500.)
    ///
    /// ```compile_fail
    /// # use sockjs_server::{Handler, Server, Session};
    /// struct Chat;
    ///
    /// impl Handler<String> for Chat {
    ///     fn on_message(&mut self, _: &mut Session<'_, String>, _: &str) {}
    /// }
    ///
    /// # fn main() -> std::io::Result<()> {
    /// # let mut server = Server::bind("127.0.0.1:0")?;
    /// server.mount("/chat", Chat)?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// A [`Refusal`] says what the client gets in place of a session.
    fn admit(&mut self, request: &Request<'_>) -> Result<S, Refusal>
    where
        S: 'static,
    {
        let _ = request;
        // A trait cannot say "provided for `()` alone", and to ask every handler for it would make the shortest one longer.
        // A type that has a size is certainly another one, and that is seen when the program is built.
        const { assert!(size_of::<S>() == 0, "a handler with state must implement `Handler::admit`") };
        unit().ok_or(Refusal::status(500))
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
    fn on_group_start(&mut self, endpoint: &mut Endpoint<'_, S>, name: &str) {
        let _ = (endpoint, name);
    }

    /// A group lost its last member; see [`Handler::on_group_start`].
    fn on_group_end(&mut self, endpoint: &mut Endpoint<'_, S>, name: &str) {
        let _ = (endpoint, name);
    }

    /// A timer set with [`Session::set_timer`] has run out: this one.
    fn on_timer(&mut self, session: &mut Session<'_, S>, timer: u32) {
        let _ = (session, timer);
    }

    /// A timer set with [`Endpoint::set_timer`] has run out: this one.
    fn on_endpoint_timer(&mut self, endpoint: &mut Endpoint<'_, S>, timer: u32) {
        let _ = (endpoint, timer);
    }
}

impl<S, F> Handler<S> for F
where
    S: Default,
    F: FnMut(&mut Session<'_, S>, &str) + Send + 'static,
{
    fn admit(&mut self, _: &Request<'_>) -> Result<S, Refusal> {
        Ok(S::default())
    }

    fn on_message(&mut self, session: &mut Session<'_, S>, text: &str) {
        self(session, text);
    }
}

/// A closure as a handler without state, for which its types need not be written: the compiler cannot infer them in
/// [`Server::mount`](crate::Server::mount), which takes other handlers too.
///
/// ```
/// use sockjs_server::{Server, handler_fn};
///
/// # fn main() -> std::io::Result<()> {
/// # let mut server = Server::bind("127.0.0.1:0")?;
/// server.mount("/echo", handler_fn(|session, text| _ = session.send(text)))?;
/// # Ok(()) }
/// ```
pub fn handler_fn<F>(on_message: F) -> F
where
    F: FnMut(&mut Session<'_>, &str) + Send + 'static,
{
    on_message
}

/// `()` where that is what `S` is.
fn unit<S: 'static>() -> Option<S> {
    let unit: &mut dyn Any = &mut Some(());
    unit.downcast_mut::<Option<S>>()?.take()
}

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

/// A session, in the hands of one of its callbacks.
pub struct Session<'a, S = ()> {
    /// With the states of all other sessions.
    endpoint: Endpoint<'a, S>,
    key: Key<engine::Session>,
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

    /// The subprotocol that was chosen for it: one of [`EndpointOptions::subprotocols`](crate::EndpointOptions::subprotocols).
    /// `None` on every transport but the raw WebSocket, and where the client offered none that is spoken.
    pub fn subprotocol(&self) -> Option<&str> {
        self.endpoint.engine.subprotocol(self.key)
    }

    /// How long the last ping took that was answered: from when it had left until its pong came, in whole milliseconds.
    /// `None` before that, and on every transport but WebSocket. A ping is sent when nothing was heard of the client for
    /// [`heartbeat_delay`](crate::EndpointOptions::heartbeat_delay).
    pub fn round_trip(&self) -> Option<Duration> {
        self.endpoint.engine.round_trip(self.key).map(Duration::from_millis)
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

    /// Ends it at once: messages that wait for its client are dropped, no closing handshake is awaited, and the connection that
    /// carries its frames is cut. [`Handler::on_close`] hears of it with [`Cause::Terminated`](crate::Cause), behind the
    /// callback at hand. For clients that are to be gone, not to be told; [`Session::close`] tells them.
    ///
    /// A client that comes back for such a session over HTTP is told 1002 `Session terminated`, for
    /// [`disconnect_delay`](crate::EndpointOptions::disconnect_delay). A session that was closed a moment before, in the same
    /// turn, is cut too, and its client is not told; later the time for its client is limited by
    /// [`close_timeout`](crate::ServerOptions::close_timeout).
    pub fn terminate(&mut self) {
        self.endpoint.terminate(SessionId(self.key));
    }

    /// Its state, and the session without it: to send what the state holds as it is. (A text that is made of the state needs
    /// no split.)
    ///
    /// ```
    /// # use sockjs_server::{SendError, Session};
    /// fn greet(session: &mut Session<'_, String>) -> Result<(), SendError> {
    ///     session.send(&format!("hello {}", session.state()))?;
    ///     let (name, mut session) = session.split();
    ///     session.send(name)
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

    /// Sets a timer: [`Handler::on_timer`] is called with its number once, `delay` from now, and never earlier. A session has as
    /// many timers as the program has numbers for them; setting one again moves it. They end with the session.
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

    /// Stops a timer, if it is set: [`Handler::on_timer`] does not hear of it any more.
    pub fn cancel_timer(&mut self, timer: u32) {
        self.endpoint.engine.set_session_timer(self.key, timer, None);
    }

    /// The endpoint it belongs to, to reach its other sessions.
    pub fn endpoint(&mut self) -> Endpoint<'_, S> {
        let Endpoint { engine, number, states } = &mut self.endpoint;
        Endpoint::new(engine, *number, states.with(self.slot, self.state))
    }
}

/// The server, in the hands of a fallback, or of a task that [`Handle::run`](crate::Handle::run) brought to it.
pub struct Context<'a> {
    engine: &'a mut Engine,
    mounts: &'a mut [Box<dyn Mount>],
}

impl<'a> Context<'a> {
    pub(crate) fn new(engine: &'a mut Engine, mounts: &'a mut [Box<dyn Mount>]) -> Self {
        Self { engine, mounts }
    }

    /// One of its endpoints.
    pub fn endpoint<S: 'static>(&mut self, endpoint: EndpointId<S>) -> Endpoint<'_, S> {
        mounts::endpoint(self.mounts, self.engine, endpoint)
    }

    /// The handler of an endpoint; `None` if it is of another type.
    ///
    /// ```
    /// # use sockjs_server::{EndpointId, Handle, Handler, Session};
    /// struct Chat {
    ///     motto: String,
    /// }
    ///
    /// impl Handler for Chat {
    ///     fn on_message(&mut self, session: &mut Session<'_>, _: &str) {
    ///         let _ = session.send(&self.motto);
    ///     }
    /// }
    ///
    /// /// From any thread.
    /// fn set_motto(handle: &Handle, chat: EndpointId, motto: String) {
    ///     handle.run(move |context| {
    ///         if let Some(handler) = context.handler::<Chat>(chat) {
    ///             handler.motto = motto;
    ///         }
    ///     });
    /// }
    /// ```
    pub fn handler<H: 'static>(&mut self, endpoint: EndpointId<impl Sized>) -> Option<&mut H> {
        mounts::handler(self.mounts, endpoint)
    }

    /// The handler of an endpoint, and the endpoint, at once; `None` if the handler is of another type.
    pub fn handler_and_endpoint<H, S>(&mut self, endpoint: EndpointId<S>) -> Option<(&mut H, Endpoint<'_, S>)>
    where
        H: Handler<S>,
        S: 'static,
    {
        mounts::handler_and_endpoint(self.mounts, self.engine, endpoint)
    }

    /// What happened so far, and what there is now.
    pub fn counters(&self) -> Counters {
        self.engine.counters()
    }

    /// Whether new sessions are refused: after [`Server::refuse_sessions`](crate::Server::refuse_sessions), or since the end
    /// has begun. A health check says so to the balancer: see [`Server::drain`](crate::Server::drain).
    pub fn refuses_sessions(&self) -> bool {
        self.engine.refuses_sessions()
    }
}

/// An endpoint, in the hands of a callback: all its sessions, and its timers.
pub struct Endpoint<'a, S = ()> {
    engine: &'a mut Engine,
    number: EndpointNumber,
    states: Values<'a, S>,
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

    /// Ends one of its sessions at once; see [`Session::terminate`]. `false`: it was closed already, or is not of this
    /// endpoint.
    pub fn terminate(&mut self, session: SessionId) -> bool {
        self.check(session).is_ok() && self.engine.terminate(session.0)
    }

    /// Its open sessions, oldest first.
    pub fn sessions(&self) -> Vec<SessionId> {
        self.engine.open_sessions(self.number).map(SessionId).collect()
    }

    /// What the program keeps with one of its sessions, the one included whose callback runs; from admission until behind
    /// [`Handler::on_close`]. `None`: it has gone, or is not of this endpoint.
    ///
    /// ```
    /// # use sockjs_server::{Endpoint, Session};
    /// /// Everybody's name, and one more visit for each.
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
        self.states.at_mut(self.engine.slot(session.0)?)
    }

    /// The same, to be read alone.
    pub fn state(&self, session: SessionId) -> Option<&S> {
        self.check(session).ok()?;
        self.states.at(self.engine.slot(session.0)?)
    }

    /// How many of its sessions are open.
    pub fn session_count(&self) -> usize {
        self.engine.open_count(self.number)
    }

    /// Sets a timer of the endpoint, not of a session: [`Handler::on_endpoint_timer`] is called with its number once, `delay`
    /// from now, and never earlier. Setting one again moves it. Its numbers are apart from those of sessions.
    pub fn set_timer(&mut self, timer: u32, delay: Duration) {
        self.engine.set_endpoint_timer(self.number, timer, Some(millis(delay)));
    }

    /// Stops a timer, if it is set.
    pub fn cancel_timer(&mut self, timer: u32) {
        self.engine.set_endpoint_timer(self.number, timer, None);
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
