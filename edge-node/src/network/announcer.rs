//! What this node says to its tracker, and when: at changes, and from time to time.

use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::time::Duration;

use freshet_protocol::limits::{ADDRESSES_MAX, SHARDS_PER_MESSAGE_MAX};
use freshet_protocol::{
    Announce, Base64, Candidate, ClientMessage, ContentName, Hash, HaveSummary, PairOutcome, PublicKey,
    RootId, ServerMessage, ShardMap, Transport,
};
use tokio::time::Instant;

use crate::random::random_bytes;
use crate::release::Span;
use crate::store::Positions;
use crate::tracker_client::TrackerHandle;
use crate::transport::Outside;

/// Links that a node that fetches wants.
const LINKS_WANTED: usize = 8;
/// Changes within this time are told together.
const CHANGE_PAUSE: Duration = Duration::from_millis(200);
/// How often to announce before a tracker has said so itself.
const ANNOUNCE_EVERY: Duration = Duration::from_secs(30);

/// The node's place in the swarm, as far as the tracker needs to know it.
#[derive(Debug, Clone)]
pub(crate) struct Standing {
    /// What is fetched, and spread as first copies.
    pub(crate) span: Span,
    pub(crate) left_bytes: u64,
    pub(crate) sharing: bool,
    pub(crate) links: usize,
}

impl Standing {
    /// Links that who fetches would like to have beyond those there are.
    pub(super) fn links_missing(&self) -> usize {
        if self.left_bytes > 0 { LINKS_WANTED.saturating_sub(self.links) } else { 0 }
    }
}

/// How this node can be reached.
#[derive(Debug, Clone)]
pub(super) struct OwnReach {
    /// The port of the socket.
    pub(super) port: u16,
    /// Addresses that the tracker may not see.
    pub(super) advertise: Vec<SocketAddr>,
    /// Whether browsers may dial over WebTransport.
    pub(super) web_transport: bool,
    /// Whether data channels can be made with this node.
    pub(super) web_rtc: bool,
}

impl OwnReach {
    /// Each address once for each transport that answers there, as many as one announce holds; with the port of the router
    /// that leads here, if there is one.
    fn candidates(&self, forwarded: Option<SocketAddr>) -> Vec<Candidate> {
        let transports: &[Transport] =
            if self.web_transport { &[Transport::Quic, Transport::WebTransport] } else { &[Transport::Quic] };
        // Nobody dials a data channel by its address: it is made by signals.
        let unspecified = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        let channel =
            self.web_rtc.then_some(Candidate { transport: Transport::WebRtc, address: unspecified });
        // The tracker puts the address that it sees in the place of the unspecified one.
        let own = SocketAddr::from((Ipv4Addr::UNSPECIFIED, self.port));
        let addresses = self.advertise.iter().copied().chain(forwarded).chain([own]);
        addresses
            .take((ADDRESSES_MAX - usize::from(self.web_rtc)) / transports.len())
            .flat_map(|address| transports.iter().map(move |&transport| Candidate { transport, address }))
            .chain(channel)
            .collect()
    }
}

/// Speaks to the tracker about one content.
pub(crate) struct Announcer {
    tracker: TrackerHandle,
    content: ContentName,
    reach: OwnReach,
    outside: Outside,
    /// Trackers that the tenant named.
    tracker_keys: Vec<PublicKey>,
    /// Trackers whose tickets count.
    trusted: Vec<PublicKey>,
    is_up: bool,
    every: Duration,
    due: Option<Instant>,
}

impl Announcer {
    pub(super) fn new(
        tracker: TrackerHandle,
        content: ContentName,
        reach: OwnReach,
        tracker_keys: Vec<PublicKey>,
    ) -> Self {
        let (outside, is_up, every, due) = (Outside::default(), false, ANNOUNCE_EVERY, None);
        let trusted = tracker_keys.clone();
        Self { tracker, content, reach, outside, tracker_keys, trusted, is_up, every, due }
    }

    /// A tracker answers; returns the keys whose tickets count from now on. The tenant's word comes first; where it
    /// names no tracker, the one that answers is believed: a ticket only opens links, and content proves itself.
    pub(crate) fn up(&mut self, tracker_key: PublicKey, announce_ms: u32) -> Vec<PublicKey> {
        self.is_up = true;
        self.every = Duration::from_millis(announce_ms.into());
        self.due = Some(Instant::now());
        self.trusted =
            if self.tracker_keys.is_empty() { vec![tracker_key] } else { self.tracker_keys.clone() };
        self.trusted.clone()
    }

    /// What is known of this node from outside; told at once where that is new. Proofs of what was known before are as good
    /// with the next announce.
    pub(super) fn set_outside(&mut self, outside: Outside) {
        let is_new = !self.outside.is_like(&outside);
        self.outside = outside;
        if self.is_up && is_new {
            self.due = Some(Instant::now());
        }
    }

    /// No tracker answers.
    pub(crate) fn down(&mut self) {
        self.is_up = false;
        self.due = None;
    }

    /// Something of what the tracker knows has changed.
    pub(crate) fn changed(&mut self) {
        if self.is_up {
            let soon = Instant::now() + CHANGE_PAUSE;
            self.due = Some(self.due.map_or(soon, |due| due.min(soon)));
        }
    }

