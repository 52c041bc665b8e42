//! Plans end, and what the simulator does not know is refused by name.

use crate::{run, run_as_it_is};
use freshet_loadtest::{Options, SimError, read_plan, simulate};

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
fn address_translation_is_refused_by_name() {
    let plan = read_plan("tiny", &["groups.0.nat=symmetric".to_owned()]).expect("a good plan");
    let expected = SimError::Nat { group: 0, nat: "symmetric".to_owned() };
    assert_eq!(simulate(&plan, Options::default()).expect_err("unknown"), expected);
    let plan = read_plan("tiny", &["groups.0.nat=open".to_owned()]).expect("a good plan");
    assert!(simulate(&plan, Options::default()).is_ok());
}
