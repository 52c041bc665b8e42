//! Removes an installation. Killed in between, it is simply done again: the node's own folder, with the record of what is
//! installed, goes last.

use std::path::PathBuf;

use freshet_protocol::RelPath;

use crate::store::install::InstallError;
use crate::store::{FolderLock, Installed, Layout};

/// What is done with files of the installation that were changed since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangedFiles {
    /// They stay.
    Keep,
    /// They go, too.
    Remove,
}

/// Removes what is `installed`, if anything is, and the node's own folder. Returns what stays of the installation because it was changed.
///
/// # Errors
/// [`InstallError`] names what could not be removed.
pub(crate) fn uninstall(
    layout: &Layout,
    lock: FolderLock,
    installed: Option<&Installed>,
    changed: ChangedFiles,
) -> Result<Vec<PathBuf>, InstallError> {
    let kept = match installed {
        Some(installed) => remove_files(layout, installed, changed)?,
        None => Vec::new(),
    };
    let own = layout.own("");
    // Windows keeps the name of a file that is open: the lock is given back before its file goes.
    drop(lock);
    std::fs::remove_dir_all(&own).map_err(|error| InstallError { path: own, error })?;
    let _ = std::fs::remove_dir(layout.folder());
    Ok(kept)
}

fn remove_files(
    layout: &Layout,
    installed: &Installed,
    changed: ChangedFiles,
) -> Result<Vec<PathBuf>, InstallError> {
    let mut kept = Vec::new();
    for path in installed.files.keys().chain(installed.links.keys()) {
        let target = layout.installed_at(path);
        let Ok(found) = std::fs::symlink_metadata(&target) else { continue };
        let is_ours = installed.owns(path, &target) || changed == ChangedFiles::Remove && !found.is_dir();
        if is_ours {
            std::fs::remove_file(&target).map_err(|error| InstallError { path: target, error })?;
        } else {
            kept.push(target);
        }
    }
    let remove_empty = |folder: &RelPath| {
        // Only an empty folder can be removed this way; one that holds anything of the user's stays.
        let _ = std::fs::remove_dir(layout.installed_at(folder));
    };
    installed.all_folders().iter().for_each(remove_empty);
    Ok(kept)
}
