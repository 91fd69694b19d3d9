//! The search: all sequences of events up to a length, breadth first. A state that was seen before is not gone on from.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A server, its clients, and a model of what must hold.
pub(super) trait Scenario: Sized {
    type Event: Copy + Debug;

    /// What can happen next.
    fn events(&self) -> Vec<Self::Event>;

    /// Lets it happen, and checks what came of it.
    fn play(&mut self, event: Self::Event);

    /// Equal for two states that have the same future.
    fn fingerprint(&self) -> u64;

    /// Everything comes to an end, and nothing may be left.
    fn end(self, ending: Ending);
}

/// How everything comes to an end.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ending {
    /// The clients read all there is, and get all there is; then they hang up.
    Patient,
    /// The clients do nothing any more, with their sockets as they are.
    Silent,
    /// All connections are reset at once.
    Reset,
}

/// What was looked at.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) states: usize,
    pub(super) steps: usize,
}

/// Plays all sequences of up to `depth` events, and ends each state that is new in every way.
pub(super) fn search<S: Scenario>(begin: impl Fn() -> S, depth: usize) -> Extent {
    let mut extent = Extent::default();
    let mut seen = HashSet::from([begin().fingerprint()]);
    let mut states = vec![(Vec::new(), begin().events())];
    for _ in 0..depth {
        let mut next = Vec::new();
        for (path, events) in states {
            for event in events {
                let path = [path.as_slice(), &[event]].concat();
                extent.steps += 1;
                let is_new = named(&path, || {
                    let state = play(&begin, &path);
                    seen.insert(state.fingerprint()).then(|| {
                        let events = state.events();
                        state.end(Ending::Patient);
                        events
                    })
                });
                let Some(events) = is_new else { continue };
                extent.states += 1;
                for ending in [Ending::Silent, Ending::Reset] {
                    named(&(&path, ending), || play(&begin, &path).end(ending));
                }
                next.push((path, events));
            }
        }
        states = next;
    }
    extent
}

/// Plays all sequences of up to `depth` events, and cuts off none: states that the search would take for one must lead
/// to the same states with their next event.
pub(super) fn check_fingerprints<S: Scenario>(begin: impl Fn() -> S, depth: usize) {
    let mut futures: HashMap<u64, BTreeSet<u64>> = HashMap::new();
    let mut paths = vec![Vec::new()];
    for _ in 0..=depth {
        let mut next = Vec::new();
        for path in paths {
            let state = play(&begin, &path);
            let mut future = BTreeSet::new();
            for event in state.events() {
                let path = [path.as_slice(), &[event]].concat();
                future.insert(named(&path, || play(&begin, &path).fingerprint()));
                next.push(path);
            }
            let known = futures.entry(state.fingerprint()).or_insert_with(|| future.clone());
            assert_eq!(*known, future, "one fingerprint, two futures, with {path:?}");
        }
        paths = next;
    }
}

/// The state to which these events lead.
fn play<S: Scenario>(begin: impl Fn() -> S, path: &[S::Event]) -> S {
    let mut state = begin();
    for event in path {
        state.play(*event);
    }
    state
}

/// Says with what it was that a check failed.
fn named<T>(name: &impl Debug, check: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(check)).unwrap_or_else(|_| panic!("with {name:?}"))
}
