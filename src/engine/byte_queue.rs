//! A queue of bytes on their way out: small pieces are copied into one owned tail, large shared ones are referenced.
//!
//! A connection's outbox (wire bytes) is such a queue, and so is a session's queue (messages for the next frame, as
//! comma-joined JSON strings). In the steady state a queue is its tail alone, one pooled buffer; the list of pieces
//! exists only while a large broadcast waits.

use std::collections::VecDeque;

use super::budget::Shared;
use super::pool::Pool;

/// Shared pieces smaller than this are copied: the copy costs less than a list entry and an I/O slice.
const WORTH_SHARING: usize = 2048;

/// Owned ones up to this size too when a queue moves into an outbox: the list of pieces would cost an allocation.
const WORTH_MOVING: usize = 32 << 10;

/// Capacity below which nothing is gained by giving it back.
const WORTH_SHRINKING: usize = 1024;

enum Piece {
    Owned(Vec<u8>),
    Shared(Shared),
    Static(&'static [u8]),
}

impl Piece {
    fn bytes(&self) -> &[u8] {
        match self {
            Piece::Owned(bytes) => bytes,
            Piece::Shared(bytes) => bytes.bytes(),
            Piece::Static(bytes) => bytes,
        }
    }

    /// Bytes of memory that are this queue's alone.
    fn owned_capacity(&self) -> usize {
        match self {
            Piece::Owned(bytes) => bytes.capacity(),
            Piece::Shared(_) | Piece::Static(_) => 0,
        }
    }

    fn let_go(self, pool: &mut Pool) {
        if let Piece::Owned(bytes) = self {
            pool.give(bytes);
        }
    }
}

/// The queue. Empty queues own no memory.
#[derive(Default)]
pub(super) struct ByteQueue {
    /// What goes before the tail: a pointer where there is mostly nothing, since every idle session has two queues.
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
    /// Bytes of memory that are this queue's alone.
    capacity: usize,
}

impl ByteQueue {
    /// Bytes that wait.
    pub(super) fn len(&self) -> usize {
        self.pieces.as_ref().map_or(0, |pieces| pieces.length) + self.tail.len() - self.taken
    }

