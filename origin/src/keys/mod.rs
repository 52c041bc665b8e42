//! A tenant's keys in a folder: the tenant's own seed (keep it offline), the online seed that signs releases, the
//! tenant's public key, and the signed document that says which key may sign what.
//!
//! A machine that only publishes needs `online.seed`, `tenant.pub` and `keys.json`, not `tenant.seed`. Keys of sealed
//! releases lie in `sealed/`: who opens one needs them, and who has them knows what is in it.

mod error;
mod files;
mod sealed;
mod stream;
mod tenant;

use std::path::{Path, PathBuf};

use freshet_protocol::{Grant, KEY_DOCUMENT_SCHEMA, KeyDocument, PublicKey, Role, SigningKey};

pub use error::KeysError;
use files::{read_seed, seed_or_new, stage, write_new};
pub(crate) use sealed::KeptKey;
pub use stream::StreamKey;
pub(crate) use tenant::Tenant;

const TENANT_SEED: &str = "tenant.seed";
const TENANT_PUBLIC: &str = "tenant.pub";
const ONLINE_SEED: &str = "online.seed";
const DOCUMENT: &str = "keys.json";

/// A tenant's keys, loaded from their folder.
#[derive(Debug)]
pub struct Keys {
    folder: PathBuf,
    online: SigningKey,
    tenant: Tenant,
}

impl Keys {
    /// Makes the keys of `tenant` in `folder`. What is there already is kept, so a second call only loads.
    ///
    /// # Errors
    /// [`KeysError`] when a file cannot be written, or the folder is another tenant's.
    pub fn create(folder: &Path, tenant: &str) -> Result<Self, KeysError> {
        let is_name =
            format!("{tenant}/x").parse().is_ok_and(|n: freshet_protocol::ContentName| n.tenant() == tenant);
        if !is_name {
            return Err(KeysError::Tenant(tenant.chars().take(80).collect()));
        }
        std::fs::create_dir_all(folder).map_err(|source| KeysError::Io {
            action: "make",
            path: folder.to_owned(),
            source,
        })?;
        let document_path = folder.join(DOCUMENT);
        if !document_path.exists() {
            let tenant_key = seed_or_new(&folder.join(TENANT_SEED))?;
            let online = seed_or_new(&folder.join(ONLINE_SEED))?.public();
            let grant = Grant { key: online, roles: vec![Role::Pointer, Role::Root], expires: None };
            let document = KeyDocument {
                schema: KEY_DOCUMENT_SCHEMA,
                tenant: tenant.to_owned(),
                sequence: 1,
                keys: vec![grant],
            };
            write_new(&folder.join(TENANT_PUBLIC), format!("{}\n", tenant_key.public()).as_bytes())?;
            write_new(&document_path, &seal(&document, &tenant_key, &document_path)?)?;
        }
        let keys = Self::load(folder)?;
        if keys.document().tenant != tenant {
            let (folder, found) = (folder.to_owned(), keys.tenant.document.tenant);
            return Err(KeysError::OtherTenant { folder, found, wanted: tenant.to_owned() });
        }
        Ok(keys)
    }

    /// Loads what a publisher needs; the tenant's seed is not read.
    ///
    /// # Errors
    /// [`KeysError`] names the file that is missing or wrong.
    pub fn load(folder: &Path) -> Result<Self, KeysError> {
        let tenant = Tenant::load(folder)?;
        let online = read_seed(&folder.join(ONLINE_SEED))?;
        if !may_publish(&tenant.document, online.public()) {
            return Err(KeysError::NotGranted { path: folder.join(DOCUMENT), online: online.public() });
        }
        Ok(Self { folder: folder.to_owned(), online, tenant })
    }

    /// Lets `tracker` sign tickets: signs the document anew with the tenant's seed, its sequence one higher. Nothing
    /// happens when the key may already.
    ///
    /// # Errors
    /// [`KeysError`] when the tenant's seed is not in the folder or the document cannot be written.
    pub fn add_tracker(&mut self, tracker: PublicKey) -> Result<(), KeysError> {
        self.grant(tracker, Role::Tracker)
    }

    /// Lets `key` sign entries of the tenant's streams, as [`Keys::add_tracker`] does with tickets.
    ///
    /// # Errors
    /// As [`Keys::add_tracker`].
    pub fn add_stream(&mut self, key: PublicKey) -> Result<(), KeysError> {
        self.grant(key, Role::Stream)
    }

    fn grant(&mut self, key: PublicKey, role: Role) -> Result<(), KeysError> {
        let mut document = self.tenant.document.clone();
        let has_role = |grant: &Grant| grant.key == key && grant.roles.contains(&role);
        if document.keys.iter().any(has_role) {
            return Ok(());
        }
        let path = self.folder.join(DOCUMENT);
        let tenant_key = read_seed(&self.folder.join(TENANT_SEED))?;
        document.sequence += 1;
        document.keys.push(Grant { key, roles: vec![role], expires: None });
        let bytes = seal(&document, &tenant_key, &path)?;
        KeyDocument::open(&bytes, self.tenant.public)
            .map_err(|error| KeysError::Document { path: self.folder.join(TENANT_SEED), error })?;
        let staged = stage(&path, &bytes)?;
        std::fs::rename(&staged, &path).map_err(|source| KeysError::Io { action: "write", path, source })?;
        (self.tenant.document, self.tenant.document_bytes) = (document, bytes);
        Ok(())
    }

