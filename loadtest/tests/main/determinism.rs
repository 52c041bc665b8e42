//! The same seed gives the same run to the last bit; another seed another one.

use crate::run;
use freshet_loadtest::{Options, read_plan, simulate};

#[test]
fn a_seed_decides_everything() {
    let plans: [(&str, &[&str]); 3] = [
        ("tiny", &[]),
        ("tiny", &["loss_permille=20", "groups.0.rtt_ms=40", "groups.0.count=9"]),
        ("flash-hostile", &["content.bytes=2000000"]),
    ];
    for (name, settings) in plans {
        let first = run(name, settings, 1);
        assert_eq!(first, run(name, settings, 1), "{name} {settings:?}");
        assert_ne!(first.run.trace, run(name, settings, 2).run.trace, "{name} {settings:?}");
    }
}

#[test]
fn watching_changes_no_figure() {
    let plan = read_plan("tiny", &[]).expect("built in");
    let silent = simulate(&plan, Options { seed: 1, verbose: None }).expect("known");
    let mut text = Vec::new();
    let watched = simulate(&plan, Options { seed: 1, verbose: Some(&mut text) }).expect("known");
    assert_eq!((&silent.nodes, &silent.origin), (&watched.nodes, &watched.origin));
    let text = String::from_utf8(text).expect("text");
    assert!(text.contains("uplinks: busy") && text.contains("done"), "{text}");
}
