//! Keys of sealed releases, one file each, named by the hash of the key. They are secret until the release opens.

use std::path::PathBuf;

use freshet_protocol::{ContentName, Hash, Name, ReleaseKey};
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};

use super::files::{read, write_new};
use super::{Keys, KeysError};

const FOLDER: &str = "sealed";
const SUFFIX: &str = "key";

/// The key of a sealed release, and what it seals.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeptKey {
    pub(crate) content: ContentName,
    pub(crate) version: Name,
    /// Hash of all that is sealed with it: nothing else ever may be.
    pub(crate) seals: Hash,
    pub(crate) key: ReleaseKey,
}

impl KeptKey {
    /// A key that nobody knows yet.
    pub(crate) fn new(content: ContentName, version: Name, seals: Hash) -> Self {
        let mut key = [0; 32];
        SystemRandom::new().fill(&mut key).expect("the operating system gives random bytes");
        Self { content, version, seals, key: ReleaseKey(key) }
    }
}

impl Keys {
    /// The key of this hash.
    ///
    /// # Errors
    /// [`KeysError`] when it is not there, or damaged.
    pub(crate) fn release_key(&self, hash: Hash) -> Result<KeptKey, KeysError> {
        let path = self.release_key_path(hash);
        let bytes = read(&path).map_err(|error| match error {
            KeysError::Missing(path) => KeysError::NoReleaseKey(path),
            error => error,
        })?;
        let bad = |reason: String| KeysError::ReleaseKey { path: path.clone(), reason };
        let kept: KeptKey = serde_json::from_slice(&bytes).map_err(|error| bad(error.to_string()))?;
        match kept.key.hash() == hash {
            true => Ok(kept),
            false => Err(bad("it is another key than its name says".to_owned())),
        }
    }

    /// The key that seals the same for the same version already: a publish that was killed goes on with it.
    ///
    /// # Errors
    /// [`KeysError`] when the folder cannot be read, or a key in it is damaged.
    pub(crate) fn release_key_for(
        &self,
        content: &ContentName,
        version: &Name,
        seals: Hash,
    ) -> Result<Option<KeptKey>, KeysError> {
        let folder = self.folder.join(FOLDER);
        let io = |source| KeysError::Io { action: "read", path: folder.clone(), source };
        let entries = match std::fs::read_dir(&folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            entries => entries.map_err(io)?,
        };
        for entry in entries {
            let path = entry.map_err(io)?.path();
            let is_key = path.extension().is_some_and(|suffix| suffix == SUFFIX);
            let hash = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse().ok());
            let Some(hash) = hash.filter(|_| is_key) else { continue };
            let kept = self.release_key(hash)?;
            if (&kept.content, &kept.version, kept.seals) == (content, version, seals) {
                return Ok(Some(kept));
            }
        }
        Ok(None)
    }

    /// Keeps a key, before anything is sealed with it.
    ///
    /// # Errors
    /// [`KeysError`] when it cannot be written.
    pub(crate) fn keep_release_key(&self, kept: &KeptKey) -> Result<PathBuf, KeysError> {
        let folder = self.folder.join(FOLDER);
        std::fs::create_dir_all(&folder).map_err(|source| KeysError::Io {
            action: "make",
            path: folder,
            source,
        })?;
        let path = self.release_key_path(kept.key.hash());
        let text = serde_json::to_string(kept).expect("a key is valid JSON");
        write_new(&path, format!("{text}\n").as_bytes())?;
        Ok(path)
    }

    pub(crate) fn release_key_path(&self, hash: Hash) -> PathBuf {
        self.folder.join(FOLDER).join(format!("{hash}.{SUFFIX}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kept_once_and_found_by_what_it_seals() {
        let folder = tempfile::tempdir().expect("folder");
        let keys = Keys::create(folder.path(), "game").expect("made");
        let (content, version): (ContentName, Name) =
            ("game/demo".parse().expect("name"), "2".parse().expect("name"));
        let (this, other) = (Hash::of(b"this"), Hash::of(b"other"));
        let find = |seals| keys.release_key_for(&content, &version, seals).expect("read");
        assert_eq!(find(this), None);
        let kept = KeptKey::new(content.clone(), version.clone(), this);
        let path = keys.keep_release_key(&kept).expect("kept");
        keys.keep_release_key(&kept).expect("kept already");
        assert_eq!((find(this), find(other)), (Some(kept.clone()), None));
        assert_eq!(keys.release_key(kept.key.hash()).expect("there"), kept);
        assert_ne!(KeptKey::new(content.clone(), version.clone(), this).key, kept.key);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(&path).expect("there").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        let missing = keys.release_key(other).expect_err("not there").to_string();
        assert!(missing.contains("copy it from the machine"), "{missing}");
        for (text, expected) in [("{}", "missing field"), ("", "EOF")] {
            std::fs::write(&path, text).expect("written");
            let error = keys.release_key(kept.key.hash()).expect_err(expected).to_string();
            assert!(error.contains(expected), "{error}");
        }
        let another = KeptKey { key: ReleaseKey([7; 32]), ..kept.clone() };
        std::fs::write(&path, serde_json::to_vec(&another).expect("JSON")).expect("written");
        let error = keys.release_key(kept.key.hash()).expect_err("another").to_string();
        assert!(error.contains("another key"), "{error}");
    }
}
