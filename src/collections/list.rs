//! A doubly linked list through the values of a [`Slab`]: joins at the end and leaves from anywhere in constant time,
//! without allocating. The links are indexes and lie in the elements; the list has only the two ends.
//!
//! A list is named by a type without values, its marker, and an element has one [`Link`] for each marker. So it can
//! be in lists of several markers at once, but in one `List<L>` at a time, however many there are (say one per
//! endpoint). The list it is asked to leave must be the one it is in, and it leaves before it leaves the slab.

use std::fmt;
use std::marker::PhantomData;
use std::mem;

use super::slab::{Key, NOWHERE, Slab};

/// Stands in both ends of a link that is in no list; no element has this index either.
const UNLINKED: u32 = NOWHERE - 1;

/// An element's place in a list, kept in the element. The default is to be in none.
#[derive(Debug, PartialEq, Eq)]
pub struct Link {
    previous: u32,
    next: u32,
}

impl Link {
    /// Whether the element is in a list of this link's marker.
    pub fn is_linked(&self) -> bool {
        self.next != UNLINKED
    }
}

impl Default for Link {
    fn default() -> Self {
        Self { previous: UNLINKED, next: UNLINKED }
    }
}

/// An element that can be in a [`List<L>`](List).
pub trait Linked<L> {
    /// Its link for lists marked `L`. Only the list changes it.
    fn link(&self) -> &Link;

    /// The same link, for the list to change.
    fn link_mut(&mut self) -> &mut Link;
}

/// The two ends of a list; see the notes at the head of this file.
pub struct List<L> {
    head: u32,
    tail: u32,
    len: u32,
    marker: PhantomData<fn() -> L>,
}

impl<L> List<L> {
    /// An empty list.
    pub const fn new() -> Self {
        Self { head: NOWHERE, tail: NOWHERE, len: 0, marker: PhantomData }
    }

    /// Puts the element last. `false` if there is no such element, or it is in a list of this marker already.
    pub fn push_back<T: Linked<L>>(&mut self, slab: &mut Slab<T>, key: Key<T>) -> bool {
        let Some(element) = slab.get_mut(key) else { return false };
        let link = element.link_mut();
        if link.is_linked() {
            return false;
        }
        *link = Link { previous: self.tail, next: NOWHERE };
        match slab.at_mut(self.tail) {
            Some(before) => before.link_mut().next = key.index(),
            None => self.head = key.index(),
        }
        self.tail = key.index();
        self.len += 1;
        true
    }

    /// Takes the element out. `false` if there is no such element, or it is in no list of this marker.
    pub fn remove<T: Linked<L>>(&mut self, slab: &mut Slab<T>, key: Key<T>) -> bool {
        let Some(element) = slab.get_mut(key) else { return false };
        let link = mem::take(element.link_mut());
        if !link.is_linked() {
            return false;
        }
        debug_assert!(link.previous != NOWHERE || self.head == key.index(), "element of another list");
        debug_assert!(link.next != NOWHERE || self.tail == key.index(), "element of another list");
        match slab.at_mut(link.previous) {
            Some(before) => before.link_mut().next = link.next,
            None => self.head = link.next,
        }
        match slab.at_mut(link.next) {
            Some(after) => after.link_mut().previous = link.previous,
            None => self.tail = link.previous,
        }
        self.len = self.len.saturating_sub(1);
        true
    }

    /// Takes the first element out of the list. It stays in the slab.
    pub fn pop_front<T: Linked<L>>(&mut self, slab: &mut Slab<T>) -> Option<Key<T>> {
        let key = self.first(slab)?;
        self.remove(slab, key).then_some(key)
    }

    /// The first element.
    pub fn first<T: Linked<L>>(&self, slab: &Slab<T>) -> Option<Key<T>> {
        slab.key_at(self.head)
    }

    /// The last element.
    pub fn last<T: Linked<L>>(&self, slab: &Slab<T>) -> Option<Key<T>> {
        slab.key_at(self.tail)
    }

    /// The element after this one. `None` after the last, and for one that is in no list.
    ///
    /// To walk a list that changes on the way, ask for the next element before the present one may leave.
    pub fn next<T: Linked<L>>(&self, slab: &Slab<T>, key: Key<T>) -> Option<Key<T>> {
        slab.key_at(slab.get(key)?.link().next)
    }

