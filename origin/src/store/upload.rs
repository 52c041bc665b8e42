//! A large object on its way into the store, in parts.

use bytes::Bytes;
use object_store::{MultipartUpload, WriteMultipart};

use super::{Store, StoreError};

/// Bytes of one part; S3 wants at least 5 MiB.
const PART_BYTES: usize = 8 << 20;
/// Parts on their way at once.
const PARTS_MAX: usize = 2;

/// An upload. The object appears with [`Upload::finish`]; dropped before, it never does.
pub(crate) struct Upload {
    store: Store,
    path: String,
    parts: WriteMultipart,
}

impl Upload {
    pub(super) fn new(store: Store, path: String, parts: Box<dyn MultipartUpload>) -> Self {
        Self { store, path, parts: WriteMultipart::new_with_chunk_size(parts, PART_BYTES) }
    }

    /// Appends bytes, waiting while too many parts are on their way.
    pub(crate) async fn write(&mut self, bytes: Bytes) -> Result<(), StoreError> {
        let room = self.parts.wait_for_capacity(PARTS_MAX).await;
        room.map_err(|error| self.store.error("write", &self.path, error))?;
        self.parts.put(bytes);
        Ok(())
    }

    /// Makes the object appear.
    pub(crate) async fn finish(self) -> Result<(), StoreError> {
        let Self { store, path, parts } = self;
        parts.finish().await.map(drop).map_err(|error| store.error("write", &path, error))
    }

    /// Gives up and frees what the store holds of it.
    pub(crate) async fn abort(self) {
        // The caller is about to report what went wrong first; a store that cannot abort either says nothing new.
        self.parts.abort().await.ok();
    }
}
