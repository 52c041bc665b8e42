//! Folders to publish, and whether two of them are the same.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// One entry as a user sees it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    File { bytes: Vec<u8>, executable: bool },
    Folder,
    Link(PathBuf),
}

/// Everything below `folder` but the node's own state.
pub(crate) fn entries(folder: &Path) -> BTreeMap<String, Entry> {
    let mut found = BTreeMap::new();
    walk(folder, folder, &mut found);
    found
}

/// Fails naming the first path that differs.
pub(crate) fn assert_same(expected: &Path, found: &Path) {
    let [expected, found] = [expected, found].map(entries);
    for (path, entry) in &expected {
        assert!(found.get(path) == Some(entry), "{path} differs, or is missing");
    }
    let extra: Vec<_> = found.keys().filter(|path| !expected.contains_key(*path)).collect();
    assert!(extra.is_empty(), "not published: {extra:?}");
}

/// Copies a folder, with the times at which files were changed.
pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("made");
    for entry in std::fs::read_dir(from).expect("readable") {
        let entry = entry.expect("readable");
        let to = to.join(entry.file_name());
        let found = entry.metadata().expect("there");
        if found.is_dir() {
            copy(&entry.path(), &to);
            continue;
        }
        #[cfg(unix)]
        if found.is_symlink() {
            let target = std::fs::read_link(entry.path()).expect("link");
            std::os::unix::fs::symlink(target, &to).expect("linked");
            continue;
        }
        std::fs::copy(entry.path(), &to).expect("copied");
        let file = std::fs::File::options().write(true).open(&to).expect("there");
        file.set_modified(found.modified().expect("told")).expect("set");
    }
}

/// All files that lie in a folder, the node's own included.
pub(crate) fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("readable") {
        let path = entry.expect("readable").path();
        if path.is_dir() { files.extend(files_below(&path)) } else { files.push(path) }
    }
    files
}

fn walk(top: &Path, folder: &Path, found: &mut BTreeMap<String, Entry>) {
    for entry in std::fs::read_dir(folder).expect("readable") {
        let path = entry.expect("readable").path();
        let name = path.strip_prefix(top).expect("below").to_str().expect("UTF-8").to_owned();
        if name == ".freshet" {
            continue;
        }
        let metadata = path.symlink_metadata().expect("there");
        let entry = if metadata.is_symlink() {
            Entry::Link(std::fs::read_link(&path).expect("link"))
        } else if metadata.is_dir() {
            walk(top, &path, found);
            Entry::Folder
        } else {
            Entry::File {
                bytes: std::fs::read(&path).expect("readable"),
                executable: is_executable(&metadata),
            }
        };
        found.insert(name, entry);
    }
}

#[cfg(unix)]
fn is_executable(metadata: &std::fs::Metadata) -> bool {
    std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o100 != 0
}

#[cfg(not(unix))]
fn is_executable(_: &std::fs::Metadata) -> bool {
    false
}

/// Bytes that do not compress and follow from the seed alone.
pub(crate) fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        // xorshift64* (Vigna 2016).
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        bytes.extend_from_slice(&state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

pub(crate) fn write(folder: &Path, name: &str, bytes: &[u8]) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().expect("below")).expect("made");
    std::fs::write(path, bytes).expect("written");
}

/// A tree with every kind of entry, about 6 MB.
pub(crate) fn make_sample(folder: &Path) {
    write(folder, "data/big.pak", &noise(1, 5_000_000));
    write(folder, "data/copy-of-a-part.pak", &noise(1, 700_000));
    write(folder, "data/text.txt", "compresses well ".repeat(20_000).as_bytes());
    write(folder, "data/한국어/모험 이야기.txt", "여행".as_bytes());
    write(folder, "empty-file", b"");
    write(folder, "data/another-empty-file", b"");
    write(folder, "run.sh", b"#!/bin/sh\n");
    for number in 0..300 {
        write(folder, &format!("small/{}/{number}.txt", number % 7), format!("{number}").as_bytes());
    }
    std::fs::create_dir_all(folder.join("empty/folder")).expect("made");
    #[cfg(unix)]
    {
        use std::os::unix::fs::{PermissionsExt, symlink};
        std::fs::set_permissions(folder.join("run.sh"), PermissionsExt::from_mode(0o755)).expect("set");
        symlink("data/text.txt", folder.join("link")).expect("made");
        symlink("../../run.sh", folder.join("data/한국어/link-up")).expect("made");
        symlink("data", folder.join("link-to-folder")).expect("made");
    }
}
