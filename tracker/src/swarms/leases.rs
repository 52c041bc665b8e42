//! First copies of one release: who fetches which shard from the origin, so that the origin sends about one copy.
//!
//! A shard is held (a sharing peer has it), leased, seen to by another tracker, or free. A lease goes to one client at a time,
//! and to a second one only when it is old and nothing else is left to give.

use std::collections::{BTreeMap, BTreeSet};

use freshet_protocol::PeerId;
use freshet_protocol::limits::SHARDS_PER_MESSAGE_MAX;

use super::asks::Asks;
use super::away::Away;
use super::cluster::NodeId;
use super::config::Config;
use super::free_runs::FreeRuns;
use super::held::Held;
use super::limits::{ASK_SWEEP_US, CLIENT_LEASES_MAX, LEASE_HOLDERS_MAX, PART_US, UNITE_US};

/// A lease is old when it has taken so many times the mean.
const OLD_LEASE_MEANS: u64 = 3;
/// Weight of the mean against a new sample, as a power of two.
const MEAN_SHIFT: u32 = 3;

#[derive(Debug, Clone, Copy)]
struct Grant {
    client: PeerId,
    since_us: u64,
}

/// What a client has on lease.
#[derive(Debug)]
struct Lessee {
    shards: BTreeSet<u32>,
    /// Where its next shard would continue its last one.
    cursor: u32,
    fresh_us: u64,
}

#[derive(Debug)]
pub(super) struct Leases {
    /// Sharing peers that hold a shard; those that hold the whole release count in `whole_holders` only.
    holders: Vec<u32>,
    whole_holders: u32,
    away: Away,
    free: FreeRuns,
    grants: BTreeMap<u32, Vec<Grant>>,
    /// Shards with a single lease, oldest first.
    single: BTreeSet<(u64, u32)>,
    lessees: BTreeMap<PeerId, Lessee>,
    fresh: BTreeSet<(u64, PeerId)>,
    asks: Asks,
    /// Whether a shard has become free since clients that wait were last served.
    has_freed: bool,
    /// Mean time from grant to done, in microseconds; zero before the first.
    mean_us: u64,
    swept_us: u64,
    again_us: u64,
    fresh_for_us: u64,
}

impl Leases {
    pub(super) fn new(shards: u32, config: &Config) -> Self {
        let mut free = FreeRuns::default();
        (0..shards).for_each(|shard| free.put(shard));
        Self {
            holders: vec![0; shards as usize],
            whole_holders: 0,
            away: Away::default(),
            free,
            grants: BTreeMap::new(),
            single: BTreeSet::new(),
            lessees: BTreeMap::new(),
            fresh: BTreeSet::new(),
            asks: Asks::default(),
            has_freed: false,
            mean_us: 0,
            swept_us: 0,
            again_us: config.lease_again_us,
            fresh_for_us: config.lease_fresh_us,
        }
    }

    /// Number of leases.
    pub(super) fn count(&self) -> usize {
        self.lessees.values().map(|lessee| lessee.shards.len()).sum()
    }

    /// Takes over that `peer`, which held `old`, now holds `new`.
    pub(super) fn update(&mut self, now_us: u64, peer: PeerId, old: &Held, new: &Held) {
        let was_whole = self.whole_holders > 0;
        self.whole_holders += u32::from(*new == Held::All);
        self.whole_holders -= u32::from(*old == Held::All);
        let changes = Held::changes(old, new);
        for &(shard, is_held) in &changes {
            if let Some(holders) = self.holders.get_mut(shard as usize) {
                *holders = if is_held { *holders + 1 } else { *holders - 1 };
            }
        }
        if was_whole != (self.whole_holders > 0) {
            (0..self.shards()).for_each(|shard| self.settle(now_us, shard, Some(peer)));
        } else {
            changes.iter().for_each(|&(shard, _)| self.settle(now_us, shard, Some(peer)));
        }
    }

    /// Leaves part of the shards to other trackers at first.
    pub(super) fn divide(&mut self, now_us: u64, own: NodeId, others: &[NodeId]) {
        self.away.divide(own, others, self.shards(), now_us.saturating_add(PART_US));
        (0..self.shards()).for_each(|shard| self.settle(now_us, shard, None));
    }

    /// Takes over which shards another tracker sees to; `None` where it does not say.
    pub(super) fn tell(&mut self, now_us: u64, node: NodeId, taken: Option<&Held>) {
        match taken {
            Some(taken) => {
                let old = self.away.tell(node, taken.clone());
                self.settle_changes(now_us, &old, taken);
            }
            None => {
                let left = self.away.tell_nothing(node);
                self.settle_all(now_us, &left);
            }
        }
    }

