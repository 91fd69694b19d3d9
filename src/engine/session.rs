//! One session: its state, the queue for its client, and how it ended.

use std::fmt;
use std::sync::Arc;

use super::Millis;
use super::app_timers::AppTimers;
use super::byte_queue::ByteQueue;
use super::connection::Connection;
use super::endpoint::EndpointNumber;
use crate::collections::{Hashed, Key, Link, Linked, Timer};
use crate::sockjs::Transport;
use crate::websocket::close::{self, REASON_LIMIT};

/// The state of one session.
pub struct Session {
    pub(super) endpoint: EndpointNumber,
    pub(super) transport: Transport,
    pub(super) state: State,
    pub(super) origin: Origin,
    /// The connection that carries frames to the client now.
    pub(super) receiver: Option<Key<Connection>>,
    /// Messages for the client, as comma-joined JSON strings.
    pub(super) queue: ByteQueue,
    /// When the wait at hand began. With a receiver: when a frame was sent last, or the receiver came. Without: from
    /// when on the client can come back, which may lie ahead: it must first read what is on its way.
    pub(super) since: Millis,
    pub(super) timer: Timer,
    pub(super) app_timers: AppTimers,
    /// The place of the chosen one among the endpoint's subprotocols; `u8::MAX` for none.
    pub(super) subprotocol: u8,
    /// Where the application keeps its own state of this session.
    pub(super) state_slot: u32,
    pub(super) chain: u32,
    pub(super) roster: Link,
    pub(super) unflushed: Link,
    pub(super) detached: Link,
    /// What is booked for it.
    pub(super) booked: u32,
}

/// The open sessions of an endpoint.
pub(super) struct Roster;

impl Linked<Roster> for Session {
    fn link(&self) -> &Link {
        &self.roster
    }
    fn link_mut(&mut self) -> &mut Link {
        &mut self.roster
    }
}

/// The sessions of an endpoint that have no receiver, and wait for one: the one that has waited longest in front.
pub(super) struct Detached;

impl Linked<Detached> for Session {
    fn link(&self) -> &Link {
        &self.detached
    }
    fn link_mut(&mut self) -> &mut Link {
        &mut self.detached
    }
}

/// The sessions with something to put into frames at the end of the turn.
pub(super) struct Unflushed;

impl Linked<Unflushed> for Session {
    fn link(&self) -> &Link {
        &self.unflushed
    }
    fn link_mut(&mut self) -> &mut Link {
        &mut self.unflushed
    }
}

impl Hashed for Session {
    fn hash_key(&self) -> &[u8] {
        self.id().unwrap_or_default().as_bytes()
    }
    fn chain(&self) -> u32 {
        self.chain
    }
    fn set_chain(&mut self, next: u32) {
        self.chain = next;
    }
}

/// The event of which a handler that was told `Full` is to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Awaited {
    Nothing,
    /// Everything that waits for the client has left.
    Drain,
    /// The whole server has room for so many bytes.
    Room(u32),
}

/// The same in four bytes, which an open session has beside the number of skipped messages.
#[derive(Clone, Copy)]
pub(super) struct PackedAwaited(u32);

impl Awaited {
    const NOTHING: u32 = 0;
    const DRAIN: u32 = u32::MAX;

    fn packed(self) -> PackedAwaited {
        PackedAwaited(match self {
            Awaited::Nothing => Self::NOTHING,
            Awaited::Drain => Self::DRAIN,
            Awaited::Room(bytes) => bytes.clamp(Self::NOTHING + 1, Self::DRAIN - 1),
        })
    }
}

impl PackedAwaited {
    pub(super) fn unpacked(self) -> Awaited {
        match self.0 {
            Awaited::NOTHING => Awaited::Nothing,
            Awaited::DRAIN => Awaited::Drain,
            bytes => Awaited::Room(bytes),
        }
    }
}

/// How a session came.
pub(super) enum Origin {
    /// By HTTP requests that name it: the client's secret name, by which the next request finds the session.
    Requests(Box<str>),
    /// With a WebSocket of its own: no second request looks for it.
    WebSocket(RoundTrip),
}

/// How long a WebSocket's client takes to answer a ping, in milliseconds. Two numbers that are small for every session;
/// times begin anew after 49 days.
#[derive(Clone, Copy)]
pub(super) struct RoundTrip {
    /// When the ping left that is not answered yet.
    begun: u32,
    last: u32,
}

