//! The timer wheel against a sorted list: owners come out in the order of their deadlines, those of one tick as they
//! were armed, none early, none late, none lost.

use std::collections::BTreeMap;

use sockjs_server::collections::{Timer, Wheel};

use super::Input;

const TIMERS: usize = 16;

/// The wheel, and what it should be.
struct Model {
    wheel: Wheel<usize>,
    timers: [Timer; TIMERS],
    /// By deadline, and by when it was armed.
    sorted: BTreeMap<(u64, u64), usize>,
    armed: [Option<(u64, u64)>; TIMERS],
    now: u64,
    order: u64,
}

pub fn check(data: &[u8]) {
    let mut input = Input::new(data);
    let now = span(&mut input);
    let mut model = Model {
        wheel: Wheel::new(now),
        timers: Default::default(),
        sorted: BTreeMap::new(),
        armed: [None; TIMERS],
        now,
        order: 0,
    };
    while !input.is_empty() {
        let step = input.byte();
        let owner = usize::from(step) % TIMERS;
        match step >> 4 {
            0..8 => model.arm(owner, span(&mut input)),
            8..10 => model.cancel(owner),
            10 => model.arm(owner, 0),
            11 => {
                model.expire_one();
            }
            _ => model.advance(span(&mut input)),
        }
        model.compare();
    }
    model.advance(u64::MAX);
    assert!(model.wheel.is_empty() && model.sorted.is_empty());
}

/// A span of time of any magnitude: an exponent, and a little more.
fn span(input: &mut Input<'_>) -> u64 {
    let (exponent, low) = (input.byte(), input.byte());
    (1_u64 << (exponent % 64)).wrapping_add(u64::from(low)).wrapping_sub(u64::from(exponent / 64))
}

impl Model {
    fn arm(&mut self, owner: usize, delay: u64) {
        let deadline = self.now.saturating_add(delay);
        self.wheel.arm(&mut self.timers[owner], owner, deadline);
        if self.armed[owner].is_some_and(|(before, _)| before == deadline) {
            return;
        }
        if let Some(before) = self.armed[owner].take() {
            self.sorted.remove(&before);
        }
        self.order += 1;
        self.sorted.insert((deadline, self.order), owner);
        self.armed[owner] = Some((deadline, self.order));
    }

    fn cancel(&mut self, owner: usize) {
        self.wheel.cancel(&mut self.timers[owner]);
        if let Some(before) = self.armed[owner].take() {
            self.sorted.remove(&before);
        }
    }

    fn expire_one(&mut self) -> bool {
        let due = self.sorted.first_key_value().filter(|((deadline, _), _)| *deadline <= self.now);
        let due = due.map(|(key, owner)| (*key, *owner));
        assert_eq!(self.wheel.expire(self.now), due.map(|(_, owner)| owner));
        let Some((key, owner)) = due else { return false };
        self.sorted.remove(&key);
        self.armed[owner] = None;
        true
    }

    fn advance(&mut self, by: u64) {
        self.now = self.now.saturating_add(by);
        while self.expire_one() {}
    }

    fn compare(&self) {
        assert_eq!(self.wheel.len(), self.sorted.len());
        for (timer, armed) in self.timers.iter().zip(&self.armed) {
            assert_eq!(self.wheel.deadline(timer), armed.map(|(deadline, _)| deadline));
        }
        let earliest = self.sorted.first_key_value().map(|((deadline, _), _)| *deadline);
        // It may be earlier than needed, never later.
        assert_eq!(self.wheel.next_deadline().is_some(), earliest.is_some());
        assert!(self.wheel.next_deadline() <= earliest);
    }
}
