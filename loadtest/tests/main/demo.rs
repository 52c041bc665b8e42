//! The demonstration and the builds that it publishes.

use std::path::Path;
use std::process::{Command, Output};

use freshet_loadtest::{Report, TreeDigest};

use crate::needs;

fn loadtest(arguments: &[&str], folder: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_freshet-loadtest"));
    command.args(arguments).current_dir(folder).output().expect("the program starts")
}

#[test]
fn a_build_is_the_same_each_time() {
    let folder = tempfile::tempdir().expect("a folder");
    let digest = |name: &str, arguments: &[&str]| {
        let output =
            loadtest(&[&["generate", name, "--bytes", "1000000"], arguments].concat(), folder.path());
        assert!(output.status.success(), "{output:?}");
        let digest = TreeDigest::of(&folder.path().join(name)).expect("made");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.starts_with(&format!("{} files, {} bytes", digest.files, digest.bytes)), "{text}");
        digest
    };
    let first = digest("first", &[]);
    assert_eq!(digest("again", &["--seed", "1"]), first);
    assert_ne!(digest("other", &["--seed", "2"]), first);
    assert_eq!(digest("plain", &["--incompressible"]).files, 1);

    let check = |arguments: &[&str], part: &str| {
        let output = loadtest(arguments, folder.path());
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {text}");
        assert!(text.contains(part), "{arguments:?}: {text}");
    };
    check(&["generate", "first"], "first is not empty");
    check(&["generate", "new", "--bytes", "999999"], "choose 1000000 to");
    check(&["demo", "no-such-folder"], "no-such-folder is not a folder");
}

#[test]
fn three_nodes_share_a_folder_of_the_users() {
    let Some(programs) = needs::programs() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let made = loadtest(&["generate", "game", "--bytes", "3000000"], folder.path());
    assert!(made.status.success(), "{made:?}");
    let programs = programs.to_str().expect("text");
    let arguments = ["demo", "game", "--nodes", "3", "--bin-dir", programs, "--out", "report.json"];
    let output = loadtest(&arguments, folder.path());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let report: Report =
        serde_json::from_slice(&std::fs::read(folder.path().join("report.json")).expect("written"))
            .expect("a report");
    assert_eq!((report.figures.jobs, report.figures.finished), (3, 3));
    assert_eq!(report.run.live.map(|live| live.verified_trees), Some(3));
    let text = String::from_utf8_lossy(&output.stdout);
    let last = text.lines().last().expect("lines");
    assert!(last.starts_with("offload ") && last.contains("origin copies") && last.ends_with(" s"), "{last}");
}