    /// The tenant's public key, which players pin.
    pub fn public(&self) -> PublicKey {
        self.tenant.public
    }

    /// Which key may sign what.
    pub fn document(&self) -> &KeyDocument {
        &self.tenant.document
    }

    /// The signed document as players read it.
    pub fn document_bytes(&self) -> &[u8] {
        &self.tenant.document_bytes
    }

    pub(crate) fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    /// The key that signs pointers and roots.
    pub fn online(&self) -> &SigningKey {
        &self.online
    }
}

/// Whether `document` lets `key` sign pointers and roots, now or until some day.
pub(crate) fn may_publish(document: &KeyDocument, key: PublicKey) -> bool {
    [Role::Pointer, Role::Root].into_iter().all(|role| document.keys_for(role, 0).contains(&key))
}

fn seal(document: &KeyDocument, key: &SigningKey, path: &Path) -> Result<Vec<u8>, KeysError> {
    document.seal(key).map_err(|error| KeysError::Document { path: path.to_owned(), error })
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    #[test]
    fn made_once_and_kept() {
        let folder = tempfile::tempdir().expect("folder");
        let first = Keys::create(folder.path(), "game").expect("made");
        let again = Keys::create(folder.path(), "game").expect("loaded");
        assert_eq!(first.public(), again.public());
        assert_eq!(first.online().public(), again.online().public());
        assert_eq!(first.document().tenant, "game");
        let other = Keys::create(folder.path(), "site").expect_err("another tenant").to_string();
        assert!(other.contains("\"game\""), "{other}");
        let names: Vec<_> = std::fs::read_dir(folder.path()).expect("folder").collect();
        assert_eq!(names.len(), 4, "nothing temporary is left");
    }

    #[cfg(unix)]
    #[test]
    fn seeds_are_their_owners() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("folder");
        Keys::create(folder.path(), "game").expect("made");
        for name in [TENANT_SEED, ONLINE_SEED] {
            let mode = std::fs::metadata(folder.path().join(name)).expect("seed").permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
    }

    #[test]
    fn a_tracker_is_added_once() {
        let folder = tempfile::tempdir().expect("folder");
        let mut keys = Keys::create(folder.path(), "game").expect("made");
        let tracker = SigningKey::from_seed(&[9; 32]).public();
        keys.add_tracker(tracker).expect("added");
        keys.add_tracker(tracker).expect("there already");
        let loaded = Keys::load(folder.path()).expect("loaded");
        assert_eq!(loaded.document().sequence, 2);
        assert_eq!(loaded.document().keys_for(Role::Tracker, 0), [tracker]);
        std::fs::remove_file(folder.path().join(TENANT_SEED)).expect("offline");
        let mut loaded = Keys::load(folder.path()).expect("a publisher needs no tenant seed");
        let error = loaded.add_tracker(SigningKey::from_seed(&[8; 32]).public()).expect_err("needs it");
        assert!(matches!(error, KeysError::Missing(_)), "{error}");
    }

    #[test]
    fn an_interrupted_creation_goes_on() {
        let folder = tempfile::tempdir().expect("folder");
        let first = Keys::create(folder.path(), "game").expect("made");
        std::fs::remove_file(folder.path().join(DOCUMENT)).expect("removed");
        assert!(matches!(Keys::load(folder.path()), Err(KeysError::Missing(_))));
        assert_eq!(Keys::create(folder.path(), "game").expect("made").public(), first.public());
    }

    #[test]
    fn faults_are_named() {
        let folder = tempfile::tempdir().expect("folder");
        Keys::create(folder.path(), "game").expect("made");
        let check = |name: &str, text: &str, expected: &str| {
            let path = folder.path().join(name);
            let good = std::fs::read(&path).expect("file");
            std::fs::write(&path, text).expect("written");
            let error = Keys::load(folder.path()).expect_err(name).to_string();
            assert!(error.contains(name) && error.contains(expected), "{error}");
            std::fs::write(&path, good).expect("restored");
        };
        check(ONLINE_SEED, "short", "is not a seed");
        check(TENANT_PUBLIC, "rsa:x", "a key starts with");
        check(DOCUMENT, "{}", "not a signed document");
        let other = Keys::create(&folder.path().join("other"), "game").expect("made");
        check(DOCUMENT, &String::from_utf8_lossy(other.document_bytes()), "no valid signature");
        let seed = URL_SAFE_NO_PAD.encode([3; 32]);
        std::fs::write(folder.path().join(ONLINE_SEED), seed).expect("written");
        assert!(matches!(Keys::load(folder.path()), Err(KeysError::NotGranted { .. })));
        assert!(matches!(Keys::create(folder.path(), "Game"), Err(KeysError::Tenant(_))));
    }
}
