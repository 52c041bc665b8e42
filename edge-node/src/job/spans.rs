//! What this node and its peers speak of: the spans of positions of a release, by the numbers that each side gives them.

use std::ops::Range;
use std::sync::Arc;

use freshet_protocol::limits::HAVE_RANGES_MAX;
use freshet_protocol::{Frame, ranges_within, wire_ranges};
use freshet_swarm::{Input, LinkId};

use crate::network::{Link, Links};
use crate::release::{Release, Span};
use crate::transport::LinkHandle;

/// What a peer has said of the own spans.
pub(super) struct Said {
    /// Its number for each of them, once it said so.
    same: Vec<Option<u64>>,
    /// What it fetches from the origin of each.
    fetching: Vec<Vec<Range<u32>>>,
}

/// What this node speaks of. The place of a span is its number on all links.
pub(super) struct Spans {
    release: Arc<Release>,
    spans: Vec<Span>,
    sharing: bool,
}

/// A peer that broke the protocol, in words for it and for the log.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Misbehaved(pub(super) &'static str);

impl Spans {
    pub(super) fn new(release: Arc<Release>, sharing: bool) -> Self {
        Self { spans: release.spans(), release, sharing }
    }

    /// The peer of a new link hears what is spoken of here. It has said nothing yet.
    pub(super) fn introduce(&self, handle: &LinkHandle) -> Said {
        for (number, Span { id, positions }) in self.spans.iter().enumerate() {
            let (release, root, chunks) = (number as u64, *id, positions.len() as u32);
            handle.send(Frame::Release { release, root, chunks, sharing: self.sharing });
        }
        Said { same: vec![None; self.spans.len()], fetching: vec![Vec::new(); self.spans.len()] }
    }

    /// What a frame of the peer tells the core, if anything.
    pub(super) fn frame(
        &self,
        id: LinkId,
        link: &mut Link<Said>,
        frame: Frame,
    ) -> Result<Option<Input>, Misbehaved> {
        let said = &mut link.said;
        if let Frame::Release { release, root, chunks, .. } = frame {
            for (span, same) in self.spans.iter().zip(&mut said.same).filter(|(span, _)| span.id == root) {
                if chunks as usize != span.positions.len() {
                    return Err(Misbehaved("counts other chunks in the same release"));
                }
                *same = Some(release);
            }
            return Ok(None);
        }
        let (release, ranges) = match &frame {
            Frame::Have { release, ranges }
            | Frame::Withdraw { release, ranges }
            | Frame::Fetching { release, ranges } => (*release, ranges),
            // Of no interest here.
            _ => return Ok(None),
        };
        let Some(at) = said.same.iter().position(|same| *same == Some(release)) else { return Ok(None) };
        let Range { start, end } = self.spans[at].positions;
        let within = ranges_within(ranges, end - start);
        let within = within.ok_or(Misbehaved("speaks of positions beyond the release"))?;
        let mut ranges: Vec<_> =
            within.into_iter().map(|range| range.start + start..range.end + start).collect();
        Ok(Some(match frame {
            Frame::Fetching { .. } => {
                said.fetching[at] = ranges;
                Input::Fetching { link: id, ranges: said.fetching.concat() }
            }
            frame => {
                // What a peer has of the release it has of the patch, too, where that takes chunks whole.
                ranges.extend(if at == 0 { self.release.also_in_patch(&ranges) } else { Vec::new() });
                match frame {
                    Frame::Withdraw { .. } => Input::Withdraw { link: id, ranges },
                    _ => Input::Have { link: id, ranges },
                }
            }
        }))
    }

    /// Tells all peers what is being fetched from the origin. Each frame replaces the one before, so what does not fit
    /// into one is left out: it is a hint.
    pub(super) fn send_fetching(&self, links: &Links<Said>, ranges: &[Range<u32>]) {
        for (release, mut ranges) in self.by_span(ranges) {
            ranges.truncate(HAVE_RANGES_MAX);
            for link in links.to(None) {
                link.handle.send(Frame::Fetching { release, ranges: wire_ranges(&ranges) });
            }
        }
    }

    /// Sends ranges to one link or all, in as many frames as they need.
    pub(super) fn send_ranges(
        &self,
        links: &Links<Said>,
        to: Option<LinkId>,
        ranges: &[Range<u32>],
        frame: impl Fn(u64, Vec<Range<u64>>) -> Frame,
    ) {
        for (release, ranges) in self.by_span(ranges) {
            for part in ranges.chunks(HAVE_RANGES_MAX) {
                links.to(to).for_each(|link| link.handle.send(frame(release, wire_ranges(part))));
            }
        }
    }

    /// Own positions as peers count them: by the number of their span, from its start.
    fn by_span(&self, ranges: &[Range<u32>]) -> Vec<(u64, Vec<Range<u32>>)> {
        let cut = |span: &Span| {
            let Range { start, end } = span.positions;
            let within = ranges.iter().map(|range| range.start.max(start)..range.end.min(end));
            within
                .filter(|range| !range.is_empty())
                .map(|range| range.start - start..range.end - start)
                .collect()
        };
        self.spans.iter().enumerate().map(|(number, span)| (number as u64, cut(span))).collect()
    }
}
