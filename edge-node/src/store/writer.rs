//! Threads that write verified chunks to staging, so that no async task waits for a disk.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use freshet_protocol::VerifiedChunk;
use tokio::sync::mpsc;

use crate::store::access::ChunkFiles;
use crate::store::positions::Positions;

/// Threads that write; two keep a disk busy while one of them waits. Each file has its own thread, since systems let one
/// at a time write to a file.
const WRITER_THREADS: usize = 2;
/// Most chunks that wait to be written.
pub(crate) const WRITES_WAITING_MAX: usize = 256;
/// Files that each thread keeps open.
const OPEN_FILES_MAX: usize = 32;

/// What the threads report.
#[derive(Debug)]
pub(crate) enum StoreEvent {
    /// A chunk is at all of its places, or cannot be put there.
    Written { chunk: VerifiedChunk, positions: Vec<u32>, result: io::Result<()> },
    /// A checkpoint is on disk, or failed.
    Checkpointed(io::Result<()>),
}

struct Write {
    chunk: VerifiedChunk,
    positions: Vec<u32>,
}

struct Checkpoint {
    verified: Positions,
    /// Files written since the last one.
    files: Vec<usize>,
}

/// The threads' queues. Dropping them ends the threads once all is written; [`Writers::finish`] waits for that.
#[derive(Debug)]
pub(crate) struct Writers {
    files: ChunkFiles,
    writes: Vec<SyncSender<Write>>,
    checkpoints: SyncSender<Checkpoint>,
    threads: Vec<JoinHandle<()>>,
}

impl std::fmt::Debug for Write {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Write({:?})", self.positions)
    }
}

impl std::fmt::Debug for Checkpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Checkpoint({} files)", self.files.len())
    }
}

impl Writers {
    /// Starts the threads; their reports come through the receiver.
    ///
    /// # Errors
    /// When the system gives no threads.
    pub(crate) fn start(files: &ChunkFiles) -> io::Result<(Self, mpsc::Receiver<StoreEvent>)> {
        let (checkpoints, asked) = sync_channel::<Checkpoint>(1);
        let (events, reports) = mpsc::channel(WRITES_WAITING_MAX);
        let (mut writes, mut threads) = (Vec::new(), Vec::new());
        for _ in 0..WRITER_THREADS {
            // Wide enough for all that may wait, since all may be for one file.
            let (queue, waiting) = sync_channel::<Write>(WRITES_WAITING_MAX);
            let (files, events) = (files.clone(), events.clone());
            let run = move || write_all(&files, &waiting, &events);
            threads.push(std::thread::Builder::new().name("freshet-write".to_owned()).spawn(run)?);
            writes.push(queue);
        }
        let to_sync = files.clone();
        let run = move || checkpoint_all(&to_sync, &asked, &events);
        threads.push(std::thread::Builder::new().name("freshet-sync".to_owned()).spawn(run)?);
        Ok((Self { files: files.clone(), writes, checkpoints, threads }, reports))
    }

    /// Queues a chunk for all of `positions`.
    ///
    /// # Panics
    /// When more than [`WRITES_WAITING_MAX`] wait: the caller counts those that it has not heard of yet.
    pub(crate) fn write(&self, chunk: VerifiedChunk, positions: Vec<u32>) {
        let file = positions.first().map_or(0, |&position| self.files.release.place(position).0);
        match self.writes[file % WRITER_THREADS].try_send(Write { chunk, positions }) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => panic!("the caller keeps within the queue's bound"),
            // The threads ended by a panic of their own, which `finish` passes on.
            Err(TrySendError::Disconnected(_)) => {}
        }
    }

    /// Asks for a checkpoint: `files` are synced, then `verified` is written. One at a time.
    ///
    /// # Panics
    /// When one is under way and another one waits.
    pub(crate) fn checkpoint(&self, verified: Positions, files: Vec<usize>) {
        let sent = self.checkpoints.try_send(Checkpoint { verified, files });
        assert!(!matches!(sent, Err(TrySendError::Full(_))), "one checkpoint at a time");
    }

    /// Ends the threads once all that was queued is done.
    pub(crate) fn finish(self) {
        drop((self.writes, self.checkpoints));
        for thread in self.threads {
            thread.join().expect("the threads do not panic");
        }
    }
}

fn write_all(files: &ChunkFiles, waiting: &Receiver<Write>, events: &mpsc::Sender<StoreEvent>) {
    let mut open = OpenFiles { files, list: VecDeque::new() };
    while let Ok(Write { chunk, positions }) = waiting.recv() {
        let result = positions.iter().try_for_each(|&position| open.write(position, &chunk));
        if events.blocking_send(StoreEvent::Written { chunk, positions, result }).is_err() {
            return;
        }
    }
}

fn checkpoint_all(files: &ChunkFiles, asked: &Receiver<Checkpoint>, events: &mpsc::Sender<StoreEvent>) {
    while let Ok(checkpoint) = asked.recv() {
        let result = files.checkpoint(&checkpoint.verified, &checkpoint.files);
        if events.blocking_send(StoreEvent::Checkpointed(result)).is_err() {
            return;
        }
    }
}

/// The files that a thread has open, least recently used first.
struct OpenFiles<'a> {
    files: &'a ChunkFiles,
    list: VecDeque<(usize, File)>,
}

impl OpenFiles<'_> {
    fn write(&mut self, position: u32, chunk: &VerifiedChunk) -> io::Result<()> {
        if self.files.release.is_alias(position) {
            return Ok(());
        }
        let (number, _) = self.files.release.place(position);
        let known = self.list.iter().position(|(open, _)| *open == number);
        let (_, file) = match known.and_then(|at| self.list.remove(at)) {
            Some(entry) => entry,
            None => (number, self.files.open_staged(number)?),
        };
        let result = self.files.write(&file, position, chunk);
        self.list.push_back((number, file));
        if self.list.len() > OPEN_FILES_MAX {
            self.list.pop_front();
        }
        result
    }
}
