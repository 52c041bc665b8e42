//! The segments that are known, and each piece in exactly one state.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::input::{ChunkIndex, LinkId};
use crate::ledger::Source;
use crate::limits::{PIECES_MAX, SEGMENTS_MAX};
use crate::output::OriginReason;
use crate::upload::Shelf;

/// A segment, as the shell numbers it.
pub type SegmentIndex = u32;

/// What the player's side tells.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "player", rename_all = "kebab-case")]
pub enum PlayerInput {
    /// A segment is known by its signed entry.
    Segment {
        /// The segment.
        segment: SegmentIndex,
        /// The same evenly spread value for all peers: the first four bytes of its first piece's id.
        order: u32,
        /// Sizes of its pieces, in bytes; 1 to 1024 of them.
        piece_bytes: Vec<u32>,
    },
    /// A segment is dropped: its bytes are no longer kept.
    Forget {
        /// The segment.
        segment: SegmentIndex,
    },
    /// The player needs a segment, or needs it at another time.
    Want {
        /// The segment.
        segment: SegmentIndex,
        /// When play stands still without it, in microseconds.
        deadline_us: u64,
    },
    /// The player no longer needs a segment.
    Unwant {
        /// The segment.
        segment: SegmentIndex,
    },
    /// The place of a link's peer among its neighbours: the first four bytes of its key id.
    PeerOrder {
        /// The link.
        link: LinkId,
        /// The value.
        order: u32,
    },
}

/// What is known of a piece.
#[derive(Debug, Clone, Default)]
pub(super) struct Piece {
    pub(super) bytes: u32,
    pub(super) is_held: bool,
    /// Requests to peers that are out for it.
    pub(super) asked: u8,
    /// Whether an origin fetch will bring it.
    pub(super) is_fetched: bool,
    /// Peers got it wrong: the origin's next copy of it is for that reason.
    pub(super) is_corrupt: bool,
}

impl Piece {
    /// Whether nobody was asked for it.
    pub(super) fn is_free(&self) -> bool {
        !self.is_held && self.asked == 0 && !self.is_fetched
    }
}

/// The player's wish for a segment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Want {
    pub(super) deadline_us: u64,
    pub(super) since_us: u64,
    /// Last time that bytes of it came.
    pub(super) progress_us: u64,
}

#[derive(Debug)]
pub(super) struct Segment {
    pub(super) order: u32,
    pub(super) pieces: Vec<Piece>,
    pub(super) want: Option<Want>,
}

impl Segment {
    /// Bytes that are not held.
    pub(super) fn missing_bytes(&self) -> u64 {
        self.pieces.iter().filter(|piece| !piece.is_held).map(|piece| u64::from(piece.bytes)).sum()
    }

    pub(super) fn is_held(&self) -> bool {
        self.pieces.iter().all(|piece| piece.is_held)
    }
}

#[derive(Debug, Default)]
pub(super) struct Timeline {
    segments: BTreeMap<SegmentIndex, Segment>,
    /// Segments that are wanted and not held, by deadline.
    wanted: Vec<(u64, SegmentIndex)>,
    pub(super) peer_bytes: u64,
    pub(super) origin_bytes: [u64; OriginReason::ALL.len()],
    pub(super) waste_bytes: u64,
    pub(super) corrupt_bytes: u64,
}

/// The position of a piece.
pub(super) fn position(segment: SegmentIndex, piece: u32) -> ChunkIndex {
    segment * PIECES_MAX + piece
}

/// The segment and piece at a position.
pub(super) fn place(chunk: ChunkIndex) -> (SegmentIndex, u32) {
    (chunk / PIECES_MAX, chunk % PIECES_MAX)
}

impl Timeline {
    /// Adds a segment; one too many, one that is known or has a bad number of pieces is left out.
    pub(super) fn add(&mut self, segment: SegmentIndex, order: u32, piece_bytes: &[u32]) {
        let is_good = (1..=PIECES_MAX as usize).contains(&piece_bytes.len())
            && segment < ChunkIndex::MAX / PIECES_MAX
            && self.segments.len() < SEGMENTS_MAX;
        if is_good {
            let piece = |&bytes: &u32| Piece { bytes, ..Piece::default() };
            let pieces = piece_bytes.iter().map(piece).collect();
            self.segments.entry(segment).or_insert(Segment { order, pieces, want: None });
        }
    }

    pub(super) fn forget(&mut self, segment: SegmentIndex) -> Option<Segment> {
        self.unwant(segment);
        self.segments.remove(&segment)
    }

    pub(super) fn want(&mut self, now: u64, segment: SegmentIndex, deadline_us: u64) {
        let Some(known) = self.segments.get_mut(&segment) else { return };
        let want = known.want.get_or_insert(Want { deadline_us, since_us: now, progress_us: now });
        want.deadline_us = deadline_us;
        self.wanted.retain(|&(_, wanted)| wanted != segment);
        if !known.is_held() {
            self.wanted.push((deadline_us, segment));
            self.wanted.sort_unstable();
        }
    }

