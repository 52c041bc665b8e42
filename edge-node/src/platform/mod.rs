//! What differs by operating system, in one place: players are on Windows, servers on Linux.

#[cfg(target_os = "linux")]
mod in_use;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
use unix as system;
#[cfg(windows)]
use windows as system;

use std::fs::{File, Metadata};
use std::io;
use std::path::Path;

#[cfg(target_os = "linux")]
pub(crate) use in_use::FilesInUse;
#[cfg(not(target_os = "linux"))]
pub(crate) use system::FilesInUse;

/// Reads all of `buffer` at `offset` of `file`, without moving the file's own position.
pub(crate) fn read_exact_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    system::read_exact_at(file, buffer, offset)
}

/// Writes all of `bytes` at `offset` of `file`, without moving the file's own position.
pub(crate) fn write_all_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    system::write_all_at(file, bytes, offset)
}

/// Lets those run the file who may read it, or nobody, and brings that to disk. Systems without such a bit do nothing.
pub(crate) fn set_executable(path: &Path, executable: bool) -> io::Result<()> {
    system::set_executable(path, executable)
}

/// Whether somebody may run the file; none on systems without such a bit.
pub(crate) fn is_executable(metadata: &Metadata) -> Option<bool> {
    system::is_executable(metadata)
}

/// Whether no second name leads to the file. Systems that do not tell say yes.
pub(crate) fn has_one_name(metadata: &Metadata) -> bool {
    system::has_one_name(metadata)
}

/// What a file takes of the disk, in bytes: of one with holes less than its length, where the system tells.
pub(crate) fn allocated_bytes(metadata: &Metadata) -> u64 {
    system::allocated_bytes(metadata)
}

/// Makes `to`, an empty file, a copy of `from` that shares its blocks until one of them is written to.
///
/// # Errors
/// Where the file system cannot do that, too.
pub(crate) fn clone_file(from: &File, to: &File) -> io::Result<()> {
    system::clone_file(from, to)
}

/// Files that other programs use now, as far as the system tells.
pub(crate) fn files_in_use() -> FilesInUse {
    FilesInUse::look()
}

/// Makes a symbolic link at `path`; its `target` has `/` between its parts.
pub(crate) fn make_link(target: &str, path: &Path) -> io::Result<()> {
    system::make_link(target, path)
}

/// Bytes that this user may still write to the file system of `path`; none where the system does not tell.
pub(crate) fn free_bytes(path: &Path) -> Option<u64> {
    system::free_bytes(path)
}

/// Brings all that was written to the file system of `folder` to disk with one call, where the system has one; whether
/// it did. Many small files reach the disk many times faster so than one by one.
pub(crate) fn sync_file_system(folder: &Path) -> io::Result<bool> {
    system::sync_file_system(folder)
}

/// Makes renames within the folder survive a power cut.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    system::sync_folder(path)
}

/// Where the next byte that is not in a hole of a sparse file lies, from `offset` on; none when only holes follow.
pub(crate) fn next_data(file: &File, offset: u64) -> io::Result<Option<u64>> {
    system::next_data(file, offset)
}
