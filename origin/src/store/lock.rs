//! Keeps two publishers, or a publisher and gc, out of one content of a local store. The lock is the operating
//! system's, so it ends with its process. A bucket has none; there conditional writes guard the pointers.

use std::fs::{File, TryLockError};

use freshet_protocol::ContentName;

use super::{Store, StoreError};

/// Name of the lock file within a content's folder.
const LOCK_FILE: &str = "publish.lock";
/// The same for streams: gc, which lets streams be, need not wait for one that goes on for weeks.
const STREAM_LOCK_FILE: &str = "stream.lock";

/// Held while one program writes a content.
#[derive(Debug)]
pub(crate) struct ContentLock {
    file: Option<File>,
}

impl ContentLock {
    /// Takes the lock of a content's releases, or says who is in the way.
    pub(crate) fn take(store: &Store, content: &ContentName) -> Result<Self, StoreError> {
        Self::take_file(store, content, LOCK_FILE)
    }

    /// Takes the lock of a content as a stream, or says who is in the way.
    pub(crate) fn take_stream(store: &Store, content: &ContentName) -> Result<Self, StoreError> {
        Self::take_file(store, content, STREAM_LOCK_FILE)
    }

    fn take_file(store: &Store, content: &ContentName, name: &str) -> Result<Self, StoreError> {
        let Some(folder) = store.folder() else { return Ok(Self { file: None }) };
        let folder = folder.join(content.as_str());
        let fail = |error: std::io::Error| StoreError::Io {
            store: store.name().to_owned(),
            action: "lock",
            object: content.to_string(),
            source: error.into(),
        };
        std::fs::create_dir_all(&folder).map_err(fail)?;
        let file = File::options().create(true).append(true).open(folder.join(name)).map_err(fail)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { file: Some(file) }),
            Err(TryLockError::WouldBlock) => {
                Err(StoreError::Busy { store: store.name().to_owned(), content: content.to_string() })
            }
            Err(TryLockError::Error(error)) => Err(fail(error)),
        }
    }
}

impl Drop for ContentLock {
    fn drop(&mut self) {
        if let Some(file) = &self.file {
            // A program that is being started has a copy of the file for a moment, which would hold the lock.
            let _ = file.unlock();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time() {
        let folder = tempfile::tempdir().expect("folder");
        let store = Store::open(folder.path().to_str().expect("text")).expect("store");
        let content = "game/demo".parse().expect("name");
        let held = ContentLock::take(&store, &content).expect("free");
        assert!(matches!(ContentLock::take(&store, &content), Err(StoreError::Busy { .. })));
        ContentLock::take_stream(&store, &content).expect("streams have their own");
        ContentLock::take(&store, &"game/other".parse().expect("name")).expect("another content");
        // As one that a program has that is being started.
        let copy = held.file.as_ref().expect("a folder has one").try_clone().expect("copied");
        drop(held);
        ContentLock::take(&store, &content).expect("free again");
        drop(copy);
    }
}
