//! What is known and kept of a stream: shelves, one for each rendition, the segments on them, and the bytes of verified
//! pieces within a bound. It translates between positions of the core and those on the wire.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use bytes::Bytes;
use freshet_protocol::limits::{LINK_RELEASES_MAX, PIECE_BYTES, SEGMENT_BYTES_MAX};
use freshet_protocol::{ChunkId, SegmentEntry, VerifiedChunk, piece_position, ranges_of};
use freshet_swarm::limits::PIECES_MAX;
use freshet_swarm::{ChunkIndex, SegmentIndex};
use tokio::time::Instant;

/// Numbers of segments: all of which the core can count the pieces.
const SEGMENT_NUMBERS: SegmentIndex = ChunkIndex::MAX / PIECES_MAX;

/// Segments are as far apart on the wire as they are in the core.
const _: () = assert!(PIECES_MAX as u64 * PIECE_BYTES as u64 == SEGMENT_BYTES_MAX);

/// A rendition in one epoch of its stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rendition {
    pub(super) epoch: u64,
    pub(super) path: String,
}

/// The number by which this side names a rendition on all links.
pub(super) type ShelfIndex = usize;

/// A piece, as it is signed.
#[derive(Debug, Clone, Copy)]
pub(super) struct PieceRef {
    pub(super) id: ChunkId,
    pub(super) bytes: u32,
}

#[derive(Debug)]
pub(super) struct Segment {
    pub(super) shelf: ShelfIndex,
    /// Position of its first piece on the wire.
    start: u64,
    pub(super) pieces: Vec<PieceRef>,
    /// Where its resource is at the origin, below the base URL.
    pub(super) url: String,
    /// First byte of the segment in the resource.
    offset: u64,
    kept: Vec<Option<Bytes>>,
    kept_bytes: u64,
    used: Instant,
}

impl Segment {
    /// The bytes of the resource that a run of pieces has.
    pub(super) fn bytes_of(&self, pieces: Range<usize>) -> Range<u64> {
        let bytes = |pieces: &[PieceRef]| pieces.iter().map(|piece| u64::from(piece.bytes)).sum::<u64>();
        let start = self.offset + bytes(&self.pieces[..pieces.start]);
        start..start + bytes(&self.pieces[pieces])
    }

    /// The part of a wire range that lies in this segment, which has this number, in the core's positions.
    pub(super) fn local(&self, number: SegmentIndex, range: &Range<u64>) -> Option<Range<ChunkIndex>> {
        let end = self.start + self.pieces.len() as u64;
        let (first, last) = (range.start.max(self.start), range.end.min(end));
        let base = number * PIECES_MAX;
        (first < last).then(|| base + (first - self.start) as u32..base + (last - self.start) as u32)
    }

    /// What of it goes on the wire.
    pub(super) fn span(&self) -> Range<u64> {
        self.start..self.start + self.pieces.len() as u64
    }

    pub(super) fn kept(&self, piece: usize) -> Option<&Bytes> {
        self.kept.get(piece)?.as_ref()
    }
}

#[derive(Debug)]
pub(super) struct Library {
    bytes_max: u64,
    shelves: Vec<Rendition>,
    segments: BTreeMap<SegmentIndex, Segment>,
    places: BTreeMap<(ShelfIndex, u64), SegmentIndex>,
    /// Pieces that are kept.
    positions: BTreeMap<ChunkId, ChunkIndex>,
    next: SegmentIndex,
    bytes: u64,
}

/// The segment and piece at a position of the core.
pub(super) fn place(position: ChunkIndex) -> (SegmentIndex, usize) {
    (position / PIECES_MAX, (position % PIECES_MAX) as usize)
}

impl Library {
    /// Keeps at most `bytes_max` bytes, beside what is read right now.
    pub(super) fn new(bytes_max: u64) -> Self {
        Self {
            bytes_max,
            shelves: Vec::new(),
            segments: BTreeMap::new(),
            places: BTreeMap::new(),
            positions: BTreeMap::new(),
            next: 0,
            bytes: 0,
        }
    }

