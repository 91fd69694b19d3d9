//! A slab: values in, keys out; a key finds its value in two loads until the value is removed, and nothing afterwards.
//!
//! Values lie in chunks of 64 slots. Growing allocates one chunk and moves no value; a chunk that empties gives its
//! memory back, except for one spare, so that a value which comes and goes at the border of a chunk does not
//! allocate each time. Low slots are filled first, so that the high chunks of a slab past its peak run empty.
//!
//! Every insertion draws its generation from one counter of the slab, never from the slot: an empty slot has nothing
//! to remember, and a chunk that was given back cannot bring old keys to life. A stale key could be taken for valid
//! only if it were kept through 2^32 insertions and the one in its very slot met its number.

mod values;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::mem;
use std::num::NonZeroU32;

use super::release_excess;
pub use values::Values;

/// Slots in a chunk: as many as a word has bits.
const CHUNK: usize = u64::BITS as usize;

/// Chunks in a slab. It leaves the last 64 numbers of a `u32` out, so that links can give them meanings.
const MAX_CHUNKS: usize = (u32::MAX >> CHUNK.ilog2()) as usize;

/// An index that no element has: the end of a list or a chain.
pub(super) const NOWHERE: u32 = u32::MAX;

/// Names one value of a [`Slab`], for as long as it is there.
///
/// It is valid only in the slab it came from, which the type helps with but cannot prove.
pub struct Key<T> {
    index: u32,
    generation: NonZeroU32,
    // A function, not a value: a key is `Send` and `Sync` whatever it names.
    names: PhantomData<fn() -> T>,
}

impl<T> Key<T> {
    fn new(index: u32, generation: NonZeroU32) -> Self {
        Self { index, generation, names: PhantomData }
    }

    /// The slot the value lies in. Later values may lie there too.
    pub fn index(self) -> u32 {
        self.index
    }

    /// Which of the values that ever lay in the slot; never zero.
    pub fn generation(self) -> u32 {
        self.generation.get()
    }

    /// The key of which [`index`](Self::index) and [`generation`](Self::generation) are known, say from the token
    /// of an event. Whether it names a value is for the slab to say. `None` if the generation is zero.
    pub fn from_parts(index: u32, generation: u32) -> Option<Self> {
        NonZeroU32::new(generation).map(|generation| Self::new(index, generation))
    }
}

// Derived, these would ask the same of `T`, which a key does not hold.

impl<T> Clone for Key<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Key<T> {}

impl<T> PartialEq for Key<T> {
    fn eq(&self, other: &Self) -> bool {
        self.index == other.index && self.generation == other.generation
    }
}

impl<T> Eq for Key<T> {}

impl<T> Hash for Key<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.index.hash(state);
        self.generation.hash(state);
    }
}

impl<T> fmt::Debug for Key<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.index, self.generation)
    }
}

/// Owns values and names each by a [`Key`]; see the notes at the head of this file.
pub struct Slab<T> {
    chunks: Vec<Chunk<T>>,
    /// The chunks that have a free slot, those that have no memory at present included.
    roomy: ChunkSet,
    /// The slots of a chunk that emptied, all of them free.
    spare: Option<Slots<T>>,
    len: usize,
    /// The generation of the next insertion.
    generation: NonZeroU32,
}

/// A row of slots, 64 of them or, while the chunk has no memory, none.
struct Chunk<T> {
    /// A bit for each slot, set if it holds a value.
    used: u64,
    slots: Slots<T>,
}

type Slots<T> = Box<[Option<Entry<T>>]>;

struct Entry<T> {
    generation: NonZeroU32,
    value: T,
}

/// Which chunk, and which slot of it.
fn split(index: u32) -> (usize, usize) {
    let index = index as usize;
    (index / CHUNK, index % CHUNK)
}

/// Undoes [`split`]; `MAX_CHUNKS` keeps it within a `u32`.
fn join(chunk: usize, slot: usize) -> u32 {
    (chunk * CHUNK + slot) as u32
}

impl<T> Slab<T> {
    /// An empty slab. It allocates with the first insertion.
    pub const fn new() -> Self {
        Self { chunks: Vec::new(), roomy: ChunkSet::new(), spare: None, len: 0, generation: NonZeroU32::MIN }
    }