    /// Another tracker is gone.
    pub(super) fn forget(&mut self, now_us: u64, node: NodeId) {
        let left = self.away.forget(node);
        self.settle_all(now_us, &left);
    }

    /// The shards that need no further first copy, as far as peers of this tracker go.
    pub(super) fn taken(&self) -> Held {
        let is_taken = |shard: u32| {
            self.whole_holders > 0
                || self.holders.get(shard as usize).is_some_and(|&holders| holders > 0)
                || self.grants.contains_key(&shard)
        };
        Held::of(self.shards(), is_taken)
    }

    /// Grants up to `want` shards to `client`, at most its fair share among `jobs` clients, and remembers what is
    /// missing.
    pub(super) fn ask(&mut self, now_us: u64, client: PeerId, want: u32, jobs: u32) -> Vec<u32> {
        let granted = self.grant(now_us, client, want, jobs);
        self.asks.remember(client, want.saturating_sub(granted.len() as u32));
        granted
    }

    /// Grants to clients that asked before, first come first served, what has become free since.
    pub(super) fn serve_asks(&mut self, now_us: u64, jobs: u32) -> Vec<(PeerId, Vec<u32>)> {
        self.swept_us = now_us;
        self.has_freed = false;
        let mut served = Vec::new();
        let mut order = 0;
        while let Some((next, client, want)) = self.asks.from(order) {
            order = next;
            if self.free.count() == 0 && self.old_count(now_us) == 0 {
                break;
            }
            let granted = self.grant(now_us, client, want, jobs);
            if !granted.is_empty() {
                self.asks.got(client, granted.len() as u32);
                served.push((client, granted));
            }
        }
        served
    }

    /// Whether shards have become free for which clients wait.
    pub(super) fn can_serve_asks(&self) -> bool {
        self.has_freed && !self.asks.is_empty()
    }

    /// Notes a sign of life of `client`.
    pub(super) fn touch(&mut self, now_us: u64, client: PeerId) {
        if let Some(lessee) = self.lessees.get_mut(&client) {
            self.fresh.remove(&(lessee.fresh_us, client));
            lessee.fresh_us = now_us;
            self.fresh.insert((now_us, client));
        }
    }

    /// Frees what `client` has on lease and forgets what it asked for.
    pub(super) fn release(&mut self, now_us: u64, client: PeerId) {
        self.asks.forget(client);
        if let Some(lessee) = self.lessees.remove(&client) {
            self.fresh.remove(&(lessee.fresh_us, client));
            for shard in lessee.shards {
                self.drop_grant(shard, client);
                self.settle(now_us, shard, Some(client));
            }
        }
    }

    /// Frees the leases of clients without a sign of life, and what other trackers have not taken in time.
    pub(super) fn expire(&mut self, now_us: u64) {
        let left = self.away.expire(now_us);
        self.settle_all(now_us, &left);
        while let Some(&(fresh_us, client)) = self.fresh.first() {
            if now_us < fresh_us.saturating_add(self.fresh_for_us) {
                break;
            }
            self.release(now_us, client);
        }
    }

    /// When [`Leases::expire`] or [`Leases::serve_asks`] may have something to do.
    pub(super) fn next_timeout(&self) -> Option<u64> {
        let expiry = self.fresh.first().map(|&(fresh_us, _)| fresh_us.saturating_add(self.fresh_for_us));
        let is_waiting = !self.asks.is_empty() && self.free.count() == 0;
        let old = self.single.first().filter(|_| is_waiting).map(|&(since_us, _)| {
            since_us.saturating_add(self.old_age_us()).max(self.swept_us.saturating_add(ASK_SWEEP_US))
        });
        [expiry, old, self.away.next_timeout()].into_iter().flatten().min()
    }

    fn shards(&self) -> u32 {
        self.holders.len() as u32
    }

    fn grant(&mut self, now_us: u64, client: PeerId, want: u32, jobs: u32) -> Vec<u32> {
        let on_lease = self.lessees.get(&client).map_or(0, |lessee| lessee.shards.len());
        let room = CLIENT_LEASES_MAX.saturating_sub(on_lease).min(SHARDS_PER_MESSAGE_MAX);
        let budget = (want as usize).min(room);
        if budget > 0 && self.free.count() == 0 {
            self.away.unite(now_us.saturating_add(UNITE_US));
        }
        let fair_share = |remaining: u32| (remaining.div_ceil(jobs.max(1)).max(1) as usize).min(budget);
        let granted = if self.free.count() > 0 {
            self.grant_free(client, fair_share(self.free.count()))
        } else {
            self.pick_old(now_us, client, fair_share(self.old_count(now_us)))
        };
        for &shard in &granted {
            self.add_grant(now_us, shard, client);
        }
        granted
    }

