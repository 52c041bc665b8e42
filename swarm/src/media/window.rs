//! Which piece to ask which peer for: the most urgent segment first, and within it in an order of this peer's own, so
//! that those who watch together fetch different pieces and then exchange them.

use std::collections::VecDeque;

use super::sources::Sources;
use super::timeline::{Timeline, position};
use crate::input::{ChunkIndex, LinkId};
use crate::limits::PICK_CANDIDATES_MAX;
use crate::mix::mix32;
use crate::output::Output;

/// Asks for every free piece that a link with room has; looks at a bounded number of pieces.
pub(super) fn fill(
    now: u64,
    salt: u32,
    timeline: &mut Timeline,
    sources: &mut Sources,
    outputs: &mut VecDeque<Output>,
) {
    let mut looks = PICK_CANDIDATES_MAX;
    for segment in timeline.wanted() {
        let known = timeline.segment(segment).expect("wanted segments are known");
        let free = known.pieces.iter().enumerate().filter(|(_, piece)| piece.is_free());
        let mut chunks: Vec<ChunkIndex> = free.map(|(piece, _)| position(segment, piece as u32)).collect();
        chunks.sort_unstable_by_key(|&chunk| mix32(chunk ^ salt));
        for chunk in chunks {
            if looks == 0 {
                return;
            }
            looks -= 1;
            let bytes = u64::from(timeline.piece(chunk).expect("it was just found").bytes);
            if let Some(link) = soonest(now, sources, chunk, bytes) {
                sources.ask(now, timeline, link, chunk, outputs);
            }
        }
    }
}

/// The link that would bring a piece first, of those that have it and room for a request.
fn soonest(now: u64, sources: &Sources, chunk: ChunkIndex, bytes: u64) -> Option<LinkId> {
    let able =
        sources.links.iter().filter(|(_, link)| link.has.contains(&chunk) && link.pace.has_room(now, bytes));
    able.map(|(id, link)| (link.pace.expected_after_us(bytes), link.pace.locality, id))
        .min()
        .map(|(_, _, id)| id)
}