    /// Trackers whose tickets count.
    pub(super) fn trusted(&self) -> &[PublicKey] {
        &self.trusted
    }

    /// How this node looks from outside, as far as it is known.
    pub(super) fn outside(&self) -> &Outside {
        &self.outside
    }

    /// When to announce next.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Announces, and sets the time of the next, spread by a tenth so that a swarm does not speak in unison.
    pub(super) fn announce(&mut self, standing: &Standing, held: &Positions, certificates: Vec<Hash>) {
        self.tracker.send(ClientMessage::Announce(Announce {
            content: self.content.clone(),
            root: standing.span.id,
            chunks: standing.span.positions.len() as u32,
            have: if standing.sharing {
                have_summary(held, &standing.span.positions)
            } else {
                HaveSummary::None
            },
            left_bytes: standing.left_bytes,
            sharing: standing.sharing,
            links: u8::try_from(standing.links).unwrap_or(u8::MAX),
            links_wanted: standing.links_missing() as u8,
            candidates: self.reach.candidates(self.outside.forwarded),
            mapped: self.outside.mapped.clone(),
            local: self.outside.local.clone(),
            certificates,
        }));
        let [random] = random_bytes();
        let spread = self.every / 10 * u32::from(random) / 256;
        self.due = Some(Instant::now() + self.every - spread);
    }

    /// Asks for shards and reports those that are held.
    pub(crate) fn lease(&self, root: RootId, want: u32, done: &[u32]) {
        let want = want.min(SHARDS_PER_MESSAGE_MAX as u32);
        let mut parts = done.chunks(SHARDS_PER_MESSAGE_MAX);
        let first = parts.next().unwrap_or_default();
        for (want, done) in [(want, first)].into_iter().chain(parts.map(|part| (0, part))) {
            let content = self.content.clone();
            self.tracker.send(ClientMessage::Lease { content, root, want, done: done.to_vec() });
        }
    }

    /// Tells what became of a pairing.
    pub(crate) fn paired(&self, pair: u64, outcome: PairOutcome) {
        self.tracker.send(ClientMessage::Paired { pair, outcome });
    }

    /// Says something to the other side of a pairing.
    pub(crate) fn signal(&self, pair: u64, data: String) {
        self.tracker.send(ClientMessage::Signal { pair, data });
    }

    /// Whether a message is about this content.
    pub(crate) fn is_ours(&self, message: &ServerMessage) -> bool {
        match message {
            ServerMessage::Pair { content, .. } | ServerMessage::Shards { content, .. } => {
                *content == self.content
            }
            _ => true,
        }
    }

    /// Leaves the swarm and the tracker.
    pub(super) fn leave(&self) {
        self.tracker.send(ClientMessage::Leave { content: self.content.clone() });
        self.tracker.close();
    }
}

/// Which shards of a span are held whole.
fn have_summary(held: &Positions, span: &Range<u32>) -> HaveSummary {
    match held.count_in(span.clone()) {
        0 => HaveSummary::None,
        all if all as usize == span.len() => HaveSummary::All,
        _ => {
            let map = ShardMap::new(span.len() as u32);
            let mut bits = vec![0_u8; map.count().div_ceil(8) as usize];
            let is_held = |&shard: &u32| {
                let positions = map.positions(shard);
                held.contains_all(positions.start + span.start..positions.end + span.start)
            };
            for shard in (0..map.count()).filter(is_held) {
                bits[shard as usize / 8] |= 1 << (shard % 8);
            }
            HaveSummary::Shards(Base64(bits))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_announce_holds_each_transport_of_an_address_or_none() {
        let check = |advertised: usize, web_transport: bool, web_rtc: bool, expected: [usize; 3]| {
            let advertise = vec![SocketAddr::from(([127, 0, 0, 1], 9)); advertised];
            let candidates = OwnReach { port: 7, advertise, web_transport, web_rtc }.candidates(None);
            let count = |wanted| candidates.iter().filter(|c| c.transport == wanted).count();
            let found = [Transport::Quic, Transport::WebTransport, Transport::WebRtc].map(count);
            assert_eq!(found, expected, "{advertised}");
            assert!(candidates.len() <= ADDRESSES_MAX);
        };
        check(0, false, false, [1, 0, 0]);
        check(0, true, true, [1, 1, 1]);
        check(2, true, true, [3, 3, 1]);
        check(9, true, true, [3, 3, 1]);
        check(9, true, false, [4, 4, 0]);
        check(9, false, true, [7, 0, 1]);
        check(9, false, false, [8, 0, 0]);
    }

    #[test]
    fn summaries() {
        let check = |held: &[u32], chunks: u32, expected: HaveSummary| {
            let mut set = Positions::new(chunks);
            for &position in held {
                set.insert(position);
            }
            assert_eq!(have_summary(&set, &(0..chunks)), expected, "{held:?}");
        };
        check(&[], 10, HaveSummary::None);
        check(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9], 10, HaveSummary::All);
        // Shards of four positions: the last one has two.
        check(&[0, 1, 2, 4, 5, 6, 7], 10, HaveSummary::Shards(Base64(vec![0b010])));
        check(&[8, 9], 10, HaveSummary::Shards(Base64(vec![0b100])));
    }
}