    fn grant_free(&mut self, client: PeerId, count: usize) -> Vec<u32> {
        let mut cursor = self.lessees.get(&client).map_or(u32::MAX, |lessee| lessee.cursor);
        let mut granted = Vec::new();
        while granted.len() < count {
            let is_active = |heir| self.lessees.contains_key(&heir);
            let Some(shard) = self.free.take_next(client, cursor, is_active) else {
                break;
            };
            cursor = shard + 1;
            granted.push(shard);
        }
        granted
    }

    fn pick_old(&self, now_us: u64, client: PeerId, count: usize) -> Vec<u32> {
        let is_others = |shard: &u32| {
            self.grants.get(shard).is_some_and(|grants| grants.iter().all(|grant| grant.client != client))
        };
        self.old(now_us).filter(is_others).take(count).collect()
    }

    /// Shards with a single lease that is old, oldest first.
    fn old(&self, now_us: u64) -> impl Iterator<Item = u32> {
        let latest_us = now_us.checked_sub(self.old_age_us());
        self.single
            .iter()
            .take_while(move |&&(since_us, _)| latest_us.is_some_and(|latest_us| since_us <= latest_us))
            .map(|&(_, shard)| shard)
    }

    fn old_count(&self, now_us: u64) -> u32 {
        self.old(now_us).count() as u32
    }

    fn old_age_us(&self) -> u64 {
        self.again_us.max(self.mean_us.saturating_mul(OLD_LEASE_MEANS))
    }

    fn add_grant(&mut self, now_us: u64, shard: u32, client: PeerId) {
        let grants = self.grants.entry(shard).or_default();
        debug_assert!(grants.len() < LEASE_HOLDERS_MAX, "free shards have no lease, old ones a single one");
        if let Some(first) = grants.first() {
            self.single.remove(&(first.since_us, shard));
        } else {
            self.single.insert((now_us, shard));
        }
        grants.push(Grant { client, since_us: now_us });
        let lessee = self.lessees.entry(client).or_insert_with(|| {
            self.fresh.insert((now_us, client));
            Lessee { shards: BTreeSet::new(), cursor: 0, fresh_us: now_us }
        });
        lessee.shards.insert(shard);
        lessee.cursor = shard + 1;
    }

    /// Takes a lease off a shard; the caller settles the shard.
    fn drop_grant(&mut self, shard: u32, client: PeerId) {
        let Some(grants) = self.grants.get_mut(&shard) else {
            return;
        };
        grants.iter().for_each(|grant| {
            self.single.remove(&(grant.since_us, shard));
        });
        grants.retain(|grant| grant.client != client);
        match grants.first() {
            Some(left) => {
                self.single.insert((left.since_us, shard));
            }
            None => {
                self.grants.remove(&shard);
            }
        }
    }

    /// Settles shards that are no longer left to other trackers.
    fn settle_all(&mut self, now_us: u64, left: &[Held]) {
        left.iter().for_each(|left| self.settle_changes(now_us, left, &Held::None));
    }

    /// Settles the shards in which two sets of another tracker differ.
    fn settle_changes(&mut self, now_us: u64, old: &Held, new: &Held) {
        if (*old == Held::All) != (*new == Held::All) {
            (0..self.shards()).for_each(|shard| self.settle(now_us, shard, None));
        } else {
            for (shard, _) in Held::changes(old, new) {
                self.settle(now_us, shard, None);
            }
        }
    }

    /// Brings leases and free shards in line with who holds `shard`; `by` is the peer through whom that changed.
    fn settle(&mut self, now_us: u64, shard: u32, by: Option<PeerId>) {
        let is_held = self.whole_holders > 0 || self.holders.get(shard as usize).is_none_or(|&n| n > 0);
        if !is_held {
            if self.away.has(shard) {
                // What is on lease here too is being fetched already.
                self.free.take(shard, None);
            } else if !self.grants.contains_key(&shard) {
                self.free.put(shard);
                self.has_freed = true;
            }
            return;
        }
        self.free.take(shard, None);
        for grant in self.grants.remove(&shard).unwrap_or_default() {
            self.single.remove(&(grant.since_us, shard));
            if Some(grant.client) == by {
                self.learn(now_us.saturating_sub(grant.since_us));
            }
            if let Some(lessee) = self.lessees.get_mut(&grant.client) {
                lessee.shards.remove(&shard);
            }
        }
    }

    fn learn(&mut self, taken_us: u64) {
        self.mean_us = match self.mean_us {
            0 => taken_us,
            mean => mean - (mean >> MEAN_SHIFT) + (taken_us >> MEAN_SHIFT),
        };
    }
}
