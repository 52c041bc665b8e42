//! Evenly spread choices from a seed: SplitMix64 (Steele, Lea and Flood, OOPSLA 2014), so that a simulation repeats.

/// A stream of numbers that depends on its seed alone. Not for secrets.
#[derive(Debug, Clone)]
pub(super) struct Mixer {
    state: u64,
}

impl Mixer {
    pub(super) fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    pub(super) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which must not be zero.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.below_u64(bound as u64) as usize
    }

    /// The same, of a time.
    pub(super) fn below_u64(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    /// A time of `us` on average, between three and five quarters of it.
    pub(super) fn around_us(&mut self, us: u64) -> u64 {
        us - us / 4 + self.below_u64(us / 2 + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        // First outputs of the reference implementation (Vigna, splitmix64.c) for seed 1234567.
        let mut mixer = Mixer::new(1_234_567);
        assert_eq!(mixer.next(), 6_457_827_717_110_365_317);
        assert_eq!(mixer.next(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn below_reaches_both_ends() {
        let mut mixer = Mixer::new(1);
        let seen: std::collections::BTreeSet<_> = (0..200).map(|_| mixer.below(7)).collect();
        assert_eq!(seen, (0..7).collect());
    }
}
