//! A set of chunk positions.

use std::ops::Range;

/// One bit for each position.
#[derive(Debug, Clone)]
pub(super) struct Positions {
    words: Vec<u64>,
    len: u32,
    count: u32,
}

impl Positions {
    pub(super) fn none(len: u32) -> Self {
        Self { words: vec![0; len.div_ceil(64) as usize], len, count: 0 }
    }

    pub(super) fn all(len: u32) -> Self {
        let mut positions = Self::none(len);
        (0..len).for_each(|position| {
            positions.insert(position);
        });
        positions
    }

    /// Adds a position; returns whether it is new.
    pub(super) fn insert(&mut self, position: u32) -> bool {
        if self.contains(position) {
            return false;
        }
        self.words[(position / 64) as usize] |= 1 << (position % 64);
        self.count += 1;
        true
    }

    pub(super) fn contains(&self, position: u32) -> bool {
        position < self.len && self.words[(position / 64) as usize] & (1 << (position % 64)) != 0
    }

    pub(super) fn contains_all(&self, mut range: Range<u32>) -> bool {
        range.all(|position| self.contains(position))
    }

    pub(super) fn count(&self) -> u32 {
        self.count
    }

    pub(super) fn is_full(&self) -> bool {
        self.count == self.len
    }

    /// Whether some position is here that the other lacks.
    pub(super) fn has_beyond(&self, other: &Self) -> bool {
        self.words.iter().zip(&other.words).any(|(own, others)| own & !others != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_counted_once() {
        let mut some = Positions::none(70);
        assert!(some.insert(69) && some.insert(3) && !some.insert(69));
        assert_eq!((some.count(), some.contains(69), some.contains(70)), (2, true, false));
        assert!(some.has_beyond(&Positions::none(70)) && !some.has_beyond(&Positions::all(70)));
        assert!(Positions::all(70).is_full() && Positions::all(70).contains_all(0..70));
        assert!(!some.contains_all(3..5));
    }
}
