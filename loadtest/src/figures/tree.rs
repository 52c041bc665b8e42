//! The files of a folder.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Where a node keeps its own.
const STATE_FOLDER: &str = ".freshet";

/// Files below a folder, relative to it, without what a node keeps there for itself.
///
/// # Errors
/// When a folder cannot be read.
pub(super) fn files(folder: &Path) -> Result<BTreeSet<PathBuf>> {
    let (mut found, mut left) = (BTreeSet::new(), vec![folder.to_owned()]);
    while let Some(at) = left.pop() {
        for entry in fs::read_dir(&at).with_context(|| format!("read {}", at.display()))? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_file() {
                found.insert(entry.path().strip_prefix(folder)?.to_owned());
            } else if kind.is_dir() && entry.file_name() != STATE_FOLDER {
                left.push(entry.path());
            }
        }
    }
    Ok(found)
}

/// Whether two folders hold the same files with the same bytes.
///
/// # Errors
/// When something cannot be read.
pub(super) fn same_files(one: &Path, other: &Path) -> Result<bool> {
    let [in_one, in_other] = [files(one)?, files(other)?];
    if in_one != in_other {
        return Ok(false);
    }
    for file in in_one {
        if fs::read(one.join(&file))? != fs::read(other.join(&file))? {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_files_are_the_same() {
        let folder = tempfile::tempdir().expect("folder");
        let [one, other] = ["one", "other"].map(|name| folder.path().join(name));
        for folder in [&one, &other] {
            fs::create_dir_all(folder.join("in")).expect("made");
            fs::write(folder.join("in/a"), "same").expect("written");
        }
        assert_eq!(files(&one).expect("read"), BTreeSet::from(["in/a".into()]));
        let same = || same_files(&one, &other).expect("read");
        assert!(same());
        fs::create_dir(other.join(STATE_FOLDER)).expect("made");
        fs::write(other.join(STATE_FOLDER).join("record"), "own").expect("written");
        assert!(same());
        fs::write(other.join("in/a"), "else").expect("written");
        assert!(!same());
        fs::write(other.join("in/a"), "same").expect("written");
        fs::write(other.join("b"), "more").expect("written");
        assert!(!same());
    }
}
