//! The arm for Linux and other Unix systems.

use std::fs::{File, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::Path;

pub(super) fn read_exact_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    file.read_exact_at(buffer, offset)
}

pub(super) fn write_all_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    file.write_all_at(bytes, offset)
}

pub(super) fn set_executable(path: &Path, executable: bool) -> io::Result<()> {
    let mode = std::fs::symlink_metadata(path)?.permissions().mode();
    // Whoever may read may run: bits 0444 moved to 0111.
    let wanted = if executable { mode | (mode & 0o444) >> 2 } else { mode & !0o111 };
    if wanted == mode {
        return Ok(());
    }
    std::fs::set_permissions(path, Permissions::from_mode(wanted))?;
    File::open(path)?.sync_all()
}

pub(super) fn is_executable(metadata: &Metadata) -> Option<bool> {
    Some(metadata.permissions().mode() & 0o111 != 0)
}

pub(super) fn has_one_name(metadata: &Metadata) -> bool {
    metadata.nlink() == 1
}

pub(super) fn allocated_bytes(metadata: &Metadata) -> u64 {
    // POSIX counts in blocks of 512 bytes, whatever those of the file system are.
    metadata.blocks() * 512
}

#[cfg(target_os = "linux")]
pub(super) fn clone_file(from: &File, to: &File) -> io::Result<()> {
    Ok(rustix::fs::ioctl_ficlone(to, from)?)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn clone_file(_from: &File, _to: &File) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Nobody is known to use any.
#[cfg(not(target_os = "linux"))]
pub(crate) struct FilesInUse;

#[cfg(not(target_os = "linux"))]
impl FilesInUse {
    pub(super) fn look() -> Self {
        Self
    }

    pub(crate) fn has(&self, _path: &Path) -> bool {
        false
    }
}

pub(super) fn make_link(target: &str, path: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, path)
}

pub(super) fn free_bytes(path: &Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(path).ok()?;
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}

#[cfg(target_os = "linux")]
pub(super) fn sync_file_system(folder: &Path) -> io::Result<bool> {
    rustix::fs::syncfs(File::open(folder)?)?;
    Ok(true)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn sync_file_system(_folder: &Path) -> io::Result<bool> {
    Ok(false)
}

pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    match File::open(path)?.sync_all() {
        // Some file systems cannot sync a folder, and lose nothing by it.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        result => result,
    }
}

pub(super) fn next_data(file: &File, offset: u64) -> io::Result<Option<u64>> {
    match rustix::fs::seek(file, rustix::fs::SeekFrom::Data(offset)) {
        Ok(at) => Ok(Some(at)),
        Err(rustix::io::Errno::NXIO) => Ok(None),
        // A file system without holes: everything may be data.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOTSUP) => Ok(Some(offset)),
        Err(error) => Err(error.into()),
    }
}
