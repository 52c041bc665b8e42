//! One fetch of a stream's core: neighbouring pieces of a segment in one HTTP request, each delivered as its bytes are
//! complete.

use std::ops::Range;

use freshet_protocol::{ChunkId, VerifiedChunk};
use freshet_swarm::FetchId;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::origin::client::Origin;
use crate::origin::error::OriginError;
use crate::origin::run::{PROGRESS_BYTES, RunEvent};
use crate::origin::slices::Cutter;

/// A run of pieces.
#[derive(Debug)]
pub(crate) struct PieceRun {
    pub(crate) fetch: FetchId,
    /// Position of the first one.
    pub(crate) first: u32,
    /// The resource, below the origin's base URL.
    pub(crate) path: String,
    /// What of the resource they are.
    pub(crate) bytes: Range<u64>,
    /// Their ids and sizes.
    pub(crate) pieces: Vec<(ChunkId, u32)>,
}

impl PieceRun {
    /// Starts the run; aborting its task breaks the HTTP request off.
    pub(crate) fn start(self, origin: Origin, events: mpsc::Sender<RunEvent>) -> JoinHandle<()> {
        tokio::spawn(async move {
            let fetch = self.fetch;
            let result = self.fetch(&origin, &events).await;
            // Nobody listens any more when the session has ended.
            let _ = events.send(RunEvent::Ended { fetch, result }).await;
        })
    }

    async fn fetch(self, origin: &Origin, events: &mpsc::Sender<RunEvent>) -> Result<(), OriginError> {
        let Self { fetch, first, path, bytes: Range { start, end }, pieces } = self;
        let mut cutter = Cutter::new(origin.range(&path, start, end).await?);
        let (mut unreported, mut is_good) = (0, true);
        for (position, (id, bytes)) in (first..).zip(pieces) {
            while let Some(came) = cutter.fill(bytes).await? {
                unreported += came;
                if unreported >= PROGRESS_BYTES {
                    let _ = events.send(RunEvent::Progress { fetch, bytes: unreported }).await;
                    unreported = 0;
                }
            }
            let chunk = VerifiedChunk::check(id, cutter.take(bytes)).ok();
            is_good &= chunk.is_some();
            let _ = events.send(RunEvent::Chunk { fetch, position, chunk }).await;
        }
        // However many pieces are wrong, it is one answer that is.
        if is_good { Ok(()) } else { Err(cutter.wrong()) }
    }
}
