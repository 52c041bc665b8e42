//! Other releases of the same content that are kept on this disk: what they hold need not be fetched.

use freshet_protocol::ChunkId;

use crate::store::{ChunkFiles, Positions};

/// A release, and what of it is here.
#[derive(Debug, Clone)]
pub(crate) struct Sibling {
    pub(crate) files: ChunkFiles,
    pub(crate) held: Positions,
}

impl Sibling {
    /// A release of which a download was begun; none where nothing is known of it.
    pub(crate) fn begun(files: ChunkFiles) -> Option<Self> {
        let id = files.release.staging_id();
        let record = std::fs::read(files.layout.progress(id)).ok()?;
        let held = Positions::decode(&record, id, files.release.chunk_count())?;
        Some(Self { files, held })
    }

    /// A position at which it holds a chunk.
    pub(crate) fn position_of(&self, id: ChunkId) -> Option<u32> {
        self.files.release.positions_of(id).find(|&position| self.held.contains(position))
    }
}
