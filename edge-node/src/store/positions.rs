//! A set of chunk positions, and its form on disk: the checkpoint from which a killed download resumes.

use std::ops::Range;

use freshet_protocol::{Hash, RootId, ranges_of};

const MAGIC: &[u8; 8] = b"freshet1";

/// A set of positions below a fixed count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Positions {
    words: Vec<u64>,
    count: u32,
}

impl Positions {
    /// The empty set of positions below `count`.
    pub(crate) fn new(count: u32) -> Self {
        Self { words: vec![0; count.div_ceil(64) as usize], count }
    }

    /// Adds a position; whether it was not there.
    pub(crate) fn insert(&mut self, position: u32) -> bool {
        let (word, bit) = (position as usize / 64, 1 << (position % 64));
        let is_new = self.words[word] & bit == 0;
        self.words[word] |= bit;
        is_new
    }

    pub(crate) fn remove(&mut self, position: u32) {
        self.words[position as usize / 64] &= !(1 << (position % 64));
    }

    pub(crate) fn contains(&self, position: u32) -> bool {
        self.words[position as usize / 64] & (1 << (position % 64)) != 0
    }

    pub(crate) fn contains_all(&self, range: Range<u32>) -> bool {
        range.into_iter().all(|position| self.contains(position))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> {
        (0..self.count).filter(|&position| self.contains(position))
    }

    /// The set but for what is in `other`, which is about the same positions.
    pub(crate) fn without(&self, other: &Self) -> Self {
        let words = self.words.iter().zip(&other.words).map(|(own, theirs)| own & !theirs);
        Self { words: words.collect(), count: self.count }
    }

    /// How many of the positions in `range` are in the set.
    pub(crate) fn count_in(&self, range: Range<u32>) -> u32 {
        range.filter(|&position| self.contains(position)).count() as u32
    }

    pub(crate) fn ranges(&self) -> Vec<Range<u32>> {
        ranges_of(self.iter())
    }

    /// The set as a file about release `id`, with a hash over all of it.
    pub(crate) fn encode(&self, id: RootId) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend_from_slice(&id.0.0);
        out.extend_from_slice(&self.count.to_le_bytes());
        self.words.iter().for_each(|word| out.extend_from_slice(&word.to_le_bytes()));
        let hash = Hash::of(&out);
        out.extend_from_slice(&hash.0);
        out
    }

    /// Reads what [`Positions::encode`] wrote; none when it is about another release, or damaged.
    pub(crate) fn decode(bytes: &[u8], id: RootId, count: u32) -> Option<Self> {
        let (body, hash) = bytes.split_at_checked(bytes.len().checked_sub(32)?)?;
        if Hash::of(body).0 != *hash {
            return None;
        }
        let rest = body.strip_prefix(MAGIC)?.strip_prefix(&id.0.0)?.strip_prefix(&count.to_le_bytes())?;
        let mut set = Self::new(count);
        let (words, left) = rest.as_chunks::<8>();
        if words.len() != set.words.len() || !left.is_empty() {
            return None;
        }
        set.words.iter_mut().zip(words).for_each(|(word, bytes)| *word = u64::from_le_bytes(*bytes));
        Some(set)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survives_a_round_trip_and_no_damage() {
        let id = RootId::of(b"root");
        let mut set = Positions::new(130);
        for position in [0, 1, 2, 64, 129] {
            assert!(set.insert(position));
            assert!(!set.insert(position));
        }
        set.remove(1);
        assert_eq!(set.ranges(), [0..1, 2..3, 64..65, 129..130]);
        assert_eq!(set.iter().count(), 4);
        let mut other = Positions::new(130);
        for position in [0, 3, 129] {
            other.insert(position);
        }
        assert_eq!(set.without(&other).ranges(), [2..3, 64..65]);
        let bytes = set.encode(id);
        assert_eq!(Positions::decode(&bytes, id, 130), Some(set));
        assert_eq!(Positions::decode(&bytes, id, 131), None);
        assert_eq!(Positions::decode(&bytes, RootId::of(b"other"), 130), None);
        for at in 0..bytes.len() {
            assert_eq!(Positions::decode(&bytes[..at], id, 130), None);
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert_eq!(Positions::decode(&damaged, id, 130), None);
        }
    }
}
