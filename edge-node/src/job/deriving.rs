//! Chunks that are made from deltas, as these come in.

use std::collections::VecDeque;
use std::io;

use freshet_protocol::VerifiedChunk;
use freshet_swarm::Input;
use tokio::sync::mpsc;

use crate::job::Job;
use crate::store::{OldFiles, derive};

/// Chunks made at a time.
pub(super) const DERIVING_MAX: usize = 2;

/// A chunk that was made, or could not be.
#[derive(Debug)]
pub(super) struct Derived {
    /// Position of the delta.
    position: u32,
    result: io::Result<VerifiedChunk>,
}

/// Deltas that came in and whose chunks are not yet made.
pub(super) struct Deriving {
    old: Option<OldFiles>,
    waiting: VecDeque<u32>,
    running: usize,
    done: mpsc::Sender<Derived>,
    pub(super) results: mpsc::Receiver<Derived>,
    /// Bytes of chunks made, beyond those of their deltas.
    pub(super) made_bytes: u64,
}

impl Deriving {
    pub(super) fn new(old: Option<OldFiles>) -> Self {
        let (done, results) = mpsc::channel(DERIVING_MAX);
        Self { old, waiting: VecDeque::new(), running: 0, done, results, made_bytes: 0 }
    }

    /// Whether no chunk is still to be made.
    pub(super) fn is_done(&self) -> bool {
        self.running == 0 && self.waiting.is_empty()
    }
}

impl Job {
    /// A delta came in: its chunk is made once there is room.
    pub(super) fn take_delta(&mut self, position: u32) {
        let release = &self.content.files.release;
        let is_missing = |target| !release.places_of(target).all(|place| self.content.held().contains(place));
        if release.delta(position).is_some_and(|(_, target)| is_missing(target)) {
            self.deriving.waiting.push_back(position);
        }
    }

    /// Starts to make chunks while few are being made and the disk keeps up.
    pub(super) fn derive_next(&mut self) {
        while self.deriving.running < DERIVING_MAX && self.content.has_room() {
            let Some(position) = self.deriving.waiting.pop_front() else { return };
            let files = self.content.files.clone();
            let delta = self.content.find(files.release.chunk(position).id);
            let (old, done) = (self.deriving.old.clone(), self.deriving.done.clone());
            self.deriving.running += 1;
            tokio::task::spawn_blocking(move || {
                let result = match &old {
                    Some(old) => derive(&files, old, position, delta),
                    None => Err(io::ErrorKind::NotFound.into()),
                };
                // The job may be over.
                let _ = done.blocking_send(Derived { position, result });
            });
        }
    }

    /// A chunk was made; where it could not be, it is fetched whole, and nobody is blamed.
    pub(super) fn derived(&mut self, Derived { position, result }: Derived) {
        self.deriving.running -= 1;
        let release = std::sync::Arc::clone(&self.content.files.release);
        let Some((delta, target)) = release.delta(position) else { return };
        match result {
            Ok(chunk) => {
                self.deriving.made_bytes += (chunk.bytes().len() as u64).saturating_sub(delta.bytes.into());
                self.keep(chunk);
                let places = release.places_of(target);
                self.tell(Input::Found { ranges: freshet_protocol::ranges_of(places) });
            }
            Err(error) => {
                tracing::info!(target, %error, "no chunk could be made of a delta; fetching it whole");
                let place = release.places_of(target).next().unwrap_or(target);
                self.tell(Input::Want { ranges: vec![place..place + 1] });
            }
        }
    }
}
