//! The links, what they hold, and what was asked of them.

use std::collections::{BTreeSet, VecDeque};
use std::ops::Range;

use freshet_protocol::Locality;

use super::timeline::{SegmentIndex, Timeline, place};
use crate::by_id::ById;
use crate::input::{ChunkIndex, LinkId, Refusal, RequestEnd, RequestId};
use crate::limits::{BUSY_US, LINKS_MAX, SILENT_US};
use crate::output::Output;
use crate::pace::Pace;
use crate::requests::{PeerRequest, Requests};
use crate::upload::Neighbours;

/// A link and what its peer says.
#[derive(Debug)]
pub(super) struct SourceLink {
    pub(super) pace: Pace,
    pub(super) has: BTreeSet<ChunkIndex>,
    /// Segments that the peer fetches from the origin now.
    fetching: BTreeSet<SegmentIndex>,
    /// The peer's place among neighbours.
    pub(super) order: u32,
    /// Until when the peer may still be about to say what it has.
    silent_until_us: u64,
}

impl SourceLink {
    /// Whether the peer has something of a segment, or is about to.
    fn knows(&self, segment: SegmentIndex, timeline: &Timeline) -> bool {
        let pieces = timeline
            .known(&[super::timeline::position(segment, 0)..super::timeline::position(segment + 1, 0)]);
        self.fetching.contains(&segment) || pieces.iter().any(|chunk| self.has.contains(chunk))
    }
}

#[derive(Debug, Default)]
pub(super) struct Sources {
    pub(super) links: ById<LinkId, SourceLink>,
    requests: Requests,
}

impl Sources {
    /// Whether the link could be taken.
    pub(super) fn link_up(&mut self, now: u64, link: LinkId, locality: Locality, rtt_us: u64) -> bool {
        if self.links.len() >= LINKS_MAX || self.links.contains(link) {
            return false;
        }
        self.links.insert(
            link,
            SourceLink {
                pace: Pace::new(locality, rtt_us, now),
                has: BTreeSet::new(),
                fetching: BTreeSet::new(),
                order: link.0 as u32,
                silent_until_us: now + SILENT_US,
            },
        );
        true
    }

    pub(super) fn link_down(&mut self, timeline: &mut Timeline, link: LinkId) {
        if self.links.remove(link).is_some() {
            for request in self.requests.ids_where(|request| request.link == link) {
                self.drop_request(timeline, request);
            }
        }
    }

    pub(super) fn have(&mut self, timeline: &Timeline, link: LinkId, ranges: &[Range<ChunkIndex>]) {
        if let Some(link) = self.links.get_mut(link) {
            link.has.extend(timeline.known(ranges));
            link.silent_until_us = 0;
        }
    }

    pub(super) fn withdraw(&mut self, timeline: &Timeline, link: LinkId, ranges: &[Range<ChunkIndex>]) {
        if let Some(link) = self.links.get_mut(link) {
            for chunk in timeline.known(ranges) {
                link.has.remove(&chunk);
            }
        }
    }

    pub(super) fn fetching(&mut self, timeline: &Timeline, link: LinkId, ranges: &[Range<ChunkIndex>]) {
        if let Some(link) = self.links.get_mut(link) {
            link.fetching = timeline.known(ranges).into_iter().map(|chunk| place(chunk).0).collect();
        }
    }

    /// A segment is forgotten here: what peers say of it is too.
    pub(super) fn forget(&mut self, segment: SegmentIndex) {
        for link in self.links.values_mut() {
            link.has.retain(|&chunk| place(chunk).0 != segment);
            link.fetching.remove(&segment);
        }
    }

    /// Takes back every request for a segment.
    pub(super) fn cancel_segment(
        &mut self,
        timeline: &mut Timeline,
        segment: SegmentIndex,
        outputs: &mut VecDeque<Output>,
    ) {
        let is_of = |request: &PeerRequest| place(request.chunk).0 == segment;
        self.cancel_where(timeline, is_of, outputs);
    }

    /// Takes back the requests that `is_meant` is true for.
    pub(super) fn cancel_where(
        &mut self,
        timeline: &mut Timeline,
        is_meant: impl Fn(&PeerRequest) -> bool,
        outputs: &mut VecDeque<Output>,
    ) {
        for request in self.requests.ids_where(is_meant) {
            if let Some(link) = self.drop_request(timeline, request) {
                self.links.get_mut(link).expect("requests end with their link").pace.ended(None);
                outputs.push_back(Output::Cancel { request });
            }
        }
    }

