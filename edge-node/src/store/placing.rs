//! How each file of a release comes to its place.

use std::collections::BTreeSet;
use std::fs::Metadata;
use std::io;

use freshet_protocol::{RelPath, RootId};
use serde::{Deserialize, Serialize};

use crate::platform;
use crate::release::{FileEntry, PartChoice};
use crate::store::file_system::FileSystem;
use crate::store::{Layout, Positions, read_record};

/// How one file comes to its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// It is there.
    Kept,
    /// What changes of it is staged, and written into the file that is there.
    Changed,
    /// It is staged whole, and moved there.
    Moved,
}

/// How all of them do.
#[derive(Debug, Clone)]
pub(crate) struct Placing {
    /// By number of the file.
    pub(crate) ways: Vec<Way>,
    /// Positions that the installed files hold where they belong, in those that are kept or changed. They are not staged.
    pub(crate) staying: Positions,
}

/// An install that has begun.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Intent {
    pub(crate) root: RootId,
    /// What was decided about its parts.
    #[serde(default)]
    pub(crate) parts: PartChoice,
    /// Files that it writes into: whatever they look like, they are of the installation.
    #[serde(default)]
    pub(crate) changed: BTreeSet<RelPath>,
}

/// The install that was begun and not ended, if any.
///
/// # Errors
/// Those of the file system.
pub(crate) fn pending(layout: &Layout) -> io::Result<Option<Intent>> {
    read_record(&layout.intent())
}

/// Whether a file may be changed where it lies: it cannot be run, is not protected, and has no other name under which
/// somebody may want it as it is.
pub(super) fn may_change(entry: &FileEntry, found: &Metadata, system: FileSystem) -> bool {
    found.is_file()
        && !entry.executable
        && system.is_program(found) != Some(true)
        && !found.permissions().readonly()
        && platform::has_one_name(found)
}
