//! The door between the engine and the handlers: what they are asked, and what they are shown.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::Engine;
use super::admission::Refusal;
use super::answers::Exchange;
use super::body::Body;
use super::endpoint::EndpointNumber;
use super::reply::{Reply, Ticket};
use super::session::{Close, Session, SessionId};
use crate::collections::Key;
use crate::http::{self, Network};
use crate::sockjs::{Transport, form};

/// What the engine asks of the program around it. One call at a time, never from inside of another.
pub trait Application {
    /// May this request open a session? If so, `opened` is the next call of all.
    fn admit(&mut self, endpoint: EndpointNumber, request: &Request<'_>) -> Result<(), Refusal>;
    /// A session is open, by the request that was admitted last; what it is sent now goes out behind the open frame.
    fn opened(&mut self, engine: &mut Engine, session: Key<Session>, request: &Request<'_>);
    /// The client sent a message.
    fn message(&mut self, engine: &mut Engine, session: Key<Session>, message: Message<'_>);
    /// A session ended. It can no longer be sent to.
    fn closed(&mut self, engine: &mut Engine, session: Key<Session>, close: &Close);
    /// A session that was full has room again. So many messages were skipped for it.
    fn drained(&mut self, engine: &mut Engine, session: Key<Session>, skipped: u64);
    /// A group of an endpoint got its first member.
    fn group_started(&mut self, engine: &mut Engine, endpoint: EndpointNumber, name: &str);
    /// A group of an endpoint lost its last member.
    fn group_ended(&mut self, engine: &mut Engine, endpoint: EndpointNumber, name: &str);
    /// The timer of this number of a session has run out.
    fn session_timer(&mut self, engine: &mut Engine, session: Key<Session>, timer: u32);
    /// The timer of this number of an endpoint has run out.
    fn endpoint_timer(&mut self, engine: &mut Engine, endpoint: EndpointNumber, timer: u32);
    /// Something happened that a log may want to hold.
    fn observe(&mut self, event: &Event<'_>);
    /// A request for a path under no prefix.
    fn respond(&mut self, engine: &mut Engine, request: &Request<'_>, body: &[u8]) -> Reply;
}

/// A message from a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message<'m> {
    /// Text: every message of a SockJS session.
    Text(&'m str),
    /// Binary: on a raw WebSocket alone.
    Binary(&'m [u8]),
}

/// Something that happened, for a log. The library itself prints nothing.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'e> {
    /// A connection came in.
    Accepted {
        /// From where; `None` on a Unix socket.
        peer: Option<SocketAddr>,
    },
    /// A request was read whole.
    Request(&'e Request<'e>),
    /// A request, or a connection before its request was whole, was refused: it was malformed, beyond a limit, too
    /// slow, or the handler did not admit it.
    Refused {
        /// From where; `None` on a Unix socket.
        peer: Option<SocketAddr>,
        /// With which status; on a WebSocket, and where the handler refused with a close, the close code. It is 429
        /// where a client has [`connections_per_client`](crate::ServerOptions::connections_per_client), and then
        /// nothing was sent, or [`sessions_per_client`](crate::ServerOptions::sessions_per_client).
        status: u16,
    },
    /// A session opened.
    Opened {
        /// Its name.
        session: SessionId,
        /// The prefix of its endpoint.
        endpoint: &'e str,
        /// The request that opened it.
        request: &'e Request<'e>,
    },
    /// Messages were skipped for a session whose client did not read: told once, when it has read, or closes. See
    /// [`Overflow::Skip`](crate::Overflow::Skip).
    Skipped {
        /// Its name.
        session: SessionId,
        /// The prefix of its endpoint.
        endpoint: &'e str,
        /// How many.
        messages: u64,
    },
    /// A session closed.
    Closed {
        /// Its name.
        session: SessionId,
        /// The prefix of its endpoint.
        endpoint: &'e str,
        /// How.
        close: &'e Close,
    },
    /// Accepting a connection failed: for want of descriptors or memory, say. It is told once, not at every try that
    /// follows, and the other listeners go on.
    ListenerFailed {
        /// Where it listens; `None` for a Unix socket.
        address: Option<SocketAddr>,
        /// What the operating system says.
        error: &'e io::Error,
        /// The socket does not listen any more, since a process that shares it has shut it down: it is closed here too.
        /// Otherwise it is tried again.
        is_final: bool,
    },
    /// A request whose answer was to [come later](crate::Reply::later) got none from the program: its client is gone,
    /// its time was over, or the server has ended.
    Unanswered {
        /// Its ticket.
        ticket: Ticket,
    },
    /// A [reader](crate::Body::reader) failed, had fewer bytes than were announced, or had more: its client was cut
    /// off in the middle of the body.
    BodyFailed {
        /// The client's end of the connection; `None` on a Unix socket.
        peer: Option<SocketAddr>,
        /// The reader's error; [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) for too few bytes,
        /// [`InvalidData`](io::ErrorKind::InvalidData) for too many.
        error: &'e io::Error,
    },
    /// The layer of a connection gave it up, and it is closed: the client does not speak what the layer does, its
    /// handshake failed, or its bytes were changed on the way.
    LayerFailed {
        /// From where; `None` on a Unix socket.
        peer: Option<SocketAddr>,
        /// What the layer says.
        error: &'e (dyn Error + Send + Sync),
    },
    /// A handler panicked, a layer, or a reader.
    Panicked {
        /// In the hands of which session's callback; that session is closed. `None` for a task of a handle, for
        /// instance, or a layer, whose connection is closed.
        session: Option<SessionId>,
    },
}

/// A request as handlers see it: method, path, query, headers, cookies, and where it came from.
pub struct Request<'r> {
    http: &'r http::Request<'r, 'r>,
    path: &'r str,
    peer: Option<SocketAddr>,
    transport: Option<Transport>,
    trusted: Arc<[Network]>,
    /// By which it can be answered later.
    pub(super) ticket: Ticket,
    /// The connection itself is https.
    is_https: bool,
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, peer, transport, .. } = self;
        let mut fields = formatter.debug_struct("Request");
        fields.field("method", &self.method()).field("path", path).field("peer", peer);
        fields.field("transport", transport).finish_non_exhaustive()
    }
}

impl<'r> Request<'r> {
    /// The method, in upper case as it came.
    pub fn method(&self) -> &'r str {
        self.http.method().as_str()
    }

    /// The raw path, not percent-decoded. Where it names a session it ends with the endpoint's prefix: the client's
    /// name of its session is a secret, by which anybody could read from it.
    pub fn path(&self) -> &'r str {
        self.path
    }

