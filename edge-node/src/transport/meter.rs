//! How fast a peer may send control frames: a token bucket, so that bursts pass and floods do not.

use std::time::{Duration, Instant};

use super::limits::{CONTROL_BURST_FRAMES, CONTROL_FRAMES_S, CONTROL_UNIT_BYTES};

/// Time that earns one frame.
const FRAME_TIME: Duration = Duration::from_nanos(1_000_000_000 / CONTROL_FRAMES_S as u64);

/// Credit of one peer.
#[derive(Debug)]
pub(super) struct ControlMeter {
    /// Earned and not spent, as time.
    credit: Duration,
    /// Until when credit has been earned.
    earned_until: Instant,
}

impl ControlMeter {
    /// Starts with a full burst at `now`.
    pub(super) fn new(now: Instant) -> Self {
        Self { credit: FRAME_TIME * CONTROL_BURST_FRAMES, earned_until: now }
    }

    /// Charges a frame of `bytes` that came at `now`; false when the peer has no credit left for it.
    pub(super) fn charge(&mut self, now: Instant, bytes: usize) -> bool {
        let earned = now.saturating_duration_since(self.earned_until);
        self.earned_until = now.max(self.earned_until);
        self.credit = (self.credit + earned).min(FRAME_TIME * CONTROL_BURST_FRAMES);
        let units = bytes.div_ceil(CONTROL_UNIT_BYTES).max(1) as u32;
        match self.credit.checked_sub(FRAME_TIME * units) {
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

    #[test]
    fn a_burst_passes_and_a_flood_does_not() {
        let start = Instant::now();
        let mut meter = ControlMeter::new(start);
        assert!((0..CONTROL_BURST_FRAMES).all(|_| meter.charge(start, 10)));
        assert!(!meter.charge(start, 10));
        let later = start + Duration::from_secs(1);
        assert!((0..CONTROL_FRAMES_S).all(|_| meter.charge(later, 10)));
        assert!(!meter.charge(later, 10));
    }

    #[test]
    fn long_frames_count_more() {
        let start = Instant::now();
        let check = |bytes: usize, frames: u32| {
            let mut meter = ControlMeter::new(start);
            let passed = std::iter::repeat_with(|| meter.charge(start, bytes)).take_while(|&ok| ok).count();
            assert_eq!(passed as u32, frames, "{bytes}");
        };
        check(0, CONTROL_BURST_FRAMES);
        check(CONTROL_UNIT_BYTES, CONTROL_BURST_FRAMES);
        check(CONTROL_UNIT_BYTES + 1, CONTROL_BURST_FRAMES / 2);
        check(CONTROL_UNIT_BYTES * 8, CONTROL_BURST_FRAMES / 8);
    }
}
