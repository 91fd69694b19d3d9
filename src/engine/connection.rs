//! One connection: a reading half and a writing half, and the rules that couple them.
//!
//! The reading half says what the next bytes of the client are, the writing half what goes out and what follows
//! its last byte (h11's idea: the state of one side never stands in for that of the other). The halves are
//! changed here and nowhere else:
//!
//! ```text
//! reading  [Proxied ─►] First ─► Head ─► Body ─► Next ─► Head …           requests
//!                                            ├─► Delivering ─► Next        messages, more than one turn can take
//!                                            └─► Frames ─► Discarded       WebSocket, and behind our close frame
//! writing  Idle ─┬─► Owed ─► Idle                                          behind the messages of a request
//!                │       └─► Abandoned ─► Gone                             the connection failed meanwhile
//!                ├─► Poll, Stream ─► Last ─► Idle                          a session's receiver over HTTP
//!                ├─► Frames ─► Idle                                        a session's receiver over WebSocket
//!                ├─► Deferred ─► Idle, Download                            an answer that comes later from the program
//!                └─► Download ─► Last ─► Idle                              a body that is read piece by piece
//! both     Ignored, Closing ─► Shut ─► Gone                                from any state: the last response, a close
//! ```

mod websocket;

use std::mem::{Discriminant, discriminant};
use std::net::{IpAddr, SocketAddr};

use super::Millis;
use super::body::{BodyEnd, Download, Reader};
use super::budget::Footprint;
use super::byte_queue::ByteQueue;
use super::in_layer::InLayer;
use super::inflow::Inflow;
use super::pace::Pace;
use super::pool::Pool;
use super::reading::{Partial, PartialBody, Reading, Rest};
use super::session::Session;
use super::writing::Frame;
use super::writing::{Form, Owed, Ping, Poll, Stream, WebSocket, Writing};
use crate::collections::{Key, Link, Linked, Timer};
use crate::http::{self, HeadScanner};
use crate::websocket::message::Decoder;

/// The state of one connection. Idle ones own no heap.
pub struct Connection {
    reading: Reading,
    writing: Writing,
    /// When the wait of this state began: for the first byte, a head, a body, a handshake. On a WebSocket:
    /// when the client was heard last, or the ping has left. On a stream: when the client made its last
    /// request for the session, since nothing else shows that it is there. It may lie ahead, where the client
    /// must first read what is on its way.
    pub(super) since: Millis,
    /// A unit that is not complete, or units that must wait for something.
    pub(super) inbox: Vec<u8>,
    pub(super) inflow: Inflow,
    /// The connection is in the queue of those that go on in the next turn; nothing more is read until then.
    pub(super) is_postponed: bool,
    /// Bytes on their way to the socket.
    pub(super) outbox: ByteQueue,
    pub(super) pace: Pace,
    /// What is booked for it.
    pub(super) booked: Footprint,
    /// It counts as one of its client's connections.
    pub(super) is_counted: bool,
    /// What is between the outbox and the socket, in the hands of the driver.
    pub(super) in_layer: InLayer,
    pub(super) timer: Timer,
    pub(super) unsent: Link,
    /// `None` for Unix sockets.
    peer: Option<(IpAddr, u16)>,
}

/// The list of connections that have something to send.
pub(super) struct Unsent;

impl Linked<Unsent> for Connection {
    fn link(&self) -> &Link {
        &self.unsent
    }
    fn link_mut(&mut self) -> &mut Link {
        &mut self.unsent
    }
}

/// What the front of the inbox is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    ProxyHeader,
    Request,
    Frame,
    /// A part of the closing handshake.
    Discarded,
    /// A request behind a response under way: a client that has not had its last frame
    /// cannot know what to ask for next.
    Later,
    /// Bytes that nothing will read.
    Ignored,
}

/// What follows when the last byte of the outbox has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Following {
    Nothing,
    /// The client is to send: a request, or its close frame.
    AwaitClient,
    /// A receiver takes more.
    Receiver(Key<Session>),
    /// The client has taken all that was read of a body.
    NextPiece,
    /// The response of a receiver, or a download, has left whole.
    Response {
        session: Option<Key<Session>>,
        keep_alive: bool,
    },
    /// The sending side is to be shut.
    Shut,
    /// The connection is over.
    Drop,
}

