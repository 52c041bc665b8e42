//! Links without a tracker: peers name their other peers, and pass on what two of them say to each other until these have a
//! link of their own (PROTOCOL.md 7). No IO here: what is to be done comes out as [`Act`]s.

mod places;
mod tries;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use freshet_protocol::limits::{INTEGER_MAX, PEERS_MAX};
use freshet_protocol::{
    Candidate, Dialer, Frame, INTRODUCED_PAIRS_MIN, Introduction, KeyId, Locality, Party, PublicKey, Seen,
    Transport, line,
};
use freshet_swarm::LinkId;
use tokio::time::Instant;

use crate::meter::Meter;
use crate::random::random_bytes;
use crate::transport::PeerInfo;
use places::{Way, way};
use tries::{Tries, Try};

/// Silence of all trackers after which peers are asked: most are back by then.
pub(super) const ALONE_TIME: Duration = Duration::from_secs(3);
/// How often it is looked whether links are missing.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often one peer is asked whom it knows.
const ASK_EVERY: Duration = Duration::from_secs(15);
/// How often one peer is told: more questions go unanswered.
const TELL_EVERY: Duration = Duration::from_secs(5);
/// Signals of one peer that may come in a burst: its own pairings, or those of several that it passes on.
const SIGNALS_BURST: u32 = 16;
/// Time that earns it one more.
const SIGNAL_TIME: Duration = Duration::from_secs(2);

/// Something to be done.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// Say this on a link.
    Send(LinkId, Frame),
    /// Bring up a link with who was introduced: dial it where it is heard.
    Dial(Meeting),
    /// The other side dials.
    Expect(Meeting),
}

/// Two peers that are going to link.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Meeting {
    pub(super) pair: u64,
    pub(super) key: KeyId,
    pub(super) candidates: Vec<Candidate>,
    pub(super) locality: Locality,
}

/// This node as introductions need it.
pub(super) trait Own {
    /// What it says of itself; none without a ticket.
    fn party(&self, pair: u64) -> Option<Party>;
    /// Whether the owner of a key may link with a ticket.
    fn admits(&self, key: &PublicKey, ticket: &[u8]) -> bool;
}

#[derive(Debug)]
struct Neighbour {
    key: KeyId,
    address: SocketAddr,
    /// Whether it introduces and is introduced.
    introduces: bool,
    /// Whom it has named last.
    named: Vec<KeyId>,
    meter: Meter,
    asked_at: Option<Instant>,
    told_at: Option<Instant>,
}

/// A number for a pairing that no tracker has made.
pub(super) fn new_pair() -> u64 {
    INTRODUCED_PAIRS_MIN | (u64::from_be_bytes(random_bytes()) & (INTEGER_MAX >> 1))
}

/// What this node knows of peers beyond its links.
#[derive(Debug)]
pub(super) struct Introductions {
    own: KeyId,
    neighbours: BTreeMap<LinkId, Neighbour>,
    tries: Tries,
    /// Since when no tracker answers.
    alone_since: Option<Instant>,
    look_at: Option<Instant>,
}

impl Introductions {
    /// Nobody is linked, and no tracker has answered yet.
    pub(super) fn new(own: KeyId, now: Instant) -> Self {
        let (neighbours, tries) = (BTreeMap::new(), Tries::default());
        Self { own, neighbours, tries, alone_since: Some(now), look_at: Some(now + ALONE_TIME) }
    }

    /// A tracker answers.
    pub(super) fn tracker_up(&mut self) {
        (self.alone_since, self.look_at) = (None, None);
    }

    /// None does.
    pub(super) fn tracker_down(&mut self, now: Instant) {
        self.alone_since.get_or_insert(now);
        self.look_at.get_or_insert(now + ALONE_TIME);
    }

    /// Whether no tracker has answered for so long that this node helps itself.
    pub(super) fn is_alone(&self, now: Instant) -> bool {
        self.alone_since.is_some_and(|since| since + ALONE_TIME <= now)
    }

    /// When to look next.
    pub(super) fn due(&self) -> Option<Instant> {
        self.look_at
    }

    pub(super) fn link_up(&mut self, now: Instant, link: LinkId, peer: &PeerInfo) {
        self.tries.linked(peer.key);
        let neighbour = Neighbour {
            key: peer.key,
            address: peer.address,
            // Where the socket of another transport is says nothing about that of QUIC.
            introduces: peer.introduces && peer.transport == Transport::Quic,
            named: Vec::new(),
            meter: Meter::new(now.into_std(), SIGNAL_TIME, SIGNALS_BURST),
            asked_at: None,
            told_at: None,
        };
        self.neighbours.insert(link, neighbour);
    }

