//! A queue of bytes on their way out: small pieces are copied into one owned tail, large shared ones are referenced.
//!
//! Both queues of the server are chains: a connection's outbox (wire bytes) and a session's queue (messages that
//! wait for a receiver, as comma-joined JSON strings). In the steady state a chain is its tail alone, one pooled
//! buffer; the list of pieces exists only while a large broadcast waits.

use std::collections::VecDeque;
use std::sync::Arc;

use super::memory::Memory;

/// Bytes that several chains hold at once: one broadcast, encoded once.
pub(super) type Shared = Arc<[u8]>;

/// Shared pieces smaller than this are copied: the copy costs less than a list entry and an I/O slice.
const WORTH_SHARING: usize = 2048;

/// Owned ones up to this size too when a queue moves into an outbox: the list of pieces would cost an allocation.
const WORTH_MOVING: usize = 32 << 10;

/// Capacity below which nothing is gained by giving it back.
const WORTH_SHRINKING: usize = 1024;

enum Piece {
    Owned(Vec<u8>),
    Shared(Shared),
}

impl Piece {
    fn bytes(&self) -> &[u8] {
        match self {
            Piece::Owned(bytes) => bytes,
            Piece::Shared(bytes) => bytes,
        }
    }

    fn let_go(self, memory: &mut Memory) {
        match self {
            Piece::Owned(bytes) => {
                memory.output.release(bytes.capacity());
                memory.give(bytes);
            }
            Piece::Shared(bytes) => memory.output.release(bytes.len()),
        }
    }
}

/// The queue. Empty chains own no memory.
#[derive(Default)]
pub(super) struct Chain {
    /// What goes before the tail: a pointer where there is mostly nothing, since every idle session has two chains.
    pieces: Option<Box<Pieces>>,
    tail: Vec<u8>,
    /// How many bytes of the foremost piece (of the tail, if there is no piece) have left already.
    taken: usize,
}

/// Pieces in order.
#[derive(Default)]
struct Pieces {
    queue: VecDeque<Piece>,
    /// Bytes in all of them, those taken included.
    length: usize,
}

