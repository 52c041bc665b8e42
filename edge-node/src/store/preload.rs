//! A sealed release that waits in the folder for its time, and what the folder remembers of it.

use std::io;

use freshet_protocol::{Name, PageId, RootId};
use serde::{Deserialize, Serialize};

use crate::store::{Layout, read_record, write_atomic};

/// What is fetched of a sealed release, and how far that is. A folder has one at most.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Preloaded {
    /// The sealed release.
    pub(crate) root: RootId,
    /// The version that is in it.
    pub(crate) version: Name,
    /// When it is meant to open, Unix seconds.
    pub(crate) opens: u64,
    /// Path of the file that fits the installation.
    pub(crate) stream: String,
    /// Bytes of what is fetched of it.
    pub(crate) bytes: u64,
    /// Its pages, which the folder keeps for it.
    pub(crate) pages: Vec<PageId>,
    /// What is known of its staging is about this.
    pub(crate) staging: RootId,
    /// Whether all of it is here.
    pub(crate) is_whole: bool,
}

impl Preloaded {
    /// What the folder has; a damaged record counts as none.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) fn load(layout: &Layout) -> io::Result<Option<Self>> {
        match read_record(&layout.preload()) {
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(None),
            result => result,
        }
    }

    /// Remembers it.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) fn save(&self, layout: &Layout) -> io::Result<()> {
        let bytes = serde_json::to_vec(self).expect("a record is valid JSON");
        write_atomic(&layout.preload(), &bytes)
    }

    /// Removes all sealed files of the folder, whether it remembers what they are or not. What cannot be removed only takes
    /// space, until it is tried again.
    pub(crate) fn remove(layout: &Layout) {
        let known = Self::load(layout).ok().flatten();
        let _ = std::fs::remove_dir_all(layout.sealed());
        let _ = std::fs::remove_file(layout.preload());
        let Some(known) = known else { return };
        let pages = known.pages.iter().map(|page| layout.page(*page));
        for path in pages.chain([layout.root(known.root), layout.progress(known.staging)]) {
            let _ = std::fs::remove_file(path);
        }
    }

    /// Whether there is anything to remove.
    pub(crate) fn is_any(layout: &Layout) -> bool {
        layout.preload().exists() || layout.sealed().exists()
    }
}
