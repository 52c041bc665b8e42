//! The program: what it prints and writes, and how it fails.

use std::process::{Command, Output};

use freshet_loadtest::Report;

fn loadtest(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_freshet-loadtest"));
    command.args(arguments).output().expect("the program starts")
}

#[test]
fn sim_ends_with_the_line_for_people_and_writes_a_report() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("tiny.json");
    let path = path.to_str().expect("text");
    let output = loadtest(&["sim", "tiny", "--seed", "3", "--verbose", "--out", path]);
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(output.status.success(), "{text}");
    let last = text.lines().last().expect("lines");
    assert!(last.starts_with("offload ") && last.contains("origin copies") && last.ends_with(" s"), "{last}");
    let report: Report = serde_json::from_slice(&std::fs::read(path).expect("written")).expect("a report");
    assert_eq!(report.figures.summary(), last);
    assert!(text.contains(&format!("trace {}", report.run.trace.expect("of a simulation"))));
    assert!(report.figures.deliveries_per_cpu_s.is_some());

    let page = folder.path().join("page.html");
    let page = page.to_str().expect("text");
    let output = loadtest(&["report", path, path, "--out", page]);
    assert!(output.status.success(), "{output:?}");
    let html = std::fs::read_to_string(page).expect("written");
    assert!(html.starts_with("<!doctype html>") && html.contains(last), "{last}");
    assert!(!html.contains("http://") && !html.contains("https://"), "a page of its own");
}

#[test]
fn faults_are_one_sentence_and_a_code() {
    let check = |arguments: &[&str], code: i32, part: &str| {
        let output = loadtest(arguments);
        let text = String::from_utf8(output.stderr).expect("text");
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
        assert!(text.contains(part) && text.trim_end().lines().count() == 1, "{arguments:?}: {text}");
    };
    check(&["sim", "no-such-plan"], 2, "cannot read the plan no-such-plan");
    check(&["sim", "tiny", "--set", "links=99"], 2, "links must be 1 to 32");
    check(&["sim", "tiny", "--set", "groups.0.nat=symmetric"], 2, "group 0 has nat symmetric");
    check(&["sim", "tiny", "--out", "/proc/none/x.json"], 1, "cannot write the report /proc/none/x.json");
    check(&["sim", "tiny", "--set", "end_after_s=1", "--set", "origin.up_mbit=0.1"], 1, "0 of 4 jobs");
    check(&["report", "/no/report.json", "--out", "/tmp/never.html"], 1, "/no/report.json");
}
