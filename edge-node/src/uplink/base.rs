//! The base delay of a path: its least round trip of the last minutes, as LEDBAT keeps it (RFC 6817, 3.4.2).

use std::collections::VecDeque;

/// Time that shares one minimum.
const BUCKET_US: u64 = 30_000_000;
/// Minima kept: a route that has become longer is believed after three minutes.
const BUCKETS_MAX: usize = 6;

/// Round trips of one path.
#[derive(Debug, Default)]
pub(super) struct Base {
    /// When each bucket began, and its least round trip in microseconds; the newest last.
    buckets: VecDeque<(u64, u64)>,
}

impl Base {
    /// Takes note of a round trip.
    pub(super) fn add(&mut self, now_us: u64, rtt_us: u64) {
        while self.buckets.front().is_some_and(|(begun, _)| now_us >= begun + BUCKET_US * BUCKETS_MAX as u64)
        {
            self.buckets.pop_front();
        }
        match self.buckets.back_mut() {
            Some((begun, least)) if now_us < *begun + BUCKET_US => *least = rtt_us.min(*least),
            _ => {
                if self.buckets.len() == BUCKETS_MAX {
                    self.buckets.pop_front();
                }
                self.buckets.push_back((now_us, rtt_us));
            }
        }
    }

    /// The least of them, in microseconds.
    pub(super) fn least_us(&self) -> Option<u64> {
        self.buckets.iter().map(|&(_, least)| least).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_of_the_last_minutes_counts() {
        let check = |added: &[(u64, u64)], expected: Option<u64>| {
            let mut base = Base::default();
            added.iter().for_each(|&(at_s, rtt_us)| base.add(at_s * 1_000_000, rtt_us));
            assert_eq!(base.least_us(), expected, "{added:?}");
        };
        check(&[], None);
        check(&[(0, 20), (1, 30)], Some(20));
        check(&[(0, 20), (100, 30)], Some(20));
        check(&[(0, 20), (179, 30)], Some(20));
        check(&[(0, 20), (180, 30)], Some(30));
        check(&[(0, 20), (10_000, 50)], Some(50));
    }

    #[test]
    fn few_minima_are_kept() {
        let mut base = Base::default();
        (0..1_000).for_each(|second| base.add(second * 10_000_000, 20));
        assert_eq!(base.buckets.len(), BUCKETS_MAX);
    }
}
