//! Pieces from the origin.

use freshet_protocol::VerifiedChunk;
use freshet_swarm::{FetchEnd, FetchId, Input};

use super::Session;
use crate::origin::{PieceRun, RunEvent};
use crate::stream::library::place;

impl Session {
    pub(super) fn fetch(&mut self, fetch: FetchId, first: u32, count: u32) {
        let (number, piece) = place(first);
        let Some(segment) = self.library.segment(number) else {
            return self.tell(Input::OriginEnded { fetch, end: FetchEnd::Complete });
        };
        let pieces = piece..piece + count as usize;
        let run = PieceRun {
            fetch,
            first,
            path: segment.url.clone(),
            bytes: segment.bytes_of(pieces.clone()),
            pieces: segment.pieces[pieces].iter().map(|piece| (piece.id, piece.bytes)).collect(),
        };
        let task = run.start(self.origin.clone(), self.runs.clone());
        self.fetches.insert(fetch, (number, task.abort_handle()));
    }

    pub(super) fn run_event(&mut self, event: RunEvent) {
        match event {
            RunEvent::Progress { fetch, bytes } => {
                if self.fetches.contains_key(&fetch) {
                    self.tell(Input::OriginProgress { fetch, bytes });
                }
            }
            RunEvent::Chunk { fetch, position, chunk } => self.origin_piece(fetch, position, chunk),
            RunEvent::Ended { fetch, result } => {
                let Some((segment, _)) = self.fetches.remove(&fetch) else { return };
                let Err(error) = result else {
                    return self.tell(Input::OriginEnded { fetch, end: FetchEnd::Complete });
                };
                tracing::debug!(%error, stream = %self.stream, "origin fetch failed");
                self.tell(Input::OriginEnded { fetch, end: error.fetch_end() });
                // Who is told when to come back does so, and asks peers meanwhile.
                if error.retry_after.is_none() {
                    self.readers.failed(segment);
                }
                self.want(segment);
            }
        }
    }

    fn origin_piece(&mut self, fetch: FetchId, position: u32, chunk: Option<VerifiedChunk>) {
        if !self.fetches.contains_key(&fetch) {
            return;
        }
        let verified = chunk.is_some();
        if let Some(chunk) = &chunk {
            self.library.put(position, chunk);
        }
        self.tell(Input::OriginChunk { fetch, chunk: position, verified });
        if verified {
            self.arrived(position);
        } else {
            // However many pieces are wrong, it is one answer that is; its end says so.
            tracing::warn!(stream = %self.stream, "the origin sends other bytes than were signed");
        }
    }
}
