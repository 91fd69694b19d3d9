//! One connection: where it stands between its accept and its end, and what it holds.
//!
//! The phases, and what moves a connection from one to the next:
//!
//! ```text
//!            ┌───────────── answered, kept alive ◄─────────────────┐
//!            ▼                                                     │
//! accept ─► Idle ─► Head ─► Body ─┬► (answered at once) ───────────┤
//!                                 ├► Delivering ───────────────────┤   messages, more than one turn can take
//!                                 ├► Polling, Streaming ─► Ending ─┘   a session's receiver over HTTP
//!                                 └► WebSocket ─► AwaitingClose        and over WebSocket
//!
//! any of them ─► Finishing ─► Lingering ─► Gone
//! ```

use std::mem::{Discriminant, discriminant};
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU64;

use super::Millis;
use super::budget::Footprint;
use super::byte_queue::ByteQueue;
use super::session::Session;
use crate::collections::{Key, Link, Linked, Timer};
use crate::http::{BodyDecoder, HeadScanner};
use crate::sockjs::{Callback, Transport};
use crate::websocket::discard::Discard;
use crate::websocket::message::Decoder;

/// The state of one connection. Idle ones own no heap.
pub struct Connection {
    pub(super) phase: Phase,
    /// When the wait of this phase began: for the first byte, a head, a body, a handshake. On a WebSocket: when the
    /// client was heard last, or the ping has left.
    pub(super) since: Millis,
    /// Bytes of a unit that is not complete, or that cannot be dealt with yet.
    pub(super) inbox: Vec<u8>,
    /// Bytes on their way to the socket.
    pub(super) outbox: ByteQueue,
    pub(super) flow: Flow,
    /// When a client that reads at the slowest rate has read all that was written to it, in microseconds.
    read_by: u64,
    /// What is booked for it.
    pub(super) booked: Footprint,
    /// The client sends no more; requests that it sent before are yet to be answered.
    pub(super) hung_up: bool,
    /// What it sent before goes on in the next turn; nothing more is read until then.
    pub(super) postponed: bool,
    pub(super) pause: Pause,
    /// It counts as one of its client's connections.
    pub(super) is_counted: bool,
    pub(super) timer: Timer,
    pub(super) dirty: Link,
    /// `None` for Unix sockets.
    peer: Option<(IpAddr, u16)>,
}

/// The list of connections that have something to send.
pub(super) struct Dirty;

impl Linked<Dirty> for Connection {
    fn link(&self) -> &Link {
        &self.dirty
    }
    fn link_mut(&mut self) -> &mut Link {
        &mut self.dirty
    }
}

/// Where a connection stands.
pub(super) enum Phase {
    /// A load balancer is to say who its client is.
    Proxied,
    /// Between two requests. The first one has the head's time, the others the longer idle time.
    Idle { first: bool },
    /// A part of a request's head is in the inbox.
    Head(HeadScanner),
    /// A head, and the decoded part of its body, are in the inbox.
    Body(PartialBody),
    /// The messages of an `xhr_send` or `jsonp_send` are being told, and its answer waits for the last of them.
    Delivering(Box<Delivery>),
    /// A polling request waits for the one frame of its answer.
    Polling(Box<Poll>),
    /// A streaming response is under way.
    Streaming(Stream),
    /// The last byte of a receiver's response is in the outbox: until it has left, the client may yet miss what the
    /// session gave it. One that was turned away had nothing of a session's.
    Ending { session: Option<Key<Session>>, keep_alive: bool },
    /// Upgraded, with a session.
    WebSocket(WebSocket),
    /// Our close frame is out, the client's is awaited (RFC 6455 §7.1.2).
    AwaitingClose(Discard),
    /// Nothing more is read as a request; what waits goes out, then the sending side is shut, or the connection
    /// dropped if the client has hung up already.
    Finishing { peer_done: bool },
    /// The sending side is shut; what arrives is thrown away until the client hangs up (RFC 9112 §9.6).
    Lingering,
    /// Ended: the reactor has yet to drop the socket.
    Gone,
}

/// A request whose body has not arrived whole. The inbox begins with its head, which is read again at the end.
pub(super) struct PartialBody {
    pub(super) head_length: usize,
    pub(super) decoder: BodyDecoder,
    /// Decoded bytes behind the head.
    pub(super) decoded: usize,
}

/// A request whose messages are being told.
pub(super) struct Delivery {
    pub(super) session: Key<Session>,
    /// `None` while some of it is told.
    pub(super) rest: Option<Box<Rest>>,
    /// `None`: the connection was dropped, and nobody waits for it.
    pub(super) answer: Option<Box<[u8]>>,
    pub(super) keep_alive: bool,
}

/// What is left of a payload whose first messages were told.
pub(super) struct Rest {
    payload: String,
    /// Bytes of it that are told.
    told: usize,
}