    /// How many elements are in the list.
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl<L> Default for List<L> {
    fn default() -> Self {
        Self::new()
    }
}

impl<L> fmt::Debug for List<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("List").field("len", &self.len).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::super::Random;
    use super::*;

    enum Red {}
    enum Blue {}

    #[derive(Default)]
    struct Element {
        red: Link,
        blue: Link,
    }

    impl Linked<Red> for Element {
        fn link(&self) -> &Link {
            &self.red
        }
        fn link_mut(&mut self) -> &mut Link {
            &mut self.red
        }
    }

    impl Linked<Blue> for Element {
        fn link(&self) -> &Link {
            &self.blue
        }
        fn link_mut(&mut self) -> &mut Link {
            &mut self.blue
        }
    }

    fn walk<L>(list: &List<L>, slab: &Slab<Element>) -> VecDeque<Key<Element>>
    where
        Element: Linked<L>,
    {
        std::iter::successors(list.first(slab), |key| list.next(slab, *key)).collect()
    }

    #[test]
    fn sizes() {
        assert_eq!(size_of::<Link>(), 8);
        assert_eq!(size_of::<List<Red>>(), 12);
    }

    #[test]
    fn an_element_is_in_one_list_of_a_marker_and_knows_it() {
        let mut slab = Slab::new();
        let key = slab.insert(Element::default());
        let (mut red, mut other_red, mut blue) =
            (List::<Red>::new(), List::<Red>::new(), List::<Blue>::new());
        assert!(!red.remove(&mut slab, key));
        assert!(red.push_back(&mut slab, key));
        assert!(!red.push_back(&mut slab, key));
        assert!(!other_red.push_back(&mut slab, key));
        assert!(blue.push_back(&mut slab, key));
        assert!(slab.get(key).unwrap().red.is_linked());
        assert!(red.remove(&mut slab, key));
        assert!(!slab.get(key).unwrap().red.is_linked());
        assert!(other_red.push_back(&mut slab, key));
        assert_eq!((red.len(), other_red.len(), blue.len()), (0, 1, 1));
        assert_eq!(format!("{blue:?}"), "List { len: 1, .. }");
    }

    #[test]
    fn a_stale_key_changes_nothing() {
        let mut slab = Slab::new();
        let mut list = List::<Red>::new();
        let stale = slab.insert(Element::default());
        slab.remove(stale);
        let key = slab.insert(Element::default());
        assert!(!list.push_back(&mut slab, stale));
        assert!(list.push_back(&mut slab, key));
        assert!(!list.remove(&mut slab, stale));
        assert_eq!(list.next(&slab, stale), None);
        assert_eq!(walk(&list, &slab), [key]);
    }

    #[test]
    fn behaves_like_a_deque() {
        for seed in 0..40 {
            let mut random = Random::new(seed);
            let mut slab = Slab::new();
            let keys: Vec<_> = (0..100).map(|_| slab.insert(Element::default())).collect();
            let (mut list, mut model) = (List::<Red>::new(), VecDeque::new());
            let mut beside = List::<Blue>::new();
            for _ in 0..1_000 {
                let key = keys[random.below(keys.len())];
                match random.below(5) {
                    0 | 1 => {
                        let new = !model.contains(&key);
                        assert_eq!(list.push_back(&mut slab, key), new);
                        model.extend(new.then_some(key));
                    }
                    2 => {
                        let before = model.len();
                        model.retain(|other| *other != key);
                        assert_eq!(list.remove(&mut slab, key), model.len() < before);
                    }
                    3 => assert_eq!(list.pop_front(&mut slab), model.pop_front()),
                    // What another marker's list does must not show.
                    _ => {
                        let _ = beside.push_back(&mut slab, key) || beside.remove(&mut slab, key);
                    }
                }
                assert_eq!(walk(&list, &slab), model);
                assert_eq!((list.len(), list.is_empty()), (model.len(), model.is_empty()));
            }
            while let Some(key) = list.pop_front(&mut slab) {
                assert_eq!(Some(key), model.pop_front());
            }
            assert!(model.is_empty());
            assert_eq!((list.head, list.tail, list.len), (NOWHERE, NOWHERE, 0));
        }
    }
}
