//! The modelled lines give what arithmetic says, where arithmetic can say it.

use crate::run;

/// One node without peers: the slower of both lines sets the time.
fn check(settings: &[&str], least_s: f64, most_s: f64) {
    let content = "content={\"kind\":\"equal\",\"chunks\":64,\"chunk_bytes\":131072}";
    let all: Vec<&str> = [content].iter().chain(settings).copied().collect();
    let time_s = run("one-http", &all, 1).figures.time_s.expect("it ends");
    assert!(
        (least_s..most_s).contains(&time_s),
        "{settings:?}: {time_s} s is not within {least_s} and {most_s}"
    );
}

#[test]
fn http_alone_takes_what_the_lines_need() {
    // 8 MiB at 95 % payload are 70.6 Mbit on the wire.
    check(&["origin.up_mbit=10"], 7.06, 7.3);
    check(&["groups.0.down_mbit=10"], 7.06, 7.3);
    check(&["groups.0.down_mbit=10", "origin.up_mbit=10"], 7.06, 7.3);
    check(&["origin.up_mbit=1000", "groups.0.down_mbit=1000"], 0.07, 0.2);
    // Four round trips of set-up, the request, and a window that doubles six times.
    check(&["origin.rtt_ms=100", "groups.0.rtt_ms=100", "groups.0.down_mbit=10"], 7.5, 8.3);
    // 5 % of the packets twice.
    check(&["origin.up_mbit=10", "loss_permille=50"], 7.35, 7.8);
}

#[test]
fn nodes_share_the_origins_line_alike() {
    let settings = ["p2p=false", "groups.0.start_spread_ms=0", "groups.0.count=10"];
    let completion = run("tiny", &settings, 1).figures.completion.expect("all end");
    // Ten times 2 MiB at 100 Mbit/s are 1.77 s.
    assert!(completion.min_s > 1.5 && completion.max_s < 2.0, "{completion:?}");
}

#[test]
fn a_full_downlink_slows_nobody_else() {
    let slow =
        "groups=[{\"count\":1,\"up_mbit\":1,\"down_mbit\":1},{\"count\":1,\"up_mbit\":20,\"down_mbit\":100}]";
    let report = run("tiny", &["p2p=false", slow], 1);
    let times: Vec<f64> = report.run.nodes.iter().map(|node| node.finish_ms.expect("it ends")).collect();
    assert!(times[0] > 17_000.0 && times[1] < 400.0, "{times:?}");
}
