//! One SockJS frame on its way into an outbox.

use std::iter::once;

use super::byte_queue::ByteQueue;
use super::pool::Pool;
use crate::sockjs::{self, MESSAGES_END, MESSAGES_START, Transport};

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
