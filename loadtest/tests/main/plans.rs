//! Plans end, and what the simulator does not know is refused by name.

use crate::{run, run_as_it_is};
use freshet_loadtest::{Options, read_plan, simulate};

#[test]
fn small_plans_end() {
    let check = |settings: &[&str]| {
        let report = run("tiny", settings, 1);
        assert!(report.figures.time_s.is_some(), "{settings:?}: {}", report.figures.summary());
    };
    check(&[]);
    check(&["goal=speed"]);
    check(&["p2p=false"]);
    check(&["groups.0.count=1"]);
    check(&["groups.0.sharing=false"]);
    check(&["groups.0.seed_ms=500", "seed_until_last=false"]);
    check(&["groups.0.share_mbit_max=5"]);
    check(&["groups.0.behaviour=slow"]);
    check(&["origin.budget_mbit=10"]);
    check(&["quantum_bytes=65536", "buffer_ms=0"]);
    check(&["buffer_ms=200"]);
    check(&["content={\"kind\":\"listed\",\"chunk_bytes\":[1,70000,5,2097152]}"]);
}

#[test]
fn peers_spare_the_origin() {
    let http = run("flash-http", &["content.bytes=8000000"], 1).figures;
    let shared = run("flash-offload", &["content.bytes=8000000"], 1).figures;
    assert!(http.copies > 20.0 && http.offload < 0.001, "{}", http.summary());
    assert!(shared.copies < http.copies / 4.0 && shared.offload > 0.7, "{}", shared.summary());
    assert!(shared.time_s < http.time_s, "{} against {}", shared.summary(), http.summary());
}

#[test]
fn what_takes_too_long_is_given_up() {
    let report = run_as_it_is("tiny", &["end_after_s=1", "origin.up_mbit=0.1"], 1);
    assert_eq!((report.figures.time_s, report.figures.finished), (None, 0));
    assert!(report.run.end_ms < 1_500.0);
}

#[test]
fn what_only_the_laboratory_has_is_refused_by_name() {
    let check = |setting: &str, expected: Option<&str>| {
        let plan = read_plan("tiny", &[setting.to_owned()]).expect("a good plan");
        let refused = simulate(&plan, Options::default()).err().map(|error| error.to_string());
        let matches = refused.as_deref().zip(expected).is_some_and(|(found, part)| found.contains(part));
        assert!(matches || refused.is_none() && expected.is_none(), "{setting}: {refused:?}");
    };
    check("groups.0.nat=open", None);
    check("groups.0.nat=symmetric", Some("group 0 has nat symmetric"));
    check("groups.0.shared_line=true", Some("a shared line"));
    check("groups.0.ip=v6", Some("IPv6"));
    check("groups.0.disk_bytes=9", Some("a disk of its own"));
    check(r#"faults=[{"at_ms":1,"do":"kill","who":"tracker"}]"#, Some("no faults"));
}
