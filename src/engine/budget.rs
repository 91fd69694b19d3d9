//! The account of memory: how much is in use, for what, and whether more may be stored.
//!
//! Each connection and each session can say its footprint: what it holds with capacities, list entries and
//! boxes. After it was touched the difference to what is booked for it is booked. Bytes that several hold are
//! counted once, when they are made, until the last of them lets go. Before anything that a client causes is
//! stored, [`Budget::admit`] is asked.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

/// What a connection or a session holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Footprint {
    /// What its client sent and was not dealt with: inboxes, unfinished messages, payloads under way.
    pub(super) input: u32,
    /// Bytes for its client: outboxes, queues, the heads of answers.
    pub(super) output: u32,
}

impl Footprint {
    pub(super) fn new(input: usize, output: usize) -> Self {
        Self {
            input: u32::try_from(input).unwrap_or(u32::MAX),
            output: u32::try_from(output).unwrap_or(u32::MAX),
        }
    }
}

/// What bytes are to be stored for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The first part of a request or message.
    UnfinishedInput,
    /// Requests and messages that came whole, and wait for their turn. Where they may not wait they are dealt with at
    /// once: memory comes before fairness.
    WholeInput,
    /// A message for a client that has something waiting already.
    Queued,
    /// A message for a client that reads, as far as we know, and has nothing waiting.
    Prompt,
    /// An answer of the server's own, or the head of one that waits.
    Answer,
    /// An answer of the program's own.
    Page,
    /// A control frame of a WebSocket.
    Control,
}

/// The account.
pub(super) struct Budget {
    /// The option `buffered_bytes`.
    limit: usize,
    input: usize,
    output: usize,
    shared: Arc<AtomicUsize>,
    /// What is shared of the program's own, by its address: each of them counts once. An entry
    /// may be of bytes that are gone.
    programs: HashMap<usize, Weak<SharedBytes>>,
    /// The least that was in use for clients since the last flush began.
    least: usize,
}

impl Budget {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, input: 0, output: 0, shared: Arc::default(), programs: HashMap::new(), least: 0 }
    }

    /// Bytes in use for what clients sent.
    fn input(&self) -> usize {
        self.input
    }

    /// Bytes in use for clients: outboxes, queues, what several of them share.
    fn output(&self) -> usize {
        self.output + self.shared.load(Ordering::Relaxed)
    }

    /// Bytes in use.
    pub(super) fn held(&self) -> usize {
        self.input() + self.output()
    }

    /// Bytes that are booked for connections and sessions.
    pub(super) fn booked(&self) -> usize {
        self.input + self.output
    }

    /// Books what a connection or a session holds now, in place of what was booked for it before.
    pub(super) fn book(&mut self, booked: &mut Footprint, now: Footprint) {
        let before = std::mem::replace(booked, now);
        self.input = (self.input + now.input as usize).saturating_sub(before.input as usize);
        self.output = (self.output + now.output as usize).saturating_sub(before.output as usize);
        if now.output < before.output {
            self.least = self.least.min(self.output());
        }
    }

    /// Bytes that several will hold.
    pub(super) fn share(&mut self, bytes: Vec<u8>) -> Shared {
        Shared(Arc::new(SharedBytes::new(Bytes::Own(bytes), Arc::clone(&self.shared))))
    }

    /// The same for bytes that the program shares too. They count once, whatever number of answers needs them.
    pub(super) fn share_of_program(&mut self, bytes: Arc<[u8]>) -> Shared {
        if let Some(known) = self.known_of_program(&bytes) {
            return known;
        }
        if self.programs.len() == self.programs.capacity() {
            // In place of a larger table: most of them may be gone.
            self.programs.retain(|_, bytes| bytes.strong_count() > 0);
        }
        let address = bytes.as_ptr().addr();
        let shared = Arc::new(SharedBytes::new(Bytes::OfProgram(bytes), Arc::clone(&self.shared)));
        self.programs.insert(address, Arc::downgrade(&shared));
        Shared(shared)
    }

    /// Bytes of memory by which [`share_of_program`](Self::share_of_program) adds to what is in use.
    pub(super) fn cost_of_program(&self, bytes: &Arc<[u8]>) -> usize {
        if self.known_of_program(bytes).is_some() { 0 } else { bytes.len() + SharedBytes::OVERHEAD }
    }

    /// While these bytes are shared here no others can have their address.
    fn known_of_program(&self, bytes: &Arc<[u8]>) -> Option<Shared> {
        self.programs.get(&bytes.as_ptr().addr()).and_then(Weak::upgrade).map(Shared)
    }

    /// Whether so many bytes more may be stored for this purpose.
    pub(super) fn admit(&self, purpose: Purpose, bytes: usize) -> bool {
        let (limit, input) = (self.limit, self.input().saturating_add(bytes));
        let held = self.held().saturating_add(bytes);
        match purpose {
            // Half of the room, so that input cannot keep output from leaving; and an eighth of it in any case, even
            // where output holds all: the server holds an eighth more than the limit then.
            Purpose::UnfinishedInput => {
                input <= limit / 2 && (input <= limit / 8 || held <= limit - limit / 8)
            }
            // An eighth more than what is unfinished, so that the latter cannot take all of it.
            Purpose::WholeInput => input <= limit / 8 * 5 && held <= limit,
            // A quarter of the room is for clients that have nothing waiting: they are those that read.
            Purpose::Queued => held <= limit / 4 * 3,
            Purpose::Page => held <= limit / 2,
            // The last eighth is for what clients send, unless nothing else waits: then a
            // message may be as large as all.
            Purpose::Prompt => {
                let output = self.output();
                (output == 0 || output.saturating_add(bytes) <= limit - limit / 8) && held <= limit
            }
            Purpose::Answer | Purpose::Control => held <= limit,
        }
    }

    /// Whether output has grown so much since the last flush that a flush is due.
    pub(super) fn has_grown(&self) -> bool {
        self.output().saturating_sub(self.least) > self.limit / FLUSH_SHARE
    }

    /// The least that was in use for clients since the last flush began, for [`Budget::restore_least`].
    pub(super) fn least(&self) -> usize {
        self.least
    }

    /// Queues have become frames. While a queue becomes one, its bytes are booked for neither queue nor outbox: that
    /// moment must not count as the least, or output would seem to have grown since.
    pub(super) fn restore_least(&mut self, least: usize) {
        self.least = least.min(self.output());
    }

    /// A flush begins.
    pub(super) fn begin_flush(&mut self) {
        self.least = self.output();
    }
}

