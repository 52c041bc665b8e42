//! Rates of messages: the generic cell rate algorithm (ITU-T I.371), which needs one number for each source.

/// How many events a source may cause.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rate {
    interval_us: u64,
    burst: u64,
}

/// What one source has caused, as the time at which it will have earned it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Meter(u64);

impl Rate {
    /// `per_s` events a second in the long run, `burst` of them at once; both at least one.
    pub(crate) fn new(per_s: u32, burst: u32) -> Self {
        Self { interval_us: 1_000_000 / u64::from(per_s.max(1)), burst: u64::from(burst.max(1)) }
    }

    /// When the next event is allowed, in microseconds.
    pub(crate) fn ready_us(self, meter: Meter) -> u64 {
        meter.0.saturating_sub(self.interval_us * (self.burst - 1))
    }

    /// Counts an event.
    pub(crate) fn count(self, meter: &mut Meter, now_us: u64) {
        meter.0 = meter.0.max(now_us) + self.interval_us;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_a_pace() {
        let rate = Rate::new(10, 3);
        let mut meter = Meter::default();
        for _ in 0..3 {
            assert!(rate.ready_us(meter) <= 1_000_000);
            rate.count(&mut meter, 1_000_000);
        }
        assert_eq!(rate.ready_us(meter), 1_100_000);
        rate.count(&mut meter, 1_100_000);
        assert_eq!(rate.ready_us(meter), 1_200_000);
        assert!(rate.ready_us(meter) <= 9_000_000, "rest earns the burst again");
    }
}
