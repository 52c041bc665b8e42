//! What the file system of an installation can tell and keep: players install on sticks and shared disks too.

use std::fs::Metadata;
use std::io;

use freshet_protocol::RelPath;

use crate::platform;
use crate::store::layout::{Layout, STATE_FOLDER};

/// Found out without writing, by what the node's own folder holds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FileSystem {
    /// Whether it keeps for each file whether it may be run. (exFAT and NTFS under Linux call all files programs.)
    pub(crate) keeps_modes: bool,
    /// Whether two names that differ in letter case alone are two.
    pub(crate) tells_cases: bool,
}

impl FileSystem {
    pub(crate) fn look(layout: &Layout) -> Self {
        // Not a program, where that is kept.
        let lock = std::fs::symlink_metadata(layout.lock());
        let is_program = lock.is_ok_and(|lock| platform::is_executable(&lock) != Some(false));
        let other_case = layout.folder().join(STATE_FOLDER.to_uppercase());
        Self { keeps_modes: !is_program, tells_cases: std::fs::symlink_metadata(other_case).is_err() }
    }

    /// Whether a file may be run; none where that is not known.
    pub(crate) fn is_program(self, found: &Metadata) -> Option<bool> {
        platform::is_executable(found).filter(|_| self.keeps_modes)
    }

    /// A path as names are compared here.
    pub(crate) fn key(self, path: &RelPath) -> String {
        if self.tells_cases { path.to_string() } else { path.folded() }
    }
}

/// Tries whether symbolic links can be made.
///
/// # Errors
/// `PermissionDenied`, with the reason, where they cannot.
pub(crate) fn try_link(layout: &Layout) -> io::Result<()> {
    let probe = layout.own("link-probe");
    // One that a killed node left.
    let _ = std::fs::remove_file(&probe);
    platform::make_link("lock", &probe).and_then(|()| std::fs::remove_file(&probe)).map_err(|error| {
        let message = format!("no symbolic link can be made ({error})");
        io::Error::new(io::ErrorKind::PermissionDenied, message)
    })
}
