//! The writing half of a connection: what goes out to its client, and what follows the last byte of it.

use std::iter::once;

use super::body::{Body, Download};
use super::byte_queue::ByteQueue;
use super::pool::Pool;
use super::session::Session;
use crate::collections::Key;
use crate::http::{self, write_chunk_size};
use crate::sockjs::{self, Callback, MESSAGES_END, MESSAGES_START, Transport, simple_wrapping};
use crate::websocket::frame::{Opcode, write_header};

/// What goes out.
pub(super) enum Writing {
    /// Nothing is under way, or a whole answer, behind which the next request is read.
    Idle,
    /// The answer to a request whose messages are being delivered: it waits for the last of them.
    Owed(Box<Owed>),
    /// The connection failed while the messages of its last request are being delivered. They are delivered to the end;
    /// the answer has no reader any more.
    Abandoned,
    /// A polling response: it waits for the one frame of its answer.
    Poll(Box<Poll>),
    /// A streaming response is under way.
    Stream(Stream),
    /// The answer to the request of this number comes later from the program.
    Deferred { number: u32, form: Form },
    /// An answer of the program's whose body is read piece by piece.
    Download(Box<Download>),
    /// The last byte of a receiver's response, or of a download, is in the outbox: until it has left, the client may
    /// yet miss what the session gave it. A receiver that was turned away, and a download, had nothing of a session's.
    Last { session: Option<Key<Session>>, keep_alive: bool },
    /// WebSocket frames.
    Frames(WebSocket),
    /// The last bytes. Behind them the sending side is shut, or the connection dropped if the
    /// stream of the client has ended.
    Closing,
    /// The sending side is shut, and the client's end of the stream is awaited.
    Shut,
    /// The connection has ended: the driver has yet to drop the socket.
    Gone,
}

/// What an answer depends on that is made when its request is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Form {
    pub(super) is_head: bool,
    pub(super) is_http11: bool,
    /// The connection goes on behind the answer.
    pub(super) keep_alive: bool,
}

impl Form {
    /// The same for this body: on HTTP/1.0, one whose length is not known ends with the connection.
    pub(super) fn for_body(self, status: u16, body: &Body) -> Self {
        let says_its_end = body.length().is_some() || self.is_http11 || matches!(status, 204 | 304);
        Self { keep_alive: self.keep_alive && says_its_end, ..self }
    }
}

/// The answer to a request whose messages are being delivered.
pub(super) struct Owed {
    pub(super) answer: Box<[u8]>,
    pub(super) keep_alive: bool,
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
    /// Bytes of frames up to its limit, framing included, prelude not. The frame that reaches it ends the response.
    pub(super) left: u32,
}

/// The receiver that lives as long as its session.
pub(super) struct WebSocket {
    pub(super) session: Key<Session>,
    pub(super) ping: Ping,
}

/// The liveness check of a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ping {
    /// None under way.
    Rest,
    /// In the outbox: the client cannot be blamed yet.
    Queued,
    /// On the wire.
    Sent,
    /// On the wire, and the client has spoken since: it is there, but how far it has read is known with its pong. Holds
    /// when a client that reads at the slowest rate has read what was in front of the ping, in quarters of a second:
    /// the last 16 bits, since it is never far from the present.
    Outstanding(u16),
}

impl Writing {
    /// Bytes of memory that it holds beside itself.
    pub(super) fn footprint(&self) -> usize {
        match self {
            Writing::Owed(owed) => size_of::<Owed>() + owed.answer.len(),
            Writing::Poll(poll) => size_of::<Poll>() + poll.head.len(),
            Writing::Download(download) => size_of::<Download>() + download.reader.footprint(),
            Writing::Idle
            | Writing::Abandoned
            | Writing::Deferred { .. }
            | Writing::Stream(_)
            | Writing::Last { .. }
            | Writing::Frames(_)
            | Writing::Closing
            | Writing::Shut
            | Writing::Gone => 0,
        }
    }

    /// The session whose receiver this is, or whose last frame is on its way.
    pub(super) fn session(&self) -> Option<Key<Session>> {
        match self {
            Writing::Poll(poll) => Some(poll.session),
            Writing::Stream(stream) => Some(stream.session),
            Writing::Frames(socket) => Some(socket.session),
            Writing::Last { session, .. } => *session,
            Writing::Idle
            | Writing::Owed(_)
            | Writing::Abandoned
            | Writing::Deferred { .. }
            | Writing::Download(_)
            | Writing::Closing
            | Writing::Shut
            | Writing::Gone => None,
        }
    }

    /// Whether this is an HTTP response that carries frames, before its end.
    pub(super) fn is_http_receiver(&self) -> bool {
        matches!(self, Writing::Poll(_) | Writing::Stream(_))
    }