    /// The raw query, without the question mark, not decoded.
    pub fn query(&self) -> Option<&'r str> {
        self.http.query()
    }

    /// The value of the first query parameter of this name, decoded as a page encodes it: `encodeURIComponent` and
    /// `URLSearchParams` do. `%2B` is a plus sign then, and a plus sign a space; a percent sign without two hexadecimal
    /// digits stands for itself. A parameter without a value is empty; one whose bytes are not UTF-8 is `None`, as one
    /// that is not there. It may hold any character, line breaks too. [`Request::query`] has what was sent.
    ///
    /// ```
    /// # use sockjs_server::Request;
    /// /// `new SockJS("/chat?token=" + encodeURIComponent("pass+word/=="))`
    /// fn has_the_token(request: &Request<'_>) -> bool {
    ///     request.query_parameter("token").as_deref() == Some("pass+word/==")
    /// }
    /// ```
    pub fn query_parameter(&self, name: &str) -> Option<Cow<'r, str>> {
        form::parameter(self.query()?, name)
    }

    /// The first header field of this name (any case), if it is text.
    pub fn header(&self, name: &str) -> Option<&'r str> {
        std::str::from_utf8(self.http.header(name)?).ok()
    }

    /// All header fields, in order; their values are bytes (RFC 9110 §5.5).
    pub fn headers(&self) -> impl Iterator<Item = (&'r str, &'r [u8])> {
        self.http.headers()
    }

    /// The first cookie of this name, if it is text.
    pub fn cookie(&self, name: &str) -> Option<&'r str> {
        std::str::from_utf8(self.http.cookie(name)?).ok()
    }

    /// The client's address: the other end of the connection, or whom trusted proxies name in `X-Forwarded-For`; see
    /// [`ServerOptions::trusted_proxies`](crate::ServerOptions::trusted_proxies). `None` on a Unix socket without one.
    /// It is in canonical form, wherever it comes from: an IPv4 address within IPv6 (`::ffff:192.0.2.1`, RFC 4291
    /// §2.5.5.2) is given as the IPv4 address, so that it can be compared and counted.
    pub fn client(&self) -> Option<IpAddr> {
        self.forwarded().client
    }

    /// Whether the client speaks HTTPS: to this server, through a [layer](crate::LayerFactory::is_https), or to a
    /// trusted proxy in front. `X-Forwarded-Proto` says so, in the entry that belongs to the one of `X-Forwarded-For`
    /// from which [`Request::client`] is; where a trusted proxy says nothing of it, its own connection counts.
    pub fn is_https(&self) -> bool {
        self.forwarded().is_https(self.http.header_values("x-forwarded-proto")).unwrap_or(self.is_https)
    }

    fn forwarded(&self) -> http::forwarded::Origin {
        let fields = self.http.header_values("x-forwarded-for");
        http::forwarded::Origin::trace(self.peer.map(|peer| peer.ip()), fields, &self.trusted)
    }

    /// The other end of the connection, or whom a PROXY header named; `None` on a Unix socket. An IPv4 client of a
    /// listener on `[::]` has its IPv4 address.
    pub fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// The transport that asks for a session; `None` for a request outside of every endpoint.
    pub fn transport(&self) -> Option<Transport> {
        self.transport
    }
}