/// In place of a time: none.
const NO_TIME: u32 = u32::MAX;

impl Default for RoundTrip {
    fn default() -> Self {
        Self { begun: NO_TIME, last: NO_TIME }
    }
}

impl RoundTrip {
    fn shortened(time: Millis) -> u32 {
        u32::try_from(time % Millis::from(NO_TIME)).unwrap_or_default()
    }

    /// A ping has left.
    pub(super) fn note_ping_sent(&mut self, now: Millis) {
        self.begun = Self::shortened(now);
    }

    /// A pong has come. One that answers no ping (RFC 6455 §5.5.3) says nothing, and neither does one that
    /// took longer than `most`: its client speaks all the time, and may have kept the pong for hours, or lost
    /// it and sent one of its own accord.
    pub(super) fn note_pong_received(&mut self, now: Millis, most: Millis) {
        let begun = std::mem::replace(&mut self.begun, NO_TIME);
        if begun == NO_TIME {
            return;
        }
        let took =
            Self::shortened(Millis::from(NO_TIME) + Millis::from(Self::shortened(now)) - Millis::from(begun));
        if Millis::from(took) <= most {
            self.last = took;
        }
    }

    /// What the last ping took that was answered.
    pub(super) fn last_measured(self) -> Option<Millis> {
        (self.last != NO_TIME).then_some(Millis::from(self.last))
    }
}

/// The life of a session has one turning point.
pub(super) enum State {
    /// The application may send, and hears messages. So many messages were skipped for it since `on_drain` was told
    /// last: while there are any, all are.
    Open { skipped: u64, awaited: PackedAwaited },
    /// Over. The queue goes out, then the close frame.
    Closed { close: Arc<Close>, remaining: Remaining },
}

/// The work that remains for a session that is closed, beside the receiver that it may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remaining {
    /// Its handler is to be told. Later receivers find it, and get the close frame, until
    /// `disconnect_delay` passed without one.
    NoticeAndReceivers,
    /// Its handler is to be told.
    Notice,
    /// Later receivers find it.
    Receivers,
    /// Nothing.
    Nothing,
}

/// The close frame of a receiver whose session was interrupted, or has gone while the receiver came.
pub(super) const INTERRUPTED: (u16, &str) = (1002, "Connection interrupted");

impl Session {
    pub(super) fn new(endpoint: EndpointNumber, transport: Transport, id: Option<&str>, now: Millis) -> Self {
        Self {
            endpoint,
            transport,
            state: State::Open { skipped: 0, awaited: Awaited::Nothing.packed() },
            origin: id.map_or(Origin::WebSocket(RoundTrip::default()), |id| Origin::Requests(id.into())),
            receiver: None,
            queue: ByteQueue::default(),
            since: now,
            timer: Timer::default(),
            app_timers: AppTimers::default(),
            subprotocol: u8::MAX,
            state_slot: u32::MAX,
            chain: u32::MAX,
            roster: Link::default(),
            unflushed: Link::default(),
            detached: Link::default(),
            booked: 0,
        }
    }

    /// The client's name of it, if it has one.
    pub(super) fn id(&self) -> Option<&str> {
        if let Origin::Requests(id) = &self.origin { Some(id) } else { None }
    }

    /// The code of an end of which nothing can be said on the connection: over HTTP the client's next receiver is
    /// told.
    pub(super) fn broken_off_code(&self) -> u16 {
        if self.id().is_some() { INTERRUPTED.0 } else { close::ABNORMAL }
    }

    /// The round trips of its WebSocket's pings, if it has one.
    pub(super) fn round_trip_mut(&mut self) -> Option<&mut RoundTrip> {
        if let Origin::WebSocket(round_trip) = &mut self.origin { Some(round_trip) } else { None }
    }

    /// What it holds: see `budget`. Every session has memory for a reason as long as a WebSocket carries.
    pub(super) fn footprint(&self) -> u32 {
        let reason = match &self.state {
            State::Closed { close, .. } if close.reason.len() > REASON_LIMIT => close.reason.capacity(),
            State::Closed { .. } | State::Open { .. } => 0,
        };
        u32::try_from(self.queue.footprint() + reason).unwrap_or(u32::MAX)
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(self.state, State::Open { .. })
    }

