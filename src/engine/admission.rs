//! What becomes of a request for a session that the program does not admit.

use std::net::IpAddr;

use super::application::Response;
use super::session::{Cause, Close};
use crate::http::required_field;

/// Why a request may not open a session, and what its client gets: the error of
/// [`Handler::admit`](crate::Handler::admit).
///
/// The handler hears nothing of a session that it refused. The observer hears
/// [`Event::Refused`](crate::Event::Refused), and [`Refusals::not_admitted`](crate::Refusals::not_admitted) counts it.
///
/// ```
/// use sockjs_server::{Refusal, Request, Response};
///
/// fn admit(request: &Request<'_>, is_busy: bool) -> Result<String, Refusal> {
///     if is_busy {
///         return Err(Refusal::response(Response::new(429).header("Retry-After", "30")));
///     }
///     match request.query_parameter("name") {
///         Some(name) if name.len() <= 20 => Ok(name.to_string()),
///         Some(_) => Err(Refusal::close(4002, "The name is too long")),
///         None => Err(Refusal::status(403)),
///     }
/// }
/// ```
#[derive(Debug)]
#[must_use = "it refuses nothing before `admit` has returned it"]
pub struct Refusal(pub(super) Outcome);

/// What becomes of the request.
#[derive(Debug)]
pub(super) enum Outcome {
    /// No session opens.
    Answer(Answer),
    /// A session opens that is closed from the beginning.
    Close(Close),
}

/// A session that opens.
pub(super) struct Admitted {
    /// The program refused it with this close: it is closed from the beginning.
    pub(super) refused: Option<Close>,
    /// The client among whose sessions it counts.
    pub(super) client: Option<IpAddr>,
}

/// What is answered in place of a session.
#[derive(Debug)]
pub(super) enum Answer {
    /// This status, and its customary words as the body.
    Status(u16),
    /// What the program made.
    Response(Response),
}

impl Refusal {
    /// The request is answered with this status, `400..=599`, and its customary words as the body. Any other status
    /// becomes 403, and so do 401, 405, 407 and 426: they are invalid without a header field that a status alone
    /// cannot carry (RFC 9110 §15.5).
    ///
    /// `sockjs-client` takes it for a transport that does not work, tries the others, and closes with 2000
    /// `All transports failed`: it never tells a page a status. See [`Refusal::close`].
    pub fn status(status: u16) -> Self {
        let is_valid = (400..=599).contains(&status) && required_field(status).is_none();
        Self(Outcome::Answer(Answer::Status(if is_valid { status } else { 403 })))
    }

    /// The request is answered with this response: 401 with `WWW-Authenticate`, 429 with
    /// `Retry-After`, a body of one's own.
    ///
    /// A status that is none of `400..=599`, or lacks the header field without which it is invalid, becomes 403, as
    /// with [`Response::new`]. Beside the fields that are the server's (see [`Response::header`]), `Cache-Control`
    /// and `Access-Control-Allow-*` are the endpoint's where its answers have them: what the program says of them
    /// is left out. Where the server has no room for the body, the client gets 503 in its place; counters and
    /// observer are told of this response.
    pub fn response(response: Response) -> Self {
        Self(Outcome::Answer(Answer::Response(response.into_refusal())))
    }

    /// The session opens on the wire, and closes at once with this code and reason: `sockjs-client` tells them its page
    /// after one attempt, as it tells every other close, and so does a browser's WebSocket. Codes and reasons are those
    /// of [`Session::close`](crate::Session::close): programs use 4000 to 4999.
    ///
    /// Until it is forgotten, which is `disconnect_delay` after its last request, such a session counts among
    /// the endpoint's [`sessions`](crate::EndpointOptions::sessions), since over HTTP its client comes for
    /// the close with a second request.
    pub fn close(code: u16, reason: &str) -> Self {
        Self(Outcome::Close(Close::new(code, reason, Cause::Application)))
    }

    /// The status of the answer, or the close code.
    pub(super) fn code(&self) -> u16 {
        match &self.0 {
            Outcome::Answer(Answer::Status(status)) => *status,
            Outcome::Answer(Answer::Response(response)) => response.status(),
            Outcome::Close(close) => close.code,
        }
    }
}
