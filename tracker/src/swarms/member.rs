//! What is known about one peer in one swarm.

use std::collections::BTreeMap;
use std::net::IpAddr;

use freshet_protocol::{Announce, KeyId, PeerId, RootId, ShardMap};

use super::config::Config;
use super::held::Held;
use super::limits::LINKS_PER_RANDOM;
use super::locality::{Network, Place};
use super::odds::Kind;
use super::reach::Reach;
use super::state::Client;

/// A release as a client describes it. Who lies about the number of chunks is alone with that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Release {
    pub(super) root: RootId,
    pub(super) chunks: u32,
}

impl Release {
    pub(super) fn shards(self) -> u32 {
        ShardMap::new(self.chunks).count()
    }
}

/// A pair, from the side of one of its two peers.
#[derive(Debug, Clone, Copy)]
pub(super) struct OwnPair {
    pub(super) pair: u64,
    /// The other side's.
    pub(super) key: KeyId,
    pub(super) random: bool,
    pub(super) is_linked: bool,
}

#[derive(Debug)]
pub(super) struct Member {
    pub(super) key: KeyId,
    address: IpAddr,
    network: Network,
    pub(super) reach: Reach,
    pub(super) release: Release,
    pub(super) held: Held,
    pub(super) is_fetching: bool,
    pub(super) is_sharing: bool,
    /// Current pairs by the other peer.
    pub(super) pairs: BTreeMap<PeerId, OwnPair>,
    /// Links that the client has and this tracker knows nothing of: made before it started, or by another one.
    foreign_links: usize,
    /// Links that the client wants to have in all.
    links_target: usize,
    allowance: Allowance,
}

impl Member {
    pub(super) fn new(
        now_us: u64,
        Client { key, address, network, .. }: Client,
        announce: &Announce,
        config: &Config,
    ) -> Self {
        let mut member = Self {
            key,
            address,
            network,
            reach: Reach::sanitised(address, network, announce),
            release: Release { root: announce.root, chunks: announce.chunks },
            held: Held::None,
            is_fetching: false,
            is_sharing: false,
            pairs: BTreeMap::new(),
            foreign_links: 0,
            links_target: 0,
            allowance: Allowance { pairs: config.pair_burst, counted_us: now_us },
        };
        member.take_over(announce);
        member
    }

    /// Takes over what the client now says about itself.
    pub(super) fn take_over(&mut self, announce: &Announce) {
        self.release = Release { root: announce.root, chunks: announce.chunks };
        self.held = Held::of_summary(&announce.have, self.release.shards());
        self.is_fetching = announce.left_bytes > 0;
        self.is_sharing = announce.sharing;
        self.reach = Reach::sanitised(self.address, self.network, announce);
        let linked = self.pairs.values().filter(|own| own.is_linked).count();
        self.foreign_links = usize::from(announce.links).saturating_sub(linked);
        self.links_target = usize::from(announce.links) + usize::from(announce.links_wanted);
    }

    /// Where this peer is.
    pub(super) fn place(&self) -> &Place {
        &self.reach.place
    }

    /// What decides whether others can link with this peer.
    pub(super) fn kind(&self) -> Kind {
        Kind { nat: self.reach.nat(), system: self.place().system }
    }

    /// What others can get from this peer.
    pub(super) fn offered(&self) -> &Held {
        if self.is_sharing { &self.held } else { &Held::None }
    }

    /// Links and pairs on the way to one.
    pub(super) fn load(&self) -> usize {
        self.pairs.len() + self.foreign_links
    }

    /// Further links that the client waits for. A pair without an outcome counts as given.
    pub(super) fn wanted(&self) -> usize {
        self.links_target.saturating_sub(self.load())
    }

    /// Whether the next link should be one chosen at random: two of eight are.
    pub(super) fn needs_random(&self) -> bool {
        let random = self.pairs.values().filter(|own| own.random).count();
        (self.load() + 1) / LINKS_PER_RANDOM > random
    }

    /// Whether this peer can ever be of use to another, or another to it.
    pub(super) fn is_idle(&self) -> bool {
        !self.is_fetching && (!self.is_sharing || self.held == Held::None)
    }

    /// Whether this peer hands out something that `other` still needs.
    pub(super) fn gives(&self, other: &Self) -> bool {
        let has_use = if self.release == other.release {
            self.is_fetching || self.held.has_beyond(&other.held)
        } else {
            // Releases of one content have chunks in common.
            self.held != Held::None
        };
        self.is_sharing && other.is_fetching && has_use
    }

    /// Notes that a link has closed: the client says itself whether it wants another.
    pub(super) fn lower_target(&mut self) {
        self.links_target = self.links_target.saturating_sub(1);
    }

    /// Pairs that may be given now.
    pub(super) fn allowance(&self, now_us: u64, config: &Config) -> usize {
        self.allowance.at(now_us, config).pairs.into()
    }

    /// Takes one pair off the allowance.
    pub(super) fn spend_allowance(&mut self, now_us: u64, config: &Config) {
        self.allowance = self.allowance.at(now_us, config);
        self.allowance.pairs = self.allowance.pairs.saturating_sub(1);
    }
}

/// A token bucket: how many pairs a client may be given, so that nobody collects a swarm's addresses.
#[derive(Debug, Clone, Copy)]
struct Allowance {
    pairs: u16,
    counted_us: u64,
}

impl Allowance {
    fn at(self, now_us: u64, config: &Config) -> Self {
        let earned = now_us.saturating_sub(self.counted_us) / config.pair_interval_us;
        let pairs = u64::from(self.pairs).saturating_add(earned).min(config.pair_burst.into());
        Self {
            pairs: u16::try_from(pairs).expect("at most the burst, which is a u16"),
            counted_us: self.counted_us.saturating_add(earned.saturating_mul(config.pair_interval_us)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allowance_refills_with_time() {
        let config = Config { pair_burst: 4, pair_interval_us: 10, ..Config::default() };
        let check = |pairs, now_us, expected| {
            let allowance = Allowance { pairs, counted_us: 100 };
            assert_eq!(allowance.at(now_us, &config).pairs, expected, "{pairs} {now_us}");
        };
        check(0, 100, 0);
        check(0, 109, 0);
        check(0, 110, 1);
        check(0, 125, 2);
        check(3, u64::MAX, 4);
        assert_eq!(Allowance { pairs: 0, counted_us: 100 }.at(125, &config).counted_us, 120);
    }
}
