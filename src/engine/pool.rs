//! Spare byte buffers, so that the steady state allocates nothing.
//!
//! An idle connection owns no buffer: it takes one here when there is something to keep or to send, and gives it back
//! when the bytes have left. The memory that is retained is bounded.

use super::ServerOptions;
use crate::websocket::message::Assembly;

/// Bytes of spare capacity that are kept at most; beyond it buffers go back to the allocator.
pub(super) const RETAINED: usize = 3 << 20;

/// Buffers are kept apart by how large they are at most, since one in use counts with all of its capacity: a few bytes
/// must not take the room of many. Larger ones are not worth keeping. Of each size the same share is kept, so that
/// plenty of one size does not keep the others out.
const SIZES: [usize; 3] = [4 << 10, 16 << 10, 64 << 10];

/// Room in a buffer beside the message: for an answer's head, headers, quotes, a few escapes. A buffer that grows for
/// want of it comes back as a larger one than was asked for, and is not found again.
const BESIDE: usize = 512;

/// Capacity that is kept for messages that arrive in parts, at most. It may go to one that needs little of it, and
/// counts whole then, so that it is also a small part of what the server may hold.
pub(super) const ASSEMBLY_KEPT: usize = 2 << 20;

/// Capacity that is kept for messages that arrive in parts.
pub(super) fn kept_assembly(options: &ServerOptions) -> usize {
    ASSEMBLY_KEPT.min(options.buffered_bytes / 64)
}

/// Buffers whose content is of no use behind the call that filled them.
#[derive(Default)]
pub(super) struct Buffers {
    /// For answers that are put together before it is known how long they are.
    pub(super) scratch: Vec<u8>,
    /// For bodies that are read from the program, one piece of them.
    pub(super) piece: Vec<u8>,
    /// For strings decoded from payloads.
    pub(super) decoded: String,
    /// For the next WebSocket that begins a message which does not arrive whole.
    pub(super) assembly: Option<Box<Assembly>>,
}

/// The spare buffers.
#[derive(Default)]
pub(super) struct Pool {
    spare: [Spare; SIZES.len()],
}

/// The spare buffers of one size.
#[derive(Default)]
struct Spare {
    buffers: Vec<Vec<u8>>,
    /// Their capacity in all.
    retained: usize,
}

impl Pool {
    /// An empty buffer for about so many bytes: with room for them, unless it is new and they are few.
    pub(super) fn take(&mut self, length: usize) -> Vec<u8> {
        let wanted = length.saturating_add(BESIDE);
        let Some(spare) = self.spare_for(wanted) else { return Vec::with_capacity(length) };
        let Some(buffer) = spare.buffers.pop() else {
            return Vec::with_capacity(if length > BESIDE { wanted } else { 0 });
        };
        spare.retained -= buffer.capacity();
        buffer
    }

    /// Takes a buffer back; its content is forgotten.
    pub(super) fn give(&mut self, mut buffer: Vec<u8>) {
        let capacity = buffer.capacity();
        let Some(spare) = self.spare_for(capacity) else { return };
        if capacity > 0 && spare.retained + capacity <= RETAINED / SIZES.len() {
            buffer.clear();
            spare.buffers.push(buffer);
            spare.retained += capacity;
        }
    }

    fn spare_for(&mut self, length: usize) -> Option<&mut Spare> {
        let size = SIZES.iter().position(|&size| length <= size)?;
        self.spare.get_mut(size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Pool {
        fn retained(&self) -> usize {
            self.spare.iter().map(|spare| spare.retained).sum()
        }
    }

    #[test]
    fn a_buffer_comes_back_empty_and_with_its_capacity() {
        let mut pool = Pool::default();
        let mut buffer = pool.take(10);
        assert_eq!(buffer.capacity(), 0);
        buffer.extend_from_slice(b"secret of another connection");
        let capacity = buffer.capacity();
        pool.give(buffer);
        let again = pool.take(10);
        assert!(again.is_empty());
        assert_eq!(again.capacity(), capacity);
        assert_eq!(pool.retained(), 0);
    }

    #[test]
    fn a_few_bytes_do_not_get_a_large_buffer() {
        let mut pool = Pool::default();
        pool.give(Vec::with_capacity(64 << 10));
        pool.give(Vec::with_capacity(10 << 10));
        assert_eq!(pool.take(100).capacity(), 0);
        assert_eq!(pool.take(5 << 10).capacity(), 10 << 10);
        assert!(pool.take(5 << 10).capacity() < 6 << 10);
        assert_eq!(pool.take(17 << 10).capacity(), 64 << 10);
        assert_eq!(pool.retained(), 0);
    }

    #[test]
    fn what_is_retained_is_bounded_and_large_buffers_do_not_keep_small_ones_out() {
        let mut pool = Pool::default();
        for size in [(64 << 10) + 1, 64 << 10, 16 << 10, 4 << 10] {
            for _ in 0..1000 {
                pool.give(Vec::with_capacity(size));
            }
        }
        assert_eq!(pool.retained(), RETAINED);
        assert_eq!(pool.spare.each_ref().map(|spare| spare.buffers.len()), [256, 64, 16]);
    }
}
