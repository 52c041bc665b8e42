//! What differs by operating system.

use std::fs::{Metadata, OpenOptions};

/// Whether the owner may run the file.
#[cfg(unix)]
pub(crate) fn is_executable(metadata: &Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o100 != 0
}

/// Windows keeps no such bit.
#[cfg(not(unix))]
pub(crate) fn is_executable(_metadata: &Metadata) -> bool {
    false
}

/// What changes when a file does: size, times and identity.
#[cfg(unix)]
pub(crate) fn stamp(metadata: &Metadata) -> [i128; 4] {
    use std::os::unix::fs::MetadataExt;
    let nanoseconds = |s: i64, ns: i64| i128::from(s) * 1_000_000_000 + i128::from(ns);
    [
        i128::from(metadata.size()),
        nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
        nanoseconds(metadata.ctime(), metadata.ctime_nsec()),
        i128::from(metadata.ino()),
    ]
}

/// What changes when a file does: size and time.
#[cfg(not(unix))]
pub(crate) fn stamp(metadata: &Metadata) -> [i128; 4] {
    let modified = metadata.modified().ok().and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
    [i128::from(metadata.len()), modified.map_or(0, |at| at.as_nanos() as i128), 0, 0]
}

/// Makes new files readable by their owner alone, where the system knows owners.
#[cfg(unix)]
pub(crate) fn owner_only(options: &mut OpenOptions) {
    use std::os::unix::fs::OpenOptionsExt;
    options.mode(0o600);
}

/// A user's folders are private already.
#[cfg(not(unix))]
pub(crate) fn owner_only(_options: &mut OpenOptions) {}
