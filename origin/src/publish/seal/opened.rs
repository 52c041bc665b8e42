//! A file of a sealed release, opened as it is read.

use bytes::{Bytes, BytesMut};
use freshet_protocol::{
    ContentName, RelPath, ReleaseKey, SealedBlob, SealedHead, SealedHeadError, SealedHeadReader,
};
use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};

use super::super::PublishError;
use super::super::map::ReleaseMap;
use super::plan::{StoredBlob, stored};
use super::read::{read_run, runs};
use crate::release;
use crate::store::Store;

/// Runs of chunks that are read and opened at once.
const RUNS_AT_ONCE: usize = 3;

/// A sealed release in a store, and the key that opens it.
pub(super) struct SealedRelease<'a> {
    pub(super) store: &'a Store,
    pub(super) content: &'a ContentName,
    pub(super) map: ReleaseMap,
    pub(super) key: ReleaseKey,
}

/// A file that is read from its beginning.
pub(super) struct OpenedFile<'a> {
    path: RelPath,
    pieces: BoxStream<'a, Result<Bytes, PublishError>>,
    /// What was read and is not used yet.
    rest: BytesMut,
}

impl SealedRelease<'_> {
    /// Opens the file at `path`, if there is one.
    pub(super) fn open(&self, path: &str) -> Option<OpenedFile<'_>> {
        let path: RelPath = path.parse().ok()?;
        let file = self.map.file(&path)?;
        let stored: Vec<StoredBlob> = stored(&self.map, file.positions.clone());
        let mut next = 0;
        let numbered: Vec<(u32, Vec<StoredBlob>)> = runs(&stored)
            .map(|run| {
                let first = next;
                next += run.len() as u32;
                (first, run.to_vec())
            })
            .collect();
        let at = path.clone();
        let pieces = stream::iter(numbered).map(move |(first, run)| self.run(at.clone(), first, run));
        Some(OpenedFile { path, pieces: pieces.buffered(RUNS_AT_ONCE).boxed(), rest: BytesMut::new() })
    }

    /// Reads and opens chunks that lie behind each other, from the `first` of the file on.
    async fn run(&self, path: RelPath, first: u32, run: Vec<StoredBlob>) -> Result<Bytes, PublishError> {
        let bytes = read_run(self.store, self.content, &run).await?;
        let key = self.key;
        let work = tokio::task::spawn_blocking(move || {
            let mut plain = BytesMut::with_capacity(bytes.len());
            let mut rest = bytes;
            for (index, stored) in (first..).zip(&run) {
                let mut chunk = rest.split_to(stored.blob.stored_bytes as usize).to_vec();
                let opened = key.open_chunk(path.as_str(), index, &mut chunk);
                let opened = opened.map_err(|error| opening(&path, format!("chunk {index}: {error}")))?;
                plain.extend_from_slice(opened);
            }
            Ok(plain.freeze())
        });
        work.await.expect("opening does not panic")
    }
}

impl OpenedFile<'_> {
    /// Reads the head; the blobs follow.
    pub(super) async fn head(&mut self) -> Result<SealedHead, PublishError> {
        let (mut reader, mut head, mut pushed) = (SealedHeadReader::default(), SealedHead::default(), 0);
        let refused = |error: SealedHeadError| opening(&self.path, error.to_string());
        while !reader.is_done() {
            let Some(piece) = self.pieces.try_next().await? else {
                return Err(opening(&self.path, "it ends within its head".to_owned()));
            };
            reader.push(&piece).map_err(refused)?;
            while let Some(item) = reader.next_item().map_err(refused)? {
                head.take(item).map_err(refused)?;
            }
            pushed += piece.len() as u64;
            let beyond = pushed - pushed.min(reader.blobs_start().unwrap_or(pushed));
            self.rest.extend_from_slice(&piece[piece.len() - (beyond as usize).min(piece.len())..]);
        }
        Ok(head)
    }

    /// The next blob, as the origin stores it.
    pub(super) async fn blob(&mut self, blob: &SealedBlob) -> Result<Bytes, PublishError> {
        let bytes = blob.stored_bytes as usize;
        while self.rest.len() < bytes {
            match self.pieces.try_next().await? {
                Some(piece) => self.rest.extend_from_slice(&piece),
                None => return Err(opening(&self.path, "it ends before its last blob".to_owned())),
            }
        }
        let stored = self.rest.split_to(bytes).freeze();
        let chunk = freshet_protocol::ChunkRef { id: blob.id, bytes: blob.bytes };
        release::open_chunk(&chunk, blob.encoding, stored.clone())
            .map_err(|reason| opening(&self.path, reason))?;
        Ok(stored)
    }
}

pub(super) fn opening(path: &RelPath, reason: String) -> PublishError {
    PublishError::Opening { object: format!("sealed file {path}"), reason }
}
