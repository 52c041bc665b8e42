//! Small state files: written whole or not at all.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use serde::de::DeserializeOwned;

use crate::platform;

/// Replaces the file at `path` so that a reader, or a power cut, meets the old bytes or the new ones.
///
/// # Errors
/// Those of the file system.
pub(crate) fn write_atomic(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().expect("state files lie in a folder");
    let name = path.file_name().expect("state files have a name");
    let mut temporary = name.to_owned();
    temporary.push(".new");
    let temporary = folder.join(temporary);
    let mut file = File::create(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    drop(file);
    std::fs::rename(&temporary, path)?;
    platform::sync_folder(folder)
}

/// Reads a JSON file; none when there is no such file.
///
/// # Errors
/// Those of the file system, and `InvalidData` for a file that is not what it should be.
pub(crate) fn read_record<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    match std::fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