/// What becomes of a connection when the last message of a payload was delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delivered {
    /// The answer is in the outbox.
    Answered { keep_alive: bool },
    /// The connection has failed meanwhile.
    Abandoned,
    /// The payload was a WebSocket's: nothing is owed.
    Frame,
}

impl Connection {
    pub(super) fn new(peer: Option<SocketAddr>, now: Millis) -> Self {
        Self {
            reading: Reading::First,
            writing: Writing::Idle,
            since: now,
            inbox: Vec::new(),
            inflow: Inflow::Flowing,
            is_postponed: false,
            outbox: ByteQueue::default(),
            pace: Pace::new(),
            booked: Footprint::default(),
            is_counted: false,
            in_layer: InLayer::default(),
            timer: Timer::default(),
            unsent: Link::default(),
            peer: peer.map(canonical),
        }
    }

    pub(super) fn reading(&self) -> &Reading {
        &self.reading
    }

    pub(super) fn writing(&self) -> &Writing {
        &self.writing
    }

    /// The client's address; `None` on a Unix socket.
    pub(super) fn peer(&self) -> Option<SocketAddr> {
        self.peer.map(SocketAddr::from)
    }

    /// What it holds: see `budget`.
    pub(super) fn footprint(&self) -> Footprint {
        let input = self.inbox.capacity() + self.reading.footprint();
        let in_layer = self.in_layer.footprint();
        Footprint::new(input, self.outbox.footprint() + self.writing.footprint() + in_layer)
    }

    /// The session whose receiver this connection is, or whose last frame it still holds.
    pub(super) fn session(&self) -> Option<Key<Session>> {
        self.writing.session()
    }

    /// The session to which the messages of its payload are being delivered.
    pub(super) fn delivering(&self) -> Option<Key<Session>> {
        if let Reading::Delivering { session, .. } = self.reading { Some(session) } else { None }
    }

    pub(super) fn websocket(&self) -> Option<&WebSocket> {
        if let Writing::Frames(socket) = &self.writing { Some(socket) } else { None }
    }

    /// Whether it has ended, and is only to be removed.
    pub(super) fn is_gone(&self) -> bool {
        matches!(self.writing, Writing::Gone)
    }

    /// Differs where something came of what waited in the inbox.
    pub(super) fn progress(&self) -> (usize, Discriminant<Reading>, Discriminant<Writing>) {
        (self.inbox.len(), discriminant(&self.reading), discriminant(&self.writing))
    }
}

/// The rules that couple both halves.
impl Connection {
    /// What the front of the inbox is now.
    pub(super) fn next_unit(&self) -> Unit {
        match (&self.writing, &self.reading) {
            (Writing::Closing | Writing::Shut | Writing::Gone, _) | (_, Reading::Ignored) => Unit::Ignored,
            (Writing::Owed(_) | Writing::Abandoned, _) | (_, Reading::Delivering { .. }) => Unit::Later,
            (Writing::Poll(_) | Writing::Stream(_) | Writing::Last { .. }, _) => Unit::Later,
            (Writing::Deferred { .. } | Writing::Download(_), _) => Unit::Later,
            (Writing::Idle | Writing::Frames(_), Reading::Proxied) => Unit::ProxyHeader,
            (Writing::Idle | Writing::Frames(_), Reading::Discarded(_)) => Unit::Discarded,
            (Writing::Idle | Writing::Frames(_), Reading::Frames { .. }) => Unit::Frame,
            (
                Writing::Idle | Writing::Frames(_),
                Reading::First | Reading::Next | Reading::Head(_) | Reading::Body(_),
            ) => Unit::Request,
        }
    }

    /// Whether what the client sent goes on when the outbox has become empty: units that waited for that, or the end
    /// of the stream behind a response.
    pub(super) fn has_input_behind_output(&self) -> bool {
        match &self.writing {
            Writing::Idle => !self.inbox.is_empty(),
            Writing::Frames(_) => self.has_rest() || !self.inbox.is_empty(),
            Writing::Last { .. } => self.inflow.has_ended(),
            Writing::Owed(_) | Writing::Abandoned | Writing::Poll(_) | Writing::Stream(_) => false,
            Writing::Deferred { .. } | Writing::Download(_) => false,
            Writing::Closing | Writing::Shut | Writing::Gone => false,
        }
    }

