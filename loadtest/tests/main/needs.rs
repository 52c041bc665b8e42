//! What a test needs of the machine. A test that cannot run says so, and fails where everything must run.

use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

/// Whether the laboratory can be built: root, a TUN device, and the programs that lay it.
pub(crate) fn lab() -> bool {
    let missing = if !is_root() {
        "root"
    } else if !PathBuf::from("/dev/net/tun").exists() {
        "/dev/net/tun"
    } else if let Some(program) =
        ["ip", "tc", "nft", "chrt", "ping", "faketime"].into_iter().find(|program| !runs(program))
    {
        program
    } else {
        return true;
    };
    not_run(missing);
    false
}

/// Whether routers of the laboratory can forward ports.
pub(crate) fn port_mapping() -> bool {
    let is_there = PathBuf::from("/usr/sbin/miniupnpd").exists();
    if !is_there {
        not_run("miniupnpd");
    }
    is_there
}

/// The folder of the programs under load: where this test's own program lies, or `FRESHET_BIN_DIR`.
pub(crate) fn programs() -> Option<PathBuf> {
    let beside = PathBuf::from(env!("CARGO_BIN_EXE_freshet-loadtest"));
    let folder = std::env::var_os("FRESHET_BIN_DIR")
        .map_or_else(|| beside.parent().expect("a program lies in a folder").to_owned(), PathBuf::from);
    let names = ["freshet-origin", "freshet-tracker", "freshet-node"];
    match names.into_iter().find(|name| !folder.join(name).is_file()) {
        None => Some(folder),
        Some(name) => {
            not_run(&format!("{name} in {} (cargo build --bins, or FRESHET_BIN_DIR)", folder.display()));
            None
        }
    }
}

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output().expect("id runs everywhere");
    output.stdout.trim_ascii() == b"0"
}

fn runs(program: &str) -> bool {
    Command::new(program).arg("-V").output().is_ok()
}

/// Not through a macro: those lines are kept back for tests that pass.
fn not_run(missing: &str) {
    let _ = writeln!(std::io::stderr(), "NOT RUN: needs {missing}");
    assert!(std::env::var_os("CI").is_none(), "NOT RUN: needs {missing}");
}