/// The part of the room by which output may grow before a flush is due.
const FLUSH_SHARE: usize = 16;

/// Bytes that several queues hold at once: one broadcast, encoded once.
#[derive(Clone)]
pub(super) struct Shared(Arc<SharedBytes>);

/// The bytes, and the account that is credited when the last queue lets go of them.
struct SharedBytes {
    bytes: Bytes,
    account: Arc<AtomicUsize>,
}

enum Bytes {
    Own(Vec<u8>),
    /// The program may hold them too, and may have let go of them by now.
    OfProgram(Arc<[u8]>),
}

impl Shared {
    pub(super) fn bytes(&self) -> &[u8] {
        match &self.0.bytes {
            Bytes::Own(bytes) => bytes,
            Bytes::OfProgram(bytes) => bytes,
        }
    }
}

impl SharedBytes {
    /// What bytes of the program cost beside themselves: this, its counts, and an entry in
    /// a table that may be half empty.
    const OVERHEAD: usize = size_of::<Self>() + 4 * size_of::<(usize, Weak<Self>)>();

    fn new(bytes: Bytes, account: Arc<AtomicUsize>) -> Self {
        let it = Self { bytes, account };
        it.account.fetch_add(it.footprint(), Ordering::Relaxed);
        it
    }

    /// Bytes of memory that it holds.
    fn footprint(&self) -> usize {
        match &self.bytes {
            Bytes::Own(bytes) => bytes.capacity() + size_of::<Self>(),
            Bytes::OfProgram(bytes) => bytes.len() + Self::OVERHEAD,
        }
    }
}

