//! From what was seen to the report.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::LiveOptions;
use super::event::NodeAccount;
use super::network::WireReading;
use super::node::Node;
use super::series::Series;
use super::spending::Spending;
use super::stage::Published;
use crate::lab::DelayReport;
use crate::plan::Plan;
use crate::report::{
    Fed, LinkTimes, LiveRun, NodeRun, OriginSent, Report, Run, Shaping, Source, TrackerBeat, WireSplit,
};

/// Less of the machine's time idle than this, and the times are the machine's and not the lines'.
const IDLE_MIN: f64 = 0.2;
/// More delayed packets late than this share, and the round trip was not what the plan says.
const LATE_MAX: f64 = 0.001;

/// Stands for the reasons of a node that vanished before it told them.
const UNTOLD: &str = "untold";

/// What the origin counted, as it writes it to its report file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub(super) struct OriginCounters {
    wire_bytes: u64,
    body_bytes: u64,
    pack: KindCount,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
struct KindCount {
    requests: u64,
    #[serde(default)]
    refused: u64,
    body_bytes: u64,
}

impl OriginCounters {
    /// Reads the file.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let bytes =
            std::fs::read(path).with_context(|| format!("read the origin's report {}", path.display()))?;
        serde_json::from_slice(&bytes).with_context(|| format!("read the origin's report {}", path.display()))
    }

    /// What was counted after `before`.
    pub(super) fn since(self, before: &Self) -> Self {
        Self {
            wire_bytes: self.wire_bytes.saturating_sub(before.wire_bytes),
            body_bytes: self.body_bytes.saturating_sub(before.body_bytes),
            pack: KindCount {
                requests: self.pack.requests.saturating_sub(before.pack.requests),
                refused: self.pack.refused.saturating_sub(before.pack.refused),
                body_bytes: self.pack.body_bytes.saturating_sub(before.pack.body_bytes),
            },
        }
    }
}

/// All that was seen of a run.
pub(super) struct Account<'a> {
    pub(super) plan: &'a Plan,
    pub(super) options: &'a LiveOptions,
    pub(super) published: Published,
    pub(super) nodes: &'a [Node],
    pub(super) origin: OriginCounters,
    /// The lines' counters before the first start and after the last finish.
    pub(super) wire: Option<(WireReading, WireReading)>,
    pub(super) spending: &'a Spending,
    /// What the trackers said of themselves.
    pub(super) beats: Vec<TrackerBeat>,
    pub(super) series: Series,
    pub(super) relay: Option<DelayReport>,
    pub(super) end_ms: f64,
    pub(super) verified_trees: u32,
}