    /// The event of which its handler is to be told: of none any more, once it is closed.
    pub(super) fn awaited(&self) -> Awaited {
        if let State::Open { awaited, .. } = self.state { awaited.unpacked() } else { Awaited::Nothing }
    }

    pub(super) fn set_awaited(&mut self, event: Awaited) {
        if let State::Open { awaited, .. } = &mut self.state {
            *awaited = event.packed();
        }
    }

    /// Closes it. `false`: it was closed already.
    pub(super) fn close(&mut self, close: Close) -> bool {
        let State::Open { skipped, .. } = self.state else { return false };
        let close = Arc::new(Close { skipped, ..close });
        // Later receivers can look for a session by its id alone.
        let remaining = if self.id().is_some() { Remaining::NoticeAndReceivers } else { Remaining::Notice };
        self.state = State::Closed { close, remaining };
        true
    }

    /// The handler refused it: it is closed from the beginning, and its handler hears nothing of it.
    pub(super) fn refuse(&mut self, close: Close) {
        self.close(close);
        self.note_told();
    }

    /// How it closed. `None`: it is open.
    pub(super) fn closed_with(&self) -> Option<Arc<Close>> {
        let State::Closed { close, .. } = &self.state else { return None };
        Some(Arc::clone(close))
    }

    /// Its handler was told of the close.
    pub(super) fn note_told(&mut self) {
        let State::Closed { remaining, .. } = &mut self.state else { return };
        *remaining = match remaining {
            Remaining::NoticeAndReceivers | Remaining::Receivers => Remaining::Receivers,
            Remaining::Notice | Remaining::Nothing => Remaining::Nothing,
        };
    }

    /// No receiver will come any more.
    pub(super) fn note_expired(&mut self) {
        let State::Closed { remaining, .. } = &mut self.state else { return };
        *remaining = match remaining {
            Remaining::NoticeAndReceivers | Remaining::Notice => Remaining::Notice,
            Remaining::Receivers | Remaining::Nothing => Remaining::Nothing,
        };
    }

    /// Whether a request can name it.
    pub(super) fn can_be_found(&self) -> bool {
        let is_forgotten =
            matches!(self.state, State::Closed { remaining: Remaining::Notice | Remaining::Nothing, .. });
        self.id().is_some() && !is_forgotten
    }

    /// Whether its slot is to be freed.
    pub(super) fn is_over(&self) -> bool {
        self.receiver.is_none() && matches!(self.state, State::Closed { remaining: Remaining::Nothing, .. })
    }
}

/// The server's own name of a session: never the client's, which is a secret, and not used
/// again within 2³² sessions.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionId(pub(crate) Key<Session>);

impl fmt::Debug for SessionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SessionId({self})")
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.0.index(), self.0.generation())
    }
}

/// How a session ended, as `on_close` hears it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Close {
    /// The code that went to the client, or came from it (RFC 6455 §7.4; 1006 where nothing could be said).
    pub code: u16,
    /// The reason beside the code.
    pub reason: String,
    /// The cause of the end.
    pub cause: Cause,
    /// Messages that were skipped for it and of which [`Handler::on_drain`](crate::Handler::on_drain) did not tell: see
    /// [`Overflow::Skip`](crate::Overflow::Skip).
    pub skipped: u64,
}

/// The cause of a session's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// The application called `close`.
    Application,
    /// The application called `terminate`.
    Terminated,
    /// The client sent a WebSocket close frame.
    Client,
    /// The receiver broke off: reset, or end of stream before its response ended.
    Interrupted,
    /// No receiver came for `disconnect_delay`.
    Expired,
    /// The endpoint had as many [`sessions`](crate::EndpointOptions::sessions) as it may, and of all that had no
    /// receiver this one had been without for longest: a new session has its place.
    Evicted,
    /// A ping had no answer for `pong_timeout`, nothing could be written for `write_stall`, or the client took nothing
    /// and the server needed the memory.
    Unresponsive,
    /// The client broke the protocol: a bad frame, bad JSON, a message too large.
    Protocol,
    /// A message to many, or from a [`Handle`](crate::Handle), found the send queue full; see
    /// [`Overflow::Close`](crate::Overflow::Close).
    Overflow,
    /// The server shuts down.
    Shutdown,
    /// The handler panicked.
    Panic,
}

