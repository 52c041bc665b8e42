//! Those who read files of a release that is fetched as they go: what they are about to read is wanted, and each chunk is
//! handed to them as soon as it is verified.

use std::collections::BTreeMap;
use std::ops::Range;

use bytes::Bytes;
use freshet_protocol::{ChunkId, VerifiedChunk, ranges_of};
use freshet_swarm::Input;
use tokio::sync::{mpsc, oneshot};

use crate::job::Job;

/// Readers' questions that wait for the job.
pub(crate) const ASKS_MAX: usize = 64;

/// What is asked of the job.
#[derive(Debug)]
pub(crate) enum Ask {
    /// A reader asks for a chunk.
    Chunk {
        position: u32,
        /// Positions that it is going to read, this one included.
        ahead: Range<u32>,
        /// Where the chunk was said to be and is not as it must be.
        lost: Option<u32>,
        answer: oneshot::Sender<Found>,
    },
    /// Nobody reads this file any more, and its room is needed: what is staged of it goes.
    Forget { file: usize, done: oneshot::Sender<()> },
}

/// Where a chunk is.
#[derive(Debug)]
pub(crate) enum Found {
    /// Here.
    Bytes(Bytes),
    /// On disk, at this position.
    At(u32),
}

/// The readers, and who of them waits for what.
pub(super) struct Readers {
    asks: Option<mpsc::Receiver<Ask>>,
    waiting: BTreeMap<ChunkId, Vec<oneshot::Sender<Found>>>,
}

impl Readers {
    pub(super) fn new(asks: Option<mpsc::Receiver<Ask>>) -> Self {
        Self { asks, waiting: BTreeMap::new() }
    }

    /// Where they ask, if the job is for readers.
    pub(super) fn asks(&mut self) -> Option<&mut mpsc::Receiver<Ask>> {
        self.asks.as_mut()
    }

    /// Hands a chunk to those who wait for it.
    pub(super) fn came(&mut self, chunk: &VerifiedChunk) {
        for reader in self.waiting.remove(&chunk.id()).into_iter().flatten() {
            // Who has left needs it no more.
            let _ = reader.send(Found::Bytes(chunk.bytes().clone()));
        }
    }
}

impl Job {
    pub(super) fn asked_by_reader(&mut self, ask: Ask) {
        match ask {
            Ask::Chunk { position, ahead, lost, answer } => {
                lost.into_iter().for_each(|lost| self.lose(lost));
                self.read(position, ahead, answer);
            }
            Ask::Forget { file, done } => self.forget(file, done),
        }
    }

    fn lose(&mut self, position: u32) {
        self.content.lost(position);
        self.tell(Input::Lost { chunk: position });
    }

    /// Frees what is staged of a file. What is written to it at the same time may go, too: who reads that finds so, and it is
    /// got anew.
    fn forget(&mut self, file: usize, done: oneshot::Sender<()>) {
        let files = self.content.files.clone();
        let positions = files.release.files[file].positions.clone();
        for position in positions {
            if self.content.held().contains(position) {
                self.lose(position);
            }
        }
        tokio::task::spawn_blocking(move || {
            if let Err(error) = files.empty_staged(file) {
                let path = files.staged(file);
                tracing::warn!(path = %path.display(), %error, "cannot free a file");
            }
            // Its owner may have gone.
            let _ = done.send(());
        });
    }

    /// Tells a reader where the chunk is, now or once it has come.
    fn read(&mut self, position: u32, ahead: Range<u32>, answer: oneshot::Sender<Found>) {
        self.want_ahead(ahead);
        let id = self.content.files.release.chunk(position).id;
        if let Some(bytes) = self.content.find(id) {
            let _ = answer.send(Found::Bytes(bytes));
        } else if let Some(place) = self.held_place(position) {
            let _ = answer.send(Found::At(place));
        } else {
            self.readers.waiting.entry(id).or_default().push(answer);
        }
    }

    /// Wants those of the positions that are not here, each chunk once.
    fn want_ahead(&mut self, ahead: Range<u32>) {
        let missing = |&position: &u32| self.held_place(position).is_none();
        let first = |position| self.content.files.release.places_of(position).next();
        let mut wanted: Vec<u32> = ahead.filter(missing).filter_map(first).collect();
        if wanted.is_empty() {
            return;
        }
        wanted.sort_unstable();
        let was_complete = self.core.is_complete();
        self.tell(Input::Want { ranges: ranges_of(wanted) });
        if was_complete && !self.core.is_complete() {
            self.origin_watch.begin();
            self.standing_changed();
        }
    }

    /// A place of the chunk at a position, at which it is on disk.
    fn held_place(&self, position: u32) -> Option<u32> {
        let mut places = self.content.files.release.places_of(position);
        places.find(|&place| self.content.held().contains(place))
    }
}
