//! When the origin may be asked again after it failed or refused. Peers that failed together do not come back together.

use crate::limits::{FETCHES_MAX, ORIGIN_REST_MAX_US, ORIGIN_REST_US, ORIGIN_WAIT_MAX_US};
use crate::mix::mix32;

/// The origin's rest, as one peer keeps it.
#[derive(Debug)]
pub(crate) struct Rest {
    until_us: u64,
    /// Failures in a row.
    failures: u32,
    /// The peer's own.
    salt: u32,
}

impl Rest {
    pub(crate) fn new(salt: u32) -> Self {
        Self { until_us: 0, failures: 0, salt }
    }

    /// How many fetches there may be: none while the origin rests, and one after a failure, which tries whether it works.
    pub(crate) fn fetches_max(&self, now: u64) -> usize {
        match self.failures {
            _ if now < self.until_us => 0,
            0 => FETCHES_MAX,
            _ => 1,
        }
    }

    /// The origin works: the next failure starts again with a short pause.
    pub(crate) fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// The origin failed: it is left alone for as long as it tells, longer with each failure, and up to as long again. What
    /// fails while it rests was begun before: that is one failure.
    pub(crate) fn failed(&mut self, now: u64, retry_after_us: Option<u64>) {
        self.failures += u32::from(now >= self.until_us);
        let grown_us = ((ORIGIN_REST_US / 4) << self.failures.min(10)).min(ORIGIN_REST_MAX_US / 2);
        let least_us = retry_after_us.unwrap_or(0).clamp(grown_us, ORIGIN_WAIT_MAX_US);
        let jitter_us = u64::from(mix32(self.salt ^ self.failures)) % (least_us + 1);
        self.until_us = self.until_us.max(now + least_us + jitter_us);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000;

    /// The times at which peers with different salts ask again after failures at the given times.
    fn asked_again(failures: &[(u64, Option<u64>)]) -> Vec<u64> {
        let peers = (0..1000).map(|salt| {
            let mut rest = Rest::new(salt);
            failures.iter().for_each(|&(now, told_us)| rest.failed(now, told_us));
            rest.until_us
        });
        peers.collect()
    }

    #[test]
    fn rests_are_as_told_or_grow_and_spread() {
        let check = |failures: &[(u64, Option<u64>)], from_us: u64, to_us: u64| {
            let times = asked_again(failures);
            let (first, last) = (times.iter().min().expect("peers"), times.iter().max().expect("peers"));
            assert!((from_us..=to_us).contains(first) && (from_us..=to_us).contains(last), "{failures:?}");
            let spread = (to_us - from_us) / 10;
            assert!(first - from_us <= spread && to_us - last <= spread, "{failures:?}: all of it is used");
        };
        check(&[(0, None)], S / 4, S / 2);
        check(&[(0, None), (0, None)], S / 4, S / 2);
        check(&[(0, None), (S, None)], S + S / 2, 2 * S);
        check(&[(0, None), (S, None), (9 * S, None)], 10 * S, 11 * S);
        let many: Vec<_> = (0..20).map(|n| (100 * n * S, None)).collect();
        check(&many, 1900 * S + 7 * S + S / 2, 1900 * S + 15 * S);
        // The origin's own word counts, up to a bound, and nobody comes before it; nor sooner each time.
        check(&[(0, Some(10 * S))], 10 * S, 20 * S);
        check(&[(0, Some(0))], S / 4, S / 2);
        check(&[(0, Some(S)), (9 * S, Some(S)), (18 * S, Some(S)), (27 * S, Some(S))], 29 * S, 31 * S);
        check(&[(0, Some(u64::MAX))], 300 * S, 600 * S);
        // What was begun before neither counts twice nor brings the peer back earlier.
        check(&[(0, Some(10 * S)), (S, None), (2 * S, Some(S))], 10 * S, 20 * S);
    }

    #[test]
    fn after_a_failure_one_fetch_tries() {
        let mut rest = Rest::new(7);
        assert_eq!(rest.fetches_max(0), FETCHES_MAX);
        rest.failed(0, Some(S));
        assert_eq!(rest.fetches_max(S - 1), 0);
        assert_eq!(rest.fetches_max(2 * S), 1);
        rest.succeeded();
        assert_eq!(rest.fetches_max(2 * S), FETCHES_MAX);
    }
}
