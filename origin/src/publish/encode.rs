//! Hashes and compresses chunks on all cores, keeping their order.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use freshet_protocol::{ChunkId, Encoding};
use zstd::bulk::Compressor;

use super::PublishError;
use super::known::Places;

/// A chunk ready to be placed.
pub(super) struct Encoded {
    pub(super) id: ChunkId,
    /// Plain size, in bytes.
    pub(super) bytes: u32,
    /// What to store; none when the store had the chunk already.
    pub(super) data: Option<(Encoding, Bytes)>,
}

/// Hashes chunks and compresses those that the store lacks. Cheap to clone.
#[derive(Clone)]
pub(super) struct Encoder {
    stored: Arc<Places>,
    level: i32,
    /// Idle compressors: making one costs as much as a small chunk, so they are kept.
    idle: Arc<Mutex<Vec<Compressor<'static>>>>,
}

impl Encoder {
    pub(super) fn new(stored: Arc<Places>, level: i32) -> Self {
        Self { stored, level, idle: Arc::default() }
    }

    pub(super) async fn encode(self, chunk: Vec<u8>) -> Result<Encoded, PublishError> {
        let work = tokio::task::spawn_blocking(move || self.encode_now(chunk));
        work.await.expect("hashing and compressing do not panic").map_err(PublishError::Compress)
    }

    fn encode_now(&self, chunk: Vec<u8>) -> std::io::Result<Encoded> {
        let (id, bytes) = (ChunkId::of(&chunk), chunk.len() as u32);
        if self.stored.contains(id) {
            return Ok(Encoded { id, bytes, data: None });
        }
        let idle = self.idle.lock().expect("no holder panics").pop();
        let mut compressor = idle.map_or_else(|| Compressor::new(self.level), Ok)?;
        let packed = compressor.compress(&chunk)?;
        self.idle.lock().expect("no holder panics").push(compressor);
        let data = if is_clearly_smaller(packed.len(), chunk.len()) {
            (Encoding::Zstd, Bytes::from(packed))
        } else {
            (Encoding::Identity, Bytes::from(chunk))
        };
        Ok(Encoded { id, bytes, data: Some(data) })
    }
}

/// At least 3 % smaller: less is not worth a player's time to decompress.
fn is_clearly_smaller(packed_bytes: usize, plain_bytes: usize) -> bool {
    packed_bytes * 100 <= plain_bytes * 97
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_gains_are_not_kept() {
        let check = |packed, plain, expected| assert_eq!(is_clearly_smaller(packed, plain), expected);
        check(97, 100, true);
        check(98, 100, false);
        check(10, 1, false);
    }

    #[test]
    fn known_chunks_carry_no_data() {
        let encoder = Encoder::new(Arc::default(), 3);
        let encoding =
            |chunk: Vec<u8>| encoder.encode_now(chunk).expect("encoded").data.map(|(encoding, _)| encoding);
        assert_eq!(encoding(vec![7; 4096]), Some(Encoding::Zstd));
        assert_eq!(encoding(b"x".to_vec()), Some(Encoding::Identity));
        let mut places = Places::default();
        places.add_pack(
            freshet_protocol::PackId([0; 16]),
            &[crate::sidecar::PackedChunk {
                id: ChunkId::of(b"x"),
                bytes: 1,
                offset: 0,
                stored_bytes: 1,
                encoding: Encoding::Identity,
            }],
        );
        let encoder = Encoder::new(Arc::new(places), 3);
        assert!(encoder.encode_now(b"x".to_vec()).expect("encoded").data.is_none());
    }
}
