//! A request head as a value.
//!
//! In goes a head that [`HeadScanner`](super::HeadScanner) measured; out comes a view into it for which every
//! rule that concerns framing, host and target was checked, or the first rule that was broken. Nothing is
//! copied, decoded or allocated.

use core::fmt;
use core::mem::MaybeUninit;

use httparse::Header;

use super::fields::{self, Framing, Steering, trim};
use super::{HeadLimits, HttpError, target};

/// The most header fields a request can have, whatever its limits say.
pub const MAX_HEADERS: usize = 256;

/// Room for the fields of one request, on the stack of the caller. It is not initialised: only what a
/// head fills costs time.
pub struct HeaderStorage<'b>([MaybeUninit<Header<'b>>; MAX_HEADERS]);

impl HeaderStorage<'_> {
    /// Empty room.
    #[must_use]
    pub fn new() -> Self {
        HeaderStorage([const { MaybeUninit::uninit() }; MAX_HEADERS])
    }
}

impl Default for HeaderStorage<'_> {
    fn default() -> Self {
        Self::new()
    }
}

/// A request method (RFC 9110 §9). Methods are case-sensitive: `get` is some other method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method<'b> {
    /// `GET`
    Get,
    /// `HEAD`
    Head,
    /// `POST`
    Post,
    /// `OPTIONS`
    Options,
    /// Any other token.
    Other(&'b str),
}

impl<'b> Method<'b> {
    fn new(name: &'b str) -> Self {
        match name {
            "GET" => Method::Get,
            "HEAD" => Method::Head,
            "POST" => Method::Post,
            "OPTIONS" => Method::Options,
            _ => Method::Other(name),
        }
    }

    /// The method as it stood in the request line.
    #[must_use]
    pub fn as_str(&self) -> &'b str {
        match self {
            Method::Get => "GET",
            Method::Head => "HEAD",
            Method::Post => "POST",
            Method::Options => "OPTIONS",
            Method::Other(name) => name,
        }
    }
}

impl fmt::Display for Method<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The versions of HTTP that are spoken here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    Http11,
}

/// A view of a request head that was found to be sound. Small, and cheap to copy.
#[derive(Clone, Copy, Debug)]
pub struct Request<'h, 'b> {
    method: Method<'b>,
    target: &'b str,
    path: &'b str,
    query: Option<&'b str>,
    version: Version,
    steering: Steering,
    headers: &'h [Header<'b>],
}

