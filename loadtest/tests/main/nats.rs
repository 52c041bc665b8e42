//! Two nodes behind routers that translate addresses or let in answers alone: who meets whom, and how.

use std::process::Command;

use serde_json::Value;

use crate::needs;

/// The report of the node that fetches in a plan of two.
fn fetched(plan: &str, settings: &[&str]) -> Option<Value> {
    let programs = needs::programs().filter(|_| needs::lab())?;
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = Command::new(env!("CARGO_BIN_EXE_freshet-loadtest"));
    command.args(["live", plan, "--set", "content.bytes=8388608"]);
    command.args(settings.iter().flat_map(|setting| ["--set", setting]));
    command.arg("--bin-dir").arg(programs).arg("--keep-in").arg(folder.path());
    let output = command.output().expect("the program starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report = std::fs::read(folder.path().join("nodes/1/report.json")).expect("a report");
    Some(serde_json::from_slice(&report).expect("JSON"))
}

/// The same with these in front of the two.
fn behind(seeder: &str, player: &str) -> Option<Value> {
    let settings = [format!("groups.0.nat={seeder}"), format!("groups.1.nat={player}")];
    fetched("two-behind-nats", &[&settings[0], &settings[1]])
}

/// Bytes that came over links of one sort.
fn received(report: &Value, sorted_by: &str, sort: &str) -> u64 {
    report[sorted_by][sort]["received"].as_u64().unwrap_or_default()
}

/// Who can meet does so over QUIC, and gets all from the other.
#[test]
fn nats_that_can_be_passed_are() {
    for (seeder, player) in [
        ("port-restricted", "port-restricted"),
        ("symmetric", "open"),
        ("open", "symmetric"),
        ("firewall", "port-restricted"),
    ] {
        let Some(report) = behind(seeder, player) else { return };
        let by_quic = received(&report, "peer_bytes_by_transport", "quic");
        assert!(by_quic >= 8 << 20, "{seeder} {player}: {report}");
        assert_eq!(report["bytes"]["origin"], 0, "{seeder} {player}: {report}");
    }
}

/// Who cannot meet is not named to each other, and fetches from the origin.
#[test]
fn what_cannot_work_is_not_tried() {
    for (seeder, player) in [("symmetric", "symmetric"), ("symmetric", "port-restricted"), ("open", "no-udp")]
    {
        let Some(report) = behind(seeder, player) else { return };
        assert_eq!((&report["links"], &report["bytes"]["peer"]), (&0.into(), &0.into()), "{seeder} {player}");
        assert_eq!(report["installed"], true, "{seeder} {player}: {report}");
    }
}

/// A router that gives a port makes its host reachable, also for those whom nothing else lets through.
#[test]
fn a_port_of_the_router_opens_the_way() {
    if !needs::port_mapping() {
        return;
    }
    for mapping in ["pcp", "upnp"] {
        let given = format!("groups.0.port_mapping={mapping}");
        let settings =
            ["groups.0.nat=symmetric", "groups.1.nat=symmetric", "groups.1.start_at_ms=9000", given.as_str()];
        let Some(report) = fetched("two-behind-nats", &settings) else { return };
        let by_quic = received(&report, "peer_bytes_by_transport", "quic");
        assert!(by_quic >= 8 << 20, "{mapping}: {report}");
        assert_eq!(report["bytes"]["origin"], 0, "{mapping}: {report}");
    }
}

/// Where the tracker is dead, who comes back meets others behind NATs through one whom all can reach.
#[test]
fn peers_bring_those_behind_nats_together() {
    let groups = r#"groups=[
        {"count":1,"up_mbit":8,"down_mbit":100,"seed":true},
        {"count":2,"up_mbit":20,"down_mbit":20,"start_at_ms":1000,"nat":"port-restricted","remembers":true}
    ]"#;
    let faults = r#"faults=[
        {"at_ms":2500,"do":"kill","who":"tracker"},
        {"at_ms":2500,"do":"kill","who":"origin"},
        {"at_ms":2500,"do":"kill","who":"nodes"},
        {"at_ms":3000,"do":"start","who":"nodes"}
    ]"#;
    let Some(report) = fetched("two-behind-nats", &["content.bytes=12582912", groups, faults]) else {
        return;
    };
    assert_eq!(report["links"], 2, "the one that it knew, and the one whom that has named: {report}");
    assert_eq!(report["installed"], true, "{report}");
}

/// Two of one LAN meet within it, whatever is in front of it.
#[test]
fn a_lan_has_a_way_of_its_own() {
    let one_line = r#"groups=[
        {"count":2,"up_mbit":1,"down_mbit":100,"start_spread_ms":100,"nat":"symmetric","shared_line":true}
    ]"#;
    let Some(report) = fetched("two-behind-nats", &[one_line]) else { return };
    assert!(received(&report, "peer_bytes_by_locality", "same-address") > 0, "{report}");
    assert_eq!(report["installed"], true, "{report}");
}

/// Who has IPv6 alone meets who has both.
#[test]
fn families_of_addresses_meet() {
    let Some(report) = fetched("two-ip", &[]) else { return };
    assert!(received(&report, "peer_bytes_by_transport", "quic") >= 8 << 20, "{report}");
    assert_eq!(report["bytes"]["origin"], 0, "{report}");
}
