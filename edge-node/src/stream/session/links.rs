//! What happens on links: peers come and go, name renditions, tell what they hold, answer and ask.

use std::ops::Range;

use freshet_protocol::{BlobKind, ChunkId, Frame, RefuseReason, Request};
use freshet_swarm::{Input, LinkId, PlayerInput, RequestId};

use super::Session;
use crate::stream::library::Rendition;
use crate::stream::said::{self, Said, Word};
use crate::transport::{Answer, LinkHandle, TransportEvent};

impl Session {
    pub(super) fn link_event(&mut self, event: TransportEvent) {
        match event {
            TransportEvent::LinkUp { link, handle, peer } => {
                tracing::debug!(peer = %peer.peer, stream = %self.stream, "link up");
                let (locality, rtt_us) = (peer.locality, peer.rtt.as_micros() as u64);
                let order = peer.key.0.prefix32();
                self.introduce(&handle);
                self.links.up(link, handle, peer, Said::default());
                self.tell(Input::LinkUp { link, locality, rtt_us });
                self.player(PlayerInput::PeerOrder { link, order });
            }
            TransportEvent::Frame { link, frame } => self.frame(link, frame),
            TransportEvent::Progress { request, bytes, .. } => {
                if self.links.is_open(request) {
                    self.tell(Input::Progress { request, bytes });
                }
            }
            TransportEvent::Answer { request, answer, .. } => self.answer(request, &answer),
            TransportEvent::Asked { link, asked } => self.asked(link, asked),
            TransportEvent::AskCancelled { link, request } => {
                self.links.settle(link, request);
                self.tell(Input::PeerCancel { link, request });
            }
            TransportEvent::Sent { link, request, bytes } => {
                self.links.sent(link, bytes);
                self.tell(Input::Sent { link, request, bytes });
            }
            TransportEvent::LinkDown { link, reason } => {
                if let Some(gone) = self.links.down(link) {
                    tracing::debug!(peer = %gone.peer.peer, %reason, "link down");
                    self.tell(Input::LinkDown { link });
                }
            }
            // The network has seen to these.
            TransportEvent::DialFailed { .. }
            | TransportEvent::Signal { .. }
            | TransportEvent::Outside(_) => {}
        }
    }

    /// A peer hears what the renditions are called here, and whether they are shared.
    pub(super) fn introduce(&self, handle: &LinkHandle) {
        for (number, rendition) in self.library.shelves() {
            said::introduce(handle, &self.stream, number, rendition, self.policy.sharing);
        }
    }

    fn frame(&mut self, link: LinkId, frame: Frame) {
        match frame {
            Frame::Rendition { release, stream, epoch, rendition, .. } => {
                let rendition = (stream == self.stream).then_some(Rendition { epoch, path: rendition });
                self.named(link, release, rendition);
            }
            Frame::Release { release, .. } => self.named(link, release, None),
            Frame::Have { release, ranges } => self.said(link, Word::Have, release, &ranges),
            Frame::Withdraw { release, ranges } => self.said(link, Word::Withdraw, release, &ranges),
            Frame::Fetching { release, ranges } => self.said(link, Word::Fetching, release, &ranges),
            Frame::Entry { entry } => self.entry(&entry, Some(link)),
            // Of no interest here.
            _ => {}
        }
    }

    fn named(&mut self, link: LinkId, number: u64, rendition: Option<Rendition>) {
        let Some(entry) = self.links.get_mut(link) else { return };
        let Some(before) = entry.said.name(number, rendition) else { return };
        if let Some(shelf) = self.library.shelf_of(&before) {
            let ranges = self.library.of_wire(shelf, &[0..u64::MAX]);
            self.tell(Input::Withdraw { link, ranges });
            self.tell_fetching(link);
        }
    }

    fn said(&mut self, link: LinkId, word: Word, number: u64, ranges: &[Range<u64>]) {
        let Some(entry) = self.links.get_mut(link) else { return };
        let Some(rendition) = entry.said.says(number, word, ranges) else { return };
        let shelf = self.library.shelf_of(&rendition);
        // Also a word about what is not known here is one: the peer has spoken.
        let ranges = shelf.map_or_else(Vec::new, |shelf| self.library.of_wire(shelf, ranges));
        match word {
            Word::Have => self.tell(Input::Have { link, ranges }),
            Word::Withdraw => self.tell(Input::Withdraw { link, ranges }),
            Word::Fetching => self.tell_fetching(link),
        }
    }

    /// A frame about what is fetched replaces the one before of the same rendition; the core hears of all together.
    pub(super) fn tell_fetching(&mut self, link: LinkId) {
        let Some(entry) = self.links.get(link) else { return };
        let local = |(rendition, ranges): (&Rendition, &[_])| {
            let shelf = self.library.shelf_of(rendition)?;
            Some(self.library.of_wire(shelf, ranges))
        };
        let mut ranges: Vec<_> = entry.said.fetches().filter_map(local).flatten().collect();
        ranges.sort_unstable_by_key(|range| range.start);
        self.tell(Input::Fetching { link, ranges });
    }

    /// An entry that somebody pushed; what is news is passed on.
    pub(super) fn entry(&mut self, entry: &[u8], from: Option<LinkId>) {
        match self.entries.take(entry) {
            Ok(true) if self.policy.sharing => {
                let others = self.links.all().filter(|(link, _)| Some(*link) != from);
                others.for_each(|(_, link)| link.handle.send(Frame::Entry { entry: entry.to_vec() }));
            }
            Ok(_) => {}
            // It goes no further.
            Err(error) => tracing::debug!(%error, "an entry is of no use"),
        }
    }

    fn answer(&mut self, request: RequestId, answer: &Answer) {
        let Some((position, end)) = self.links.answered(request, answer) else { return };
        if let Answer::Verified(chunk) = answer {
            self.library.put(position, chunk);
        }
        self.tell(Input::RequestEnded { request, end });
        if matches!(answer, Answer::Verified(_)) {
            self.arrived(position);
        }
    }

    fn asked(&mut self, link: LinkId, asked: Request) {
        if !self.links.asked(link, asked) {
            return;
        }
        let chunk = match asked.kind {
            BlobKind::Chunk => self.library.position_of(ChunkId(asked.hash)),
            BlobKind::Page | BlobKind::Root => None,
        };
        match chunk {
            Some(chunk) => self.tell(Input::PeerRequest { link, request: asked.request, chunk }),
            None => self.links.refuse(link, asked.request, RefuseReason::NotHeld),
        }
    }
}
