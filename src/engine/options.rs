//! Every limit, wait and choice, with its default; and what is refused as absurd before anything runs.

mod rules;
mod setters;
#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::http::{HeadLimits, MAX_HEADERS, Network, Origins};
use crate::sockjs::{Transport, Transports};
pub use rules::OptionError;
use rules::{LARGEST_MESSAGE, LONGEST_WAIT, MOST_SUBPROTOCOLS, count, require, size, wait};

/// What holds for the whole server: HTTP limits, waits, and bounds on what all connections together may hold.
///
/// Each field can be set, and has a method of its name that sets it and returns the options:
///
/// ```
/// use std::time::Duration;
/// use sockjs_server::ServerOptions;
///
/// let options = ServerOptions::default().connections(1_000).keep_alive(Duration::from_secs(15));
///
/// let mut options = ServerOptions::default();
/// options.connections = 1_000;
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
    /// How long the program may take for an answer that [comes later](crate::Reply::later), from when its fallback has
    /// returned; default 60 s, and half a second at most while the server stops. Then: 503.
    pub answer_timeout: Duration,
    /// How long a connection may idle between two requests; default 75 s. Then it is closed.
    pub keep_alive: Duration,
    /// How long a client may take no byte of what waits for it; default 30 s, and 1 s at most while the server stops.
    /// Then the connection is aborted.
    pub write_stall: Duration,
    /// The slowest client that is still waited for, in bytes that it reads in a second; default 16 KiB. What was
    /// written to a client may be in the buffers of operating systems and proxies for long, so the waits for its next
    /// poll, its pong, the next byte that it takes and its part of a closing handshake begin when a client that reads
    /// at this rate has read all of it, or 10 MiB of it, since more is not on its way.
    pub slowest_client: usize,
    /// How long a closing handshake may take: the client's close frame, or its end of the stream; default 5 s.
    pub close_timeout: Duration,
    /// The most connections at once; default 65,536. Beyond it accepting pauses until one ends.
    pub connections: usize,
    /// The most connections at once of one client; default `None`, no limit. One more is closed as it is accepted,
    /// without a word, counted in [`Refusals::too_many`](crate::Refusals::too_many), and told to the observer.
    ///
    /// A client is an IPv4 address, or an IPv6 network of 64 bits, since one customer has at least that. A page of
    /// `sockjs-client` has two connections at most, but thousands of customers may share an IPv4 address (carrier-grade
    /// NAT), and an office does: a sensible value is several hundred, or a hundredth of
    /// [`connections`](Self::connections), so that one address cannot take them all.
    ///
    /// On a listener for [`Preamble::Proxy`](crate::Preamble::Proxy) it is the client that the header names.
    /// Connections of the [`trusted_proxies`](Self::trusted_proxies) do not count, since each of them carries requests
    /// of many clients: the proxy must limit those. Neither do Unix sockets.
    pub connections_per_client: Option<usize>,
    /// The most sessions at once of one client, over all endpoints; default `None`, no limit, at most
    /// 16,777,216. One more is answered with 429 (RFC 6585 §4), counted in
    /// [`Refusals::too_many`](crate::Refusals::too_many), and told to the observer. A closed session counts
    /// until no request finds it any more, `disconnect_delay` after its last one.
    ///
    /// A client is what it is for [`connections_per_client`](Self::connections_per_client), but by the address of
    /// [`Request::client`](crate::Request::client): behind trusted proxies too each client is told from the others,
    /// where connections are not its own. A session over HTTP needs no connection between two requests, so that one
    /// connection may open any number of them; and a page that was left without a close lingers. So this is a limit of
    /// its own, and larger: a sensible value is twice the pages that one address can have open.
    pub sessions_per_client: Option<usize>,
    /// Bytes that the whole server may buffer; default 256 MiB, at least 1 MiB. Clients that have something waiting
    /// may get more while three quarters of it are not in use, pages of the program's own while half of it is not,
    /// and an eighth is for clients that read; then `send` says [`SendError::Full`](crate::SendError::Full), and an
    /// answer is 503. Where a client that reads would get nothing, connections whose clients take nothing are
    /// dropped for it, those that hold most first. Unfinished requests and messages have an eighth whatever else is
    /// there, which may be in use beyond all of it, and may have half of it where that is free; then 503, or close
    /// code 1013. Counted is the memory of the buffers, what several clients get once.
    pub buffered_bytes: usize,
    /// Bytes that the commands of [`Handle`](crate::Handle)s may hold while they wait for the server, each with about
    /// 80 bytes beside its text; default 16 MiB, 4 KiB to 1 GiB. Beyond it a handle says
    /// [`HandleError::Busy`](crate::HandleError::Busy).
    pub mailbox_bytes: usize,
    /// How long shutting down may take; default 10 s. What is left then is cut and counted.
    pub shutdown_grace: Duration,
    /// The proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed; default none. What comes through a
    /// Unix socket is believed always.
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
            answer_timeout: Duration::from_secs(60),
            keep_alive: Duration::from_secs(75),
            write_stall: Duration::from_secs(30),
            slowest_client: 16 << 10,
            close_timeout: Duration::from_secs(5),
            connections: 65_536,
            connections_per_client: None,
            sessions_per_client: None,
            buffered_bytes: 256 << 20,
            mailbox_bytes: 16 << 20,
            shutdown_grace: Duration::from_secs(10),
            body_size: 1 << 20,
            trusted_proxies: Vec::new(),
        }
    }
}

