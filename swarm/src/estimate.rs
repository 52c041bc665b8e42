//! Integer estimates of rates and times: exponentially weighted moving averages with a weight of 1/4.

/// A moving average; nothing until the first sample.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Average(Option<u64>);

impl Average {
    pub(crate) fn add(&mut self, sample: u64) {
        self.0 = Some(self.0.map_or(sample, |old| (old * 3 + sample) / 4));
    }

    pub(crate) fn get(&self) -> Option<u64> {
        self.0
    }
}

/// Rate of a source, measured over the time in which it was asked for something.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rate {
    average: Average,
    bytes: u64,
    since_us: u64,
}

/// Samples shorter than this are joined, so that a burst is not taken for a rate.
const SAMPLE_US: u64 = 100_000;

impl Rate {
    /// The source is asked after it had nothing to do: time begins to count.
    pub(crate) fn begin(&mut self, now: u64) {
        self.bytes = 0;
        self.since_us = now;
    }

    /// Bytes came in.
    pub(crate) fn add(&mut self, now: u64, bytes: u64) {
        self.bytes += bytes;
        let elapsed = now.saturating_sub(self.since_us);
        if elapsed >= SAMPLE_US || (self.average.get().is_none() && elapsed > 0 && self.bytes > 0) {
            self.average.add(self.bytes.saturating_mul(1_000_000) / elapsed);
            if elapsed >= SAMPLE_US {
                self.begin(now);
            }
        }
    }

    /// Bytes a second.
    pub(crate) fn bytes_s(&self) -> Option<u64> {
        self.average.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_follows() {
        let mut rate = Rate::default();
        assert_eq!(rate.bytes_s(), None);
        rate.begin(1_000_000);
        for step in 1..=50 {
            rate.add(1_000_000 + step * 20_000, 20_000);
        }
        assert_eq!(rate.bytes_s(), Some(1_000_000));
        rate.begin(9_000_000);
        rate.add(9_100_000, 0);
        assert_eq!(rate.bytes_s(), Some(750_000));
    }

    #[test]
    fn average_moves_by_a_quarter() {
        let mut average = Average::default();
        average.add(100);
        average.add(200);
        assert_eq!(average.get(), Some(125));
    }
}
