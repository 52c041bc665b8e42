//! The links of a swarm, as who drives a core sees them: who is there, what is asked of whom, and what went over them.

use std::collections::BTreeMap;

use freshet_protocol::limits::LINK_REQUESTS_MAX;
use freshet_protocol::{KeyId, RefuseReason, Request};
use freshet_swarm::{ChunkIndex, DropReason, LinkId, RequestEnd, RequestId};

use crate::report::{LinkTimes, Traffic};
use crate::transport::{Answer, LinkHandle, PeerInfo};

/// Most banned peers that the report names; the ban itself holds for all.
const BANNED_NAMED_MAX: usize = 1024;

/// A link, with what is known of the peer beside that.
pub(crate) struct Link<T> {
    pub(crate) handle: LinkHandle,
    pub(crate) peer: PeerInfo,
    pub(crate) said: T,
    /// Requests of the peer that wait for an answer.
    asked: BTreeMap<u64, Request>,
}

/// All links.
pub(crate) struct Links<T> {
    links: BTreeMap<LinkId, Link<T>>,
    /// Own requests: of whom, and for which chunk.
    requests: BTreeMap<RequestId, (LinkId, ChunkIndex)>,
    tally: LinkTally,
}

/// What a report says of links.
#[derive(Debug, Clone, Default)]
pub(crate) struct LinkTally {
    /// Links that came up.
    pub(crate) total: u64,
    /// How long those took that answer a pairing.
    pub(crate) times: LinkTimes,
    pub(crate) banned: Vec<KeyId>,
    /// Payload by the name of the transport, and by how near the peer is.
    pub(crate) by_transport: BTreeMap<&'static str, Traffic>,
    pub(crate) by_locality: BTreeMap<&'static str, Traffic>,
}

impl<T> Default for Links<T> {
    fn default() -> Self {
        Self { links: BTreeMap::new(), requests: BTreeMap::new(), tally: LinkTally::default() }
    }
}

impl<T> Links<T> {
    /// A link is up.
    pub(crate) fn up(&mut self, link: LinkId, handle: LinkHandle, peer: PeerInfo, said: T) {
        self.tally.total += 1;
        if let Some(time) = peer.link_time {
            self.tally.times.took(time);
        }
        self.links.insert(link, Link { handle, peer, said, asked: BTreeMap::new() });
    }

    /// A link is gone; none when it was not known any more.
    pub(crate) fn down(&mut self, link: LinkId) -> Option<Link<T>> {
        let gone = self.links.remove(&link)?;
        self.requests.retain(|_, (owner, _)| *owner != link);
        Some(gone)
    }

    /// Drops a link as the core says; names who is to be banned.
    pub(crate) fn drop_link(&mut self, link: LinkId, reason: DropReason) -> Option<KeyId> {
        let Link { handle, peer, .. } = self.down(link)?;
        match reason {
            DropReason::Corrupt => {
                tracing::warn!(peer = %peer.peer, key = %peer.key, "peer sent wrong bytes, banned");
                handle.close("sent bytes that do not match their hash");
                let banned = &mut self.tally.banned;
                if !banned.contains(&peer.key) && banned.len() < BANNED_NAMED_MAX {
                    banned.push(peer.key);
                }
                Some(peer.key)
            }
            DropReason::Misbehaved => {
                handle.close("no place for another link");
                None
            }
        }
    }

    pub(crate) fn get(&self, link: LinkId) -> Option<&Link<T>> {
        self.links.get(&link)
    }

