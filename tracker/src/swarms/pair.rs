//! All pairs, by number.

use std::collections::BTreeMap;

use freshet_protocol::PeerId;

use super::cluster::NodeId;
use super::limits::PAIR_SIGNALS_MAX;

/// Two peers that were named to each other.
#[derive(Debug, Clone)]
pub(super) struct Pair {
    /// Number of the swarm.
    pub(super) swarm: u64,
    pub(super) dialer: PeerId,
    pub(super) acceptor: PeerId,
    pub(super) is_linked: bool,
    /// The side that is another tracker's client, if one is.
    pub(super) elsewhere: Option<Elsewhere>,
    dialer_signals: u16,
    acceptor_signals: u16,
}

/// A side of a pair that is another tracker's client.
#[derive(Debug, Clone, Copy)]
pub(super) struct Elsewhere {
    pub(super) node: NodeId,
    pub(super) peer: PeerId,
    /// Whether that tracker has yet to agree. Until then neither side knows of the pair.
    pub(super) is_asked: bool,
}

impl Pair {
    pub(super) fn new(swarm: u64, dialer: PeerId, acceptor: PeerId) -> Self {
        Self {
            swarm,
            dialer,
            acceptor,
            is_linked: false,
            elsewhere: None,
            dialer_signals: 0,
            acceptor_signals: 0,
        }
    }

    /// One with a side elsewhere.
    pub(super) fn across(swarm: u64, dialer: PeerId, acceptor: PeerId, elsewhere: Elsewhere) -> Self {
        Self { elsewhere: Some(elsewhere), ..Self::new(swarm, dialer, acceptor) }
    }

    /// One that another tracker is asked for; who dials is its to say.
    pub(super) fn asked(swarm: u64, own: PeerId, other: PeerId, node: NodeId) -> Self {
        Self::across(swarm, own, other, Elsewhere { node, peer: other, is_asked: true })
    }

    pub(super) fn is_asked(&self) -> bool {
        self.elsewhere.is_some_and(|elsewhere| elsewhere.is_asked)
    }

    /// A side that is a client of this tracker.
    pub(super) fn own(&self) -> PeerId {
        if self.elsewhere.is_some_and(|elsewhere| elsewhere.peer == self.dialer) {
            self.acceptor
        } else {
            self.dialer
        }
    }

    /// The other side; `None` for who is not part of the pair.
    pub(super) fn other(&self, peer: PeerId) -> Option<PeerId> {
        match peer {
            peer if peer == self.dialer => Some(self.acceptor),
            peer if peer == self.acceptor => Some(self.dialer),
            _ => None,
        }
    }

    /// Counts a signalling message; false when `peer` has sent too many.
    pub(super) fn count_signal(&mut self, peer: PeerId) -> bool {
        let count = if peer == self.dialer { &mut self.dialer_signals } else { &mut self.acceptor_signals };
        *count += 1;
        *count <= PAIR_SIGNALS_MAX
    }
}

#[derive(Debug)]
pub(super) struct Pairs {
    pairs: BTreeMap<u64, Pair>,
    next: u64,
    linked: usize,
}

impl Pairs {
    /// Numbers start at `first`, which differs from one start of a tracker to the next, so that what a client still says
    /// about pairs of an earlier one means no pair.
    pub(super) fn new(first: u64) -> Self {
        Self { pairs: BTreeMap::new(), next: first, linked: 0 }
    }

    pub(super) fn add(&mut self, pair: Pair) -> u64 {
        // Another tracker may have chosen a number that lies ahead.
        while self.pairs.contains_key(&self.next) {
            self.next += 1;
        }
        let number = self.next;
        self.next += 1;
        self.pairs.insert(number, pair);
        number
    }

    /// Adds a pair under a number that another tracker has chosen, and that is free.
    pub(super) fn insert(&mut self, number: u64, pair: Pair) {
        self.pairs.insert(number, pair);
    }

    /// Another tracker agrees to a pair; `dial` where the own side dials.
    pub(super) fn grant(&mut self, number: u64, dial: bool) {
        let Some(pair) = self.pairs.get_mut(&number) else { return };
        let Some(elsewhere) = &mut pair.elsewhere else { return };
        elsewhere.is_asked = false;
        if !dial {
            std::mem::swap(&mut pair.dialer, &mut pair.acceptor);
        }
    }

    /// A pair that `node` has a side of.
    pub(super) fn shared_with(&self, number: u64, node: NodeId) -> Option<&Pair> {
        self.get(number).filter(|pair| pair.elsewhere.is_some_and(|elsewhere| elsewhere.node == node))
    }

    /// Pairs that other trackers have yet to agree to.
    pub(super) fn asked(&self) -> Vec<u64> {
        self.pairs.iter().filter(|(_, pair)| pair.is_asked()).map(|(&number, _)| number).collect()
    }

    /// A pair that `peer` is part of and may know of.
    pub(super) fn of_peer(&mut self, number: u64, peer: PeerId) -> Option<(&mut Pair, PeerId)> {
        let pair = self.pairs.get_mut(&number).filter(|pair| !pair.is_asked())?;
        let other = pair.other(peer)?;
        Some((pair, other))
    }

    pub(super) fn get(&self, number: u64) -> Option<&Pair> {
        self.pairs.get(&number)
    }

    /// Notes a link; false where it was known.
    pub(super) fn link(&mut self, number: u64) -> bool {
        let is_new =
            self.pairs.get_mut(&number).is_some_and(|pair| !std::mem::replace(&mut pair.is_linked, true));
        self.linked += usize::from(is_new);
        is_new
    }

    pub(super) fn remove(&mut self, number: u64) -> Option<Pair> {
        let pair = self.pairs.remove(&number)?;
        self.linked -= usize::from(pair.is_linked);
        Some(pair)
    }

    /// Pairs with a side elsewhere, those included that are only asked for.
    pub(super) fn across(&self) -> usize {
        self.pairs.values().filter(|pair| pair.elsewhere.is_some()).count()
    }

    pub(super) fn pending(&self) -> usize {
        self.pairs.len() - self.linked
    }

    pub(super) fn linked(&self) -> usize {
        self.linked
    }
}