    pub(super) fn link_down(&mut self, link: LinkId) {
        self.neighbours.remove(&link);
    }

    /// No link came of a pairing.
    pub(super) fn failed(&mut self, pair: u64) {
        self.tries.failed(pair);
    }

    /// Looks for peers where no tracker answers and links are `missing`.
    pub(super) fn look(&mut self, now: Instant, missing: usize, own: &impl Own) -> Vec<Act> {
        self.look_at = self.alone_since.map(|_| now + LOOK_EVERY);
        let wanted = missing.saturating_sub(self.tries.running());
        if !self.is_alone(now) || wanted == 0 {
            return Vec::new();
        }
        let mut acts = self.ask(now);
        let mut strangers = self.strangers(now);
        for _ in 0..wanted {
            let Some((via, key)) = take_random(&mut strangers) else { break };
            strangers.retain(|(_, other)| *other != key);
            let pair = new_pair();
            let Some(party) = own.party(pair).filter(|_| self.tries.may_begin(now, key)) else { break };
            self.tries.begin(now, pair, Try { key, via, is_asked: true });
            acts.push(signal(via, key, &Introduction::Meet(party)));
        }
        acts
    }

    /// Asks peers whom they know.
    fn ask(&mut self, now: Instant) -> Vec<Act> {
        let is_due = |neighbour: &Neighbour| {
            neighbour.introduces && neighbour.asked_at.is_none_or(|at| at + ASK_EVERY <= now)
        };
        let due: Vec<LinkId> =
            self.neighbours.iter().filter(|(_, other)| is_due(other)).map(|(link, _)| *link).collect();
        let mut acts = Vec::new();
        for link in due {
            let keys = self.names(link);
            if let Some(neighbour) = self.neighbours.get_mut(&link) {
                neighbour.asked_at = Some(now);
            }
            acts.push(Act::Send(link, Frame::Peers { asks: true, keys }));
        }
        acts
    }

    /// Who can be met through this node by the peer on `link`: some, where there are many.
    fn names(&self, link: LinkId) -> Vec<KeyId> {
        let others = self.neighbours.iter().filter(|(other, peer)| **other != link && peer.introduces);
        let mut keys: Vec<KeyId> = others.map(|(_, peer)| peer.key).collect();
        while keys.len() > PEERS_MAX {
            take_random(&mut keys);
        }
        keys
    }

    /// Peers that others have named and that may be met, with who named them.
    fn strangers(&mut self, now: Instant) -> Vec<(LinkId, KeyId)> {
        let named = self.neighbours.iter().filter(|(_, peer)| peer.introduces);
        let named = named.flat_map(|(link, peer)| peer.named.iter().map(move |key| (*link, *key)));
        let mut strangers: Vec<_> = named.filter(|(_, key)| self.is_stranger(*key)).collect();
        strangers.retain(|(_, key)| self.tries.may_begin(now, *key));
        strangers
    }

    fn is_stranger(&self, key: KeyId) -> bool {
        key != self.own && self.neighbours.values().all(|peer| peer.key != key)
    }

    /// What comes of a frame of the peer on `link`.
    pub(super) fn frame(&mut self, now: Instant, link: LinkId, frame: &Frame, own: &impl Own) -> Vec<Act> {
        let Some(neighbour) = self.neighbours.get_mut(&link).filter(|peer| peer.introduces) else {
            return Vec::new();
        };
        match frame {
            Frame::Peers { asks, keys } => {
                neighbour.named.clone_from(keys);
                let is_told = neighbour.told_at.is_some_and(|at| now < at + TELL_EVERY);
                if !asks || is_told {
                    return Vec::new();
                }
                neighbour.told_at = Some(now);
                vec![Act::Send(link, Frame::Peers { asks: false, keys: self.names(link) })]
            }
            Frame::Signal { .. } if !neighbour.meter.charge(now.into_std(), 1) => Vec::new(),
            Frame::Signal { key, seen: None, data } => self.pass_on(link, *key, data).into_iter().collect(),
            Frame::Signal { key, seen: Some(seen), data } => {
                let said = match Introduction::decode(data) {
                    Ok(said) => said,
                    Err(error) => {
                        tracing::debug!(%key, %error, "an introduction is of no use");
                        return Vec::new();
                    }
                };
                self.said(now, Voice { via: link, key: *key, seen: *seen }, said, own).unwrap_or_default()
            }
            _ => Vec::new(),
        }
    }

