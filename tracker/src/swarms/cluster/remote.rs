//! What other trackers have told of one swarm.

use std::collections::BTreeMap;

use freshet_protocol::PeerId;

use super::message::NodeId;
use crate::swarms::held::Held;
use crate::swarms::member::{Member, Release};

/// The last digest of one tracker.
#[derive(Debug)]
pub(in crate::swarms) struct Told {
    pub(super) told_us: u64,
    pub(in crate::swarms) open: u32,
    pub(in crate::swarms) jobs: u32,
    /// Peers that can be asked for; each once, since it may have found a partner meanwhile.
    pub(in crate::swarms) members: BTreeMap<PeerId, Member>,
    pub(in crate::swarms) taken: BTreeMap<Release, Held>,
}

/// The last digests of all of them.
#[derive(Debug, Default)]
pub(in crate::swarms) struct Remote {
    nodes: BTreeMap<NodeId, Told>,
}

impl Remote {
    /// Takes over a digest; whether it is the tracker's first.
    pub(super) fn tell(&mut self, node: NodeId, told: Told) -> bool {
        self.nodes.insert(node, told).is_none()
    }

    /// Forgets a tracker; whether it was known.
    pub(super) fn forget(&mut self, node: NodeId) -> bool {
        self.nodes.remove(&node).is_some()
    }

    pub(in crate::swarms) fn told(&self, node: NodeId) -> Option<&Told> {
        self.nodes.get(&node)
    }

    pub(in crate::swarms) fn nodes(&self) -> impl Iterator<Item = (NodeId, &Told)> {
        self.nodes.iter().map(|(&node, told)| (node, told))
    }

    /// Peers that still fetch.
    pub(in crate::swarms) fn jobs(&self) -> u32 {
        self.nodes.values().fold(0, |sum, told| sum.saturating_add(told.jobs))
    }

    /// Peers that can take a further link, those without a card too.
    pub(in crate::swarms) fn open(&self) -> usize {
        self.nodes.values().map(|told| told.open as usize).sum()
    }

    /// Peers with a card.
    pub(in crate::swarms) fn members(&self) -> impl Iterator<Item = (NodeId, PeerId, &Member)> {
        self.nodes
            .iter()
            .flat_map(|(&node, told)| told.members.iter().map(move |(&peer, member)| (node, peer, member)))
    }

    /// Takes a peer out: nobody else asks for it before the next digest.
    pub(super) fn take(&mut self, node: NodeId, peer: PeerId) -> Option<Member> {
        self.nodes.get_mut(&node)?.members.remove(&peer)
    }

    /// Forgets whom a tracker could be asked for.
    pub(super) fn distrust(&mut self, node: NodeId) {
        if let Some(told) = self.nodes.get_mut(&node) {
            told.members.clear();
        }
    }
}
