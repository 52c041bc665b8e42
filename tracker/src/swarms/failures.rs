//! Pairs that failed, so that they are not tried again at once.
//!
//! One failure may be chance, such as a lost packet or a peer that is about to start, and costs a short wait. Each further
//! one doubles it, so that two who cannot reach each other are hardly bothered.

use std::collections::{BTreeMap, VecDeque};

use freshet_protocol::PeerId;

use super::limits::{FAILED_PAIRS_MAX, PAIR_RETRY_FIRST_US};

#[derive(Debug, Default)]
pub(super) struct Failures {
    pairs: BTreeMap<(PeerId, PeerId), Failed>,
    /// In the order in which they are forgotten.
    order: VecDeque<(u64, (PeerId, PeerId))>,
}

#[derive(Debug, Clone, Copy)]
struct Failed {
    /// The wait after the last failure, and its end.
    wait_us: u64,
    retry_at: u64,
    forget_at: u64,
}

impl Failures {
    /// Notes a failure. The wait grows up to `retry_max_us`.
    pub(super) fn remember(&mut self, now_us: u64, a: PeerId, b: PeerId, retry_max_us: u64) {
        while self.order.front().is_some_and(|&(end, _)| end <= now_us)
            || self.order.len() >= FAILED_PAIRS_MAX
        {
            let (end, pair) = self.order.pop_front().expect("the loop's condition saw a first entry");
            // A pair that failed again since is remembered by its later entry.
            if self.pairs.get(&pair).is_some_and(|failed| failed.forget_at == end) {
                self.pairs.remove(&pair);
            }
        }
        let pair = ordered(a, b);
        let wait_us = match self.pairs.get(&pair) {
            Some(failed) => failed.wait_us.saturating_mul(2),
            None => PAIR_RETRY_FIRST_US,
        }
        .min(retry_max_us);
        // Longer than any wait, or the longest one would be forgotten before the pair can fail again.
        let forget_at = now_us.saturating_add(retry_max_us.saturating_mul(2));
        self.pairs.insert(pair, Failed { wait_us, retry_at: now_us.saturating_add(wait_us), forget_at });
        self.order.push_back((forget_at, pair));
    }

    pub(super) fn is_recent(&self, now_us: u64, a: PeerId, b: PeerId) -> bool {
        self.pairs.get(&ordered(a, b)).is_some_and(|failed| now_us < failed.retry_at)
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
    fn each_failure_costs_twice_the_wait_whoever_asks() {
        const MAX_US: u64 = 5 * PAIR_RETRY_FIRST_US;
        let mut failures = Failures::default();
        let mut now = 100;
        for wait in [1, 2, 4, 5, 5].map(|times| times * PAIR_RETRY_FIRST_US) {
            failures.remember(now, peer(2), peer(1), MAX_US);
            assert!(failures.is_recent(now + wait - 1, peer(1), peer(2)));
            assert!(!failures.is_recent(now + wait, peer(2), peer(1)));
            assert!(!failures.is_recent(now, peer(1), peer(3)));
            now += wait;
        }
        // Long after its last failure, a pair is like any other.
        now += 2 * MAX_US;
        failures.remember(now, peer(1), peer(2), MAX_US);
        assert!(!failures.is_recent(now + PAIR_RETRY_FIRST_US, peer(1), peer(2)));
    }

    #[test]
    fn the_memory_is_bounded() {
        let mut failures = Failures::default();
        (0..FAILED_PAIRS_MAX + 5).for_each(|n| failures.remember(0, peer(n), peer(n + 1), 50));
        assert_eq!(failures.order.len(), FAILED_PAIRS_MAX);
        assert_eq!(failures.pairs.len(), FAILED_PAIRS_MAX);
        assert!(!failures.is_recent(0, peer(4), peer(5)), "the oldest is forgotten");
        assert!(failures.is_recent(0, peer(5), peer(6)));
    }
}