impl<'h, 'b> Request<'h, 'b> {
    /// Reads `head`, which is exactly what [`HeadScanner`](super::HeadScanner) measured: it has seen to line
    /// ends, control bytes and lengths, and they are not looked at again. Any other input is safe, but may be
    /// read more leniently than promised.
    ///
    /// # Errors
    ///
    /// Any rule of RFC 9112 that is broken; see [`HttpError`].
    pub fn parse(
        head: &'b [u8],
        storage: &'h mut HeaderStorage<'b>,
        limits: &HeadLimits,
    ) -> Result<Self, HttpError> {
        let room = limits.header_count.min(MAX_HEADERS);
        let room = storage.0.get_mut(..room).unwrap_or_default();
        let mut parsed = httparse::Request::new(&mut []);
        match parsed.parse_with_uninit_headers(head, room) {
            Ok(httparse::Status::Complete(length)) if length == head.len() => {}
            Ok(_) => return Err(HttpError::HeadBoundary),
            Err(error) => return Err(explain(error, head)),
        }
        let (Some(method), Some(target), Some(minor)) = (parsed.method, parsed.path, parsed.version) else {
            return Err(HttpError::HeadBoundary);
        };
        let method = Method::new(method);
        let (path, query) = target::split(method, target)?;
        let version = if minor == 0 { Version::Http10 } else { Version::Http11 };
        let headers: &'h [Header<'b>] = parsed.headers;
        let steering = Steering::read(headers, version)?;
        Ok(Request { method, target, path, query, version, steering, headers })
    }

    /// The method.
    #[must_use]
    pub fn method(&self) -> Method<'b> {
        self.method
    }

    /// The target as it stood in the request line.
    #[must_use]
    pub fn target(&self) -> &'b str {
        self.target
    }

    /// The path of the target, not percent-decoded. It starts with `/`, but is `*` for `OPTIONS *`.
    #[must_use]
    pub fn path(&self) -> &'b str {
        self.path
    }

    /// What follows the first `?` of the target, not percent-decoded.
    #[must_use]
    pub fn query(&self) -> Option<&'b str> {
        self.query
    }

    /// The version the client speaks.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// The first value of the field `name` (in any case), without white space around it.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'b [u8]> {
        self.header_values(name).next()
    }

    /// The values of all fields `name` (in any case), in order, without white space around them.
    pub fn header_values<'n>(&self, name: &'n str) -> impl Iterator<Item = &'b [u8]> + use<'h, 'b, 'n> {
        self.headers().filter(move |(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// All fields in order: name as sent, value without white space around it.
    pub fn headers(&self) -> impl Iterator<Item = (&'b str, &'b [u8])> + use<'h, 'b> {
        self.headers.iter().map(|header| (header.name, header.value))
    }

    /// Whether the comma-separated lists of all fields `name` hold `token`, both in any case. For
    /// `Connection`, `Upgrade` and their like, whose elements are tokens and not quoted strings.
    #[must_use]
    pub fn list_contains(&self, name: &str, token: &str) -> bool {
        let holds_token =
            |value| fields::list(value).any(|element| element.eq_ignore_ascii_case(token.as_bytes()));
        self.header_values(name).any(holds_token)
    }

    /// The value of the first cookie `name` (RFC 6265 §4.2) as sent: it may hold what any field value may.
    #[must_use]
    pub fn cookie(&self, name: &str) -> Option<&'b [u8]> {
        let pairs = self.header_values("cookie").flat_map(|value| value.split(|&byte| byte == b';'));
        pairs.filter_map(|pair| split_pair(trim(pair))).find_map(|(other, value)| {
            let is_it = other == name.as_bytes();
            is_it.then_some(value)
        })
    }

    /// The value of the first query parameter `name`, still percent-encoded; empty if it has no `=`.
    #[must_use]
    pub fn query_parameter(&self, name: &str) -> Option<&'b str> {
        let mut pairs = self.query?.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        pairs.find_map(|(other, value)| (other == name).then_some(value))
    }

    /// Where the body ends.
    #[must_use]
    pub fn framing(&self) -> Framing {
        self.steering.framing
    }

    /// Whether the client lets the connection live on after the answer (RFC 9112 §9.3).
    #[must_use]
    pub fn keep_alive(&self) -> bool {
        self.steering.keep_alive
    }

    /// Whether the client may wait for `100 Continue` before it sends the body (RFC 9110 §10.1.1).
    #[must_use]
    pub fn expects_continue(&self) -> bool {
        self.steering.expects_continue
    }
}

/// `name "=" value`, split at the first sign.
fn split_pair(pair: &[u8]) -> Option<(&[u8], &[u8])> {
    let sign = pair.iter().position(|&byte| byte == b'=')?;
    let (name, rest) = pair.split_at_checked(sign)?;
    Some((name, rest.strip_prefix(b"=")?))
}

/// Says in our terms what `httparse` found wrong with `head`.
#[cold]
fn explain(error: httparse::Error, head: &[u8]) -> HttpError {
    match error {
        httparse::Error::HeaderName => HttpError::FieldName,
        httparse::Error::HeaderValue => HttpError::ControlByte,
        httparse::Error::TooManyHeaders => HttpError::TooManyFields,
        httparse::Error::Version if names_other_version(head) => HttpError::UnsupportedVersion,
        _ => HttpError::RequestLine,
    }
}

/// Whether the request line of `head` ends in a well-formed version (RFC 9112 §2.3).
///
/// A minor version above 1 counts as another version, too: none was ever defined.
fn names_other_version(head: &[u8]) -> bool {
    let line = head.trim_ascii_start().split(|&byte| byte == b'\r').next().unwrap_or_default();
    let version = line.splitn(3, |&byte| byte == b' ').nth(2).and_then(|rest| rest.strip_prefix(b"HTTP/"));
    matches!(version, Some([b'0'..=b'9', b'.', b'0'..=b'9']))
}

#[cfg(test)]
mod tests;
