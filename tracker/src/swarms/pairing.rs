//! Who is paired with whom.
//!
//! A peer that wants links is paired at once, as far as there are partners; what is missing is remembered, and whoever
//! becomes free later is offered to those who wait. Load comes before locality, so that near peers are not drowned.
//!
//! Two of eight links are chosen at random from the whole swarm, since without them it falls into pieces along its lines
//! and its ages. That needs old peers with a place left, so a part of each peer's places is kept for random links and
//! for those who have hardly any link: thus small groups are topped up from whoever is there.

use std::collections::BTreeSet;

use freshet_protocol::{ContentName, Dialer, Locality, PeerId, ServerMessage};

use super::cluster::NodeId;
use super::config::Config;
use super::failures::Failures;
use super::limits::{LINKS_PER_RANDOM, RANDOM_DRAWS_MAX, SHORTLIST_MAX, SHORTLIST_NEAR_MAX, TOPPED_UP_LINKS};
use super::member::{Member, OwnPair};
use super::mixer::Mixer;
use super::odds::Odds;
use super::pair::Pair;
use super::roster::Roster;
use super::state::Swarms;
use super::swarm::Swarm;
use super::timers::Timer;

/// Loads within the same of so many steps count as equal when locality is weighed.
const LOAD_STEPS: usize = 4;

/// A possible partner. The order is the order of preference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Prospect {
    is_other_release: bool,
    load_step: usize,
    locality: Locality,
    load: usize,
    tie: u64,
    peer: PeerId,
}

/// Where partners are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Among {
    /// All that can take a link: for a peer that wants some.
    Open,
    /// Those that want a link: for a peer that can take some.
    Waiting,
}

impl Among {
    fn roster(self, swarm: &Swarm) -> &Roster {
        match self {
            Self::Open => &swarm.open,
            Self::Waiting => &swarm.waiting,
        }
    }
}

/// What choosing looks at.
pub(super) struct Chooser<'a> {
    now_us: u64,
    config: &'a Config,
    failures: &'a Failures,
    odds: &'a Odds,
    mixer: &'a mut Mixer,
    swarm: &'a Swarm,
    peer: PeerId,
    member: &'a Member,
    among: Among,
}

impl Swarms {
    /// Pairs `peer` as far as it wants links, here first, then offers it to those who wait for partners.
    pub(super) fn match_peer(&mut self, now_us: u64, swarm: u64, peer: PeerId) {
        self.pair_among(now_us, swarm, peer, Among::Open);
        self.ask_elsewhere(now_us, swarm, peer);
        self.pair_among(now_us, swarm, peer, Among::Waiting);
    }

    fn pair_among(&mut self, now_us: u64, number: u64, peer: PeerId, among: Among) {
        let Some(mut chooser) = self.chooser(now_us, number, peer, among) else { return };
        let count = chooser.count();
        if count == 0 {
            return;
        }
        let mut prospects = chooser.shortlist();
        for _ in 0..count {
            let Some(mut chooser) = self.chooser(now_us, number, peer, among) else { return };
            if chooser.draws_elsewhere() && self.ask_one_elsewhere(now_us, number, peer, true) {
                continue;
            }
            let Some(mut chooser) = self.chooser(now_us, number, peer, among) else { return };
            let Some((prospect, random)) = chooser.pick(&prospects) else { return };
            prospects.retain(|other| other.peer != prospect.peer);
            self.pair_up(now_us, number, peer, prospect, random);
        }
    }

    pub(super) fn chooser(
        &mut self,
        now_us: u64,
        swarm: u64,
        peer: PeerId,
        among: Among,
    ) -> Option<Chooser<'_>> {
        let swarm = self.swarms.get(&swarm)?;
        let member = swarm.members.get(&peer)?;
        let (config, failures, odds, mixer) = (&self.config, &self.failures, &self.odds, &mut self.mixer);
        Some(Chooser { now_us, config, failures, odds, mixer, swarm, peer, member, among })
    }

    fn pair_up(&mut self, now_us: u64, number: u64, peer: PeerId, prospect: Prospect, random: bool) {
        let Some(swarm) = self.swarms.get_mut(&number) else { return };
        let other = prospect.peer;
        let route = match (swarm.members.get(&peer), swarm.members.get(&other)) {
            (Some(own), Some(theirs)) => own.reach.route(&theirs.reach),
            _ => None,
        };
        let (dialer, acceptor) = match route {
            None => return,
            Some(Dialer::First) => (peer, other),
            Some(Dialer::Second) => (other, peer),
            Some(Dialer::Either) => (peer.min(other), peer.max(other)),
        };
        let pair = self.pairs.add(Pair::new(number, dialer, acceptor));
        self.timers.set(Timer::Pair(pair), Some(now_us.saturating_add(self.config.pair_timeout_us)));
        self.counters.pairs_total += 1;
        for (side, other) in [(dialer, acceptor), (acceptor, dialer)] {
            let Some(key) = swarm.members.get(&other).map(|member| member.key) else { continue };
            swarm.add_pair(side, other, OwnPair { pair, key, random, is_linked: false });
            if let Some(member) = swarm.members.get_mut(&side) {
                member.spend_allowance(now_us, &self.config);
            }
            let (Some(own), Some(theirs)) = (swarm.members.get(&side), swarm.members.get(&other)) else {
                continue;
            };
            let (content, dial, locality) = (swarm.content.clone(), side == dialer, prospect.locality);
            self.outputs
                .send(side, pair_message(pair, content, own, (other, theirs), dial, locality, random));
        }
    }
}

