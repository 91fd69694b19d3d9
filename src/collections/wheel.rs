//! A hierarchical timer wheel: deadlines in, owners out when their time has come. Arming, moving and cancelling take
//! constant time; it reads no clock, a tick is whatever the caller counts (here: a millisecond).
//!
//! **Where a timer lies.** Read times as numbers of eleven digits in base 64: any `u64`. The wheel stands at a time
//! `at`, not after any deadline. The first digit in which a deadline differs from `at` is its level, that digit of
//! the deadline its slot; a deadline equal to `at` lies in its slot of level 0. From this follows all the rest:
//!
//! - A place depends on `at` and the deadline alone, so a timer need not remember where it is.
//! - Whatever is on a level is earlier than everything on the levels above, and a slot earlier than those after it.
//!   The next timers are in the first slot of the lowest level in use: two searches for a bit.
//! - A slot of level 0 holds a single tick. A slot above holds many, and knows a lower bound of them. When its turn
//!   has come, `at` becomes that bound and its timers move to lower levels (they cascade). Each does so once a level
//!   at most, and levels 0 to 3 span four and a half hours; most timers are cancelled or moved before it happens.
//! - `at` jumps from bound to bound. A jump over a year costs no more than one over a tick.
//! - Timers of one tick are always in one slot, in the order they were armed, and cascading keeps that order.

use std::mem;

use super::list::{Link, Linked, List};
use super::slab::{Key, Slab};

/// Bits in a digit of a time.
const DIGIT: u32 = 6;

/// Slots of a level: the values of a digit.
const SLOTS: usize = 1 << DIGIT;

/// Levels: the digits of a `u64`.
const LEVELS: usize = u64::BITS.div_ceil(DIGIT) as usize;

/// An owner's handle on its one timer in a [`Wheel`]. The default is not armed.
///
/// After the timer expired the handle is stale, which is as good as not armed. Dropping an armed one cancels
/// nothing: the owner is still handed out when the time comes.
#[derive(Debug, Default)]
pub struct Timer(Option<Key<()>>);

/// Timers that are armed, each with the owner to hand out; see the notes at the head of this file.
pub struct Wheel<O: Copy> {
    nodes: Slab<Node<O>>,
    slots: Box<[[Slot; SLOTS]; LEVELS]>,
    /// A bit for each level, set if it holds a timer.
    levels: u16,
    /// A bit for each slot of a level, set if it holds a timer.
    occupied: [u64; LEVELS],
    /// Where the wheel stands: no deadline is earlier.
    at: u64,
    /// The latest time it was told, not before `at`.
    now: u64,
    /// Nothing expires before this.
    idle_until: u64,
}

struct Node<O> {
    owner: O,
    deadline: u64,
    link: Link,
}

/// Marks the lists of the slots.
enum InSlot {}

impl<O> Linked<InSlot> for Node<O> {
    fn link(&self) -> &Link {
        &self.link
    }

    fn link_mut(&mut self) -> &mut Link {
        &mut self.link
    }
}

struct Slot {
    timers: List<InSlot>,
    /// No timer of the slot is earlier. Exact as long as none was cancelled or moved away; always on level 0.
    earliest: u64,
}

impl Slot {
    const EMPTY: Self = Self { timers: List::new(), earliest: u64::MAX };
}

#[derive(Clone, Copy)]
struct Place {
    level: usize,
    slot: usize,
}

impl<O: Copy> Wheel<O> {
    /// A wheel without timers, at the present time.
    pub fn new(now: u64) -> Self {
        Self {
            nodes: Slab::new(),
            slots: Box::new([const { [Slot::EMPTY; SLOTS] }; LEVELS]),
            levels: 0,
            occupied: [0; LEVELS],
            at: now,
            now,
            idle_until: u64::MAX,
        }
    }

    /// Arms the timer, or moves it if it is armed: [`expire`](Self::expire) hands the owner out at the deadline.
    ///
    /// A deadline that is past counts as the latest time the wheel was told, so its turn comes after everything that
    /// is due already: an owner that arms itself again and again without delay keeps no other waiting.
    pub fn arm(&mut self, timer: &mut Timer, owner: O, deadline: u64) {
        let deadline = deadline.max(self.now);
        let key = match self.node(timer) {
            Some((key, node)) => {
                let before = mem::replace(&mut node.deadline, deadline);
                node.owner = owner;
                if before == deadline {
                    return;
                }
                self.unlink(key, before);
                key
            }
            None => {
                let key = self.nodes.insert(Node { owner, deadline, link: Link::default() });
                timer.0 = Key::from_parts(key.index(), key.generation());
                key
            }
        };
        self.link(key, deadline);
        self.idle_until = self.idle_until.min(deadline);
    }

