//! Compares an installation with its signed manifest, and changes nothing.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;

use freshet_protocol::RelPath;
use tokio_util::sync::CancellationToken;

use crate::release::Release;
use crate::store::file_system::FileSystem;
use crate::store::scan::ScanError;
use crate::store::{Belief, ChunkFiles, Installed, STATE_FOLDER};

/// What was found, each list in path order.
#[derive(Debug, Default)]
pub(crate) struct Differences {
    /// Entries that are not what they must be.
    pub(crate) changed: Vec<String>,
    /// Entries that are not there.
    pub(crate) missing: Vec<String>,
    /// Files and links that the release does not have.
    pub(crate) added: Vec<String>,
}

/// Compares the folder of `files` with the release.
///
/// # Errors
/// [`ScanError`] when a folder cannot be listed, or it was stopped.
pub(crate) fn verify(
    files: &ChunkFiles,
    installed: &Installed,
    belief: Belief,
    stop: &CancellationToken,
) -> Result<Differences, ScanError> {
    let (release, system) = (&*files.release, FileSystem::look(&files.layout));
    let mut found = Differences::default();
    for (number, file) in release.chosen_files() {
        if stop.is_cancelled() {
            return Err(ScanError::Stopped);
        }
        let path = files.installed(number);
        let Ok(metadata) = std::fs::symlink_metadata(&path) else {
            found.missing.push(file.path.to_string());
            continue;
        };
        let is_believed = belief == Belief::Untouched && installed.is_untouched(&file.path, &metadata);
        let is_file = metadata.is_file() && metadata.len() == file.bytes;
        let is_good = is_file && system.is_program(&metadata).is_none_or(|is| is == file.executable);
        if !is_good || !is_believed && !has_its_chunks(files, number, &path, stop)? {
            found.changed.push(file.path.to_string());
        }
    }
    for link in release.chosen_links() {
        match std::fs::read_link(files.layout.installed_at(&link.path)) {
            Ok(target) if target == Path::new(&link.target) => {}
            Ok(_) => found.changed.push(link.path.to_string()),
            Err(_) => found.missing.push(link.path.to_string()),
        }
    }
    let folders = release.chosen_folders().map(|folder| &folder.path);
    let is_missing = |folder: &&RelPath| !files.layout.installed_at(folder).is_dir();
    found.missing.extend(folders.filter(is_missing).map(RelPath::to_string));
    found.changed.sort_unstable();
    found.missing.sort_unstable();
    found.added = added(files.layout.folder(), release, system)?;
    Ok(found)
}

fn has_its_chunks(
    files: &ChunkFiles,
    number: usize,
    path: &Path,
    stop: &CancellationToken,
) -> Result<bool, ScanError> {
    let Ok(file) = File::open(path) else { return Ok(false) };
    for position in files.release.files[number].positions.clone() {
        if stop.is_cancelled() {
            return Err(ScanError::Stopped);
        }
        if files.read_from(&file, position).is_err() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Files and links below `folder` that the release does not have.
fn added(folder: &Path, release: &Release, system: FileSystem) -> Result<Vec<String>, ScanError> {
    let files = release.chosen_files().map(|(_, file)| &file.path);
    let known: BTreeSet<String> =
        files.chain(release.chosen_links().map(|link| &link.path)).map(|path| system.key(path)).collect();
    // What cannot be a path of a release is none.
    let is_known = |path: &str| path.parse().is_ok_and(|path| known.contains(&system.key(&path)));
    let (mut added, mut left) = (Vec::new(), vec![String::new()]);
    while let Some(at) = left.pop() {
        let place = folder.join(&at);
        let io = |error| ScanError::Io { path: place.clone(), error };
        for entry in std::fs::read_dir(&place).map_err(io)? {
            let entry = entry.map_err(io)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = if at.is_empty() { name } else { format!("{at}/{name}") };
            if path == STATE_FOLDER {
                continue;
            }
            if entry.file_type().map_err(io)?.is_dir() {
                left.push(path);
            } else if !is_known(&path) {
                added.push(path);
            }
        }
    }
    added.sort_unstable();
    Ok(added)
}
