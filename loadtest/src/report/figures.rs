//! Figures of a run: shares, times, and the bounds that physics sets them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::run::Run;
use crate::lab::LabNat;
use crate::plan::{Group, bytes_s_of_mbit};

/// What people ask of a run. Definitions are DESIGN.md's: paid bytes are what the origin sent, used or not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Nodes whose job counts.
    pub jobs: u32,
    /// Jobs that ended with all bytes.
    pub finished: u32,
    /// 1 - paid bytes / bytes delivered.
    pub offload: f64,
    /// Wire bytes of the origin / bytes that one node needs.
    pub copies: f64,
    /// Bytes fetched and not used / bytes delivered.
    pub waste: f64,
    /// From the first start to the last finish, in seconds; none: some job did not end.
    pub time_s: Option<f64>,
    /// Time from a job's start to its finish.
    pub completion: Option<Completion>,
    /// Least possible times.
    pub bounds: Bounds,
    /// Used bytes from the origin, by reason, of all nodes.
    pub origin_reasons: BTreeMap<String, u64>,
    /// Chunks delivered for each second of processor time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deliveries_per_cpu_s: Option<f64>,
}

/// Distribution of completion times, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Completion {
    /// Shortest.
    pub min_s: f64,
    /// Half are done within.
    pub median_s: f64,
    /// 95 of 100 are done within.
    pub p95_s: f64,
    /// Longest.
    pub max_s: f64,
}

/// Least times in which the lines could carry it all, in seconds, without any overhead and with every node there from
/// the start (FIELD.md, physical bounds).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Bounds {
    /// With the origin as one more source throughout: max(F/us, F/d_min, N F/(us + sum u)).
    pub best_s: f64,
    /// With as many copies from the origin as it sent.
    pub at_copies_s: f64,
    /// With one copy from the origin.
    pub at_one_copy_s: f64,
    /// Without peers: max(N F/us, F/d_min).
    pub http_s: f64,
}

impl Figures {
    /// Works the figures out.
    pub fn of(run: &Run) -> Self {
        let jobs: Vec<_> = run.nodes.iter().filter(|node| node.is_counted).collect();
        let peer_bytes: u64 = jobs.iter().map(|node| node.peer_bytes).sum();
        let mut origin_reasons = BTreeMap::new();
        for (reason, bytes) in jobs.iter().flat_map(|node| &node.origin_bytes) {
            *origin_reasons.entry(reason.clone()).or_insert(0) += bytes;
        }
        let delivered_bytes = (peer_bytes + origin_reasons.values().sum::<u64>()).max(1) as f64;
        let waste_bytes: u64 = jobs.iter().map(|node| node.waste_bytes).sum();
        let copies = run.origin.wire_bytes as f64 / run.needed_bytes.max(1) as f64;
        let finishes: Vec<f64> = jobs.iter().filter_map(|node| node.finish_ms).collect();
        let expected = jobs.iter().filter(|node| !node.left_early).count();
        let first_ms = jobs.iter().map(|node| node.start_ms).fold(f64::INFINITY, f64::min);
        let last_ms = finishes.iter().copied().fold(0.0, f64::max);
        let is_whole = !finishes.is_empty() && finishes.len() >= expected;
        Self {
            jobs: jobs.len() as u32,
            finished: finishes.len() as u32,
            offload: 1.0 - run.origin.bytes as f64 / delivered_bytes,
            copies,
            waste: waste_bytes as f64 / delivered_bytes,
            time_s: is_whole.then_some((last_ms - first_ms) / 1000.0),
            completion: completion(run),
            bounds: bounds(run, copies),
            origin_reasons,
            deliveries_per_cpu_s: run
                .cpu_s
                .filter(|&cpu_s| cpu_s > 0.0)
                .map(|cpu_s| run.deliveries as f64 / cpu_s),
        }
    }