    /// The last byte of the outbox has left.
    pub(super) fn note_last_byte_left(&mut self) -> Following {
        match &self.writing {
            Writing::Idle => match self.reading {
                Reading::Next | Reading::Discarded(_) => Following::AwaitClient,
                // An interim answer, 100, does not give a body more time.
                Reading::Proxied | Reading::First | Reading::Head(_) | Reading::Body(_) => Following::Nothing,
                Reading::Delivering { .. } | Reading::Frames { .. } | Reading::Ignored => Following::Nothing,
            },
            Writing::Poll(poll) => Following::Receiver(poll.session),
            Writing::Stream(stream) => Following::Receiver(stream.session),
            Writing::Frames(socket) => Following::Receiver(socket.session),
            Writing::Download(_) => Following::NextPiece,
            Writing::Last { session, keep_alive } => {
                Following::Response { session: *session, keep_alive: *keep_alive }
            }
            Writing::Closing if self.inflow.has_ended() => Following::Drop,
            Writing::Closing => {
                self.writing = Writing::Shut;
                Following::Shut
            }
            Writing::Owed(_) | Writing::Abandoned | Writing::Deferred { .. } => Following::Nothing,
            Writing::Shut | Writing::Gone => Following::Nothing,
        }
    }

    /// Whether the end of the stream, which has been read, is behind something that must come first. (Whether all of an
    /// answer arrives is known when it has left.)
    pub(super) fn end_must_wait(&self, is_backed_up: bool) -> bool {
        match &self.writing {
            Writing::Owed(_) | Writing::Abandoned | Writing::Last { .. } => true,
            // The client asked for all of it, and may have only shut its sending side.
            Writing::Download(_) => true,
            Writing::Deferred { .. } => self.is_postponed,
            Writing::Poll(_) | Writing::Stream(_) | Writing::Closing | Writing::Shut | Writing::Gone => {
                self.is_postponed
            }
            Writing::Idle | Writing::Frames(_) if self.is_postponed || self.has_rest() => true,
            Writing::Idle | Writing::Frames(_) => match self.next_unit() {
                // What is here whole waits for the answers before it to leave.
                Unit::Request | Unit::Frame => !self.inbox.is_empty() && is_backed_up,
                Unit::ProxyHeader | Unit::Discarded | Unit::Later | Unit::Ignored => false,
            },
        }
    }

    /// An answer is in the outbox: behind it comes the next request, or the end.
    pub(super) fn answered(&mut self, keep_alive: bool, now: Millis) {
        self.since = now;
        match keep_alive {
            true => (self.reading, self.writing) = (Reading::Next, Writing::Idle),
            false => self.close(),
        }
    }

    /// Nothing more is read. What is in the outbox goes out, then the sending side is shut.
    pub(super) fn close(&mut self) {
        (self.reading, self.writing) = (Reading::Ignored, Writing::Closing);
    }

    /// The connection ends here and now. `false`: it has ended already; or the messages of its last request are still
    /// being delivered, and then it ends behind the last of them.
    pub(super) fn fail(&mut self, is_delivering: bool) -> bool {
        if let Writing::Gone = self.writing {
            return false;
        }
        if is_delivering && self.delivering().is_some() {
            self.writing = Writing::Abandoned;
            return false;
        }
        (self.reading, self.writing) = (Reading::Ignored, Writing::Gone);
        true
    }
}

/// Requests.
impl Connection {
    /// A load balancer is to say first for which client the connection is.
    pub(super) fn expect_proxy_header(&mut self) {
        self.reading = Reading::Proxied;
    }

    /// The load balancer has said for which client the connection is: another one, or itself.
    pub(super) fn note_proxy_header(&mut self, client: Option<SocketAddr>) {
        if let Some(client) = client {
            self.peer = Some(canonical(client));
        }
        self.reading = Reading::First;
    }

    /// Bytes arrive. Where they begin a request, no part of an answer is here any more: HTTP clients ask for
    /// the next when they have read the one before, and nothing is on its way. (Those that pipeline do not,
    /// and browsers do not pipeline.)
    pub(super) fn note_arrival(&mut self) {
        let begins = self.inbox.is_empty() && self.outbox.is_empty();
        if let (true, Reading::First | Reading::Next, Writing::Idle) = (begins, &self.reading, &self.writing)
        {
            self.pace.note_all_read();
        }
    }

