//! The key that signs entries of streams. It lives where streams come in, apart from the keys that sign releases.

use std::path::{Path, PathBuf};

use freshet_protocol::{PublicKey, SigningKey};

use super::KeysError;
use super::files::{read_seed, seed_or_new};

const STREAM_SEED: &str = "stream.seed";

/// A key for entries of streams.
#[derive(Debug)]
pub struct StreamKey {
    signing: SigningKey,
}

impl StreamKey {
    /// Where a tenant's folder of keys holds the seed, unless it was put elsewhere.
    pub fn default_path(keys_dir: &Path) -> PathBuf {
        keys_dir.join(STREAM_SEED)
    }

    /// The public key of a seed file, which is made when missing and never written over.
    ///
    /// # Errors
    /// [`KeysError`] when the file cannot be written or is no seed.
    pub fn create(seed: &Path) -> Result<PublicKey, KeysError> {
        Ok(seed_or_new(seed)?.public())
    }

    /// Loads the key of a seed file.
    ///
    /// # Errors
    /// [`KeysError`] when the file is missing or no seed.
    pub fn load(seed: &Path) -> Result<Self, KeysError> {
        Ok(Self { signing: read_seed(seed)? })
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        self.signing.public()
    }
}

#[cfg(test)]
mod tests {
    use freshet_protocol::Role;

    use super::super::Keys;
    use super::*;

    #[test]
    fn it_signs_streams_once_the_tenant_says_so() {
        let folder = tempfile::tempdir().expect("folder");
        let mut keys = Keys::create(folder.path(), "site").expect("made");
        let seed = StreamKey::default_path(folder.path());
        assert!(matches!(StreamKey::load(&seed), Err(KeysError::Missing(_))));
        let public = StreamKey::create(&seed).expect("made");
        assert_eq!(StreamKey::create(&seed).expect("kept"), public);
        keys.add_stream(public).expect("added");
        keys.add_stream(public).expect("there already");
        assert_eq!(keys.document().sequence, 2);
        assert_eq!(keys.document().keys_for(Role::Stream, 0), [public]);
        assert_eq!(StreamKey::load(&seed).expect("a seed").public(), public);
    }
}