    /// Bytes of memory that it holds alone.
    pub(super) fn footprint(&self) -> usize {
        let pieces = self.pieces.as_ref().map_or(0, |pieces| {
            size_of::<Pieces>() + pieces.queue.capacity() * size_of::<Piece>() + pieces.capacity
        });
        pieces + self.tail.capacity()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends the bytes that `write` writes: mostly a few. It must only append.
    pub(super) fn write(&mut self, pool: &mut Pool, write: impl FnOnce(&mut Vec<u8>)) {
        self.write_long(0, pool, write);
    }

    /// The same where about `length` bytes are to come, in this write and those that follow.
    pub(super) fn write_long(&mut self, length: usize, pool: &mut Pool, write: impl FnOnce(&mut Vec<u8>)) {
        if self.tail.capacity() == 0 {
            self.tail = pool.take(length);
        } else if self.taken_of_tail() >= WORTH_SHARING && self.taken * 2 >= self.tail.len() {
            // A client that always leaves a little unread must not make the tail grow for ever.
            self.forget_taken();
        }
        write(&mut self.tail);
    }

    /// Appends bytes that others hold too.
    pub(super) fn push_shared(&mut self, bytes: &Shared, pool: &mut Pool) {
        if bytes.bytes().len() < WORTH_SHARING {
            self.write(pool, |tail| tail.extend_from_slice(bytes.bytes()));
        } else {
            self.push_piece(Piece::Shared(bytes.clone()));
        }
    }

    /// Appends bytes that are there for ever.
    pub(super) fn push_static(&mut self, bytes: &'static [u8], pool: &mut Pool) {
        if bytes.len() < WORTH_SHARING {
            self.write(pool, |tail| tail.extend_from_slice(bytes));
        } else {
            self.push_piece(Piece::Static(bytes));
        }
    }

    /// Appends bytes that this queue alone holds: large ones without a copy, unless much of their memory is unused.
    pub(super) fn push_owned(&mut self, bytes: Vec<u8>, pool: &mut Pool) {
        if is_worth_moving(bytes.len(), bytes.capacity()) {
            self.push_piece(Piece::Owned(bytes));
        } else {
            self.write_long(bytes.len(), pool, |tail| tail.extend_from_slice(&bytes));
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
    pub(super) fn append(&mut self, other: &mut ByteQueue, pool: &mut Pool) {
        debug_assert_eq!(other.taken, 0, "only a connection's outbox is ever taken from");
        if let Some(pieces) = other.pieces.take() {
            for piece in pieces.queue {
                self.push_piece(piece);
            }
        }
        let tail = std::mem::take(&mut other.tail);
        if tail.len() < WORTH_MOVING {
            self.write_long(tail.len(), pool, |own| own.extend_from_slice(&tail));
            pool.give(tail);
        } else {
            self.push_piece(Piece::Owned(tail));
        }
    }

    fn push_piece(&mut self, piece: Piece) {
        let pieces = self.pieces.get_or_insert_default();
        if !self.tail.is_empty() {
            pieces.length += self.tail.len();
            pieces.capacity += self.tail.capacity();
            pieces.queue.push_back(Piece::Owned(std::mem::take(&mut self.tail)));
        }
        pieces.length += piece.bytes().len();
        pieces.capacity += piece.owned_capacity();
        pieces.queue.push_back(piece);
    }

    /// All bytes, if there are no pieces: mostly.
    pub(super) fn as_slice(&self) -> Option<&[u8]> {
        self.pieces.is_none().then(|| self.tail.get(self.taken..).unwrap_or_default())
    }

    /// All bytes, in order, in as many slices as there are pieces.
    pub(super) fn slices(&self) -> impl Iterator<Item = &[u8]> {
        let pieces = self.pieces.iter().flat_map(|pieces| pieces.queue.iter().map(Piece::bytes));
        let mut taken = self.taken;
        pieces.chain(std::iter::once(self.tail.as_slice())).filter_map(move |bytes| {
            let rest = bytes.get(std::mem::take(&mut taken)..).unwrap_or_default();
            (!rest.is_empty()).then_some(rest)
        })
    }

    /// Forgets the first `count` bytes: they have left.
    pub(super) fn advance(&mut self, count: usize, pool: &mut Pool) {
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
                pieces.capacity -= piece.owned_capacity();
                piece.let_go(pool);
            }
        }
        if self.taken >= self.tail.len() {
            self.give_back(pool);
        }
    }

    /// Forgets the bytes of the tail that have left. Those behind them are moved, which for the rest of a long message
    /// costs as much as to write it anew: only where something is gained by it.
    fn forget_taken(&mut self) {
        let taken = self.taken_of_tail();
        self.tail.drain(..taken);
        self.taken -= taken;
    }

    /// How many bytes of the tail have left: none while there are pieces before it.
    fn taken_of_tail(&self) -> usize {
        if self.pieces.is_none() { self.taken.min(self.tail.len()) } else { 0 }
    }

    /// Gives back memory that waits for nothing, in a queue that may stay as it is for long.
    pub(super) fn shrink(&mut self) {
        let capacity = self.tail.capacity();
        if capacity >= WORTH_SHRINKING && self.tail.len() - self.taken_of_tail() < capacity / 4 {
            self.forget_taken();
            self.tail.shrink_to_fit();
        }
    }

    /// Drops everything and gives the memory back.
    pub(super) fn give_back(&mut self, pool: &mut Pool) {
        self.taken = 0;
        Piece::Owned(std::mem::take(&mut self.tail)).let_go(pool);
        if let Some(pieces) = self.pieces.take() {
            pieces.queue.into_iter().for_each(|piece| piece.let_go(pool));
        }
    }
}

/// Whether so many bytes, in so much memory, stay where they are when a queue takes them over.
pub(super) fn is_worth_moving(length: usize, capacity: usize) -> bool {
    length >= WORTH_MOVING && capacity - length <= length / 4
}

/// Bytes of memory that a queue takes for these.
pub(super) fn memory_of(length: usize, capacity: usize) -> usize {
    if is_worth_moving(length, capacity) { capacity } else { length }
}

/// Whether a queue refers to bytes of this length that others hold too, in place of a copy.
pub(super) fn is_worth_sharing(length: usize) -> bool {
    length >= WORTH_SHARING
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::budget::Budget;

    impl ByteQueue {
        /// Bytes in it that cost no memory.
        fn static_length(&self) -> usize {
            let pieces = self.pieces.iter().flat_map(|pieces| pieces.queue.iter());
            pieces.map(|piece| if let Piece::Static(bytes) = piece { bytes.len() } else { 0 }).sum()
        }
    }

    fn flat(queue: &ByteQueue) -> Vec<u8> {
        let mut out = Vec::new();
        queue.slices().for_each(|slice| out.extend_from_slice(slice));
        out
    }

    #[test]
    fn an_empty_queue_is_small_and_owns_nothing() {
        assert!(size_of::<ByteQueue>() <= 40);
        assert_eq!(ByteQueue::default().slices().count(), 0);
    }

    /// Pieces that others hold count by their places in the list alone.
    #[test]
    fn the_list_of_pieces_is_part_of_the_footprint() {
        const COUNT: usize = 100;
        let mut pool = Pool::default();
        let mut queue = ByteQueue::default();
        let mut budget = Budget::new(1 << 20);
        let shared = budget.share(vec![b'x'; WORTH_SHARING]);
        (0..COUNT).for_each(|_| queue.push_shared(&shared, &mut pool));
        let places = COUNT * size_of::<Piece>();
        let footprint = queue.footprint();
        assert!((places + size_of::<Pieces>()..3 * places).contains(&footprint), "{footprint}");
    }

    #[test]
    fn pieces_that_have_left_are_in_no_footprint() {
        let mut pool = Pool::default();
        let mut queue = ByteQueue::default();
        let mut budget = Budget::new(1 << 20);
        let shared = budget.share(vec![b'x'; WORTH_SHARING]);
        for _ in 0..10 {
            queue.write(&mut pool, |out| out.extend_from_slice(&[b'y'; 3000]));
            queue.push_shared(&shared, &mut pool);
        }
        let before = queue.footprint();
        queue.advance(queue.len() - 1, &mut pool);
        assert_eq!(flat(&queue), b"x");
        assert!(queue.footprint() + 9 * 3000 <= before, "{} of {before}", queue.footprint());
    }

    #[test]
    fn small_shared_pieces_are_copied_and_large_ones_referenced() {
        let mut pool = Pool::default();
        let mut queue = ByteQueue::default();
        let mut budget = Budget::new(1 << 20);
        let small = budget.share(b"small".to_vec());
        let large = budget.share(vec![b'x'; WORTH_SHARING]);
        queue.push_shared(&small, &mut pool);
        queue.push_shared(&large, &mut pool);
        queue.push_shared(&small, &mut pool);
        assert_eq!(queue.slices().count(), 3);
        assert_eq!(queue.len(), WORTH_SHARING + 10);
        let held = budget.held();
        drop(small);
        assert!(budget.held() < held, "a copy needs no other holder");
        drop(large);
        assert!(budget.held() >= WORTH_SHARING, "the queue still holds it");
        queue.give_back(&mut pool);
        assert_eq!(budget.held(), 0);
    }

    #[test]
    fn static_bytes_and_large_owned_ones_are_not_copied() {
        let mut pool = Pool::default();
        let mut queue = ByteQueue::default();
        queue.write(&mut pool, |tail| tail.extend_from_slice(b"head"));
        queue.push_static(&[1; 1 << 20], &mut pool);
        queue.push_static(b"small", &mut pool);
        assert!(queue.footprint() < 1000, "{}", queue.footprint());
        let owned = vec![2; WORTH_MOVING];
        let place = owned.as_ptr();
        queue.push_owned(owned, &mut pool);
        // Most of the memory of this one is unused: a copy of what is in it holds less.
        let mut roomy = Vec::with_capacity(1 << 20);
        roomy.resize(WORTH_MOVING, 3);
        queue.push_owned(roomy, &mut pool);
        assert!(queue.slices().any(|slice| slice.as_ptr() == place));
        assert!(queue.footprint() < 3 * WORTH_MOVING, "{}", queue.footprint());
        assert_eq!(queue.len(), 4 + (1 << 20) + 5 + 2 * WORTH_MOVING);
        queue.give_back(&mut pool);
        assert_eq!(queue.footprint(), 0);
    }

    #[test]
    fn a_short_write_behind_a_long_one_that_has_left_holds_little() {
        let mut pool = Pool::default();
        let mut queue = ByteQueue::default();
        queue.write_long(60_000, &mut pool, |tail| tail.resize(60_000, b'x'));
        queue.give_back(&mut pool);
        queue.write(&mut pool, |tail| tail.push(b'x'));
        assert!(queue.footprint() < 100, "{} bytes are held for one", queue.footprint());
    }

    /// Every operation at random against a plain vector.
    #[test]
    fn a_queue_is_a_queue_of_bytes() {
        let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = move |below: usize| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            (seed % below as u64) as usize
        };
        let (mut pool, mut budget) = (Pool::default(), Budget::new(1 << 20));
        let (mut queue, mut model) = (ByteQueue::default(), Vec::<u8>::new());
        let mut next = 0_u8;
        for _ in 0..20_000 {
            let length = [0, 1, 100, WORTH_SHARING - 1, WORTH_SHARING, 5000][random(6)];
            next = next.wrapping_add(1);
            let bytes = vec![next; length];
            match random(7) {
                3 => queue.push_static(bytes.clone().leak(), &mut pool),
                4 => {
                    let mut owned = bytes.repeat(8);
                    owned.reserve_exact([0, owned.len() / 8, owned.len()][random(3)]);
                    model.extend_from_slice(&owned);
                    queue.push_owned(owned, &mut pool);
                    assert_eq!(queue.len(), model.len());
                    continue;
                }
                0 => queue.write(&mut pool, |tail| tail.extend_from_slice(&bytes)),
                1 => queue.push_shared(&budget.share(bytes.clone()), &mut pool),
                2 => {
                    let mut other = ByteQueue::default();
                    other.write(&mut pool, |tail| tail.extend_from_slice(&bytes));
                    other.push_shared(&budget.share(bytes.clone()), &mut pool);
                    queue.append(&mut other, &mut pool);
                    assert!(other.is_empty());
                    model.extend_from_slice(&bytes);
                }
                _ => {
                    let count = random(queue.len() + 1);
                    queue.advance(count, &mut pool);
                    model.drain(..count);
                    assert_eq!(queue.len(), model.len());
                    let counted = queue.footprint() + budget.held() + queue.static_length();
                    assert!(counted >= queue.len(), "all that waits is accounted for");
                    continue;
                }
            }
            model.extend_from_slice(&bytes);
            assert_eq!(queue.len(), model.len());
        }
        assert_eq!(flat(&queue), model);
        queue.advance(model.len(), &mut pool);
        assert!(queue.is_empty() && queue.pieces.is_none() && queue.tail.capacity() == 0);
        assert_eq!(queue.footprint() + budget.held(), 0);
    }

    #[test]
    fn a_reader_that_is_always_a_byte_behind_costs_no_more_than_what_waits() {
        let mut pool = Pool::default();
        let mut queue = ByteQueue::default();
        queue.write(&mut pool, |tail| tail.push(0));
        for _ in 0..10_000 {
            queue.write(&mut pool, |tail| tail.extend_from_slice(&[0; 1000]));
            queue.advance(1000, &mut pool);
            assert_eq!(queue.len(), 1);
            assert!(queue.footprint() <= 8 * WORTH_SHARING, "{}", queue.footprint());
        }
        queue.shrink();
        queue.give_back(&mut pool);
        assert_eq!(queue.footprint(), 0);
    }
}