    /// Takes out how far the request at the front of the inbox was read; its time begins with its first byte, but that
    /// of the first request with the connection.
    pub(super) fn take_partial(&mut self, now: Millis) -> Option<Partial> {
        match std::mem::replace(&mut self.reading, Reading::Next) {
            Reading::First => Some(Partial::Head(HeadScanner::default())),
            Reading::Next => {
                self.since = now;
                Some(Partial::Head(HeadScanner::default()))
            }
            Reading::Head(scanner) => Some(Partial::Head(scanner)),
            Reading::Body(partial) => Some(Partial::Body(partial)),
            other @ (Reading::Proxied
            | Reading::Delivering { .. }
            | Reading::Frames { .. }
            | Reading::Discarded(_)
            | Reading::Ignored) => {
                self.reading = other;
                None
            }
        }
    }

    /// The rest of a head is yet to come.
    pub(super) fn await_head(&mut self, scanner: HeadScanner) {
        self.reading = Reading::Head(scanner);
    }

    /// The rest of a body is yet to come.
    pub(super) fn await_body(&mut self, partial: Box<PartialBody>) {
        self.reading = Reading::Body(partial);
    }

    /// The messages of a request are delivered in this turn and in others, and its answer
    /// goes out behind the last of them.
    pub(super) fn begin_delivery(&mut self, session: Key<Session>, answer: &[u8], keep_alive: bool) {
        self.reading = Reading::Delivering { session, rest: None };
        self.writing = Writing::Owed(Box::new(Owed { answer: answer.into(), keep_alive }));
    }

    /// The session of a payload of which a part is delivered, and the place for its rest.
    pub(super) fn rest_mut(&mut self) -> Option<(Key<Session>, &mut Option<Box<Rest>>)> {
        let session = self.delivering().or_else(|| self.writing.session())?;
        let (Reading::Delivering { rest, .. } | Reading::Frames { rest, .. }) = &mut self.reading else {
            return None;
        };
        Some((session, rest))
    }

    /// Whether a WebSocket's payload has a part that is not delivered.
    pub(super) fn has_rest(&self) -> bool {
        matches!(&self.reading, Reading::Frames { rest: Some(_), .. })
    }

    /// The last message of a payload was delivered.
    pub(super) fn end_delivery(&mut self, pool: &mut Pool) -> Delivered {
        match &self.writing {
            Writing::Owed(owed) => {
                let keep_alive = owed.keep_alive;
                self.outbox.write(pool, |out| out.extend_from_slice(&owed.answer));
                Delivered::Answered { keep_alive }
            }
            Writing::Abandoned => {
                self.reading = Reading::Next;
                Delivered::Abandoned
            }
            Writing::Frames(_) | Writing::Idle | Writing::Poll(_) | Writing::Stream(_) => Delivered::Frame,
            Writing::Deferred { .. } | Writing::Download(_) | Writing::Last { .. } => Delivered::Frame,
            Writing::Closing | Writing::Shut | Writing::Gone => Delivered::Frame,
        }
    }
}

/// Answers that come later, and bodies that are read piece by piece.
impl Connection {
    /// The answer to the request of this number comes later.
    pub(super) fn defer(&mut self, number: u32, form: Form, now: Millis) {
        self.writing = Writing::Deferred { number, form };
        self.since = now;
    }

    /// The number of the request that waits for its answer, and the form of that.
    pub(super) fn deferred(&self) -> Option<(u32, Form)> {
        if let Writing::Deferred { number, form } = self.writing { Some((number, form)) } else { None }
    }

    /// The request waits no longer: its answer is made now, or the connection is about to end.
    pub(super) fn end_deferral(&mut self) -> Option<(u32, Form)> {
        let deferred = self.deferred();
        if deferred.is_some() {
            self.writing = Writing::Idle;
        }
        deferred
    }

    /// The head of the answer is in the outbox.
    pub(super) fn begin_download(&mut self, download: Download, now: Millis) {
        self.writing = Writing::Download(Box::new(download));
        self.since = now;
    }

    pub(super) fn is_downloading(&self) -> bool {
        matches!(self.writing, Writing::Download(_))
    }

    pub(super) fn download_mut(&mut self) -> Option<&mut Download> {
        if let Writing::Download(download) = &mut self.writing { Some(download) } else { None }
    }

