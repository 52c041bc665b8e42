//! Builds to publish, generated: the same bytes for the same size and seed on every machine, so that runs can be
//! repeated and compared without anybody's game.

mod change;
mod command;
mod layout;
mod matter;
mod zip;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use freshet_protocol::Hash;

use crate::random::Random;
use crate::refused::refuse_unless;
pub(crate) use change::{Change, change_build};
pub(crate) use command::GenerateArgs;
use layout::{Item, Kind};

/// Smallest game-like build, in bytes: below, its parts would be empty.
pub const GAME_BYTES_MIN: u64 = 1_000_000;
/// Largest build, in bytes; keeps a typing error from filling the disk.
pub const BUILD_BYTES_MAX: u64 = 16 << 30;
/// Size of a build for which none is asked, in bytes.
pub const BUILD_BYTES_DEFAULT: u64 = 150_000_000;

/// Bytes made and written at a time.
const BLOCK_BYTES: u64 = 1 << 20;

/// What a build is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BuildKind {
    /// Programs, archives, textures, thousands of scripts, links, empty folders.
    Game,
    /// A few files of bytes that no compression makes smaller: what is measured is the delivery alone.
    Incompressible,
}

/// Which build to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BuildSpec {
    /// What it is made of.
    pub kind: BuildKind,
    /// Size of all files together; a game-like build is at most a few thousandths off.
    pub bytes: u64,
    /// Another seed gives other bytes throughout.
    pub seed: u64,
}

/// What was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BuildSummary {
    /// Files.
    pub files: u32,
    /// Bytes of all files.
    pub bytes: u64,
}

/// Makes a build in `dir`, which must be empty or absent.
///
/// # Errors
/// When the size is out of bounds, the folder holds something, or a file cannot be written.
pub fn generate_build(dir: &Path, spec: BuildSpec) -> Result<BuildSummary> {
    let bytes_min = if spec.kind == BuildKind::Game { GAME_BYTES_MIN } else { 1 };
    refuse_unless((bytes_min..=BUILD_BYTES_MAX).contains(&spec.bytes), || {
        format!("a build of {} bytes is not possible; choose {bytes_min} to {BUILD_BYTES_MAX}", spec.bytes)
    })?;
    fs::create_dir_all(dir).with_context(|| format!("make the folder {}", dir.display()))?;
    let mut there = fs::read_dir(dir).with_context(|| format!("read the folder {}", dir.display()))?;
    refuse_unless(there.next().is_none(), || {
        format!("the folder {} is not empty; choose another", dir.display())
    })?;

    let mut summary = BuildSummary { files: 0, bytes: 0 };
    for item in layout::items(spec) {
        let path = dir.join(&item.path);
        let written =
            write_item(&path, &item, spec.seed).with_context(|| format!("write {}", path.display()))?;
        if let Some(bytes) = written {
            summary.files += 1;
            summary.bytes += bytes;
        }
    }
    Ok(summary)
}

/// The bytes of the file, if it is one.
fn write_item(path: &PathBuf, item: &Item, seed: u64) -> Result<Option<u64>> {
    let parent = path.parent().context("an item lies in a folder")?;
    fs::create_dir_all(parent)?;
    // Each file has a sequence of its own, so that one more file changes no other.
    let mut random = Random::new(seed_of(&item.path, seed));
    match &item.kind {
        Kind::Folder => fs::create_dir_all(path)?,
        Kind::Link { target } => make_link(target, path)?,
        Kind::File { matter, bytes, is_program } => {
            let mut file = fs::File::create(path)?;
            let mut left = *bytes;
            while left > 0 {
                let block = left.min(BLOCK_BYTES);
                file.write_all(&matter.make(block as usize, &mut random))?;
                left -= block;
            }
            if *is_program {
                make_executable(path)?;
            }
            return Ok(Some(*bytes));
        }
        Kind::Archive { bytes } => {
            let file = std::io::BufWriter::new(fs::File::create(path)?);
            return Ok(Some(zip::write_stored(file, *bytes, &mut random)?));
        }
    }
    Ok(None)
}

fn seed_of(path: &str, seed: u64) -> u64 {
    let Hash(digest) = Hash::of(format!("{seed}/{path}").as_bytes());
    u64::from_le_bytes(*digest.first_chunk().expect("a digest has 32 bytes"))
}

#[cfg(unix)]
fn make_link(target: &str, path: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(target, path)
}

/// Links need a right on Windows that few have; the file is left out there.
#[cfg(not(unix))]
fn make_link(_target: &str, _path: &Path) -> std::io::Result<()> {
    Ok(())
}

#[cfg(unix)]
fn make_executable(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}

#[cfg(not(unix))]
fn make_executable(_path: &Path) -> std::io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::TreeDigest;

    fn digest_of(spec: BuildSpec) -> TreeDigest {
        let dir = tempfile::tempdir().expect("temporary folder");
        let summary = generate_build(dir.path(), spec).expect("made");
        let digest = TreeDigest::of(dir.path()).expect("read");
        assert_eq!((digest.files, digest.bytes), (summary.files, summary.bytes), "{spec:?}");
        digest
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes() {
        let check = |kind, bytes| {
            let spec = BuildSpec { kind, bytes, seed: 1 };
            let digest = digest_of(spec);
            assert_eq!(digest_of(spec), digest, "{spec:?}");
            assert_ne!(digest_of(BuildSpec { seed: 2, ..spec }).hash, digest.hash, "{spec:?}");
        };
        check(BuildKind::Game, GAME_BYTES_MIN);
        check(BuildKind::Incompressible, 300_000);
    }

    #[test]
    fn bytes_do_not_change_between_versions() {
        // Figures of runs are compared over months: a change here makes them incomparable and must be meant.
        let check = |kind, bytes, expected: &str| {
            let digest = digest_of(BuildSpec { kind, bytes, seed: 1 });
            assert!(digest.hash.to_string().starts_with(expected), "{kind:?}: {}", digest.hash);
        };
        check(BuildKind::Game, GAME_BYTES_MIN, "c99e4e82");
        check(BuildKind::Incompressible, 4096, "dc5640a1");
    }

    #[test]
    fn sizes_are_kept() {
        let check = |kind, bytes: u64, tolerance: u64| {
            let found = digest_of(BuildSpec { kind, bytes, seed: 3 }).bytes;
            assert!(found.abs_diff(bytes) <= tolerance, "{kind:?}: {found} instead of {bytes}");
        };
        check(BuildKind::Incompressible, 1, 0);
        check(BuildKind::Incompressible, 40_000_001, 0);
        check(BuildKind::Game, 2_000_000, 20_000);
        check(BuildKind::Game, 10_000_000, 50_000);
    }

    #[test]
    fn what_cannot_be_made_is_refused() {
        let check = |spec: BuildSpec, part: &str| {
            let dir = tempfile::tempdir().expect("temporary folder");
            fs::write(dir.path().join("there"), "something").expect("written");
            let error = generate_build(dir.path(), spec).expect_err("refused").to_string();
            assert!(error.contains(part), "{error}");
        };
        let spec = BuildSpec { kind: BuildKind::Game, bytes: GAME_BYTES_MIN, seed: 1 };
        check(BuildSpec { bytes: GAME_BYTES_MIN - 1, ..spec }, "is not possible");
        check(BuildSpec { bytes: BUILD_BYTES_MAX + 1, ..spec }, "is not possible");
        check(BuildSpec { bytes: 0, kind: BuildKind::Incompressible, ..spec }, "is not possible");
        check(spec, "is not empty");
    }
}
