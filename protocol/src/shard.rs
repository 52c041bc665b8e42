//! Shards: equal runs of chunk positions, the unit in which a tracker spreads first copies over peers.

use crate::limits::{SHARD_CHUNKS_MIN, SHARDS_MAX};

/// How a release of a given size is divided. Peers and trackers compute the same division from the chunk count alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShardMap {
    chunks: u32,
    shard_chunks: u32,
}

impl ShardMap {
    /// Division of `chunks` positions: the smallest power of two of at least 4 positions a shard that gives at most
    /// 4096 shards.
    pub fn new(chunks: u32) -> Self {
        let shard_chunks = chunks.div_ceil(SHARDS_MAX).next_power_of_two().max(SHARD_CHUNKS_MIN);
        Self { chunks, shard_chunks }
    }

    /// Number of shards.
    pub fn count(&self) -> u32 {
        self.chunks.div_ceil(self.shard_chunks)
    }

    /// The shard of a position.
    pub fn shard_of(&self, chunk: u32) -> u32 {
        chunk / self.shard_chunks
    }

    /// The positions of a shard; empty for a shard beyond the last.
    pub fn positions(&self, shard: u32) -> std::ops::Range<u32> {
        let start = shard.saturating_mul(self.shard_chunks).min(self.chunks);
        start..start.saturating_add(self.shard_chunks).min(self.chunks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::CHUNKS_MAX;

    #[test]
    fn shards_cover_each_position_once() {
        for chunks in [0, 1, 4, 5, 512, 16_384, 16_385, 480_000, CHUNKS_MAX] {
            let map = ShardMap::new(chunks);
            assert!(map.count() <= SHARDS_MAX);
            let covered: u32 = (0..map.count()).map(|shard| map.positions(shard).len() as u32).sum();
            assert_eq!(covered, chunks);
            for shard in 0..map.count() {
                assert!(map.positions(shard).all(|chunk| map.shard_of(chunk) == shard));
            }
            assert!(map.positions(map.count()).is_empty());
            assert!(map.positions(u32::MAX).is_empty());
        }
    }
}