impl ServerOptions {
    /// Checks every field.
    pub(crate) fn validate(&self) -> Result<(), OptionError> {
        size("request_line", self.request_line, 64..=1 << 20)?;
        size("header_section", self.header_section, 64..=1 << 24)?;
        count("header_count", self.header_count, 1..=MAX_HEADERS)?;
        wait("head_timeout", self.head_timeout)?;
        wait("body_timeout", self.body_timeout)?;
        wait("answer_timeout", self.answer_timeout)?;
        wait("keep_alive", self.keep_alive)?;
        wait("write_stall", self.write_stall)?;
        size("slowest_client", self.slowest_client, 1..=1 << 30)?;
        wait("close_timeout", self.close_timeout)?;
        count("connections", self.connections, 1..=1 << 20)?;
        let of_one = self.connections_per_client.unwrap_or(1);
        count("connections_per_client", of_one, 1..=1 << 20)?;
        count("sessions_per_client", self.sessions_per_client.unwrap_or(1), 1..=1 << 24)?;
        size("buffered_bytes", self.buffered_bytes, 1 << 20..=usize::MAX)?;
        size("mailbox_bytes", self.mailbox_bytes, 4 << 10..=LARGEST_MESSAGE)?;
        let is_grace = self.shutdown_grace <= LONGEST_WAIT;
        require("shutdown_grace", is_grace, "be at most 24 h", self.shutdown_grace)?;
        size("body_size", self.body_size, 0..=LARGEST_MESSAGE)
    }

    pub(super) fn head_limits(&self) -> HeadLimits {
        HeadLimits {
            request_line: self.request_line,
            header_section: self.header_section,
            header_count: self.header_count,
        }
    }
}

/// The policy for a session whose client does not read, when there is no room for a message that was broadcast,
/// published, sent to many, or sent by a [`Handle`](crate::Handle): the sender is not told
/// [`SendError::Full`](crate::SendError::Full), as the caller of `send` is. Either way a gap is not silent.
///
/// ```
/// use sockjs_server::{EndpointOptions, Handler, Overflow, Session};
///
/// /// Prices, of which the latest alone matter: a client that falls behind gets all of them again.
/// struct Prices;
///
/// impl Handler for Prices {
///     fn on_message(&mut self, _: &mut Session<'_>, _: &str) {}
///
///     fn on_drain(&mut self, session: &mut Session<'_>, skipped: u64) {
///         if skipped > 0 {
///             let _ = session.send("every price as it is now");
///         }
///     }
/// }
///
/// let mut options = EndpointOptions::default();
/// options.overflow = Overflow::Skip;
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Overflow {
    /// The session closes with 1013 `Send queue full` behind its queue.
    #[default]
    Close,
    /// The session does not get the message, nor those that follow, until everything that waits for its client has
    /// left: the gap is one. Then [`Handler::on_drain`](crate::Handler::on_drain) says how many messages were skipped,
    /// and messages are taken again from then on; where the session closes first,
    /// [`Close::skipped`](crate::Close::skipped) says it. Messages that were taken and messages that were skipped are
    /// together those that were sent.
    Skip,
}

