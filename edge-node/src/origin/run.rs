//! One fetch of the core: a run of positions, one HTTP request for each stretch of a pack, each chunk delivered as its
//! bytes are complete.

use std::ops::Range;
use std::sync::Arc;

use freshet_protocol::{VerifiedChunk, origin_path};
use freshet_swarm::FetchId;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::origin::client::Origin;
use crate::origin::error::{OriginError, OriginFault};
use crate::origin::index::{EarlyIndex, Indexes};
use crate::origin::slices::{Cutter, join, plain};
use crate::release::Release;

/// Bytes after which a run reports progress, so that slow bodies are seen to move.
pub(super) const PROGRESS_BYTES: u32 = 16 << 10;

/// What a run reports, in order.
#[derive(Debug)]
pub(crate) enum RunEvent {
    /// Body bytes came in since the last such report.
    Progress { fetch: FetchId, bytes: u32 },
    /// A chunk came; none when its bytes do not match.
    Chunk { fetch: FetchId, position: u32, chunk: Option<VerifiedChunk> },
    /// All chunks came, or the origin failed.
    Ended { fetch: FetchId, result: Result<(), OriginError> },
}

/// The origin of one release, ready for runs.
#[derive(Debug, Clone)]
pub(crate) struct Runs {
    origin: Origin,
    release: Arc<Release>,
    indexes: Arc<Indexes>,
    events: mpsc::Sender<RunEvent>,
}

impl Runs {
    /// Runs of `release`; all report to `events`, which holds them back when it is full. `index` is that of the first
    /// page, if it is on its way.
    pub(crate) fn new(
        origin: Origin,
        release: Arc<Release>,
        index: Option<EarlyIndex>,
        events: mpsc::Sender<RunEvent>,
    ) -> Self {
        let indexes = Arc::new(Indexes::new(&release, index));
        Self { origin, release, indexes, events }
    }

    /// Starts a run; aborting its task breaks the HTTP request off.
    pub(crate) fn start(&self, fetch: FetchId, positions: Range<u32>) -> JoinHandle<()> {
        let runs = self.clone();
        tokio::spawn(async move {
            let result = runs.fetch(fetch, positions).await;
            // Nobody listens any more when the job has ended.
            let _ = runs.events.send(RunEvent::Ended { fetch, result }).await;
        })
    }

    async fn fetch(&self, fetch: FetchId, positions: Range<u32>) -> Result<(), OriginError> {
        let mut next = positions.start;
        while next < positions.end {
            match self.fetch_from(fetch, next..positions.end).await? {
                Step::Done => return Ok(()),
                Step::Again(position) => next = position,
            }
        }
        Ok(())
    }

    /// Fetches until all is done, or until a chunk shows that its page's index is out of date.
    async fn fetch_from(&self, fetch: FetchId, positions: Range<u32>) -> Result<Step, OriginError> {
        let mut places = Vec::with_capacity(positions.len());
        for position in positions {
            places.push((position, self.indexes.place(&self.origin, position).await?));
        }
        for slice in join(places) {
            let first = slice.chunks[0].0;
            let path = origin_path::pack(&self.release.root.content, slice.pack);
            let body = match self.origin.range(&path, slice.start, slice.end).await {
                Ok(body) => body,
                Err(error) if is_stale(&error) && self.indexes.refresh(first).await => {
                    return Ok(Step::Again(first));
                }
                Err(error) => return Err(error),
            };
            let mut cutter = Cutter::new(body);
            let mut unreported = 0;
            for (position, place) in slice.chunks {
                let wanted = self.release.chunk(position);
                while let Some(bytes) = cutter.fill(place.stored_bytes).await? {
                    unreported += bytes;
                    if unreported >= PROGRESS_BYTES {
                        let _ = self.events.send(RunEvent::Progress { fetch, bytes: unreported }).await;
                        unreported = 0;
                    }
                }
                let chunk = plain(cutter.take(place.stored_bytes), place.encoding, wanted.bytes)
                    .and_then(|bytes| VerifiedChunk::check(wanted.id, bytes).ok());
                if chunk.is_none() && self.indexes.refresh(position).await {
                    return Ok(Step::Again(position));
                }
                let is_wrong = chunk.is_none();
                let _ = self.events.send(RunEvent::Chunk { fetch, position, chunk }).await;
                if is_wrong && self.origin.has_mirrors() {
                    // What else comes from there is hardly better; another address may have the right bytes.
                    return Err(cutter.wrong());
                }
            }
        }
        Ok(Step::Done)
    }
}

enum Step {
    Done,
    /// Go on at this position with a fresh index.
    Again(u32),
}

/// A pack that is gone or shorter than the index says: the origin may have been repacked.
fn is_stale(error: &OriginError) -> bool {
    error.is_missing() || matches!(error.fault, OriginFault::Status(416))
}
