//! A release that is open: its map, the way to its job, and who reads it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use freshet_protocol::Hash;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::reader::ReadError;
use crate::job::Ask;
use crate::report::Sources;
use crate::store::ChunkFiles;

/// Digests that are remembered.
const DIGESTS_MAX: usize = 4096;

pub(super) struct OpenRelease {
    pub(super) files: ChunkFiles,
    asks: mpsc::Sender<Ask>,
    /// Ends the job.
    stop: CancellationToken,
    readers: AtomicUsize,
    used: Mutex<Instant>,
    digests: Mutex<BTreeMap<usize, Hash>>,
    traffic: Mutex<Traffic>,
}

/// What the job has done so far.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Traffic {
    pub(super) bytes: Sources,
    pub(super) sent_bytes: u64,
    pub(super) links: u32,
}

impl OpenRelease {
    pub(super) fn new(files: ChunkFiles, asks: mpsc::Sender<Ask>, stop: CancellationToken) -> Self {
        Self {
            files,
            asks,
            stop,
            readers: AtomicUsize::new(0),
            used: Mutex::new(Instant::now()),
            digests: Mutex::default(),
            traffic: Mutex::default(),
        }
    }

    pub(super) async fn ask(&self, ask: Ask) -> Result<(), ReadError> {
        self.asks.send(ask).await.map_err(|_| ReadError::Closed)
    }

    /// Ends the job; what was fetched is kept.
    pub(super) fn close(&self) {
        self.stop.cancel();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.asks.is_closed() || self.stop.is_cancelled()
    }

    /// Somebody reads, until that is dropped.
    pub(super) fn reading(self: &Arc<Self>) -> Reading {
        self.readers.fetch_add(1, Relaxed);
        self.touch();
        Reading { release: Arc::clone(self) }
    }

    pub(super) fn readers(&self) -> usize {
        self.readers.load(Relaxed)
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

    pub(super) fn traffic(&self) -> Traffic {
        *lock(&self.traffic)
    }

    pub(super) fn set_traffic(&self, traffic: Traffic) {
        *lock(&self.traffic) = traffic;
    }
}

/// Nothing that is kept here can be half changed.
fn lock<T>(value: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A reader at work.
pub(super) struct Reading {
    release: Arc<OpenRelease>,
}

impl Reading {
    pub(super) fn goes_on(&self) {
        self.release.touch();
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.release.touch();
        self.release.readers.fetch_sub(1, Relaxed);
    }
}
