//! No byte is lost or made, and no line carries more than it can.

use crate::run;
use freshet_loadtest::Report;

/// What holds for every run, whatever the core decides.
fn check(name: &str, settings: &[&str], seed: u64) -> Report {
    let report = run(name, settings, seed);
    let run = &report.run;
    let what = format!("{name} {settings:?} seed {seed}");
    let used = |node: &freshet_loadtest::NodeRun| node.peer_bytes + node.origin_bytes.values().sum::<u64>();
    for node in run.nodes.iter().filter(|node| node.finish_ms.is_some()) {
        assert_eq!(used(node), run.needed_bytes, "{what}: a finished node has each byte once");
    }
    let all_used: u64 = run.nodes.iter().map(used).sum();
    assert_eq!(run.fed.rows.iter().flatten().sum::<u64>(), all_used, "{what}: who fed whom is complete");
    let from_peers: u64 = run.nodes.iter().map(|node| node.peer_bytes).sum();
    let from_origin = all_used - from_peers;
    let sent: u64 = run.nodes.iter().map(|node| node.sent_bytes).sum();
    assert!(sent >= from_peers, "{what}: {sent} sent, {from_peers} used");
    let content_bytes = run.origin.bytes - run.origin.manifest_bytes;
    assert!(content_bytes >= from_origin, "{what}: {content_bytes} sent, {from_origin} used");
    let waste: u64 = run.nodes.iter().map(|node| node.waste_bytes).sum();
    assert!(sent + content_bytes >= all_used + waste, "{what}: what came was sent");
    assert!(run.origin.wire_bytes > run.origin.bytes, "{what}: the wire costs more");
    check_rates(&report, &what);
    report
}

/// A queue is counted when bytes enter it, so one sample may hold a queue's worth more than the line carries.
fn check_rates(report: &Report, what: &str) {
    let plan = &report.run.plan;
    let peers_mbit: f64 = plan.groups.iter().map(|group| f64::from(group.count) * group.up_mbit).sum();
    let mut before_ms = 0.0;
    for sample in &report.run.series {
        let step_ms = sample.at_ms - before_ms;
        let queued = 1.0 + (f64::from(plan.buffer_ms) + 100.0) / step_ms;
        assert!(sample.origin_mbit <= plan.origin.up_mbit * queued, "{what}: {sample:?}");
        assert!(sample.peers_mbit <= peers_mbit * queued, "{what}: {sample:?}");
        before_ms = sample.at_ms;
    }
    if let Some(time_s) = report.figures.time_s {
        let bounds = report.figures.bounds;
        assert!(time_s >= bounds.best_s, "{what}: {time_s} s beats physics, {bounds:?}");
    }
}

#[test]
fn bytes_are_conserved() {
    for seed in 1..=3 {
        check("tiny", &[], seed);
        check("tiny", &["goal=speed"], seed);
        check("tiny", &["p2p=false"], seed);
        check("tiny", &["groups.0.count=12", "loss_permille=50", "groups.0.rtt_ms=60"], seed);
        check("flash-offload", &["content.bytes=4000000"], seed);
        check("flash-hostile", &["content.bytes=4000000"], seed);
        check("flash-leavers", &["content.bytes=8000000", "groups.1.leave_after_ms=3000"], seed);
        check("seeded", &["content.bytes=2000000", "groups.1.start_spread_ms=3000"], seed);
    }
}

#[test]
fn large_swarms_fold_their_matrix() {
    let report = check("tiny", &["groups.0.count=70"], 1);
    assert_eq!((report.run.fed.nodes_per_row, report.run.fed.rows.len()), (2, 35));
}
