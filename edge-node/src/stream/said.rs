//! A stream's links: who is there, what they name and hold, what they asked for.

use std::collections::BTreeMap;
use std::ops::Range;

use freshet_protocol::limits::{HAVE_RANGES_MAX, LINK_REQUESTS_MAX};
use freshet_protocol::{ContentName, Frame, RefuseReason, Request};
use freshet_swarm::LinkId;

use super::library::Rendition;
use super::range_set::RangeSet;
use crate::report::Traffic;
use crate::transport::{LinkHandle, PeerInfo};

/// What a peer says of positions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    Have,
    Withdraw,
    Fetching,
}

/// A rendition as a peer speaks of it; there are few, by the numbers that frames may have.
#[derive(Debug, Default)]
struct Named {
    /// None for what is no rendition of this stream.
    rendition: Option<Rendition>,
    held: RangeSet,
    fetching: Vec<Range<u64>>,
}

pub(super) struct Link {
    pub(super) handle: LinkHandle,
    pub(super) peer: PeerInfo,
    named: BTreeMap<u64, Named>,
    /// Requests of the peer that wait for an answer.
    asked: BTreeMap<u64, Request>,
}

#[derive(Default)]
pub(super) struct Links {
    links: BTreeMap<LinkId, Link>,
    pub(super) total: u64,
    /// Payload by the name of the transport.
    pub(super) traffic: BTreeMap<&'static str, Traffic>,
}

impl Links {
    pub(super) fn up(&mut self, link: LinkId, handle: LinkHandle, peer: PeerInfo) {
        self.total += 1;
        let (named, asked) = (BTreeMap::new(), BTreeMap::new());
        self.links.insert(link, Link { handle, peer, named, asked });
    }

    pub(super) fn down(&mut self, link: LinkId) -> Option<Link> {
        self.links.remove(&link)
    }

    pub(super) fn get(&self, link: LinkId) -> Option<&Link> {
        self.links.get(&link)
    }

    pub(super) fn get_mut(&mut self, link: LinkId) -> Option<&mut Link> {
        self.links.get_mut(&link)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (LinkId, &Link)> {
        self.links.iter().map(|(&id, link)| (id, link))
    }

    pub(super) fn count(&self) -> usize {
        self.links.len()
    }

    /// What went over the transport of a link so far.
    pub(super) fn traffic(&mut self, link: LinkId) -> Option<&mut Traffic> {
        let name = self.links.get(&link)?.peer.transport_name();
        Some(self.traffic.entry(name).or_default())
    }

    /// Notes what a peer asks for.
    ///
    /// # Errors
    /// When it asks for too much at once.
    pub(super) fn asked(&mut self, link: LinkId, asked: Request) -> Result<(), RefuseReason> {
        let entry = self.links.get_mut(&link).ok_or(RefuseReason::Other)?;
        if entry.asked.len() >= LINK_REQUESTS_MAX {
            return Err(RefuseReason::Busy);
        }
        entry.asked.insert(asked.request, asked);
        Ok(())
    }

    /// The peer's request is answered, or taken back; what it was, if it still waited.
    pub(super) fn answered(&mut self, link: LinkId, request: u64) -> Option<(LinkHandle, Request)> {
        let entry = self.links.get_mut(&link)?;
        let asked = entry.asked.remove(&request)?;
        Some((entry.handle.clone(), asked))
    }
}

impl Link {
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

    /// Sends ranges in as many frames as they need. What is fetched is a hint, whose frames replace each other: one frame.
    pub(super) fn send(&self, word: Word, release: u64, ranges: &[Range<u64>]) {
        let frame = |ranges: &[Range<u64>]| {
            let ranges = ranges.to_vec();
            match word {
                Word::Have => Frame::Have { release, ranges },
                Word::Withdraw => Frame::Withdraw { release, ranges },
                Word::Fetching => Frame::Fetching { release, ranges },
            }
        };
        let mut parts = ranges.chunks(HAVE_RANGES_MAX);
        self.handle.send(frame(parts.next().unwrap_or_default()));
        if word != Word::Fetching {
            parts.for_each(|part| self.handle.send(frame(part)));
        }
    }

    /// Names a rendition to the peer.
    pub(super) fn introduce(
        &self,
        stream: &ContentName,
        number: usize,
        rendition: &Rendition,
        sharing: bool,
    ) {
        let Rendition { epoch, path } = rendition.clone();
        let (release, stream) = (number as u64, stream.clone());
        self.handle.send(Frame::Rendition { release, stream, epoch, rendition: path, sharing });
    }
}
