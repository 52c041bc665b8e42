//! Something goes wrong under load: every node ends with what was published all the same, and mostly from peers.

use std::process::Command;

use freshet_loadtest::Report;

use crate::needs;

/// Runs a drill with so few nodes that several run at a time, and fetches for longer than the faults go on.
fn drill(plan: &str, settings: &[&str]) -> Option<Report> {
    let programs = needs::programs().filter(|_| needs::lab())?;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("report.json");
    let mut command = Command::new(env!("CARGO_BIN_EXE_freshet-loadtest"));
    command.args(["live", plan, "--set", "groups.0.count=6", "--set", "content.bytes=46137344"]);
    command.args(settings.iter().flat_map(|setting| ["--set", setting]));
    let output = command.arg("--bin-dir").arg(programs).arg("--out").arg(&path).output();
    let output = output.expect("the program starts");
    assert!(output.status.success(), "{plan}: {}", String::from_utf8_lossy(&output.stderr));
    let report: Report = serde_json::from_slice(&std::fs::read(path).expect("a report")).expect("JSON");
    assert_eq!(report.figures.finished, 6, "{plan}: {}", report.figures.summary());
    Some(report)
}

fn check(plan: &str, settings: &[&str], offload_min: f64) {
    let Some(report) = drill(plan, settings) else { return };
    assert!(report.figures.offload >= offload_min, "{plan}: {}", report.figures.summary());
}

// With six nodes, one copy from the origin leaves 83 % for peers.

#[test]
fn the_tracker_is_killed_and_ends() {
    check("drill-tracker", &[], 0.5);
}

#[test]
fn the_origin_is_killed_and_ends() {
    check("drill-origin", &[], 0.5);
}

#[test]
fn a_sixth_of_the_nodes_is_killed_at_once() {
    check("drill-leavers", &[], 0.5);
}

#[test]
fn all_nodes_are_killed_and_come_back_at_once() {
    check("drill-all-back", &[], 0.5);
}

#[test]
fn half_of_the_nodes_are_cut_off() {
    // Who is back has fallen behind what the origin alone would have given, and has that made good by it.
    check("drill-partition", &[], 0.3);
}

#[test]
fn lines_lose_packets() {
    check("drill-loss", &[], 0.5);
}

#[test]
fn clocks_jump() {
    check("drill-clock", &[], 0.5);
}

#[test]
fn disks_are_full() {
    // Room for the release and half as much again.
    check("drill-disk", &["groups.0.disk_bytes=115343360"], 0.5);
}

#[test]
fn trackers_and_broker_are_killed() {
    let faults = r#"faults=[
        {"at_ms": 3000, "do": "kill", "who": "tracker", "number": 0},
        {"at_ms": 5000, "do": "start", "who": "tracker", "number": 0},
        {"at_ms": 6000, "do": "kill", "who": "broker"},
        {"at_ms": 9000, "do": "kill", "who": "tracker"},
        {"at_ms": 11000, "do": "start", "who": "broker"},
        {"at_ms": 14000, "do": "start", "who": "tracker"}
    ]"#;
    let settings = [
        "origin.up_mbit=100",
        "groups.0.up_mbit=20",
        "groups.0.down_mbit=100",
        "groups.0.start_spread_ms=1000",
        faults,
    ];
    let Some(report) = drill("drill-cluster", &settings) else { return };
    assert!(report.figures.offload >= 0.5, "{}", report.figures.summary());
    let beats = &report.run.live.as_ref().expect("a real run").trackers;
    let heard =
        |from_ms: f64, to_ms: f64| beats.iter().filter(|beat| (from_ms..to_ms).contains(&beat.at_ms)).count();
    assert!(heard(500.0, 3000.0) >= 3 && heard(10_000.0, 14_000.0) == 0, "{beats:?}");
}
