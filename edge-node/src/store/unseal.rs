//! Takes what a sealed file holds into staging, without a second copy: a batch from its end is staged and recorded, then
//! cut off, and so on to its beginning. Killed in between, nothing that was fetched is lost.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::thread;

use bytes::Bytes;
use freshet_protocol::{SealedBlob, VerifiedChunk};
use tokio_util::sync::CancellationToken;

use crate::origin::plain;
use crate::release::Release;
use crate::store::access::ChunkFiles;
use crate::store::derive::{OldFiles, derive};
use crate::store::positions::Positions;
use crate::store::sealed_file::SealedStream;

/// Bytes of a sealed file that are taken at a time: an eighth of it, within these bounds. So much room is needed beside it, and
/// what unpacking adds.
const BATCH_BYTES_MIN: u64 = 1 << 20;
const BATCH_BYTES_MAX: u64 = 32 << 20;
/// Blobs that are unpacked at a time, for each core.
const BLOBS_PER_CORE: usize = 4;

/// What is taken of a file of so many bytes at a time.
pub(super) fn batch_bytes(file_bytes: u64) -> u64 {
    (file_bytes / 8).clamp(BATCH_BYTES_MIN, BATCH_BYTES_MAX)
}

/// Where what is in a sealed file goes.
pub(super) struct Unsealing<'a> {
    pub(super) files: &'a ChunkFiles,
    /// The installed release, which deltas are for.
    pub(super) old: Option<&'a Arc<Release>>,
    /// What is in staging or installed.
    pub(super) held: &'a mut Positions,
    /// What of that is not staged.
    pub(super) staying: &'a Positions,
}

impl Unsealing<'_> {
    /// Takes all that is there; how many bytes were staged.
    ///
    /// # Errors
    /// Those of the file system; `Interrupted` where it was stopped.
    pub(super) fn run(&mut self, stream: &SealedStream, stop: &CancellationToken) -> io::Result<u64> {
        let file = match File::options().read(true).write(true).open(&stream.file.place) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            opened => opened?,
        };
        let file_bytes = file.metadata()?.len();
        let (mut end, mut bytes) = (stream.blobs_within(file_bytes), 0);
        while end > 0 {
            if stop.is_cancelled() {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let batch = stream.batch_before(end, batch_bytes(file_bytes));
            end = batch.start;
            let mut written = BTreeSet::new();
            for blobs in stream.read(&file, batch).chunks(BLOBS_PER_CORE * cores()) {
                bytes += self.stage(blobs, &mut written)?;
            }
            if !written.is_empty() {
                let staged = self.held.without(self.staying);
                self.files.checkpoint(&staged, &written.into_iter().collect::<Vec<_>>())?;
            }
            file.set_len(stream.bytes_before(end))?;
        }
        Ok(bytes)
    }

    /// Unpacks blobs on all cores and writes what comes of them.
    fn stage(&mut self, blobs: &[(SealedBlob, Bytes)], written: &mut BTreeSet<usize>) -> io::Result<u64> {
        let mut bytes = 0;
        let this = &*self;
        let made: Vec<VerifiedChunk> = thread::scope(|scope| {
            let parts = blobs.chunks(blobs.len().div_ceil(cores()).max(1));
            let run = |part: &[(SealedBlob, Bytes)]| part.iter().flat_map(|one| this.make(one)).collect();
            let workers: Vec<_> = parts.map(|part| scope.spawn(move || -> Vec<_> { run(part) })).collect();
            workers.into_iter().flat_map(|worker| worker.join().expect("unpacking does not panic")).collect()
        });
        let mut open: Option<(usize, File)> = None;
        for chunk in made {
            let places: Vec<u32> = self.missing(self.files.release.positions_of(chunk.id())).collect();
            for position in places {
                let (number, _) = self.files.release.place(position);
                let file = match &open {
                    Some((known, file)) if *known == number => file,
                    _ => &open.insert((number, self.files.open_staged(number)?)).1,
                };
                self.files.write(file, position, &chunk)?;
                self.held.insert(position);
                written.insert(number);
                bytes += chunk.bytes().len() as u64;
            }
        }
        Ok(bytes)
    }

    /// The chunks that come of a blob and are missing: itself, or those that it is a delta for.
    fn make(&self, (blob, stored): &(SealedBlob, Bytes)) -> Vec<VerifiedChunk> {
        let release = &self.files.release;
        let is_of_use = |position: u32| match release.delta(position) {
            Some((_, target)) => self.missing(release.places_of(target)).next().is_some(),
            None => self.missing(std::iter::once(position)).next().is_some(),
        };
        let positions: Vec<u32> =
            release.positions_of(blob.id).filter(|&position| is_of_use(position)).collect();
        if positions.is_empty() {
            return Vec::new();
        }
        let Some(bytes) = plain(stored.clone(), blob.encoding, blob.bytes) else { return Vec::new() };
        let made = positions.into_iter().filter_map(|position| match release.delta(position) {
            Some(_) => self.derive(position, bytes.clone()),
            None => VerifiedChunk::check(blob.id, bytes.clone()).ok(),
        });
        made.collect()
    }

    /// A delta that is of no use leaves its chunk missing: it is then fetched whole.
    fn derive(&self, position: u32, delta: Bytes) -> Option<VerifiedChunk> {
        let old = OldFiles { layout: self.files.layout.clone(), release: Arc::clone(self.old?) };
        let made = derive(self.files, &old, position, Some(delta));
        made.inspect_err(|error| tracing::info!(position, %error, "no chunk could be made of a sealed delta"))
            .ok()
    }

    /// Those positions of the release itself that are not held.
    fn missing(&self, positions: impl Iterator<Item = u32>) -> impl Iterator<Item = u32> {
        let own = self.files.release.root.chunks;
        positions.filter(move |&position| position < own && !self.held.contains(position))
    }
}

fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}