    /// Takes the value in.
    ///
    /// The time is constant but for the search of a roomy chunk, which looks at one word per 4,096 slots: sixteen of
    /// them in a slab of 65,536.
    ///
    /// # Panics
    ///
    /// Like a `Vec` that outgrows its address space, when four billion values are in the slab.
    pub fn insert(&mut self, value: T) -> Key<T> {
        let generation = self.generation;
        self.generation = generation.checked_add(1).unwrap_or(NonZeroU32::MIN);
        let number = self.roomy_chunk();
        let chunk = &mut self.chunks[number];
        let slot = chunk.used.trailing_ones() as usize;
        chunk.slots[slot] = Some(Entry { generation, value });
        chunk.used |= 1 << slot;
        if chunk.used == u64::MAX {
            self.roomy.remove(number);
        }
        self.len += 1;
        Key::new(join(number, slot), generation)
    }

    /// Takes the value out, if it is there.
    pub fn remove(&mut self, key: Key<T>) -> Option<T> {
        let (number, slot) = split(key.index);
        let chunk = self.chunks.get_mut(number)?;
        let entry = chunk.slots.get_mut(slot)?.take_if(|entry| entry.generation == key.generation)?;
        chunk.used &= !(1 << slot);
        let emptied = chunk.used == 0;
        self.roomy.insert(number);
        self.len -= 1;
        if emptied {
            self.release(number);
        }
        Some(entry.value)
    }

    /// The value the key names.
    pub fn get(&self, key: Key<T>) -> Option<&T> {
        self.entry(key.index).filter(|entry| entry.generation == key.generation).map(|entry| &entry.value)
    }

    /// The value the key names, to be changed.
    pub fn get_mut(&mut self, key: Key<T>) -> Option<&mut T> {
        self.entry_mut(key.index)
            .filter(|entry| entry.generation == key.generation)
            .map(|entry| &mut entry.value)
    }

    /// Whether the key names a value still.
    pub fn contains(&self, key: Key<T>) -> bool {
        self.get(key).is_some()
    }

    /// The value in a slot, whichever it is. For links between the values of a slab, which are cut before a value
    /// leaves and hence need no generation.
    pub fn at(&self, index: u32) -> Option<&T> {
        self.entry(index).map(|entry| &entry.value)
    }

    /// The value in a slot, to be changed.
    pub fn at_mut(&mut self, index: u32) -> Option<&mut T> {
        self.entry_mut(index).map(|entry| &mut entry.value)
    }

