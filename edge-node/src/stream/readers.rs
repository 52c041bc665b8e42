//! Who reads what of a stream: each gets the verified pieces of a segment in order.

use std::collections::BTreeSet;

use bytes::Bytes;
use freshet_swarm::SegmentIndex;
use tokio::sync::mpsc;

use super::library::Library;

/// Origin fetches of a segment that may fail before its readers are let go.
const FAILURES_MAX: u32 = 2;

/// Somebody who reads a segment.
#[derive(Debug)]
struct Reader {
    segment: SegmentIndex,
    deadline_us: u64,
    /// Pieces that were handed on, from the first on.
    handed: usize,
    failures: u32,
    /// It ends early where the segment cannot be had.
    pieces: mpsc::UnboundedSender<Bytes>,
}

#[derive(Debug, Default)]
pub(super) struct Readers(Vec<Reader>);

impl Readers {
    pub(super) fn add(
        &mut self,
        segment: SegmentIndex,
        deadline_us: u64,
        pieces: mpsc::UnboundedSender<Bytes>,
    ) {
        self.0.push(Reader { segment, deadline_us, handed: 0, failures: 0, pieces });
    }

    /// Segments that somebody reads.
    pub(super) fn segments(&self) -> BTreeSet<SegmentIndex> {
        self.0.iter().map(|reader| reader.segment).collect()
    }

    /// When the first of its readers needs a segment; none where nobody reads it.
    pub(super) fn deadline_us(&self, segment: SegmentIndex) -> Option<u64> {
        let readers = self.0.iter().filter(|reader| reader.segment == segment);
        readers.map(|reader| reader.deadline_us).min()
    }

    /// Hands on what has come of a segment, from whoever that was. Those who have all of it are done.
    pub(super) fn hand_on(&mut self, number: SegmentIndex, library: &Library) {
        let Some(segment) = library.segment(number) else { return };
        self.0.retain_mut(|reader| {
            if reader.segment != number {
                return true;
            }
            // As long as something comes, the origin is not needed.
            reader.failures = 0;
            while let Some(bytes) = segment.kept(reader.handed) {
                reader.handed += 1;
                // Who has left is forgotten soon.
                let _ = reader.pieces.send(bytes.clone());
            }
            reader.handed < segment.pieces.len()
        });
    }

    /// The origin did not give what it was asked for.
    pub(super) fn failed(&mut self, segment: SegmentIndex) {
        self.0.retain_mut(|reader| {
            reader.failures += u32::from(reader.segment == segment);
            reader.failures < FAILURES_MAX
        });
    }

    /// Forgets those who have left; what they read.
    pub(super) fn left(&mut self) -> BTreeSet<SegmentIndex> {
        let is_gone = |reader: &mut Reader| reader.pieces.is_closed();
        self.0.extract_if(.., is_gone).map(|reader| reader.segment).collect()
    }
}
