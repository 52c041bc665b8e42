//! Stores the files of a folder, each once, as they are.

use std::collections::BTreeSet;

use bytes::{Bytes, BytesMut};
use freshet_protocol::{ContentName, RelPath, origin_path};
use tokio::fs::File;
use tokio::io::AsyncReadExt;

use super::HlsPublished;
use crate::platform;
use crate::store::{Store, StoreError};
use crate::stream::error::StreamError;
use crate::stream::folder::Folder;

/// Bytes read at once.
const READ_BYTES: usize = 1 << 20;

pub(super) struct Uploader<'a> {
    store: Store,
    content: ContentName,
    folder: &'a Folder,
    done: BTreeSet<RelPath>,
    stored_files: usize,
    stored_bytes: u64,
}

impl<'a> Uploader<'a> {
    pub(super) fn new(store: Store, content: ContentName, folder: &'a Folder) -> Self {
        Self { store, content, folder, done: BTreeSet::new(), stored_files: 0, stored_bytes: 0 }
    }

    /// Stores a file whose segments have entries already, unless one of its size is there.
    pub(super) async fn put_unless_there(&mut self, file: &RelPath) -> Result<(), StreamError> {
        if self.done.contains(file) {
            return Ok(());
        }
        let place = self.folder.place(file);
        let metadata = tokio::fs::metadata(&place).await;
        let bytes = metadata.map_err(|source| StreamError::Io { path: place, source })?.len();
        match self.store.size(&origin_path::media(&self.content, file)).await {
            Ok(stored) if stored == bytes => {
                self.done.insert(file.clone());
                Ok(())
            }
            Err(error) if !error.is_not_found() => Err(error.into()),
            _ => self.put(file).await,
        }
    }

    /// Stores a file.
    pub(super) async fn put(&mut self, file: &RelPath) -> Result<(), StreamError> {
        if !self.done.insert(file.clone()) {
            return Ok(());
        }
        let place = self.folder.place(file);
        let fail = |source| StreamError::Io { path: place.clone(), source };
        let mut open = File::open(&place).await.map_err(fail)?;
        let seen = self.folder.stamp(file);
        let before = platform::stamp(&open.metadata().await.map_err(fail)?);
        let mut upload = self.store.upload(&origin_path::media(&self.content, file));
        let written = async {
            loop {
                let mut piece = BytesMut::with_capacity(READ_BYTES);
                if open.read_buf(&mut piece).await.map_err(fail)? == 0 {
                    break;
                }
                self.stored_bytes += piece.len() as u64;
                upload.write(piece.freeze()).await?;
            }
            let after = platform::stamp(&open.metadata().await.map_err(fail)?);
            // Entries are about what was looked at first.
            match before == after && seen.is_none_or(|seen| seen == before) {
                true => Ok(()),
                false => Err(StreamError::Changed(place.clone())),
            }
        };
        match written.await {
            Ok(()) => upload.finish().await?,
            Err(error) => {
                upload.abort().await;
                return Err(error);
            }
        }
        self.stored_files += 1;
        Ok(())
    }

    /// Stores a file that has been read already.
    pub(super) async fn put_bytes(&mut self, file: &RelPath, bytes: Bytes) -> Result<(), StoreError> {
        self.done.insert(file.clone());
        self.stored_files += 1;
        self.stored_bytes += bytes.len() as u64;
        self.store.replace(&origin_path::media(&self.content, file), bytes).await
    }

    pub(super) fn tell(&self, published: &mut HlsPublished) {
        published.files = self.done.len();
        (published.stored_files, published.stored_bytes) = (self.stored_files, self.stored_bytes);
    }
}