    /// Puts a piece of the body into the outbox, on HTTP/1.1 as a chunk if the length of all is unknown.
    pub(super) fn write_piece(&mut self, bytes: &[u8], pool: &mut Pool) {
        let Writing::Download(download) = &self.writing else { return };
        if bytes.is_empty() {
            return;
        }
        let length = http::CHUNK_FRAMING + bytes.len();
        self.outbox.write_long(length, pool, |out| {
            // Behind the head there may be no room: a buffer that grows by itself would be twice as large.
            out.reserve_exact(length);
            match download.end {
                BodyEnd::LastChunk => http::write_chunk(out, &[bytes]),
                BodyEnd::Behind(_) | BodyEnd::Close => out.extend_from_slice(bytes),
            }
        });
    }

    /// The last piece is in the outbox: writes what is behind it, and hands the reader back.
    pub(super) fn end_download(&mut self, pool: &mut Pool) -> Option<Reader> {
        let Writing::Download(download) = &self.writing else { return None };
        let keep_alive = download.keep_alive;
        if download.end == BodyEnd::LastChunk {
            self.outbox.write(pool, |out| out.extend_from_slice(http::LAST_CHUNK));
        }
        let before = std::mem::replace(&mut self.writing, Writing::Last { session: None, keep_alive });
        if let Writing::Download(download) = before { Some(download.reader) } else { None }
    }

    /// Takes the reader out of a connection that is about to end.
    pub(super) fn take_reader(&mut self) -> Option<Reader> {
        if !self.is_downloading() {
            return None;
        }
        let before = std::mem::replace(&mut self.writing, Writing::Closing);
        if let Writing::Download(download) = before { Some(download.reader) } else { None }
    }
}

/// Receivers.
impl Connection {
    /// A polling response waits for its frame.
    pub(super) fn begin_poll(&mut self, poll: Poll) {
        self.writing = Writing::Poll(Box::new(poll));
    }

    /// A streaming response is under way.
    pub(super) fn begin_stream(&mut self, stream: Stream, now: Millis) {
        self.writing = Writing::Stream(stream);
        self.since = now;
    }

    /// The handshake is answered: both sides speak WebSocket.
    pub(super) fn begin_websocket(&mut self, session: Key<Session>, now: Millis) {
        self.reading = Reading::Frames { decoder: Decoder::default(), rest: None };
        self.writing = Writing::Frames(WebSocket { session, ping: Ping::Rest });
        self.since = now;
    }

    /// Sends one frame. A response ends with it if it is a polling one, or has reached its limit. `true`: so it did.
    pub(super) fn write_frame(&mut self, frame: Frame<'_>, pool: &mut Pool) -> bool {
        self.writing.write_frame(frame, &mut self.outbox, pool) && self.end_response(pool)
    }

    /// Writes the last byte of a receiver's response. `false`: there is none.
    pub(super) fn end_response(&mut self, pool: &mut Pool) -> bool {
        let (session, keep_alive) = match &self.writing {
            Writing::Poll(poll) => (poll.session, poll.keep_alive),
            Writing::Stream(stream) => {
                if stream.chunked {
                    self.outbox.write(pool, |out| out.extend_from_slice(http::LAST_CHUNK));
                }
                (stream.session, stream.keep_alive)
            }
            Writing::Idle | Writing::Owed(_) | Writing::Abandoned | Writing::Frames(_) => return false,
            Writing::Deferred { .. } | Writing::Download(_) | Writing::Last { .. } => return false,
            Writing::Closing | Writing::Shut | Writing::Gone => return false,
        };
        self.writing = Writing::Last { session: Some(session), keep_alive };
        true
    }

    /// The response that is on its way out is nothing to a session any more.
    pub(super) fn disown(&mut self) {
        if let Writing::Last { session, .. } = &mut self.writing {
            *session = None;
        }
    }

    /// The client made a request for the session of this receiver: behind a stream, it is there.
    pub(super) fn note_request(&mut self, now: Millis) {
        if let Writing::Stream(_) = self.writing {
            self.since = now;
        }
    }
}

/// A listener on `[::]` and PROXY headers give IPv4 addresses within IPv6: all that look at them expect what they are.
fn canonical(peer: SocketAddr) -> (IpAddr, u16) {
    (peer.ip().to_canonical(), peer.port())
}

#[cfg(test)]
mod tests;
