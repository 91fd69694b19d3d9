//! Every limit, wait and choice, with its default; and what is refused as absurd before anything runs.

use std::fmt;
use std::time::Duration;

use crate::http::{HeadLimits, MAX_HEADERS, Network, Origins};
use crate::sockjs::Transports;

/// What holds for the whole server: HTTP limits, waits, and bounds on what all connections together may hold.
///
/// ```
/// let mut options = sockjs_server::ServerOptions::default();
/// options.connections = 1_000;
/// options.keep_alive = std::time::Duration::from_secs(15);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerOptions {
    /// The longest request line in bytes; default 8 KiB. Beyond it: 414 (RFC 9112 §3).
    pub request_line: usize,
    /// The largest header section in bytes; default 16 KiB. Beyond it: 431 (RFC 6585 §5).
    pub header_section: usize,
    /// The most header fields; default 100, at most 256. Beyond it: 431.
    pub header_count: usize,
    /// How long a request's head may take, from its first byte, or from the accept; default 10 s. Then: 408.
    pub head_timeout: Duration,
    /// How long a request's body may take, from the end of the head; default 30 s. Then: 408.
    pub body_timeout: Duration,
    /// How long a connection may idle between two requests; default 75 s. Then it is closed.
    pub keep_alive: Duration,
    /// How long a client may take no byte of what waits for it; default 30 s, and 1 s at most while the server stops. Then
    /// the connection is aborted.
    pub write_stall: Duration,
    /// The slowest client that is still waited for, in bytes that it reads in a second; default 16 KiB. What was written to a
    /// client may be in the buffers of operating systems and proxies for long, so the waits for its next poll, its pong, the
    /// next byte that it takes and its part of a closing handshake begin when a client that reads at this rate has read all
    /// of it, or 10 MiB of it, since more is not on its way.
    pub slowest_client: usize,
    /// How long a closing handshake may take: the client's close frame, or its end of the stream; default 5 s.
    pub close_timeout: Duration,
    /// The most connections at once; default 65,536. Beyond it accepting pauses until one ends.
    pub connections: usize,
    /// Bytes that the whole server may buffer; default 256 MiB, at least 1 MiB. Clients that have not read what they got
    /// may have three quarters of it, and an eighth more is for those who read; then `send` says
    /// [`SendError::Full`](crate::SendError::Full). Unfinished requests and messages have the last eighth, and may have half
    /// of it all where it is free; then 503, or close code 1013. Counted is the memory of the buffers, so that the one that
    /// reaches the bound may go beyond it by as much as it grows.
    pub buffered_bytes: usize,
    /// How long shutting down may take; default 10 s. What is left then is cut and counted.
    pub shutdown_grace: Duration,
    /// The proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed; default none. What comes through a Unix
    /// socket is believed always.
    pub trusted_proxies: Vec<Network>,
    /// The largest body of a request outside of every endpoint, in bytes; default 1 MiB. Beyond it: 413.
    pub body_size: usize,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            request_line: 8 << 10,
            header_section: 16 << 10,
            header_count: 100,
            head_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(30),
            keep_alive: Duration::from_secs(75),
            write_stall: Duration::from_secs(30),
            slowest_client: 16 << 10,
            close_timeout: Duration::from_secs(5),
            connections: 65_536,
            buffered_bytes: 256 << 20,
            shutdown_grace: Duration::from_secs(10),
            body_size: 1 << 20,
            trusted_proxies: Vec::new(),
        }
    }
}

impl ServerOptions {
    /// Checks every field.
    pub(crate) fn validate(&self) -> Result<(), OptionError> {
        require("request_line", (64..=1 << 20).contains(&self.request_line))?;
        require("header_section", (64..=1 << 24).contains(&self.header_section))?;
        require("header_count", (1..=MAX_HEADERS).contains(&self.header_count))?;
        require_wait("head_timeout", self.head_timeout)?;
        require_wait("body_timeout", self.body_timeout)?;
        require_wait("keep_alive", self.keep_alive)?;
        require_wait("write_stall", self.write_stall)?;
        require("slowest_client", (1..=1 << 30).contains(&self.slowest_client))?;
        require_wait("close_timeout", self.close_timeout)?;
        require("connections", (1..=1 << 20).contains(&self.connections))?;
        require("buffered_bytes", self.buffered_bytes >= 1 << 20)?;
        require("shutdown_grace", self.shutdown_grace <= LONGEST_WAIT)?;
        require("body_size", self.body_size <= LARGEST_MESSAGE)
    }

