//! Decides the rate at which answers leave, so that what else uses the line does not notice: pure, by the round trips of
//! links.
//!
//! All links share this node's line, so what its queue adds to round trips it adds to all of them; what one link alone
//! sees is somebody else's queue. The rate is held where that queue is a few milliseconds long. As in LEDBAT (RFC 6817)
//! the delay is compared with the least of the last minutes, and as in LEDBAT++ (draft-irtf-iccrg-ledbat-plus-plus) the
//! sender falls back now and then, so that this least is the path's and not its own queue. A window clocks itself, a
//! rate does not: so it also follows how fast the queue grows, which tells at once by how much the rate is above the
//! line's (as TIMELY does, SIGCOMM 2015).

use std::collections::BTreeMap;

use super::base::Base;

/// Queue that is aimed at: enough to keep the line busy through the jitter of timers, too little to be noticed.
const TARGET_US: f64 = 15_000.0;
/// Rate before anything is known of the line, in bytes a second: about what the slowest lines have.
const FIRST_BYTES_S: f64 = (128 << 10) as f64;
/// Rate that is never undercut, so that links live: 131 kbit/s.
const LEAST_BYTES_S: f64 = (16 << 10) as f64;
/// Rate above which nothing is gained by counting.
const MOST_BYTES_S: f64 = 10e9;
/// Time between two decisions, beside the round trip that a decision takes to show.
const DECIDE_US: u64 = 40_000;
/// How much a decision adds near the rate at which the queue was last seen to grow, and how much far from it.
const STEP_NEAR: f64 = 0.03;
const STEP_FAR: f64 = 0.25;
/// Decisions further apart than this add less each: what they add lengthens the queue until the next one.
const STEP_TIME_US: f64 = 100_000.0;
/// Below this share of that rate it is far.
const NEAR: f64 = 0.85;
/// Decisions without a queue after which the line has become faster.
const CALM_MAX: u32 = 20;
/// Most that a decision takes away.
const FALL_MAX: f64 = 0.5;
/// Excess over the target, in targets, that counts in full.
const EXCESS_MAX: f64 = 12.0;
/// Share of the rate that must have been used before more is allowed.
const USED: f64 = 0.75;
/// Time between two pauses, in which the path is measured without this node's queue.
const PAUSE_EVERY_US: u64 = 30_000_000;
/// Length of a pause, beside the round trip; what is left of the rate meanwhile.
const PAUSE_US: u64 = 150_000;
const PAUSE_SHARE: f64 = 0.25;

/// One link's path.
#[derive(Debug, Default)]
struct Path {
    base: Base,
    /// Round trip since the last decision, in microseconds.
    fresh_us: Option<u64>,
}

/// A pause under way.
#[derive(Debug, Clone, Copy)]
struct Pause {
    until_us: u64,
    /// Rate to go on with.
    rate: f64,
}

/// The decider.
#[derive(Debug)]
pub(super) struct Yielding {
    paths: BTreeMap<u64, Path>,
    rate: f64,
    /// Rate at which the queue was last seen to grow.
    known: Option<f64>,
    /// Rise of round trips at the last decision, in microseconds.
    rise_us: f64,
    /// Decisions since then in which nothing stood in the way of more.
    calm: u32,
    decided_us: u64,
    /// Bytes let through since then.
    used_bytes: u64,
    pause: Option<Pause>,
    /// When the next pause is due; none before the queue has been seen.
    pause_due_us: Option<u64>,
}

impl Yielding {
    pub(super) fn new() -> Self {
        Self {
            paths: BTreeMap::new(),
            rate: FIRST_BYTES_S,
            known: None,
            rise_us: 0.0,
            calm: 0,
            decided_us: 0,
            used_bytes: 0,
            pause: None,
            pause_due_us: None,
        }
    }

    /// Bytes a second that may leave now.
    pub(super) fn bytes_s(&self) -> u64 {
        self.rate as u64
    }

    /// Bytes were let through.
    pub(super) fn used(&mut self, bytes: usize) {
        self.used_bytes += bytes as u64;
    }

    /// A link is gone.
    pub(super) fn left(&mut self, link: u64) {
        self.paths.remove(&link);
    }

    /// A link's mean round trip since it was last measured; another rate may come of it.
    pub(super) fn measured(&mut self, now_us: u64, link: u64, rtt_us: u64) {
        let rise_us = self.rise_us as u64;
        let path = self.paths.entry(link).or_default();
        if path.base.least_us().is_none() {
            // A newcomer meets the queue that there is, and must not take it for the path's own delay.
            path.base.add(now_us, rtt_us.saturating_sub(rise_us));
        } else {
            path.base.add(now_us, rtt_us);
        }
        path.fresh_us = Some(rtt_us);
        let waited_us = now_us.saturating_sub(self.decided_us);
        if waited_us >= DECIDE_US + self.base_us() {
            self.decide(now_us, waited_us);
        }
    }

    /// Shortest base of the links that were measured.
    fn base_us(&self) -> u64 {
        let fresh = self.paths.values().filter(|path| path.fresh_us.is_some());
        fresh.filter_map(|path| path.base.least_us()).min().unwrap_or(0)
    }

