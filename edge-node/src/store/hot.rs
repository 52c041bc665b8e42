//! Verified chunks in memory, so that fresh ones are handed on without reading them back.

use bytes::Bytes;
use freshet_protocol::{ChunkId, VerifiedChunk};
use moka::sync::Cache;

/// A bounded cache of verified chunks.
#[derive(Debug, Clone)]
pub(crate) struct HotChunks {
    cache: Cache<ChunkId, Bytes>,
}

impl HotChunks {
    /// A cache that holds at most about `bytes_max` bytes.
    pub(crate) fn new(bytes_max: u64) -> Self {
        let weigh = |_: &ChunkId, bytes: &Bytes| u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        Self { cache: Cache::builder().max_capacity(bytes_max).weigher(weigh).build() }
    }

    pub(crate) fn put(&self, chunk: &VerifiedChunk) {
        self.cache.insert(chunk.id(), chunk.bytes().clone());
    }

    pub(crate) fn find(&self, id: ChunkId) -> Option<Bytes> {
        self.cache.get(&id)
    }
}
