//! What can be wrong with a folder of keys.

use std::path::PathBuf;

use freshet_protocol::{KeyDocumentError, KeyError, PublicKey};

/// Why a folder of keys could not be made or read.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// A file could not be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// A file is missing.
    #[error("{} does not exist; make keys with `freshet-origin keys --tenant NAME --keys-dir DIR`, with --add-stream for streams", .0.display())]
    Missing(PathBuf),
    /// A seed file holds something else.
    #[error("{} is not a seed (43 characters of base64url)", .0.display())]
    Seed(PathBuf),
    /// A public key file holds something else.
    #[error("{}: {error}", path.display())]
    Public {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: KeyError,
    },
    /// The key document was refused.
    #[error("{}: {error}", path.display())]
    Document {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: KeyDocumentError,
    },
    /// The folder is another tenant's.
    #[error("{} holds the keys of tenant {found:?}, not of {wanted:?}; choose another --keys-dir", folder.display())]
    OtherTenant {
        /// The folder.
        folder: PathBuf,
        /// Whose keys it holds.
        found: String,
        /// Whose were asked for.
        wanted: String,
    },
    /// Not a name that content could start with.
    #[error("tenant {0:?} must be of a-z 0-9 . _ - and start with a letter or digit")]
    Tenant(String),
    /// The document does not let the online key publish.
    #[error("{} does not let the online key {online} sign pointers and roots", path.display())]
    NotGranted {
        /// The key document.
        path: PathBuf,
        /// The online key.
        online: PublicKey,
    },
    /// The key of a sealed release is not there.
    #[error(
        "{} is missing: the key of this sealed release; copy it from the machine that sealed it", .0.display()
    )]
    NoReleaseKey(PathBuf),
    /// A file holds no key of a sealed release.
    #[error("{} holds no key of a sealed release: {reason}", path.display())]
    ReleaseKey {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The document does not let the key sign entries of streams.
    #[error(
        "{} does not let the key {key} sign streams; add it with `freshet-origin keys --add-stream {key}`", path.display()
    )]
    NotStream {
        /// The key document.
        path: PathBuf,
        /// The key.
        key: PublicKey,
    },
}
