//! Reads chunks of published releases back from the store, keeping those read last: neighbouring deltas need the same.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Mutex;

use bytes::Bytes;
use freshet_protocol::{ChunkId, ContentName};

use super::super::map::ReleaseMap;
use crate::release::{self, ReadError};
use crate::store::Store;

/// Bytes of chunks that are kept.
const KEPT_BYTES: usize = 16 << 20;

/// Reads chunks of one content.
pub(super) struct ChunkReader<'a> {
    store: &'a Store,
    content: &'a ContentName,
    kept: Mutex<Kept>,
}

/// The chunks read last, the oldest first.
#[derive(Default)]
struct Kept {
    chunks: VecDeque<(ChunkId, Bytes)>,
    bytes: usize,
}

impl<'a> ChunkReader<'a> {
    pub(super) fn new(store: &'a Store, content: &'a ContentName) -> Self {
        Self { store, content, kept: Mutex::default() }
    }

    /// The joined bytes of neighbouring chunks.
    pub(super) async fn read(&self, map: &ReleaseMap, positions: Range<u32>) -> Result<Vec<u8>, ReadError> {
        let bytes = map.chunks[positions.start as usize..positions.end as usize]
            .iter()
            .map(|chunk| chunk.bytes as usize);
        let mut joined = Vec::with_capacity(bytes.sum());
        for position in positions {
            joined.extend_from_slice(&self.chunk(map, position).await?);
        }
        Ok(joined)
    }

    async fn chunk(&self, map: &ReleaseMap, position: u32) -> Result<Bytes, ReadError> {
        let chunk = map.chunk(position);
        if let Some(bytes) = self.kept.lock().expect("no holder panics").find(chunk.id) {
            return Ok(bytes);
        }
        let bytes = release::chunk(self.store, self.content, chunk, map.place(position)).await?;
        self.kept.lock().expect("no holder panics").keep(chunk.id, &bytes);
        Ok(bytes)
    }
}

impl Kept {
    fn find(&self, id: ChunkId) -> Option<Bytes> {
        self.chunks.iter().find(|(kept, _)| *kept == id).map(|(_, bytes)| bytes.clone())
    }

    fn keep(&mut self, id: ChunkId, bytes: &Bytes) {
        self.bytes += bytes.len();
        self.chunks.push_back((id, bytes.clone()));
        while self.bytes > KEPT_BYTES
            && let Some((_, gone)) = self.chunks.pop_front()
        {
            self.bytes -= gone.len();
        }
    }
}
