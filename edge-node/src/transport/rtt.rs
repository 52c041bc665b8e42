//! What a connection has measured since it was last looked at, out of the smoothed value that it shows.

use std::time::Duration;

/// Weight of what was before, for each sample (RFC 9002, 5.3).
const KEPT: f64 = 7.0 / 8.0;

/// Where a connection's round-trip time stood when it was last looked at.
#[derive(Debug, Default)]
pub(super) struct RttMark {
    smoothed: Duration,
    samples: u64,
}

impl RttMark {
    /// Mean round-trip time of the samples since the last call, the newest weighing most; none where there are none.
    /// `smoothed` is the connection's moving average after so many samples in all. That follows slowly, and whoever steers
    /// by it is late by a quarter of a second at home rates; what it was moved by is known at once.
    pub(super) fn since(&mut self, smoothed: Duration, samples: u64) -> Option<Duration> {
        let before = std::mem::replace(self, Self { smoothed, samples });
        let count = samples.saturating_sub(before.samples);
        if count == 0 {
            return None;
        }
        if before.samples == 0 {
            return Some(smoothed);
        }
        let kept = KEPT.powi(count.min(1_000) as i32);
        let mean = (smoothed.as_secs_f64() - kept * before.smoothed.as_secs_f64()) / (1.0 - kept);
        Some(Duration::from_secs_f64(mean.max(0.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_measured_comes_back() {
        let check = |samples_ms: &[f64], expected_ms: f64| {
            let (mut mark, mut smoothed) = (RttMark::default(), 0.02);
            assert_eq!(mark.since(Duration::from_secs_f64(smoothed), 1), Some(Duration::from_millis(20)));
            samples_ms.iter().for_each(|sample_ms| smoothed = KEPT * smoothed + sample_ms / 8e3);
            let found = mark.since(Duration::from_secs_f64(smoothed), 1 + samples_ms.len() as u64);
            let found_ms = found.expect("there are samples").as_secs_f64() * 1e3;
            assert!((found_ms - expected_ms).abs() < 0.01, "{samples_ms:?}: {found_ms}");
        };
        check(&[50.0], 50.0);
        check(&[50.0, 50.0, 50.0], 50.0);
        check(&[20.0, 20.0], 20.0);
        check(&[2.0], 2.0);
        check(&[10.0, 30.0], 20.0 + 10.0 / 15.0);
    }

    #[test]
    fn nothing_new_is_nothing() {
        let mut mark = RttMark::default();
        let rtt = Duration::from_millis(20);
        assert_eq!(mark.since(rtt, 0), None);
        assert_eq!(mark.since(rtt, 5), Some(rtt));
        assert_eq!(mark.since(rtt, 5), None);
        // A sample that the average did not show.
        assert_eq!(mark.since(Duration::ZERO, 6), Some(Duration::ZERO));
    }
}
