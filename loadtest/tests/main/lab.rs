//! The laboratory network: exact counters, the round trip, and that nothing stays.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use freshet_loadtest::{
    LAB_BUFFER, LAB_HOSTS_MAX, Lab, LabIp, LabNat, LabPlan, LabSite, Rate, SITE_HOSTS_MAX,
};

use crate::needs;

fn plan(rtt_ms: u64) -> LabPlan {
    LabPlan {
        sites: vec![site(&["a"]), site(&["b"])],
        rtt: Duration::from_millis(rtt_ms),
        tcp_congestion_control: "cubic".to_owned(),
        delay_program: [env!("CARGO_BIN_EXE_freshet-loadtest"), "lab-delay"].map(str::to_owned).to_vec(),
    }
}

fn site(hosts: &[&str]) -> LabSite {
    LabSite {
        hosts: hosts.iter().map(|&host| host.to_owned()).collect(),
        up: Rate::mbit(20.0),
        down: Rate::mbit(100.0),
        buffer: LAB_BUFFER,
        nat: LabNat::Open,
        port_mapping: None,
        ip: LabIp::V4,
    }
}

/// Namespaces of labs of this process.
fn own_namespaces() -> usize {
    let prefix = format!("fr-{}-", std::process::id());
    let Ok(names) = std::fs::read_dir("/run/netns") else { return 0 };
    names
        .filter_map(|name| name.ok()?.file_name().into_string().ok())
        .filter(|name| name.starts_with(&prefix))
        .count()
}

/// One test, so that no other lab of this process is there when it counts namespaces.
#[test]
fn a_lab_counts_delays_and_goes_without_a_trace() {
    if !needs::lab() {
        return;
    }
    counts_every_byte(0);
    counts_every_byte(40);
    a_lan_is_on_no_line();
    families_of_addresses(0);
    families_of_addresses(40);
    ends_what_runs_inside();
    leaves_nothing_when_it_fails();
}

/// 100 pings of 1000 bytes: frames of 1042 bytes in both directions on both lines.
fn counts_every_byte(rtt_ms: u64) {
    let lab = Lab::build(&plan(rtt_ms)).expect("built");
    let before = lab.meter().read().expect("read");
    assert!(before.iter().all(|line| line.up == 0 && line.down == 0), "silent at first: {before:?}");
    let text = ping(&lab, "a", &["-4", &lab.listen("b").expect("a host").1], 100, true).expect("answers");
    for line in lab.meter().read().expect("read") {
        assert_eq!((line.up, line.down, line.up_drops, line.down_drops), (104_200, 104_200, 0, 0));
    }
    assert_eq!(lab.meter().read_first().expect("read").up, 104_200);

    let least_ms: f64 =
        text.rsplit(" = ").next().and_then(|times| times.split('/').next()?.parse().ok()).expect("times");
    let wanted_ms = rtt_ms as f64;
    assert!((wanted_ms - 1.0..wanted_ms + 5.0).contains(&least_ms), "{rtt_ms} ms wanted: {text}");
    let relay = lab.finish().expect("taken down");
    assert_eq!(relay.map(|relay| relay.packets), (rtt_ms > 0).then_some(200));
    assert_eq!(own_namespaces(), 0);
}

