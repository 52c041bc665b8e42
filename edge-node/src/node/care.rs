//! Looks after an installation without any network: verifies and removes it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::node::GetError;
use crate::node::folder::{
    Before, blocking, finish_begun_install, load_installed, lock_known, no_installation,
};
use crate::release::Trust;
use crate::store::{Belief, ChangedFiles, ChunkFiles, Differences, uninstall as remove, verify as compare};

/// How an installation compares with its signed manifest. Lists are in path order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// The content.
    pub content: String,
    /// The installed version.
    pub version: String,
    /// Its root.
    pub root: String,
    /// Files that it has.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files and links that are not what they must be.
    pub changed: Vec<String>,
    /// Files, links and folders that are not there.
    pub missing: Vec<String>,
    /// Files and links that the release does not have: somebody else's.
    pub added: Vec<String>,
}

impl Verified {
    /// Whether all of the release is there and as it must be.
    pub fn is_whole(&self) -> bool {
        self.changed.is_empty() && self.missing.is_empty()
    }
}

/// Compares the installation in `folder` with its manifest; nothing is changed, but that an install which was cut off is
/// finished first. With `is_fast`, files that look as they were left are believed to be what they were; otherwise all are
/// hashed.
///
/// # Errors
/// [`GetError`] when there is no installation, or it cannot be read.
pub async fn verify(folder: &Path, is_fast: bool, stop: CancellationToken) -> Result<Verified, GetError> {
    let (layout, _lock) = lock_known(folder).await?;
    let trust = Trust::remembered(&layout)?.ok_or_else(|| no_installation(folder))?;
    finish_begun_install(&layout, &trust, &stop).await?;
    let Before { installed, release } = Before::load(&layout, &trust)?;
    let installed = installed.ok_or_else(|| no_installation(folder))?;
    let release = release.ok_or_else(|| {
        let folder = folder.display();
        GetError::Other(format!(
            "the manifest of what is installed in {folder} is gone; get it again to check it"
        ))
    })?;
    let belief = if is_fast { Belief::Untouched } else { Belief::Nothing };
    let files = ChunkFiles { layout, release: Arc::clone(&release) };
    let found = blocking(move || compare(&files, &installed, belief, &stop)).await?;
    let Differences { changed, missing, added } = found;
    Ok(Verified {
        content: release.root.content.to_string(),
        version: release.root.version.to_string(),
        root: release.id.to_string(),
        files: release.chosen_files().count() as u64,
        bytes: release.chosen_bytes(),
        changed,
        missing,
        added,
    })
}

/// Removes the installation in `folder`, or what a download that was not finished left there, and all that the node kept.
/// Files that others put there stay; those of the installation that were changed since, too, unless `changed` says
/// otherwise. Returns what stays because of that.
///
/// # Errors
/// [`GetError`] when no node has worked there, or something cannot be removed; called again, it goes on.
pub async fn uninstall(folder: &Path, changed: ChangedFiles) -> Result<Vec<PathBuf>, GetError> {
    let (layout, lock) = lock_known(folder).await?;
    // What an install that was cut off has put there already is not in the record of what is installed.
    if let Some(trust) = Trust::remembered(&layout)? {
        finish_begun_install(&layout, &trust, &CancellationToken::new()).await?;
    }
    let installed = load_installed(&layout)?;
    Ok(blocking(move || remove(&layout, lock, installed.as_ref(), changed)).await?)
}
