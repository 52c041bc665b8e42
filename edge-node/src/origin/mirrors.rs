//! Which of an origin's addresses to ask: in the order that they were given, passing over those that failed or refused
//! until they have rested.

use std::time::Duration;

use tokio::time::Instant;

use crate::backoff::Backoff;

/// Most addresses of one origin.
pub(crate) const MIRRORS_MAX: usize = 8;
/// First rest of an address that failed; it doubles up to the cap.
const REST: Duration = Duration::from_secs(1);
const REST_MAX: Duration = Duration::from_secs(60);

/// The addresses' health, by their number in the order given.
#[derive(Debug)]
pub(super) struct Mirrors {
    each: Vec<Mirror>,
}

#[derive(Debug)]
struct Mirror {
    /// Not asked before, while there is another.
    rests_until: Option<Instant>,
    /// One request is finding out whether it works again.
    is_tried: bool,
    /// Since when it has worked again.
    works_since: Option<Instant>,
    backoff: Backoff,
}

impl Mirror {
    fn new() -> Self {
        Self { rests_until: None, is_tried: false, works_since: None, backoff: Backoff::new(REST, REST_MAX) }
    }
}

impl Mirrors {
    pub(super) fn new(count: usize) -> Self {
        Self { each: (0..count).map(|_| Mirror::new()).collect() }
    }

    /// The first of those not `tried` that does not rest. Where all rest, the one that is ready first, and no second one: who
    /// asks then keeps to what it says.
    pub(super) fn next(&mut self, now: Instant, tried: &[usize]) -> Option<usize> {
        let untried = |at: &usize| !tried.contains(at);
        let is_awake = |at: &usize| self.each[*at].rests_until.is_none_or(|until| until <= now);
        if let Some(at) = (0..self.each.len()).filter(untried).find(is_awake) {
            let mirror = &mut self.each[at];
            // One request finds out whether it works again; the others pass it over meanwhile.
            mirror.is_tried = mirror.rests_until.is_some();
            mirror.rests_until = mirror.rests_until.map(|_| now + REST);
            return Some(at);
        }
        let soonest = || (0..self.each.len()).min_by_key(|&at| self.each[at].rests_until);
        tried.is_empty().then(soonest).flatten()
    }

    /// An address answers as it should. What it sends may yet be wrong, or break off.
    pub(super) fn succeeded(&mut self, now: Instant, at: usize) {
        let mirror = &mut self.each[at];
        if mirror.rests_until.take().is_some() {
            mirror.works_since = Some(now);
        }
        mirror.is_tried = false;
    }

    /// An address failed, or told when to come back. Its rest is spread by `jitter`, which gives a random part of a time.
    /// What fails while it rests was begun before: that is one failure.
    pub(super) fn failed(
        &mut self,
        now: Instant,
        at: usize,
        told: Option<Duration>,
        jitter: impl Fn(Duration) -> Duration,
    ) {
        let mirror = &mut self.each[at];
        let is_news =
            std::mem::take(&mut mirror.is_tried) || mirror.rests_until.is_none_or(|until| until <= now);
        let rest = match told {
            Some(told) => told + jitter(told),
            None if !is_news => return,
            None => {
                let lasted = mirror.works_since.take().map_or(Duration::ZERO, |since| now - since);
                let most = mirror.backoff.ended(lasted);
                most / 2 + jitter(most / 2)
            }
        };
        mirror.rests_until = mirror.rests_until.max(Some(now + rest));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    /// What is asked, as a user sees it: all that are asked in turn by one request that nobody answers.
    fn asked(mirrors: &mut Mirrors, now: Instant) -> Vec<usize> {
        let mut tried = Vec::new();
        while let Some(at) = mirrors.next(now, &tried) {
            tried.push(at);
        }
        tried
    }

    fn failed(mirrors: &mut Mirrors, now: Instant, at: usize, told: Option<Duration>) {
        mirrors.failed(now, at, told, |most| most);
    }

    #[test]
    fn they_are_asked_in_order() {
        let now = Instant::now();
        let mut mirrors = Mirrors::new(3);
        assert_eq!(asked(&mut mirrors, now), [0, 1, 2]);
        failed(&mut mirrors, now, 0, None);
        assert_eq!(asked(&mut mirrors, now), [1, 2]);
        failed(&mut mirrors, now, 1, Some(30 * S));
        assert_eq!(asked(&mut mirrors, now), [2]);
        failed(&mut mirrors, now, 2, Some(5 * S));
        assert_eq!(asked(&mut mirrors, now), [0], "all rest: the one that is ready first");
        mirrors.succeeded(now, 2);
        assert_eq!(asked(&mut mirrors, now), [2]);
    }

    #[test]
    fn one_request_finds_out_whether_it_works_again() {
        let now = Instant::now();
        let mut mirrors = Mirrors::new(2);
        failed(&mut mirrors, now, 0, None);
        assert_eq!(mirrors.next(now + S - S / 100, &[]), Some(1));
        assert_eq!(mirrors.next(now + S, &[]), Some(0));
        assert_eq!(mirrors.next(now + S, &[]), Some(1), "meanwhile");
        mirrors.succeeded(now + S, 0);
        assert_eq!(mirrors.next(now + S, &[]), Some(0));
    }

    #[test]
    fn rests_grow_and_end() {
        let mut now = Instant::now();
        let mut mirrors = Mirrors::new(2);
        for rest_s in [1, 2, 4, 8, 16, 32, 60, 60] {
            failed(&mut mirrors, now, 0, None);
            let rest = rest_s * S;
            assert_eq!(mirrors.next(now + rest - S / 100, &[]), Some(1), "{rest:?}");
            now += rest;
            assert_eq!(mirrors.next(now, &[]), Some(0), "{rest:?}");
        }
        // A word of its own counts, and up to as long again.
        failed(&mut mirrors, now, 0, Some(100 * S));
        assert_eq!(mirrors.next(now + 199 * S, &[]), Some(1));
        assert_eq!(mirrors.next(now + 200 * S, &[]), Some(0));
    }

    #[test]
    fn what_answers_and_sends_nothing_good_rests_longer_each_time() {
        let mut now = Instant::now();
        let mut mirrors = Mirrors::new(2);
        let mut check = |works: Duration, rest_s: u32| {
            assert_eq!(mirrors.next(now, &[]), Some(0));
            mirrors.succeeded(now, 0);
            now += works;
            // Several that were begun together are one failure.
            (0..6).for_each(|_| failed(&mut mirrors, now, 0, None));
            now += rest_s * S;
            assert_eq!(mirrors.next(now - S / 100, &[]), Some(1), "{rest_s} s");
        };
        check(S, 1);
        check(S, 2);
        check(9 * S, 4);
        check(10 * S, 1);
        check(S, 2);
    }

    #[test]
    fn a_single_one_is_always_asked() {
        let now = Instant::now();
        let mut mirrors = Mirrors::new(1);
        (0..100).for_each(|_| failed(&mut mirrors, now, 0, Some(100 * S)));
        assert_eq!(asked(&mut mirrors, now), [0]);
    }
}
