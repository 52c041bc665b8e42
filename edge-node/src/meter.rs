//! How much a peer may send: a token bucket, so that bursts pass and floods do not.

use std::time::{Duration, Instant};

/// Credit of one peer.
#[derive(Debug)]
pub(crate) struct Meter {
    /// Time that earns one.
    each: Duration,
    credit_max: Duration,
    /// Earned and not spent, as time.
    credit: Duration,
    /// Until when credit has been earned.
    earned_until: Instant,
}

impl Meter {
    /// Starts with a full `burst` at `now`; `each` so much time earns one more.
    pub(crate) fn new(now: Instant, each: Duration, burst: u32) -> Self {
        let credit_max = each * burst;
        Self { each, credit_max, credit: credit_max, earned_until: now }
    }

    /// Charges `count` at `now`; false when there is no credit left for them.
    pub(crate) fn charge(&mut self, now: Instant, count: u32) -> bool {
        let earned = now.saturating_duration_since(self.earned_until);
        self.earned_until = now.max(self.earned_until);
        self.credit = (self.credit + earned).min(self.credit_max);
        match self.credit.checked_sub(self.each * count) {
            Some(rest) => {
                self.credit = rest;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EACH: Duration = Duration::from_secs(2);
    const BURST: u32 = 16;

    #[test]
    fn a_burst_passes_and_a_flood_does_not() {
        let start = Instant::now();
        let mut meter = Meter::new(start, EACH, BURST);
        assert!((0..BURST).all(|_| meter.charge(start, 1)));
        assert!(!meter.charge(start + EACH / 2, 1));
        assert!(meter.charge(start + EACH, 1));
        assert!(!meter.charge(start + EACH, 1));
        let flood = (0..100_000).filter(|at| meter.charge(start + EACH + Duration::from_millis(*at), 1));
        assert_eq!(flood.count(), 49, "in 100 s");
        let day_later = start + Duration::from_secs(86_400);
        assert_eq!((0..100).filter(|_| meter.charge(day_later, 1)).count(), BURST as usize);
    }

    #[test]
    fn what_counts_more_takes_more() {
        let start = Instant::now();
        let check = |count: u32, passed: u32| {
            let mut meter = Meter::new(start, EACH, BURST);
            let all = std::iter::repeat_with(|| meter.charge(start, count)).take_while(|&ok| ok).count();
            assert_eq!(all as u32, passed, "{count}");
        };
        check(1, BURST);
        check(2, BURST / 2);
        check(8, BURST / 8);
        check(BURST + 1, 0);
    }

    #[test]
    fn a_clock_that_goes_back_earns_nothing() {
        let start = Instant::now() + EACH;
        let mut meter = Meter::new(start, EACH, 1);
        assert!(meter.charge(start, 1));
        assert!(!meter.charge(start - EACH, 1));
        assert!(!meter.charge(start, 1));
    }
}
