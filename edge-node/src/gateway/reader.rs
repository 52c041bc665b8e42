//! Reads a file of an open release in order, as chunks come, and says what it is going to read next.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use freshet_listen::http::{ByteStream, Source};
use freshet_protocol::Hash;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use ring::digest::{Context, SHA256};
use tokio::sync::oneshot;

use super::release::OpenRelease;
use crate::job::{Ask, Found};

/// Chunks that are got ready while one is sent.
const CHUNKS_AHEAD: usize = 4;
/// What is wanted ahead of a reader: little at first, since it may want no more than the beginning, and then twice as much
/// as it has read.
const AHEAD_BYTES_MIN: u64 = 1 << 20;
const AHEAD_BYTES_MAX: u64 = 16 << 20;
/// It is wanted in steps of this part of it, so that the origin is asked for long ranges.
const STEPS: u64 = 4;
/// How often bytes that were changed on disk are got anew.
const ATTEMPTS: usize = 3;

/// Why a file cannot be read on.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    /// The job has ended; it has told why.
    #[error("the release was closed")]
    Closed,
    #[error("what is kept of the release is changed again and again")]
    Changed,
}

/// A file of an open release.
#[derive(Clone)]
pub(super) struct FileSource {
    pub(super) release: Arc<OpenRelease>,
    /// Its place among the release's files.
    pub(super) file: usize,
}

impl FileSource {
    pub(super) fn bytes(&self) -> u64 {
        self.release.files.release.files[self.file].bytes
    }

    /// SHA-256 of the whole, where it is known by now.
    pub(super) fn known_digest(&self) -> Option<Hash> {
        self.release.files.release.digest_of(self.file).or_else(|| self.release.digest(self.file))
    }

    /// SHA-256 of the whole, for which all of it is read.
    pub(super) async fn digest(&self) -> Result<Hash, ReadError> {
        if let Some(known) = self.known_digest() {
            return Ok(known);
        }
        let whole = self.stream(0..self.bytes());
        whole.try_for_each(|_| std::future::ready(Ok(()))).await?;
        self.known_digest().ok_or(ReadError::Closed)
    }

    async fn chunk(&self, position: u32, ahead: Range<u32>) -> Result<Bytes, ReadError> {
        let mut lost = None;
        for _ in 0..ATTEMPTS {
            let (answer, answered) = oneshot::channel();
            self.release.ask(Ask::Chunk { position, ahead: ahead.clone(), lost, answer }).await?;
            let place = match answered.await.map_err(|_| ReadError::Closed)? {
                Found::Bytes(bytes) => return Ok(bytes),
                Found::At(place) => place,
            };
            let files = self.release.files.clone();
            let read = tokio::task::spawn_blocking(move || files.read(place)).await;
            match read.expect("reading does not panic") {
                Ok(chunk) => return Ok(chunk.into_bytes()),
                Err(error) => {
                    tracing::warn!(place, %error, "what is kept of a release was changed; getting it anew");
                    lost = Some(place);
                }
            }
        }
        Err(ReadError::Changed)
    }

    /// What to want while `position` is read, by a reader that began at `start` and reads to `end`.
    fn ahead(&self, position: u32, start: u64, end: u64) -> Range<u32> {
        let release = &self.release.files.release;
        let (_, offset) = release.place(position);
        let ahead = (2 * offset.saturating_sub(start)).clamp(AHEAD_BYTES_MIN, AHEAD_BYTES_MAX);
        let ahead = ahead.next_power_of_two();
        let until = (offset + ahead).next_multiple_of(ahead / STEPS);
        let last = release.positions_in(self.file, &(offset..end.min(until)));
        position..last.end.max(position + 1)
    }
}

impl Source for FileSource {
    type Error = ReadError;

    fn stream(&self, range: Range<u64>) -> ByteStream<ReadError> {
        let positions = self.release.files.release.positions_in(self.file, &range);
        let (start, end) = (range.start, range.end);
        let source = self.clone();
        let chunks = stream::iter(positions).map(move |position| {
            let source = source.clone();
            async move {
                let ahead = source.ahead(position, start, end);
                let bytes = source.chunk(position, ahead).await?;
                let (_, offset) = source.release.files.release.place(position);
                let from = start.saturating_sub(offset) as usize;
                let to = (end - offset).min(bytes.len() as u64) as usize;
                Ok(bytes.slice(from..to))
            }
        });
        let reading = self.release.reading(self.file);
        let chunks = chunks.buffered(CHUNKS_AHEAD).inspect(move |_| reading.goes_on());
        if range != (0..self.bytes()) || self.known_digest().is_some() {
            return chunks.boxed();
        }
        // Who reads it whole learns what it is.
        let (source, mut context, mut left) = (self.clone(), Some(Context::new(&SHA256)), end);
        chunks
            .inspect_ok(move |bytes: &Bytes| {
                if let Some(context) = &mut context {
                    context.update(bytes);
                }
                left -= bytes.len() as u64;
                if let Some(context) = context.take_if(|_| left == 0) {
                    let digest = context.finish().as_ref().try_into().expect("SHA-256 has 32 bytes");
                    source.release.learn_digest(source.file, Hash(digest));
                }
            })
            .boxed()
    }
}
