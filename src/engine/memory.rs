//! Byte buffers: spare ones, so that the steady state allocates nothing, and the account of all bytes that wait.
//!
//! An idle connection owns no buffer: it takes one here when there is something to keep or to send, and gives it
//! back when the bytes have left. What is retained is bounded, whatever the server went through.

/// Bytes of spare capacity that are kept at most; beyond it buffers go back to the allocator.
pub(super) const RETAINED: usize = 4 << 20;

/// The largest single buffer worth keeping.
const LARGEST: usize = 64 << 10;

/// The spare buffers, and how many bytes wait in those that are in use.
#[derive(Default)]
pub(super) struct Memory {
    spare: Vec<Vec<u8>>,
    retained: usize,
    held: usize,
}

impl Memory {
    /// Bytes of memory in inboxes, outboxes, queues and unfinished messages. What several share counts for each.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// So many bytes are in use from now on.
    pub(super) fn hold(&mut self, count: usize) {
        self.held += count;
    }

    /// So many bytes are in use no longer.
    pub(super) fn release(&mut self, count: usize) {
        debug_assert!(count <= self.held, "{count} bytes are released, but only {} are held", self.held);
        self.held = self.held.saturating_sub(count);
    }

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
        let mut memory = Memory::default();
        let mut buffer = memory.take();
        assert_eq!(buffer.capacity(), 0);
        buffer.extend_from_slice(b"secret of another connection");
        let capacity = buffer.capacity();
        memory.give(buffer);
        let again = memory.take();
        assert!(again.is_empty());
        assert_eq!(again.capacity(), capacity);
        assert_eq!(memory.retained, 0);
    }

    #[test]
    fn what_is_retained_is_bounded() {
        let mut memory = Memory::default();
        for _ in 0..200 {
            memory.give(Vec::with_capacity(LARGEST));
        }
        memory.give(Vec::with_capacity(LARGEST + 1));
        assert!(memory.retained <= RETAINED);
        assert_eq!(memory.spare.len(), RETAINED / LARGEST);
    }
}
