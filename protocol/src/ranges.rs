//! Ranges of positions, as Have and Fetching carry them: gaps and lengths, so that order and disjointness need no check
//! of their own. Whether a release has so many positions is for its reader to check.

use std::ops::{Add, Range};

use crate::limits::{HAVE_RANGES_MAX, INTEGER_MAX};
use crate::wire::{Reader, WireError, put_varint};

/// Appends ascending, disjoint, non-empty ranges.
///
/// # Panics
/// When there are more than a frame may hold, or they are not ascending: only own ranges are written.
pub(crate) fn put_ranges(out: &mut Vec<u8>, ranges: &[Range<u64>]) {
    assert!(ranges.len() <= HAVE_RANGES_MAX, "own ranges stay within a frame");
    put_varint(out, ranges.len() as u64);
    let mut end = 0;
    for range in ranges {
        assert!(range.start >= end && range.end > range.start, "own ranges ascend");
        put_varint(out, range.start - end);
        put_varint(out, range.end - range.start - 1);
        end = range.end;
    }
}

pub(crate) fn read_ranges(reader: &mut Reader<'_>) -> Result<Vec<Range<u64>>, WireError> {
    let count = reader.varint_max(HAVE_RANGES_MAX as u64, "number of ranges")?;
    let mut ranges = Vec::with_capacity(count as usize);
    let mut end: u64 = 0;
    for _ in 0..count {
        let start = end + reader.varint_max(INTEGER_MAX - end, "range start")?;
        let len = reader.varint_max(INTEGER_MAX - 1, "range length")? + 1;
        end = start + len;
        if end > INTEGER_MAX {
            return Err(WireError::OverLimit("range end"));
        }
        ranges.push(start..end);
    }
    Ok(ranges)
}

/// Ranges within a release of `len` positions, as the core takes them; `None` when one ends beyond it.
pub fn ranges_within(ranges: &[Range<u64>], len: u32) -> Option<Vec<Range<u32>>> {
    let narrow = |range: &Range<u64>| {
        let end = u32::try_from(range.end).ok().filter(|&end| end <= len)?;
        // A range begins before it ends.
        Some(range.start as u32..end)
    };
    ranges.iter().map(narrow).collect()
}

/// A release's ranges, as frames carry them.
pub fn wire_ranges(ranges: &[Range<u32>]) -> Vec<Range<u64>> {
    ranges.iter().map(|range| u64::from(range.start)..u64::from(range.end)).collect()
}

/// Joins ascending positions, as they are in the core (`u32`) or on the wire (`u64`), into ranges.
pub fn ranges_of<T>(positions: impl IntoIterator<Item = T>) -> Vec<Range<T>>
where
    T: Copy + PartialEq + Add<Output = T> + From<u8>,
{
    let mut ranges: Vec<Range<T>> = Vec::new();
    for position in positions {
        let next = position + T::from(1);
        match ranges.last_mut() {
            Some(last) if last.end == position => last.end = next,
            _ => ranges.push(position..next),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_fit_their_release() {
        let check = |range: Range<u64>, expected: Option<Range<u32>>| {
            let ranges = ranges_within(std::slice::from_ref(&range), 10);
            assert_eq!(ranges, expected.map(|range| vec![range]), "{range:?}");
        };
        check(0..10, Some(0..10));
        check(9..10, Some(9..10));
        check(0..11, None);
        check((1 << 32)..(1 << 32) + 1, None);
        assert_eq!(wire_ranges(&[2..5]), [2..5]);
    }
}
