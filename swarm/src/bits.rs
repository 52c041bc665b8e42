//! A fixed set of positions, one bit each.

use std::ops::Range;

/// Set of positions below a fixed length.
#[derive(Debug, Clone)]
pub(crate) struct Bits {
    words: Vec<u64>,
    len: u32,
    count: u32,
    /// From the first word that is not empty to the last.
    span: Range<usize>,
}

impl Bits {
    pub(crate) fn new(len: u32) -> Self {
        Self { words: vec![0; len.div_ceil(64) as usize], len, count: 0, span: 0..0 }
    }

    pub(crate) fn len(&self) -> u32 {
        self.len
    }

    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    /// How much of its length the set holds, in thousandths.
    pub(crate) fn permille(&self) -> u64 {
        self.permille_of(self.count)
    }

    /// How much of the length `count` would be, in thousandths.
    pub(crate) fn permille_of(&self, count: u32) -> u64 {
        u64::from(count) * 1000 / u64::from(self.len.max(1))
    }

    pub(crate) fn words(&self) -> &[u64] {
        &self.words
    }

    /// Which words hold all that is in the set: few of them, where it lies close together.
    pub(crate) fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    pub(crate) fn contains(&self, at: u32) -> bool {
        at < self.len && self.words[at as usize / 64] >> (at % 64) & 1 == 1
    }

    /// Whether the set changed.
    pub(crate) fn insert(&mut self, at: u32) -> bool {
        let fresh = at < self.len && !self.contains(at);
        if fresh {
            let word = at as usize / 64;
            self.words[word] |= 1 << (at % 64);
            self.count += 1;
            self.span = match self.count {
                1 => word..word + 1,
                _ => self.span.start.min(word)..self.span.end.max(word + 1),
            };
        }
        fresh
    }

    /// Whether the set changed.
    pub(crate) fn remove(&mut self, at: u32) -> bool {
        let present = self.contains(at);
        if present {
            self.words[at as usize / 64] &= !(1 << (at % 64));
            self.count -= 1;
            while !self.span.is_empty() && self.words[self.span.start] == 0 {
                self.span.start += 1;
            }
            while !self.span.is_empty() && self.words[self.span.end - 1] == 0 {
                self.span.end -= 1;
            }
        }
        present
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> {
        self.words.iter().enumerate().flat_map(|(at, &word)| ones(word).map(move |bit| at as u32 * 64 + bit))
    }

    pub(crate) fn ranges(&self) -> Vec<Range<u32>> {
        freshet_protocol::ranges_of(self.iter())
    }

    /// First position at or after `from`, looking at no more than `words_max` words.
    pub(crate) fn next(&self, from: u32, words_max: u32) -> Option<u32> {
        let first = from as usize / 64;
        let words = self.words.get(first..)?;
        let masked =
            |(at, &word): (usize, &u64)| if at == 0 { word & (u64::MAX << (from % 64)) } else { word };
        let mut words = words.iter().enumerate().take(words_max as usize);
        words.find_map(|entry| {
            let word = masked(entry);
            (word != 0).then(|| (first + entry.0) as u32 * 64 + word.trailing_zeros())
        })
    }
}

/// The set bits of a word, lowest first.
pub(crate) fn ones(mut word: u64) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        (word != 0).then(|| {
            let bit = word.trailing_zeros();
            word &= word - 1;
            bit
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn behaves_as_a_set() {
        let mut bits = Bits::new(200);
        assert!(bits.insert(0) && bits.insert(63) && bits.insert(64) && bits.insert(199));
        assert!(!bits.insert(64) && !bits.insert(200) && !bits.contains(200));
        assert_eq!(bits.iter().collect::<Vec<_>>(), [0, 63, 64, 199]);
        assert_eq!(bits.ranges(), [0..1, 63..65, 199..200]);
        assert_eq!(bits.count(), 4);
        let check = |from, words, expected| assert_eq!(bits.next(from, words), expected, "{from}");
        check(0, 9, Some(0));
        check(1, 9, Some(63));
        check(65, 9, Some(199));
        check(65, 2, None);
        check(200, 9, None);
        check(900, 9, None);
        assert!(bits.remove(63) && !bits.remove(63));
        assert_eq!(bits.count(), 3);
    }

    #[test]
    fn its_span_is_as_narrow_as_can_be() {
        let mut bits = Bits::new(1000);
        assert_eq!(bits.span(), 0..0);
        let mut check = |change: fn(&mut Bits) -> bool, expected| {
            assert!(change(&mut bits));
            assert_eq!(bits.span(), expected);
        };
        check(|bits| bits.insert(640), 10..11);
        check(|bits| bits.insert(130), 2..11);
        check(|bits| bits.insert(999), 2..16);
        check(|bits| bits.remove(640), 2..16);
        check(|bits| bits.remove(130), 15..16);
        check(|bits| bits.insert(0), 0..16);
        check(|bits| bits.remove(999), 0..1);
        assert!(bits.remove(0) && bits.span().is_empty());
        assert!(bits.insert(70));
        assert_eq!(bits.span(), 1..2);
    }
}