    pub(crate) fn get_mut(&mut self, link: LinkId) -> Option<&mut Link<T>> {
        self.links.get_mut(&link)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = (LinkId, &Link<T>)> {
        self.links.iter().map(|(&id, link)| (id, link))
    }

    /// One link, or all.
    pub(crate) fn to(&self, link: Option<LinkId>) -> impl Iterator<Item = &Link<T>> {
        self.all().filter(move |(id, _)| link.is_none_or(|link| link == *id)).map(|(_, link)| link)
    }

    pub(crate) fn count(&self) -> usize {
        self.links.len()
    }

    pub(crate) fn tally(&self) -> &LinkTally {
        &self.tally
    }

    /// Notes an own request and names the link to send it on; none when the link is gone.
    pub(crate) fn request(
        &mut self,
        link: LinkId,
        request: RequestId,
        chunk: ChunkIndex,
    ) -> Option<&LinkHandle> {
        let entry = self.links.get(&link)?;
        self.requests.insert(request, (link, chunk));
        Some(&entry.handle)
    }

    pub(crate) fn is_open(&self, request: RequestId) -> bool {
        self.requests.contains_key(&request)
    }

    /// Takes an own request back.
    pub(crate) fn cancel(&mut self, request: RequestId) {
        if let Some((link, _)) = self.requests.remove(&request)
            && let Some(entry) = self.links.get(&link)
        {
            entry.handle.cancel(request);
        }
    }

    /// An own request is answered: which chunk it was for, and what the core hears; none when it was taken back meanwhile.
    pub(crate) fn answered(
        &mut self,
        request: RequestId,
        answer: &Answer,
    ) -> Option<(ChunkIndex, RequestEnd)> {
        let (link, chunk) = self.requests.remove(&request)?;
        let end = match answer {
            Answer::Verified(chunk) => {
                self.count_traffic(link, Traffic { received: chunk.bytes().len() as u64, sent: 0 });
                RequestEnd::Verified
            }
            Answer::Corrupt { .. } => RequestEnd::Corrupt,
            Answer::Refused(reason) => RequestEnd::Refused((*reason).into()),
            // The core asks for chunks alone.
            Answer::Failed { .. } | Answer::Blob(_) => RequestEnd::Failed,
        };
        Some((chunk, end))
    }

    /// Payload was handed to a peer.
    pub(crate) fn sent(&mut self, link: LinkId, bytes: u32) {
        self.count_traffic(link, Traffic { received: 0, sent: bytes.into() });
    }

    fn count_traffic(&mut self, link: LinkId, traffic: Traffic) {
        let Some(Link { peer, .. }) = self.links.get(&link) else { return };
        *self.tally.by_transport.entry(peer.transport_name()).or_default() += traffic;
        *self.tally.by_locality.entry(peer.locality.name()).or_default() += traffic;
    }

    /// Notes what a peer asks for; refuses it where that is too much at once. Whether it waits now.
    pub(crate) fn asked(&mut self, link: LinkId, asked: Request) -> bool {
        let Some(entry) = self.links.get_mut(&link) else { return false };
        let has_room = entry.asked.len() < LINK_REQUESTS_MAX;
        match has_room {
            true => drop(entry.asked.insert(asked.request, asked)),
            false => entry.handle.refuse(asked.request, RefuseReason::Busy),
        }
        has_room
    }

    /// Whether the peer still waits for this.
    pub(crate) fn is_waiting(&self, link: LinkId, request: u64) -> bool {
        self.links.get(&link).is_some_and(|entry| entry.asked.contains_key(&request))
    }

    /// What a peer waits for is answered or taken back; what that was, and where to answer.
    pub(crate) fn settle(&mut self, link: LinkId, request: u64) -> Option<(&LinkHandle, Request)> {
        let entry = self.links.get_mut(&link)?;
        let asked = entry.asked.remove(&request)?;
        Some((&entry.handle, asked))
    }

    /// Hands over what a peer waits for, from the byte on that it asked for.
    pub(crate) fn hand_over(&mut self, link: LinkId, request: u64, bytes: &bytes::Bytes) {
        if let Some((handle, asked)) = self.settle(link, request) {
            handle.serve(request, bytes.slice((asked.offset as usize).min(bytes.len())..));
        }
    }

    /// Says no, where the peer still waits.
    pub(crate) fn refuse(&mut self, link: LinkId, request: u64, reason: RefuseReason) {
        if let Some((handle, _)) = self.settle(link, request) {
            handle.refuse(request, reason);
        }
    }
}