    /// The key of the value in a slot.
    pub fn key_at(&self, index: u32) -> Option<Key<T>> {
        self.entry(index).map(|entry| Key::new(index, entry.generation))
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All values with their keys, by slot.
    pub fn iter(&self) -> impl Iterator<Item = (Key<T>, &T)> {
        self.chunks.iter().enumerate().flat_map(|(number, chunk)| {
            chunk.slots.iter().enumerate().filter_map(move |(slot, entry)| {
                let entry = entry.as_ref()?;
                Some((Key::new(join(number, slot), entry.generation), &entry.value))
            })
        })
    }

    fn entry(&self, index: u32) -> Option<&Entry<T>> {
        let (number, slot) = split(index);
        self.chunks.get(number)?.slots.get(slot)?.as_ref()
    }

    fn entry_mut(&mut self, index: u32) -> Option<&mut Entry<T>> {
        let (number, slot) = split(index);
        self.chunks.get_mut(number)?.slots.get_mut(slot)?.as_mut()
    }

    /// The lowest chunk with a free slot, with memory under it.
    fn roomy_chunk(&mut self) -> usize {
        let number = self.roomy.first().unwrap_or_else(|| {
            let number = self.chunks.len();
            assert!(number < MAX_CHUNKS, "a slab holds no more than four billion values");
            self.chunks.push(Chunk { used: 0, slots: Box::default() });
            self.roomy.insert(number);
            number
        });
        let chunk = &mut self.chunks[number];
        if chunk.slots.is_empty() {
            let fresh = || (0..CHUNK).map(|_| None).collect();
            chunk.slots = self.spare.take().unwrap_or_else(fresh);
        }
        number
    }

    /// Takes the memory from a chunk that emptied, and drops the chunks without memory at the end.
    fn release(&mut self, number: usize) {
        let slots = mem::take(&mut self.chunks[number].slots);
        self.spare.get_or_insert(slots);
        while self.chunks.last().is_some_and(|chunk| chunk.slots.is_empty()) {
            self.chunks.pop();
            self.roomy.remove(self.chunks.len());
        }
        release_excess(&mut self.chunks);
    }
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// A set of chunk numbers that knows its lowest. One bit per chunk of the most there ever were.
struct ChunkSet {
    words: Vec<u64>,
    /// No word before this one has a bit set.
    first: usize,
}

impl ChunkSet {
    const fn new() -> Self {
        Self { words: Vec::new(), first: 0 }
    }

    fn insert(&mut self, number: usize) {
        let (word, bit) = (number / 64, number % 64);
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        self.words[word] |= 1 << bit;
        self.first = self.first.min(word);
    }

    fn remove(&mut self, number: usize) {
        if let Some(word) = self.words.get_mut(number / 64) {
            *word &= !(1 << (number % 64));
        }
    }

    fn first(&mut self) -> Option<usize> {
        let rest = self.words.get(self.first..)?;
        self.first += rest.iter().position(|word| *word != 0)?;
        let word = self.words.get(self.first)?;
        Some(self.first * 64 + word.trailing_zeros() as usize)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};
    use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

    use super::super::{Random, WORTH_KEEPING};
    use super::*;

    impl<T> Slab<T> {
        pub(in super::super) const SLOT_SIZE: usize = size_of::<Option<Entry<T>>>();

        /// Chunks that hold memory now, the spare among them.
        pub(in super::super) fn chunks_allocated(&self) -> usize {
            self.chunks.iter().filter(|chunk| !chunk.slots.is_empty()).count()
                + usize::from(self.spare.is_some())
        }
    }

    #[test]
    fn sizes() {
        assert_eq!(size_of::<Key<String>>(), 8);
        assert_eq!(size_of::<Option<Key<String>>>(), 8);
        assert_eq!(Slab::<u32>::SLOT_SIZE, size_of::<u32>() + 4);
        assert_eq!(Slab::<[u64; 4]>::SLOT_SIZE, size_of::<[u64; 4]>() + align_of::<u64>());
    }

    #[test]
    fn the_last_64_numbers_are_left_out() {
        assert_eq!(join(MAX_CHUNKS - 1, CHUNK - 1), u32::MAX - 64);
    }

    #[test]
    fn keys_are_plain_values_whatever_they_name() {
        struct Bare(#[expect(dead_code, reason = "only its type matters")] *const u8);
        fn plain<K: Copy + Eq + Hash + fmt::Debug + Send + Sync>(key: K) -> String {
            format!("{key:?}")
        }
        assert_eq!(Key::<Bare>::from_parts(3, 0), None);
        let key = Key::<Bare>::from_parts(3, 7).unwrap();
        assert_eq!((key.index(), key.generation()), (3, 7));
        assert_eq!(plain(key), "3#7");
        for other in [(3, 8), (4, 7)] {
            assert_ne!(Key::<Bare>::from_parts(other.0, other.1), Some(key));
        }

        let hash = |(index, generation)| {
            BuildHasherDefault::<DefaultHasher>::default()
                .hash_one(Key::<Bare>::from_parts(index, generation))
        };
        let hashes = [(3, 7), (3, 8), (4, 7)].map(hash);
        assert_eq!(HashSet::from(hashes).len(), 3, "both parts of a key are hashed");
    }

    #[test]
    fn a_stale_key_finds_nothing() {
        let mut slab = Slab::new();
        let old = slab.insert('a');
        assert_eq!(slab.remove(old), Some('a'));
        let new = slab.insert('b');
        assert_eq!(new.index(), old.index());
        assert_eq!(slab.get(old), None);
        assert_eq!(slab.get_mut(old), None);
        assert_eq!(slab.remove(old), None);
        assert!(!slab.contains(old));
        assert!(slab.contains(new));
        assert_eq!(slab.get(new), Some(&'b'));
        assert_eq!(slab.key_at(old.index()), Some(new));
    }

    #[test]
    fn a_chunk_given_back_does_not_revive_its_keys() {
        let mut slab = Slab::new();
        let old: Vec<_> = (0..5 * CHUNK).map(|value| slab.insert(value)).collect();
        old.iter().for_each(|key| assert!(slab.remove(*key).is_some()));
        let new: Vec<_> = (0..5 * CHUNK).map(|value| slab.insert(value)).collect();
        assert!(old.iter().zip(&new).all(|(old, new)| old.index() == new.index()));
        assert!(old.iter().all(|key| !slab.contains(*key)));
    }

    #[test]
    fn no_index_is_answered_that_was_never_given() {
        let mut slab = Slab::new();
        slab.insert(());
        for index in [1, 63, 64, 1 << 20, NOWHERE - 1, NOWHERE] {
            assert_eq!(slab.at(index), None);
            assert_eq!(slab.at_mut(index), None);
            assert_eq!(slab.key_at(index), None);
            assert_eq!(slab.remove(Key::from_parts(index, 1).unwrap()), None);
        }
        assert!(join(MAX_CHUNKS - 1, CHUNK - 1) < NOWHERE - 1);
    }

    #[test]
    fn the_generation_passes_zero_by() {
        let mut slab = Slab { generation: NonZeroU32::MAX, ..Slab::new() };
        let generations = [(); 3].map(|()| slab.insert(()).generation());
        assert_eq!(generations, [u32::MAX, 1, 2]);
    }

    #[test]
    fn memory_follows_the_number_of_values() {
        let mut slab = Slab::new();
        let mut keys: Vec<_> = (0..10_000).map(|value| slab.insert(value)).collect();
        assert_eq!(slab.chunks_allocated(), 10_000_usize.div_ceil(CHUNK));
        // Scattered removal, by a stride that is prime to the number of keys.
        for step in 0..keys.len() {
            assert!(slab.remove(keys[step * 7_919 % keys.len()]).is_some());
        }
        assert_eq!((slab.len(), slab.chunks_allocated(), slab.chunks.len()), (0, 1, 0));
        assert!(slab.chunks.capacity() <= WORTH_KEEPING);

        keys.clear();
        keys.extend((0..CHUNK).map(|value| slab.insert(value)));
        for _ in 0..10 {
            let beyond = slab.insert(0);
            assert_eq!(slab.chunks_allocated(), 2);
            slab.remove(beyond);
            assert_eq!(slab.chunks_allocated(), 2, "the spare stays");
        }
    }

    #[test]
    fn low_slots_are_filled_first() {
        let mut slab = Slab::new();
        let keys: Vec<_> = (0..200 * CHUNK).map(|value| slab.insert(value)).collect();
        for index in [9_000, 70, 4_097, 3] {
            slab.remove(keys[index]);
        }
        let refilled = [(); 5].map(|()| slab.insert(0).index());
        assert_eq!(refilled, [3, 70, 4_097, 9_000, 200 * CHUNK as u32]);
    }

    #[test]
    fn behaves_like_a_map() {
        for seed in 0..40 {
            let mut random = Random::new(seed);
            let mut slab = Slab::new();
            let mut model = HashMap::new();
            let (mut live, mut stale) = (Vec::new(), Vec::new());
            for step in 0..3_000 {
                // It grows and shrinks in turns, over several chunks.
                let growing = step % 1_000 < 600;
                if random.below(10) < if growing { 7 } else { 2 } {
                    let value = random.next();
                    let key = slab.insert(value);
                    assert_eq!(model.insert(key, value), None, "a key was given twice");
                    live.push(key);
                } else if !live.is_empty() {
                    let key = live.swap_remove(random.below(live.len()));
                    assert_eq!(slab.remove(key), model.remove(&key));
                    stale.push(key);
                }
                if let Some(key) = live.get(random.below(live.len())) {
                    let value = slab.get_mut(*key).unwrap();
                    *value ^= 1;
                    assert_eq!(model.insert(*key, *value), Some(*value ^ 1));
                    assert_eq!(slab.at(key.index()), slab.get(*key));
                    assert_eq!(slab.key_at(key.index()), Some(*key));
                }
                if let Some(key) = stale.get(random.below(stale.len())) {
                    assert_eq!(slab.get(*key), None);
                    assert_eq!(slab.remove(*key), None);
                }
                assert_eq!((slab.len(), slab.is_empty()), (model.len(), model.is_empty()));
            }
            let found: HashMap<_, _> = slab.iter().map(|(key, value)| (key, *value)).collect();
            assert_eq!(found, model);
            live.iter().for_each(|key| assert!(slab.remove(*key).is_some()));
            assert_eq!((slab.iter().count(), slab.chunks_allocated()), (0, 1));
        }
    }
}
