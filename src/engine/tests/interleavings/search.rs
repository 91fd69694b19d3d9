//! The search: all sequences of events up to a length, breadth first. A state that was seen before is not gone on from.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt::Debug;

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
                let path = Path([path.as_slice(), &[event]].concat());
                let state = path.play(&begin);
                extent.steps += 1;
                if !seen.insert(state.fingerprint()) {
                    continue;
                }
                extent.states += 1;
                let events = state.events();
                state.end(Ending::Patient);
                for ending in [Ending::Silent, Ending::Reset] {
                    let _named = Named(&ending);
                    path.play(&begin).end(ending);
                }
                next.push((path.0.clone(), events));
            }
        }
        states = next;
    }
    extent
}

/// Plays all sequences of up to `depth` events, and cuts off none: states that the search would take for one must lead to
/// the same states with their next event.
pub(super) fn check_fingerprints<S: Scenario>(begin: impl Fn() -> S, depth: usize) {
    let mut futures: HashMap<u64, BTreeSet<u64>> = HashMap::new();
    let mut paths = vec![Vec::new()];
    for _ in 0..=depth {
        let mut next = Vec::new();
        for path in paths {
            let path = Path(path);
            let state = path.play(&begin);
            let mut future = BTreeSet::new();
            for event in state.events() {
                let path = Path([path.0.as_slice(), &[event]].concat());
                future.insert(path.play(&begin).fingerprint());
                next.push(path.0.clone());
            }
            let known = futures.entry(state.fingerprint()).or_insert_with(|| future.clone());
            assert_eq!(*known, future, "one fingerprint, two futures");
        }
        paths = next;
    }
}

/// The events that lead to a state. They are shown if something fails on the way, or behind it.
struct Path<E: Debug>(Vec<E>);

impl<E: Copy + Debug> Path<E> {
    fn play<S: Scenario<Event = E>>(&self, begin: impl Fn() -> S) -> S {
        let mut state = begin();
        for event in &self.0 {
            state.play(*event);
        }
        state
    }
}

impl<E: Debug> Drop for Path<E> {
    fn drop(&mut self) {
        let _named = Named(&self.0);
    }
}

/// Shows something if a test fails.
struct Named<'n, N: Debug>(&'n N);

impl<N: Debug> Drop for Named<'_, N> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("with {:?}", self.0);
        }
    }
}
