//! What the tests of several files share: reproducible randomness, and ways to cut bytes into packets.

use super::HeadLimits;

pub(super) const LIMITS: HeadLimits =
    HeadLimits { request_line: 8 * 1024, header_section: 16 * 1024, header_count: 100 };

/// Marsaglia's xorshift; the seed must not be zero.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }

    pub(super) fn bytes(&mut self, length: usize, alphabet: &[u8]) -> Vec<u8> {
        (0..length).map(|_| alphabet[self.below(alphabet.len())]).collect()
    }
}

/// Ways to cut `length` bytes into packets, each a list of the packets' ends: whole, byte by byte, in two at
/// every place of a short input, and at random.
pub(super) fn cuttings(length: usize, random: &mut Random) -> Vec<Vec<usize>> {
    let mut cuttings = vec![vec![length], (1..=length).collect()];
    if length <= 256 {
        cuttings.extend((1..length).map(|cut| vec![cut, length]));
    }
    for _ in 0..16 {
        let mut ends = vec![];
        let mut end = 0;
        while end < length {
            end = (end + 1 + random.below(length.min(40))).min(length);
            ends.push(end);
        }
        cuttings.push(ends);
    }
    cuttings
}
