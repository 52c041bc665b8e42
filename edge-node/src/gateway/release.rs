//! A release that is open: its map, the way to its job, and who reads it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use freshet_protocol::Hash;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::reader::ReadError;
use crate::job::Ask;
use crate::node::blocking;
use crate::platform::allocated_bytes;
use crate::report::SoFar;
use crate::store::ChunkFiles;

/// Digests that are remembered.
const DIGESTS_MAX: usize = 4096;

pub(super) struct OpenRelease {
    pub(super) files: ChunkFiles,
    asks: mpsc::Sender<Ask>,
    /// Tells that the job is to end.
    stop: CancellationToken,
    used: Mutex<Instant>,
    files_used: Mutex<BTreeMap<usize, FileUse>>,
    digests: Mutex<BTreeMap<usize, Hash>>,
    so_far: Mutex<SoFar>,
}

/// Who reads a file.
#[derive(Debug, Clone, Copy)]
struct FileUse {
    readers: usize,
    /// Last time that somebody did.
    at: Instant,
}

impl OpenRelease {
    pub(super) fn new(files: ChunkFiles, asks: mpsc::Sender<Ask>, stop: CancellationToken) -> Self {
        Self {
            files,
            asks,
            stop,
            used: Mutex::new(Instant::now()),
            files_used: Mutex::default(),
            digests: Mutex::default(),
            so_far: Mutex::default(),
        }
    }

    pub(super) async fn ask(&self, ask: Ask) -> Result<(), ReadError> {
        self.asks.send(ask).await.map_err(|_| ReadError::Closed)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.asks.is_closed() || self.stop.is_cancelled()
    }

    /// Somebody reads a file, until that is dropped.
    pub(super) fn reading(self: &Arc<Self>, file: usize) -> Reading {
        self.touch();
        let fresh = FileUse { readers: 0, at: Instant::now() };
        lock(&self.files_used).entry(file).or_insert(fresh).readers += 1;
        Reading { release: Arc::clone(self), file }
    }

    pub(super) fn readers(&self) -> usize {
        lock(&self.files_used).values().map(|file| file.readers).sum()
    }

    /// Gives back room that files take which nobody reads, those first that were read longest ago, until about `enough`
    /// bytes are free; how many that are.
    pub(super) async fn free(&self, enough: u64) -> u64 {
        let files = self.files.clone();
        let taken = move || {
            let numbers = 0..files.release.files.len();
            let bytes = |number| std::fs::metadata(files.staged(number)).map(|found| allocated_bytes(&found));
            numbers
                .filter_map(|number| Some((number, bytes(number).ok().filter(|&bytes| bytes > 0)?)))
                .collect()
        };
        let taken: Vec<(usize, u64)> = blocking(taken).await;
        let used = lock(&self.files_used).clone();
        let mut unread: Vec<_> =
            taken.into_iter().map(|(file, bytes)| (used.get(&file), file, bytes)).collect();
        unread.retain(|(used, ..)| used.is_none_or(|used| used.readers == 0));
        unread.sort_by_key(|(used, file, _)| (used.map(|used| used.at), *file));
        let mut freed = 0;
        for (_, file, bytes) in unread {
            if freed >= enough {
                break;
            }
            let (done, is_done) = oneshot::channel();
            if self.ask(Ask::Forget { file, done }).await.is_err() || is_done.await.is_err() {
                break;
            }
            freed += bytes;
        }
        freed
    }

    /// How long nobody has read.
    pub(super) fn idle(&self) -> Duration {
        match self.readers() {
            0 => self.used().elapsed(),
            _ => Duration::ZERO,
        }
    }

    /// When it was read last.
    pub(super) fn used(&self) -> Instant {
        *lock(&self.used)
    }

    /// The same by the system's clock.
    pub(super) fn used_at(&self) -> SystemTime {
        SystemTime::now() - self.used().elapsed()
    }

    pub(super) fn touch(&self) {
        *lock(&self.used) = Instant::now();
    }

    pub(super) fn digest(&self, file: usize) -> Option<Hash> {
        lock(&self.digests).get(&file).copied()
    }

    pub(super) fn learn_digest(&self, file: usize, digest: Hash) {
        let mut digests = lock(&self.digests);
        if digests.len() < DIGESTS_MAX {
            digests.insert(file, digest);
        }
    }

    pub(super) fn so_far(&self) -> SoFar {
        *lock(&self.so_far)
    }

    pub(super) fn set_so_far(&self, so_far: SoFar) {
        *lock(&self.so_far) = so_far;
    }
}

/// Nothing that is kept here can be half changed.
fn lock<T>(value: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A reader at work.
pub(super) struct Reading {
    release: Arc<OpenRelease>,
    file: usize,
}

impl Reading {
    pub(super) fn goes_on(&self) {
        self.release.touch();
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.release.touch();
        if let Some(file) = lock(&self.release.files_used).get_mut(&self.file) {
            *file = FileUse { readers: file.readers - 1, at: Instant::now() };
        }
    }
}
