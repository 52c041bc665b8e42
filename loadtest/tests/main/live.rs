//! Real load: runs of real programs, what is said of those that fail, and that nothing stays.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use freshet_loadtest::{Report, Shaping, Source};

use crate::needs;

fn live(programs: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_freshet-loadtest"));
    command.arg("live").args(arguments).arg("--bin-dir").arg(programs);
    command
}

/// Programs of which the node is a script.
fn with_node(programs: &Path, script: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["freshet-origin", "freshet-tracker"] {
        let program = programs.join(name).canonicalize().expect("it is there");
        symlink(program, folder.path().join(name)).expect("linked");
    }
    let node = folder.path().join("freshet-node");
    fs::write(&node, format!("#!/bin/sh\necho \"$@\" >> {}/calls\n{script}\n", folder.path().display()))
        .expect("written");
    fs::set_permissions(&node, fs::Permissions::from_mode(0o755)).expect("set");
    folder
}

/// The folder of the run in which the script was called.
fn run_folder(programs: &Path) -> PathBuf {
    let calls = fs::read_to_string(programs.join("calls")).expect("the script was called");
    let into = calls.split_whitespace().skip_while(|word| *word != "--into").nth(1).expect("an --into");
    // RUN/nodes/NUMBER/into
    Path::new(into).ancestors().nth(3).expect("a run's folder").to_owned()
}

/// Command lines of running processes that name `part`.
fn running(part: &str) -> Vec<String> {
    let processes = fs::read_dir("/proc").expect("Linux").filter_map(Result::ok);
    let lines = processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
    lines
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
        .filter(|line| line.contains(part))
        .collect()
}

fn assert_nothing_stays(programs: &Path) {
    let folder = run_folder(programs);
    assert_eq!(running(&folder.display().to_string()), Vec::<String>::new());
    assert!(!folder.exists(), "{} is still there", folder.display());
}

fn report_of(output: &Output, path: &Path) -> Report {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    serde_json::from_slice(&fs::read(path).expect("a report")).expect("of the known form")
}

fn check_run(arguments: &[&str], shaping: Shaping) {
    let Some(programs) = needs::programs() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("report.json");
    let mut command = live(&programs, arguments);
    let output = command.arg("--out").arg(&path).output().expect("the program starts");
    let report = report_of(&output, &path);
    let (run, figures) = (&report.run, &report.figures);
    let measured = run.live.as_ref().expect("a real run");
    assert_eq!((run.source, measured.shaping, measured.verified_trees), (Source::Live, shaping, 4));
    assert_eq!((figures.jobs, figures.finished), (4, 4));
    for node in &run.nodes {
        let used: u64 = node.peer_bytes + node.origin_bytes.values().sum::<u64>();
        assert_eq!(used, run.plan.content.bytes(), "every byte came from somewhere, once: {node:?}");
    }
    assert!(figures.copies >= 1.0, "{}", figures.copies);
    assert!(run.origin.wire_bytes > run.origin.manifest_bytes);
    assert_eq!(measured.node_wire.is_some(), shaping == Shaping::Lab);
    assert!(measured.cpu_s["nodes"] > 0.0 || figures.time_s < Some(1.0), "{measured:?}");
    let last = String::from_utf8_lossy(&output.stdout).lines().last().map(str::to_owned);
    assert_eq!(last, Some(figures.summary()));
}

#[test]
fn four_nodes_on_loopback() {
    check_run(&["tiny", "--shaping", "none"], Shaping::None);
}

#[test]
fn four_nodes_over_http_alone() {
    check_run(&["tiny", "--shaping", "user", "--set", "p2p=false"], Shaping::User);
}

#[test]
fn four_nodes_behind_lines() {
    if needs::lab() {
        check_run(&["tiny", "--shaping", "lab", "--set", "p2p=false"], Shaping::Lab);
    }
}

#[test]
fn a_node_that_dies_is_reported() {
    let Some(real) = needs::programs() else { return };
    let check = |script: &str, settings: &[&str], parts: &[&str]| {
        let programs = with_node(&real, script);
        let output =
            live(programs.path(), &["tiny", "--shaping", "none"]).args(settings).output().expect("it starts");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{errors}");
        for part in parts {
            assert!(errors.contains(part), "{part} in\n{errors}");
        }
        assert_nothing_stays(programs.path());
    };
    let last_words = "echo 'no such thing' >&2; exit 3";
    check(
        last_words,
        &[],
        &["node 0 failed", "exit status: 3", "no such thing", "4 of the run's checks failed"],
    );
    check("kill -9 $$", &[], &["node 3 failed (signal: 9", "ended before the release was installed"]);
    let failed = r#"echo '{"event":"failed","code":13,"message":"the disk is full"}'; exit 13"#;
    check(failed, &[], &["exit status: 13): the disk is full"]);
    check("exec sleep 600", &["--set", "end_after_s=1"], &["node 0 had 0.0 % when the plan's 1 s were over"]);
    // It says that it is done, and has installed nothing.
    check(r#"echo '{"event":"installed"}'; exec sleep 600"#, &[], &["what node 0 installed cannot be read"]);
}

#[test]
fn an_interrupted_run_leaves_nothing() {
    let Some(real) = needs::programs() else { return };
    let check = |signal: &str| {
        let half = r#"{"event":"progress","done_bytes":5,"total_bytes":10,"bytes":{},"sent_bytes":0}"#;
        let programs = with_node(&real, &format!("echo '{half}'; exec sleep 600"));
        let mut child = live(programs.path(), &["tiny", "--shaping", "none"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut lines = BufReader::new(child.stderr.take().expect("asked for")).lines();
        let is_under_way = lines.by_ref().map_while(Result::ok).any(|line| line.contains(" 50.0 %"));
        assert!(is_under_way, "all nodes run");
        let told = Command::new("kill").args([signal, &child.id().to_string()]).status().expect("kill runs");
        assert!(told.success());
        let rest: Vec<String> = lines.map_while(Result::ok).collect();
        assert_eq!(child.wait().expect("waited for").code(), Some(1), "{rest:?}");
        assert!(rest.iter().any(|line| line.contains("interrupted")), "{rest:?}");
        assert_nothing_stays(programs.path());
    };
    check("-INT");
    check("-TERM");
    check("-HUP");
}

#[test]
fn what_cannot_be_run_is_one_sentence() {
    let Some(programs) = needs::programs() else { return };
    let check = |arguments: &[&str], code: i32, part: &str| {
        let output = live(&programs, arguments).output().expect("the program starts");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {errors}");
        assert!(errors.contains(part) && errors.trim_end().lines().count() == 1, "{arguments:?}: {errors}");
    };
    check(&["no-such-plan", "--shaping", "none"], 2, "cannot read the plan");
    check(&["flash-hostile", "--shaping", "none"], 2, "real nodes do not lie");
    check(&["tiny", "--shaping", "none", "--set", "groups.0.count=991"], 2, "at most 990 nodes");
    check(&["tiny", "--shaping", "none", "--set", "loss_permille=1"], 2, "loss_permille=0");
    check(&["tiny", "--shaping", "none", "--keep-in", "/proc/none"], 1, "/proc/none");
    let output =
        live(Path::new("/nowhere"), &["tiny", "--shaping", "none"]).output().expect("the program starts");
    assert!(String::from_utf8_lossy(&output.stderr).contains("/nowhere/freshet-origin is missing"));
}
