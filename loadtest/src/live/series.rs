//! The run over time: rates and shares each half second, and how idle the machine is.

use std::collections::VecDeque;

use anyhow::Result;

use super::machine::MachineTime;
use super::node::Node;
use super::view::{NodeView, Scene};
use crate::lab::WireMeter;
use crate::report::Sample;

/// Time between two samples, in milliseconds.
const SAMPLE_MS: f64 = 500.0;
/// Samples that the least idle time is a mean of: two seconds.
const IDLE_SAMPLES: usize = 4;
/// Most samples of one run: a day's worth.
const SAMPLES_MAX: usize = 200_000;

/// What is known at one moment.
#[derive(Debug, Clone, Copy, Default)]
struct Moment {
    at_ms: f64,
    origin_bytes: u64,
    peer_bytes: u64,
    machine: Option<MachineTime>,
}

/// Samples so far.
#[derive(Debug)]
pub(super) struct Series {
    meter: Option<WireMeter>,
    samples: Vec<Sample>,
    first: Moment,
    /// The last moments, oldest first.
    recent: VecDeque<Moment>,
    idle: Option<f64>,
    idle_least: Option<f64>,
}

impl Series {
    /// The origin's line is read by `meter`; without one, what the nodes say stands in for it.
    pub(super) fn new(meter: Option<WireMeter>) -> Self {
        Self {
            meter,
            samples: Vec::new(),
            first: Moment::default(),
            recent: VecDeque::new(),
            idle: None,
            idle_least: None,
        }
    }

    /// The clock starts.
    pub(super) fn begin(&mut self, nodes: &[Node]) -> Result<()> {
        self.first = self.moment(0.0, nodes)?;
        self.recent = VecDeque::from([self.first]);
        Ok(())
    }

    /// Samples when it is time to; returns the run as it is now.
    pub(super) fn look(&mut self, at_ms: f64, nodes: &[Node]) -> Result<Scene> {
        let last = self.recent.back().copied().unwrap_or(self.first);
        if at_ms - last.at_ms >= SAMPLE_MS && self.samples.len() < SAMPLES_MAX {
            let moment = self.moment(at_ms, nodes)?;
            self.sample(last, moment, nodes);
        }
        let (completion, jobs, finished) = shares(nodes);
        let rates = self.samples.last();
        Ok(Scene {
            at_ms,
            completion,
            jobs,
            finished,
            origin_mbit: rates.map_or(0.0, |sample| sample.origin_mbit),
            peers_mbit: rates.map_or(0.0, |sample| sample.peers_mbit),
            idle: self.idle,
            nodes: nodes.iter().map(node_view).collect(),
        })
    }

    fn sample(&mut self, last: Moment, moment: Moment, nodes: &[Node]) {
        let mbit = |before: u64, after: u64| {
            after.saturating_sub(before) as f64 * 8.0 / 1000.0 / (moment.at_ms - last.at_ms)
        };
        let (completion, _, finished) = shares(nodes);
        self.samples.push(Sample {
            at_ms: moment.at_ms,
            origin_mbit: mbit(last.origin_bytes, moment.origin_bytes),
            peers_mbit: mbit(last.peer_bytes, moment.peer_bytes),
            completion,
            finished,
        });
        self.recent.push_back(moment);
        if self.recent.len() > IDLE_SAMPLES {
            let oldest = self.recent.pop_front().unwrap_or_default();
            self.idle = idle(oldest, moment);
            self.idle_least = [self.idle_least, self.idle].into_iter().flatten().min_by(f64::total_cmp);
        }
    }

    fn moment(&self, at_ms: f64, nodes: &[Node]) -> Result<Moment> {
        let origin_bytes = match &self.meter {
            Some(meter) => meter.read_first()?.up,
            None => nodes.iter().map(|node| node.bytes.origin).sum(),
        };
        let peer_bytes = nodes.iter().map(|node| node.sent_bytes).sum();
        Ok(Moment { at_ms, origin_bytes, peer_bytes, machine: MachineTime::read() })
    }

    /// Idle share of the whole run, and of the two seconds in which it was least.
    pub(super) fn idle(&self) -> (Option<f64>, Option<f64>) {
        let mean = self.recent.back().and_then(|last| idle(self.first, *last));
        (mean, self.idle_least.or(mean))
    }

    /// All samples.
    pub(super) fn into_samples(self) -> Vec<Sample> {
        self.samples
    }
}

fn idle(before: Moment, after: Moment) -> Option<f64> {
    after.machine?.idle_since(before.machine?)
}

/// Mean completion, number and finished ones of the counted nodes.
fn shares(nodes: &[Node]) -> (f64, u32, u32) {
    let counted = || nodes.iter().filter(|node| node.is_counted);
    let jobs = counted().count() as u32;
    let finished = counted().filter(|node| node.finish_ms.is_some()).count() as u32;
    (counted().map(Node::completion).sum::<f64>() / f64::from(jobs.max(1)), jobs, finished)
}

fn node_view(node: &Node) -> NodeView {
    NodeView {
        done_bytes: node.done_bytes,
        total_bytes: node.total_bytes,
        peer_bytes: node.bytes.peer,
        origin_bytes: node.bytes.origin,
        is_done: node.finish_ms.is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::event::SourceBytes;

    #[test]
    fn rates_are_means_since_the_sample_before() {
        let node = |sent_bytes, origin| Node {
            is_counted: true,
            total_bytes: 4_000_000,
            done_bytes: 1_000_000,
            sent_bytes,
            bytes: SourceBytes { peer: 0, origin },
            ..Node::default()
        };
        let mut series = Series::new(None);
        series.begin(&[node(0, 0)]).expect("no meter");
        for (at_ms, sent_bytes, origin) in
            [(250.0, 1, 1), (500.0, 125_000, 250_000), (750.0, 9, 9), (1500.0, 125_000, 500_000)]
        {
            let scene = series.look(at_ms, &[node(sent_bytes, origin)]).expect("no meter");
            assert_eq!((scene.completion, scene.jobs, scene.finished), (0.25, 1, 0));
        }
        let rates: Vec<_> =
            series.into_samples().iter().map(|s| (s.at_ms, s.origin_mbit, s.peers_mbit)).collect();
        assert_eq!(rates, [(500.0, 4.0, 2.0), (1500.0, 2.0, 0.0)]);
    }
}