    pub(super) fn head_limits(&self) -> HeadLimits {
        HeadLimits {
            request_line: self.request_line,
            header_section: self.header_section,
            header_count: self.header_count,
        }
    }
}

/// What one endpoint does in its own way. Endpoints share nothing, so each has a set of its own.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EndpointOptions {
    /// Nothing was sent for this long: an `h` frame goes out, on a WebSocket also a ping; default 25 s.
    pub heartbeat_delay: Duration,
    /// How long the answer to a ping may take, from when the ping has left; default 10 s. Then the session closes.
    pub pong_timeout: Duration,
    /// How long a session lives without a receiver; default 5 s. Then it closes.
    pub disconnect_delay: Duration,
    /// Bytes after which a streaming response ends and the client opens the next; default 128 KiB.
    pub response_limit: usize,
    /// The transports that are offered; default all. The paths of the others are 404.
    pub transports: Transports,
    /// The URL of `sockjs-client` for the iframe page; default jsDelivr's.
    pub client_url: String,
    /// `base_url` of `/info`: where the client goes for everything else; default none.
    pub base_url: Option<String>,
    /// Sets `JSESSIONID` for load balancers that stick by cookie; default off. The text goes behind `path=/` as
    /// further attributes: `Some("Secure; SameSite=None".into())`, or empty for none.
    pub jsessionid: Option<String>,
    /// Answers cross-origin requests with the headers that allow them; default on.
    pub cors: bool,
    /// The origins whose pages may use the endpoint, as browsers send them: `https://example.org`,
    /// `http://localhost:3000`, or `https://*.example.org` for every name below a host; empty, the default, means all.
    /// Requests of other pages get 403, on every transport. An entry that no browser sends is refused.
    ///
    /// The page of a request is its `Origin`, else the origin of its `Referer`, else its `Host` where the browser says
    /// that the page is of the same origin. The server's own origin must be listed like any other, also for the iframe
    /// transports, whose requests come from the iframe page; only listed pages can frame that page. A request that names
    /// no page passes, since it is a program's, but not by a transport that a page can load as a script, a form or a
    /// frame (jsonp-polling, htmlfile), and not by eventsource if a browser sent it.
    pub origins: Vec<String>,
    /// Serves the page that `sockjs-client` loads into an iframe for its iframe transports; default on. It exists only
    /// while xhr-polling, eventsource or htmlfile is offered, since they alone use it.
    pub iframe: bool,
    /// Subprotocols that the raw WebSocket speaks, best first; default none. The first one that the client offers
    /// too is chosen (RFC 6455 §4.2.2).
    pub subprotocols: Vec<String>,
    /// The largest message in bytes, as it arrives; default 1 MiB. A SockJS payload, on a WebSocket or as the body of a
    /// send request, may be 16 bytes larger, for the array around a message. Beyond it: close code 1009 on WebSocket,
    /// 413 on HTTP.
    pub message_size: usize,
    /// Bytes that may wait for one session's client; default 1 MiB. Beyond it `send` says
    /// [`SendError::Full`](crate::SendError::Full), and a broadcast closes the session. An empty queue takes any
    /// message.
    pub send_queue: usize,
    /// The longest session id in bytes; default 128. Beyond it: 404.
    pub session_id_length: usize,
    /// The most sessions of this endpoint; default 65,536. Beyond it: 503.
    pub sessions: usize,
}

impl Default for EndpointOptions {
    fn default() -> Self {
        Self {
            heartbeat_delay: Duration::from_secs(25),
            pong_timeout: Duration::from_secs(10),
            disconnect_delay: Duration::from_secs(5),
            response_limit: 128 << 10,
            transports: Transports::all(),
            client_url: "https://cdn.jsdelivr.net/npm/sockjs-client@1/dist/sockjs.min.js".into(),
            base_url: None,
            jsessionid: None,
            cors: true,
            origins: Vec::new(),
            iframe: true,
            subprotocols: Vec::new(),
            message_size: 1 << 20,
            send_queue: 1 << 20,
            session_id_length: 128,
            sessions: 65_536,
        }
    }
}