    pub(super) fn shelves(&self) -> impl Iterator<Item = (ShelfIndex, &Rendition)> {
        self.shelves.iter().enumerate()
    }

    pub(super) fn shelf_of(&self, rendition: &Rendition) -> Option<ShelfIndex> {
        self.shelves.iter().position(|known| known == rendition)
    }

    /// A shelf for a rendition that has none: a new one, or one that has become empty; none when there are too many.
    pub(super) fn add_shelf(&mut self, rendition: Rendition) -> Option<ShelfIndex> {
        if self.shelves.len() < LINK_RELEASES_MAX {
            self.shelves.push(rendition);
            return Some(self.shelves.len() - 1);
        }
        let is_empty = |shelf: &ShelfIndex| self.segments.values().all(|segment| segment.shelf != *shelf);
        let shelf = (0..self.shelves.len()).find(is_empty)?;
        self.shelves[shelf] = rendition;
        Some(shelf)
    }

    pub(super) fn segment(&self, number: SegmentIndex) -> Option<&Segment> {
        self.segments.get(&number)
    }

    /// The number of a segment that is known. It is about to be read, from this address.
    pub(super) fn find(&mut self, shelf: ShelfIndex, sequence: u64, url: &str) -> Option<SegmentIndex> {
        let number = *self.places.get(&(shelf, piece_position(sequence, 0)?))?;
        let segment = self.segments.get_mut(&number)?;
        segment.used = Instant::now();
        if segment.url != url {
            // A token that is newer.
            url.clone_into(&mut segment.url);
        }
        Some(number)
    }

    /// Adds a segment that is not known; none where its sequence is too large to be announced.
    pub(super) fn add(
        &mut self,
        shelf: ShelfIndex,
        entry: &SegmentEntry,
        url: String,
    ) -> Option<SegmentIndex> {
        let start = piece_position(entry.place.sequence, 0)?;
        while self.segments.contains_key(&self.next) {
            self.next = (self.next + 1) % SEGMENT_NUMBERS;
        }
        // A number is not used again soon: something about the segment that had it may still be on its way.
        let number = self.next;
        self.next = (self.next + 1) % SEGMENT_NUMBERS;
        let sized = |(piece, &id): (usize, &ChunkId)| PieceRef { id, bytes: entry.piece_bytes(piece as u32) };
        let pieces: Vec<PieceRef> = entry.pieces.iter().enumerate().map(sized).collect();
        let (kept, kept_bytes, used) = (vec![None; pieces.len()], 0, Instant::now());
        let segment = Segment { shelf, start, pieces, url, offset: entry.offset, kept, kept_bytes, used };
        self.segments.insert(number, segment);
        self.places.insert((shelf, start), number);
        Some(number)
    }

    pub(super) fn piece(&self, position: ChunkIndex) -> Option<PieceRef> {
        let (segment, piece) = place(position);
        self.segments.get(&segment)?.pieces.get(piece).copied()
    }

    pub(super) fn bytes(&self, position: ChunkIndex) -> Option<&Bytes> {
        let (segment, piece) = place(position);
        self.segments.get(&segment)?.kept(piece)
    }

    /// Position of a piece that is kept.
    pub(super) fn position_of(&self, id: ChunkId) -> Option<ChunkIndex> {
        self.positions.get(&id).copied()
    }

    /// Keeps a piece, where its segment is still known.
    pub(super) fn put(&mut self, position: ChunkIndex, chunk: &VerifiedChunk) {
        let (number, piece) = place(position);
        let Some(segment) = self.segments.get_mut(&number) else { return };
        let Some(kept) = segment.kept.get_mut(piece).filter(|kept| kept.is_none()) else { return };
        let bytes = chunk.bytes().len() as u64;
        *kept = Some(chunk.bytes().clone());
        segment.kept_bytes += bytes;
        self.bytes += bytes;
        self.positions.insert(chunk.id(), position);
    }

