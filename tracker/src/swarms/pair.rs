//! All pairs, by number.

use std::collections::BTreeMap;

use freshet_protocol::PeerId;

use super::limits::PAIR_SIGNALS_MAX;

/// Two peers that were named to each other.
#[derive(Debug, Clone)]
pub(super) struct Pair {
    /// Number of the swarm.
    pub(super) swarm: u64,
    pub(super) dialer: PeerId,
    pub(super) acceptor: PeerId,
    pub(super) is_linked: bool,
    dialer_signals: u16,
    acceptor_signals: u16,
}

impl Pair {
    pub(super) fn new(swarm: u64, dialer: PeerId, acceptor: PeerId) -> Self {
        Self { swarm, dialer, acceptor, is_linked: false, dialer_signals: 0, acceptor_signals: 0 }
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
        let number = self.next;
        self.next += 1;
        self.pairs.insert(number, pair);
        number
    }

    /// A pair that `peer` is part of.
    pub(super) fn of_peer(&mut self, number: u64, peer: PeerId) -> Option<(&mut Pair, PeerId)> {
        let pair = self.pairs.get_mut(&number)?;
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

    pub(super) fn pending(&self) -> usize {
        self.pairs.len() - self.linked
    }

    pub(super) fn linked(&self) -> usize {
        self.linked
    }
}