impl Chain {
    /// Bytes that wait.
    pub(super) fn len(&self) -> usize {
        self.pieces.as_ref().map_or(0, |pieces| pieces.length) + self.tail.len() - self.taken
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends whatever `write` writes: mostly a few bytes. It must only append.
    pub(super) fn write(&mut self, memory: &mut Memory, write: impl FnOnce(&mut Vec<u8>)) {
        self.write_long(0, memory, write);
    }

    /// The same where about `length` bytes are to come, in this write and those that follow.
    pub(super) fn write_long(
        &mut self,
        length: usize,
        memory: &mut Memory,
        write: impl FnOnce(&mut Vec<u8>),
    ) {
        let held = self.tail.capacity();
        if held == 0 {
            self.tail = memory.take(length);
        }
        write(&mut self.tail);
        memory.output.hold(self.tail.capacity().saturating_sub(held));
    }

    /// Appends bytes that others hold too.
    pub(super) fn push_shared(&mut self, bytes: &Shared, memory: &mut Memory) {
        if bytes.len() < WORTH_SHARING {
            self.write(memory, |tail| tail.extend_from_slice(bytes));
        } else {
            memory.output.hold(bytes.len());
            self.push(Piece::Shared(Arc::clone(bytes)));
        }
    }

    /// How many bytes [`append`](Self::append) would copy next.
    pub(super) fn copied_length(&self) -> usize {
        match self.pieces {
            None if self.tail.len() < WORTH_MOVING => self.tail.len(),
            _ => 0,
        }
    }

    /// Moves all of `other` behind what is here. Large pieces move without a copy.
    pub(super) fn append(&mut self, other: &mut Chain, memory: &mut Memory) {
        debug_assert_eq!(other.taken, 0, "only a connection's outbox is ever taken from");
        if let Some(pieces) = other.pieces.take() {
            for piece in pieces.queue {
                self.push(piece);
            }
        }
        let tail = std::mem::take(&mut other.tail);
        if tail.len() < WORTH_MOVING {
            self.write_long(tail.len(), memory, |own| own.extend_from_slice(&tail));
            memory.output.release(tail.capacity());
            memory.give(tail);
        } else {
            self.push(Piece::Owned(tail));
        }
    }

    fn push(&mut self, piece: Piece) {
        let pieces = self.pieces.get_or_insert_default();
        if !self.tail.is_empty() {
            pieces.length += self.tail.len();
            pieces.queue.push_back(Piece::Owned(std::mem::take(&mut self.tail)));
        }
        pieces.length += piece.bytes().len();
        pieces.queue.push_back(piece);
    }

    /// What waits, if there are no pieces: mostly.
    pub(super) fn as_slice(&self) -> Option<&[u8]> {
        self.pieces.is_none().then(|| self.tail.get(self.taken..).unwrap_or_default())
    }

    /// What waits, in order, in as many slices as there are pieces.
    pub(super) fn slices(&self) -> impl Iterator<Item = &[u8]> {
        let pieces = self.pieces.iter().flat_map(|pieces| pieces.queue.iter().map(Piece::bytes));
        let mut taken = self.taken;
        pieces.chain(std::iter::once(self.tail.as_slice())).filter_map(move |bytes| {
            let rest = bytes.get(std::mem::take(&mut taken)..).unwrap_or_default();
            (!rest.is_empty()).then_some(rest)
        })
    }

    /// Forgets the first `count` bytes: they have left.
    pub(super) fn advance(&mut self, count: usize, memory: &mut Memory) {
        self.taken += count.min(self.len());
        while let Some(pieces) = &mut self.pieces {
            let Some(first) = pieces.queue.front() else {
                self.pieces = None;
                break;
            };
            let length = first.bytes().len();
            if self.taken < length {
                return;
            }
            self.taken -= length;
            pieces.length -= length;
            if let Some(piece) = pieces.queue.pop_front() {
                piece.let_go(memory);
            }
        }
        if self.taken >= self.tail.len() {
            self.clear(memory);
        } else if self.taken >= WORTH_SHARING && self.taken * 2 >= self.tail.len() {
            // A client that always leaves a little unread must not make the tail grow for ever.
            self.tail.drain(..self.taken);
            self.taken = 0;
        }
    }

    /// Gives back memory that waits for nothing, in a chain that may stay as it is for long.
    pub(super) fn shrink(&mut self, memory: &mut Memory) {
        let capacity = self.tail.capacity();
        if capacity >= WORTH_SHRINKING && self.tail.len() < capacity / 4 {
            self.tail.shrink_to_fit();
            memory.output.release(capacity.saturating_sub(self.tail.capacity()));
        }
    }

    /// Drops everything and gives the memory back.
    pub(super) fn clear(&mut self, memory: &mut Memory) {
        self.taken = 0;
        Piece::Owned(std::mem::take(&mut self.tail)).let_go(memory);
        if let Some(pieces) = self.pieces.take() {
            pieces.queue.into_iter().for_each(|piece| piece.let_go(memory));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(chain: &Chain) -> Vec<u8> {
        let mut out = Vec::new();
        chain.slices().for_each(|slice| out.extend_from_slice(slice));
        out
    }

    #[test]
    fn an_empty_chain_is_small_and_owns_nothing() {
        assert!(size_of::<Chain>() <= 40);
        assert_eq!(Chain::default().slices().count(), 0);
    }

    #[test]
    fn small_shared_pieces_are_copied_and_large_ones_referenced() {
        let mut memory = Memory::default();
        let mut chain = Chain::default();
        let small: Shared = Arc::from(&b"small"[..]);
        let large: Shared = Arc::from(vec![b'x'; WORTH_SHARING]);
        chain.push_shared(&small, &mut memory);
        chain.push_shared(&large, &mut memory);
        chain.push_shared(&small, &mut memory);
        assert_eq!(Arc::strong_count(&small), 1);
        assert_eq!(Arc::strong_count(&large), 2);
        assert_eq!(chain.slices().count(), 3);
        assert_eq!(chain.len(), WORTH_SHARING + 10);
    }

    #[test]
    fn a_short_write_behind_a_long_one_that_has_left_holds_little() {
        let mut memory = Memory::default();
        let mut chain = Chain::default();
        chain.write_long(60_000, &mut memory, |tail| tail.resize(60_000, b'x'));
        chain.clear(&mut memory);
        chain.write(&mut memory, |tail| tail.push(b'x'));
        assert!(memory.held() < 100, "{} bytes are held for one", memory.held());
    }

    /// Every operation at random against a plain vector.
    #[test]
    fn a_chain_is_a_queue_of_bytes() {
        let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = move |below: usize| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            (seed % below as u64) as usize
        };
        let mut memory = Memory::default();
        let (mut chain, mut model) = (Chain::default(), Vec::<u8>::new());
        let mut next = 0_u8;
        for _ in 0..20_000 {
            let length = [0, 1, 100, WORTH_SHARING - 1, WORTH_SHARING, 5000][random(6)];
            next = next.wrapping_add(1);
            let bytes = vec![next; length];
            match random(5) {
                0 => chain.write(&mut memory, |tail| tail.extend_from_slice(&bytes)),
                1 => chain.push_shared(&Shared::from(bytes.as_slice()), &mut memory),
                2 => {
                    let mut other = Chain::default();
                    other.write(&mut memory, |tail| tail.extend_from_slice(&bytes));
                    other.push_shared(&Shared::from(bytes.as_slice()), &mut memory);
                    chain.append(&mut other, &mut memory);
                    assert!(other.is_empty());
                    model.extend_from_slice(&bytes);
                }
                _ => {
                    let count = random(chain.len() + 1);
                    chain.advance(count, &mut memory);
                    model.drain(..count);
                    assert_eq!(chain.len(), model.len());
                    assert!(memory.held() >= chain.len(), "all that waits is accounted for");
                    continue;
                }
            }
            model.extend_from_slice(&bytes);
            assert_eq!(chain.len(), model.len());
        }
        assert_eq!(flat(&chain), model);
        chain.advance(model.len(), &mut memory);
        assert!(chain.is_empty() && chain.pieces.is_none() && chain.tail.capacity() == 0);
        assert_eq!(memory.held(), 0);
    }

    #[test]
    fn a_reader_that_is_always_a_byte_behind_costs_no_more_than_what_waits() {
        let mut memory = Memory::default();
        let mut chain = Chain::default();
        chain.write(&mut memory, |tail| tail.push(0));
        for _ in 0..10_000 {
            chain.write(&mut memory, |tail| tail.extend_from_slice(&[0; 1000]));
            chain.advance(1000, &mut memory);
            assert_eq!(chain.len(), 1);
            assert!(memory.held() <= 8 * WORTH_SHARING, "{}", memory.held());
        }
        chain.shrink(&mut memory);
        chain.clear(&mut memory);
        assert_eq!(memory.held(), 0);
    }
}
