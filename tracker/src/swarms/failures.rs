//! Pairs that failed, so that they are not tried again at once.

use std::collections::{BTreeMap, VecDeque};

use freshet_protocol::PeerId;

use super::limits::FAILED_PAIRS_MAX;

#[derive(Debug, Default)]
pub(super) struct Failures {
    until: BTreeMap<(PeerId, PeerId), u64>,
    /// In order of their end, since each is remembered for the same time.
    order: VecDeque<(u64, (PeerId, PeerId))>,
}

impl Failures {
    pub(super) fn remember(&mut self, now_us: u64, a: PeerId, b: PeerId, retry_us: u64) {
        let until = now_us.saturating_add(retry_us);
        while self.order.front().is_some_and(|&(end, _)| end <= now_us)
            || self.order.len() >= FAILED_PAIRS_MAX
        {
            let (end, pair) = self.order.pop_front().expect("the loop's condition saw a first entry");
            // A pair that failed again since is remembered by its later entry.
            if self.until.get(&pair) == Some(&end) {
                self.until.remove(&pair);
            }
        }
        self.until.insert(ordered(a, b), until);
        self.order.push_back((until, ordered(a, b)));
    }

    pub(super) fn is_recent(&self, now_us: u64, a: PeerId, b: PeerId) -> bool {
        self.until.get(&ordered(a, b)).is_some_and(|&until| now_us < until)
    }
}

fn ordered(a: PeerId, b: PeerId) -> (PeerId, PeerId) {
    (a.min(b), a.max(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(n: usize) -> PeerId {
        PeerId::try_from(n as u64).expect("small")
    }

    #[test]
    fn remembered_for_a_while_whoever_asks() {
        let mut failures = Failures::default();
        failures.remember(100, peer(2), peer(1), 50);
        assert!(failures.is_recent(149, peer(1), peer(2)));
        assert!(!failures.is_recent(150, peer(2), peer(1)));
        assert!(!failures.is_recent(100, peer(1), peer(3)));
        failures.remember(140, peer(1), peer(2), 50);
        failures.remember(160, peer(1), peer(3), 50);
        assert!(failures.is_recent(189, peer(1), peer(2)), "the later failure counts");
    }

    #[test]
    fn the_memory_is_bounded() {
        let mut failures = Failures::default();
        (0..FAILED_PAIRS_MAX + 5).for_each(|n| failures.remember(0, peer(n), peer(n + 1), 50));
        assert_eq!(failures.order.len(), FAILED_PAIRS_MAX);
        assert_eq!(failures.until.len(), FAILED_PAIRS_MAX);
        assert!(!failures.is_recent(0, peer(4), peer(5)), "the oldest is forgotten");
        assert!(failures.is_recent(0, peer(5), peer(6)));
    }
}
