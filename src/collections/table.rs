//! A hash table through the values of a [`Slab`]: finds the element with given bytes as its key, in
//! constant time on average, whatever bytes a client chooses. The chains are indexes and lie in the
//! elements; the table has only their heads.
//!
//! The bytes come from the network, and an attacker that could foresee where they hash to would turn every lookup into
//! a walk over all elements. So each table has a hasher with random keys of its own ([`RandomState`]).
//!
//! No insertion pays for rehashing all elements. The table grows by a bucket at a time (linear hashing, Litwin 1980):
//! with `n` buckets, the hash is taken modulo the power of two above, and a bucket that does not exist yet is still
//! part of the one half that power before it. A new bucket thus concerns the elements of one other. There are as many
//! buckets as elements at least and twice as many at most; a table that was never used has no memory.

use std::hash::{BuildHasher, RandomState};
use std::mem;

use super::release_excess;
use super::slab::{Key, NOWHERE, Slab};

/// An element that can be in a [`Table`].
pub trait Hashed {
    /// What it is found by. It must not change while the element is in the table.
    fn hash_key(&self) -> &[u8];

    /// What [`set_chain`](Self::set_chain) stored last; before that, anything.
    fn chain(&self) -> u32;

    /// Stores the next element of the chain. Only the table calls this.
    fn set_chain(&mut self, next: u32);
}

/// The heads of the chains; see the notes at the head of this file.
///
/// An element is in one table at a time, and leaves it before it leaves the slab.
pub struct Table {
    buckets: Vec<u32>,
    len: usize,
    hasher: RandomState,
}

impl Table {
    /// An empty table. It allocates with the first insertion.
    pub fn new() -> Self {
        Self { buckets: Vec::new(), len: 0, hasher: RandomState::new() }
    }

    /// The element with this key.
    pub fn find<T: Hashed>(&self, slab: &Slab<T>, key: &[u8]) -> Option<Key<T>> {
        let mut index = *self.buckets.get(self.bucket_of(key))?;
        loop {
            let element = slab.at(index)?;
            if element.hash_key() == key {
                return slab.key_at(index);
            }
            index = element.chain();
        }
    }

    /// Takes the element in. `false` if there is no such element, or one with an equal key is in the table.
    pub fn insert<T: Hashed>(&mut self, slab: &mut Slab<T>, key: Key<T>) -> bool {
        let Some(element) = slab.get(key) else { return false };
        if self.find(slab, element.hash_key()).is_some() {
            return false;
        }
        if self.len >= self.buckets.len() {
            self.split_bucket(slab);
        }
        self.hang(slab, key.index());
        self.len += 1;
        true
    }

    /// Takes the element out. `false` if there is no such element, or it is not in the table.
    pub fn remove<T: Hashed>(&mut self, slab: &mut Slab<T>, key: Key<T>) -> bool {
        let Some(element) = slab.get(key) else { return false };
        let next = element.chain();
        let bucket = self.bucket_of(element.hash_key());
        let Some(head) = self.buckets.get_mut(bucket) else { return false };
        if *head == key.index() {
            *head = next;
        } else {
            let mut before = *head;
            loop {
                let Some(element) = slab.at_mut(before) else { return false };
                before = element.chain();
                if before == key.index() {
                    element.set_chain(next);
                    break;
                }
            }
        }
        self.len -= 1;
        while self.buckets.len() > 2 * self.len {
            self.merge_bucket(slab);
        }
        release_excess(&mut self.buckets);
        true
    }

    /// How many elements are in the table.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn bucket_of(&self, key: &[u8]) -> usize {
        let mask = self.buckets.len().next_power_of_two() - 1;
        // On a 32-bit machine the cast drops the upper half, which is no less random than the lower.
        let bucket = self.hasher.hash_one(key) as usize & mask;
        if bucket < self.buckets.len() { bucket } else { bucket & (mask >> 1) }
    }

    /// Adds a bucket, and moves into it what belongs there from the one that stood for it until now.
    fn split_bucket<T: Hashed>(&mut self, slab: &mut Slab<T>) {
        let new = self.buckets.len();
        self.buckets.push(NOWHERE);
        let mask = self.buckets.len().next_power_of_two() - 1;
        if let Some(parent) = self.buckets.get_mut(new & (mask >> 1)) {
            let chain = mem::replace(parent, NOWHERE);
            self.hang_all(slab, chain);
        }
    }

    /// Drops the last bucket, and moves what was in it into the one that stands for it from now on.
    fn merge_bucket<T: Hashed>(&mut self, slab: &mut Slab<T>) {
        if let Some(chain) = self.buckets.pop() {
            self.hang_all(slab, chain);
        }
    }

    /// Hangs every element of a chain that was taken off its bucket where it belongs now.
    fn hang_all<T: Hashed>(&mut self, slab: &mut Slab<T>, chain: u32) {
        let mut index = chain;
        while let Some(element) = slab.at(index) {
            let next = element.chain();
            self.hang(slab, index);
            index = next;
        }
    }

    /// Puts an element in front of its chain.
    fn hang<T: Hashed>(&mut self, slab: &mut Slab<T>, index: u32) {
        let Some(element) = slab.at_mut(index) else { return };
        let bucket = self.bucket_of(element.hash_key());
        if let Some(head) = self.buckets.get_mut(bucket) {
            element.set_chain(mem::replace(head, index));
        }
    }
}

