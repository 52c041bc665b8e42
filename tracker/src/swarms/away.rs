//! First copies of one release that other trackers see to.
//!
//! What they say lags behind what they grant. So each tracker begins with a part of the release that is its own, and comes
//! to the others' parts when nothing is left in it, once it has heard how far they are.

use std::collections::BTreeMap;

use super::cluster::NodeId;
use super::held::Held;

/// The shards that are left to other trackers.
#[derive(Debug, Default)]
pub(super) struct Away {
    /// What their peers hold or have on lease.
    taken: BTreeMap<NodeId, Held>,
    parts: BTreeMap<NodeId, Part>,
}

/// A part of a release.
#[derive(Debug)]
struct Part {
    shards: Held,
    /// Whether its tracker has said anything of the release.
    is_spoken_for: bool,
    until_us: Option<u64>,
}

impl Away {
    /// Leaves each of `others` its part of `shards`, so that trackers of which the peers begin at the same time do not all grant
    /// the same shards. The parts follow from the names alone.
    pub(super) fn divide(&mut self, own: NodeId, others: &[NodeId], shards: u32, until_us: u64) {
        let mut nodes: Vec<NodeId> = others.iter().copied().chain([own]).collect();
        nodes.sort_unstable();
        let parts = nodes.len() as u64;
        let bound = |part: u64| (u64::from(shards) * part / parts) as u32;
        for (part, &node) in (0..).zip(&nodes).filter(|&(_, &node)| node != own) {
            let range = bound(part)..bound(part + 1);
            let shards = Held::of(shards, |shard| range.contains(&shard));
            self.parts.insert(node, Part { shards, is_spoken_for: false, until_us: Some(until_us) });
        }
    }

    /// Takes over what a tracker says of this release; what it said before.
    pub(super) fn tell(&mut self, node: NodeId, taken: Held) -> Held {
        if let Some(part) = self.parts.get_mut(&node).filter(|part| !part.is_spoken_for) {
            (part.is_spoken_for, part.until_us) = (true, None);
        }
        self.taken.insert(node, taken).unwrap_or(Held::None)
    }

    /// A tracker says nothing of this release; the shards that were left to it. Before it has spoken at all, it may not have
    /// heard of the release yet.
    pub(super) fn tell_nothing(&mut self, node: NodeId) -> Vec<Held> {
        let has_time = self.parts.get(&node).is_some_and(|part| !part.is_spoken_for);
        if has_time { Vec::new() } else { self.forget(node) }
    }

    /// Forgets a tracker; the shards that were left to it.
    pub(super) fn forget(&mut self, node: NodeId) -> Vec<Held> {
        let part = self.parts.remove(&node).map(|part| part.shards);
        part.into_iter().chain(self.taken.remove(&node)).collect()
    }

    /// Nothing is left in the own part: the others' end at `at_us`.
    pub(super) fn unite(&mut self, at_us: u64) {
        for part in self.parts.values_mut() {
            part.until_us = Some(part.until_us.map_or(at_us, |until_us| until_us.min(at_us)));
        }
    }

    /// Ends the parts of which the time is over; their shards.
    pub(super) fn expire(&mut self, now_us: u64) -> Vec<Held> {
        let is_over = |_: &NodeId, part: &mut Part| part.until_us.is_some_and(|until_us| until_us <= now_us);
        self.parts.extract_if(.., is_over).map(|(_, part)| part.shards).collect()
    }

    /// When [`Away::expire`] may have something to do.
    pub(super) fn next_timeout(&self) -> Option<u64> {
        self.parts.values().filter_map(|part| part.until_us).min()
    }

    pub(super) fn has(&self, shard: u32) -> bool {
        let parts = self.parts.values().map(|part| &part.shards);
        self.taken.values().chain(parts).any(|shards| shards.has(shard))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: NodeId = NodeId(1);
    const B: NodeId = NodeId(2);
    const C: NodeId = NodeId(3);

    fn left(away: &Away) -> Vec<u32> {
        (0..10).filter(|&shard| !away.has(shard)).collect()
    }

    fn held(shards: &[u32]) -> Held {
        Held::of(10, |shard| shards.contains(&shard))
    }

    #[test]
    fn each_has_a_part() {
        let check = |own, others: &[NodeId], expected: &[u32]| {
            let mut away = Away::default();
            away.divide(own, others, 10, 5);
            assert_eq!(left(&away), expected);
        };
        check(A, &[C, B], &[0, 1, 2]);
        check(B, &[A, C], &[3, 4, 5]);
        check(C, &[B, A], &[6, 7, 8, 9]);
        check(C, &[], &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    }

    #[test]
    fn who_does_not_speak_in_time_loses_its_part() {
        let mut away = Away::default();
        away.divide(A, &[B, C], 10, 5);
        assert_eq!(away.tell_nothing(B), [], "an older digest");
        assert_eq!(away.tell(B, held(&[4])), Held::None);
        assert_eq!((away.next_timeout(), away.expire(4)), (Some(5), Vec::new()));
        assert_eq!(away.expire(5), [held(&[6, 7, 8, 9])]);
        assert_eq!((left(&away), away.next_timeout()), (vec![0, 1, 2, 6, 7, 8, 9], None));
        assert_eq!(away.tell_nothing(B), [held(&[3, 4, 5]), held(&[4])]);
        assert_eq!(left(&away).len(), 10);
    }

    #[test]
    fn parts_end_and_what_is_taken_stays() {
        let mut away = Away::default();
        away.divide(A, &[B], 10, 5);
        away.tell(B, held(&[1, 7]));
        assert_eq!(left(&away), [0, 2, 3, 4]);
        away.unite(9);
        away.unite(12);
        away.tell(B, held(&[1, 7]));
        assert_eq!((away.expire(8), away.expire(9)), (Vec::new(), vec![held(&[5, 6, 7, 8, 9])]));
        assert_eq!(left(&away), [0, 2, 3, 4, 5, 6, 8, 9]);
        assert_eq!(away.forget(B), [held(&[1, 7])]);
        assert_eq!(left(&away).len(), 10);
    }
}
