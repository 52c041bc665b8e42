//! Who is paired with whom.
//!
//! A peer that wants links is paired at once, as far as there are partners; what is missing is remembered, and whoever
//! becomes free later is offered to those who wait. Load comes before locality, so that near peers are not drowned; two
//! of eight links are chosen at random, since without them a swarm falls into pieces along its lines. What is preferred
//! is a preference only: a small group is topped up from whoever is left.

use freshet_protocol::{Locality, PeerId, ServerMessage};

use super::config::Config;
use super::failures::Failures;
use super::limits::{SHORTLIST_MAX, SHORTLIST_NEAR_MAX};
use super::locality::locality;
use super::member::{Member, OwnPair};
use super::mixer::Mixer;
use super::pair::Pair;
use super::reach::Dialer;
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

/// What choosing looks at beside the swarm.
struct Chooser<'a> {
    now_us: u64,
    config: &'a Config,
    failures: &'a Failures,
    mixer: &'a mut Mixer,
}

impl Swarms {
    /// Pairs `peer` as far as it wants links, then offers it to those who wait for partners.
    pub(super) fn match_peer(&mut self, now_us: u64, swarm: u64, peer: PeerId) {
        self.pair_among(now_us, swarm, peer, Among::Open);
        self.pair_among(now_us, swarm, peer, Among::Waiting);
    }

    fn pair_among(&mut self, now_us: u64, number: u64, peer: PeerId, among: Among) {
        let Some(swarm) = self.swarms.get(&number) else { return };
        let Some(member) = swarm.members.get(&peer) else { return };
        let room = swarm.room(member).min(member.allowance(now_us, &self.config));
        let count = match among {
            Among::Open => room.min(member.wanted()),
            Among::Waiting => room,
        };
        if count == 0 {
            return;
        }
        let mut chooser =
            Chooser { now_us, config: &self.config, failures: &self.failures, mixer: &mut self.mixer };
        let mut prospects = chooser.shortlist(swarm, (peer, member), among);
        for _ in 0..count.min(prospects.len()) {
            let is_random = self.needs_random(number, peer);
            let place = if is_random { self.mixer.below(prospects.len()) } else { 0 };
            let prospect = prospects.remove(place);
            self.pair_up(now_us, number, peer, prospect, is_random);
        }
    }

    fn needs_random(&self, swarm: u64, peer: PeerId) -> bool {
        self.swarms.get(&swarm).and_then(|swarm| swarm.members.get(&peer)).is_some_and(Member::needs_random)
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
                dial: side == dialer,
                locality: prospect.locality,
                random,
            };
            self.outputs.send(side, message);
        }
    }
}

impl Chooser<'_> {
    /// Possible partners of a peer, best first. A small swarm is looked at whole, a large one is sampled.
    fn shortlist(&mut self, swarm: &Swarm, (peer, member): (PeerId, &Member), among: Among) -> Vec<Prospect> {
        let mut peers = match among {
            Among::Open => swarm.open.sample(self.mixer, SHORTLIST_MAX - SHORTLIST_NEAR_MAX),
            Among::Waiting => swarm.waiting.sample(self.mixer, SHORTLIST_MAX),
        };
        if among == Among::Open {
            peers.extend(swarm.near(member.address, peer, SHORTLIST_NEAR_MAX));
        }
        peers.remove(&peer);
        let mut prospects: Vec<_> =
            peers.into_iter().filter_map(|other| self.prospect(swarm, (peer, member), other)).collect();
        prospects.sort_unstable();
        prospects
    }

    fn prospect(&mut self, swarm: &Swarm, (peer, own): (PeerId, &Member), other: PeerId) -> Option<Prospect> {
        let theirs = swarm.members.get(&other)?;
        // One key may have two connections for a while, when a client comes back before its old one is noticed.
        let fits = own.key != theirs.key
            && !own.pairs.contains_key(&other)
            && (own.gives(theirs) || theirs.gives(own))
            && theirs.allowance(self.now_us, self.config) > 0
            && own.reach.route(&theirs.reach).is_some()
            && !self.failures.is_recent(self.now_us, peer, other);
        let links_max = usize::from(self.config.links_max);
        fits.then(|| Prospect {
            is_other_release: own.release != theirs.release,
            load_step: theirs.load() * LOAD_STEPS / links_max,
            locality: locality(own.address, theirs.address),
            load: theirs.load(),
            tie: self.mixer.next(),
            peer: other,
        })
    }
}
