//! Who reads: segments become known, wanted, and forgotten.

use freshet_swarm::limits::SEGMENTS_MAX;
use freshet_swarm::{Input, LinkId, PlayerInput, SegmentIndex};

use super::Session;
use crate::stream::Reading;
use crate::stream::library::{Rendition, ShelfIndex, place};
use crate::stream::said;

impl Session {
    pub(super) fn read(&mut self, Reading { entry, url, deadline, pieces }: Reading) {
        let rendition = Rendition { epoch: entry.place.epoch, path: entry.place.rendition.clone() };
        let Some(shelf) = self.library.shelf_of(&rendition).or_else(|| self.add_shelf(rendition)) else {
            // The reader sees that nothing comes.
            return tracing::debug!(stream = %self.stream, "more renditions than a link can speak of");
        };
        let sequence = entry.place.sequence;
        let known = self.library.find(shelf, sequence, &url);
        let Some(segment) = known.or_else(|| {
            self.drop_excess();
            let segment = self.library.add(shelf, &entry, url)?;
            self.tell_of_segment(segment);
            Some(segment)
        }) else {
            return;
        };
        self.readers.add(segment, self.clock.us_of(deadline), pieces);
        self.readers.hand_on(segment, &self.library);
        self.want(segment);
    }

    fn add_shelf(&mut self, rendition: Rendition) -> Option<ShelfIndex> {
        let number = self.library.add_shelf(rendition.clone())?;
        for link in self.links.to(None) {
            said::introduce(&link.handle, &self.stream, number, &rendition, self.policy.sharing);
        }
        Some(number)
    }

    /// The core learns of a segment, and what neighbours said of it when it was unknown.
    fn tell_of_segment(&mut self, number: SegmentIndex) {
        let Some(segment) = self.library.segment(number) else { return };
        let order = segment.pieces.first().map_or(0, |piece| piece.id.0.prefix32());
        let piece_bytes = segment.pieces.iter().map(|piece| piece.bytes).collect();
        let rendition = self.library.shelves().find(|(shelf, _)| *shelf == segment.shelf);
        let held = rendition.into_iter().flat_map(|(_, rendition)| {
            self.links.all().map(|(id, link)| (id, link.said.holds(rendition, &segment.span())))
        });
        let local = |ranges: Vec<_>| ranges.iter().filter_map(|range| segment.local(number, range)).collect();
        let held: Vec<(LinkId, Vec<_>)> = held.map(|(link, ranges)| (link, local(ranges))).collect();
        self.player(PlayerInput::Segment { segment: number, order, piece_bytes });
        for (link, ranges) in held.into_iter().filter(|(_, ranges)| !ranges.is_empty()) {
            self.tell(Input::Have { link, ranges });
        }
        for link in self.links.all().map(|(link, _)| link).collect::<Vec<_>>() {
            self.tell_fetching(link);
        }
    }

    /// Wants a segment for the reader who needs it first, or no longer.
    pub(super) fn want(&mut self, segment: SegmentIndex) {
        self.player(match self.readers.deadline_us(segment) {
            Some(deadline_us) => PlayerInput::Want { segment, deadline_us },
            None => PlayerInput::Unwant { segment },
        });
    }

    pub(super) fn arrived(&mut self, position: u32) {
        let (segment, _) = place(position);
        self.readers.hand_on(segment, &self.library);
        if self.readers.deadline_us(segment).is_none() {
            self.want(segment);
        }
    }

    pub(super) fn drop_excess(&mut self) {
        for segment in self.library.excess(&self.readers.segments(), SEGMENTS_MAX - 1) {
            self.player(PlayerInput::Forget { segment });
            // What the core says of it has to be sent while it is known where that was.
            self.carry_out();
            self.library.drop_segment(segment);
        }
    }
}