/// What tells `own` of its partner.
pub(super) fn pair_message(
    pair: u64,
    content: ContentName,
    own: &Member,
    (peer, theirs): (PeerId, &Member),
    dial: bool,
    locality: Locality,
    random: bool,
) -> ServerMessage {
    ServerMessage::Pair {
        pair,
        content,
        peer,
        key: theirs.key,
        candidates: theirs.reach.candidates_for(&own.reach),
        certificates: theirs.reach.certificates_for(&own.reach),
        dial,
        locality,
        random,
    }
}

impl Chooser<'_> {
    /// Most pairs to make.
    fn count(&self) -> usize {
        let room = self.swarm.room(self.member).min(self.member.allowance(self.now_us, self.config));
        match self.among {
            Among::Open => room.min(self.member.wanted()),
            Among::Waiting => room,
        }
    }

    /// Possible partners, best first. A small swarm is looked at whole, a large one is sampled.
    fn shortlist(&mut self) -> Vec<Prospect> {
        let near = |area| self.swarm.near(area, self.peer, SHORTLIST_NEAR_MAX);
        let mut peers: BTreeSet<_> = match self.among {
            Among::Open => self.member.place().areas().flat_map(near).take(SHORTLIST_MAX / 2).collect(),
            Among::Waiting => BTreeSet::new(),
        };
        let count = SHORTLIST_MAX - peers.len();
        peers.extend(self.among.roster(self.swarm).sample(self.mixer, count));
        let mut prospects: Vec<_> = peers.into_iter().filter_map(|other| self.prospect(other)).collect();
        prospects.sort_unstable();
        prospects
    }

    /// The next partner, and whether it was chosen at random.
    fn pick(&mut self, prospects: &[Prospect]) -> Option<(Prospect, bool)> {
        if self.member.needs_random()
            && let Some(prospect) = self.at_random()
        {
            return Some((prospect, true));
        }
        let has_place = |prospect: &&Prospect| match self.among {
            Among::Open => self.is_spare(self.member.load(), prospect.load),
            Among::Waiting => self.is_spare(prospect.load, self.member.load()),
        };
        prospects.iter().find(has_place).map(|&prospect| (prospect, false))
    }

    /// Whether one with `acceptor_load` links takes on one that has `asker_load`, when that is not a random choice.
    fn is_spare(&self, asker_load: usize, acceptor_load: usize) -> bool {
        let links_max = usize::from(self.config.links_max);
        acceptor_load < links_max - links_max / LINKS_PER_RANDOM || asker_load < TOPPED_UP_LINKS
    }

    fn at_random(&mut self) -> Option<Prospect> {
        (0..RANDOM_DRAWS_MAX).find_map(|_| {
            let other = self.among.roster(self.swarm).draw(self.mixer)?;
            self.prospect(other)
        })
    }

    /// Whether the next partner is to be one of another tracker, drawn at random: as often as the draw among all peers
    /// of the swarm would meet one.
    fn draws_elsewhere(&mut self) -> bool {
        let (here, elsewhere) = (self.swarm.open.len(), self.swarm.remote.open());
        self.among == Among::Open
            && elsewhere > 0
            && self.member.needs_random()
            && self.mixer.below(here + elsewhere) >= here
    }

    /// The peer of another tracker that is to be asked for next, the best or a random one.
    pub(super) fn elsewhere(&mut self, random: bool) -> Option<(NodeId, PeerId)> {
        if self.count() == 0 {
            return None;
        }
        let swarm = self.swarm;
        let prospects = swarm.remote.members().filter_map(|(node, other, theirs)| {
            let prospect = self.prospect_of(other, theirs)?;
            (random || self.is_spare(self.member.load(), prospect.load)).then_some((prospect, node))
        });
        let order = |&(prospect, _): &(Prospect, NodeId)| match random {
            true => Prospect {
                is_other_release: false,
                load_step: 0,
                locality: Locality::Any,
                load: 0,
                ..prospect
            },
            false => prospect,
        };
        prospects.min_by_key(order).map(|(prospect, node)| (node, prospect.peer))
    }

    /// Whether the own peer takes a link with another tracker's: how near that one is.
    pub(super) fn accepts(&mut self, other: PeerId, theirs: &Member, random: bool) -> Option<Locality> {
        let has_place = self.count() > 0 && (random || self.is_spare(theirs.load(), self.member.load()));
        self.prospect_of(other, theirs).filter(|_| has_place).map(|prospect| prospect.locality)
    }

    fn prospect(&mut self, other: PeerId) -> Option<Prospect> {
        let swarm = self.swarm;
        let theirs = swarm.members.get(&other)?;
        self.prospect_of(other, theirs)
    }

    fn prospect_of(&mut self, other: PeerId, theirs: &Member) -> Option<Prospect> {
        let own = self.member;
        // One key may have two connections for a while, when a client comes back before its old one is noticed, or to
        // another tracker.
        let fits = other != self.peer
            && own.key != theirs.key
            && !own.pairs.values().any(|pair| pair.key == theirs.key)
            && (own.gives(theirs) || theirs.gives(own))
            && theirs.allowance(self.now_us, self.config) > 0
            && own.reach.route(&theirs.reach).is_some()
            && !self.failures.is_recent(self.now_us, self.peer, other)
            && self.odds.is_worth_trying(own.kind(), theirs.kind(), self.mixer);
        let locality = own.place().locality(theirs.place());
        fits.then(|| Prospect {
            is_other_release: own.release != theirs.release,
            load_step: theirs.load() * LOAD_STEPS / usize::from(self.config.links_max),
            locality,
            load: theirs.load(),
            tie: self.mixer.next(),
            peer: other,
        })
    }
}
