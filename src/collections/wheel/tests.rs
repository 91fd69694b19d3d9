//! The wheel against an ordered map of all deadlines, and its corners one by one.

use std::collections::BTreeMap;

use super::super::Random;
use super::*;

const TWO_YEARS: u64 = 2 * 365 * 24 * 3_600 * 1_000;

fn drain<O: Copy>(wheel: &mut Wheel<O>, now: u64) -> Vec<O> {
    std::iter::from_fn(|| wheel.expire(now)).collect()
}

fn armed<O: Copy>(wheel: &mut Wheel<O>, owner: O, deadline: u64) -> Timer {
    let mut timer = Timer::default();
    wheel.arm(&mut timer, owner, deadline);
    timer
}

#[test]
fn sizes() {
    assert_eq!(size_of::<Timer>(), 8);
    // Where an `u64` may lie at any fourth byte they are smaller.
    if cfg!(target_pointer_width = "64") {
        assert_eq!(Slab::<Node<u64>>::SLOT_SIZE, 32);
        assert_eq!(Slab::<Node<[u32; 3]>>::SLOT_SIZE, 40);
    }
    assert!(size_of::<Wheel<u64>>() <= 256);
    assert_eq!(LEVELS, 11);
}

#[test]
fn every_distance_expires_at_its_tick_and_not_before() {
    for start in [0, 63, 1_000, 4_095, 1 << 40, u64::MAX - (1 << 50)] {
        let distances = (0..50).flat_map(|power| [(1 << power) - 1, 1 << power, (1 << power) + 1]);
        for distance in distances {
            let mut wheel = Wheel::new(start);
            let deadline = start + distance;
            let timer = armed(&mut wheel, 'x', deadline);
            assert_eq!(wheel.deadline(&timer), Some(deadline));
            assert_eq!(wheel.next_deadline(), Some(deadline));
            if distance > 0 {
                assert_eq!(wheel.expire(deadline - 1), None);
                assert_eq!(wheel.next_deadline(), Some(deadline), "a look moved the bound");
            }
            assert_eq!(wheel.expire(deadline), Some('x'));
            assert_eq!(wheel.expire(deadline), None);
            assert_eq!((wheel.next_deadline(), wheel.is_empty()), (None, true));
        }
    }
}

#[test]
fn one_jump_hands_out_everything_in_order() {
    let deadlines = [0, 1, 63, 64, 65, 4_096, 5_000, 262_144, TWO_YEARS, 1 << 60, u64::MAX];
    let mut wheel = Wheel::new(0);
    for deadline in deadlines.into_iter().rev() {
        armed(&mut wheel, deadline, deadline);
    }
    assert_eq!(drain(&mut wheel, u64::MAX), deadlines);
    assert_eq!(wheel.nodes.chunks_allocated(), 1);
    armed(&mut wheel, 7, 7);
    assert_eq!(drain(&mut wheel, u64::MAX), [7], "the end of time is a time like others");
}

#[test]
fn equal_deadlines_expire_in_the_order_they_were_armed() {
    // Armed from afar, from nearer and from next to it, where they come to lie on different levels.
    let times = [0, 1, 90_000, 98_300, 99_990, 99_999, 100_000];
    let mut wheel = Wheel::new(0);
    for now in times {
        if now < 100_000 {
            // The wheel moves on only when something expires.
            armed(&mut wheel, u64::MAX, now);
            assert_eq!(drain(&mut wheel, now), [u64::MAX]);
        }
        armed(&mut wheel, now, 100_000);
    }
    assert_eq!(drain(&mut wheel, 100_000), times);
}

#[test]
fn a_past_deadline_expires_at_the_next_call() {
    let mut wheel = Wheel::new(1_000);
    let timer = armed(&mut wheel, 'a', 10);
    assert_eq!(wheel.deadline(&timer), Some(1_000));
    assert_eq!(wheel.expire(2_000), Some('a'));
    armed(&mut wheel, 'b', 1_500);
    assert_eq!(wheel.next_deadline(), Some(2_000));
    assert_eq!(wheel.expire(0), Some('b'), "time does not go back");
}

#[test]
fn an_owner_that_never_waits_keeps_no_other_waiting() {
    for again in [0, 99, 102, 500] {
        let mut wheel = Wheel::new(0);
        armed(&mut wheel, 'x', 99);
        for (owner, deadline) in [('a', 100), ('b', 102), ('c', 102), ('d', 499), ('e', 500)] {
            armed(&mut wheel, owner, deadline);
        }
        let mut order = String::new();
        while order.len() < 8 {
            let owner = wheel.expire(500).unwrap();
            order.push(owner);
            if owner == 'x' {
                armed(&mut wheel, owner, again);
            }
        }
        assert_eq!(order, "xabcdexx");
    }
}

#[test]
fn a_stale_timer_is_harmless() {
    let mut wheel = Wheel::new(0);
    let mut stale = armed(&mut wheel, 'a', 5);
    assert_eq!(wheel.expire(5), Some('a'));
    let other = armed(&mut wheel, 'b', 50);
    assert_eq!(wheel.deadline(&stale), None);
    wheel.cancel(&mut stale);
    assert_eq!((wheel.len(), wheel.deadline(&other)), (1, Some(50)));

    let mut stale = armed(&mut wheel, 'c', 6);
    assert_eq!(wheel.expire(6), Some('c'));
    wheel.arm(&mut stale, 'd', 20);
    assert_eq!((wheel.len(), wheel.deadline(&stale)), (2, Some(20)));
    assert_eq!(drain(&mut wheel, 100), ['d', 'b']);
}

