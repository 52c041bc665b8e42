//! A set of peers from which a few can be drawn at random without walking it.

use std::collections::{BTreeMap, BTreeSet};

use freshet_protocol::PeerId;

use super::mixer::Mixer;

#[derive(Debug, Default)]
pub(super) struct Roster {
    peers: Vec<PeerId>,
    places: BTreeMap<PeerId, usize>,
}

impl Roster {
    pub(super) fn set(&mut self, peer: PeerId, is_in: bool) {
        match (is_in, self.places.get(&peer).copied()) {
            (true, None) => {
                self.places.insert(peer, self.peers.len());
                self.peers.push(peer);
            }
            (false, Some(place)) => {
                self.peers.swap_remove(place);
                self.places.remove(&peer);
                if let Some(&moved) = self.peers.get(place) {
                    self.places.insert(moved, place);
                }
            }
            (true, Some(_)) | (false, None) => {}
        }
    }

    pub(super) fn len(&self) -> usize {
        self.peers.len()
    }

    #[cfg(test)]
    pub(super) fn contains(&self, peer: PeerId) -> bool {
        self.places.contains_key(&peer)
    }

    /// A peer drawn at random.
    pub(super) fn draw(&self, mixer: &mut Mixer) -> Option<PeerId> {
        (!self.peers.is_empty()).then(|| self.peers[mixer.below(self.peers.len())])
    }

    /// All peers where there are at most `max`, and about `max` drawn at random otherwise.
    pub(super) fn sample(&self, mixer: &mut Mixer, max: usize) -> BTreeSet<PeerId> {
        if self.peers.len() <= max {
            return self.peers.iter().copied().collect();
        }
        (0..max).map(|_| self.peers[mixer.below(self.peers.len())]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_its_index() {
        let peer = |n: u64| PeerId::try_from(n).expect("small");
        let mut roster = Roster::default();
        (0..10).for_each(|n| roster.set(peer(n), true));
        roster.set(peer(3), true);
        roster.set(peer(0), false);
        roster.set(peer(9), false);
        roster.set(peer(9), false);
        assert!(!roster.contains(peer(0)) && roster.contains(peer(3)));
        assert_eq!(roster.sample(&mut Mixer::new(1), 8), (1..9).map(peer).collect());
        assert!(roster.sample(&mut Mixer::new(1), 4).len() <= 4);
    }
}
