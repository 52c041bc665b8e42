//! Keeps two processes from working on one folder.

use std::fs::{File, TryLockError};
use std::io;

use crate::store::Layout;

/// Held while a process works on a folder; the system lets go of it when the process dies.
#[derive(Debug)]
pub(crate) struct FolderLock {
    _file: File,
}

/// Why a folder could not be locked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LockError {
    #[error("another process works on this folder")]
    Taken,
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl FolderLock {
    /// Takes the lock, or fails at once.
    pub(crate) fn take(layout: &Layout) -> Result<Self, LockError> {
        let file = File::options().create(true).truncate(false).write(true).open(layout.lock())?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(LockError::Taken),
            Err(TryLockError::Error(error)) => Err(error.into()),
        }
    }
}