    fn decide(&mut self, now_us: u64, waited_us: u64) {
        let base_us = self.base_us();
        let rise_us = self.take_rise_us();
        let wanted = self.rate * USED * waited_us as f64 / 1e6;
        let is_used = std::mem::take(&mut self.used_bytes) as f64 >= wanted;
        self.decided_us = now_us;
        if let Some(pause) = self.pause {
            if now_us >= pause.until_us {
                (self.rate, self.pause) = (pause.rate, None);
                self.rise_us = rise_us;
            }
            return;
        }
        let grown = ((rise_us - self.rise_us) / waited_us as f64).clamp(-FALL_MAX, FALL_MAX);
        let is_first = self.note(rise_us, grown, is_used);
        self.rise_us = rise_us;
        let factor = self.factor(rise_us, grown, waited_us);
        if factor < 1.0 || is_used {
            self.rate = (self.rate * factor).clamp(LEAST_BYTES_S, MOST_BYTES_S);
        }
        let is_due = is_used && self.pause_due_us.is_some_and(|due_us| now_us >= due_us);
        if is_first || is_due {
            self.pause = Some(Pause { until_us: now_us + PAUSE_US + base_us, rate: self.rate });
            self.pause_due_us = Some(now_us + PAUSE_EVERY_US);
            self.rate = (self.rate * PAUSE_SHARE).max(LEAST_BYTES_S);
        }
    }

    /// What the own line adds to round trips, as the links say that were measured. With many, it is not the least one's
    /// word: it may have had a queue elsewhere when its base was measured.
    fn take_rise_us(&mut self) -> f64 {
        let rise = |path: &mut Path| Some(path.fresh_us.take()?.saturating_sub(path.base.least_us()?));
        let mut rises: Vec<u64> = self.paths.values_mut().filter_map(rise).collect();
        rises.sort_unstable();
        rises.get(rises.len() / 4).copied().unwrap_or(0) as f64
    }

    /// Remembers the rate at which a queue appears; true for the first time.
    fn note(&mut self, rise_us: f64, grown: f64, is_used: bool) -> bool {
        let is_queue = |rise_us: f64| rise_us >= TARGET_US / 2.0;
        if !is_queue(rise_us) {
            self.calm = self.calm.saturating_add(u32::from(is_used));
            return false;
        }
        self.calm = 0;
        if is_queue(self.rise_us) {
            return false;
        }
        self.known.replace(self.rate / (1.0 + grown.max(0.0))).is_none()
    }

    /// What the rate is multiplied with. A queue that grows by a tenth of the time says that the rate is a tenth above
    /// the line's, and one that shrinks by a tenth that it is a tenth below: what a busy machine took for a queue is
    /// given back as soon as it is seen to be none.
    fn factor(&self, rise_us: f64, grown: f64, waited_us: u64) -> f64 {
        let is_far = self.known.is_none_or(|known| self.rate < NEAR * known) || self.calm > CALM_MAX;
        let often = (STEP_TIME_US / waited_us as f64).min(1.0);
        let near = STEP_NEAR * often;
        let step = if is_far { STEP_FAR * often } else { near };
        let short = ((TARGET_US - rise_us) / TARGET_US).max(-EXCESS_MAX);
        let pull = if short > 0.0 { step * short } else { near * short };
        (1.0 - grown + pull).clamp(1.0 - FALL_MAX, 1.0 + step.max(-grown))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE_US: u64 = 20_000;

    /// A decider that is asked for all it allows, each 100 ms, and sees these rises of its links in turn, in milliseconds.
    fn rates(rises_ms: &[&[u64]]) -> Vec<u64> {
        let mut yielding = Yielding::new();
        (0..8).for_each(|link| yielding.measured(1, link, BASE_US));
        let mut rates = Vec::new();
        for (turn, rises_ms) in rises_ms.iter().enumerate() {
            let now_us = (turn as u64 + 1) * 100_000;
            yielding.used(yielding.bytes_s() as usize / 10);
            for (link, rise_ms) in rises_ms.iter().enumerate() {
                yielding.measured(now_us, link as u64, BASE_US + rise_ms * 1000);
            }
            rates.push(yielding.bytes_s());
        }
        rates
    }

    #[test]
    fn what_one_link_alone_sees_is_not_the_own_queue() {
        let check = |rises_ms: &[u64], grows: bool| {
            // The first link's word decides at once, so it comes again.
            let rates = rates(&[&[0], rises_ms, rises_ms]);
            assert_eq!(rates[2] > rates[0], grows, "{rises_ms:?}: {rates:?}");
        };
        check(&[0], true);
        check(&[100], false);
        check(&[0, 100], true);
        check(&[100, 100], false);
        check(&[0, 100, 100], true);
        check(&[0, 0, 100, 100], true);
        check(&[0, 100, 100, 100], false);
    }

    #[test]
    fn a_queue_takes_the_rate_down_to_its_floor() {
        let full: Vec<&[u64]> = vec![&[400]; 40];
        assert_eq!(rates(&full).last(), Some(&(LEAST_BYTES_S as u64)));
    }

    #[test]
    fn what_is_not_used_does_not_grow() {
        let mut yielding = Yielding::new();
        (1..100).for_each(|turn| yielding.measured(turn * 100_000, 1, BASE_US));
        assert_eq!(yielding.bytes_s(), FIRST_BYTES_S as u64);
    }

    #[test]
    fn links_that_leave_are_forgotten() {
        let mut yielding = Yielding::new();
        (0..100).for_each(|link| {
            yielding.measured(link, link, BASE_US);
            yielding.left(link);
        });
        assert!(yielding.paths.is_empty());
    }
}
