//! Files of keys: seeds that only their owner may read, and writes that appear whole.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use freshet_protocol::SigningKey;
use ring::rand::{SecureRandom, SystemRandom};

use super::KeysError;
use crate::platform;

/// The key of a seed file, which is made when missing and never written over.
pub(super) fn seed_or_new(path: &Path) -> Result<SigningKey, KeysError> {
    if !path.exists() {
        let mut seed = [0; 32];
        SystemRandom::new().fill(&mut seed).expect("the operating system gives random bytes");
        write_new(path, format!("{}\n", URL_SAFE_NO_PAD.encode(seed)).as_bytes())?;
    }
    read_seed(path)
}

pub(super) fn read_seed(path: &Path) -> Result<SigningKey, KeysError> {
    let text = read(path)?;
    let seed = URL_SAFE_NO_PAD.decode(text.trim_ascii()).ok().and_then(|seed| seed.try_into().ok());
    seed.map(|seed| SigningKey::from_seed(&seed)).ok_or_else(|| KeysError::Seed(path.to_owned()))
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, KeysError> {
    std::fs::read(path).map_err(|source| match source.kind() {
        ErrorKind::NotFound => KeysError::Missing(path.to_owned()),
        _ => KeysError::Io { action: "read", path: path.to_owned(), source },
    })
}

/// Writes a file that must not exist. It appears whole or not at all.
pub(super) fn write_new(path: &Path, bytes: &[u8]) -> Result<(), KeysError> {
    let staged = stage(path, bytes)?;
    // A rename would replace what another process has put there; a link fails.
    let linked = std::fs::hard_link(&staged, path);
    std::fs::remove_file(&staged).ok();
    match linked {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        other => other.map_err(|source| KeysError::Io { action: "write", path: path.to_owned(), source }),
    }
}

/// Writes `bytes` to a temporary file beside `path`.
pub(super) fn stage(path: &Path, bytes: &[u8]) -> Result<PathBuf, KeysError> {
    let staged = path.with_extension(format!("new-{}", std::process::id()));
    let mut options = OpenOptions::new();
    platform::owner_only(options.write(true).create(true).truncate(true));
    let written = options.open(&staged).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    match written {
        Ok(()) => Ok(staged),
        Err(source) => Err(KeysError::Io { action: "write", path: staged, source }),
    }
}