/// What one endpoint does in its own way. Endpoints share nothing, so each has a set of its own.
///
/// Each field can be set, and has a method of its name that sets it and returns the options:
///
/// ```
/// use sockjs_server::{EndpointOptions, Transport, Transports};
///
/// let options = EndpointOptions::default()
///     .origins(["https://example.org"])
///     .transports(Transports::all().without(Transport::HtmlFile))
///     .message_size(64 << 10);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EndpointOptions {
    /// Nothing was sent for this long: an `h` frame goes out, on a WebSocket also a ping; default 25 s. While
    /// jsonp-polling is on it must be under 35 s, when the client of that transport gives up.
    pub heartbeat_delay: Duration,
    /// How long the answer to a ping may take, from when the ping has left; default 10 s. Then the session closes.
    pub pong_timeout: Duration,
    /// How long a session lives without a receiver; default 5 s. Then it closes.
    pub disconnect_delay: Duration,
    /// Bytes after which a streaming response ends and the client opens the next; default 128 KiB.
    pub response_limit: usize,
    /// The transports that are offered, at least one; default all. The paths of the others are 404.
    pub transports: Transports,
    /// The URL of `sockjs-client` for the iframe page, absolute or relative to it; default jsDelivr's.
    pub client_url: String,
    /// `base_url` of `/info`: where the client goes for everything else; default none. The client appends paths to it,
    /// so that it is absolute (`https://node-1.example/echo`) and has no trailing slash, query or fragment.
    pub base_url: Option<String>,
    /// Sets `JSESSIONID` for load balancers that stick by cookie; default off. The text goes behind `path=/` as further
    /// attributes: `Some("Secure; SameSite=None".into())`, or empty for none. `SameSite=None` without `Secure` is
    /// refused: browsers drop such a cookie.
    pub jsessionid: Option<String>,
    /// Answers cross-origin requests with the headers that allow them; default on.
    pub cors: bool,
    /// The origins whose pages may use the endpoint, as browsers send them: `https://example.org`,
    /// `http://localhost:3000`, or `https://*.example.org` for every name below a host; empty, the default, means all.
    /// Requests of other pages get 403, on every transport. An entry that no browser sends is refused.
    ///
    /// The page of a request is its `Origin`, else the origin of its `Referer`, else its `Host` where the browser says
    /// that the page is of the same origin. The server's own origin must be listed like any other, also for the iframe
    /// transports, whose requests come from the iframe page; only listed pages can frame that page. A request that
    /// names no page passes, since it is a program's, but not by a transport that a page can load as a script, a form
    /// or a frame (jsonp-polling, htmlfile), and not by eventsource if a browser sent it.
    pub origins: Vec<String>,
    /// Serves the page that `sockjs-client` loads into an iframe for its iframe transports; default on. It exists only
    /// while xhr-polling, eventsource or htmlfile is offered, since they alone use it.
    pub iframe: bool,
    /// Subprotocols that the raw WebSocket speaks, best first, at most 255; default none. The first one that the client
    /// offers too is chosen (RFC 6455 §4.2.2).
    pub subprotocols: Vec<String>,
    /// Refuses the upgrade of a raw WebSocket that offers none of `subprotocols`, with 400; default off: then the
    /// session opens without one. (A browser that offered some fails the connection in either case.)
    pub subprotocol_required: bool,
    /// The largest message in bytes, as it arrives; default 1 MiB. A SockJS payload, on a WebSocket or as the body of a
    /// send request, may be 16 bytes larger, for the array around a message. Beyond it: close code 1009 on WebSocket,
    /// 413 on HTTP.
    pub message_size: usize,
    /// Bytes that may wait for one session's client; default 1 MiB. Beyond it `send` says
    /// [`SendError::Full`](crate::SendError::Full), and what a broadcast does is said by
    /// [`EndpointOptions::overflow`]. An empty queue takes any message. A message to many is also taken for a client
    /// that reads: until the flush, only [`buffered_bytes`](crate::ServerOptions::buffered_bytes) bounds those of one
    /// callback. On SockJS over WebSocket it is also the most that is packed into one frame, unless a single message
    /// is larger: clients have limits of their own for a frame.
    pub send_queue: usize,
    /// The policy for a message to many, or from a [`Handle`](crate::Handle), that finds no room for a session;
    /// default: the session is closed.
    pub overflow: Overflow,
    /// The longest session id in bytes; default 128. Beyond it: 404.
    pub session_id_length: usize,
    /// The most sessions of this endpoint; default 65,536. One more takes the place of the session that has been
    /// without a receiver for longest, if that is a second or more: then that one closes with
    /// [`Cause::Evicted`](crate::Cause::Evicted), and its client's next request opens a new one. So many
    /// sessions that only come cost each other their places, and not clients that poll. Where no session has
    /// been without a receiver for so long: 503.
    pub sessions: usize,
    /// The most groups of this endpoint; default 65,536. Beyond it a session that would begin one more is told
    /// [`JoinError::TooManyGroups`](crate::JoinError::TooManyGroups).
    pub groups: usize,
    /// The most groups that one session is in; default 32. Beyond it:
    /// [`JoinError::TooManyOfSession`](crate::JoinError::TooManyOfSession). Each membership there may be, of all
    /// sessions, is in the [memory ceiling](crate::Server::memory_ceiling) with 60 bytes.
    pub groups_per_session: usize,
    /// The longest name of a group in bytes; default 128. Beyond it:
    /// [`JoinError::NameTooLong`](crate::JoinError::NameTooLong).
    pub group_name_length: usize,
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
            subprotocol_required: false,
            message_size: 1 << 20,
            send_queue: 1 << 20,
            overflow: Overflow::default(),
            session_id_length: 128,
            sessions: 65_536,
            groups: 65_536,
            groups_per_session: 32,
            group_name_length: 128,
        }
    }
}

