//! The bytes of the job: chunks on their way to disk, checkpoints, and what can be handed to peers at once.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::Duration;

use bytes::Bytes;
use freshet_protocol::{ChunkId, VerifiedChunk};
use tokio::time::Instant;

use crate::job::deriving::DERIVING_MAX;
use crate::store::{ChunkFiles, HotChunks, Positions, StoreEvent, WRITES_WAITING_MAX, Writers};

/// Least time between two checkpoints.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(1);
/// A checkpoint that takes long is followed by a pause of this many times its length, so that syncing takes little of
/// the disk.
const CHECKPOINT_PAUSE_FACTOR: u32 = 9;
/// Bytes waiting for the disk above which nothing more is taken in.
const WAITING_BYTES_MAX: usize = 32 << 20;

pub(super) struct Content {
    pub(super) files: ChunkFiles,
    hot: HotChunks,
    writers: Option<Writers>,
    /// Positions whose bytes are written.
    written: Positions,
    /// Those among them that are in installed files, and not in staging.
    staying: Positions,
    /// Chunks that the writers have.
    waiting: BTreeMap<ChunkId, Bytes>,
    waiting_bytes: usize,
    /// Files written to since the last checkpoint.
    dirty: BTreeSet<usize>,
    checkpoint: Checkpoint,
}

struct Checkpoint {
    is_under_way: bool,
    started: Instant,
    next: Instant,
}

impl Content {
    pub(super) fn new(
        files: ChunkFiles,
        hot_bytes_max: u64,
        writers: Writers,
        written: Positions,
        staying: Positions,
    ) -> Self {
        let now = Instant::now();
        Self {
            files,
            hot: HotChunks::new(hot_bytes_max),
            writers: Some(writers),
            written,
            staying,
            waiting: BTreeMap::new(),
            waiting_bytes: 0,
            dirty: BTreeSet::new(),
            checkpoint: Checkpoint { is_under_way: false, started: now, next: now + CHECKPOINT_EVERY },
        }
    }

    /// Whether more chunks may be taken in. Those that are being made of deltas come without a further question, so there
    /// stays room for them.
    pub(super) fn has_room(&self) -> bool {
        self.waiting.len() + DERIVING_MAX < WRITES_WAITING_MAX && self.waiting_bytes < WAITING_BYTES_MAX
    }

    /// Takes a chunk for all of its positions.
    pub(super) fn keep(&mut self, chunk: VerifiedChunk) {
        self.hot.put(&chunk);
        let positions = self.files.release.positions_of(chunk.id());
        let missing: Vec<u32> = positions.filter(|&position| !self.written.contains(position)).collect();
        if missing.is_empty() || self.waiting.contains_key(&chunk.id()) {
            return;
        }
        self.waiting_bytes += chunk.bytes().len();
        self.waiting.insert(chunk.id(), chunk.bytes().clone());
        let writers = self.writers.as_ref().expect("chunks come only while the job runs");
        writers.write(chunk, missing);
    }

    /// Takes note of what the writers report.
    ///
    /// # Errors
    /// That of a write which failed.
    pub(super) fn stored(&mut self, event: StoreEvent) -> io::Result<()> {
        match event {
            StoreEvent::Written { chunk, positions, result } => {
                if let Some(bytes) = self.waiting.remove(&chunk.id()) {
                    self.waiting_bytes -= bytes.len();
                }
                result?;
                for position in positions {
                    self.written.insert(position);
                    self.dirty.insert(self.files.release.place(position).0);
                }
                Ok(())
            }
            StoreEvent::Checkpointed(result) => {
                let now = Instant::now();
                self.checkpoint.is_under_way = false;
                let pause = (now - self.checkpoint.started) * CHECKPOINT_PAUSE_FACTOR;
                self.checkpoint.next = now + pause.max(CHECKPOINT_EVERY);
                result
            }
        }
    }

    /// When a checkpoint is due, if anything changed.
    pub(super) fn checkpoint_due(&self) -> Option<Instant> {
        (!self.checkpoint.is_under_way && !self.dirty.is_empty()).then_some(self.checkpoint.next)
    }

    /// Starts a checkpoint of all that is written, unless one is under way.
    pub(super) fn start_checkpoint(&mut self) {
        if self.checkpoint.is_under_way || self.dirty.is_empty() {
            return;
        }
        let Some(writers) = &self.writers else { return };
        self.checkpoint.is_under_way = true;
        self.checkpoint.started = Instant::now();
        let staged = self.written.without(&self.staying);
        writers.checkpoint(staged, std::mem::take(&mut self.dirty).into_iter().collect());
    }

    /// Whether all that was taken in is on disk.
    pub(super) fn is_written(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Positions whose bytes are on disk.
    pub(super) fn held(&self) -> &Positions {
        &self.written
    }

    /// The bytes at `position` were changed by somebody else.
    pub(super) fn lost(&mut self, position: u32) {
        self.written.remove(position);
    }

    /// Whether staging is at rest: all is written, and no checkpoint reads it. From then on the install syncs it, and
    /// no checkpoint begins.
    pub(super) fn rest(&mut self) -> bool {
        let rests = self.is_written() && !self.checkpoint.is_under_way;
        if rests {
            self.dirty.clear();
        }
        rests
    }

    /// Whether all that was taken in is on disk and in a checkpoint.
    pub(super) fn is_settled(&self) -> bool {
        self.is_written() && self.dirty.is_empty() && !self.checkpoint.is_under_way
    }

    /// Whether a chunk is on its way to the disk.
    pub(super) fn is_coming(&self, id: ChunkId) -> bool {
        self.waiting.contains_key(&id)
    }

    /// The verified bytes of a chunk, where they are in memory.
    pub(super) fn find(&self, id: ChunkId) -> Option<Bytes> {
        self.waiting.get(&id).cloned().or_else(|| self.hot.find(id))
    }

    /// A chunk read back from disk.
    pub(super) fn read_back(&self, chunk: &VerifiedChunk) {
        self.hot.put(chunk);
    }

    /// Ends the writers; nothing is taken in any more.
    pub(super) fn take_writers(&mut self) -> Option<Writers> {
        self.writers.take()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::release::samples::{build, file};
    use crate::store::Layout;

    #[tokio::test]
    async fn there_is_always_room_for_what_is_being_made() {
        let folder = tempfile::tempdir().expect("folder");
        let names: Vec<String> = (0..WRITES_WAITING_MAX).map(|number| format!("{number:04}")).collect();
        let chunks: Vec<(&str, u32)> = names.iter().map(|name| (name.as_str(), 4)).collect();
        let release = build(vec![vec![file("a", 0, 4 * chunks.len() as u64, &chunks)]]).expect("consistent");
        let files = ChunkFiles { layout: Layout::new(folder.path()), release: Arc::new(release) };
        let (writers, _events) = Writers::start(&files).expect("threads");
        let none = || Positions::new(chunks.len() as u32);
        let mut content = Content::new(files, 0, writers, none(), none());
        let mut chunks = names.into_iter().map(|name| {
            let bytes = Bytes::from(name);
            VerifiedChunk::check(ChunkId::of(&bytes), bytes).expect("its own hash")
        });
        let mut taken = 0;
        while content.has_room() {
            content.keep(chunks.next().expect("enough of them"));
            taken += 1;
        }
        assert_eq!(taken, WRITES_WAITING_MAX - DERIVING_MAX);
        // Nothing was heard of them, and yet these may come.
        chunks.take(DERIVING_MAX).for_each(|chunk| content.keep(chunk));
        assert_eq!(content.waiting.len(), WRITES_WAITING_MAX);
    }
}
