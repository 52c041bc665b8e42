//! What a peer says it holds: ascending, disjoint ranges of positions as they go on the wire, bounded.

use std::ops::Range;

/// Most ranges kept; a peer that splinters its word further is believed less.
const RANGES_MAX: usize = 4096;

#[derive(Debug, Default)]
pub(super) struct RangeSet(Vec<Range<u64>>);

impl RangeSet {
    pub(super) fn add(&mut self, added: &Range<u64>) {
        // What it touches becomes one with it.
        let from = self.0.partition_point(|range| range.end < added.start);
        let to = self.0.partition_point(|range| range.start <= added.end);
        if from == to && self.0.len() >= RANGES_MAX {
            return;
        }
        let touched = &self.0[from..to];
        let start = touched.first().map_or(added.start, |range| range.start.min(added.start));
        let end = touched.last().map_or(added.end, |range| range.end.max(added.end));
        self.0.splice(from..to, [start..end]);
    }

    pub(super) fn remove(&mut self, gone: &Range<u64>) {
        let from = self.0.partition_point(|range| range.end <= gone.start);
        let to = self.0.partition_point(|range| range.start < gone.end);
        let left: Vec<_> = self.0[from..to.max(from)]
            .iter()
            .flat_map(|range| [range.start..range.end.min(gone.start), range.start.max(gone.end)..range.end])
            .filter(|range| !range.is_empty())
            .collect();
        self.0.splice(from..to.max(from), left);
        self.0.truncate(RANGES_MAX);
    }

    /// The parts that lie within a range.
    pub(super) fn within(&self, wanted: &Range<u64>) -> impl Iterator<Item = Range<u64>> {
        let from = self.0.partition_point(|range| range.end <= wanted.start);
        let (start, end) = (wanted.start, wanted.end);
        let overlapping = self.0[from..].iter().take_while(move |range| range.start < end);
        overlapping.map(move |range| range.start.max(start)..range.end.min(end))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_the_set_of_its_positions(
            steps in prop::collection::vec((any::<bool>(), 0_u64..60, 0_u64..20), 0..40),
            wanted in (0_u64..60, 0_u64..30),
        ) {
            let (mut ranges, mut positions) = (RangeSet::default(), BTreeSet::new());
            for (is_added, start, len) in steps {
                let range = start..start + len;
                if range.is_empty() {
                    continue;
                }
                if is_added {
                    ranges.add(&range);
                    positions.extend(range);
                } else {
                    ranges.remove(&range);
                    positions.retain(|position| !range.contains(position));
                }
                prop_assert!(ranges.0.windows(2).all(|pair| pair[0].end < pair[1].start));
            }
            let wanted = wanted.0..wanted.0 + wanted.1;
            let found: Vec<u64> = ranges.within(&wanted).flatten().collect();
            let expected: Vec<u64> = positions.into_iter().filter(|position| wanted.contains(position)).collect();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn a_splintered_word_is_believed_less() {
        let mut ranges = RangeSet::default();
        (0..RANGES_MAX as u64 + 5).for_each(|at| ranges.add(&(2 * at..2 * at + 1)));
        assert_eq!(ranges.0.len(), RANGES_MAX);
        ranges.add(&(0..u64::MAX));
        ranges.remove(&(10..20));
        assert_eq!(ranges.0, [0..10, 20..u64::MAX]);
    }
}