impl Default for Table {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::super::{Random, WORTH_KEEPING};
    use super::*;

    struct Element {
        name: Vec<u8>,
        chain: u32,
    }

    impl Element {
        fn new(name: &[u8]) -> Self {
            // A chain of zero would lead to an element, should the table ever trust it.
            Self { name: name.to_vec(), chain: 0 }
        }
    }

    impl Hashed for Element {
        fn hash_key(&self) -> &[u8] {
            &self.name
        }
        fn chain(&self) -> u32 {
            self.chain
        }
        fn set_chain(&mut self, next: u32) {
            self.chain = next;
        }
    }

    #[test]
    fn keys_are_unique_and_stale_ones_change_nothing() {
        let mut slab = Slab::new();
        let mut table = Table::new();
        assert_eq!(table.find(&slab, b""), None);
        let stale = slab.insert(Element::new(b"a"));
        assert!(!table.remove(&mut slab, stale), "never was in the table");
        slab.remove(stale);
        let first = slab.insert(Element::new(b"a"));
        let second = slab.insert(Element::new(b"a"));
        let empty = slab.insert(Element::new(b""));
        assert!(!table.insert(&mut slab, stale));
        assert!(table.insert(&mut slab, first));
        assert!(!table.insert(&mut slab, first));
        assert!(!table.insert(&mut slab, second));
        assert!(!table.remove(&mut slab, second));
        assert!(!table.remove(&mut slab, stale));
        assert!(table.insert(&mut slab, empty));
        assert_eq!(table.find(&slab, b"a"), Some(first));
        assert_eq!(table.find(&slab, b""), Some(empty));
        assert!(table.remove(&mut slab, first));
        assert_eq!(table.find(&slab, b"a"), None);
        assert!(table.insert(&mut slab, second));
        assert_eq!((table.find(&slab, b"a"), table.len()), (Some(second), 2));
    }

    /// Every element is in the chain of its bucket, and chains are as short as chance makes them.
    fn check_chains(table: &Table, slab: &Slab<Element>) {
        assert!(table.buckets.len() <= 2 * table.len);
        let (mut found, mut longest) = (0, 0);
        for (bucket, head) in table.buckets.iter().enumerate() {
            let mut length = 0;
            let mut index = *head;
            while let Some(element) = slab.at(index) {
                assert_eq!(table.bucket_of(&element.name), bucket);
                index = element.chain;
                length += 1;
            }
            found += length;
            longest = longest.max(length);
        }
        assert_eq!(found, table.len);
        assert!(longest < 24, "a chain of {longest} among {found}");
    }

    #[test]
    fn grows_and_shrinks_with_its_elements() {
        let mut slab = Slab::new();
        let mut table = Table::new();
        let keys: Vec<_> = (0..5_000_u32).map(|n| slab.insert(Element::new(&n.to_be_bytes()))).collect();
        assert_eq!(table.buckets.capacity(), 0);
        for key in &keys {
            assert!(table.insert(&mut slab, *key));
            assert_eq!(table.buckets.len(), table.len());
        }
        check_chains(&table, &slab);
        for key in &keys {
            assert!(table.remove(&mut slab, *key));
            assert!(table.buckets.len() <= 2 * table.len());
        }
        assert_eq!((table.len(), table.is_empty(), table.buckets.len()), (0, true, 0));
        assert!(table.buckets.capacity() <= WORTH_KEEPING);
    }

    #[test]
    fn behaves_like_a_map() {
        for seed in 0..40 {
            let mut random = Random::new(seed);
            let mut slab = Slab::new();
            let mut table = Table::new();
            let mut model: HashMap<Vec<u8>, Key<Element>> = HashMap::new();
            for step in 0..2_000 {
                let name = format!("{:x}", random.below(400)).into_bytes();
                assert_eq!(table.find(&slab, &name), model.get(&name).copied());
                // It grows and shrinks in turns, to a few elements.
                let growing = step % 1_000 < 500;
                if random.below(10) < if growing { 8 } else { 1 } {
                    let key = slab.insert(Element::new(&name));
                    let new = !model.contains_key(&name);
                    assert_eq!(table.insert(&mut slab, key), new);
                    if new {
                        model.insert(name, key);
                    } else {
                        slab.remove(key);
                    }
                } else if let Some(key) = model.remove(&name) {
                    assert!(table.remove(&mut slab, key));
                    assert!(!table.remove(&mut slab, key));
                    slab.remove(key);
                }
                assert_eq!((table.len(), table.is_empty()), (model.len(), model.is_empty()));
                if step % 50 == 0 {
                    check_chains(&table, &slab);
                }
            }
            for key in model.into_values() {
                assert!(table.remove(&mut slab, key));
            }
            assert_eq!((table.len(), table.buckets.len()), (0, 0));
        }
    }
}