/// Pings of 1000 bytes; what `ping` says if all are answered. Where none is expected, the last is not waited for so long.
fn ping(lab: &Lab, from: &str, to: &[&str], count: usize, expected: bool) -> Option<String> {
    let mut ping = lab.command(from, "ping").expect("a host");
    let count = count.to_string();
    let patience = if expected { "10" } else { "1" };
    ping.args(["-q", "-c", &count, "-i", "0.005", "-W", patience, "-s", "1000"]).args(to);
    let output = ping.output().expect("ping runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.contains(&format!(" {count} received")).then_some(text)
}

fn a_lan_is_on_no_line() {
    let mut plan = plan(0);
    plan.sites[0] = LabSite { nat: LabNat::Symmetric, ..site(&["a", "a-1", "a-2"]) };
    let lab = Lab::build(&plan).expect("built");
    let reach = |from, to, expected| {
        ping(&lab, from, &[&lab.listen(to).expect("a host").1], 10, expected).is_some() == expected
    };
    assert!(reach("a", "a-2", true) && reach("a-2", "a-1", true));
    let lines = lab.meter().read().expect("read");
    assert!(lines.len() == 2 && lines.iter().all(|line| line.up == 0 && line.down == 0), "{lines:?}");
    assert!(reach("a-1", "b", true) && reach("b", "a-1", false));
    assert_eq!(lab.meter().read().expect("read")[0].up, 10_420);
    lab.finish().expect("taken down");
    assert_eq!(own_namespaces(), 0);
}

/// Hosts know each other by name, and meet over what both have.
fn families_of_addresses(rtt_ms: u64) {
    let mut plan = plan(rtt_ms);
    let with = |name, ip| LabSite { ip, ..site(&[name]) };
    plan.sites = vec![with("old", LabIp::V4), with("new", LabIp::V6), with("both", LabIp::Dual)];
    let lab = Lab::build(&plan).expect("built");
    let check = |from: &str, family: &str, to: &str, expected: bool| {
        let found = ping(&lab, from, &[family, to], 3, expected).is_some();
        assert_eq!(found, expected, "{from} {family} {to}, {rtt_ms} ms");
    };
    check("old", "-4", "both", true);
    check("new", "-6", "both", true);
    check("both", "-4", "old", true);
    check("both", "-6", "new", true);
    check("old", "-6", "both", false);
    check("new", "-4", "both", false);
    lab.finish().expect("taken down");
    assert_eq!(own_namespaces(), 0);
    let files = std::fs::read_dir("/etc/netns").map(|files| files.count()).unwrap_or_default();
    assert_eq!(files, 0, "files of namespaces are left");
}

fn ends_what_runs_inside() {
    let lab = Lab::build(&plan(0)).expect("built");
    assert_eq!(own_namespaces(), 5);
    let mut command = lab.command("b", "sh").expect("a host");
    let mut sleeper =
        command.args(["-c", "echo inside; exec sleep 600"]).stdout(Stdio::piped()).spawn().expect("started");
    let mut line = String::new();
    BufReader::new(sleeper.stdout.take().expect("asked for")).read_line(&mut line).expect("it speaks");
    assert_eq!(line, "inside\n");
    assert!(lab.command("c", "true").is_err(), "there is no host c");
    drop(lab);
    let status = sleeper.wait().expect("waited for");
    assert!(!status.success(), "killed: {status}");
    assert_eq!(own_namespaces(), 0);
}

fn leaves_nothing_when_it_fails() {
    let check = |change: fn(&mut LabPlan), part: &str| {
        let mut plan = plan(40);
        change(&mut plan);
        let error = format!("{:#}", Lab::build(&plan).expect_err("refused"));
        assert!(error.contains(part), "{error}");
        assert_eq!(own_namespaces(), 0, "{part}");
    };
    check(|plan| plan.tcp_congestion_control = "nonsense".to_owned(), "host ");
    check(|plan| plan.delay_program = vec!["true".to_owned()], "instead of ready");
    check(|plan| plan.sites[1].hosts = vec!["a".to_owned()], "two hosts are called a");
    check(|plan| plan.sites[1].up = Rate::BitsPerSecond(1), "host b");
    check(
        |plan| plan.sites = (0..=LAB_HOSTS_MAX).map(|n| site(&[&format!("h{n}")])).collect(),
        "at most 1000 hosts",
    );
    check(
        |plan| {
            let names: Vec<_> = (0..=SITE_HOSTS_MAX).map(|n| format!("h{n}")).collect();
            plan.sites = vec![LabSite { hosts: names, ..site(&[]) }];
        },
        "a router has 1 to 120 hosts, not 121",
    );
    check(|plan| plan.sites[1].hosts.clear(), "not 0");
}

/// A lab whose process was killed is removed by whoever comes next.
#[test]
fn labs_of_dead_processes_are_found() {
    if !needs::lab() {
        return;
    }
    // A process that has ended and was waited for: its number is free.
    let mut ended = Command::new("true").spawn().expect("started");
    let pid = ended.id();
    ended.wait().expect("waited for");
    let name = format!("fr-{pid}-0-core");
    let status = Command::new("ip").args(["netns", "add", &name]).status().expect("ip runs");
    assert!(status.success());
    // Another test may build a lab at this moment, which removes it as well.
    freshet_loadtest::remove_stale_labs().expect("removed");
    assert!(!std::path::Path::new("/run/netns").join(&name).exists());
}
