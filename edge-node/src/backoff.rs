//! When to try again: exponential backoff with full jitter, so that those who failed together come back one by one
//! (M. Brooker, "Exponential Backoff and Jitter", 2015).

use std::time::Duration;

use crate::random::random_bytes;

/// What lasted so long was well: after it, waiting starts anew.
const STEADY: Duration = Duration::from_secs(10);

/// Failures in a row.
#[derive(Debug)]
pub(crate) struct Backoff {
    /// Longest first wait.
    base: Duration,
    /// Longest wait of all.
    cap: Duration,
    failures: u32,
}

impl Backoff {
    pub(crate) fn new(base: Duration, cap: Duration) -> Self {
        Self { base, cap, failures: 0 }
    }

    /// Notes an attempt that ended, after what `lasted` so long (zero where there was nothing), and tells the longest wait.
    pub(crate) fn ended(&mut self, lasted: Duration) -> Duration {
        if lasted >= STEADY {
            self.failures = 0;
        }
        let wait_max = self.base.saturating_mul(1 << self.failures.min(16)).min(self.cap);
        self.failures = self.failures.saturating_add(1);
        wait_max
    }
}

/// A random wait up to `max`.
pub(crate) fn jitter(max: Duration) -> Duration {
    let share = u32::from_be_bytes(random_bytes());
    max.mul_f64(f64::from(share) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: Duration = Duration::from_millis(500);
    const CAP: Duration = Duration::from_secs(30);

    #[test]
    fn waits_grow_to_the_cap_and_start_anew() {
        let mut backoff = Backoff::new(BASE, CAP);
        let waits: Vec<u128> = (0..8).map(|_| backoff.ended(Duration::ZERO).as_millis()).collect();
        assert_eq!(waits, [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
        (0..100).for_each(|_| assert_eq!(backoff.ended(Duration::from_secs(9)), CAP));
        assert_eq!(backoff.ended(STEADY), BASE);
        assert_eq!(backoff.ended(Duration::ZERO), BASE * 2);
    }

    #[test]
    fn jitter_fills_the_wait() {
        let waits: Vec<Duration> = (0..200).map(|_| jitter(CAP)).collect();
        assert!(waits.iter().all(|wait| *wait <= CAP));
        assert!(waits.iter().any(|wait| *wait < CAP / 4) && waits.iter().any(|wait| *wait > CAP * 3 / 4));
    }
}