impl Account<'_> {
    /// The report.
    pub(super) fn report(self) -> Report {
        let nodes: Vec<NodeRun> = self.nodes.iter().map(node_run).collect();
        let mut fed = Fed::new(self.plan.nodes());
        for node in self.nodes.iter().filter(|node| node.is_counted) {
            fed.add(node.number as u32, None, node.bytes.origin);
        }
        let held: f64 = self.nodes.iter().filter(|node| node.is_counted).map(Node::completion).sum();
        let live = self.live();
        let cpu_s = live.cpu_s.values().sum();
        Report::of(Run {
            source: Source::Live,
            plan: self.plan.clone(),
            seed: Some(self.options.seed),
            trace: None,
            chunks: self.published.chunks,
            // As the origin sends it, so that a copy is a copy however well it compresses.
            needed_bytes: self.published.stored_bytes,
            deliveries: (held * f64::from(self.published.chunks)).round() as u64,
            end_ms: self.end_ms,
            origin: self.origin_sent(),
            nodes,
            fed,
            violations: self.violations(),
            cpu_s: Some(cpu_s),
            live: Some(live),
            series: self.series.into_samples(),
        })
    }

    fn origin_sent(&self) -> OriginSent {
        let OriginCounters { wire_bytes, body_bytes, pack } = self.origin;
        let manifest_bytes = body_bytes.saturating_sub(pack.body_bytes);
        let plain_bytes: u64 =
            self.nodes.iter().filter(|node| node.is_counted).map(|node| node.bytes.origin).sum();
        OriginSent {
            // Peers hand out plain bytes: compression must not pass for offload.
            bytes: body_bytes.max(plain_bytes + manifest_bytes),
            manifest_bytes,
            wire_bytes: match &self.wire {
                Some((before, after)) => after.origin.up - before.origin.up,
                None => wire_bytes,
            },
            requests: pack.requests,
            refused: pack.refused,
        }
    }

    fn live(&self) -> LiveRun {
        let (idle_mean, idle_least) = self.series.idle();
        LiveRun {
            shaping: self.options.shaping,
            idle_mean,
            idle_least,
            is_machine_bound: idle_least.is_some_and(|idle| idle < IDLE_MIN),
            cpu_s: self.spending.cpu_s(),
            node_resident_bytes_max: self.spending.node_resident_bytes_max(),
            node_wire: self.wire.as_ref().map(|(before, after)| self.node_wire(before, after)),
            peer_bytes_by_locality: self.by_locality(),
            link_times: self.link_times(),
            trackers: self.beats.clone(),
            verified_trees: self.verified_trees,
            announced_off_max: self.announced_off_max(),
            delayed_packets: self.relay.map(|relay| [relay.packets, relay.late]),
            notes: self.notes(),
        }
    }

    fn counted_accounts(&self) -> impl Iterator<Item = &NodeAccount> {
        self.nodes.iter().filter(|node| node.is_counted).filter_map(|node| node.account.as_ref())
    }

    fn link_times(&self) -> LinkTimes {
        self.counted_accounts().fold(LinkTimes::default(), |mut all, account| {
            all += account.link_times;
            all
        })
    }

    fn by_locality(&self) -> BTreeMap<String, u64> {
        let mut all = BTreeMap::new();
        for (name, traffic) in self.counted_accounts().flat_map(|account| &account.peer_bytes_by_locality) {
            *all.entry(name.clone()).or_default() += traffic.received;
        }
        all
    }

    /// None unless every node that was to be counted said how much it was going to fetch.
    fn announced_off_max(&self) -> Option<f64> {
        let needed = self.published.stored_bytes as f64;
        let counted = self.nodes.iter().filter(|node| node.is_counted);
        let off = |node: &Node| Some((node.announced_bytes? as f64 / needed - 1.0).abs());
        counted.map(off).try_fold(0.0, |most: f64, off| Some(most.max(off?)))
    }

    fn node_wire(&self, before: &WireReading, after: &WireReading) -> WireSplit {
        let mut split = WireSplit::default();
        for (before, after) in before.lines.iter().zip(&after.lines) {
            split.up_bytes += after.up - before.up;
            split.down_bytes += after.down - before.down;
            split.drops += after.up_drops + after.down_drops - before.up_drops - before.down_drops;
        }
        for node in self.nodes.iter().filter(|node| node.is_counted) {
            let account = node.account.clone().unwrap_or_default();
            // Of what the origin sent, the compressed form was on the wire.
            let from_origin =
                if account.origin_wire_bytes > 0 { account.origin_wire_bytes } else { node.bytes.origin };
            split.down_payload_bytes += node.bytes.peer + from_origin + account.waste_bytes;
        }
        split.up_payload_bytes = self.nodes.iter().map(Node::sent_in_run).sum();
        split
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        match self.options.shaping {
            Shaping::Lab => {}
            Shaping::User => notes.push(
                "loopback: nodes cap what they hand out at the plan's uplink; the origin's line, downlinks and round \
                 trips are not the plan's, and wire bytes are what the origin wrote to its connections"
                    .to_owned(),
            ),
            Shaping::None => notes.push(
                "loopback without any shaping: times are the machine's, and bounds mean nothing; wire bytes are what \
                 the origin wrote to its connections"
                    .to_owned(),
            ),
        }
        notes
    }

    fn violations(&self) -> Vec<String> {
        let mut violations = Vec::new();
        if let Some(relay) = self.relay.filter(|relay| relay.late as f64 > relay.packets as f64 * LATE_MAX) {
            violations.push(format!(
                "{} of {} packets were more than 5 ms late (the latest by {} ms): the round trip was not the plan's",
                relay.late,
                relay.packets,
                relay.worst_late_us / 1000
            ));
        }
        violations
    }
}

