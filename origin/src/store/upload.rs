//! A large object on its way into the store, in parts. One that turns out to be small is written in one piece.

use bytes::Bytes;
use object_store::{ObjectStoreExt, PutPayload, WriteMultipart};
use serde::{Deserialize, Serialize};

use super::{Store, StoreError};

/// Bytes of one part; S3 wants at least 5 MiB.
pub(crate) const PART_BYTES: usize = 8 << 20;
/// Parts on their way at once.
const PARTS_MAX: usize = 2;

/// What `receive` calls an upload.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct UploadName {
    pub(crate) upload: String,
}

/// An upload. The object appears with [`Upload::finish`]; dropped before, it never does.
pub(crate) struct Upload {
    store: Store,
    path: String,
    /// What came so far, up to one part.
    first: Vec<Bytes>,
    first_bytes: usize,
    /// Set once there is more than one part.
    parts: Option<WriteMultipart>,
}

impl Upload {
    pub(super) fn new(store: Store, path: String) -> Self {
        Self { store, path, first: Vec::new(), first_bytes: 0, parts: None }
    }

    /// Appends bytes, waiting while too many parts are on their way.
    pub(crate) async fn write(&mut self, bytes: Bytes) -> Result<(), StoreError> {
        let parts = match &mut self.parts {
            Some(parts) => parts,
            None if self.first_bytes + bytes.len() <= PART_BYTES => {
                self.first_bytes += bytes.len();
                self.first.push(bytes);
                return Ok(());
            }
            none => {
                let path = self.store.path(&self.path)?;
                let started = self.store.objects.put_multipart(&path).await;
                let started = started.map_err(|error| self.store.error("write", &self.path, error))?;
                let parts = none.insert(WriteMultipart::new_with_chunk_size(started, PART_BYTES));
                self.first.drain(..).for_each(|bytes| parts.put(bytes));
                parts
            }
        };
        let room = parts.wait_for_capacity(PARTS_MAX).await;
        room.map_err(|error| self.store.error("write", &self.path, error))?;
        parts.put(bytes);
        Ok(())
    }

    /// Makes the object appear.
    pub(crate) async fn finish(self) -> Result<(), StoreError> {
        let Self { store, path, first, parts, .. } = self;
        let finished = match parts {
            Some(parts) => parts.finish().await.map(drop),
            None => {
                let whole: PutPayload = first.into_iter().collect();
                store.objects.put(&store.path(&path)?, whole).await.map(drop)
            }
        };
        finished.map_err(|error| store.error("write", &path, error))
    }

    /// Gives up and frees what the store holds of it.
    pub(crate) async fn abort(self) {
        if let Some(parts) = self.parts {
            // The caller is about to report what went wrong first; a store that cannot abort either says nothing new.
            parts.abort().await.ok();
        }
    }
}