    /// Writes one frame in the framing of the transport. `true`: the response must end with it.
    pub(super) fn write_frame(&mut self, frame: Frame<'_>, out: &mut ByteQueue, pool: &mut Pool) -> bool {
        match self {
            Writing::Frames(_) => {
                out.write_long(frame.copied_length(), pool, |out| {
                    write_header(out, Opcode::Text, frame.len());
                });
                frame.append_to(out, pool);
                false
            }
            Writing::Stream(stream) => {
                let size = stream.write(frame, out, pool);
                stream.left = stream.left.saturating_sub(u32::try_from(size).unwrap_or(u32::MAX));
                stream.left == 0
            }
            Writing::Poll(poll) => {
                poll.write(frame, out, pool);
                true
            }
            Writing::Idle
            | Writing::Owed(_)
            | Writing::Abandoned
            | Writing::Deferred { .. }
            | Writing::Download(_)
            | Writing::Last { .. }
            | Writing::Closing
            | Writing::Shut
            | Writing::Gone => false,
        }
    }
}

impl Stream {
    /// Writes one frame, on HTTP/1.1 as a chunk of its own, and says how large it was.
    fn write(&self, frame: Frame<'_>, out: &mut ByteQueue, pool: &mut Pool) -> usize {
        let Some((before, after)) = simple_wrapping(self.transport) else {
            let write_size = if self.chunked { write_chunk_size } else { |_: &mut Vec<u8>, _| {} };
            let size = frame.write_rewritten((self.transport, ""), b"", write_size, out, pool);
            if self.chunked {
                out.write(pool, |out| out.extend_from_slice(http::CHUNK_END));
            }
            return size;
        };
        let size = before.len() + frame.len() + after.len();
        out.write_long(frame.copied_length(), pool, |out| {
            if self.chunked {
                write_chunk_size(out, size);
            }
            out.extend_from_slice(before);
        });
        frame.append_to(out, pool);
        out.write(pool, |out| {
            out.extend_from_slice(after);
            if self.chunked {
                out.extend_from_slice(http::CHUNK_END);
            }
        });
        size
    }
}

impl Poll {
    /// Writes the whole response around one frame.
    fn write(&mut self, frame: Frame<'_>, out: &mut ByteQueue, pool: &mut Pool) {
        let head = std::mem::take(&mut self.head);
        if let Some((before, after)) = simple_wrapping(self.transport) {
            let length = before.len() + frame.len() + after.len();
            out.write_long(frame.copied_length(), pool, |out| {
                out.extend_from_slice(&head);
                http::write_content_length(out, length);
                out.extend_from_slice(before);
            });
            frame.append_to(out, pool);
            out.write(pool, |out| out.extend_from_slice(after));
        } else {
            let callback = self.callback.as_ref().map_or("", Callback::as_str);
            frame.write_rewritten((self.transport, callback), &head, http::write_content_length, out, pool);
        }
    }
}

/// What a transport puts around a frame, at most about.
const WRAPPING: usize = 128;

/// One SockJS frame on its way out.
pub(super) enum Frame<'f> {
    /// `o`, `h` or `c[…]`.
    Whole(&'f [u8]),
    /// `a[…]` around these JSON strings; they are moved out.
    Messages(&'f mut ByteQueue),
}

impl Frame<'_> {
    pub(super) fn len(&self) -> usize {
        match self {
            Frame::Whole(bytes) => bytes.len(),
            Frame::Messages(queue) => MESSAGES_START.len() + queue.len() + MESSAGES_END.len(),
        }
    }

    /// How much room it wants in the buffer in which it begins: large messages bring their own.
    pub(super) fn copied_length(&self) -> usize {
        match self {
            Frame::Whole(bytes) => bytes.len(),
            Frame::Messages(queue) => queue.copied_length(),
        }
    }

    pub(super) fn append_to(self, out: &mut ByteQueue, pool: &mut Pool) {
        match self {
            Frame::Whole(bytes) => out.write(pool, |out| out.extend_from_slice(bytes)),
            Frame::Messages(queue) => {
                out.write(pool, |out| out.extend_from_slice(MESSAGES_START));
                out.append(queue, pool);
                out.write(pool, |out| out.extend_from_slice(MESSAGES_END));
            }
        }
    }

    /// The frame behind `before`, rewritten as its transport wants it, with its size in front. Returns the size.
    pub(super) fn write_rewritten(
        self,
        (transport, callback): (Transport, &str),
        before: &[u8],
        write_size: fn(&mut Vec<u8>, usize),
        out: &mut ByteQueue,
        pool: &mut Pool,
    ) -> usize {
        let mut size = 0;
        let length = before.len() + self.len() + self.len() / 8 + WRAPPING;
        let mut rewrite = |out: &mut Vec<u8>, parts: &mut dyn Iterator<Item = &[u8]>| {
            out.extend_from_slice(before);
            let start = out.len();
            sockjs::wrap(transport, callback, parts, out);
            let end = out.len();
            size = end - start;
            // It is known only now, and stands in front: no second buffer is needed for that.
            write_size(out, size);
            let written = out.len() - end;
            out.get_mut(start..).unwrap_or_default().rotate_right(written);
        };
        match self {
            Frame::Whole(bytes) => out.write_long(length, pool, |out| rewrite(out, &mut once(bytes))),
            Frame::Messages(queue) => {
                out.write_long(length, pool, |out| {
                    rewrite(out, &mut once(MESSAGES_START).chain(queue.slices()).chain(once(MESSAGES_END)));
                });
                queue.give_back(pool);
            }
        }
        size
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_writing_half_is_small() {
        assert!(size_of::<Writing>() <= 16, "{}", size_of::<Writing>());
    }
}
