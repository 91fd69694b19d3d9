//! The values of a slab, lent out side by side: one of them, and at the same time all others.

use super::{Chunk, Entry, Slab, split};

impl<T> Slab<T> {
    /// The values, to be changed where they lie.
    pub fn values(&mut self) -> Values<'_, T> {
        Values { chunks: (&mut self.chunks, &mut []), slots: (&mut [], &mut []), one: None }
    }

    /// The value in a slot, and all others: each can be changed while the others are.
    pub fn split_at_mut(&mut self, index: u32) -> Option<(&mut T, Values<'_, T>)> {
        let (number, slot) = split(index);
        let (before, rest) = self.chunks.split_at_mut_checked(number)?;
        let (chunk, after) = rest.split_first_mut()?;
        let (slots_before, rest) = chunk.slots.split_at_mut_checked(slot)?;
        let (entry, slots_after) = rest.split_first_mut()?;
        let values = Values { chunks: (before, after), slots: (slots_before, slots_after), one: None };
        Some((&mut entry.as_mut()?.value, values))
    }
}

/// The values of a slab where they lie, all of them or all but one: none comes and none goes as long as this is there.
pub struct Values<'s, T> {
    /// In front of the one that is left out, and behind it.
    chunks: Sides<'s, Chunk<T>>,
    slots: Sides<'s, Option<Entry<T>>>,
    /// The one that was left out, where it was put back.
    one: Option<(u32, &'s mut T)>,
}

/// What is in front of a place in a slice, and what is behind it.
type Sides<'s, T> = (&'s mut [T], &'s mut [T]);

impl<'s, T> Values<'s, T> {
    /// None at all.
    pub fn none() -> Self {
        Self { chunks: (&mut [], &mut []), slots: (&mut [], &mut []), one: None }
    }

    /// The same values, and the one that was left out at `index`, for as long as that one is lent.
    pub fn with<'v>(&'v mut self, index: u32, value: &'v mut T) -> Values<'v, T> {
        let Self { chunks, slots, .. } = self;
        Values {
            chunks: (&mut *chunks.0, &mut *chunks.1),
            slots: (&mut *slots.0, &mut *slots.1),
            one: Some((index, value)),
        }
    }

    /// The value in a slot.
    pub fn at(&self, index: u32) -> Option<&T> {
        if let Some((own, value)) = &self.one
            && *own == index
        {
            return Some(value);
        }
        let entry = match self.place(index)? {
            Place::Front(chunk, slot) => self.chunks.0.get(chunk)?.slots.get(slot)?,
            Place::Back(chunk, slot) => self.chunks.1.get(chunk)?.slots.get(slot)?,
            Place::SlotInFront(slot) => self.slots.0.get(slot)?,
            Place::SlotBehind(slot) => self.slots.1.get(slot)?,
        };
        entry.as_ref().map(|entry| &entry.value)
    }

    /// The value in a slot, to be changed.
    pub fn at_mut(&mut self, index: u32) -> Option<&mut T> {
        let place = self.place(index);
        if let Some((own, value)) = &mut self.one
            && *own == index
        {
            return Some(value);
        }
        let entry = match place? {
            Place::Front(chunk, slot) => self.chunks.0.get_mut(chunk)?.slots.get_mut(slot)?,
            Place::Back(chunk, slot) => self.chunks.1.get_mut(chunk)?.slots.get_mut(slot)?,
            Place::SlotInFront(slot) => self.slots.0.get_mut(slot)?,
            Place::SlotBehind(slot) => self.slots.1.get_mut(slot)?,
        };
        entry.as_mut().map(|entry| &mut entry.value)
    }

    /// Where a slot lies. `None`: it is the one that is left out.
    fn place(&self, index: u32) -> Option<Place> {
        let (chunk, slot) = split(index);
        match chunk.checked_sub(self.chunks.0.len()) {
            None => Some(Place::Front(chunk, slot)),
            Some(0) => match slot.checked_sub(self.slots.0.len()) {
                None => Some(Place::SlotInFront(slot)),
                Some(behind) => behind.checked_sub(1).map(Place::SlotBehind),
            },
            Some(behind) => Some(Place::Back(behind - 1, slot)),
        }
    }
}

/// On which side of the value that is left out a slot lies, and its place there.
enum Place {
    Front(usize, usize),
    SlotInFront(usize),
    SlotBehind(usize),
    Back(usize, usize),
}

#[cfg(test)]
mod tests {
    use super::super::{CHUNK, NOWHERE};
    use super::*;

    /// Whichever value is left out: it can be changed while the others are, and nothing is found in
    /// its place before it is put back.
    #[test]
    fn one_value_and_all_others() {
        const COUNT: u32 = 2 * CHUNK as u32 + 3;
        let mut slab: Slab<u32> = Slab::new();
        let keys: Vec<_> = (0..=COUNT).map(|value| slab.insert(value)).collect();
        let gap = keys[70];
        assert_eq!(slab.remove(gap), Some(70));
        for own in (0..=COUNT).filter(|own| *own != gap.index()) {
            let (value, mut values) = slab.split_at_mut(own).expect("it is there");
            assert_eq!(*value, own);
            for other in 0..=COUNT + 70 {
                let expected = (other <= COUNT && other != own && other != gap.index()).then_some(other);
                assert_eq!(values.at(other).copied(), expected, "{own} {other}");
                assert_eq!(values.at_mut(other).copied(), expected, "{own} {other}");
            }
            let mut whole = values.with(own, value);
            assert_eq!(whole.at(own), Some(&own));
            *whole.at_mut(own).expect("it was put back") = 1000;
            assert_eq!(*value, 1000);
            *value = own;
        }
        for absent in [gap.index(), COUNT + 1, COUNT + 64, NOWHERE] {
            assert!(slab.split_at_mut(absent).is_none(), "{absent}");
        }
    }

    #[test]
    fn all_values_and_none() {
        let mut slab: Slab<u32> = Slab::new();
        assert_eq!(slab.values().at(0), None);
        let keys: Vec<_> = (0..150).map(|value| slab.insert(value)).collect();
        for (value, key) in (0..).zip(&keys) {
            *slab.values().at_mut(key.index()).expect("it is there") += 1;
            assert_eq!(slab.values().at(key.index()), Some(&(value + 1)));
        }
        for absent in [0, 63, 64, 150, NOWHERE] {
            assert_eq!(Values::<u32>::none().at(absent), None);
            assert_eq!(Values::<u32>::none().at_mut(absent), None);
        }
        assert_eq!(slab.values().at(150), None);
        let mut own = 7;
        let mut none = Values::none();
        assert_eq!(none.with(3, &mut own).at_mut(3), Some(&mut 7));
    }
}
