//! What this tracker tells others of its swarms, and what it makes of what they tell.
//!
//! A swarm is told when somebody joins it or shards are granted, and from time to time. All digests together have a pace:
//! what is over it waits, so that many swarms, or a broker that comes back, make no storm.

use std::collections::BTreeMap;

use freshet_protocol::PeerId;

use super::card::Card;
use super::message::{ClusterMessage, Digest, NodeId, Taken, To};
use super::remote::Told;
use crate::swarms::held::Held;
use crate::swarms::leases::Leases;
use crate::swarms::limits::{
    CARDS_MAX, DIGEST_INTERVAL_MIN_US, DIGEST_INTERVAL_US, DIGEST_LIFE_US, DIGEST_SOON_US, DIGEST_TAKERS_MAX,
    REMOTE_CARDS_MAX, TAKEN_RELEASES_MAX,
};
use crate::swarms::member::Release;
use crate::swarms::state::Swarms;
use crate::swarms::swarm::Swarm;
use crate::swarms::timers::Timer;

impl Swarms {
    /// Something of a swarm has changed that others should know soon.
    pub(in crate::swarms) fn digest_soon(&mut self, now_us: u64, number: u64) {
        let Some(swarm) = self.swarms.get(&number).filter(|_| self.cluster.own().is_some()) else { return };
        let soon_us = now_us.saturating_add(self.mixer.around_us(DIGEST_SOON_US));
        let due_us = soon_us.max(swarm.digest_us.saturating_add(DIGEST_INTERVAL_MIN_US));
        let timer = Timer::Digest(number);
        if self.timers.due(timer).is_none_or(|old_us| due_us < old_us) {
            self.timers.set(timer, Some(due_us));
        }
    }

    /// Tells others of a swarm, if the pace allows it.
    pub(in crate::swarms) fn digest_due(&mut self, now_us: u64, number: u64) {
        let timer = Timer::Digest(number);
        if self.cluster.rate.ready_us(self.cluster.meter) > now_us {
            let wait_us = 1 + self.mixer.below_u64(DIGEST_INTERVAL_US);
            return self.timers.set(timer, Some(now_us.saturating_add(wait_us)));
        }
        let Some(swarm) = self.swarms.get_mut(&number) else { return };
        swarm.digest_us = now_us;
        let open = swarm.open.sample(&mut self.mixer, CARDS_MAX);
        let cards = open.into_iter().filter_map(|peer| Some(Card::new(peer, swarm.members.get(&peer)?)));
        let digest = Digest {
            content: swarm.content.clone(),
            open: u32::try_from(swarm.open.len()).unwrap_or(u32::MAX),
            jobs: swarm.jobs,
            cards: cards.collect(),
            taken: taken(swarm),
        };
        self.cluster.rate.count(&mut self.cluster.meter, now_us);
        self.say(To::All, ClusterMessage::Digest(digest));
        let due_us = now_us.saturating_add(self.mixer.around_us(DIGEST_INTERVAL_US));
        self.timers.set(timer, Some(due_us));
    }

    /// Tells others that a swarm has nobody any more, who are not to ask for its peers.
    pub(in crate::swarms) fn digest_of_none(&mut self, now_us: u64, swarm: &Swarm) {
        self.cluster.cards -= swarm.remote.members().count();
        // Where many swarms end at once, others forget some of them by themselves.
        if self.cluster.own().is_some() && self.cluster.rate.ready_us(self.cluster.meter) <= now_us {
            self.cluster.rate.count(&mut self.cluster.meter, now_us);
            let (content, cards, taken) = (swarm.content.clone(), Vec::new(), Vec::new());
            self.say(To::All, ClusterMessage::Digest(Digest { content, open: 0, jobs: 0, cards, taken }));
        }
    }

    pub(super) fn heard_digest(&mut self, now_us: u64, from: NodeId, digest: Digest) {
        let Some(&number) = self.names.get(&digest.content) else { return };
        self.count_cards_out(number, from);
        let Some(swarm) = self.swarms.get_mut(&number) else { return };
        let is_news = if digest.open == 0 && digest.jobs == 0 {
            swarm.remote.forget(from);
            false
        } else {
            let room = REMOTE_CARDS_MAX - self.cluster.cards;
            let members: BTreeMap<PeerId, _> = digest
                .cards
                .iter()
                .take(room)
                .map(|card| (card.peer, card.member(now_us, &digest.content, &self.config)))
                .collect();
            self.cluster.cards += members.len();
            let mut taken: BTreeMap<Release, Held> = BTreeMap::new();
            for Taken { root, chunks, shards } in digest.taken {
                let release = Release { root, chunks };
                taken.insert(release, Held::of_summary(&shards, release.shards()));
            }
            // Who has all of it can be asked for everything.
            for member in members.values().filter(|member| *member.offered() == Held::All) {
                taken.insert(member.release, Held::All);
            }
            swarm
                .remote
                .tell(from, Told { told_us: now_us, open: digest.open, jobs: digest.jobs, members, taken })
        };
        swarm.leases_heard(now_us, from);
        if is_news {
            // It has not heard of this tracker's peers, or forgot them.
            self.digest_soon(now_us, number);
        }
        self.ask_for_waiting(now_us, number);
        self.swarm_changed(now_us, number);
    }

    /// Forgets what a tracker told of a swarm.
    pub(super) fn forget_digest(&mut self, now_us: u64, number: u64, node: NodeId) {
        self.count_cards_out(number, node);
        let Some(swarm) = self.swarms.get_mut(&number) else { return };
        if swarm.remote.forget(node) {
            swarm.leases_heard(now_us, node);
            self.swarm_changed(now_us, number);
        }
    }

    /// Forgets digests that were not renewed for long, each at the end of its life.
    pub(super) fn forget_old_digests(&mut self, now_us: u64) {
        let mut old: Vec<(u64, NodeId)> = Vec::new();
        for (&number, swarm) in &self.swarms {
            let is_old = |told: &Told| told.told_us.saturating_add(DIGEST_LIFE_US) <= now_us;
            old.extend(swarm.remote.nodes().filter(|(_, told)| is_old(told)).map(|(node, _)| (number, node)));
        }
        old.into_iter().for_each(|(number, node)| self.forget_digest(now_us, number, node));
    }

    /// Takes a tracker's cards of a swarm off the count of all.
    pub(super) fn count_cards_out(&mut self, number: u64, node: NodeId) {
        let Some(swarm) = self.swarms.get(&number) else { return };
        self.cluster.cards -= swarm.remote.members().filter(|&(other, _, _)| other == node).count();
    }

    /// Asks for partners for those that wait for some.
    fn ask_for_waiting(&mut self, now_us: u64, number: u64) {
        let Some(swarm) = self.swarms.get(&number) else { return };
        for peer in swarm.waiting.sample(&mut self.mixer, DIGEST_TAKERS_MAX) {
            self.ask_elsewhere(now_us, number, peer);
        }
    }
}

/// Of the releases that most fetch, those shards that need no further first copy.
fn taken(swarm: &Swarm) -> Vec<Taken> {
    let mut releases: Vec<_> = swarm.leases.iter().collect();
    releases.sort_by_key(|(release, _)| std::cmp::Reverse(swarm.spreaders(**release)));
    let taken = |(release, leases): (&Release, &Leases)| Taken {
        root: release.root,
        chunks: release.chunks,
        shards: leases.taken().summary(release.shards()),
    };
    releases.into_iter().take(TAKEN_RELEASES_MAX).map(taken).collect()
}