    /// Drops a segment and its bytes.
    pub(super) fn drop_segment(&mut self, number: SegmentIndex) {
        let Some(segment) = self.segments.remove(&number) else { return };
        self.bytes -= segment.kept_bytes;
        self.places.remove(&(segment.shelf, segment.start));
        for piece in &segment.pieces {
            if self.positions.get(&piece.id).is_some_and(|&position| place(position).0 == number) {
                self.positions.remove(&piece.id);
            }
        }
    }

    /// Segments to be dropped, so that the rest stays within the bounds: those not used for longest, but none in `read`.
    pub(super) fn excess(&self, read: &BTreeSet<SegmentIndex>, segments_max: usize) -> Vec<SegmentIndex> {
        let mut bytes = self.bytes.saturating_sub(self.bytes_max);
        let mut count = self.segments.len().saturating_sub(segments_max);
        if bytes == 0 && count == 0 {
            return Vec::new();
        }
        let mut oldest: Vec<_> = self.segments.iter().filter(|(number, _)| !read.contains(number)).collect();
        oldest.sort_by_key(|(_, segment)| segment.used);
        let is_excess = |(number, segment): (&SegmentIndex, &Segment)| {
            let is_excess = count > 0 || (bytes > 0 && segment.kept_bytes > 0);
            if is_excess {
                bytes = bytes.saturating_sub(segment.kept_bytes);
                count = count.saturating_sub(1);
            }
            is_excess.then_some(*number)
        };
        oldest.into_iter().filter_map(is_excess).collect()
    }

    /// The core's ranges by shelf, as they go on the wire; empty for those with nothing of them.
    pub(super) fn on_wire(&self, ranges: &[Range<ChunkIndex>]) -> Vec<Vec<Range<u64>>> {
        let mut wire = vec![Vec::new(); self.shelves.len()];
        for position in ranges.iter().cloned().flatten() {
            let (number, piece) = place(position);
            if let Some(segment) = self.segments.get(&number) {
                wire[segment.shelf].push(segment.start + piece as u64);
            }
        }
        let joined = |mut positions: Vec<u64>| {
            positions.sort_unstable();
            ranges_of(positions)
        };
        wire.into_iter().map(joined).collect()
    }

    /// Wire ranges of one shelf as the core's, as far as segments are known.
    pub(super) fn of_wire(&self, shelf: ShelfIndex, ranges: &[Range<u64>]) -> Vec<Range<ChunkIndex>> {
        let local = |range: &Range<u64>| {
            let first = range.start - range.start % u64::from(PIECES_MAX);
            let numbers = self.places.range((shelf, first)..(shelf, range.end)).map(|(_, &number)| number);
            let local = numbers.filter_map(|number| self.segments.get(&number)?.local(number, range));
            local.collect::<Vec<_>>()
        };
        let mut local: Vec<_> = ranges.iter().flat_map(local).collect();
        local.sort_unstable_by_key(|range| range.start);
        local
    }
}

#[cfg(test)]
mod tests {
    use freshet_protocol::{SegmentKind, SegmentPlace};

    use super::*;

    fn entry(sequence: u64) -> SegmentEntry {
        let pieces =
            (0..3_u64).map(|piece| ChunkId::of(&[sequence.to_be_bytes(), piece.to_be_bytes()].concat()));
        SegmentEntry {
            stream: "site/show".parse().expect("a name"),
            place: SegmentPlace {
                epoch: 1,
                rendition: "a.m3u8".to_owned(),
                kind: SegmentKind::Media,
                sequence,
            },
            path: format!("{sequence}.ts"),
            offset: 1000,
            bytes: 2 * u64::from(PIECE_BYTES) + 16,
            duration_us: 1,
            init: None,
            pieces: pieces.collect(),
        }
    }

    fn rendition(epoch: u64) -> Rendition {
        Rendition { epoch, path: "a.m3u8".to_owned() }
    }

    fn add(library: &mut Library, shelf: ShelfIndex, sequence: u64) -> SegmentIndex {
        library.add(shelf, &entry(sequence), format!("media/{sequence}.ts")).expect("it can be announced")
    }

