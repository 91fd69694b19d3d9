//! Where the program's panics stop: in the callback that panicked, and in what is dropped of it.
//!
//! A panic carries a value, and that value, a state, a handler and a closure's captures are dropped by the server:
//! their `Drop` is the program's code too, and may panic as a callback may. What cannot be contained is Rust's own
//! rule: a `Drop` that panics while another panic unwinds through it ends the process.

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Calls the program. `None`: it panicked, and nothing is left of that.
pub(crate) fn contain<T>(call: impl FnOnce() -> T) -> Option<T> {
    // The engine is consistent between any two of its calls, and a broken handler is the program's to judge.
    let payload = match catch_unwind(AssertUnwindSafe(call)) {
        Ok(value) => return Some(value),
        Err(payload) => payload,
    };
    if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        // Its drop may panic with a third, and so on without end: it is leaked.
        mem::forget(second);
    }
    None
}

/// Drops a value of the program's. `false`: its drop panicked.
pub(crate) fn discard<T>(value: T) -> bool {
    contain(|| drop(value)).is_some()
}

#[cfg(test)]
mod tests {
    use std::panic::panic_any;
    use std::sync::Arc;

    use super::*;

    /// Panics when it is dropped, with another one of its kind as long as the fuse lasts. The references
    /// count those that are not dropped.
    struct Bomb {
        fuse: u32,
        alive: Arc<()>,
    }

    impl Drop for Bomb {
        fn drop(&mut self) {
            if let Some(fuse) = self.fuse.checked_sub(1) {
                panic_any(Bomb { fuse, alive: Arc::clone(&self.alive) });
            }
        }
    }

    #[test]
    fn a_call_without_a_panic_gives_its_value() {
        assert_eq!(contain(|| 5), Some(5));
        assert!(discard(Box::new(5)));
    }

    #[test]
    fn a_payload_is_dropped_and_one_that_panics_is_contained_too() {
        // What a panic in the payload's drop throws is leaked: with a long fuse there would be no end of them.
        for (fuse, leaked) in [(0, 0), (1, 1), (u32::MAX, 1)] {
            let alive = Arc::new(());
            let bomb = Bomb { fuse, alive: Arc::clone(&alive) };
            assert!(contain(|| panic_any(bomb)).is_none());
            assert_eq!(Arc::strong_count(&alive), 1 + leaked, "{fuse}");
        }
    }

    #[test]
    fn a_value_whose_drop_panics_is_dropped() {
        for (fuse, leaked) in [(1, 0), (2, 1), (u32::MAX, 1)] {
            let alive = Arc::new(());
            assert!(!discard(Bomb { fuse, alive: Arc::clone(&alive) }));
            assert_eq!(Arc::strong_count(&alive), 1 + leaked, "{fuse}");
        }
    }
}
