//! The arm for Windows.

use std::fs::{File, Metadata};
use std::io;
use std::os::windows::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

pub(super) fn read_exact_at(file: &File, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !buffer.is_empty() {
        match file.seek_read(buffer, offset) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                buffer = &mut buffer[count..];
                offset += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

pub(super) fn write_all_at(file: &File, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.seek_write(bytes, offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => {
                bytes = &bytes[count..];
                offset += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Windows decides by the file's name what may be run.
pub(super) fn set_executable(_path: &Path, _executable: bool) -> io::Result<()> {
    Ok(())
}

pub(super) fn is_executable(_metadata: &Metadata) -> Option<bool> {
    None
}

/// The standard library does not tell.
pub(super) fn has_one_name(_metadata: &Metadata) -> bool {
    true
}

pub(super) fn allocated_bytes(metadata: &Metadata) -> u64 {
    metadata.len()
}

/// Only ReFS shares blocks, and the standard library has no way to ask for it.
pub(super) fn clone_file(_from: &File, _to: &File) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// What others have open cannot be opened for oneself alone.
pub(crate) struct FilesInUse;

impl FilesInUse {
    pub(super) fn look() -> Self {
        Self
    }

    /// Whether another program uses the file at `path`.
    pub(crate) fn has(&self, path: &Path) -> bool {
        File::options().read(true).share_mode(0).open(path).is_err()
    }
}

pub(super) fn make_link(target: &str, path: &Path) -> io::Result<()> {
    let target = target.replace('/', "\\");
    let is_folder = path.parent().is_some_and(|parent| parent.join(&target).is_dir());
    if is_folder {
        std::os::windows::fs::symlink_dir(target, path)
    } else {
        std::os::windows::fs::symlink_file(target, path)
    }
}

/// The standard library does not tell; a full disk is noticed when a write fails.
pub(super) fn free_bytes(_path: &Path) -> Option<u64> {
    None
}

/// Flushing a volume needs an administrator.
pub(super) fn sync_file_system(_folder: &Path) -> io::Result<bool> {
    Ok(false)
}

/// NTFS journals renames; a folder cannot be synced through the standard library.
pub(super) fn sync_folder(_path: &Path) -> io::Result<()> {
    Ok(())
}

/// Holes are not told apart from data.
pub(super) fn next_data(_file: &File, offset: u64) -> io::Result<Option<u64>> {
    Ok(Some(offset))
}
