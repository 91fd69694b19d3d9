//! How fast a client reads, as far as a server can know: whether its socket takes bytes, and when a client that reads
//! at the slowest rate would have read what was written to it.
//!
//! What was written is on its way for a while: in the buffers of two operating systems, which tell nothing. A wait for
//! an answer of the client must not begin before the client can have read what it is to answer (contract, rule 12.11).

use std::num::NonZeroU64;

use super::Millis;

/// Bytes that can be on their way to a client at most: what two operating systems buffer by default (Linux:
/// `net.ipv4.tcp_wmem` and `net.ipv4.tcp_rmem`). What was written before them has been read.
const ON_THE_WAY: usize = 10 << 20;

/// What is known of a client's reading.
pub(super) struct Pace {
    pub(super) flow: Flow,
    /// When a client that reads at the slowest rate has read all that was written to it.
    read_by_micros: u64,
}

/// Whether the socket takes bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    /// As far as is known.
    Taking,
    /// The last write stopped short. `write_stall` counts from this time: when a client that reads at the slowest rate
    /// has read what was written before.
    Stalled(Stamp),
}

/// A time, as a number that is never zero: beside it an enum needs no room of its own.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp(NonZeroU64);

impl Stamp {
    pub(super) fn new(time: Millis) -> Self {
        Self(NonZeroU64::MIN.saturating_add(time))
    }

    pub(super) fn time(self) -> Millis {
        self.0.get() - 1
    }
}

impl Pace {
    /// Nothing was written yet.
    pub(super) fn new() -> Self {
        Self { flow: Flow::Taking, read_by_micros: 0 }
    }

    /// Whether the socket takes bytes, as far as is known.
    pub(super) fn takes_bytes(&self) -> bool {
        self.flow == Flow::Taking
    }

    /// So many bytes were written to the socket. They are on their way until the client has read them.
    pub(super) fn note_written(&mut self, count: usize, now: Millis, slowest_client: usize) {
        let now = now.saturating_mul(1000);
        let most = now.saturating_add(reading_time(ON_THE_WAY, slowest_client));
        let begin = self.read_by_micros.max(now);
        self.read_by_micros = begin.saturating_add(reading_time(count, slowest_client)).min(most);
    }

    /// The client has read everything.
    pub(super) fn note_all_read(&mut self) {
        self.read_by_micros = 0;
    }

    /// The client has read everything so many milliseconds before a slow one would have.
    pub(super) fn note_early(&mut self, early: Millis) {
        self.read_by_micros = self.read_by_micros.saturating_sub(early.saturating_mul(1000));
    }

    /// When a client that reads at the slowest rate has read all that was written to it: the present, or later.
    pub(super) fn read_by(&self, now: Millis) -> Millis {
        now.max(self.read_by_micros / 1000)
    }

    /// The same for so many bytes more, which are not written yet.
    pub(super) fn read_with(&self, unsent: usize, now: Millis, slowest_client: usize) -> Millis {
        self.read_by(now).saturating_add(reading_time(unsent, slowest_client) / 1000)
    }
}

/// How long a client takes for so many bytes at so many in a second, in microseconds.
fn reading_time(bytes: usize, rate: usize) -> u64 {
    (bytes as u64).saturating_mul(1_000_000) / (rate as u64).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A client that reads a kilobyte in a second.
    const RATE: usize = 1000;

    #[test]
    fn a_slow_client_takes_its_time_for_each_write() {
        let mut pace = Pace::new();
        assert_eq!(pace.read_by(5000), 5000);
        // Half a second for the first write, and as much for the second behind it.
        pace.note_written(500, 5000, RATE);
        assert_eq!(pace.read_by(5000), 5500);
        pace.note_written(500, 5100, RATE);
        assert_eq!(pace.read_by(5100), 6000);
        assert_eq!(pace.read_by(7000), 7000, "all was read by then");
        assert_eq!(pace.read_with(2000, 5100, RATE), 8000);
        // A write behind a pause begins a time of its own.
        pace.note_written(500, 9000, RATE);
        assert_eq!(pace.read_by(9000), 9500);
    }

    #[test]
    fn no_more_is_on_its_way_than_two_systems_buffer() {
        let mut pace = Pace::new();
        for _ in 0..100 {
            pace.note_written(1 << 20, 0, 1 << 20);
        }
        assert_eq!(pace.read_by(0), 10_000);
    }

    #[test]
    fn a_client_that_shows_how_far_it_is_has_read_that_much() {
        let mut pace = Pace::new();
        pace.note_written(4000, 0, RATE);
        pace.note_early(1500);
        assert_eq!(pace.read_by(0), 2500);
        pace.note_early(Millis::MAX);
        assert_eq!(pace.read_by(0), 0);
        pace.note_written(4000, 0, RATE);
        pace.note_all_read();
        assert_eq!(pace.read_by(0), 0);
    }

    #[test]
    fn a_stamp_is_a_time() {
        for time in [0, 1, 1_000_000, Millis::MAX - 1] {
            assert_eq!(Stamp::new(time).time(), time);
        }
        assert_eq!(size_of::<Flow>(), 8);
    }
}
