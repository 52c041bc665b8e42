//! The shards that a peer holds.

use freshet_protocol::{Base64, HaveSummary};

const WORD_BITS: u32 = u64::BITS;

/// A set of shards of one release, small where it is trivial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Held {
    None,
    All,
    /// One bit a shard; no bit beyond the last shard is set, at least one bit is set and one is not.
    Some(Box<[u64]>),
}

impl Held {
    /// Reads what a client says about a release of `shards` shards; bits beyond the last are ignored.
    pub(super) fn of_summary(summary: &HaveSummary, shards: u32) -> Self {
        match summary {
            HaveSummary::None => Self::None,
            HaveSummary::All => Self::All,
            HaveSummary::Shards(bits) => {
                let mut words = empty(shards);
                for (index, &byte) in bits.0.iter().enumerate().take(words.len() * 8) {
                    words[index / 8] |= u64::from(byte) << (index % 8 * 8);
                }
                Self::of_words(words, shards)
            }
        }
    }

    /// The set as a client says it.
    pub(super) fn summary(&self, shards: u32) -> HaveSummary {
        match self {
            Self::None => HaveSummary::None,
            Self::All => HaveSummary::All,
            Self::Some(words) => {
                let bytes = words.iter().flat_map(|word| word.to_le_bytes());
                HaveSummary::Shards(Base64(bytes.take(shards.div_ceil(8) as usize).collect()))
            }
        }
    }

    /// Whether a shard is in the set.
    pub(super) fn has(&self, shard: u32) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Some(words) => {
                let word = words.get((shard / WORD_BITS) as usize);
                word.is_some_and(|word| word >> (shard % WORD_BITS) & 1 == 1)
            }
        }
    }

    /// The shards that `is_in` says.
    pub(super) fn of(shards: u32, is_in: impl Fn(u32) -> bool) -> Self {
        let mut words = empty(shards);
        for shard in (0..shards).filter(|&shard| is_in(shard)) {
            words[(shard / WORD_BITS) as usize] |= 1 << (shard % WORD_BITS);
        }
        Self::of_words(words, shards)
    }

    /// The set with one shard more.
    pub(super) fn with(self, shard: u32, shards: u32) -> Self {
        if shard >= shards {
            return self;
        }
        let mut words = match self {
            Self::All => return Self::All,
            Self::None => empty(shards),
            Self::Some(words) => words,
        };
        words[(shard / WORD_BITS) as usize] |= 1 << (shard % WORD_BITS);
        Self::of_words(words, shards)
    }

    fn of_words(mut words: Box<[u64]>, shards: u32) -> Self {
        let tail_bits = shards % WORD_BITS;
        if let Some(last) = words.last_mut().filter(|_| tail_bits != 0) {
            *last &= (1 << tail_bits) - 1;
        }
        let count: u32 = words.iter().map(|word| word.count_ones()).sum();
        match count {
            0 => Self::None,
            count if count == shards => Self::All,
            _ => Self::Some(words),
        }
    }

    /// Whether this set has a shard that `other` lacks.
    pub(super) fn has_beyond(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::None, _) | (_, Self::All) => false,
            (Self::All, _) | (_, Self::None) => true,
            (Self::Some(own), Self::Some(theirs)) => {
                own.iter().zip(theirs).any(|(own, theirs)| own & !theirs != 0)
            }
        }
    }

    /// The single shards in which two sets differ, and whether the shard is in `new`. Sets of the whole release count
    /// as empty here: they are counted apart.
    pub(super) fn changes(old: &Self, new: &Self) -> Vec<(u32, bool)> {
        let words = old.words().len().max(new.words().len());
        let word = |set: &Self, index: usize| set.words().get(index).copied().unwrap_or(0);
        let mut changes = Vec::new();
        for index in 0..words {
            let mut differing = word(old, index) ^ word(new, index);
            while differing != 0 {
                let bit = differing.trailing_zeros();
                let is_in_new = word(new, index) >> bit & 1 == 1;
                changes.push((index as u32 * WORD_BITS + bit, is_in_new));
                differing &= differing - 1;
            }
        }
        changes
    }

    fn words(&self) -> &[u64] {
        match self {
            Self::None | Self::All => &[],
            Self::Some(words) => words,
        }
    }
}

fn empty(shards: u32) -> Box<[u64]> {
    vec![0; shards.div_ceil(WORD_BITS) as usize].into_boxed_slice()
}

#[cfg(test)]
mod tests {
    use freshet_protocol::Base64;

    use super::*;

    fn held(bits: &[u8], shards: u32) -> Held {
        Held::of_summary(&HaveSummary::Shards(Base64(bits.to_vec())), shards)
    }

    #[test]
    fn summaries_are_read_within_the_release() {
        assert_eq!(held(&[], 10), Held::None);
        assert_eq!(held(&[0, 0b1111_1100], 10), Held::None, "bits beyond the last shard");
        assert_eq!(held(&[0xff, 0xff, 0xff], 10), Held::All);
        assert_eq!(held(&[0xff; 512], 4096), Held::All);
        assert_eq!(held(&[0xff; 512], 0), Held::None);
        assert_eq!(Held::changes(&Held::None, &held(&[2, 1], 10)), [(1, true), (8, true)]);
    }

    #[test]
    fn shards_are_added_one_by_one() {
        let full = (0..70).fold(Held::None, |set, shard| set.with(shard, 70));
        assert_eq!(full, Held::All);
        assert_eq!(Held::None.with(70, 70), Held::None);
        assert_eq!(held(&[1], 70).with(69, 70), held(&[1, 0, 0, 0, 0, 0, 0, 0, 32], 70));
    }

    #[test]
    fn what_one_has_beyond_another() {
        let check = |own: &Held, theirs: &Held, expected| assert_eq!(own.has_beyond(theirs), expected);
        check(&Held::None, &Held::None, false);
        check(&Held::All, &Held::All, false);
        check(&Held::All, &held(&[1], 10), true);
        check(&held(&[1], 10), &Held::None, true);
        check(&held(&[1], 10), &held(&[3], 10), false);
        check(&held(&[5], 10), &held(&[3], 10), true);
        assert_eq!(Held::changes(&held(&[1], 10), &held(&[2], 10)), [(0, false), (1, true)]);
        assert_eq!(Held::changes(&Held::All, &Held::None), []);
    }
}
