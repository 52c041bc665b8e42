//! The state of a run over time.

use super::queue::Event;
use super::world::{ORIGIN, World, host_of};
use super::{SERIES_US, WATCH_US};
use crate::report::Sample;

/// Samples so far, and the counts at the last one.
#[derive(Debug, Default)]
pub(super) struct Series {
    pub(super) samples: Vec<Sample>,
    held_bytes: u64,
    at_us: u64,
    origin_wire_bytes: u64,
    peers_wire_bytes: u64,
}

impl Series {
    /// A node holds more.
    pub(super) fn held(&mut self, is_counted: bool, bytes: u64) {
        self.held_bytes += if is_counted { bytes } else { 0 };
    }
}

impl World<'_> {
    pub(super) fn sample_event(&mut self) {
        let now_us = self.now_us();
        let step_us = if self.options.verbose.is_some() { WATCH_US } else { SERIES_US };
        if now_us >= self.series.at_us + SERIES_US {
            self.sample();
        }
        if self.options.verbose.is_some() {
            self.watch();
        }
        self.queue.push(now_us + step_us, Event::Sample);
    }

    /// Notes how things stand.
    pub(super) fn sample(&mut self) {
        let now_us = self.now_us();
        let past_us = now_us - self.series.at_us;
        if past_us == 0 {
            return;
        }
        let origin_wire_bytes = self.net.uplink(ORIGIN).wire_bytes;
        let nodes = 0..self.nodes.len() as u32;
        let peers_wire_bytes = nodes.map(|node| self.net.uplink(host_of(node)).wire_bytes).sum();
        let jobs = self.nodes.iter().filter(|node| node.run.is_counted);
        let all_bytes = self.needed_bytes * jobs.clone().count() as u64;
        let series = &mut self.series;
        let mbit = |after: u64, before: u64| (after - before) as f64 * 8.0 / past_us as f64;
        series.samples.push(Sample {
            at_ms: now_us as f64 / 1000.0,
            origin_mbit: mbit(origin_wire_bytes, series.origin_wire_bytes),
            peers_mbit: mbit(peers_wire_bytes, series.peers_wire_bytes),
            completion: series.held_bytes as f64 / all_bytes.max(1) as f64,
            finished: jobs.filter(|node| node.run.finish_ms.is_some()).count() as u32,
        });
        series.at_us = now_us;
        series.origin_wire_bytes = origin_wire_bytes;
        series.peers_wire_bytes = peers_wire_bytes;
    }
}
