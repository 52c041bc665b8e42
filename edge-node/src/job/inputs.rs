//! What happens outside, as inputs of the core.

use freshet_protocol::VerifiedChunk;
use freshet_swarm::{FetchEnd, FetchId, Input};

use crate::job::Job;
use crate::node::GetError;
use crate::origin::RunEvent;
use crate::store::StoreEvent;

impl Job {
    pub(super) fn store_event(&mut self, event: StoreEvent) -> Result<(), GetError> {
        let result = self.content.stored(event);
        result.map_err(|error| GetError::io(self.content.files.layout.folder(), &error))
    }

    pub(super) fn run_event(&mut self, event: RunEvent) -> Result<(), GetError> {
        match event {
            RunEvent::Progress { fetch, bytes } => {
                if self.fetches.contains_key(&fetch) {
                    self.origin_watch.progressed();
                    self.tell(Input::OriginProgress { fetch, bytes });
                }
                Ok(())
            }
            RunEvent::Chunk { fetch, position, chunk } => self.origin_chunk(fetch, position, chunk),
            RunEvent::Ended { fetch, result } => {
                if self.fetches.remove(&fetch).is_none() {
                    return Ok(());
                }
                let end = match result {
                    Ok(()) => FetchEnd::Complete,
                    Err(error) => {
                        if self.origin_watch.is_failing() {
                            tracing::debug!(%error, "origin fetch failed again");
                        } else {
                            tracing::warn!(%error, "origin fetch failed; told once until one succeeds");
                        }
                        let end = error.fetch_end();
                        self.origin_watch.failed(error);
                        end
                    }
                };
                self.tell(Input::OriginEnded { fetch, end });
                Ok(())
            }
        }
    }

    fn origin_chunk(
        &mut self,
        fetch: FetchId,
        position: u32,
        chunk: Option<VerifiedChunk>,
    ) -> Result<(), GetError> {
        if !self.fetches.contains_key(&fetch) {
            return Ok(());
        }
        let verified = chunk.is_some();
        match chunk {
            Some(chunk) => {
                self.keep(chunk);
                self.origin_watch.succeeded();
                self.tell(Input::OriginChunk { fetch, chunk: position, verified });
                self.found(position);
                self.take_delta(position);
                Ok(())
            }
            None => {
                self.tell(Input::OriginChunk { fetch, chunk: position, verified });
                let release = &self.content.files.release;
                let file = release.files.get(release.place(position).0);
                let what = file.map_or_else(|| "a patch".to_owned(), |file| file.path.to_string());
                self.origin_watch.wrong_chunk(position, &what, self.links.count())
            }
        }
    }

    pub(super) fn keep(&mut self, chunk: VerifiedChunk) {
        self.origin_watch.progressed();
        self.progress.first_chunk();
        self.readers.came(&chunk);
        self.content.keep(chunk);
    }

    /// A chunk came in: all of its places are held.
    pub(super) fn found(&mut self, position: u32) {
        let release = std::sync::Arc::clone(&self.content.files.release);
        if release.places_of(position).any(|place| place != position) {
            self.tell(Input::Found { ranges: freshet_protocol::ranges_of(release.places_of(position)) });
        }
    }
}
