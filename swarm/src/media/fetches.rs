//! Own fetches from the origin, and what they say about its pace.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

use super::timeline::{SegmentIndex, Timeline, place, position};
use crate::estimate::{Average, Rate};
use crate::input::{ChunkIndex, FetchId};
use crate::limits::ORIGIN_FIRST_BYTE_US;
use crate::output::{OriginReason, Output};

#[derive(Debug)]
struct Fetch {
    chunks: Range<ChunkIndex>,
    reason: OriginReason,
    started_us: u64,
    has_bytes: bool,
    received: u64,
}

#[derive(Debug, Default)]
pub(super) struct Fetches {
    fetches: BTreeMap<FetchId, Fetch>,
    next_fetch: u64,
    rate: Rate,
    first_byte_us: Average,
}

impl Fetches {
    /// How many are under way.
    pub(super) fn len(&self) -> usize {
        self.fetches.len()
    }

    /// Time that the origin needs for so many bytes, as far as is known.
    pub(super) fn needs_us(&self, bytes: u64, bytes_s_floor: u64) -> u64 {
        let rate = self.rate.bytes_s().unwrap_or(bytes_s_floor).max(1);
        let first_byte_us = self.first_byte_us.get().unwrap_or(ORIGIN_FIRST_BYTE_US);
        first_byte_us + bytes.saturating_mul(1_000_000) / rate
    }

    pub(super) fn start(
        &mut self,
        now: u64,
        timeline: &mut Timeline,
        chunks: Range<ChunkIndex>,
        reason: OriginReason,
        outputs: &mut VecDeque<Output>,
    ) {
        if self.fetches.is_empty() {
            self.rate.begin(now);
        }
        let fetch = FetchId(self.next_fetch);
        self.next_fetch += 1;
        for chunk in chunks.clone() {
            timeline.piece_mut(chunk).expect("fetched pieces are known").is_fetched = true;
        }
        let (first, count) = (chunks.start, chunks.len() as u32);
        self.fetches.insert(fetch, Fetch { chunks, reason, started_us: now, has_bytes: false, received: 0 });
        outputs.push_back(Output::FetchOrigin { fetch, first, count, reason });
    }

    /// Bytes came in; a position that they are of.
    pub(super) fn progress(&mut self, now: u64, fetch: FetchId, bytes: u32) -> Option<ChunkIndex> {
        let fetch = self.fetches.get_mut(&fetch)?;
        if !std::mem::replace(&mut fetch.has_bytes, true) {
            self.first_byte_us.add(now - fetch.started_us);
            self.rate.begin(now);
        }
        fetch.received += u64::from(bytes);
        self.rate.add(now, u64::from(bytes));
        Some(fetch.chunks.start)
    }

    /// A piece came in whole; why it was fetched, unless the fetch is not known (any more).
    pub(super) fn delivered(
        &mut self,
        timeline: &mut Timeline,
        fetch: FetchId,
        chunk: ChunkIndex,
    ) -> Option<OriginReason> {
        let fetch = self.fetches.get_mut(&fetch).filter(|fetch| fetch.chunks.contains(&chunk))?;
        let piece = timeline.piece_mut(chunk)?;
        piece.is_fetched = false;
        fetch.received = fetch.received.saturating_sub(u64::from(piece.bytes));
        Some(fetch.reason)
    }

    /// A fetch is over. Whether it was known.
    pub(super) fn ended(&mut self, timeline: &mut Timeline, fetch: FetchId) -> bool {
        let Some(fetch) = self.fetches.remove(&fetch) else { return false };
        timeline.waste_bytes += fetch.received;
        for chunk in fetch.chunks {
            if let Some(piece) = timeline.piece_mut(chunk) {
                piece.is_fetched = false;
            }
        }
        true
    }

    /// Breaks off the fetches of a segment.
    pub(super) fn cancel_segment(
        &mut self,
        timeline: &mut Timeline,
        segment: SegmentIndex,
        outputs: &mut VecDeque<Output>,
    ) {
        let is_of = |fetch: &Fetch| place(fetch.chunks.start).0 == segment;
        let of: Vec<FetchId> =
            self.fetches.iter().filter(|(_, fetch)| is_of(fetch)).map(|(&id, _)| id).collect();
        for fetch in of {
            self.ended(timeline, fetch);
            outputs.push_back(Output::CancelOrigin { fetch });
        }
    }

    /// What is being fetched now.
    pub(super) fn fetching(&self) -> Vec<Range<ChunkIndex>> {
        let mut ranges: Vec<Range<ChunkIndex>> =
            self.fetches.values().map(|fetch| fetch.chunks.clone()).collect();
        ranges.sort_unstable_by_key(|range| range.start);
        ranges
    }
}

/// The first run of pieces of a segment that `is_meant` is true for.
pub(super) fn first_run(
    timeline: &Timeline,
    segment: SegmentIndex,
    is_meant: impl Fn(ChunkIndex) -> bool,
) -> Option<Range<ChunkIndex>> {
    let len = timeline.segment(segment)?.pieces.len() as u32;
    let mut chunks = position(segment, 0)..position(segment, len);
    let first = chunks.find(|&chunk| is_meant(chunk))?;
    let end = chunks.find(|&chunk| !is_meant(chunk)).unwrap_or(chunks.end);
    Some(first..end)
}
