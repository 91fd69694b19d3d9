//! Containers for one thread that owns many small things: sessions, connections, timers.
//!
//! [`Slab`] owns the things and names each by a [`Key`] that goes stale with it. [`List`] and
//! [`Table`] own nothing: they thread themselves through a slab by index, their links lying inside the elements. So an
//! element may stand in several lists and a table at once, joins and leaves each in constant time, and costs no
//! allocation beyond its slot. [`Wheel`] says whose time has come, and keeps its timers in a slab of its own.
//!
//! A stale key is answered with `None` or `false`, never with another element, and never with a panic. There are no
//! clocks here: time is an argument. One rule is the caller's: *an element leaves its lists and its table before it
//! leaves the slab*. Breaking it corrupts no memory, but that list or table: it may lose elements or lead in
//! circles.

mod list;
mod slab;
mod slots;
mod table;
mod wheel;

pub use list::{Link, Linked, List};
pub use slab::{Key, Slab, Values};
pub(crate) use slots::{put, trim};
pub use table::{Hashed, Table};
pub use wheel::{Timer, Wheel};

/// A vector that had room for no more than this keeps it: less than a page.
const WORTH_KEEPING: usize = 64;

/// Gives back the unused memory of a vector that shrank to a quarter of it. What stays is room for twice the items,
/// so that one which comes and goes at the border does not allocate each time.
fn release_excess<T>(items: &mut Vec<T>) {
    if items.capacity() > WORTH_KEEPING && items.len() <= items.capacity() / 4 {
        items.shrink_to(WORTH_KEEPING.max(2 * items.len()));
    }
}

/// Numbers for tests that have to look random and fail the same way twice (xorshift64*).
#[cfg(test)]
struct Random(u64);

#[cfg(test)]
impl Random {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, bound: usize) -> usize {
        ((self.next() >> 32) % bound.max(1) as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_that_shrank_to_a_quarter_keeps_twice_its_items() {
        let rows = [
            (64, 0, 64),
            (65, 0, 64),
            (65, 17, 65),
            (1_024, 257, 1_024),
            (1_024, 256, 512),
            (1_024, 33, 66),
            (1_024, 32, 64),
            (1_024, 0, 64),
        ];
        for (capacity, len, kept) in rows {
            let mut items: Vec<u32> = Vec::with_capacity(capacity);
            items.resize(len, 7);
            release_excess(&mut items);
            assert_eq!(items.capacity(), kept, "room for {capacity}, {len} items");
            assert_eq!(items, vec![7; len]);
        }
    }
}