impl Engine {
    /// A request as handlers see it. `path` is what of its path is theirs to see.
    pub(super) fn show<'r>(
        &self,
        exchange: &Exchange<'r>,
        path: &'r str,
        transport: Option<Transport>,
    ) -> Request<'r> {
        let connection = self.connections.get(exchange.key);
        let (peer, is_https) = connection.map_or((None, false), |it| (it.peer(), it.in_layer.is_https()));
        let ticket = Ticket { connection: exchange.key, number: self.counters.requests as u32 };
        Request {
            http: exchange.request,
            path,
            peer,
            transport,
            trusted: self.clients.trusted(),
            ticket,
            is_https,
        }
    }
}

/// An answer to a request outside of every endpoint, or to one for a session that is refused
/// ([`Refusal::response`](crate::Refusal::response)).
///
/// ```
/// use sockjs_server::Response;
///
/// let page = Response::new(200).header("Content-Type", "text/html; charset=UTF-8").body("<h1>Hello</h1>");
/// ```
#[derive(Debug)]
pub struct Response {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Body,
}

impl Response {
    /// An empty answer with this status, `200..=599`; anything else becomes 500.
    ///
    /// Some statuses are invalid without a header field (RFC 9110 §15). Where it is missing, 401 (`WWW-Authenticate`),
    /// 405 (`Allow`) and 407 (`Proxy-Authenticate`) go out as 403, and 206 (`Content-Range`) as 500. 426 goes out as
    /// 403 in any case: its `Upgrade` would promise a protocol, and none but HTTP is spoken outside of endpoints.
    pub fn new(status: u16) -> Self {
        let status = if (200..=599).contains(&status) { status } else { 500 };
        Self { status, headers: Vec::new(), body: Body::default() }
    }

    /// Adds a header field. What says how the answer is framed (`Content-Length`, `Transfer-Encoding`, `Connection`,
    /// `Date`) is the server's and left out, and so is a name that is no token; control bytes in the value are dropped.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets the body: bytes, text, or what [`Body`] can be made of besides. Its length is announced, if it is known;
    /// for HEAD it is not sent. 204, 205 and 304 have none: it is dropped.
    #[must_use]
    pub fn body(mut self, body: impl Into<Body>) -> Self {
        self.body = body.into();
        self
    }

    /// The status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Bytes of memory that it holds beside itself, but for bytes that others may hold too.
    pub(crate) fn held(&self) -> usize {
        let texts = |(name, value): &(String, String)| name.capacity() + value.capacity();
        let fields = self.headers.capacity() * size_of::<(String, String)>();
        fields + self.headers.iter().map(texts).sum::<usize>() + self.body.held()
    }

    /// The answer to a request for a session, with an error's status.
    pub(super) fn into_refusal(mut self) -> Self {
        if self.status < 400 {
            self.status = 403;
        }
        self.valid()
    }

    /// The answer as it may be sent: with another status where a field is missing that this one must have, and
    /// without a body that it must not have.
    pub(super) fn valid(mut self) -> Self {
        match http::required_field(self.status) {
            Some(field) if !self.has(field) => {
                self.status = if self.status < 300 { 500 } else { 403 };
            }
            _ => {}
        }
        if self.status == 205 {
            // It has an end, `Content-Length: 0`, but no content (RFC 9110 §15.3.6); 204 and 304 have neither.
            self.body = Body::default();
        }
        self
    }

    /// Whether a field will be sent. `Allow` may be empty: then no method is allowed (RFC 9110 §10.2.1).
    fn has(&self, field: &str) -> bool {
        let is_blank = |value: &str| value.bytes().all(|byte| byte == b' ' || byte.is_ascii_control());
        is_the_programs(field)
            && self.headers.iter().any(|(name, value)| {
                name.eq_ignore_ascii_case(field) && (field == "Allow" || !is_blank(value))
            })
    }
}

/// Header fields that say how an answer is framed are the server's.
pub(super) fn is_the_programs(name: &str) -> bool {
    let reserved = ["content-length", "transfer-encoding", "connection", "date", "upgrade", "trailer"];
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(is_token) && !reserved.iter().any(|it| name.eq_ignore_ascii_case(it))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A 401 says what is asked for, and a 405 what is allowed, or it is another status.
    #[test]
    fn a_status_that_requires_a_field_has_it() {
        let status =
            |status, field: &str, value: &str| Response::new(status).header(field, value).valid().status;
        assert_eq!(Response::new(401).valid().status, 403);
        assert_eq!(status(401, "www-authenticate", "Bearer"), 401);
        assert_eq!(status(401, "WWW-Authenticate", " "), 403);
        assert_eq!(status(401, "Allow", "GET"), 403);
        assert_eq!(Response::new(405).valid().status, 403);
        assert_eq!(status(405, "Allow", ""), 405);
        // The server does not send this field for a program, so that it is missing.
        assert_eq!(status(426, "Upgrade", "websocket"), 403);
        assert_eq!(Response::new(205).body("x").valid().body.length(), Some(0));
    }
}
