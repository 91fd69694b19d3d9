//! Values beside a slab, each at the number of its element's slot, where elements have no room for them.

use super::release_excess;

/// Puts a value at this number.
pub(crate) fn put<T>(slots: &mut Vec<Option<T>>, number: usize, value: T) {
    if number >= slots.capacity() {
        // By an eighth, not to twice as much: most of it would stay unused.
        let missing = number + 1 - slots.len();
        slots.reserve_exact(missing.max(slots.len() / 8));
    }
    if number >= slots.len() {
        slots.resize_with(number + 1, || None);
    }
    if let Some(slot) = slots.get_mut(number) {
        *slot = Some(value);
    }
}

/// Gives back what is empty behind the last value.
pub(crate) fn trim<T>(slots: &mut Vec<Option<T>>) {
    while slots.pop_if(|last| last.is_none()).is_some() {}
    release_excess(slots);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_at_their_numbers_and_the_end_is_given_back() {
        let mut slots = Vec::new();
        for number in [3, 0, 1000] {
            put(&mut slots, number, number);
        }
        put(&mut slots, 0, 7);
        assert_eq!((slots[0], slots[1], slots[3], slots.len()), (Some(7), None, Some(3), 1001));
        slots[1000] = None;
        trim(&mut slots);
        assert_eq!(slots.len(), 4);
        assert!(slots.capacity() < 100, "{}", slots.capacity());
        slots.fill(None);
        trim(&mut slots);
        assert!(slots.is_empty());
    }

    #[test]
    fn room_grows_by_an_eighth() {
        let mut slots = Vec::new();
        for number in 0..10_000 {
            put(&mut slots, number, 1_u64);
            assert!(slots.capacity() <= slots.len() + slots.len() / 8 + 1, "{}", slots.capacity());
        }
    }
}
