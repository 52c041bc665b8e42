//! What a peer says of a stream: the renditions that it names by numbers, and what it holds of them.

use std::collections::BTreeMap;
use std::ops::Range;

use freshet_protocol::limits::HAVE_RANGES_MAX;
use freshet_protocol::{ContentName, Frame};

use super::library::Rendition;
use super::range_set::RangeSet;
use crate::transport::LinkHandle;

/// A word about positions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    Have,
    Withdraw,
    Fetching,
}

/// What a peer has said.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// There are few, by the numbers that frames may have.
    named: BTreeMap<u64, Named>,
}

/// A rendition as a peer speaks of it.
#[derive(Debug, Default)]
struct Named {
    /// None for what is no rendition of this stream.
    rendition: Option<Rendition>,
    held: RangeSet,
    fetching: Vec<Range<u64>>,
}

impl Said {
    /// The peer names a rendition, or something else, by a number; what had the number before, where that was another.
    pub(super) fn name(&mut self, number: u64, rendition: Option<Rendition>) -> Option<Rendition> {
        let known = self.named.get(&number);
        if known.is_some_and(|known| known.rendition == rendition) {
            return None;
        }
        self.named.insert(number, Named { rendition, ..Named::default() })?.rendition
    }

    /// What it says of positions by one of its numbers; which rendition that is.
    pub(super) fn says(&mut self, number: u64, word: Word, ranges: &[Range<u64>]) -> Option<Rendition> {
        let named = self.named.get_mut(&number)?;
        match word {
            Word::Have => ranges.iter().for_each(|range| named.held.add(range)),
            Word::Withdraw => ranges.iter().for_each(|range| named.held.remove(range)),
            Word::Fetching => named.fetching = ranges.to_vec(),
        }
        named.rendition.clone()
    }

    /// What it said it holds of a range of a rendition.
    pub(super) fn holds(&self, rendition: &Rendition, range: &Range<u64>) -> Vec<Range<u64>> {
        let named = self.named.values().filter(|named| named.rendition.as_ref() == Some(rendition));
        named.flat_map(|named| named.held.within(range)).collect()
    }

    /// What it said it fetches from the origin, of all renditions.
    pub(super) fn fetches(&self) -> impl Iterator<Item = (&Rendition, &[Range<u64>])> {
        self.named.values().filter_map(|named| Some((named.rendition.as_ref()?, named.fetching.as_slice())))
    }
}

/// Sends ranges in as many frames as they need. What is fetched is a hint, whose frames replace each other: one frame.
pub(super) fn send(handle: &LinkHandle, word: Word, release: u64, ranges: &[Range<u64>]) {
    let frame = |ranges: &[Range<u64>]| {
        let ranges = ranges.to_vec();
        match word {
            Word::Have => Frame::Have { release, ranges },
            Word::Withdraw => Frame::Withdraw { release, ranges },
            Word::Fetching => Frame::Fetching { release, ranges },
        }
    };
    let mut parts = ranges.chunks(HAVE_RANGES_MAX);
    handle.send(frame(parts.next().unwrap_or_default()));
    if word != Word::Fetching {
        parts.for_each(|part| handle.send(frame(part)));
    }
}

/// Names a rendition to a peer.
pub(super) fn introduce(
    handle: &LinkHandle,
    stream: &ContentName,
    number: usize,
    rendition: &Rendition,
    sharing: bool,
) {
    let Rendition { epoch, path } = rendition.clone();
    let (release, stream) = (number as u64, stream.clone());
    handle.send(Frame::Rendition { release, stream, epoch, rendition: path, sharing });
}
