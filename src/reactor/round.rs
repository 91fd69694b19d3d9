//! Until when everything that had arrived was read. Timers judge clients for their silence, so they must not judge
//! before: after a handler that blocked, in a crowd, or when the process was stopped for a while, much waits to be read
//! at once, for more than one turn, and some of it in connections that are yet to be accepted (contract, rule 12.12).
//!
//! A time counts as heard when all that the operating system knew by then was dealt with. It is taken before the system
//! is asked, never behind: the process may be stopped between the answer and a look at the clock.

use crate::engine::Millis;

/// Passes that a round takes at most where something is left over behind each of them. A client that sends without end
/// must not hold up every timer; at 64 KiB a pass these are 6 MiB, more than Linux lets a socket hold
/// (`net.ipv4.tcp_rmem`), and more connections than a backlog holds (`net.core.somaxconn`).
const LONGEST: usize = 96;

/// Turns after which it ends with the pass that is under way: where many clients send without end a pass takes many.
const MOST_TURNS: usize = 4 * LONGEST;

/// Turns in a row, from one in which something was left over to the one in which all was read that had arrived when the
/// first began. Mostly it is a single turn.
///
/// It is made of passes: in each of them every socket is read that had bytes unread when the pass began. Mostly a pass
/// is a single turn too; where much is to be read, it takes some.
#[derive(Default)]
pub(super) struct Round {
    /// When it began: before the operating system was asked for events.
    began: Millis,
    is_under_way: bool,
    passes: usize,
    turns: usize,
    /// Events that were taken in it.
    events: usize,
    /// The system did not tell of everything in this turn.
    is_more: bool,
    /// All that had arrived by then was read.
    heard: Millis,
}

/// What the operating system told of in a turn.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// All that there is.
    All,
    /// As many events as one turn takes: there may be more.
    Many(usize),
    /// Nothing: a signal came between.
    Nothing,
}

/// The work that a turn leaves over.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    Nothing,
    /// Bytes that were left when their socket had its turn; or connections that were not accepted, or were only just
    /// accepted, so that no event has told of their bytes yet.
    More,
    /// Sockets of the pass that have not had their turn.
    Pass,
}

impl Round {
    /// A sleep has ended that began at `before`.
    pub(super) fn begin_turn(&mut self, before: Millis, told: Told) {
        if !self.is_under_way {
            *self = Self { began: before, is_under_way: true, heard: self.heard, ..Self::default() };
        }
        match told {
            Told::Many(events) => self.events += events,
            Told::All | Told::Nothing => {}
        }
        self.is_more = told != Told::All;
    }

    /// All events of the turn were dealt with. There are at most `most` at once. Returns the
    /// time by which everything was read.
    pub(super) fn end_turn(&mut self, most: usize, left: Left) -> Millis {
        self.turns += 1;
        self.passes += usize::from(left != Left::Pass);
        let all_told = !self.is_more || self.events >= most;
        let is_long = self.passes >= LONGEST || self.turns >= MOST_TURNS;
        if all_told && (left == Left::Nothing || (left == Left::More && is_long)) {
            self.is_under_way = false;
            self.heard = self.began;
        }
        self.heard
    }

    /// Whether the system has more to tell at once. Its descriptor need not become readable for that, since events are
    /// edge-triggered.
    pub(super) fn is_more(&self) -> bool {
        self.is_more
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_in_which_all_is_read_is_a_round() {
        let mut round = Round::default();
        for before in [5, 5, 70] {
            round.begin_turn(before, Told::All);
            assert_eq!(round.end_turn(10, Left::Nothing), before);
        }
    }

    #[test]
    fn a_crowd_is_heard_when_its_events_end_or_there_were_as_many_as_there_can_be() {
        let mut round = Round::default();
        round.begin_turn(5, Told::All);
        round.end_turn(3000, Left::Nothing);
        for (before, told, heard) in [
            (10, Told::Many(1024), 5),
            (3000, Told::Many(1024), 5),
            (3010, Told::Many(1024), 10),
            (3020, Told::Many(1024), 10),
            (3030, Told::All, 3020),
        ] {
            round.begin_turn(before, told);
            assert_eq!(round.end_turn(3000, Left::Nothing), heard, "at {before}");
        }
    }

    #[test]
    fn what_is_left_over_is_read_before_the_round_ends() {
        let mut round = Round::default();
        round.begin_turn(5, Told::All);
        assert_eq!(round.end_turn(10, Left::More), 0);
        round.begin_turn(20, Told::All);
        assert_eq!(
            round.end_turn(10, Left::Nothing),
            5,
            "what arrived before the first of these turns is read"
        );
        round.begin_turn(30, Told::All);
        assert_eq!(round.end_turn(10, Left::Nothing), 30);
    }

    #[test]
    fn a_poll_that_was_interrupted_tells_nothing() {
        let mut round = Round::default();
        round.begin_turn(5, Told::Nothing);
        assert_eq!(round.end_turn(10, Left::Nothing), 0);
        round.begin_turn(90, Told::All);
        assert_eq!(round.end_turn(10, Left::Nothing), 5);
    }

    #[test]
    fn a_client_that_sends_without_end_is_not_waited_for() {
        let mut round = Round::default();
        for before in 1..LONGEST as Millis {
            round.begin_turn(before, Told::All);
            assert_eq!(round.end_turn(10, Left::More), 0);
        }
        round.begin_turn(100, Told::All);
        assert_eq!(round.end_turn(10, Left::More), 1);
    }

    #[test]
    fn sockets_that_have_not_had_their_turn_are_waited_for() {
        let mut round = Round::default();
        for before in 1..2 * LONGEST as Millis {
            round.begin_turn(before, Told::All);
            assert_eq!(round.end_turn(10, Left::Pass), 0);
        }
        round.begin_turn(1000, Told::All);
        assert_eq!(round.end_turn(10, Left::More), 0, "a single pass");
        round.begin_turn(1001, Told::All);
        assert_eq!(round.end_turn(10, Left::Nothing), 1);
        for before in 2000..2000 + MOST_TURNS as Millis {
            round.begin_turn(before, Told::All);
            assert_eq!(round.end_turn(10, Left::Pass), 1);
        }
        round.begin_turn(9000, Told::All);
        assert_eq!(round.end_turn(10, Left::More), 2000, "a pass that took long is enough");
    }
}
