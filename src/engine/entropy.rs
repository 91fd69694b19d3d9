//! The numbers of `/info` that no client can foresee (contract, section 3).

use std::hash::{BuildHasher, Hasher, RandomState};

/// Where they come from.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Entropy {
    /// The standard library's randomly keyed hasher.
    #[default]
    System,
    /// A seed, for a simulation that runs alike each time.
    Seeded(u64),
}

impl Entropy {
    /// The next 32 bits.
    pub(super) fn draw(&mut self) -> u32 {
        match self {
            Entropy::System => RandomState::new().build_hasher().finish() as u32,
            Entropy::Seeded(state) => split_mix(state) as u32,
        }
    }
}

/// The generator SplitMix64: the next number of a sequence that the state determines.
pub fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_one_sequence_and_the_system_another_one_each_time() {
        let draws = |mut entropy: Entropy| [entropy.draw(), entropy.draw(), entropy.draw()];
        assert_eq!(draws(Entropy::Seeded(7)), draws(Entropy::Seeded(7)));
        assert_ne!(draws(Entropy::Seeded(7)), draws(Entropy::Seeded(8)));
        assert_ne!(draws(Entropy::System), draws(Entropy::System));
        // The first numbers of the generator's authors for the seed 0.
        let mut state = 0;
        assert_eq!(split_mix(&mut state), 0xe220_a839_7b1d_cdaf);
        assert_eq!(split_mix(&mut state), 0x6e78_9e6a_a1b9_65f4);
    }
}
