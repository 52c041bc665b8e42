//! How far a swarm is with what its channel shows since a publisher pushed it: when half of its peers, and 99 of 100, had
//! begun to fetch it, and when they had all of it.

use std::collections::{BTreeMap, BTreeSet};

use freshet_protocol::{Announce, ContentName, Name, Pointer, RootId};
use serde::Serialize;

use super::limits::UPTAKES_MAX;
use super::member::Member;
use super::swarm::Swarm;

/// How far a swarm is with a version. Peers are told apart while they are connected: one that comes back, or that begins
/// with this version, counts like any other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Uptake {
    /// The content.
    pub content: ContentName,
    /// The channel.
    pub channel: Name,
    /// The version.
    pub version: Name,
    /// Time since the pointer was pushed, in milliseconds.
    pub age_ms: u64,
    /// Peers that had another version then, of which the share of a rollout.
    pub peers: u32,
    /// Peers that have begun since.
    pub started: u32,
    /// Time from the push until half of them had, in milliseconds; none before that.
    pub started_50_ms: Option<u64>,
    /// Time until 99 % of them had.
    pub started_99_ms: Option<u64>,
    /// Peers that have all of it since.
    pub done: u32,
    /// Time until half of them had.
    pub done_50_ms: Option<u64>,
    /// Time until 99 % of them had.
    pub done_99_ms: Option<u64>,
}

/// The version that was pushed last, and how far it is.
#[derive(Debug)]
pub(super) struct Watched {
    channel: Name,
    version: Name,
    /// What those announce who take it: the release, or a patch to it.
    roots: BTreeSet<RootId>,
    sequence: u64,
    pushed_us: u64,
    peers: u32,
    started: Count,
    done: Count,
}

/// A count, and when it reached half of all and 99 of 100.
#[derive(Debug, Default)]
struct Count {
    count: u32,
    half_us: Option<u64>,
    most_us: Option<u64>,
}

impl Count {
    fn add(&mut self, now_us: u64, of: u32) {
        self.count = self.count.saturating_add(1);
        let reached = |percent: u64| u64::from(self.count) * 100 >= u64::from(of) * percent;
        self.half_us = self.half_us.or(reached(50).then_some(now_us));
        self.most_us = self.most_us.or(reached(99).then_some(now_us));
    }
}

impl Watched {
    fn new(now_us: u64, pointer: &Pointer, swarm: &Swarm) -> Self {
        let offer = pointer.offers().last().expect("a pointer shows something");
        let patches = offer.patches().iter().map(|patch| RootId(patch.patch.0));
        let roots: BTreeSet<RootId> = patches.chain([offer.root]).collect();
        let others = swarm.members.values().filter(|member| !roots.contains(&member.release.root)).count();
        let permille = pointer.rollout.as_ref().map_or(1000, |rollout| u64::from(rollout.permille));
        Self {
            channel: pointer.channel.clone(),
            version: offer.version.clone(),
            roots,
            sequence: pointer.sequence,
            pushed_us: now_us,
            peers: (others as u64 * permille).div_ceil(1000) as u32,
            started: Count::default(),
            done: Count::default(),
        }
    }

    fn figures(&self, now_us: u64, content: &ContentName) -> Uptake {
        let since = |at_us: u64| at_us.saturating_sub(self.pushed_us) / 1000;
        Uptake {
            content: content.clone(),
            channel: self.channel.clone(),
            version: self.version.clone(),
            age_ms: since(now_us),
            peers: self.peers,
            started: self.started.count,
            started_50_ms: self.started.half_us.map(since),
            started_99_ms: self.started.most_us.map(since),
            done: self.done.count,
            done_50_ms: self.done.half_us.map(since),
            done_99_ms: self.done.most_us.map(since),
        }
    }
}

/// The versions that are watched, by content. They outlive the swarm: peers leave it while they change over.
#[derive(Debug, Default)]
pub(super) struct Uptakes(BTreeMap<ContentName, Watched>);

impl Uptakes {
    /// A publisher has pushed a pointer. Its signature is not checked here: who may push is believed, and figures are all
    /// that follows from it.
    pub(super) fn watch(&mut self, now_us: u64, swarm: &Swarm, envelope: &[u8]) {
        let Ok(pointer) = Pointer::read_unchecked(envelope) else { return };
        let is_known = self.0.get(&swarm.content).is_some_and(|watched| {
            watched.channel == pointer.channel && watched.sequence >= pointer.sequence
        });
        if pointer.content != swarm.content || is_known {
            return;
        }
        self.0.insert(pointer.content.clone(), Watched::new(now_us, &pointer, swarm));
        if self.0.len() > UPTAKES_MAX
            && let Some(oldest) = self.0.iter().min_by_key(|(_, watched)| watched.pushed_us)
        {
            let oldest = oldest.0.clone();
            self.0.remove(&oldest);
        }
    }

    /// Takes note of what a peer announces, and of what is known of it from before.
    pub(super) fn note(&mut self, now_us: u64, before: Option<(RootId, bool)>, announce: &Announce) {
        let watched = self.0.get_mut(&announce.content);
        let Some(watched) = watched.filter(|watched| watched.roots.contains(&announce.root)) else { return };
        let was_there = before.filter(|(root, _)| watched.roots.contains(root));
        if was_there.is_none() {
            watched.started.add(now_us, watched.peers);
        }
        if announce.left_bytes == 0 && was_there.is_none_or(|(_, was_fetching)| was_fetching) {
            watched.done.add(now_us, watched.peers);
        }
    }

    pub(super) fn figures(&self, now_us: u64) -> Vec<Uptake> {
        self.0.iter().map(|(content, watched)| watched.figures(now_us, content)).collect()
    }
}

/// What [`Uptakes::note`] needs to know of a peer.
pub(super) fn standing(member: &Member) -> (RootId, bool) {
    (member.release.root, member.is_fetching)
}
