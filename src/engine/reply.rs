//! What the program says to a request outside of every endpoint: an answer, or that it comes later.

use std::fmt;

use super::Connection;
use super::application::{Request, Response};
use crate::collections::Key;

/// What a [fallback](crate::Server::fallback) returns: a [`Response`], of which it is made by `into`, or that the
/// answer comes [later](Reply::later).
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// use sockjs_server::{Context, Handler, Reply, Request, Response, Server, Session, Ticket};
///
/// /// A chat that tells programs without SockJS the next message, too: `GET /next` is answered when it comes.
/// #[derive(Default)]
/// struct Chat {
///     waiting: Vec<Ticket>,
/// }
///
/// impl Handler for Chat {
///     fn on_message(&mut self, session: &mut Session<'_>, text: &str) {
///         session.broadcast(text);
///         for ticket in self.waiting.drain(..) {
///             // Some clients may have left by now.
///             let _ = session.answer(ticket, Response::new(200).body(text.to_owned()));
///         }
///     }
/// }
///
/// let mut server = Server::bind("127.0.0.1:0")?;
/// let chat = server.mount("/chat", Chat::default())?;
/// server.fallback(move |context, request, _| -> Reply {
///     if request.path() != "/next" {
///         return Response::new(404).into();
///     }
///     let (reply, ticket) = Reply::later(request);
///     if let Some((chat, endpoint)) = context.handler_and_endpoint::<Chat, _>(chat) {
///         chat.waiting.retain(|ticket| endpoint.is_waiting(*ticket));
///         chat.waiting.push(ticket);
///     }
///     reply
/// });
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[must_use = "it answers nothing before the fallback has returned it"]
pub struct Reply(pub(super) When);

/// When the answer comes.
#[derive(Debug)]
pub(super) enum When {
    Now(Response),
    Later(Ticket),
}

impl Reply {
    /// The answer to this request comes later, by its [`Ticket`]: from any callback
    /// ([`Session::answer`](crate::Session::answer), [`Endpoint::answer`](crate::Endpoint::answer),
    /// [`Context::answer`](crate::Context::answer)), or from another thread
    /// ([`Handle::answer`](crate::Handle::answer)).
    ///
    /// The ticket can be used when the fallback has returned this reply. Requests that the client sends meanwhile wait
    /// for their turn. One that waits costs no memory beside its connection; it ends without an answer
    ///
    /// - after [`ServerOptions::answer_timeout`](crate::ServerOptions::answer_timeout), 60 s by default: then its
    ///   client gets 503, and the connection goes on;
    /// - when its client hangs up, though it may have shut its sending side alone;
    /// - when the server stops: half a second after the begin of a shutdown the client gets 503, and while sessions
    ///   are drained it goes on waiting.
    ///
    /// The ticket says then that it is [gone](AnswerError::Gone), and the observer hears
    /// [`Event::Unanswered`](crate::Event::Unanswered).
    ///
    /// The reply to another request than this one is answered with 500.
    pub fn later(request: &Request<'_>) -> (Self, Ticket) {
        (Self(When::Later(request.ticket)), request.ticket)
    }
}

impl From<Response> for Reply {
    fn from(response: Response) -> Self {
        Self(When::Now(response))
    }
}

/// Names a request that is answered later: see [`Reply::later`]. It names nothing in another server, and each request
/// has one of its own, so that a ticket that is gone stays so.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ticket {
    pub(super) connection: Key<Connection>,
    /// Of the requests of the server, counted in 32 bits: another one of the same connection has the same number no
    /// sooner than after four billion of them.
    pub(super) number: u32,
}

impl fmt::Debug for Ticket {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Ticket").field(&self.number).finish()
    }
}

/// Why an answer was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AnswerError {
    /// The request does not wait for an answer: it has one, it was too late for one, its client is gone, or its
    /// fallback has not returned yet.
    Gone,
}

impl fmt::Display for AnswerError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            AnswerError::Gone => "the request does not wait for an answer",
        })
    }
}

impl std::error::Error for AnswerError {}
