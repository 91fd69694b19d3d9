//! Why something does not work, in words for the table.

use std::fmt;
use std::io;
use std::time::Duration;

use super::http::NotHttp;
use super::websocket::NotWebSocket;

#[derive(Debug)]
pub(super) enum Problem {
    /// No connection could be made, or it broke.
    Connection(io::Error),
    /// Nothing of what was awaited came in time.
    Silence {
        awaited: &'static str,
        waited: Duration,
    },
    /// The same of a streaming response: proxies that collect whole responses do that.
    HeldBack {
        waited: Duration,
    },
    /// The stream ended before.
    Ended {
        awaited: &'static str,
    },
    /// An answer with another status than a SockJS server's.
    Status {
        of: &'static str,
        status: u16,
        location: Option<String>,
    },
    /// The session closed.
    Closed {
        code: u16,
        reason: String,
    },
    NotHttp,
    NotWebSocket,
    /// The handshake's answer is not one to the key that was sent.
    WrongAccept,
    /// No SockJS frame stands where one must.
    NotAFrame,
    /// `/info` is none.
    NotInfo,
    /// More than this program reads.
    TooMuch,
    /// Others came, and the wait is over.
    OtherMessage,
    /// `/info` sends clients to a URL that cannot be checked.
    BaseUrl(String),
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Connection(error) => error.fmt(formatter),
            Problem::Silence { awaited, waited } => {
                write!(formatter, "no {awaited} within {} ms", waited.as_millis())
            }
            Problem::HeldBack { waited } => {
                let waited = waited.as_millis();
                write!(formatter, "no open frame within {waited} ms: a proxy may hold the response back")
            }
            Problem::Ended { awaited } => write!(formatter, "the connection ended before the {awaited}"),
            Problem::Status { of, status, location } => {
                write!(formatter, "the {of} has status {status}")?;
                match location {
                    Some(location) => write!(formatter, ", to {location}"),
                    None if *status == 404 && of.ends_with("/info") => {
                        formatter.write_str(": does the URL end in the path of an endpoint?")
                    }
                    None => Ok(()),
                }
            }
            Problem::Closed { code, reason } => write!(formatter, "the server closed with {code} {reason}"),
            Problem::NotHttp => formatter.write_str("the answer is not HTTP/1.1"),
            Problem::NotWebSocket => formatter.write_str("the answer breaks the WebSocket protocol"),
            Problem::WrongAccept => formatter.write_str("the WebSocket handshake has a wrong answer"),
            Problem::NotAFrame => formatter.write_str("the answer holds no SockJS frame"),
            Problem::NotInfo => formatter.write_str("the answer to /info is none of a SockJS server"),
            Problem::TooMuch => formatter.write_str("the answer is too long"),
            Problem::OtherMessage => formatter.write_str("messages came, but not the one that was sent"),
            Problem::BaseUrl(url) => {
                write!(formatter, "/info sends clients to {url}, which cannot be checked")
            }
        }
    }
}

impl std::error::Error for Problem {}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        Problem::Connection(error)
    }
}

impl From<NotHttp> for Problem {
    fn from(_: NotHttp) -> Self {
        Problem::NotHttp
    }
}

impl From<NotWebSocket> for Problem {
    fn from(_: NotWebSocket) -> Self {
        Problem::NotWebSocket
    }
}
