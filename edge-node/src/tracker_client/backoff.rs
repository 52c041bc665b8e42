//! When to try again: exponential backoff with full jitter, so that the clients of a failed tracker come back one by one
//! (M. Brooker, "Exponential Backoff and Jitter", 2015).

use std::time::Duration;

use crate::random::random_bytes;

/// Longest first wait.
const BASE: Duration = Duration::from_millis(500);
/// Longest wait of all.
const CAP: Duration = Duration::from_secs(30);
/// A session that lasted so long was a good one: after it, waiting starts anew.
const STEADY: Duration = Duration::from_secs(10);

/// Failures in a row.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// Notes an attempt that ended, after a session of `lasted` (zero without one), and tells the longest wait.
    pub(super) fn ended(&mut self, lasted: Duration) -> Duration {
        if lasted >= STEADY {
            self.failures = 0;
        }
        let wait_max = BASE.saturating_mul(1 << self.failures.min(16)).min(CAP);
        self.failures = self.failures.saturating_add(1);
        wait_max
    }
}

/// A random wait up to `max`.
pub(super) fn jitter(max: Duration) -> Duration {
    let share = u32::from_be_bytes(random_bytes());
    max.mul_f64(f64::from(share) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_cap_and_start_anew() {
        let mut backoff = Backoff::default();
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