/// Sessions that an endpoint may have beyond its limit: those that no request finds any more, and whose handlers are
/// yet to be told. So memory has a bound however late the notices are.
const MOST_FORGOTTEN: usize = 1024;

impl EndpointOptions {
    /// The most sessions that are in memory.
    pub(super) fn most_sessions(&self) -> usize {
        self.sessions.saturating_add(MOST_FORGOTTEN)
    }

    /// Checks every field, and makes the list of origins ready.
    pub(crate) fn validate(&self) -> Result<Origins, OptionError> {
        rules::heartbeat_delay(self.heartbeat_delay, self.transports.contains(Transport::JsonpPolling))?;
        wait("pong_timeout", self.pong_timeout)?;
        wait("disconnect_delay", self.disconnect_delay)?;
        size("response_limit", self.response_limit, 1..=1 << 30)?;
        let is_offering = self.transports != Transports::none();
        require("transports", is_offering, "hold at least one transport", self.transports)?;
        rules::client_url(&self.client_url)?;
        self.base_url.as_deref().map_or(Ok(()), rules::base_url)?;
        self.jsessionid.as_deref().map_or(Ok(()), rules::jsessionid)?;
        let is_token = |name: &String| crate::websocket::handshake::is_subprotocol_token(name.as_bytes());
        let are_tokens = self.subprotocols.iter().all(is_token);
        require("subprotocols", are_tokens, "hold tokens (RFC 9110 §5.6.2)", &self.subprotocols)?;
        let are_few = self.subprotocols.len() <= MOST_SUBPROTOCOLS;
        require("subprotocols", are_few, "hold at most 255 names", self.subprotocols.len())?;
        let can_be_met = !self.subprotocol_required || !self.subprotocols.is_empty();
        require("subprotocol_required", can_be_met, "be off while `subprotocols` is empty", true)?;
        size("message_size", self.message_size, 1..=LARGEST_MESSAGE)?;
        size("send_queue", self.send_queue, 1..=LARGEST_MESSAGE)?;
        size("session_id_length", self.session_id_length, 1..=4096)?;
        count("sessions", self.sessions, 1..=1 << 24)?;
        count("groups", self.groups, 0..=1 << 24)?;
        count("groups_per_session", self.groups_per_session, 0..=1 << 24)?;
        size("group_name_length", self.group_name_length, 0..=4096)?;
        Origins::new(&self.origins).map_err(|error| {
            let rule = format!("hold origins as browsers send them ({})", error.rule());
            OptionError::new("origins", rule, error.entry())
        })
    }
}