    /// Passes a signal on to another peer of this node, once: who gets it sees that it has been.
    fn pass_on(&self, from: LinkId, to: KeyId, data: &[u8]) -> Option<Act> {
        let sender = self.neighbours.get(&from)?;
        let is_receiver = |peer: &Neighbour| peer.key == to && peer.introduces;
        let receiver = self.neighbours.iter().find(|(link, peer)| **link != from && is_receiver(peer));
        let (link, receiver) = receiver?;
        let address = sender.address;
        let is_near = line(address.ip()) == line(receiver.address.ip());
        let seen = Some(Seen { address, is_near });
        Some(Act::Send(*link, Frame::Signal { key: sender.key, seen, data: data.to_vec() }))
    }

    /// What another peer says through one that this node is linked with; none where it is not listened to.
    fn said(&mut self, now: Instant, voice: Voice, said: Introduction, own: &impl Own) -> Option<Vec<Act>> {
        let is_new = self.is_stranger(voice.key);
        let is_good = |party: &Party| party.key.id() == voice.key && own.admits(&party.key, &party.ticket.0);
        match said {
            Introduction::Meet(theirs) if is_new => {
                if let Some(pair) = self.tries.asked(voice.key) {
                    // Both ask at once: the smaller key's question counts.
                    if self.own < voice.key {
                        return None;
                    }
                    self.tries.withdraw(pair);
                }
                let answer = own.party(theirs.pair).filter(|_| self.tries.may_begin(now, voice.key))?;
                let is_free = self.tries.get(now, theirs.pair).is_none();
                let way = is_free.then(|| self.way(voice, [&theirs, &answer], &theirs))??;
                if !is_good(&theirs) {
                    return None;
                }
                let attempt = Try { key: voice.key, via: voice.via, is_asked: false };
                self.tries.begin(now, theirs.pair, attempt);
                let meeting = self.meet(theirs.pair, voice, way, Dialer::Second)?;
                Some(vec![signal(voice.via, voice.key, &Introduction::Met(answer)), meeting])
            }
            Introduction::Met(theirs) if is_new => {
                let expected = Try { key: voice.key, via: voice.via, is_asked: true };
                let attempt = self.tries.get(now, theirs.pair).filter(|attempt| **attempt == expected)?;
                // Answers count once.
                attempt.is_asked = false;
                let way =
                    own.party(theirs.pair).and_then(|asker| self.way(voice, [&asker, &theirs], &theirs));
                let Some(way) = way.filter(|_| is_good(&theirs)) else {
                    self.tries.failed(theirs.pair);
                    return None;
                };
                Some(vec![self.meet(theirs.pair, voice, way, Dialer::First)?])
            }
            Introduction::Meet(_) | Introduction::Met(_) | Introduction::Unknown => None,
        }
    }

    fn way(&self, voice: Voice, both: [&Party; 2], other: &Party) -> Option<Way> {
        way(self.neighbours.get(&voice.via)?.address, voice.seen, both, other)
    }

    /// Begins to link with who was introduced; none where its address was written to too often.
    fn meet(&mut self, pair: u64, voice: Voice, way: Way, own_side: Dialer) -> Option<Act> {
        let Voice { key, seen, .. } = voice;
        if !self.tries.aim(key, seen.address.ip()) {
            self.tries.failed(pair);
            return None;
        }
        let locality = if seen.is_near { Locality::SameAddress } else { Locality::Any };
        let quic = |address| Candidate { transport: Transport::Quic, address };
        let candidates = way.places.into_iter().map(quic).collect();
        let meeting = Meeting { pair, key, candidates, locality };
        let is_asker = own_side == Dialer::First;
        let dials = way.dialer == own_side || (way.dialer == Dialer::Either && is_asker);
        Some(if dials { Act::Dial(meeting) } else { Act::Expect(meeting) })
    }
}

/// Who says something, and through whom.
#[derive(Debug, Clone, Copy)]
struct Voice {
    via: LinkId,
    key: KeyId,
    /// Where the one in between sees it.
    seen: Seen,
}

fn take_random<T>(all: &mut Vec<T>) -> Option<T> {
    let at = u32::from_be_bytes(random_bytes()) as usize;
    (!all.is_empty()).then(|| all.swap_remove(at % all.len()))
}

fn signal(via: LinkId, key: KeyId, said: &Introduction) -> Act {
    Act::Send(via, Frame::Signal { key, seen: None, data: said.encode() })
}

#[cfg(test)]
mod tests;