    pub(super) fn unwant(&mut self, segment: SegmentIndex) {
        if let Some(known) = self.segments.get_mut(&segment) {
            known.want = None;
            self.wanted.retain(|&(_, wanted)| wanted != segment);
        }
    }

    /// Segments that are wanted and not held, the most urgent first.
    pub(super) fn wanted(&self) -> Vec<SegmentIndex> {
        self.wanted.iter().map(|&(_, segment)| segment).collect()
    }

    pub(super) fn has_wanted(&self) -> bool {
        !self.wanted.is_empty()
    }

    pub(super) fn segment(&self, segment: SegmentIndex) -> Option<&Segment> {
        self.segments.get(&segment)
    }

    pub(super) fn piece(&self, chunk: ChunkIndex) -> Option<&Piece> {
        let (segment, piece) = place(chunk);
        self.segments.get(&segment)?.pieces.get(piece as usize)
    }

    pub(super) fn piece_mut(&mut self, chunk: ChunkIndex) -> Option<&mut Piece> {
        let (segment, piece) = place(chunk);
        self.segments.get_mut(&segment)?.pieces.get_mut(piece as usize)
    }

    /// Positions of `ranges` that are known; looks at known segments alone.
    pub(super) fn known(&self, ranges: &[Range<ChunkIndex>]) -> Vec<ChunkIndex> {
        let within = |range: &Range<ChunkIndex>| {
            let (range, segments) = (range.clone(), place(range.start).0..=place(range.end.max(1) - 1).0);
            let pieces = |(&segment, known): (&SegmentIndex, &Segment)| {
                position(segment, 0)..position(segment, known.pieces.len() as u32)
            };
            let segments = (!range.is_empty()).then(|| self.segments.range(segments));
            segments.into_iter().flatten().flat_map(pieces).filter(move |chunk| range.contains(chunk))
        };
        ranges.iter().flat_map(within).collect()
    }

    /// Bytes of a piece came in.
    pub(super) fn progress(&mut self, now: u64, chunk: ChunkIndex) {
        let want = self.segments.get_mut(&place(chunk).0).and_then(|segment| segment.want.as_mut());
        if let Some(want) = want {
            want.progress_us = now;
        }
    }

    /// A piece came in verified. Whether it was news; if not, its bytes are waste.
    pub(super) fn hold(&mut self, now: u64, chunk: ChunkIndex, source: Source) -> bool {
        let Some(piece) = self.piece_mut(chunk) else { return false };
        let bytes = u64::from(piece.bytes);
        if std::mem::replace(&mut piece.is_held, true) {
            self.waste_bytes += bytes;
            return false;
        }
        match source {
            Source::Peer => self.peer_bytes += bytes,
            Source::Origin(reason) => self.origin_bytes[reason as usize] += bytes,
            Source::Local => {}
        }
        self.progress(now, chunk);
        let segment = place(chunk).0;
        if self.segments[&segment].is_held() {
            self.wanted.retain(|&(_, wanted)| wanted != segment);
        }
        true
    }

    /// A held piece is gone.
    pub(super) fn lose(&mut self, chunk: ChunkIndex) -> bool {
        self.piece_mut(chunk).is_some_and(|piece| std::mem::replace(&mut piece.is_held, false))
    }

    /// Ranges of all that is held.
    pub(super) fn held(&self) -> Vec<Range<ChunkIndex>> {
        let held = |(&segment, known): (&SegmentIndex, &Segment)| {
            let pieces = known.pieces.iter().enumerate().filter(|(_, piece)| piece.is_held);
            pieces.map(|(piece, _)| position(segment, piece as u32)).collect::<Vec<_>>()
        };
        freshet_protocol::ranges_of(self.segments.iter().flat_map(held))
    }

    pub(super) fn held_chunks(&self) -> u32 {
        self.held().iter().map(|range| range.len() as u32).sum()
    }

    /// Number and bytes of pieces that are wanted and not held.
    pub(super) fn missing(&self) -> (u32, u64) {
        let missing = self.wanted.iter().flat_map(|(_, segment)| &self.segments[segment].pieces);
        let missing = missing.filter(|piece| !piece.is_held);
        missing.fold((0, 0), |(count, bytes), piece| (count + 1, bytes + u64::from(piece.bytes)))
    }
}

impl Shelf for Timeline {
    fn is_held(&self, chunk: ChunkIndex) -> bool {
        self.piece(chunk).is_some_and(|piece| piece.is_held)
    }

    fn bytes(&self, chunk: ChunkIndex) -> u32 {
        self.piece(chunk).map_or(0, |piece| piece.bytes)
    }

    fn mean_bytes(&self) -> u64 {
        u64::from(freshet_protocol::limits::PIECE_BYTES)
    }
}
