//! Which clients must hear that the number of jobs has changed: they share the origin's budget by it.

use std::collections::{BTreeMap, BTreeSet};

use freshet_protocol::PeerId;

use super::limits::{NOTICE_INTERVAL_US, NOTICE_SWEEP_US, NOTICES_PER_SWEEP_MAX};

#[derive(Debug, Clone, Copy)]
struct Told {
    jobs: u32,
    at_us: u64,
}

#[derive(Debug, Default)]
pub(super) struct Notices {
    told: BTreeMap<PeerId, Told>,
    /// Clients by what they were told, so that those who are too low or too high stand at the ends.
    by_jobs: BTreeSet<(u32, PeerId)>,
    swept_us: u64,
}

impl Notices {
    /// Notes that `client` has just been told that there are `jobs` jobs.
    pub(super) fn told(&mut self, now_us: u64, client: PeerId, jobs: u32) {
        self.forget(client);
        self.told.insert(client, Told { jobs, at_us: now_us });
        self.by_jobs.insert((jobs, client));
    }

    pub(super) fn forget(&mut self, client: PeerId) {
        if let Some(told) = self.told.remove(&client) {
            self.by_jobs.remove(&(told.jobs, client));
        }
    }

    /// Clients that were told a number more than a tenth away from `jobs`, and not within the last second.
    pub(super) fn due(&mut self, now_us: u64, jobs: u32) -> Vec<PeerId> {
        if self.next_sweep(jobs).is_none_or(|due_us| now_us < due_us) {
            return Vec::new();
        }
        self.swept_us = now_us;
        let is_rested = |client: &PeerId| {
            self.told.get(client).is_some_and(|told| told.at_us.saturating_add(NOTICE_INTERVAL_US) <= now_us)
        };
        let low = self.by_jobs.iter().take_while(|(told, _)| *told < jobs && is_off(*told, jobs));
        let high = self.by_jobs.iter().rev().take_while(|(told, _)| *told > jobs && is_off(*told, jobs));
        low.chain(high).map(|&(_, client)| client).filter(is_rested).take(NOTICES_PER_SWEEP_MAX).collect()
    }

    /// When to look again; `None` while everybody knows about right.
    pub(super) fn next_sweep(&self, jobs: u32) -> Option<u64> {
        let ends = [self.by_jobs.first(), self.by_jobs.last()];
        let is_due = ends.into_iter().flatten().any(|&(told, _)| is_off(told, jobs));
        is_due.then_some(self.swept_us.saturating_add(NOTICE_SWEEP_US))
    }
}

/// Whether `jobs` differs from what was told by more than 10 %.
fn is_off(told: u32, jobs: u32) -> bool {
    u64::from(told.abs_diff(jobs)) * 10 > u64::from(told)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(n: usize) -> PeerId {
        PeerId::try_from(n as u64).expect("small")
    }

    #[test]
    fn a_tenth_makes_the_difference() {
        let check = |told, jobs, expected| assert_eq!(is_off(told, jobs), expected, "{told} {jobs}");
        check(0, 0, false);
        check(0, 1, true);
        check(4, 5, true);
        check(4, 3, true);
        check(20, 22, false);
        check(20, 23, true);
        check(100, 110, false);
        check(100, 111, true);
        check(100, 89, true);
    }

    #[test]
    fn each_client_at_most_once_a_second() {
        let mut notices = Notices::default();
        notices.told(0, peer(1), 100);
        notices.told(500_000, peer(2), 4);
        notices.told(500_000, peer(3), 12);
        assert_eq!(notices.next_sweep(12), Some(NOTICE_SWEEP_US));
        assert_eq!(notices.due(999_999, 12), []);
        assert_eq!(notices.due(1_100_000, 12), [peer(1)]);
        notices.told(1_100_000, peer(1), 12);
        assert_eq!(notices.due(1_150_000, 12), [], "sweeps have a pace");
        assert_eq!(notices.due(1_600_000, 12), [peer(2)]);
        notices.told(1_600_000, peer(2), 12);
        assert_eq!(notices.next_sweep(12), None);
    }

    #[test]
    fn a_sweep_is_bounded() {
        let mut notices = Notices::default();
        (0..NOTICES_PER_SWEEP_MAX + 9).for_each(|n| notices.told(0, peer(n), 1));
        let first = notices.due(2_000_000, 900);
        assert_eq!(first.len(), NOTICES_PER_SWEEP_MAX);
        first.into_iter().for_each(|client| notices.told(2_000_000, client, 900));
        assert_eq!(notices.due(2_000_000 + NOTICE_SWEEP_US, 900).len(), 9);
    }
}
