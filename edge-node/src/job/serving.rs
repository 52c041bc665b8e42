//! Hands chunks to peers, from memory or from disk, where they are hashed before a byte of them is sent.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use freshet_protocol::{RefuseReason, Request, VerifiedChunk};
use freshet_swarm::{Input, LinkId};

use crate::job::{Job, Phase};
use crate::node::GetError;

/// Most pages and roots that are read or sent at a time; they are small, and come before anything else of a peer.
const DOCUMENTS_SENT_MAX: usize = 32;

/// What was read for a peer.
pub(super) enum ReadBack {
    Chunk {
        link: LinkId,
        request: u64,
        position: u32,
        result: io::Result<VerifiedChunk>,
    },
    /// A page or root, not yet checked.
    Document {
        link: LinkId,
        asked: Request,
        result: io::Result<Bytes>,
    },
}

impl Job {
    pub(super) fn serve(&mut self, link: LinkId, request: u64, position: u32) {
        if !self.links.is_waiting(link, request) {
            // Taken back meanwhile; the core has been told.
            return;
        }
        let id = self.content.files.release.chunk(position).id;
        if let Some(bytes) = self.content.find(id) {
            return self.links.hand_over(link, request, &bytes);
        }
        let files = self.content.files.clone();
        let (readers, done) = (Arc::clone(&self.read_permits), self.read_back.clone());
        tokio::spawn(async move {
            let reader = readers.acquire_owned().await.expect("it is never closed");
            tokio::task::spawn_blocking(move || {
                let result = files.read(position);
                drop(reader);
                // The job may be over.
                let _ = done.blocking_send(ReadBack::Chunk { link, request, position, result });
            });
        });
    }

    /// # Errors
    /// When bytes that were written to staging come back changed: then the disk cannot be trusted with an install.
    pub(super) fn read_back(&mut self, read: ReadBack) -> Result<(), GetError> {
        match read {
            ReadBack::Chunk { link, request, position, result } => {
                self.chunk_read(link, request, position, result)
            }
            ReadBack::Document { link, asked, result } => {
                self.document_read(link, asked, result);
                Ok(())
            }
        }
    }

    fn chunk_read(
        &mut self,
        link: LinkId,
        request: u64,
        position: u32,
        result: io::Result<VerifiedChunk>,
    ) -> Result<(), GetError> {
        match result {
            Ok(chunk) => {
                self.content.read_back(&chunk);
                self.links.hand_over(link, request, chunk.bytes());
                Ok(())
            }
            Err(error) if matches!(self.phase, Phase::Fetching) => {
                let (file, _) = self.content.files.release.place(position);
                if !self.config.placing.staying.contains(position) {
                    // Without its record, all of the staging is hashed before it is believed again.
                    let _ = std::fs::remove_file(
                        self.content.files.layout.progress(self.content.files.release.staging_id()),
                    );
                    return Err(GetError::io(&self.content.files.staged(file), &error));
                }
                self.lost(link, request, position, &error);
                Ok(())
            }
            Err(error) => {
                self.lost(link, request, position, &error);
                Ok(())
            }
        }
    }

    /// The owner changed the file: the position is withdrawn, and nobody is blamed.
    fn lost(&mut self, link: LinkId, request: u64, position: u32, error: &io::Error) {
        tracing::info!(position, %error, "an installed file was changed; no longer shared");
        self.content.lost(position);
        self.tell(Input::Lost { chunk: position });
        self.links.refuse(link, request, RefuseReason::NotHeld);
        self.tell(Input::Sent { link, request, bytes: 0 });
    }

    /// Hands over a page or a root from the folder's cache.
    pub(super) fn read_document(&mut self, link: LinkId, asked: Request) {
        let Some(path) = self.documents.blob_path(asked.kind, asked.hash) else { return };
        if self.documents_sent.len() >= DOCUMENTS_SENT_MAX {
            return self.links.refuse(link, asked.request, RefuseReason::Busy);
        }
        self.documents_sent.insert((link, asked.request));
        let done = self.read_back.clone();
        tokio::task::spawn_blocking(move || {
            let result = std::fs::read(path).map(Bytes::from);
            // The job may be over.
            let _ = done.blocking_send(ReadBack::Document { link, asked, result });
        });
    }

    fn document_read(&mut self, link: LinkId, asked: Request, result: io::Result<Bytes>) {
        let good = result.ok().filter(|bytes| self.documents.is_good_blob(asked.kind, asked.hash, bytes));
        match good {
            Some(bytes) => self.links.hand_over(link, asked.request, &bytes),
            None => {
                self.documents_sent.remove(&(link, asked.request));
                self.links.refuse(link, asked.request, RefuseReason::NotHeld);
            }
        }
    }
}
