//! Who this node is: its signing key, which tickets and links are bound to.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use freshet_protocol::{KeyId, PublicKey, SigningKey};

use crate::random::random_bytes;

/// File of the seed within a state folder.
const SEED_FILE: &str = "identity.seed";

/// Why there is no identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The seed file could not be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The seed file holds something else.
    #[error("{} is not a seed (43 characters of base64url); remove it to start with a new identity", .0.display())]
    Seed(PathBuf),
}

/// A node's signing key.
#[derive(Debug)]
pub struct Identity {
    key: SigningKey,
}

impl Identity {
    /// A new identity that ends with the process.
    pub fn generate() -> Self {
        Self::from_seed(&random_bytes())
    }

    /// The identity of a seed.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self { key: SigningKey::from_seed(seed) }
    }

    /// The identity kept in `state_dir`, made at the first call; `identity.seed` there is readable by its owner only.
    /// Blocks on the disk.
    ///
    /// # Errors
    /// [`IdentityError`] when the file cannot be read or written, or holds something else.
    pub fn load_or_create(state_dir: &Path) -> Result<Self, IdentityError> {
        let path = state_dir.join(SEED_FILE);
        let seed = match std::fs::read_to_string(&path) {
            Ok(text) => read_seed(&text).ok_or(IdentityError::Seed(path))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => create_seed(state_dir, path)?,
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                return Err(IdentityError::Seed(path));
            }
            Err(source) => return Err(IdentityError::Io { action: "read", path, source }),
        };
        Ok(Self::from_seed(&seed))
    }

    /// The public key.
    pub fn key(&self) -> PublicKey {
        self.key.public()
    }

    /// The key's id, by which trackers and peers know this node.
    pub fn key_id(&self) -> KeyId {
        self.key().id()
    }

    /// Signs `message` with the node's key.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.key.sign(message)
    }
}

fn read_seed(text: &str) -> Option<[u8; 32]> {
    URL_SAFE_NO_PAD.decode(text.trim_end()).ok()?.try_into().ok()
}

/// Writes a new seed beside its place and moves it there, so that a kill leaves a whole file or none.
fn create_seed(state_dir: &Path, path: PathBuf) -> Result<[u8; 32], IdentityError> {
    let seed = random_bytes();
    let name = u64::from_be_bytes(random_bytes());
    let temporary = state_dir.join(format!("{SEED_FILE}.{name:016x}"));
    let text = format!("{}\n", URL_SAFE_NO_PAD.encode(seed));
    let written = create_private(&temporary).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&temporary, &path)
    });
    match written {
        Ok(()) => Ok(seed),
        Err(source) => {
            // The error that led here is the one to tell.
            let _ = std::fs::remove_file(&temporary);
            Err(IdentityError::Io { action: "write", path, source })
        }
    }
}

/// A new file that only its owner may read. On Windows the folder's own access list says who may.
fn create_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_kept_in_its_folder() {
        let folder = tempfile::tempdir().expect("folder");
        let first = Identity::load_or_create(folder.path()).expect("made");
        let again = Identity::load_or_create(folder.path()).expect("read");
        assert_eq!(first.key(), again.key());
        let names: Vec<_> =
            std::fs::read_dir(folder.path()).expect("list").flatten().map(|e| e.file_name()).collect();
        assert_eq!(names, [SEED_FILE], "nothing else is left behind");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = folder.path().join(SEED_FILE).metadata().expect("there").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        assert_ne!(Identity::generate().key(), first.key());
    }

    #[test]
    fn foreign_files_are_refused() {
        let check = |content: &[u8]| {
            let folder = tempfile::tempdir().expect("folder");
            std::fs::write(folder.path().join(SEED_FILE), content).expect("written");
            let error = Identity::load_or_create(folder.path()).expect_err("refused");
            assert!(matches!(error, IdentityError::Seed(_)), "{error}");
            assert_eq!(std::fs::read(folder.path().join(SEED_FILE)).expect("kept"), content);
        };
        check(b"");
        check(b"not a seed");
        check(&[0xff; 43]);
        check("A".repeat(44).as_bytes());
    }

    #[test]
    fn a_folder_that_is_missing_is_told() {
        let folder = tempfile::tempdir().expect("folder");
        let error = Identity::load_or_create(&folder.path().join("missing")).expect_err("refused");
        assert!(matches!(error, IdentityError::Io { action: "write", .. }), "{error}");
    }
}
