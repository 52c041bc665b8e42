//! Writes new chunks into packs, one pack at a time, each followed by its list of chunks.

use freshet_protocol::{ContentName, PackId, origin_path};
use ring::rand::{SecureRandom, SystemRandom};

use super::packs::Blob;
use crate::layout;
use crate::sidecar::{self, PACK_CHUNKS_MAX, PackedChunk};
use crate::store::{Store, StoreError, Upload};

/// A pack is closed once it holds this many bytes.
pub(super) const PACK_BYTES: u32 = 64 << 20;

/// A pack being written.
pub(super) struct OpenPack {
    store: Store,
    content: ContentName,
    id: PackId,
    upload: Upload,
    chunks: Vec<PackedChunk>,
    bytes: u32,
}

impl OpenPack {
    pub(super) fn start(store: &Store, content: &ContentName) -> Self {
        let mut id = PackId([0; 16]);
        SystemRandom::new().fill(&mut id.0).expect("the operating system gives random bytes");
        let upload = store.upload(&origin_path::pack(content, id));
        Self { store: store.clone(), content: content.clone(), id, upload, chunks: Vec::new(), bytes: 0 }
    }

    pub(super) fn id(&self) -> PackId {
        self.id
    }

    /// Appends a blob and returns where it lies.
    pub(super) async fn append(&mut self, blob: Blob) -> Result<PackedChunk, StoreError> {
        let Blob { id, bytes, encoding, data } = blob;
        let packed = PackedChunk { id, bytes, offset: self.bytes, stored_bytes: data.len() as u32, encoding };
        self.upload.write(data).await?;
        self.bytes += packed.stored_bytes;
        self.chunks.push(packed);
        Ok(packed)
    }

    pub(super) fn is_full(&self) -> bool {
        self.bytes >= PACK_BYTES || self.chunks.len() >= PACK_CHUNKS_MAX
    }

    /// Completes the pack, then writes its list: what is listed can be relied on.
    pub(super) async fn finish(self) -> Result<u32, StoreError> {
        self.upload.finish().await?;
        let list = sidecar::encode(&self.chunks).into();
        self.store.replace(&layout::sidecar(&self.content, self.id), list).await?;
        Ok(self.bytes)
    }

    pub(super) async fn abort(self) {
        self.upload.abort().await;
    }
}
