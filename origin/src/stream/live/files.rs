//! What of a stream's media lies in the store, and what is on its way there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use freshet_protocol::RelPath;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::stream::pieces::Pieces;

/// Most files of a stream: a window of days in many renditions.
pub(super) const FILES_MAX: usize = 1 << 17;
/// How long a playlist waits for segments that it lists: packagers send it without waiting for the answer to the last one.
const SETTLE_TIME: Duration = Duration::from_secs(5);

/// Files of a stream.
#[derive(Debug, Default)]
pub(super) struct Files {
    held: Mutex<Held>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Held {
    stored: BTreeMap<RelPath, Stored>,
    /// How many uploads of each file are on their way.
    arriving: BTreeMap<RelPath, u32>,
    /// Files that a playlist waited for in vain; none waits for them again.
    given_up: BTreeSet<RelPath>,
}

/// A file in the store.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    /// Time of the last write, Unix seconds.
    pub(super) written: u64,
    /// What came, where it came while this process ran.
    pub(super) pieces: Option<Arc<Pieces>>,
}

/// A file on its way. Dropped before it is stored, it did not come.
#[derive(Debug)]
pub(super) struct Arriving<'a> {
    files: &'a Files,
    path: RelPath,
}

impl Files {
    /// Notes what lies in the store from before.
    pub(super) fn load(&self, path: RelPath, written: u64) {
        self.held().stored.insert(path, Stored { written, pieces: None });
    }

    /// Notes that a file is about to come; none when there are too many.
    pub(super) fn arrive(&self, path: RelPath) -> Option<Arriving<'_>> {
        let mut held = self.held();
        let is_new = !held.stored.contains_key(&path) && !held.arriving.contains_key(&path);
        if is_new && held.stored.len() + held.arriving.len() >= FILES_MAX {
            return None;
        }
        *held.arriving.entry(path.clone()).or_default() += 1;
        Some(Arriving { files: self, path })
    }

    pub(super) fn get(&self, path: &RelPath) -> Option<Stored> {
        self.held().stored.get(path).cloned()
    }

    pub(super) fn remove(&self, path: &RelPath) {
        self.held().stored.remove(path);
    }

    /// Files that were written before a time (Unix seconds).
    pub(super) fn written_before(&self, time: u64) -> Vec<RelPath> {
        let held = self.held();
        held.stored.iter().filter(|(_, stored)| stored.written < time).map(|(path, _)| path.clone()).collect()
    }

    /// Waits until files are there whole, for a while.
    pub(super) async fn settle(&self, paths: &BTreeSet<RelPath>) {
        let deadline = Instant::now() + SETTLE_TIME;
        loop {
            // Before the look, so that no change between the two is missed.
            let changed = self.changed.notified();
            let missing = self.missing(paths);
            if missing.is_empty() {
                return;
            }
            if tokio::time::timeout_at(deadline, changed).await.is_err() {
                self.held().given_up = missing;
                return;
            }
        }
    }

    /// Those that are on their way, or not here and still waited for.
    fn missing(&self, paths: &BTreeSet<RelPath>) -> BTreeSet<RelPath> {
        let held = self.held();
        let is_missing = |path: &&RelPath| {
            held.arriving.contains_key(*path)
                || !held.stored.contains_key(*path) && !held.given_up.contains(*path)
        };
        paths.iter().filter(is_missing).cloned().collect()
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Arriving<'_> {
    /// It is stored, at `now` (Unix seconds).
    pub(super) fn stored(self, pieces: Option<Arc<Pieces>>, now: u64) {
        self.files.held().stored.insert(self.path.clone(), Stored { written: now, pieces });
    }
}

impl Drop for Arriving<'_> {
    fn drop(&mut self) {
        let mut held = self.files.held();
        if let Some(count) = held.arriving.get_mut(&self.path) {
            *count -= 1;
            if *count == 0 {
                held.arriving.remove(&self.path);
            }
        }
        drop(held);
        self.files.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(name: &str) -> RelPath {
        name.parse().expect("a path")
    }

    #[tokio::test(start_paused = true)]
    async fn a_playlist_waits_for_its_segments_and_not_for_ever() {
        let files = Files::default();
        let listed = BTreeSet::from([path("0.ts")]);
        let started = Instant::now();
        let arriving = files.arrive(path("0.ts")).expect("room");
        let ((), ()) = tokio::join!(files.settle(&listed), async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            arriving.stored(None, 7);
        });
        assert_eq!(started.elapsed(), Duration::from_secs(1));
        assert_eq!(files.get(&path("0.ts")).expect("stored").written, 7);
        let listed = BTreeSet::from([path("0.ts"), path("1.ts")]);
        files.settle(&listed).await;
        assert_eq!(started.elapsed(), Duration::from_secs(1) + SETTLE_TIME);
        files.settle(&listed).await;
        assert_eq!(started.elapsed(), Duration::from_secs(1) + SETTLE_TIME, "not again for the same one");
    }

    #[test]
    fn as_many_files_as_allowed() {
        let files = Files::default();
        (1..FILES_MAX).for_each(|n| files.load(path(&n.to_string()), 1));
        let last = files.arrive(path("a")).expect("room for one");
        assert!(files.arrive(path("b")).is_none());
        assert!(files.arrive(path("1")).is_some(), "one that is there may be written again");
        drop(last);
        files.arrive(path("b")).expect("the other did not come").stored(None, 5);
        assert_eq!(files.written_before(2).len(), FILES_MAX - 1);
        files.remove(&path("1"));
        assert!(files.get(&path("1")).is_none() && files.arrive(path("c")).is_some());
    }
}
