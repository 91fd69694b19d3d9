//! What a program writes: a [`Handler`] for each endpoint, and what its callbacks are given.

mod context;
mod endpoint;
mod groups;
mod session;

use std::any::Any;
use std::time::Duration;

use crate::engine::{Close, Refusal, Request};
pub use context::Context;
pub use endpoint::{Endpoint, EndpointId};
pub use session::Session;

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
/// with 3000 `Internal error`, and nothing else. Where the `Drop` of a state, of a handler, or of the value that a
/// panic carries panics, nothing is lost at all; unless it does so while another panic unwinds through it, which ends
/// the process (a rule of Rust's).
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
    /// Only handlers without state, `S = ()`, may leave it out: then every request is admitted. A handler with state
    /// that does not implement it does not compile, since nothing else can make the state. (`cargo check` does not see
    /// it yet. Where the state is another type without a size, the program compiles and refuses with 500.)
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
        // A trait cannot say "provided for `()` alone", and to ask every handler for it would make the shortest one
        // longer. A type that has a size is certainly another one, and that is seen when the program is built.
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

    /// A send said [`SendError::Full`](crate::SendError::Full) before, or messages were skipped, and
    /// everything that waited has left now. So many messages were `skipped` since this was called last: it is
    /// 0 unless [`EndpointOptions::overflow`] is [`Overflow::Skip`](crate::Overflow::Skip). Messages that are
    /// sent from now on come behind the gap.
    ///
    /// [`EndpointOptions::overflow`]: crate::EndpointOptions::overflow
    fn on_drain(&mut self, session: &mut Session<'_, S>, skipped: u64) {
        let _ = (session, skipped);
    }

    /// A group got its first member: a program that passes on messages from a broker subscribes to it.
    ///
    /// It is told like closes are: behind the callback that caused it, never from inside of another, and in
    /// order with them. By then the group may have lost that member again: a group that begins and ends, or
    /// ends and begins, before its notice was told is not told of at all. So the calls alternate for each name,
    /// and the last one says how it is.
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

/// The server's ticks in a duration, so that nothing is early: rounded up, and one more for the present
/// tick, of which a part is over.
fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX).saturating_add(1)
}