fn node_run(node: &Node) -> NodeRun {
    let sent_bytes = node.sent_in_run();
    if !node.is_counted {
        // What a seed fetched beforehand is no part of the run.
        return NodeRun { group: node.group as u32, sent_bytes, ..NodeRun::default() };
    }
    let mut account = node.account.clone().unwrap_or_default();
    if node.account.is_none() && node.bytes.origin > 0 {
        account.origin_bytes_by_reason.insert(UNTOLD.to_owned(), node.bytes.origin);
    }
    NodeRun {
        group: node.group as u32,
        is_counted: node.is_counted,
        start_ms: node.start_ms.unwrap_or(0.0),
        finish_ms: node.finish_ms,
        left_early: node.left_early,
        peer_bytes: node.bytes.peer,
        origin_bytes: account.origin_bytes_by_reason,
        waste_bytes: account.waste_bytes,
        corrupt_bytes: account.corrupt_bytes,
        sent_bytes,
        requests: account.origin_requests,
        bans: account.peers_banned.len() as u32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::WireBytes;
    use crate::live::event::SourceBytes;
    use crate::live::{Release, Verify};
    use crate::plan::read_plan;

    fn nodes() -> Vec<Node> {
        let node = |number, peer, origin| Node {
            number,
            is_counted: true,
            start_ms: Some(10.0),
            finish_ms: Some(1010.0),
            bytes: SourceBytes { peer, origin },
            sent_bytes: 500,
            account: Some(NodeAccount {
                origin_bytes_by_reason: [("first-copy".to_owned(), origin)].into(),
                origin_wire_bytes: origin / 2,
                waste_bytes: 20,
                ..NodeAccount::default()
            }),
            ..Node::default()
        };
        (0..4).map(|number| node(number, 750, 250)).collect()
    }

    fn report(shaping: Shaping, origin: OriginCounters, late: u64) -> Report {
        let plan = read_plan("tiny", &[]).expect("built in");
        let options = LiveOptions {
            seed: 1,
            bin_dir: None,
            shaping,
            verify: Verify::None,
            release: Release::OfPlan,
            keep_in: None,
        };
        let lines = |up, down| WireReading {
            origin: WireBytes { up, ..WireBytes::default() },
            lines: vec![WireBytes { up, down, up_drops: up / 100, down_drops: 0 }; 4],
        };
        let account = Account {
            plan: &plan,
            options: &options,
            published: Published { chunks: 32, stored_bytes: 500 },
            nodes: &nodes(),
            origin,
            wire: (shaping == Shaping::Lab).then(|| (lines(100, 100), lines(700, 1100))),
            spending: &Spending::default(),
            beats: Vec::new(),
            series: Series::new(None),
            relay: Some(DelayReport { packets: 1000, late, worst_late_us: 9000, ..DelayReport::default() }),
            end_ms: 1010.0,
            verified_trees: 4,
        };
        account.report()
    }

    fn origin(body_bytes: u64) -> OriginCounters {
        OriginCounters {
            wire_bytes: body_bytes + 50,
            body_bytes,
            pack: KindCount { requests: 9, refused: 2, body_bytes: body_bytes - 10 },
        }
    }

    #[test]
    fn paid_bytes_and_copies() {
        let check = |shaping, body_bytes, offload: f64, copies: f64| {
            let figures = report(shaping, origin(body_bytes), 0).figures;
            assert!(
                (figures.offload - offload).abs() < 1e-9,
                "{shaping:?} {body_bytes}: {}",
                figures.offload
            );
            assert!((figures.copies - copies).abs() < 1e-9, "{shaping:?} {body_bytes}: {}", figures.copies);
        };
        // 4000 bytes were delivered, 1000 of them by the origin as 510 compressed ones: a quarter, not an eighth.
        check(Shaping::None, 520, 1.0 - 1010.0 / 4000.0, 570.0 / 500.0);
        // What nobody used was paid for all the same.
        check(Shaping::None, 2000, 0.5, 2050.0 / 500.0);
        // Where lines are, they are what counts.
        check(Shaping::Lab, 520, 1.0 - 1010.0 / 4000.0, 600.0 / 500.0);
    }

    #[test]
    fn lines_are_split_into_payload_and_overhead() {
        let run = report(Shaping::Lab, origin(520), 0).run;
        let expected = WireSplit {
            up_bytes: 2400,
            up_payload_bytes: 2000,
            down_bytes: 4000,
            down_payload_bytes: 4 * (750 + 125 + 20),
            drops: 4 * 6,
        };
        assert_eq!(run.live.and_then(|live| live.node_wire), Some(expected));
        assert_eq!((run.deliveries, run.violations.len()), (128, 0));
    }

    #[test]
    fn seeds_and_vanished_nodes() {
        let [mut seed, mut vanished] = [0, 1].map(|number| nodes().swap_remove(number));
        seed.is_counted = false;
        seed.sent_bytes_before = 400;
        let run = node_run(&seed);
        assert_eq!(
            (run.peer_bytes, run.origin_bytes.len(), run.sent_bytes, run.finish_ms),
            (0, 0, 100, None)
        );
        vanished.account = None;
        let run = node_run(&vanished);
        assert_eq!((run.peer_bytes, run.origin_bytes.get(UNTOLD)), (750, Some(&250)));
    }

    #[test]
    fn late_packets_make_a_run_unsound() {
        let check = |late, is_sound: bool| {
            assert_eq!(report(Shaping::Lab, origin(520), late).run.violations.is_empty(), is_sound, "{late}");
        };
        check(0, true);
        check(1, true);
        check(2, false);
    }

    #[test]
    fn counters_are_those_of_the_run() {
        assert_eq!(
            origin(520).since(&origin(120)),
            OriginCounters {
                wire_bytes: 400,
                body_bytes: 400,
                pack: KindCount { requests: 0, refused: 0, body_bytes: 400 },
            }
        );
    }
}
