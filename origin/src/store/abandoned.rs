//! What a killed writer leaves in a local store: files that were never renamed to their object's name. Listings do not
//! show them. (A bucket keeps parts of unfinished uploads; a lifecycle rule of the bucket removes those.)

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use freshet_protocol::ContentName;
use freshet_protocol::limits::PATH_BYTES_MAX;

use super::{Store, StoreError};

/// `object_store` writes an object `name` as `name#1` first.
const STAGING_MARK: char = '#';

/// Folders that streams have, apart from releases.
const STREAM_FOLDERS: [&str; 2] = ["media", "entries"];
/// Folders within folders that are looked into: a path has no more parts.
const DEPTH_MAX: usize = PATH_BYTES_MAX / 2;

/// A file that no object's name belongs to.
#[derive(Debug)]
pub(crate) struct Abandoned {
    path: PathBuf,
    pub(crate) bytes: u64,
}

impl Store {
    /// Unfinished files of a content's releases. Without its lock some may be in use.
    pub(crate) fn abandoned(&self, content: &ContentName) -> Result<Vec<Abandoned>, StoreError> {
        let Some(folder) = self.folder() else { return Ok(Vec::new()) };
        let fail = |source: std::io::Error| self.folder_error("list", content.to_string(), source);
        let mut found = Vec::new();
        for kind in fs::read_dir(folder.join(content.as_str())).map_err(fail)? {
            let kind = kind.map_err(fail)?;
            let is_stream = STREAM_FOLDERS.iter().any(|name| kind.file_name() == *name);
            if kind.file_type().map_err(fail)?.is_dir() && !is_stream {
                find_in(&kind.path(), 1, &mut found).map_err(fail)?;
            }
        }
        Ok(found)
    }

    /// Deletes unfinished files of a content as a stream. Without its lock some may be in use.
    pub(crate) fn delete_abandoned_media(&self, content: &ContentName) -> Result<(), StoreError> {
        let Some(folder) = self.folder() else { return Ok(()) };
        let mut found = Vec::new();
        for name in STREAM_FOLDERS {
            let folder = folder.join(content.as_str()).join(name);
            if folder.is_dir() {
                let listed = find_in(&folder, DEPTH_MAX, &mut found);
                listed.map_err(|source| self.folder_error("list", content.to_string(), source))?;
            }
        }
        found.iter().try_for_each(|file| self.delete_abandoned(file))
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

/// Finds unfinished files in a folder, and in those within it down to `depth`.
fn find_in(folder: &Path, depth: usize, found: &mut Vec<Abandoned>) -> io::Result<()> {
    let mut folders = vec![(folder.to_owned(), depth)];
    while let Some((folder, depth)) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                if depth > 1 {
                    folders.push((entry.path(), depth - 1));
                }
            } else if is_staged(&entry.file_name().to_string_lossy()) {
                found.push(Abandoned { path: entry.path(), bytes: entry.metadata()?.len() });
            }
        }
    }
    Ok(())
}

/// Whether a name ends in the mark and a number; other names with it are objects.
fn is_staged(name: &str) -> bool {
    let number = name.rsplit_once(STAGING_MARK).map(|(_, number)| number);
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_and_streams_are_looked_after_apart() {
        let folder = tempfile::tempdir().expect("folder");
        let store = Store::open(folder.path().to_str().expect("text")).expect("store");
        let content: ContentName = "site/show".parse().expect("name");
        let names = ["packs/a#1", "packs/a", "media/x/y/b#12", "media/c#1", "media/d#x", "entries/e/0#1"];
        for name in names {
            let path = folder.path().join(content.as_str()).join(name);
            fs::create_dir_all(path.parent().expect("parent")).expect("made");
            fs::write(path, "x").expect("written");
        }
        let left = || {
            let is_left = |name: &&&str| folder.path().join(content.as_str()).join(name).exists();
            names.iter().filter(is_left).copied().collect::<Vec<_>>()
        };
        let of_releases = store.abandoned(&content).expect("listed");
        assert_eq!(of_releases.len(), 1);
        store.delete_abandoned_media(&content).expect("deleted");
        assert_eq!(left(), ["packs/a#1", "packs/a", "media/d#x"]);
        store.delete_abandoned(&of_releases[0]).expect("deleted");
        assert_eq!(left(), ["packs/a", "media/d#x"]);
    }
}