impl Rest {
    pub(super) fn new(left: &str) -> Self {
        Self { payload: left.to_owned(), told: 0 }
    }

    pub(super) fn left(&self) -> &str {
        self.payload.get(self.told..).unwrap_or_default()
    }

    /// So many bytes are left now.
    pub(super) fn shorten(&mut self, left: usize) {
        self.told = self.payload.len().saturating_sub(left);
    }

    /// Bytes of memory that it holds.
    pub(super) fn buffered(&self) -> usize {
        size_of::<Self>() + self.payload.capacity()
    }
}

/// The receiver of one frame.
pub(super) struct Poll {
    pub(super) session: Key<Session>,
    pub(super) transport: Transport,
    /// The answer's head, but for its length.
    pub(super) head: Box<[u8]>,
    pub(super) callback: Option<Callback>,
    pub(super) keep_alive: bool,
}

/// The receiver of frames up to the response limit.
pub(super) struct Stream {
    pub(super) session: Key<Session>,
    pub(super) transport: Transport,
    /// HTTP/1.1: each frame is a chunk of its own. HTTP/1.0: the response ends with the connection.
    pub(super) chunked: bool,
    pub(super) keep_alive: bool,
    /// Bytes of frames so far, framing included, prelude not.
    pub(super) sent: usize,
    /// When the client made its last request for this session: nothing else shows that it is there.
    pub(super) asked: Millis,
}

/// The receiver that lives as long as its session.
pub(super) struct WebSocket {
    pub(super) session: Key<Session>,
    /// No SockJS framing.
    pub(super) raw: bool,
    pub(super) decoder: Decoder,
    pub(super) ping: Ping,
    /// What is left of a payload of which one turn took a part.
    pub(super) rest: Option<Box<Rest>>,
}

/// The liveness check of a WebSocket.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ping {
    /// None under way.
    Rest,
    /// In the outbox: the client cannot be blamed yet.
    Queued,
    /// On the wire.
    Sent,
    /// On the wire, and the client has spoken since: it is there, but how far it has read is known with its pong. Holds
    /// when a client that reads at the slowest rate has read what was in front of the ping, in quarters of a second: the last
    /// 16 bits, since it is never far from the present.
    Outstanding(u16),
}

/// Bytes that can be on their way to a client at most: what two operating systems buffer by default (Linux:
/// `net.ipv4.tcp_wmem` and `net.ipv4.tcp_rmem`). What was written before them has been read.
const ON_THE_WAY: usize = 10 << 20;

/// Milliseconds in a quarter of a second, about.
const QUARTER: Millis = 256;

/// The last 16 bits of a time in quarters of a second.
fn quarters_of(time: Millis) -> u16 {
    (time / QUARTER) as u16
}

/// How long a client takes for so many bytes at so many in a second, in microseconds.
fn reading_time(bytes: usize, rate: usize) -> u64 {
    (bytes as u64).saturating_mul(1_000_000) / (rate as u64).max(1)
}

/// Whether the driver was told to leave bytes in the socket.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Pause {
    No,
    Yes,
    /// The end of the stream stands behind them.
    BehindEnd,
}

/// Whether the socket takes bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    /// As far as we know.
    Open,
    /// The last write stopped short; no byte has left since then.
    Stalled(Stamp),
}

/// A time, as a number that is never zero: beside it an enum needs no room of its own.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp(NonZeroU64);

impl Stamp {
    pub(super) fn new(time: Millis) -> Self {
        Self(NonZeroU64::MIN.saturating_add(time))
    }

    pub(super) fn time(self) -> Millis {
        self.0.get() - 1
    }
}

impl Connection {
    pub(super) fn new(peer: Option<SocketAddr>, now: Millis) -> Self {
        Self {
            phase: Phase::Idle { first: true },
            since: now,
            inbox: Vec::new(),
            outbox: ByteQueue::default(),
            flow: Flow::Open,
            read_by: 0,
            booked: Footprint::default(),
            hung_up: false,
            postponed: false,
            pause: Pause::No,
            is_counted: false,
            timer: Timer::default(),
            dirty: Link::default(),
            peer: peer.map(canonical),
        }
    }

    /// The client's address; `None` on a Unix socket.
    pub(super) fn peer(&self) -> Option<SocketAddr> {
        self.peer.map(SocketAddr::from)
    }

    /// A load balancer has said who its client is.
    pub(super) fn set_peer(&mut self, peer: SocketAddr) {
        self.peer = Some(canonical(peer));
    }

    /// So many bytes were written to the socket. They are on their way until the client has read them, which nothing tells.
    pub(super) fn note_written(&mut self, count: usize, now: Millis, slowest_client: usize) {
        let now = now.saturating_mul(1000);
        let most = now.saturating_add(reading_time(ON_THE_WAY, slowest_client));
        let begin = self.read_by.max(now);
        self.read_by = begin.saturating_add(reading_time(count, slowest_client)).min(most);
    }

