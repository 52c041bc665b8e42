//! One digest of a whole folder: how an installed release is compared with what was published.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use freshet_protocol::Hash;

/// Bytes hashed at a time.
const BLOCK_BYTES: usize = 1 << 20;
/// The node's own folder in what it installs.
const OWN_FOLDER: &str = ".freshet";

/// What lies in a folder: names, kinds, the right to run, link targets and bytes. Times and owners do not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TreeDigest {
    /// Equal for equal trees.
    pub hash: Hash,
    /// Files, without folders and links.
    pub files: u32,
    /// Bytes of all files.
    pub bytes: u64,
}

impl TreeDigest {
    /// Reads the tree below `dir`, without a node's own `.freshet`.
    ///
    /// # Errors
    /// When something cannot be read, or is neither file, folder nor link.
    pub fn of(dir: &Path) -> Result<Self> {
        let mut walk = Walk { lines: Vec::new(), files: 0, bytes: 0, block: vec![0; BLOCK_BYTES] };
        walk.folder(dir, "")?;
        Ok(Self { hash: Hash::of(&walk.lines), files: walk.files, bytes: walk.bytes })
    }
}

/// Files below `dir`, relative to it and sorted, without a node's own `.freshet`; no links.
///
/// # Errors
/// When a folder cannot be read.
pub(crate) fn tree_files(dir: &Path) -> Result<Vec<PathBuf>> {
    let (mut found, mut left) = (Vec::new(), vec![dir.to_owned()]);
    while let Some(at) = left.pop() {
        for entry in fs::read_dir(&at).with_context(|| format!("read the folder {}", at.display()))? {
            let path = entry.with_context(|| format!("read the folder {}", at.display()))?.path();
            let facts = fs::symlink_metadata(&path).with_context(|| format!("look at {}", path.display()))?;
            if facts.is_file() {
                found.push(path.strip_prefix(dir).expect("it lies below").to_owned());
            } else if facts.is_dir() && path != dir.join(OWN_FOLDER) {
                left.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Bytes of all files below `dir`, from their lengths alone.
///
/// # Errors
/// When a folder cannot be read.
pub(crate) fn tree_bytes(dir: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(dir).with_context(|| format!("read the folder {}", dir.display()))? {
        let path = entry.with_context(|| format!("read the folder {}", dir.display()))?.path();
        let facts = fs::symlink_metadata(&path).with_context(|| format!("look at {}", path.display()))?;
        bytes += if facts.is_dir() { tree_bytes(&path)? } else { facts.len() };
    }
    Ok(bytes)
}

struct Walk {
    /// Length-prefixed, so that no name can pass for another thing.
    lines: Vec<u8>,
    files: u32,
    bytes: u64,
    block: Vec<u8>,
}

impl Walk {
    fn folder(&mut self, dir: &Path, path: &str) -> Result<()> {
        let mut names = Vec::new();
        for entry in fs::read_dir(dir).with_context(|| format!("read the folder {}", dir.display()))? {
            let name = entry.with_context(|| format!("read the folder {}", dir.display()))?.file_name();
            let name =
                name.into_string().map_err(|name| anyhow::anyhow!("the name {name:?} is not Unicode"))?;
            names.push(name);
        }
        names.sort();
        for name in names {
            if path.is_empty() && name == OWN_FOLDER {
                continue;
            }
            let below = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
            self.entry(dir.join(&name), &below)?;
        }
        Ok(())
    }

    fn entry(&mut self, full: PathBuf, path: &str) -> Result<()> {
        let facts = fs::symlink_metadata(&full).with_context(|| format!("look at {}", full.display()))?;
        let kind = facts.file_type();
        if kind.is_dir() {
            self.line(&[b"folder", path.as_bytes()]);
            return self.folder(&full, path);
        }
        if kind.is_symlink() {
            let target = fs::read_link(&full).with_context(|| format!("read the link {}", full.display()))?;
            self.line(&[b"link", path.as_bytes(), target.as_os_str().as_encoded_bytes()]);
            return Ok(());
        }
        if !kind.is_file() {
            bail!("{} is neither a file, a folder nor a link", full.display());
        }
        let hash = self.file(&full).with_context(|| format!("read {}", full.display()))?;
        let kind: &[u8] = if is_program(&facts) { b"program" } else { b"file" };
        self.line(&[kind, path.as_bytes(), &hash.0]);
        self.files += 1;
        Ok(())
    }

    /// Hash over the hashes of the file's blocks.
    fn file(&mut self, full: &Path) -> std::io::Result<Hash> {
        let mut file = File::open(full)?;
        let mut hashes = Vec::new();
        loop {
            let read = read_full(&mut file, &mut self.block)?;
            self.bytes += read as u64;
            hashes.extend_from_slice(&Hash::of(&self.block[..read]).0);
            if read < self.block.len() {
                return Ok(Hash::of(&hashes));
            }
        }
    }

    fn line(&mut self, parts: &[&[u8]]) {
        for part in parts {
            self.lines.extend_from_slice(&(part.len() as u64).to_le_bytes());
            self.lines.extend_from_slice(part);
        }
    }
}

/// Reads until the block is full or the file ends.
fn read_full(file: &mut File, block: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while filled < block.len() {
        match file.read(&mut block[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(unix)]
fn is_program(facts: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    facts.permissions().mode() & 0o100 != 0
}

#[cfg(not(unix))]
fn is_program(_facts: &fs::Metadata) -> bool {
    false
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn tree(change: impl FnOnce(&Path)) -> Hash {
        let dir = tempfile::tempdir().expect("temporary folder");
        let at = |path: &str| dir.path().join(path);
        fs::create_dir_all(at("empty")).expect("made");
        fs::create_dir_all(at("눈")).expect("made");
        fs::write(at("눈/a"), "one").expect("written");
        fs::write(at("large"), vec![7; BLOCK_BYTES]).expect("written");
        symlink("눈/a", at("link")).expect("linked");
        change(dir.path());
        TreeDigest::of(dir.path()).expect("read").hash
    }

    #[test]
    fn files_are_listed_without_the_nodes_own() {
        tree(|dir| {
            fs::create_dir(dir.join(".freshet")).expect("made");
            fs::write(dir.join(".freshet/record"), "own").expect("written");
            assert_eq!(tree_files(dir).expect("read"), ["large", "눈/a"].map(PathBuf::from));
        });
    }

    #[test]
    fn what_counts_and_what_does_not() {
        let base = tree(|_| ());
        let check = |is_equal: bool, what: &str, change: fn(&Path)| {
            assert_eq!(tree(change) == base, is_equal, "{what}");
        };
        check(true, "nothing", |_| ());
        check(true, "the node's own folder", |dir| fs::create_dir(dir.join(".freshet")).expect("made"));
        check(false, "such a folder further down", |dir| {
            fs::create_dir(dir.join("눈/.freshet")).expect("made")
        });
        check(false, "a byte", |dir| fs::write(dir.join("눈/a"), "onE").expect("written"));
        check(false, "a byte more", |dir| {
            fs::write(dir.join("large"), vec![7; BLOCK_BYTES + 1]).expect("written")
        });
        check(false, "a folder less", |dir| fs::remove_dir(dir.join("empty")).expect("removed"));
        check(false, "a name", |dir| fs::rename(dir.join("눈/a"), dir.join("눈/b")).expect("renamed"));
        check(false, "a target", |dir| {
            fs::remove_file(dir.join("link")).expect("removed");
            symlink("large", dir.join("link")).expect("linked");
        });
        check(false, "the right to run", |dir| {
            fs::set_permissions(dir.join("large"), fs::Permissions::from_mode(0o755)).expect("set");
        });
    }
}
