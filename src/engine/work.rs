//! The budget of work of one turn, over all clients together: the rest is first in the
//! next turn (contract, rule 12.14).
//!
//! The unit of work is one message that is queued for a client, about 60 ns on a common machine; everything else costs
//! so many of them. The budget of a turn, with the flush behind it, is some 20 ms; each connection has a share of it,
//! so that one of them cannot take all.

use super::connection::Connection;
use crate::collections::Key;

/// The work of a turn.
const TURN: u64 = 192 << 10;

/// The most requests, messages and control frames of one connection that are dealt with in one turn.
const INPUTS_PER_SHARE: u64 = 256;

/// The most work of one turn that one connection may cause: room for all its inputs, each with an answer.
const SHARE: u64 = 9 << 10;

/// The part of a turn that is kept for waits that are over and the application's timers, and as much again for the
/// program's commands: clients that cause much in every turn must not hold up the end of others, nor a shutdown.
const TASKS: u64 = TURN / 8;

/// The part of a turn that notices may take, those that are left over from turns before included: they leave room for
/// input that was left over too, and for what arrives.
const NOTICES: u64 = TURN / 4;

/// The work of a request, a message or a control frame that is dealt with.
const INPUT: u64 = 32;

/// The work of a task, which no input causes: a session's end that is told, a wait that is over, a timer, a command.
const TASK: u64 = 16;

/// The work of a write to a socket.
const WRITE: u64 = 32;

/// The work of a piece of a body that is read from the program, and copied.
const PIECE: u64 = 128;

/// The work of a millisecond that the program took for a piece.
const MILLISECOND: u64 = 16 << 10;

/// Bytes read that are a unit of work.
const BYTES_READ: u64 = 32;

/// Bytes written that are a unit of work: more than of those read, since they were looked at when they were queued.
const BYTES_WRITTEN: u64 = 256;

/// The work of one part of a flush, behind which the driver looks at what has come meanwhile: some 64 writes, or half a
/// megabyte.
const PART: u64 = 2 << 10;

/// Turns over which a flush leaves in parts at most: where each turn adds as much as leaves in it, the flush must end
/// all the same, since other orders wait for that.
pub(super) const PARTS: u32 = 128;

/// A flush is worth while when so many times its cost were done since the last one: it adds an eighth at most to the
/// work of a turn, and answers do not wait for its end.
const WORTH_A_FLUSH: u64 = 8;

/// The state of the turn that is under way.
#[derive(Default)]
pub(super) struct Turn {
    pub(super) work: Work,
    pub(super) flush: Flush,
    /// The connection whose answer goes ahead of a flush that is left over from an earlier turn.
    pub(super) ahead: Option<Key<Connection>>,
    /// How many turns the flush has taken that is under way.
    pub(super) parts: u32,
    /// How many flushes have begun.
    pub(super) flushes: u64,
    /// A flush was asked for since the last one began; `is_flush_due` has the other reason for one.
    pub(super) flush_requested: bool,
    /// The connection whose request is being dealt with. It is not dropped to make room for others, nor for its own
    /// answer, since its answer is still to be written.
    pub(super) answering: Option<Key<Connection>>,
    /// How many of the postponed connections are to go on in this turn; those that are
    /// postponed meanwhile go on in the next.
    pub(super) left_over: usize,
}

/// How far a flush has come.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Flush {
    /// None is under way.
    #[default]
    Idle,
    /// Receivers are looked at before it is decided which of two a session keeps.
    Probing,
    /// Outboxes are written.
    Writing,
}

/// What was done in this turn.
#[derive(Default)]
pub(super) struct Work {
    done: u64,
    /// The part of it that notices caused.
    noticed: u64,
    /// Requests, messages and control frames of the connection at hand.
    inputs: u64,
    /// How much was done when its share began, and may be done when that is used up.
    share_begin: u64,
    share_end: u64,
    /// How much was done at the last flush.
    flushed_at: u64,
    /// How much is done when a part of the flush has left.
    part_end: u64,
}

impl Work {
    /// A turn begins.
    pub(super) fn begin_turn(&mut self) {
        *self = Self { part_end: PART, ..Self::default() };
    }

    /// How much was done.
    pub(super) fn done(&self) -> u64 {
        self.done
    }

    /// The next connection has its turn.
    pub(super) fn begin_connection(&mut self) {
        self.inputs = 0;
        self.share_begin = self.done;
        self.share_end = self.done + SHARE;
    }

    /// A request, a message or a control frame was dealt with.
    pub(super) fn note_input(&mut self) {
        self.inputs += 1;
        self.done += INPUT;
    }

    /// So many bytes of a connection were read.
    pub(super) fn note_read(&mut self, count: usize) {
        self.done += count as u64 / BYTES_READ;
    }

    /// A flush begins.
    pub(super) fn begin_flush(&mut self) {
        self.flushed_at = self.done;
        self.part_end = self.done + PART;
    }

    /// Whether so much of the flush has left that arrivals should be looked at before the rest.
    pub(super) fn is_part_done(&self) -> bool {
        self.done >= self.part_end
    }

    /// Whether so much was done since the last flush that one with so many writes is worth while.
    pub(super) fn is_flush_worth_while(&self, writes: usize) -> bool {
        writes > 0 && self.done - self.flushed_at >= writes as u64 * WRITE * WORTH_A_FLUSH
    }

    /// A message was queued for a client.
    pub(super) fn note_message(&mut self) {
        self.done += 1;
    }

    /// A session that closed left so many groups, or its list of them went: each costs about what a message does.
    pub(super) fn note_memberships(&mut self, count: usize) {
        self.done += count as u64;
    }

    /// A task was carried out.
    pub(super) fn note_task(&mut self) {
        self.done += TASK;
    }