impl EndpointOptions {
    /// Checks every field, and makes the list of origins ready.
    pub(crate) fn validate(&self) -> Result<Origins, OptionError> {
        require_wait("heartbeat_delay", self.heartbeat_delay)?;
        require_wait("pong_timeout", self.pong_timeout)?;
        require_wait("disconnect_delay", self.disconnect_delay)?;
        require("response_limit", (1..=1 << 30).contains(&self.response_limit))?;
        require("client_url", is_header_text(&self.client_url) && !self.client_url.is_empty())?;
        require("base_url", self.base_url.as_deref().is_none_or(is_header_text))?;
        require("jsessionid", self.jsessionid.as_deref().is_none_or(is_header_text))?;
        let is_token = |name: &String| crate::websocket::handshake::is_subprotocol_token(name.as_bytes());
        require("subprotocols", self.subprotocols.iter().all(is_token))?;
        require("message_size", (1..=LARGEST_MESSAGE).contains(&self.message_size))?;
        require("send_queue", (1..=LARGEST_MESSAGE).contains(&self.send_queue))?;
        require("session_id_length", (1..=4096).contains(&self.session_id_length))?;
        require("sessions", (1..=1 << 24).contains(&self.sessions))?;
        Origins::new(&self.origins).map_err(|_| OptionError { option: "origins" })
    }
}

/// The longest wait that makes sense: a day.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// The largest message and queue that can be asked for: 1 GiB.
const LARGEST_MESSAGE: usize = 1 << 30;

/// An option whose value cannot work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OptionError {
    option: &'static str,
}

impl fmt::Display for OptionError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "option `{}` is zero, or beyond what the server can do", self.option)
    }
}

impl std::error::Error for OptionError {}

fn require(option: &'static str, sound: bool) -> Result<(), OptionError> {
    if sound { Ok(()) } else { Err(OptionError { option }) }
}

/// Waits are between a millisecond, the server's tick, and a day.
fn require_wait(option: &'static str, wait: Duration) -> Result<(), OptionError> {
    require(option, (Duration::from_millis(1)..=LONGEST_WAIT).contains(&wait))
}

fn is_header_text(text: &str) -> bool {
    !text.bytes().any(|byte| byte.is_ascii_control())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_sound() {
        assert_eq!(ServerOptions::default().validate(), Ok(()));
        assert!(EndpointOptions::default().validate().is_ok());
    }

    #[test]
    fn absurd_values_are_named() {
        let server = |change: fn(&mut ServerOptions)| {
            let mut options = ServerOptions::default();
            change(&mut options);
            options.validate().map_err(|error| error.option)
        };
        assert_eq!(server(|options| options.request_line = 0), Err("request_line"));
        assert_eq!(server(|options| options.header_section = 0), Err("header_section"));
        assert_eq!(server(|options| options.header_count = 257), Err("header_count"));
        assert_eq!(server(|options| options.head_timeout = Duration::ZERO), Err("head_timeout"));
        assert_eq!(server(|options| options.body_timeout = Duration::MAX), Err("body_timeout"));
        assert_eq!(server(|options| options.keep_alive = Duration::ZERO), Err("keep_alive"));
        assert_eq!(server(|options| options.write_stall = Duration::ZERO), Err("write_stall"));
        assert_eq!(server(|options| options.slowest_client = 0), Err("slowest_client"));
        assert_eq!(server(|options| options.close_timeout = Duration::ZERO), Err("close_timeout"));
        assert_eq!(server(|options| options.connections = 0), Err("connections"));
        assert_eq!(server(|options| options.buffered_bytes = 0), Err("buffered_bytes"));
        let endpoint = |change: fn(&mut EndpointOptions)| {
            let mut options = EndpointOptions::default();
            change(&mut options);
            options.validate().map(drop).map_err(|error| error.option)
        };
        assert_eq!(endpoint(|options| options.heartbeat_delay = Duration::ZERO), Err("heartbeat_delay"));
        assert_eq!(endpoint(|options| options.pong_timeout = Duration::ZERO), Err("pong_timeout"));
        assert_eq!(endpoint(|options| options.disconnect_delay = Duration::ZERO), Err("disconnect_delay"));
        assert_eq!(endpoint(|options| options.response_limit = 0), Err("response_limit"));
        assert_eq!(endpoint(|options| options.client_url = "a\r\nb".into()), Err("client_url"));
        assert_eq!(endpoint(|options| options.jsessionid = Some("\n".into())), Err("jsessionid"));
        assert_eq!(endpoint(|options| options.origins = vec![String::new()]), Err("origins"));
        assert_eq!(endpoint(|options| options.subprotocols = vec!["a b".into()]), Err("subprotocols"));
        assert_eq!(endpoint(|options| options.message_size = 0), Err("message_size"));
        assert_eq!(endpoint(|options| options.send_queue = 0), Err("send_queue"));
        assert_eq!(endpoint(|options| options.session_id_length = 0), Err("session_id_length"));
        assert_eq!(endpoint(|options| options.sessions = 0), Err("sessions"));
    }
}