    /// The one line for people.
    pub fn summary(&self) -> String {
        let time = match self.time_s {
            Some(time_s) => format!("time {time_s:.1} s"),
            None => format!("unfinished: {} of {} jobs done", self.finished, self.jobs),
        };
        let (offload, waste) = (percent(self.offload), percent(self.waste));
        format!("offload {offload} %  origin copies {:.2}  waste {waste} %  {time}", self.copies)
    }
}

/// A share in percent with one digit; what rounds to zero has no sign.
pub(super) fn percent(share: f64) -> String {
    format!("{:.1}", (share * 1000.0).round() / 10.0 + 0.0)
}

fn completion(run: &Run) -> Option<Completion> {
    let took = |node: &super::run::NodeRun| Some((node.finish_ms? - node.start_ms) / 1000.0);
    let mut times: Vec<f64> = run.nodes.iter().filter(|node| node.is_counted).filter_map(took).collect();
    times.sort_by(f64::total_cmp);
    let at = |permille: usize| times.get((times.len() * permille).div_ceil(1000).max(1) - 1).copied();
    Some(Completion { min_s: at(0)?, median_s: at(500)?, p95_s: at(950)?, max_s: at(1000)? })
}

/// Bounds by the plan's lines. Hostile nodes give nothing; seeds and sharing nodes give their whole uplink. Who shares a line
/// needs one copy over it. Who is behind a symmetric NAT gets from nobody but the origin and those that anybody reaches.
fn bounds(run: &Run, copies: f64) -> Bounds {
    let counted = |group: &&Group| group.is_counted();
    let is_reached = |group: &&Group| group.nat == LabNat::Open || group.port_mapping.is_some();
    let is_shut = |group: &&Group| group.nat == LabNat::Symmetric && !is_reached(group);
    let jobs: f64 = run.plan.groups.iter().filter(counted).map(lines).sum();
    let shut_jobs: f64 = run.plan.groups.iter().filter(counted).filter(is_shut).map(lines).sum();
    let down_min =
        run.plan.groups.iter().filter(counted).map(|g| bytes_s_of_mbit(g.down_mbit)).min().unwrap_or(1);
    let gives = |group: &&Group| group.sharing && run.plan.p2p && !group.behaviour.is_hostile();
    let up_sum: f64 = run.plan.groups.iter().filter(gives).map(uplinks_bytes_s).sum();
    let reached_up: f64 = run.plan.groups.iter().filter(gives).filter(is_reached).map(uplinks_bytes_s).sum();
    let origin = bytes_s_of_mbit(run.plan.origin.up_mbit) as f64;
    let needed = run.needed_bytes as f64;
    let least_s = needed / down_min.max(1) as f64;
    let has_seed = run.plan.groups.iter().any(|group| group.seed);
    // With `copies` from the origin, peers carry the rest; both work at the same time. Without peers it is all copies.
    let at = |copies: f64| {
        let copies = if up_sum > 0.0 { copies.min(jobs) } else { jobs };
        let peers_s = (jobs - copies) * needed / up_sum.max(1.0);
        let shut_s = (shut_jobs - copies).max(0.0) * needed / reached_up.max(1.0);
        least_s.max(copies * needed / origin).max(peers_s).max(shut_s)
    };
    let first_copy_s = if has_seed { 0.0 } else { needed / origin };
    Bounds {
        best_s: least_s
            .max(first_copy_s)
            .max(jobs * needed / (origin + up_sum))
            .max(shut_jobs * needed / (origin + reached_up)),
        at_copies_s: at(copies),
        at_one_copy_s: at(1.0),
        http_s: least_s.max(jobs * needed / origin),
    }
}

fn uplinks_bytes_s(group: &Group) -> f64 {
    let up_mbit = group.share_mbit_max.map_or(group.up_mbit, |cap| cap.min(group.up_mbit));
    lines(group) * bytes_s_of_mbit(up_mbit) as f64
}

