//! Ranges of chunk positions, as Have and Fetching carry them: gaps and lengths, so that order and disjointness need no
//! check of their own.

use std::ops::Range;

use crate::limits::{CHUNKS_MAX, HAVE_RANGES_MAX};
use crate::wire::{Reader, WireError, put_varint};

/// Appends ascending, disjoint, non-empty ranges.
///
/// # Panics
/// When there are more than a frame may hold, or they are not ascending: only own ranges are written.
pub(crate) fn put_ranges(out: &mut Vec<u8>, ranges: &[Range<u32>]) {
    assert!(ranges.len() <= HAVE_RANGES_MAX, "own ranges stay within a frame");
    put_varint(out, ranges.len() as u64);
    let mut end = 0;
    for range in ranges {
        assert!(range.start >= end && range.end > range.start, "own ranges ascend");
        put_varint(out, u64::from(range.start - end));
        put_varint(out, u64::from(range.end - range.start - 1));
        end = range.end;
    }
}

pub(crate) fn read_ranges(reader: &mut Reader<'_>) -> Result<Vec<Range<u32>>, WireError> {
    let count = reader.varint_max(HAVE_RANGES_MAX as u64, "number of ranges")?;
    let mut ranges = Vec::with_capacity(count as usize);
    let mut end: u32 = 0;
    for _ in 0..count {
        let start = end + reader.u32_max(CHUNKS_MAX - end, "range start")?;
        let len = reader.u32_max(CHUNKS_MAX - 1, "range length")? + 1;
        end = start.saturating_add(len);
        if end > CHUNKS_MAX {
            return Err(WireError::OverLimit("range end"));
        }
        ranges.push(start..end);
    }
    Ok(ranges)
}

/// Joins ascending positions into ranges.
pub fn ranges_of(positions: impl IntoIterator<Item = u32>) -> Vec<Range<u32>> {
    let mut ranges: Vec<Range<u32>> = Vec::new();
    for position in positions {
        match ranges.last_mut() {
            Some(last) if last.end == position => last.end += 1,
            _ => ranges.push(position..position + 1),
        }
    }
    ranges
}
