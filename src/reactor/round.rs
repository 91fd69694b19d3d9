//! Who was heard, and until when. Timers judge clients for their silence, so they must know who was silent and who was
//! only not read yet: after a handler that blocked, or in a crowd, many wait to be read at once, for more than one turn.

use crate::engine::Millis;

/// Turns that a round takes at most for bytes left unread. Who sends without end must not hold up every timer.
const LONGEST: usize = 16;

/// Turns in a row, from one in which something was left over to the one in which all who could be heard when it began
/// were. Mostly it is a single turn.
#[derive(Default)]
pub(super) struct Round {
    /// When it began.
    began: Millis,
    turns: usize,
    /// Events that were taken in it.
    events: usize,
    /// In this turn there were as many as one takes: there may be more.
    is_full: bool,
    /// When the last one began that is over.
    heard: Millis,
}

impl Round {
    /// A sleep has ended, with `full` events if it was as many as one turn takes, and otherwise 0.
    pub(super) fn begin_turn(&mut self, now: Millis, full: usize) {
        if self.turns == 0 {
            self.began = now;
            self.events = 0;
        }
        self.turns += 1;
        self.events += full;
        self.is_full = full > 0;
    }

    /// All events of the turn were dealt with. There are at most so many at once, and nothing was left unread, or some
    /// was. Returns the time by which everybody was heard.
    pub(super) fn end_turn(&mut self, most: usize, is_read: bool) -> Millis {
        let is_crowd_heard = !self.is_full || self.events >= most;
        if is_crowd_heard && (is_read || self.turns >= LONGEST) {
            self.turns = 0;
            self.heard = self.began;
        }
        self.heard
    }

    /// Whether somebody is still to be heard.
    pub(super) fn goes_on(&self) -> bool {
        self.turns > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_in_which_all_is_heard_is_a_round() {
        let mut round = Round::default();
        for now in [5, 5, 70] {
            round.begin_turn(now, 0);
            assert_eq!(round.end_turn(10, true), now);
            assert!(!round.goes_on());
        }
    }

    #[test]
    fn a_crowd_is_heard_when_its_events_end_or_there_were_as_many_as_there_can_be() {
        let mut round = Round::default();
        round.begin_turn(5, 0);
        round.end_turn(3000, true);
        for (now, full, heard) in
            [(10, 1024, 5), (3000, 1024, 5), (3010, 1024, 10), (3020, 1024, 10), (3030, 0, 3020)]
        {
            round.begin_turn(now, full);
            assert_eq!(round.end_turn(3000, true), heard, "at {now}");
        }
        assert!(!round.goes_on());
    }

    #[test]
    fn who_sends_without_end_is_not_waited_for() {
        let mut round = Round::default();
        for now in 1..LONGEST as Millis {
            round.begin_turn(now, 0);
            assert_eq!(round.end_turn(10, false), 0);
            assert!(round.goes_on());
        }
        round.begin_turn(100, 0);
        assert_eq!(round.end_turn(10, false), 1);
        assert!(!round.goes_on());
    }
}
