//! A line with a buffer, and deciders that share it with each other and with a download of the usual kind: what comes of
//! the decisions over minutes.

use std::collections::VecDeque;

use super::yielding::Yielding;

/// A step, in microseconds.
const STEP_US: u64 = 1_000;
/// How often a link that is in use tells its round trip.
const TELL_US: u64 = 50_000;
/// What packets of a TCP sender carry.
const SEGMENT_BYTES: f64 = 1_460.0;

/// A node that has answers to give without end.
struct Node {
    yielding: Yielding,
    /// Round trips that its links will see, the newest last.
    on_the_way: VecDeque<f64>,
    sum_us: f64,
    count: u32,
    sent_bytes: f64,
}

/// A sender that fills the buffer and halves at a loss, roughly.
struct Filler {
    window_bytes: f64,
    is_starting: bool,
    sent_bytes: f64,
}

/// What a busy machine does to round trips, without a queue anywhere.
#[derive(Clone, Copy)]
struct Hiccups {
    every_ms: u64,
    long_ms: u64,
    extra_ms: u64,
}

struct Line {
    now_us: u64,
    bytes_s: f64,
    buffer_us: f64,
    base_us: f64,
    queue_us: f64,
    /// Jitter of round trips that others cause.
    jitter_us: f64,
    hiccups: Option<Hiccups>,
    seed: u32,
    nodes: Vec<Node>,
    filler: Option<Filler>,
    /// Of each step since this was last cleared.
    queues_us: Vec<f64>,
}

impl Line {
    fn new(bytes_s: f64, base_us: f64) -> Self {
        Self {
            now_us: 1,
            bytes_s,
            buffer_us: 500_000.0,
            base_us,
            queue_us: 0.0,
            jitter_us: 2_000.0,
            hiccups: None,
            seed: 7,
            nodes: Vec::new(),
            filler: None,
            queues_us: Vec::new(),
        }
    }

    fn join(&mut self) {
        let (yielding, on_the_way) = (Yielding::new(), VecDeque::new());
        self.nodes.push(Node { yielding, on_the_way, sum_us: 0.0, count: 0, sent_bytes: 0.0 });
    }

    /// Between 0 and 1.
    fn random(&mut self) -> f64 {
        self.seed = self.seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from(self.seed >> 8) / f64::from(1 << 24)
    }

    /// Lets time pass, and begins to count anew.
    fn run(&mut self, seconds: u64) {
        self.queues_us.clear();
        self.nodes.iter_mut().for_each(|node| node.sent_bytes = 0.0);
        if let Some(filler) = &mut self.filler {
            filler.sent_bytes = 0.0;
        }
        (0..seconds * 1_000_000 / STEP_US).for_each(|_| self.step());
    }

    fn step(&mut self) {
        let step_s = STEP_US as f64 / 1e6;
        let rtt_us = self.base_us + self.queue_us;
        let late_us = self.hiccups.map_or(0.0, |hiccups| hiccups.late_us(self.now_us));
        let jitters: Vec<f64> =
            (0..self.nodes.len()).map(|_| late_us + self.random() * self.jitter_us).collect();
        let mut bytes = 0.0;
        for (node, jitter_us) in self.nodes.iter_mut().zip(jitters) {
            let out = node.yielding.bytes_s() as f64 * step_s;
            node.yielding.used(out.ceil() as usize);
            node.sent_bytes += out;
            bytes += out;
            node.see(self.now_us, rtt_us + jitter_us, self.base_us);
        }
        if let Some(filler) = &mut self.filler {
            bytes += filler.send(rtt_us, step_s);
        }
        self.queue_us = (self.queue_us + bytes / self.bytes_s * 1e6 - STEP_US as f64).max(0.0);
        if self.queue_us > self.buffer_us {
            self.queue_us = self.buffer_us;
            if let Some(filler) = &mut self.filler {
                (filler.window_bytes, filler.is_starting) = (filler.window_bytes * 0.7, false);
            }
        }
        self.queues_us.push(self.queue_us);
        self.now_us += STEP_US;
    }

    /// Queue that a share of the steps since `run` did not exceed, in milliseconds.
    fn queue_ms(&self, share: f64) -> f64 {
        let mut sorted = self.queues_us.clone();
        sorted.sort_by(f64::total_cmp);
        sorted[((sorted.len() - 1) as f64 * share) as usize] / 1e3
    }

    /// Share of the line that each node had in `seconds`.
    fn shares(&self, seconds: u64) -> Vec<f64> {
        self.nodes.iter().map(|node| node.sent_bytes / self.bytes_s / seconds as f64).collect()
    }

    fn fill(&mut self) {
        self.filler = Some(Filler { window_bytes: 10.0 * SEGMENT_BYTES, is_starting: true, sent_bytes: 0.0 });
    }
}

impl Hiccups {
    fn late_us(self, now_us: u64) -> f64 {
        if now_us / 1_000 % self.every_ms < self.long_ms { (self.extra_ms * 1_000) as f64 } else { 0.0 }
    }
}

