//! Those who read files of a release that is fetched as they go: what they are about to read is wanted, and each chunk is
//! handed to them as soon as it is verified.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use freshet_protocol::{ChunkId, VerifiedChunk, ranges_of};
use freshet_swarm::Input;
use tokio::sync::{mpsc, oneshot};

use crate::job::Job;
use crate::store::Sibling;

/// Readers' questions that wait for the job.
pub(crate) const ASKS_MAX: usize = 64;
/// Chunks found in other releases that wait for the job.
const COPIES_MAX: usize = 16;

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

/// A chunk that another release was to have.
#[derive(Debug)]
pub(super) struct Copied {
    position: u32,
    result: io::Result<VerifiedChunk>,
}

/// The readers, and who of them waits for what.
pub(super) struct Readers {
    asks: Option<mpsc::Receiver<Ask>>,
    waiting: BTreeMap<ChunkId, Vec<oneshot::Sender<Found>>>,
    siblings: Arc<[Sibling]>,
    /// Chunks that are being copied.
    copying: BTreeSet<ChunkId>,
    copied: mpsc::Sender<Copied>,
    copies: mpsc::Receiver<Copied>,
    pub(super) copied_bytes: u64,
}

impl Readers {
    pub(super) fn new(asks: Option<mpsc::Receiver<Ask>>, siblings: Vec<Sibling>) -> Self {
        let (copied, copies) = mpsc::channel(COPIES_MAX);
        let (waiting, copying) = (BTreeMap::new(), BTreeSet::new());
        Self { asks, waiting, siblings: siblings.into(), copying, copied, copies, copied_bytes: 0 }
    }

    /// What they ask, if the job is for readers, and what was copied for them.
    pub(super) fn inputs(&mut self) -> (Option<&mut mpsc::Receiver<Ask>>, &mut mpsc::Receiver<Copied>) {
        (self.asks.as_mut(), &mut self.copies)
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
            let waiting = self.readers.waiting.entry(id).or_default();
            waiting.retain(|reader| !reader.is_closed());
            waiting.push(answer);
        }
    }

    /// Wants those of the positions that are not here, each chunk once.
    fn want_ahead(&mut self, ahead: Range<u32>) {
        let missing = |&position: &u32| self.held_place(position).is_none();
        let first = |position| self.content.files.release.places_of(position).next();
        let mut wanted: Vec<u32> = ahead.filter(missing).filter_map(first).collect();
        wanted.sort_unstable();
        wanted.dedup();
        self.copy_known(&mut wanted);
        self.want(wanted);
    }

    /// Takes from `wanted` what other releases have, and copies it.
    fn copy_known(&mut self, wanted: &mut Vec<u32>) {
        let mut found = Vec::new();
        let (content, readers) = (&self.content, &mut self.readers);
        let release = &content.files.release;
        wanted.retain(|&position| {
            let id = release.chunk(position).id;
            if content.is_coming(id) || readers.copying.contains(&id) {
                return false;
            }
            let mut siblings = readers.siblings.iter().enumerate();
            let place = siblings.find_map(|(number, sibling)| Some((number, sibling.position_of(id)?)));
            found.extend(place.map(|place| (position, place)));
            place.is_none() || !readers.copying.insert(id)
        });
        if found.is_empty() {
            return;
        }
        let (siblings, copied) = (Arc::clone(&readers.siblings), readers.copied.clone());
        tokio::task::spawn_blocking(move || {
            for (position, (number, place)) in found {
                let result = siblings[number].files.read(place);
                if copied.blocking_send(Copied { position, result }).is_err() {
                    // The job is over.
                    return;
                }
            }
        });
    }

    /// A chunk of another release came, or was not what it had been: then it is fetched.
    pub(super) fn copied(&mut self, Copied { position, result }: Copied) {
        let release = Arc::clone(&self.content.files.release);
        self.readers.copying.remove(&release.chunk(position).id);
        match result {
            Ok(chunk) => {
                self.readers.copied_bytes += chunk.bytes().len() as u64;
                self.keep(chunk);
                self.tell(Input::Found { ranges: ranges_of(release.places_of(position)) });
            }
            Err(error) => {
                tracing::info!(position, %error, "another release does not have a chunk any more");
                self.want(vec![position]);
            }
        }
    }

    fn want(&mut self, wanted: Vec<u32>) {
        if wanted.is_empty() {
            return;
        }
        let was_complete = self.core.is_complete();
        self.tell(Input::Want { ranges: ranges_of(wanted) });
        if was_complete && !self.core.is_complete() {
            self.origin_watch.progressed();
            self.standing_changed();
        }
    }

    /// A place of the chunk at a position, at which it is on disk.
    fn held_place(&self, position: u32) -> Option<u32> {
        let mut places = self.content.files.release.places_of(position);
        places.find(|&place| self.content.held().contains(place))
    }
}
