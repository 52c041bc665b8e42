//! Why a release could not be had, with the exit code by which scripts tell the cases apart.

use std::io;
use std::path::{Path, PathBuf};

use crate::origin::{OriginError, OriginFault};
use crate::release::{DocumentError, ReleaseError, TrustError};
use crate::store::{InstallError, ScanError};

/// Why `get` ended without the release installed. What was fetched is kept, and the same call resumes.
#[derive(Debug, thiserror::Error)]
pub enum GetError {
    /// The origin cannot be reached, and no peer could stand in for it.
    #[error("{0}; what was fetched is kept: check the network and run the same command again")]
    Origin(String),
    /// A signature, hash or key is not what it must be.
    #[error("{0}")]
    Forged(String),
    /// The channel pointer is expired, or older than one seen before.
    #[error("{0}")]
    Outdated(String),
    /// The disk is full.
    #[error("{path}: {detail}; free some space and run the same command again, what was fetched is kept")]
    DiskFull {
        /// Where.
        path: PathBuf,
        /// How much is missing, where that is known.
        detail: String,
    },
    /// The folder cannot be written.
    #[error(
        "{path} cannot be written: {detail}; choose another folder with --into, or change its permissions"
    )]
    NotWritable {
        /// The folder, or what is in it.
        path: PathBuf,
        /// The system's words.
        detail: String,
    },
    /// The port to listen on is taken.
    #[error("{0}")]
    PortInUse(String),
    /// Ended by its owner before the release was installed.
    #[error(
        "stopped before the release was installed; what was fetched is kept, run the same command to go on"
    )]
    Stopped,
    /// What the caller asked for makes no sense.
    #[error("{0}")]
    Usage(String),
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

impl GetError {
    /// The program's exit code.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Origin(_) => 10,
            Self::Forged(_) => 11,
            Self::Outdated(_) => 12,
            Self::DiskFull { .. } => 13,
            Self::NotWritable { .. } => 14,
            Self::PortInUse(_) => 15,
            Self::Stopped => 130,
            Self::Other(_) => 1,
        }
    }

    pub(crate) fn io(path: &Path, error: &io::Error) -> Self {
        let path = path.to_owned();
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::DiskFull { path, detail: "no space is left".to_owned() }
            }
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                Self::NotWritable { path, detail: error.to_string() }
            }
            _ => Self::Other(format!("{}: {error}", path.display())),
        }
    }
}

impl From<OriginError> for GetError {
    fn from(error: OriginError) -> Self {
        match error.fault {
            OriginFault::Wrong(_) | OriginFault::TooLong(_) => {
                Self::Forged(format!("{error}; nothing of it was kept, tell the publisher"))
            }
            OriginFault::Unreachable(_) | OriginFault::Status(_) | OriginFault::Stalled(_) => {
                Self::Origin(format!("the origin does not deliver: {error}"))
            }
        }
    }
}

impl From<TrustError> for GetError {
    fn from(error: TrustError) -> Self {
        use freshet_protocol::PointerError;
        match &error {
            TrustError::NoKey(_) | TrustError::OtherContent { .. } => Self::Usage(error.to_string()),
            TrustError::Pointer(PointerError::Expired { .. } | PointerError::Older { .. })
            | TrustError::OlderKeys { .. } => Self::Outdated(error.to_string()),
            TrustError::Io { path, error } => Self::io(path, error),
            _ => Self::Forged(error.to_string()),
        }
    }
}

impl From<DocumentError> for GetError {
    fn from(error: DocumentError) -> Self {
        match error {
            DocumentError::Origin(error) => error.into(),
            DocumentError::Trust(error) => error.into(),
            DocumentError::Release(error) => error.into(),
            DocumentError::Io { path, error } => Self::io(&path, &error),
        }
    }
}

impl From<ReleaseError> for GetError {
    fn from(error: ReleaseError) -> Self {
        Self::Forged(error.to_string())
    }
}

impl From<ScanError> for GetError {
    fn from(error: ScanError) -> Self {
        match error {
            ScanError::Full { folder, needed_bytes, free_bytes } => Self::DiskFull {
                path: folder,
                detail: format!("{needed_bytes} bytes are needed and {free_bytes} are free"),
            },
            ScanError::Io { path, error } => Self::io(&path, &error),
            ScanError::Stopped => Self::Stopped,
        }
    }
}

impl From<InstallError> for GetError {
    fn from(error: InstallError) -> Self {
        Self::io(&error.path, &error.error)
    }
}
