//! The key that signs entries of streams. It lives where streams come in, apart from the keys that sign releases.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use freshet_protocol::{PublicKey, Role, SigningKey};

use super::files::{read_seed, seed_or_new};
use super::tenant::Tenant;
use super::{DOCUMENT, KeysError};

const STREAM_SEED: &str = "stream.seed";

/// A key for entries of streams, and the tenant's document where it is at hand.
#[derive(Debug)]
pub struct StreamKey {
    signing: Arc<SigningKey>,
    tenant: Option<Tenant>,
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

    /// Loads the key of a seed file alone. The store must hold the tenant's document already.
    ///
    /// # Errors
    /// [`KeysError`] when the file is missing or no seed.
    pub fn load(seed: &Path) -> Result<Self, KeysError> {
        Ok(Self { signing: Arc::new(read_seed(seed)?), tenant: None })
    }

    /// Loads the key with the tenant's document from `keys_dir`; neither the tenant's seed nor the one that signs
    /// releases is read.
    ///
    /// # Errors
    /// [`KeysError`] names the file that is missing or wrong, or says that the key may not sign streams.
    pub fn load_with_document(seed: &Path, keys_dir: &Path) -> Result<Self, KeysError> {
        let signing = Arc::new(read_seed(seed)?);
        let tenant = Tenant::load(keys_dir)?;
        if !tenant.document.keys_for(Role::Stream, 0).contains(&signing.public()) {
            return Err(KeysError::NotStream { path: keys_dir.join(DOCUMENT), key: signing.public() });
        }
        Ok(Self { signing, tenant: Some(tenant) })
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        self.signing.public()
    }

    pub(crate) fn signing(&self) -> &SigningKey {
        &self.signing
    }

    /// The key for a task of its own.
    pub(crate) fn shared(&self) -> Arc<SigningKey> {
        self.signing.clone()
    }

    pub(crate) fn tenant(&self) -> Option<&Tenant> {
        self.tenant.as_ref()
    }
}

#[cfg(test)]
mod tests {
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
        let load = || StreamKey::load_with_document(&seed, folder.path());
        assert!(matches!(load(), Err(KeysError::NotStream { .. })));
        keys.add_stream(public).expect("added");
        keys.add_stream(public).expect("there already");
        assert_eq!(keys.document().sequence, 2);
        let loaded = load().expect("may sign");
        assert_eq!(loaded.public(), public);
        assert_eq!(loaded.tenant().expect("at hand").document.keys_for(Role::Stream, 0), [public]);
        assert!(StreamKey::load(&seed).expect("a seed").tenant().is_none());
    }
}
