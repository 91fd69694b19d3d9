//! Spare byte buffers, so that the steady state allocates nothing.
//!
//! An idle connection owns no buffer: it takes one here when there is something to keep or to send, and gives it
//! back when the bytes have left. What the pool retains is bounded, whatever the server went through.

/// Bytes of capacity the pool keeps at most; beyond it buffers go back to the allocator.
const RETAINED: usize = 4 << 20;

/// The largest single buffer worth keeping.
const LARGEST: usize = 2 << 20;

/// The stack of spare buffers.
#[derive(Default)]
pub(super) struct Pool {
    spare: Vec<Vec<u8>>,
    retained: usize,
}

impl Pool {
    /// An empty buffer, with capacity if one is spare.
    pub(super) fn take(&mut self) -> Vec<u8> {
        match self.spare.pop() {
            Some(buffer) => {
                self.retained -= buffer.capacity();
                buffer
            }
            None => Vec::new(),
        }
    }

    /// Takes a buffer back; its content is forgotten.
    pub(super) fn give(&mut self, mut buffer: Vec<u8>) {
        let capacity = buffer.capacity();
        if capacity == 0 || capacity > LARGEST || self.retained + capacity > RETAINED {
            return;
        }
        buffer.clear();
        self.retained += capacity;
        self.spare.push(buffer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_empty_and_with_its_capacity() {
        let mut pool = Pool::default();
        let mut buffer = pool.take();
        assert_eq!(buffer.capacity(), 0);
        buffer.extend_from_slice(b"secret of another connection");
        let capacity = buffer.capacity();
        pool.give(buffer);
        let again = pool.take();
        assert!(again.is_empty());
        assert_eq!(again.capacity(), capacity);
        assert_eq!(pool.retained, 0);
    }

    #[test]
    fn what_is_retained_is_bounded() {
        let mut pool = Pool::default();
        for _ in 0..100 {
            pool.give(Vec::with_capacity(1 << 20));
        }
        pool.give(Vec::with_capacity(LARGEST + 1));
        assert!(pool.retained <= RETAINED);
        assert_eq!(pool.spare.len(), RETAINED >> 20);
    }
}