impl fmt::Display for Close {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {:?} ({:?})", self.code, self.reason, self.cause)
    }
}

impl Close {
    pub(super) fn new(code: u16, reason: &str, cause: Cause) -> Self {
        Self { code, reason: reason.to_owned(), cause, skipped: 0 }
    }
}

/// Why `send` did not take a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// There is no such session, or it is closed.
    Gone,
    /// The client does not read, and its queue is full, or the server has no memory for the message; `on_drain` tells
    /// when it is worth another try.
    Full,
    /// Binary messages exist on raw WebSocket alone: SockJS carries text.
    NotBinary,
}

impl fmt::Display for SendError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            SendError::Gone => "the session is closed",
            SendError::Full => "the session's send queue is full, or the server's memory",
            SendError::NotBinary => "only a raw WebSocket carries binary messages",
        })
    }
}

impl std::error::Error for SendError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_over_when_its_handler_was_told_and_no_receiver_can_come() {
        let close = || Close::new(1006, "", Cause::Expired);
        // With an id, or without one, and whether the notice comes before the end of the wait for receivers.
        for (id, told_first) in [(Some("id"), true), (Some("id"), false), (None, true)] {
            let mut session = Session::new(EndpointNumber::new(0), Transport::XhrPolling, id, 0);
            session.note_expired();
            session.note_told();
            assert!(session.closed_with().is_none() && session.is_open() && !session.is_over());
            assert_eq!(session.can_be_found(), id.is_some());
            assert!(session.close(close()));
            assert!(!session.close(close()), "once");
            assert!(session.closed_with().is_some() && !session.is_over());
            if told_first {
                session.note_told();
                assert_eq!((session.is_over(), session.can_be_found()), (id.is_none(), id.is_some()));
                session.note_expired();
            } else {
                session.note_expired();
                assert!(!session.is_over() && !session.can_be_found());
                session.note_told();
            }
            assert!(session.is_over());
            session.receiver = Key::from_parts(1, 1);
            assert!(!session.is_over(), "its receiver has yet to carry the close frame");
        }
    }

    #[test]
    fn a_round_trip_is_measured_once_for_each_ping() {
        let day = 24 * 60 * 60 * 1000;
        for start in
            [0, 1, u64::from(u32::MAX) - 20, u64::from(u32::MAX), u64::from(u32::MAX) * 3 - 1, 400 * day]
        {
            let mut trip = RoundTrip::default();
            trip.note_pong_received(start, 60_000);
            assert_eq!(trip.last_measured(), None, "no ping was answered");
            for took in [0, 1, 37, 60_000] {
                trip.note_ping_sent(start);
                assert!(trip.last_measured().is_none_or(|last| last < took));
                trip.note_pong_received(start + took, 60_000);
                assert_eq!(trip.last_measured(), Some(took), "{start}");
                trip.note_pong_received(start + took + 1, 60_000);
                assert_eq!(trip.last_measured(), Some(took), "{start}");
            }
            trip.note_ping_sent(start);
            trip.note_pong_received(start + 60_001, 60_000);
            assert_eq!(trip.last_measured(), Some(60_000), "too late: {start}");
        }
    }

    #[test]
    fn an_event_fits_into_four_bytes() {
        for event in [
            Awaited::Nothing,
            Awaited::Drain,
            Awaited::Room(1),
            Awaited::Room(70_000),
            Awaited::Room(u32::MAX - 1),
        ] {
            assert_eq!(event.packed().unpacked(), event);
        }
        assert_eq!(Awaited::Room(0).packed().unpacked(), Awaited::Room(1));
        assert_eq!(Awaited::Room(u32::MAX).packed().unpacked(), Awaited::Room(u32::MAX - 1));
        let mut session = Session::new(EndpointNumber::new(0), Transport::XhrPolling, Some("id"), 0);
        session.set_awaited(Awaited::Drain);
        assert_eq!(session.awaited(), Awaited::Drain);
        session.close(Close::new(1006, "", Cause::Expired));
        assert_eq!(session.awaited(), Awaited::Nothing, "it is told of its close, and no more");
    }

    #[test]
    fn a_session_is_small() {
        assert!(size_of::<Session>() <= 144, "{}", size_of::<Session>());
    }
}