    /// A request begins, and no part of an answer is here any more. HTTP clients ask for the next when they have read the
    /// one before: nothing is on its way. (Those that pipeline do not, and browsers do not pipeline.)
    pub(super) fn note_request(&mut self) {
        if self.inbox.is_empty() && self.outbox.is_empty() && matches!(self.phase, Phase::Idle { .. }) {
            self.read_by = 0;
        }
    }

    /// The answer to a ping has come: what was written in front of the ping has been read.
    pub(super) fn note_pong(&mut self, now: Millis) {
        let Phase::WebSocket(socket) = &mut self.phase else { return };
        // How much earlier than a slow client it has read so far.
        let early = match socket.ping {
            // The wait for the pong was to begin then.
            Ping::Sent => self.since.saturating_sub(now),
            Ping::Outstanding(quarters) => {
                let ahead = quarters.wrapping_sub(quarters_of(now)).cast_signed();
                u64::try_from(ahead).unwrap_or(0) * QUARTER
            }
            Ping::Rest | Ping::Queued => return,
        };
        socket.ping = Ping::Rest;
        self.read_by = self.read_by.saturating_sub(early.saturating_mul(1000));
    }

    /// The client of a WebSocket has spoken: it is there, though its pong may be behind a long message.
    pub(super) fn note_heard(&mut self, now: Millis) {
        let Phase::WebSocket(socket) = &mut self.phase else { return };
        socket.ping = match socket.ping {
            Ping::Sent => Ping::Outstanding(quarters_of(self.since)),
            Ping::Queued => Ping::Rest,
            other @ (Ping::Rest | Ping::Outstanding(_)) => other,
        };
        self.since = now;
    }

    /// When a client that reads at the slowest rate has read all that was written to it: the present, or later.
    pub(super) fn read_by(&self, now: Millis) -> Millis {
        now.max(self.read_by / 1000)
    }

    /// The same for what waits in the outbox, too.
    pub(super) fn all_read_by(&self, now: Millis, slowest_client: usize) -> Millis {
        self.read_by(now).saturating_add(reading_time(self.outbox.len(), slowest_client) / 1000)
    }

    /// What it holds: see `budget`.
    pub(super) fn footprint(&self) -> Footprint {
        let rest = |rest: &Option<Box<Rest>>| rest.as_ref().map_or(0, |rest| rest.buffered());
        let (input, output) = match &self.phase {
            Phase::Delivering(delivery) => {
                let answer = delivery.answer.as_ref().map_or(0, |answer| answer.len());
                (rest(&delivery.rest), size_of::<Delivery>() + answer)
            }
            Phase::Polling(poll) => (0, size_of::<Poll>() + poll.head.len()),
            Phase::WebSocket(socket) => (socket.decoder.buffered() + rest(&socket.rest), 0),
            Phase::Proxied
            | Phase::Idle { .. }
            | Phase::Head(_)
            | Phase::Body(_)
            | Phase::Streaming(_)
            | Phase::Ending { .. }
            | Phase::AwaitingClose(_)
            | Phase::Finishing { .. }
            | Phase::Lingering
            | Phase::Gone => (0, 0),
        };
        Footprint::new(self.inbox.capacity() + input, self.outbox.footprint() + output)
    }

    /// Differs where something came of what waited in the inbox.
    pub(super) fn progress(&self) -> (usize, Discriminant<Phase>) {
        (self.inbox.len(), discriminant(&self.phase))
    }

    pub(super) fn is_websocket(&self) -> bool {
        matches!(self.phase, Phase::WebSocket(_))
    }

    /// The place for what is left of a payload, and the session to which it goes.
    pub(super) fn rest_mut(&mut self) -> Option<(Key<Session>, &mut Option<Box<Rest>>)> {
        match &mut self.phase {
            Phase::Delivering(delivery) => Some((delivery.session, &mut delivery.rest)),
            Phase::WebSocket(socket) => Some((socket.session, &mut socket.rest)),
            _ => None,
        }
    }

    /// The session whose receiver this connection is, or whose last frame it still holds.
    pub(super) fn session(&self) -> Option<Key<Session>> {
        match &self.phase {
            Phase::Polling(poll) => Some(poll.session),
            Phase::Streaming(stream) => Some(stream.session),
            Phase::WebSocket(socket) => Some(socket.session),
            Phase::Ending { session, .. } => *session,
            _ => None,
        }
    }
}

/// A listener on `[::]` and PROXY headers give IPv4 addresses within IPv6: all that look at them expect what they are.
fn canonical(peer: SocketAddr) -> (IpAddr, u16) {
    (peer.ip().to_canonical(), peer.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_small() {
        assert!(size_of::<Connection>() <= 184, "{}", size_of::<Connection>());
    }
}