    /// A notice is told. Returns the work before it, for [`Work::end_notice`].
    pub(super) fn begin_notice(&mut self) -> u64 {
        let before = self.done;
        self.note_task();
        before
    }

    /// It was told, and all that it caused was queued.
    pub(super) fn end_notice(&mut self, before: u64) {
        self.noticed += self.done - before;
    }

    /// Whether the rest of the notices must wait for the next turn.
    pub(super) fn are_notices_done(&self) -> bool {
        self.noticed >= NOTICES || self.is_done()
    }

    /// Something was written to a socket.
    pub(super) fn note_write(&mut self) {
        self.done += WRITE;
    }

    /// So many bytes were taken by a socket.
    pub(super) fn note_written(&mut self, count: usize) {
        self.done += count as u64 / BYTES_WRITTEN;
    }

    /// A piece of a body was read, in so many milliseconds.
    pub(super) fn note_piece(&mut self, took: u64) {
        self.done += PIECE + took.saturating_mul(MILLISECOND);
    }

    /// All that arrived was dealt with; tasks come next: commands, or waits that are over.
    pub(super) fn begin_tasks(&mut self) {
        self.share_begin = self.done;
        self.share_end = self.done + TASKS;
    }

    /// Whether as much of the share at hand was done as one part of a flush is.
    pub(super) fn has_done_a_part(&self) -> bool {
        self.done - self.share_begin >= PART
    }

    /// Whether the rest of the tasks must wait for the next turn.
    pub(super) fn are_tasks_done(&self) -> bool {
        self.done >= self.share_end && self.is_done()
    }

    /// Whether the rest must wait for the next turn.
    pub(super) fn is_done(&self) -> bool {
        self.done >= TURN
    }

    /// Whether what was left over in the last turn must wait again: the other half of this
    /// one is for what arrives in it.
    pub(super) fn is_half_done(&self) -> bool {
        self.done >= TURN / 2
    }

    /// Whether the rest of the connection at hand must wait for the next turn.
    pub(super) fn is_share_done(&self) -> bool {
        self.inputs >= INPUTS_PER_SHARE || self.done >= self.share_end || self.is_done()
    }

    /// Whether even what the turn brought about must leave in the next one.
    pub(super) fn is_overdone(&self) -> bool {
        self.done >= 2 * TURN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_has_a_share_of_the_turn() {
        let mut work = Work::default();
        work.begin_connection();
        for _ in 0..INPUTS_PER_SHARE {
            assert!(!work.is_share_done());
            work.note_input();
        }
        assert!(work.is_share_done() && !work.is_half_done());
        work.begin_connection();
        for _ in 0..SHARE {
            assert!(!work.is_share_done());
            work.note_message();
        }
        assert!(work.is_share_done() && !work.is_half_done());
    }

    #[test]
    fn a_flush_is_worth_while_when_much_was_done_for_few() {
        let mut work = Work::default();
        work.note_input();
        assert!(!work.is_flush_worth_while(0) && !work.is_flush_worth_while(1), "one message");
        // A batch of one client, a buffer full of bytes, and messages that each go to many.
        (0..10).for_each(|_| work.note_input());
        assert!(work.is_flush_worth_while(1) && !work.is_flush_worth_while(2));
        work.begin_flush();
        assert!(!work.is_flush_worth_while(1));
        work.note_read(64 << 10);
        assert!(work.is_flush_worth_while(8) && !work.is_flush_worth_while(9));
        work.begin_flush();
        for _ in 0..300 {
            assert!(!work.is_flush_worth_while(1200));
            (0..1000).for_each(|_| work.note_message());
        }
        assert!(!work.is_flush_worth_while(1200) && work.is_flush_worth_while(1000));
    }

    #[test]
    fn a_flush_leaves_in_parts() {
        let mut work = Work::default();
        work.begin_turn();
        (0..100).for_each(|_| work.note_input());
        work.begin_flush();
        for _ in 0..2 {
            for _ in 0..PART / WRITE {
                assert!(!work.is_part_done());
                work.note_write();
            }
            assert!(work.is_part_done());
            work.begin_turn();
        }
        work.note_written(1 << 20);
        assert!(work.is_part_done());
    }

    #[test]
    fn a_turn_that_is_full_has_room_for_tasks() {
        let mut work = Work::default();
        (0..3 * TURN).for_each(|_| work.note_message());
        work.begin_tasks();
        for _ in 0..TASKS / TASK {
            assert!(work.is_done() && !work.are_tasks_done());
            work.note_task();
        }
        assert!(work.are_tasks_done());
    }

    #[test]
    fn a_flush_goes_on_in_the_next_turn_where_two_turns_are_full() {
        let mut work = Work::default();
        for _ in 0..2 * TURN / WRITE {
            assert!(!work.is_overdone());
            work.note_write();
        }
        assert!(work.is_overdone());
        work.begin_turn();
        assert!(!work.is_overdone());
    }

    #[test]
    fn every_kind_of_work_ends_the_turn() {
        for (note, cost) in [
            (Work::note_input as fn(&mut Work), INPUT),
            (Work::note_message, 1),
            (|work: &mut Work| work.note_memberships(3), 3),
            (Work::note_task, TASK),
            (Work::note_write, WRITE),
            (|work| work.note_written(1 << 20), 4 << 10),
            (|work| work.note_piece(0), PIECE),
            (|work| work.note_piece(1), PIECE + MILLISECOND),
        ] {
            let mut work = Work::default();
            for _ in 0..TURN.div_ceil(cost) {
                assert!(!work.is_done());
                note(&mut work);
                work.begin_connection();
            }
            assert!(work.is_half_done() && work.is_done() && work.is_share_done() && !work.is_overdone());
            work.begin_turn();
            assert!(!work.is_done());
        }
    }
}
