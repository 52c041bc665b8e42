//! The job's links: who is there, which releases they speak of, what was asked of whom.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use freshet_protocol::limits::{HAVE_RANGES_MAX, LINK_REQUESTS_MAX};
use freshet_protocol::{Frame, KeyId, RefuseReason, Request, ranges_within, wire_ranges};
use freshet_swarm::{Input, LinkId, RequestId};

use crate::release::{Release, Span};
use crate::report::Traffic;
use crate::transport::{LinkHandle, PeerInfo};

pub(super) struct Link {
    pub(super) handle: LinkHandle,
    pub(super) peer: PeerInfo,
    /// The peer's number for each of the own spans, once it said so.
    same: Vec<Option<u64>>,
    /// What it fetches from the origin, of each of the own spans.
    fetching: Vec<Vec<Range<u32>>>,
    /// Requests of the peer that wait for an answer.
    asked: BTreeMap<u64, Request>,
}

/// All links.
pub(super) struct Peers {
    release: Arc<Release>,
    /// What this node speaks of. The place here is its number on all links.
    spans: Vec<Span>,
    sharing: bool,
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
    pub(super) fn new(release: Arc<Release>, sharing: bool) -> Self {
        Self {
            spans: release.spans(),
            release,
            sharing,
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
        let sharing = self.sharing;
        for (number, Span { id, positions }) in self.spans.iter().enumerate() {
            let (release, root, chunks) = (number as u64, *id, positions.len() as u32);
            handle.send(Frame::Release { release, root, chunks, sharing });
        }
        let input = Input::LinkUp { link, locality: peer.locality, rtt_us: peer.rtt.as_micros() as u64 };
        self.links_total += 1;
        let (same, fetching) = (vec![None; self.spans.len()], vec![Vec::new(); self.spans.len()]);
        self.links.insert(link, Link { handle, peer, same, fetching, asked: BTreeMap::new() });
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
        let Some(entry) = self.links.get_mut(&link) else { return Ok(None) };
        if let Frame::Release { release, root, chunks, .. } = frame {
            for (span, same) in self.spans.iter().zip(&mut entry.same).filter(|(span, _)| span.id == root) {
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
        let Some(at) = entry.same.iter().position(|same| *same == Some(release)) else { return Ok(None) };
        let Range { start, end } = self.spans[at].positions;
        let within = ranges_within(ranges, end - start);
        let within = within.ok_or(Misbehaved("speaks of positions beyond the release"))?;
        let mut ranges: Vec<_> =
            within.into_iter().map(|range| range.start + start..range.end + start).collect();
        Ok(Some(match frame {
            Frame::Fetching { .. } => {
                entry.fetching[at] = ranges;
                Input::Fetching { link, ranges: entry.fetching.concat() }
            }
            frame => {
                // What a peer has of the release it has of the patch, too, where that takes chunks whole.
                ranges.extend(if at == 0 { self.release.also_in_patch(&ranges) } else { Vec::new() });
                match frame {
                    Frame::Withdraw { .. } => Input::Withdraw { link, ranges },
                    _ => Input::Have { link, ranges },
                }
            }
        }))
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
    pub(super) fn send_fetching(&self, ranges: &[Range<u32>]) {
        for (release, mut ranges) in self.by_span(ranges) {
            ranges.truncate(HAVE_RANGES_MAX);
            for handle in self.handles() {
                handle.send(Frame::Fetching { release, ranges: wire_ranges(&ranges) });
            }
        }
    }

    /// Sends ranges to one link or all, in as many frames as they need.
    pub(super) fn send_ranges(
        &self,
        link: Option<LinkId>,
        ranges: &[Range<u32>],
        frame: impl Fn(u64, Vec<Range<u64>>) -> Frame,
    ) {
        for (release, ranges) in self.by_span(ranges) {
            for part in ranges.chunks(HAVE_RANGES_MAX) {
                match link {
                    Some(link) => {
                        if let Some(entry) = self.links.get(&link) {
                            entry.handle.send(frame(release, wire_ranges(part)));
                        }
                    }
                    None => self.handles().for_each(|handle| handle.send(frame(release, wire_ranges(part)))),
                }
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