impl Node {
    fn see(&mut self, now_us: u64, rtt_us: f64, base_us: f64) {
        self.on_the_way.push_back(rtt_us);
        if self.on_the_way.len() as f64 > base_us / STEP_US as f64 {
            self.sum_us += self.on_the_way.pop_front().unwrap_or(0.0);
            self.count += 1;
        }
        if now_us % TELL_US < STEP_US && self.count > 0 {
            self.yielding.measured(now_us, 1, (self.sum_us / f64::from(self.count)) as u64);
            (self.sum_us, self.count) = (0.0, 0);
        }
    }
}

impl Filler {
    fn send(&mut self, rtt_us: f64, step_s: f64) -> f64 {
        let bytes = self.window_bytes * step_s * 1e6 / rtt_us;
        // A segment a round trip; at the start one for each that arrives.
        self.window_bytes += if self.is_starting { bytes } else { SEGMENT_BYTES * step_s * 1e6 / rtt_us };
        self.sent_bytes += bytes;
        bytes
    }
}

/// (bytes a second, base in microseconds) of lines from 1 Mbit/s to 1 Gbit/s.
const LINES: [(f64, f64); 7] = [
    (125e3, 20e3),
    (625e3, 2e3),
    (625e3, 20e3),
    (625e3, 150e3),
    (625e3, 300e3),
    (2.5e6, 40e3),
    (125e6, 10e3),
];

#[test]
fn the_line_is_used_and_its_queue_stays_short() {
    for (bytes_s, base_us) in LINES {
        let mut line = Line::new(bytes_s, base_us);
        line.join();
        line.run(10);
        line.run(60);
        let (queue_ms, share) = (line.queue_ms(0.95), line.shares(60)[0]);
        assert!(queue_ms <= 22.0 && share >= 0.95, "{bytes_s} {base_us}: {queue_ms:.1} ms, {share:.3}");
    }
}

#[test]
fn a_start_is_quick_and_gentle() {
    for (bytes_s, base_us) in LINES {
        let mut line = Line::new(bytes_s, base_us);
        line.join();
        line.run(if base_us > 1e5 { 10 } else { 4 });
        let queue_ms = line.queue_ms(1.0);
        line.run(1);
        let share = line.shares(1)[0];
        assert!(queue_ms <= 50.0 && share >= 0.8, "{bytes_s} {base_us}: {queue_ms:.1} ms, {share:.3}");
    }
}

#[test]
fn a_busy_machine_is_no_queue() {
    let check = |every_ms, long_ms, extra_ms| {
        let mut line = Line::new(2.5e6, 2e3);
        line.hiccups = Some(Hiccups { every_ms, long_ms, extra_ms });
        line.join();
        line.run(5);
        line.run(30);
        let share = line.shares(30)[0];
        assert!(share >= 0.75, "{long_ms} of {every_ms} ms, {extra_ms} ms late: {share:.3}");
    };
    check(500, 50, 20);
    check(700, 120, 30);
    check(730, 50, 15);
    check(1_000, 200, 30);
    check(1_500, 100, 60);
}

#[test]
fn a_download_takes_what_it_wants_and_leaves_it_again() {
    for (bytes_s, base_us) in [(625e3, 20e3), (2.5e6, 40e3)] {
        let mut line = Line::new(bytes_s, base_us);
        line.join();
        line.run(30);
        line.fill();
        line.run(5);
        line.run(60);
        let filler = line.filler.take().expect("it was there").sent_bytes;
        let share = filler / bytes_s / 60.0;
        assert!(share >= 0.9, "{bytes_s} {base_us}: the other has {share:.3}");
        line.run(10);
        line.run(30);
        let share = line.shares(30)[0];
        assert!(share >= 0.9, "{bytes_s} {base_us}: then {share:.3}");
    }
}

#[test]
fn a_latecomer_lengthens_the_queue_only_for_a_while() {
    let mut line = Line::new(625e3, 20e3);
    line.join();
    line.run(20);
    line.join();
    line.run(120);
    line.run(60);
    let (queue_ms, shares) = (line.queue_ms(0.95), line.shares(60));
    assert!(queue_ms <= 40.0, "{queue_ms:.1} ms");
    assert!(shares.iter().all(|&share| share >= 0.02), "{shares:?}");
    assert!(shares.iter().sum::<f64>() >= 0.9, "{shares:?}");
}

#[test]
fn a_longer_route_is_believed_within_minutes() {
    let mut line = Line::new(625e3, 20e3);
    line.join();
    line.run(60);
    line.base_us = 120e3;
    line.run(200);
    line.run(60);
    let (queue_ms, share) = (line.queue_ms(0.95), line.shares(60)[0]);
    assert!(queue_ms <= 30.0 && share >= 0.9, "{queue_ms:.1} ms, {share:.3}");
}

#[test]
fn a_line_that_changes_is_followed() {
    let mut line = Line::new(625e3, 20e3);
    line.join();
    line.run(60);
    for bytes_s in [2.5e6, 300e3] {
        line.bytes_s = bytes_s;
        line.run(20);
        line.run(60);
        let (queue_ms, share) = (line.queue_ms(0.95), line.shares(60)[0]);
        assert!(queue_ms <= 25.0 && share >= 0.9, "{bytes_s}: {queue_ms:.1} ms, {share:.3}");
    }
}
