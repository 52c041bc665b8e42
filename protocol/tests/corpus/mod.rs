//! Replays the checked-in fuzz corpus through the checks of the fuzz targets.

use std::fs;
use std::path::{Path, PathBuf};

use crate::checks;

type Check = fn(&[u8]);

/// Each fuzz target and its check.
pub(crate) const TARGETS: [(&str, Check); 15] = [
    ("client_message", checks::client_message),
    ("entry_page", checks::entry_page),
    ("frame", checks::frame),
    ("introduction", checks::introduction),
    ("pack_index", checks::pack_index),
    ("page", checks::page),
    ("patch", checks::patch),
    ("patch_page", checks::patch_page),
    ("path", checks::path),
    ("pointer", checks::pointer),
    ("root", checks::root),
    ("sealed_head", checks::sealed_head),
    ("segment", checks::segment),
    ("server_message", checks::server_message),
    ("ticket", checks::ticket),
];

/// Folder of a target's corpus.
pub(crate) fn folder(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target)
}

#[test]
fn every_corpus_file_passes_its_check() {
    for (target, check) in TARGETS {
        let files: Vec<_> =
            fs::read_dir(folder(target)).expect(target).map(|file| file.expect(target)).collect();
        assert!(!files.is_empty(), "{target} has no corpus");
        for file in files {
            let bytes = fs::read(file.path()).expect(target);
            println!("{}", file.path().display());
            check(&bytes);
        }
    }
}

#[test]
fn every_fuzz_target_is_listed_once() {
    let manifest = include_str!("../../fuzz/Cargo.toml");
    let mut named: Vec<_> =
        manifest.split("[[bin]]\nname = \"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    named.sort_unstable();
    assert_eq!(named, TARGETS.map(|(target, _)| target));
}
