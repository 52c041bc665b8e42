//! The job's links: who is there, which release they speak of, what was asked of whom.

use std::collections::BTreeMap;
use std::ops::Range;

use freshet_protocol::limits::{HAVE_RANGES_MAX, LINK_REQUESTS_MAX};
use freshet_protocol::{Frame, KeyId, RefuseReason, Request, RootId, ranges_within, wire_ranges};
use freshet_swarm::{Input, LinkId, RequestId};

use crate::report::Traffic;
use crate::transport::{LinkHandle, PeerInfo};

/// The number by which this node names its release on all links.
const OWN_RELEASE: u64 = 0;

/// What this node says about its release.
#[derive(Debug, Clone, Copy)]
pub(super) struct OwnRelease {
    pub(super) root: RootId,
    pub(super) chunks: u32,
    pub(super) sharing: bool,
}

pub(super) struct Link {
    pub(super) handle: LinkHandle,
    pub(super) peer: PeerInfo,
    /// The peer's number for the same release, once it said so.
    same_release: Option<u64>,
    /// Requests of the peer that wait for an answer.
    asked: BTreeMap<u64, Request>,
}

/// All links.
pub(super) struct Peers {
    own: OwnRelease,
    links: BTreeMap<LinkId, Link>,
    requests: BTreeMap<RequestId, LinkId>,
    pub(super) banned: Vec<KeyId>,
    pub(super) links_total: u64,
    /// Payload by the name of the transport.
    pub(super) traffic: BTreeMap<&'static str, Traffic>,
}

/// A peer that broke the protocol, in words for it and for the log.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Misbehaved(pub(super) &'static str);

impl Peers {
    pub(super) fn new(own: OwnRelease) -> Self {
        Self {
            own,
            links: BTreeMap::new(),
            requests: BTreeMap::new(),
            banned: Vec::new(),
            links_total: 0,
            traffic: BTreeMap::new(),
        }
    }

    pub(super) fn count(&self) -> usize {
        self.links.len()
    }

    pub(super) fn link(&self, link: LinkId) -> Option<&Link> {
        self.links.get(&link)
    }

    pub(super) fn handles(&self) -> impl Iterator<Item = &LinkHandle> {
        self.links.values().map(|link| &link.handle)
    }

    /// A link is up: the peer hears what is spoken of here.
    pub(super) fn up(&mut self, link: LinkId, handle: LinkHandle, peer: PeerInfo) -> Input {
        let OwnRelease { root, chunks, sharing } = self.own;
        handle.send(Frame::Release { release: OWN_RELEASE, root, chunks, sharing });
        let input = Input::LinkUp { link, locality: peer.locality, rtt_us: peer.rtt.as_micros() as u64 };
        self.links_total += 1;
        self.links.insert(link, Link { handle, peer, same_release: None, asked: BTreeMap::new() });
        input
    }

    /// A link is gone; none when it was not known any more.
    pub(super) fn down(&mut self, link: LinkId) -> Option<Link> {
        let gone = self.links.remove(&link)?;
        self.requests.retain(|_, owner| *owner != link);
        Some(gone)
    }

    /// What a frame of the peer tells the core, if anything.
    pub(super) fn frame(&mut self, link: LinkId, frame: Frame) -> Result<Option<Input>, Misbehaved> {
        let own = self.own;
        let Some(entry) = self.links.get_mut(&link) else { return Ok(None) };
        let is_same = |release| entry.same_release == Some(release);
        let in_release = |ranges: &[Range<u64>]| {
            ranges_within(ranges, own.chunks).ok_or(Misbehaved("speaks of positions beyond the release"))
        };
        match frame {
            Frame::Release { release, root, chunks, .. } if root == own.root => {
                if chunks != own.chunks {
                    return Err(Misbehaved("counts other chunks in the same release"));
                }
                entry.same_release = Some(release);
                Ok(None)
            }
            Frame::Have { release, ranges } if is_same(release) => {
                in_release(&ranges).map(|ranges| Some(Input::Have { link, ranges }))
            }
            Frame::Withdraw { release, ranges } if is_same(release) => {
                in_release(&ranges).map(|ranges| Some(Input::Withdraw { link, ranges }))
            }
            Frame::Fetching { release, ranges } if is_same(release) => {
                in_release(&ranges).map(|ranges| Some(Input::Fetching { link, ranges }))
            }
            // About another release, or of no interest here.
            _ => Ok(None),
        }
    }

    /// Notes an own request and names the link to send it on; none when the link is gone.
    pub(super) fn request(&mut self, link: LinkId, request: RequestId) -> Option<&LinkHandle> {
        let entry = self.links.get(&link)?;
        self.requests.insert(request, link);
        Some(&entry.handle)
    }

    /// What went over the transport of a link so far.
    pub(super) fn traffic(&mut self, link: LinkId) -> Option<&mut Traffic> {
        let name = self.links.get(&link)?.peer.transport_name();
        Some(self.traffic.entry(name).or_default())
    }

    /// Forgets an own request; names its link while both were known.
    pub(super) fn take_request(&mut self, request: RequestId) -> Option<&LinkHandle> {
        let link = self.requests.remove(&request)?;
        self.links.get(&link).map(|entry| &entry.handle)
    }

    pub(super) fn is_open(&self, request: RequestId) -> bool {
        self.requests.contains_key(&request)
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

    /// What a peer asked for under this number, if it still waits.
    pub(super) fn waiting(&self, link: LinkId, request: u64) -> Option<(&LinkHandle, Request)> {
        let entry = self.links.get(&link)?;
        Some((&entry.handle, *entry.asked.get(&request)?))
    }

    /// The peer's request is answered, or taken back.
    pub(super) fn answered(&mut self, link: LinkId, request: u64) {
        if let Some(entry) = self.links.get_mut(&link) {
            entry.asked.remove(&request);
        }
    }

    /// Tells all peers what is being fetched from the origin. Each frame replaces the one before, so what does not fit
    /// into one is left out: it is a hint.
    pub(super) fn send_fetching(&self, mut ranges: Vec<Range<u32>>) {
        ranges.truncate(HAVE_RANGES_MAX);
        for handle in self.handles() {
            handle.send(Frame::Fetching { release: OWN_RELEASE, ranges: wire_ranges(&ranges) });
        }
    }

    /// Sends ranges to one link or all, in as many frames as they need.
    pub(super) fn send_ranges(
        &self,
        link: Option<LinkId>,
        ranges: &[Range<u32>],
        frame: impl Fn(u64, Vec<Range<u64>>) -> Frame,
    ) {
        for part in ranges.chunks(HAVE_RANGES_MAX) {
            match link {
                Some(link) => {
                    if let Some(entry) = self.links.get(&link) {
                        entry.handle.send(frame(OWN_RELEASE, wire_ranges(part)));
                    }
                }
                None => self.handles().for_each(|handle| handle.send(frame(OWN_RELEASE, wire_ranges(part)))),
            }
        }
    }
}