    /// The last piece of a segment, whose bytes are its name.
    fn keep(library: &mut Library, number: SegmentIndex, sequence: u64) {
        let bytes = Bytes::from([sequence.to_be_bytes(), 2_u64.to_be_bytes()].concat());
        let chunk = VerifiedChunk::check(ChunkId::of(&bytes), bytes).expect("its own hash");
        library.put(number * PIECES_MAX + 2, &chunk);
        assert_eq!(library.position_of(chunk.id()), Some(number * PIECES_MAX + 2));
    }

    #[test]
    fn positions_there_and_back() {
        let mut library = Library::new(100);
        let [first, second] = [1, 2].map(|epoch| library.add_shelf(rendition(epoch)).expect("room"));
        let numbers =
            [add(&mut library, first, 7), add(&mut library, second, 7), add(&mut library, first, 8)];
        assert_eq!(numbers, [0, 1, 2]);
        let own = [0..3, 1025..1027, 2048..2051];
        let wire = library.on_wire(&own);
        // Positions of a segment are 1024 apart from those of the next one.
        assert_eq!(wire, [vec![7168..7171, 8192..8195], vec![7169..7171]]);
        assert_eq!(library.of_wire(first, &wire[0]), [0..3, 2048..2051]);
        assert_eq!(library.of_wire(second, &wire[1]), [1025..1027]);
        assert_eq!(library.of_wire(first, &[0..7169, 8194..u64::MAX]), [0..1, 2050..2051]);
        let segment = library.segment(0).expect("known");
        let piece = u64::from(PIECE_BYTES);
        assert_eq!(segment.bytes_of(1..3), 1000 + piece..1000 + 2 * piece + 16);
        assert_eq!(library.add(first, &entry(1 << 43), String::new()), None);
    }

    #[test]
    fn what_was_used_longest_ago_goes_first_and_what_is_read_stays() {
        let mut library = Library::new(32);
        let shelf = library.add_shelf(rendition(1)).expect("room");
        let numbers: Vec<SegmentIndex> = (0..4).map(|sequence| add(&mut library, shelf, sequence)).collect();
        let none = BTreeSet::new();
        assert_eq!(library.excess(&none, 4), [0; 0]);
        // By number of segments: the first one was used again.
        assert_eq!(library.find(shelf, 0, "media/0.ts?token=2"), Some(numbers[0]));
        assert_eq!(library.segment(0).expect("known").url, "media/0.ts?token=2");
        assert_eq!(library.excess(&none, 2), [1, 2]);
        assert_eq!(library.excess(&BTreeSet::from([1]), 2), [2, 3]);
        // By bytes: each has 16 of them, and 32 may stay. Who has none gives nothing.
        (1..4).for_each(|number| keep(&mut library, number, u64::from(number)));
        assert_eq!(library.excess(&none, 4), [1]);
        assert_eq!(library.excess(&BTreeSet::from([1, 2]), 4), [3]);
        library.drop_segment(1);
        assert_eq!(library.excess(&none, 4), [0; 0]);
        assert_eq!((library.bytes, library.positions.len(), library.find(shelf, 1, "")), (32, 2, None));
        // Its number is not used again at once, and numbers begin anew when there are no more.
        assert_eq!(add(&mut library, shelf, 9), 4);
        library.next = SEGMENT_NUMBERS - 1;
        assert_eq!([10, 11].map(|sequence| add(&mut library, shelf, sequence)), [SEGMENT_NUMBERS - 1, 1]);
    }

    #[test]
    fn shelves_are_few_and_empty_ones_are_used_again() {
        let mut library = Library::new(100);
        for epoch in 0..LINK_RELEASES_MAX as u64 {
            let shelf = library.add_shelf(rendition(epoch)).expect("room");
            add(&mut library, shelf, 0);
        }
        assert_eq!(library.add_shelf(rendition(99)), None);
        library.drop_segment(3);
        assert_eq!(library.add_shelf(rendition(99)), Some(3));
        assert_eq!((library.shelf_of(&rendition(99)), library.shelf_of(&rendition(3))), (Some(3), None));
    }
}
