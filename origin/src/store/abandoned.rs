//! What a killed writer leaves in a local store: files that were never renamed to their object's name. Listings do not
//! show them. (A bucket keeps parts of unfinished uploads; a lifecycle rule of the bucket removes those.)

use std::fs;
use std::path::PathBuf;

use freshet_protocol::ContentName;

use super::{Store, StoreError};

/// `object_store` writes an object `name` as `name#1` first.
const STAGING_MARK: char = '#';

/// A file that no object's name belongs to.
#[derive(Debug)]
pub(crate) struct Abandoned {
    path: PathBuf,
    pub(crate) bytes: u64,
}

impl Store {
    /// Unfinished files of a content. Without its lock some may be in use.
    pub(crate) fn abandoned(&self, content: &ContentName) -> Result<Vec<Abandoned>, StoreError> {
        let Some(folder) = self.folder() else { return Ok(Vec::new()) };
        let fail = |source: std::io::Error| self.folder_error("list", content.to_string(), source);
        let mut found = Vec::new();
        for kind in fs::read_dir(folder.join(content.as_str())).map_err(fail)? {
            let kind = kind.map_err(fail)?;
            if !kind.file_type().map_err(fail)?.is_dir() {
                continue;
            }
            for entry in fs::read_dir(kind.path()).map_err(fail)? {
                let entry = entry.map_err(fail)?;
                if entry.file_name().to_string_lossy().contains(STAGING_MARK) {
                    let bytes = entry.metadata().map_err(fail)?.len();
                    found.push(Abandoned { path: entry.path(), bytes });
                }
            }
        }
        Ok(found)
    }

    /// Deletes an unfinished file.
    pub(crate) fn delete_abandoned(&self, file: &Abandoned) -> Result<(), StoreError> {
        fs::remove_file(&file.path)
            .map_err(|source| self.folder_error("delete", file.path.display().to_string(), source))
    }

    fn folder_error(&self, action: &'static str, object: String, source: std::io::Error) -> StoreError {
        StoreError::Io { store: self.name().to_owned(), action, object, source: source.into() }
    }
}
