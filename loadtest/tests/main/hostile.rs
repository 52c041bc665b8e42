//! Peers that alter bytes, stall, trickle or vanish harm nobody's data, and nobody waits for them for ever.

use crate::run;

#[test]
fn honest_jobs_end_with_the_right_bytes() {
    let mut bans = 0;
    let mut corrupt_bytes = 0;
    for seed in 1..=3 {
        // `run` fails if a core believes to hold what did not come whole and right.
        let report = run("flash-hostile", &["content.bytes=4000000"], seed);
        assert_eq!((report.figures.jobs, report.figures.finished), (20, 20), "seed {seed}");
        bans += report.run.nodes.iter().map(|node| node.bans).sum::<u32>();
        corrupt_bytes += report.run.nodes.iter().map(|node| node.corrupt_bytes).sum::<u64>();
        let hostile = report.run.nodes.iter().filter(|node| [1, 2].contains(&node.group));
        assert!(hostile.clone().count() == 4 && hostile.clone().all(|node| !node.is_counted));
    }
    assert!(bans > 0 && corrupt_bytes > 0, "the attack took place: {bans} bans, {corrupt_bytes} bytes");
}

#[test]
fn a_swarm_of_liars_leaves_the_origin() {
    let settings = ["groups.0.count=2", "groups.1.count=8", "content.bytes=1000000"];
    let report = run("flash-hostile", &settings, 1);
    assert_eq!(report.figures.finished, report.figures.jobs);
}

#[test]
fn who_vanishes_is_missed_and_not_waited_for() {
    let settings = ["content.bytes=16000000", "groups.1.leave_after_ms=3000"];
    let report = run("flash-leavers", &settings, 1);
    assert_eq!(report.run.nodes.iter().filter(|node| node.left_early).count(), 6);
    assert_eq!(report.figures.finished, 14);
    assert!(report.figures.time_s.is_some(), "those who stay are done");
}