impl Drop for SharedBytes {
    fn drop(&mut self) {
        self.account.fetch_sub(self.footprint(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: usize = 8000;

    /// An account in which so much is held for input and for output.
    fn holding(input: usize, output: usize) -> Budget {
        let mut budget = Budget::new(LIMIT);
        budget.book(&mut Footprint::default(), Footprint::new(input, output));
        budget
    }

    #[test]
    fn each_purpose_has_its_limit() {
        // What is held, the purpose, and how much more may be at most.
        for (input, output, purpose, most) in [
            (0, 0, Purpose::UnfinishedInput, 4000),
            (1000, 0, Purpose::UnfinishedInput, 3000),
            (0, 6000, Purpose::UnfinishedInput, 1000),
            (0, 7500, Purpose::UnfinishedInput, 1000),
            (0, 0, Purpose::WholeInput, 5000),
            (4000, 0, Purpose::WholeInput, 1000),
            (0, 7500, Purpose::WholeInput, 500),
            (0, 0, Purpose::Queued, 6000),
            (1000, 4000, Purpose::Queued, 1000),
            (0, 0, Purpose::Page, 4000),
            (1000, 0, Purpose::Page, 3000),
            (0, 0, Purpose::Prompt, 8000),
            (0, 1, Purpose::Prompt, 6999),
            (1000, 0, Purpose::Prompt, 7000),
            (1000, 6500, Purpose::Prompt, 500),
            (4000, 3500, Purpose::Prompt, 500),
            (4000, 3500, Purpose::Answer, 500),
            (4000, 3500, Purpose::Control, 500),
        ] {
            let budget = holding(input, output);
            assert!(budget.admit(purpose, most), "{purpose:?} beside {input} and {output}");
            assert!(!budget.admit(purpose, most + 1), "{purpose:?} beside {input} and {output}");
            assert!(!budget.admit(purpose, usize::MAX), "{purpose:?}");
        }
    }

    #[test]
    fn what_is_booked_is_what_is_held_now() {
        let mut budget = Budget::new(LIMIT);
        let (mut one, mut other) = (Footprint::default(), Footprint::default());
        budget.book(&mut one, Footprint::new(100, 10));
        budget.book(&mut other, Footprint::new(0, 200));
        budget.book(&mut one, Footprint::new(50, 20));
        assert_eq!((budget.input(), budget.output()), (50, 220));
        budget.book(&mut one, Footprint::default());
        budget.book(&mut other, Footprint::default());
        assert_eq!(budget.held(), 0);
    }

    #[test]
    fn shared_bytes_are_counted_once_until_the_last_holder_lets_go() {
        let mut budget = Budget::new(LIMIT);
        let shared = budget.share(vec![7; 500]);
        let (one, other) = (shared.clone(), shared.clone());
        let held = budget.held();
        assert!((500..600).contains(&held), "{held}");
        drop((shared, one));
        assert_eq!(budget.held(), held);
        drop(other);
        assert_eq!(budget.held(), 0);
    }

    #[test]
    fn bytes_of_the_program_are_counted_once_while_an_answer_needs_them() {
        let mut budget = Budget::new(LIMIT);
        let page: Arc<[u8]> = vec![7; 500].into();
        let cost = budget.cost_of_program(&page);
        let one = budget.share_of_program(Arc::clone(&page));
        assert_eq!(budget.held(), cost);
        assert!((500..700).contains(&cost), "{cost}");
        assert_eq!(budget.cost_of_program(&page), 0);
        let other = budget.share_of_program(Arc::clone(&page));
        assert_eq!((other.bytes(), budget.held()), (&page[..], cost));
        // The program has a new page, and lets go of the old one: answers still hold that.
        drop(page);
        drop(one);
        assert_eq!(budget.held(), cost);
        drop(other);
        assert_eq!(budget.held(), 0);
    }

    #[test]
    fn pages_that_come_and_go_leave_no_table_behind() {
        let mut budget = Budget::new(LIMIT);
        for _ in 0..10_000 {
            let page: Arc<[u8]> = vec![7; 10].into();
            assert!(budget.cost_of_program(&page) > 0, "it may have the address of one that is gone");
            drop(budget.share_of_program(page));
        }
        assert!(budget.programs.capacity() < 16, "{}", budget.programs.capacity());
        assert_eq!(budget.held(), 0);
    }

    #[test]
    fn a_flush_is_due_when_much_was_added() {
        let mut budget = holding(0, LIMIT / FLUSH_SHARE);
        assert!(!budget.has_grown());
        let _shared = budget.share(vec![0]);
        assert!(budget.has_grown());
        budget.begin_flush();
        assert!(!budget.has_grown());
    }
}
