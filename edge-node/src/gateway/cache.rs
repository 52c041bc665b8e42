//! The folder in which releases are kept that were read: what each takes, and when it was read last.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::node::{GetError, blocking, lock_folder};
use crate::platform::allocated_bytes;
use crate::store::{FolderLock, Layout, STATE_FOLDER};

/// Its time is that of the last use.
const USED: &str = "used";

pub(super) struct Cache {
    folder: PathBuf,
    bytes_max: u64,
    _lock: FolderLock,
}

/// A release in the cache.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) folder: PathBuf,
    pub(super) used: SystemTime,
}

impl Cache {
    /// # Errors
    /// Where the folder cannot be made, or another gateway uses it.
    pub(super) async fn open(folder: PathBuf, bytes_max: u64) -> Result<Self, GetError> {
        let layout = Layout::new(&folder);
        layout.create().map_err(|error| GetError::io(&folder, &error))?;
        let lock = lock_folder(&layout).await?;
        Ok(Self { folder, bytes_max, _lock: lock })
    }

    pub(super) fn bytes_max(&self) -> u64 {
        self.bytes_max
    }

    /// What is kept, and what each takes of the disk.
    pub(super) async fn look(&self) -> Vec<(Kept, u64)> {
        let folder = self.folder.clone();
        let sized = |kept: Kept| {
            let bytes = bytes_below(&kept.folder).unwrap_or(0);
            (kept, bytes)
        };
        blocking(move || look(&folder).unwrap_or_default().into_iter().map(sized).collect()).await
    }

    /// Notes when a release was used last.
    pub(super) async fn used(&self, folder: &Path, at: SystemTime) {
        let used = Layout::new(folder).own(USED);
        let touch = move || File::create(used).and_then(|file| file.set_modified(at));
        if let Err(error) = blocking(touch).await {
            tracing::debug!(%error, "cannot note when a release was used");
        }
    }

    /// # Errors
    /// Those of the file system.
    pub(super) async fn remove(&self, folder: &Path) -> io::Result<()> {
        let folder = folder.to_owned();
        blocking(move || std::fs::remove_dir_all(folder)).await
    }
}

/// What is kept in a cache.
///
/// # Errors
/// Those of the file system.
pub(super) fn look(folder: &Path) -> io::Result<Vec<Kept>> {
    let mut kept = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let folder = entry?.path();
        let own = Layout::new(&folder);
        // What is not ours is left alone.
        if folder.file_name().is_some_and(|name| name == STATE_FOLDER) || !own.trust().is_file() {
            continue;
        }
        let used = std::fs::metadata(own.own(USED)).and_then(|found| found.modified());
        let used = used.unwrap_or(SystemTime::UNIX_EPOCH);
        kept.push(Kept { folder, used });
    }
    Ok(kept)
}

fn bytes_below(folder: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        bytes += match entry.metadata() {
            Ok(found) if found.is_dir() => bytes_below(&entry.path())?,
            Ok(found) => allocated_bytes(&found),
            // Gone meanwhile.
            Err(_) => 0,
        };
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn what_is_kept_is_found_and_removed() {
        let folder = tempfile::tempdir().expect("made");
        let cache = Cache::open(folder.path().join("cache"), 7).await.expect("opened");
        let own = |name: &str| Layout::new(&folder.path().join("cache").join(name));
        let now = SystemTime::now();
        for (name, bytes, used) in [("b", 200_000, now), ("a", 100_000, now - Duration::from_secs(9))] {
            own(name).create().expect("made");
            std::fs::write(own(name).trust(), "{}").expect("written");
            std::fs::write(own(name).own("data"), vec![1; bytes]).expect("written");
            cache.used(own(name).folder(), used).await;
        }
        // Somebody else's.
        std::fs::create_dir(folder.path().join("cache/photos")).expect("made");
        let mut kept = cache.look().await;
        kept.sort_by_key(|(kept, _)| kept.used);
        let [(a, a_bytes), (b, b_bytes)] = kept.as_slice() else { panic!("{kept:?}") };
        assert!(a.folder.ends_with("a") && b.folder.ends_with("b"));
        assert!((100_000..150_000).contains(a_bytes) && (200_000..250_000).contains(b_bytes), "{kept:?}");
        cache.remove(&a.folder).await.expect("removed");
        assert_eq!(cache.look().await.len(), 1);
        let error = Cache::open(folder.path().join("cache"), 7).await.map(drop).expect_err("taken");
        assert!(error.to_string().contains("another process"), "{error}");
    }
}