#[test]
fn arming_again_moves_the_timer_and_its_owner() {
    let mut wheel = Wheel::new(0);
    let mut timer = armed(&mut wheel, 'a', 1_000);
    for (owner, deadline) in [('b', 70_000), ('c', 70_000), ('d', 30), ('e', 5_000)] {
        wheel.arm(&mut timer, owner, deadline);
        assert_eq!((wheel.len(), wheel.deadline(&timer)), (1, Some(deadline)));
        assert_eq!(wheel.next_deadline(), Some(deadline));
    }
    assert_eq!(drain(&mut wheel, 4_999), []);
    assert_eq!(drain(&mut wheel, 5_000), ['e']);
    wheel.cancel(&mut timer);
    assert_eq!(wheel.next_deadline(), None);
}

/// The wheel beside a map of all deadlines, by time and then order of arming.
struct Pair {
    wheel: Wheel<usize>,
    timers: Vec<Timer>,
    model: BTreeMap<(u64, u64), usize>,
    keys: Vec<Option<(u64, u64)>>,
    armings: u64,
    now: u64,
    /// A timer was cancelled or moved: the next deadline may be said too early.
    disturbed: bool,
}

impl Pair {
    fn new(owners: usize, now: u64) -> Self {
        Self {
            wheel: Wheel::new(now),
            timers: (0..owners).map(|_| Timer::default()).collect(),
            model: BTreeMap::new(),
            keys: vec![None; owners],
            armings: 0,
            now,
            disturbed: false,
        }
    }

    fn arm(&mut self, owner: usize, deadline: u64) {
        self.wheel.arm(&mut self.timers[owner], owner, deadline);
        let deadline = deadline.max(self.now);
        match self.keys[owner] {
            // It keeps its turn among equals.
            Some((before, _)) if before == deadline => return,
            Some(key) => {
                self.model.remove(&key);
                self.disturbed = true;
            }
            None => {}
        }
        self.armings += 1;
        let key = (deadline, self.armings);
        self.model.insert(key, owner);
        self.keys[owner] = Some(key);
    }

    fn cancel(&mut self, owner: usize) {
        self.wheel.cancel(&mut self.timers[owner]);
        if let Some(key) = self.keys[owner].take() {
            self.model.remove(&key);
            self.disturbed = true;
        }
    }

    /// Expires at most so many owners.
    fn expire(&mut self, now: u64, limit: usize) {
        self.now = self.now.max(now);
        for _ in 0..limit {
            let first = self.model.first_entry().filter(|entry| entry.key().0 <= self.now);
            let expected = first.map(|entry| entry.remove());
            assert_eq!(self.wheel.expire(now), expected, "at {}", self.now);
            let Some(owner) = expected else { break };
            self.keys[owner] = None;
        }
    }

    fn check(&self, owner: usize) {
        assert_eq!(self.wheel.deadline(&self.timers[owner]), self.keys[owner].map(|(deadline, _)| deadline));
        assert_eq!((self.wheel.len(), self.wheel.is_empty()), (self.model.len(), self.model.is_empty()));
        let exact = self.model.keys().next().map(|(deadline, _)| *deadline);
        let said = self.wheel.next_deadline();
        if self.disturbed {
            assert_eq!(said.is_some(), exact.is_some());
            assert!(said <= exact, "said {said:?}, is {exact:?}");
        } else {
            assert_eq!(said, exact);
        }
    }
}

/// A distance in time: often none or short, sometimes years, with all magnitudes between.
fn distance(random: &mut Random) -> u64 {
    match random.below(8) {
        0 => 0,
        1..4 => random.next() % 130,
        _ => random.next() % (1 << random.below(37)) % (TWO_YEARS + 1),
    }
}

fn compare(seed: u64, moving: bool) {
    let mut random = Random::new(seed);
    let start = if seed.is_multiple_of(2) { 0 } else { random.next() >> 2 };
    let mut pair = Pair::new(60, start);
    for _ in 0..1_500 {
        let owner = random.below(pair.timers.len());
        match random.below(8) {
            0..4 if moving || pair.keys[owner].is_none() => {
                let deadline = (pair.now + distance(&mut random)).saturating_sub(random.next() % 20);
                pair.arm(owner, deadline);
            }
            4 if moving => pair.cancel(owner),
            5 => pair.expire(pair.now + distance(&mut random), 1 + random.below(3)),
            6 => {
                let short = distance(&mut random).min(200);
                pair.expire(pair.now + short, usize::MAX);
            }
            // Sleep until the deadline that was said, as a server does.
            7 => {
                let next = pair.wheel.next_deadline().unwrap_or(0);
                pair.expire(next.saturating_sub(1), usize::MAX);
                pair.expire(next, 1 + random.below(3));
            }
            _ => {}
        }
        pair.check(owner);
    }
    // To the end by the deadlines it says, each of which makes progress.
    let mut wakes = 0;
    while let Some(next) = pair.wheel.next_deadline() {
        pair.expire(next, usize::MAX);
        pair.check(0);
        wakes += 1;
        assert!(wakes <= pair.timers.len() * LEVELS, "a bound that does not move");
    }
    assert!(pair.model.is_empty());
    assert!(pair.wheel.occupied.iter().all(|slots| *slots == 0));
    assert!(pair.wheel.nodes.chunks_allocated() <= 1);
}

#[test]
fn behaves_like_an_ordered_map() {
    (0..60).for_each(|seed| compare(seed, true));
}

#[test]
fn the_next_deadline_is_exact_while_timers_only_expire() {
    (100..160).for_each(|seed| compare(seed, false));
}