    pub(super) fn ask(
        &mut self,
        now: u64,
        timeline: &mut Timeline,
        link: LinkId,
        chunk: ChunkIndex,
        outputs: &mut VecDeque<Output>,
    ) {
        timeline.piece_mut(chunk).expect("asked pieces are known").asked += 1;
        self.links.get_mut(link).expect("asked links are up").pace.asked(now);
        let request = self.requests.asked(now, link, chunk);
        outputs.push_back(Output::Request { link, request, chunk });
    }

    /// Bytes came in; the position that they are of.
    pub(super) fn progress(&mut self, now: u64, request: RequestId, bytes: u32) -> Option<ChunkIndex> {
        let request = self.requests.progress(request, bytes)?;
        self.links.get_mut(request.link)?.pace.received(now, u64::from(bytes));
        Some(request.chunk)
    }

    /// A request ended. The link and position it was about, unless it is not known (any more).
    pub(super) fn ended(
        &mut self,
        now: u64,
        timeline: &mut Timeline,
        request: RequestId,
        end: RequestEnd,
    ) -> Option<(LinkId, ChunkIndex)> {
        let PeerRequest { link: id, chunk, asked_us, received } = self.requests.ended(request)?;
        let bytes = timeline.piece_mut(chunk).map_or(0, |piece| {
            piece.asked -= 1;
            piece.bytes
        });
        let link = self.links.get_mut(id).expect("requests end with their link");
        link.pace.received(
            now,
            u64::from(if end == RequestEnd::Verified { bytes.saturating_sub(received) } else { 0 }),
        );
        link.pace.ended((end == RequestEnd::Verified).then(|| now - asked_us));
        match end {
            RequestEnd::Verified => {}
            RequestEnd::Corrupt => {
                timeline.waste_bytes += u64::from(bytes);
                timeline.corrupt_bytes += u64::from(bytes);
            }
            RequestEnd::Failed => {
                link.pace.rest(now, BUSY_US);
                timeline.waste_bytes += u64::from(received);
            }
            RequestEnd::Refused(Refusal::Busy) => link.pace.rest(now, BUSY_US),
            RequestEnd::Refused(Refusal::Exhausted) => link.pace.is_exhausted = true,
            RequestEnd::Refused(Refusal::NotHeld) => drop(link.has.remove(&chunk)),
        }
        Some((id, chunk))
    }

    /// Gives up what stalls: its link rests, and others are asked.
    pub(super) fn drop_stalled(&mut self, now: u64, timeline: &mut Timeline, outputs: &mut VecDeque<Output>) {
        let stalled = self.links.iter().filter(|(_, link)| link.pace.is_stalled(now)).map(|(id, _)| id);
        for link in stalled.collect::<Vec<_>>() {
            self.cancel_where(timeline, |request| request.link == link, outputs);
            self.links.get_mut(link).expect("it was just found").pace.let_down(now);
        }
    }

    /// Whether some peer that may be asked has something of the segment, is about to, or has said nothing yet.
    pub(super) fn anyone_knows(&self, now: u64, segment: SegmentIndex, timeline: &Timeline) -> bool {
        let knows = |link: &SourceLink| now < link.silent_until_us || link.knows(segment, timeline);
        self.links.values().any(|link| !link.pace.is_resting(now) && knows(link))
    }

    /// Whether some peer may be asked.
    pub(super) fn has_links(&self, now: u64) -> bool {
        self.links.values().any(|link| !link.pace.is_resting(now))
    }

    /// Whether a peer has brought half of a piece already.
    pub(super) fn has_half(&self, chunk: ChunkIndex, bytes: u32) -> bool {
        self.requests
            .values()
            .any(|request| request.chunk == chunk && request.received >= bytes / 2 && bytes > 1)
    }

    pub(super) fn orders(&self) -> impl Iterator<Item = u32> {
        self.links.values().map(|link| link.order)
    }

    fn drop_request(&mut self, timeline: &mut Timeline, request: RequestId) -> Option<LinkId> {
        let PeerRequest { link, chunk, received, .. } = self.requests.ended(request)?;
        timeline.waste_bytes += u64::from(received);
        if let Some(piece) = timeline.piece_mut(chunk) {
            piece.asked -= 1;
        }
        Some(link)
    }
}

impl Neighbours for Sources {
    /// Peers of a stream need different parts of it: none is ahead of the others.
    fn progress_of(&self, _link: LinkId) -> u64 {
        0
    }

    fn rtt_us_max(&self) -> u64 {
        self.links.values().map(|link| link.pace.rtt_us()).max().unwrap_or(0)
    }
}