    /// Disarms the timer, if it is armed.
    pub fn cancel(&mut self, timer: &mut Timer) {
        if let Some((key, node)) = self.node(timer) {
            let deadline = node.deadline;
            self.unlink(key, deadline);
            self.nodes.remove(key);
        }
        timer.0 = None;
    }

    /// What the timer is armed for; a deadline that was past when it was armed, as the time it was taken for.
    pub fn deadline(&self, timer: &Timer) -> Option<u64> {
        self.nodes.get(key_of(timer)?).map(|node| node.deadline)
    }

    /// The time until which no call of [`expire`](Self::expire) is needed; `None` if no timer is armed.
    ///
    /// It is the earliest deadline, unless timers were cancelled or moved: then it may be earlier than that. It is
    /// never later.
    pub fn next_deadline(&self) -> Option<u64> {
        self.first().map(|place| self.slots[place.level][place.slot].earliest)
    }

    /// Disarms one timer whose deadline is not after `now`, and hands out its owner; to be called until it says
    /// `None`. Earlier deadlines come first, and of equal ones those armed first.
    ///
    /// Time may go on by any amount. If it goes back, the latest time the wheel was told stands.
    ///
    /// An owner that is armed for a time not after `now` meanwhile is handed out as well, but after everything that
    /// was due: an owner that always does so keeps no other waiting, yet keeps the caller's loop from ending.
    pub fn expire(&mut self, now: u64) -> Option<O> {
        self.now = self.now.max(now);
        while self.idle_until <= self.now {
            let Some(place) = self.first() else {
                self.idle_until = u64::MAX;
                return None;
            };
            let slot = &mut self.slots[place.level][place.slot];
            self.idle_until = slot.earliest;
            if slot.earliest > self.now {
                return None;
            }
            self.at = slot.earliest;
            if place.level == 0 {
                let key = slot.timers.pop_front(&mut self.nodes)?;
                self.note_if_empty(place);
                return self.nodes.remove(key).map(|node| node.owner);
            }
            self.cascade(place);
        }
        None
    }

    /// How many timers are armed.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    fn node(&mut self, timer: &Timer) -> Option<(Key<Node<O>>, &mut Node<O>)> {
        let key = key_of(timer)?;
        self.nodes.get_mut(key).map(|node| (key, node))
    }

    /// Where a deadline lies, seen from `at`. Neither index can be out of bounds: a `u64` has no further digits, and
    /// a digit no further values.
    fn place(&self, deadline: u64) -> Place {
        let level = ((deadline ^ self.at) | 1).ilog2() / DIGIT;
        let slot = deadline >> (level * DIGIT) & (SLOTS as u64 - 1);
        Place { level: level as usize, slot: slot as usize }
    }

    /// The place of the earliest timers.
    fn first(&self) -> Option<Place> {
        let level = self.levels.trailing_zeros() as usize;
        let slots = self.occupied.get(level)?;
        Some(Place { level, slot: slots.trailing_zeros() as usize })
    }

    fn link(&mut self, key: Key<Node<O>>, deadline: u64) {
        let place = self.place(deadline);
        let slot = &mut self.slots[place.level][place.slot];
        slot.timers.push_back(&mut self.nodes, key);
        slot.earliest = slot.earliest.min(deadline);
        self.occupied[place.level] |= 1 << place.slot;
        self.levels |= 1 << place.level;
    }

    fn unlink(&mut self, key: Key<Node<O>>, deadline: u64) {
        let place = self.place(deadline);
        self.slots[place.level][place.slot].timers.remove(&mut self.nodes, key);
        self.note_if_empty(place);
    }

    fn note_if_empty(&mut self, place: Place) {
        let slot = &mut self.slots[place.level][place.slot];
        if slot.timers.is_empty() {
            slot.earliest = u64::MAX;
            self.occupied[place.level] &= !(1 << place.slot);
            if self.occupied[place.level] == 0 {
                self.levels &= !(1 << place.level);
            }
        }
    }

    /// Moves the timers of a slot to where they lie now that `at` has come to it: on lower levels.
    fn cascade(&mut self, place: Place) {
        let mut timers = mem::take(&mut self.slots[place.level][place.slot].timers);
        self.note_if_empty(place);
        while let Some(key) = timers.pop_front(&mut self.nodes) {
            if let Some(deadline) = self.nodes.get(key).map(|node| node.deadline) {
                self.link(key, deadline);
            }
        }
    }
}

/// The handle's key in the wheel. The handle does not name the owner's type, so that an owner can hold it.
fn key_of<O>(timer: &Timer) -> Option<Key<Node<O>>> {
    let key = timer.0?;
    Key::from_parts(key.index(), key.generation())
}

#[cfg(test)]
mod tests;
