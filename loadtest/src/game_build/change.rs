//! The next version of a build: the same files, changed a little all over.

use std::fs::OpenOptions;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use anyhow::{Context, Result};

use super::seed_of;
use crate::random::Random;
use crate::tree::tree_files;

/// How a build changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Change {
    /// In each stretch of so many bytes of every file...
    pub(crate) every_bytes: u64,
    /// ...so many are new, in one piece.
    pub(crate) bytes: u64,
    /// Another seed gives other bytes, and other places.
    pub(crate) seed: u64,
}

/// Changes the build in `dir`. A stretch at a file's end that is too short for a change stays as it is.
///
/// # Errors
/// When a file cannot be written.
pub(crate) fn change_build(dir: &Path, change: Change) -> Result<()> {
    let Change { every_bytes, bytes, seed } = change;
    for file in tree_files(dir)? {
        let path = dir.join(&file);
        let mut random = Random::new(seed_of(&format!("change {}", file.display()), seed));
        let mut file =
            OpenOptions::new().write(true).open(&path).with_context(|| format!("open {}", path.display()))?;
        let end = file.metadata().with_context(|| format!("look at {}", path.display()))?.len();
        let mut stretch = 0;
        while stretch + bytes <= end {
            let room = every_bytes.min(end - stretch) - bytes;
            let at = stretch + random.next_u64() % (room + 1);
            let words = (0..bytes.div_ceil(8)).flat_map(|_| random.next_u64().to_le_bytes());
            let new: Vec<u8> = words.take(bytes as usize).collect();
            file.seek(SeekFrom::Start(at))
                .and_then(|_| file.write_all(&new))
                .with_context(|| format!("write {}", path.display()))?;
            stretch += every_bytes;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stretch_changes_in_one_piece() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("file");
        let changed = |seed: u64| {
            std::fs::write(&path, vec![0; 2500]).expect("written");
            change_build(folder.path(), Change { every_bytes: 1000, bytes: 100, seed }).expect("changed");
            std::fs::read(&path).expect("read")
        };
        let one = changed(1);
        assert_eq!(one.len(), 2500);
        for stretch in one.chunks(1000) {
            let first = stretch.iter().position(|&byte| byte != 0).expect("changed");
            let last = stretch.iter().rposition(|&byte| byte != 0).expect("changed");
            assert!(last - first < 100 && last - first > 80, "{first} to {last}");
        }
        assert_eq!(changed(1), one);
        assert_ne!(changed(2), one);
        std::fs::write(&path, [7; 99]).expect("written");
        change_build(folder.path(), Change { every_bytes: 1000, bytes: 100, seed: 1 }).expect("changed");
        assert_eq!(std::fs::read(&path).expect("read"), [7; 99]);
    }
}
