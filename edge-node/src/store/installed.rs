//! What is installed: the release, and how each file looked when it was, so that an unchanged one need not be read again.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::Metadata;
use std::io;
use std::path::Path;
use std::time::UNIX_EPOCH;

use freshet_protocol::{Name, RelPath, RootId};
use serde::{Deserialize, Serialize};

use crate::release::PartChoice;
use crate::store::{Layout, pending, read_record, write_atomic};

/// How a file looks from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fingerprint {
    bytes: u64,
    modified_ns: u64,
}

impl Fingerprint {
    /// Of a regular file.
    pub(crate) fn of(metadata: &Metadata) -> Self {
        let since = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        Self { bytes: metadata.len(), modified_ns: since.map_or(0, |since| since.as_nanos() as u64) }
    }
}

/// The installed release.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Installed {
    pub(crate) root: RootId,
    pub(crate) version: Name,
    pub(crate) files: BTreeMap<RelPath, Fingerprint>,
    /// Symbolic links and their targets.
    pub(crate) links: BTreeMap<RelPath, String>,
    /// Folders that are empty in the release.
    pub(crate) folders: Vec<RelPath>,
    /// What was decided about parts, those of older releases included.
    #[serde(default, skip_serializing_if = "PartChoice::is_empty")]
    pub(crate) parts: PartChoice,
    /// Files that an install which was not ended writes into: ours, and nothing is known of what is in them.
    #[serde(skip)]
    pub(crate) changing: BTreeSet<RelPath>,
}

impl Installed {
    /// # Errors
    /// Those of the file system, and `InvalidData` for a damaged intent; a damaged record counts as none, since every file can
    /// be checked by its chunks.
    pub(crate) fn load(layout: &Layout) -> io::Result<Option<Self>> {
        let installed: Option<Self> = match read_record(&layout.installed()) {
            Err(error) if error.kind() == io::ErrorKind::InvalidData => None,
            result => result?,
        };
        let Some(mut installed) = installed else { return Ok(None) };
        installed.changing = pending(layout)?.map(|intent| intent.changed).unwrap_or_default();
        Ok(Some(installed))
    }

    /// # Errors
    /// Those of the file system.
    pub(crate) fn save(&self, layout: &Layout) -> io::Result<()> {
        let bytes = serde_json::to_vec(self).expect("a record is valid JSON");
        write_atomic(&layout.installed(), &bytes)
    }

    /// Whether the file at `path` is ours and as we left it.
    pub(crate) fn is_untouched(&self, path: &RelPath, metadata: &Metadata) -> bool {
        metadata.is_file()
            && !self.changing.contains(path)
            && self.files.get(path) == Some(&Fingerprint::of(metadata))
    }

    /// Whether what lies at `target`, the place of `path`, is a file or link of ours and as we left it.
    pub(crate) fn owns(&self, path: &RelPath, target: &Path) -> bool {
        let Ok(found) = std::fs::symlink_metadata(target) else { return false };
        let is_our_link = || {
            let link = self.links.get(path);
            link.is_some_and(|link| std::fs::read_link(target).is_ok_and(|found| found == Path::new(link)))
        };
        self.is_untouched(path, &found)
            || found.is_file() && self.changing.contains(path)
            || found.is_symlink() && is_our_link()
    }

    /// Folders that the installation made: the empty ones, and those on the way to what it holds. What lies in others
    /// comes before them.
    pub(crate) fn all_folders(&self) -> Vec<RelPath> {
        let entries = self.files.keys().chain(self.links.keys()).chain(&self.folders);
        let above = entries.flat_map(RelPath::parents).map(str::to_owned);
        let all: BTreeSet<String> = above.chain(self.folders.iter().map(RelPath::to_string)).collect();
        let path = |folder: &String| folder.parse().expect("a parent of a checked path is a checked path");
        all.iter().rev().map(path).collect()
    }
}
