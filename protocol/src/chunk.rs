//! Chunks: the unit of transfer, verification, storage and deduplication.

use bytes::Bytes;

use crate::id::{ChunkId, Hash};

/// Bytes that did not hash to the id they were asked for by.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("chunk {wanted} does not match its bytes, which hash to {found}")]
pub struct Mismatch {
    /// The id asked for.
    pub wanted: ChunkId,
    /// The hash of what came.
    pub found: Hash,
}

/// Bytes that match their id. Only [`VerifiedChunk::check`] makes one, so what takes a `VerifiedChunk` (install, cache,
/// sending to a peer) cannot be handed anything unverified.
#[derive(Debug, Clone)]
pub struct VerifiedChunk {
    id: ChunkId,
    bytes: Bytes,
}

impl VerifiedChunk {
    /// Hashes `bytes` and compares.
    ///
    /// # Errors
    /// [`Mismatch`] when they are not the chunk's.
    pub fn check(id: ChunkId, bytes: Bytes) -> Result<Self, Mismatch> {
        let found = Hash::of(&bytes);
        if found == id.0 { Ok(Self { id, bytes }) } else { Err(Mismatch { wanted: id, found }) }
    }

    /// The chunk's id.
    pub fn id(&self) -> ChunkId {
        self.id
    }

    /// The chunk's bytes.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The chunk's bytes, without a copy.
    pub fn into_bytes(self) -> Bytes {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_matching_bytes_pass() {
        let id = ChunkId::of(b"chunk");
        assert!(VerifiedChunk::check(id, Bytes::from_static(b"chunk")).is_ok());
        let wrong = VerifiedChunk::check(id, Bytes::from_static(b"Chunk"));
        assert_eq!(wrong.expect_err("differs").found, Hash::of(b"Chunk"));
    }
}
