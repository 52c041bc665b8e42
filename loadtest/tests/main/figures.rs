//! Figures: what is said and counted of those that cannot run.

use std::fs;
use std::process::{Command, Output};

use crate::needs;

fn figures(arguments: &[&str], environment: &[(&str, &str)]) -> Option<(Output, tempfile::TempDir)> {
    let programs = needs::programs()?;
    let out = tempfile::tempdir().expect("a folder");
    let mut command = Command::new(env!("CARGO_BIN_EXE_freshet-loadtest"));
    command.arg("figures").args(arguments).arg("--bin-dir").arg(programs).arg("--out").arg(out.path());
    command.env_remove("CI").envs(environment.iter().copied());
    Some((command.output().expect("the program starts"), out))
}

#[test]
fn what_cannot_run_is_counted_apart() {
    // Neither the laboratory nor curl is there without programs.
    let check = |ci: &str, code: i32| {
        let environment = [("CI", ci), ("PATH", "/nonexistent")];
        let Some((output, out)) = figures(&["far", "few"], &environment) else { return };
        let text = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(code), "CI={ci}: {text}");
        assert!(text.ends_with("0 ok, 0 missed, 2 not run\n"), "{text}");
        let line = fs::read_to_string(out.path().join("far.jsonl")).expect("written");
        let record: serde_json::Value = serde_json::from_str(&line).expect("one line of JSON");
        assert_eq!(record["verdict"], "NOT RUN");
        assert!(record["reached"].as_str().is_some_and(|reached| reached.starts_with("needs ")), "{record}");
    };
    check("", 0);
    check("false", 0);
    check("true", 1);
}

#[test]
fn what_is_asked_for_wrongly_is_one_sentence() {
    let check = |arguments: &[&str], code: i32, part: &str| {
        let Some((output, _out)) = figures(arguments, &[]) else { return };
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
        assert!(text.contains(part), "{arguments:?}: {text}");
    };
    check(&["fast"], 2, "there is no figure \"fast\"; there are flash-offload, ");
    check(&["far", "--runs", "0"], 2, "--runs");
    check(&["far", "--soak"], 2, "cannot be used with");
}
