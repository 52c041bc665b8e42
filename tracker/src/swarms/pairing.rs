//! Who is paired with whom.
//!
//! A peer that wants links is paired at once, as far as there are partners; what is missing is remembered, and whoever
//! becomes free later is offered to those who wait. Load comes before locality, so that near peers are not drowned.
//!
//! Two of eight links are chosen at random from the whole swarm, since without them it falls into pieces along its lines
//! and its ages. That needs old peers with a place left, so a part of each peer's places is kept for random links and
//! for those who have hardly any link: thus small groups are topped up from whoever is there.

use std::collections::BTreeSet;

use freshet_protocol::{Locality, PeerId, ServerMessage};

use super::config::Config;
use super::failures::Failures;
use super::limits::{LINKS_PER_RANDOM, RANDOM_DRAWS_MAX, SHORTLIST_MAX, SHORTLIST_NEAR_MAX, TOPPED_UP_LINKS};
use super::locality::locality;
use super::member::{Member, OwnPair};
use super::mixer::Mixer;
use super::pair::Pair;
use super::reach::Dialer;
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
enum Among {
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
struct Chooser<'a> {
    now_us: u64,
    config: &'a Config,
    failures: &'a Failures,
    mixer: &'a mut Mixer,
    swarm: &'a Swarm,
    peer: PeerId,
    member: &'a Member,
    among: Among,
}

impl Swarms {
    /// Pairs `peer` as far as it wants links, then offers it to those who wait for partners.
    pub(super) fn match_peer(&mut self, now_us: u64, swarm: u64, peer: PeerId) {
        self.pair_among(now_us, swarm, peer, Among::Open);
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
            let Some((prospect, random)) = chooser.pick(&prospects) else { return };
            prospects.retain(|other| other.peer != prospect.peer);
            self.pair_up(now_us, number, peer, prospect, random);
        }
    }

    fn chooser(&mut self, now_us: u64, swarm: u64, peer: PeerId, among: Among) -> Option<Chooser<'_>> {
        let swarm = self.swarms.get(&swarm)?;
        let member = swarm.members.get(&peer)?;
        let (config, failures, mixer) = (&self.config, &self.failures, &mut self.mixer);
        Some(Chooser { now_us, config, failures, mixer, swarm, peer, member, among })
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
            swarm.add_pair(side, other, OwnPair { pair, random, is_linked: false });
            if let Some(member) = swarm.members.get_mut(&side) {
                member.spend_allowance(now_us, &self.config);
            }
            let (Some(own), Some(theirs)) = (swarm.members.get(&side), swarm.members.get(&other)) else {
                continue;
            };
            let message = ServerMessage::Pair {
                pair,
                content: swarm.content.clone(),
                peer: other,
                key: theirs.key,
                candidates: theirs.reach.candidates_for(&own.reach),
                certificates: theirs.reach.certificates_for(&own.reach),
                dial: side == dialer,
                locality: prospect.locality,
                random,
            };
            self.outputs.send(side, message);
        }
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
        let near = self.swarm.near(self.member.address, self.peer, SHORTLIST_NEAR_MAX);
        let mut peers: BTreeSet<_> = match self.among {
            Among::Open => near.collect(),
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

    fn prospect(&mut self, other: PeerId) -> Option<Prospect> {
        let own = self.member;
        let theirs = self.swarm.members.get(&other).filter(|_| other != self.peer)?;
        // One key may have two connections for a while, when a client comes back before its old one is noticed.
        let fits = own.key != theirs.key
            && !own.pairs.contains_key(&other)
            && (own.gives(theirs) || theirs.gives(own))
            && theirs.allowance(self.now_us, self.config) > 0
            && own.reach.route(&theirs.reach).is_some()
            && !self.failures.is_recent(self.now_us, self.peer, other);
        fits.then(|| Prospect {
            is_other_release: own.release != theirs.release,
            load_step: theirs.load() * LOAD_STEPS / usize::from(self.config.links_max),
            locality: locality(own.address, theirs.address),
            load: theirs.load(),
            tie: self.mixer.next(),
            peer: other,
        })
    }
}