/// Lines of a group.
fn lines(group: &Group) -> f64 {
    if group.shared_line { f64::from(group.count.min(1)) } else { f64::from(group.count) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::read_plan;
    use crate::report::run::{Fed, NodeRun, OriginSent, Source};

    fn run(name: &str, settings: &[&str]) -> Run {
        let settings: Vec<String> = settings.iter().map(|&setting| setting.to_owned()).collect();
        let plan = read_plan(name, &settings).expect("built in");
        let fed = Fed::new(plan.nodes());
        Run {
            source: Source::Sim,
            plan,
            seed: None,
            trace: None,
            chunks: 512,
            needed_bytes: 64 << 20,
            deliveries: 1000,
            end_ms: 0.0,
            origin: OriginSent::default(),
            nodes: Vec::new(),
            series: Vec::new(),
            fed,
            violations: Vec::new(),
            cpu_s: Some(0.5),
            live: None,
        }
    }

    #[test]
    fn bounds_are_the_fields() {
        // FIELD.md: 64 MiB, 20 peers at 20/100 Mbit/s, origin 100: 21.5 s at 4 copies, 25.5 s at one.
        let check = |settings: &[&str], copies: f64, expected: [f64; 4]| {
            let bounds = bounds(&run("flash-offload", settings), copies);
            let found = [bounds.best_s, bounds.at_copies_s, bounds.at_one_copy_s, bounds.http_s];
            for (found, expected) in found.iter().zip(expected) {
                assert!((found - expected).abs() < 0.05, "{settings:?}: {found} is not {expected}");
            }
        };
        check(&[], 4.0, [21.47, 21.47, 25.50, 107.37]);
        check(&[], 1.33, [21.47, 25.06, 25.50, 107.37]);
        check(&["origin.up_mbit=20"], 1.1, [26.84, 29.53, 26.84, 536.87]);
        check(&["groups.0.down_mbit=10"], 4.0, [53.69, 53.69, 53.69, 107.37]);
        check(&["p2p=false"], 20.0, [107.37; 4]);
        // All behind one line: it carries one copy.
        check(&["groups.0.shared_line=true"], 1.0, [5.37, 5.37, 5.37, 5.37]);
    }

    #[test]
    fn who_reaches_few_waits_for_them() {
        // 14 of 20 get 13 copies from six uplinks of 20 Mbit/s.
        let bounds = bounds(&run("flash-symmetric", &[]), 1.0);
        assert!((bounds.at_copies_s - 13.0 * 4.474).abs() < 0.05, "{bounds:?}");
        // With all that the origin has: 14 copies by 220 Mbit/s.
        assert!((bounds.best_s - 34.17).abs() < 0.05, "{bounds:?}");
    }

    #[test]
    fn shares_and_times() {
        let mut run = run("tiny", &[]);
        run.needed_bytes = 100;
        run.origin = OriginSent { bytes: 120, manifest_bytes: 5, wire_bytes: 150, requests: 3, refused: 0 };
        run.nodes = (0..4)
            .map(|number| NodeRun {
                is_counted: true,
                start_ms: 100.0 * f64::from(number),
                finish_ms: Some(2000.0 + 500.0 * f64::from(number)),
                peer_bytes: 75,
                origin_bytes: BTreeMap::from([("first-copy".to_owned(), 25)]),
                waste_bytes: 2,
                ..NodeRun::default()
            })
            .collect();
        let figures = Figures::of(&run);
        assert_eq!(figures.summary(), "offload 70.0 %  origin copies 1.50  waste 2.0 %  time 3.5 s");
        let completion = figures.completion.expect("all are done");
        assert_eq!((completion.min_s, completion.median_s, completion.max_s), (2.0, 2.4, 3.2));
        assert_eq!(figures.deliveries_per_cpu_s, Some(2000.0));

        run.nodes[3].finish_ms = None;
        assert!(Figures::of(&run).summary().ends_with("unfinished: 3 of 4 jobs done"));
        run.nodes[3].left_early = true;
        assert!(Figures::of(&run).summary().ends_with("time 3.0 s"));
    }
}
