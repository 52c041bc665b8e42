//! Where an origin keeps its objects: a local folder, an S3-compatible bucket, or a store behind `receive`. The types of `object_store` do not
//! leave this folder.

mod abandoned;
mod error;
mod location;
mod lock;
mod overlay;
mod remote;
mod upload;

use std::ops::Range;
use std::path::{Path as FsPath, PathBuf};
use std::sync::Arc;

use axum::http::HeaderValue;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions, UpdateVersion,
};
use serde::{Deserialize, Serialize};

pub(crate) use abandoned::Abandoned;
pub use error::StoreError;
pub(crate) use lock::ContentLock;
use overlay::Overlay;
use remote::Remote;
pub(crate) use upload::{PART_BYTES, Upload, UploadName};

/// Bytes read from a local store at once while streaming.
const PIECE_BYTES: u64 = 256 << 10;
/// Most objects that one listing returns.
pub(crate) const LIST_OBJECTS_MAX: usize = 1 << 20;

/// An object as a listing names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Object {
    pub(crate) path: String,
    pub(crate) bytes: u64,
    /// Time of the last write, Unix seconds.
    pub(crate) modified: u64,
}

/// An object as it is now.
#[derive(Debug, Clone)]
pub(crate) struct State {
    pub(crate) bytes: u64,
    /// Tells this state from others, where the store can.
    pub(crate) tag: Option<String>,
}

impl State {
    /// Whether a request's tag means this state.
    pub(crate) fn is(&self, tag: &HeaderValue) -> bool {
        self.tag.as_ref().is_some_and(|own| own.as_bytes() == tag.as_bytes())
    }

    pub(crate) fn revision(&self) -> Revision {
        Revision(UpdateVersion { e_tag: self.tag.clone(), version: None })
    }
}

/// Which state of an object was read; a swap succeeds only on that state.
#[derive(Debug, Clone)]
pub(crate) struct Revision(UpdateVersion);

/// A place for objects. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    objects: Arc<dyn ObjectStore>,
    /// Set for a local folder.
    folder: Option<PathBuf>,
    name: String,
    is_dry: bool,
}

impl Store {
    /// Opens a folder (made if missing), `s3://bucket/prefix`, or the `https://` address of a [`crate::receive`]. A bucket
    /// takes endpoint, region and keys from the environment (`AWS_ENDPOINT`, `AWS_REGION`, `AWS_ACCESS_KEY_ID`,
    /// `AWS_SECRET_ACCESS_KEY`, `AWS_ALLOW_HTTP`), the last its token (`FRESHET_STORE_TOKEN`).
    ///
    /// # Errors
    /// [`StoreError::Location`] when the folder cannot be made or the settings are not complete.
    pub fn open(location: &str) -> Result<Self, StoreError> {
        let place = location::open(location)?;
        Ok(Self { objects: place.objects, folder: place.folder, name: location.to_owned(), is_dry: false })
    }

    /// Opens the store behind a [`crate::receive`] with its token. `http://` is for this machine alone.
    ///
    /// # Errors
    /// [`StoreError::Location`] when the address or the token cannot be used.
    pub fn open_remote(location: &str, token: &str) -> Result<Self, StoreError> {
        let place = location::open_remote(location, token)?;
        Ok(Self { objects: place.objects, folder: None, name: location.to_owned(), is_dry: false })
    }

    #[cfg(test)]
    pub(crate) fn of_objects(objects: Arc<dyn ObjectStore>) -> Self {
        Self { objects, folder: None, name: "test".to_owned(), is_dry: false }
    }

    /// The same store, where what is written is seen through what this returns alone, and ends with it. It lies in a
    /// temporary folder meanwhile.
    ///
    /// # Errors
    /// When there is no such folder to be had.
    pub(crate) fn dry(&self) -> Result<Self, StoreError> {
        let overlay = Overlay::new(self.objects.clone()).map_err(|error| StoreError::Io {
            store: self.name.clone(),
            action: "try out",
            object: std::env::temp_dir().display().to_string(),
            source: error.into(),
        })?;
        Ok(Self { objects: Arc::new(overlay), folder: None, name: self.name.clone(), is_dry: true })
    }

    /// Whether nothing that is written stays.
    pub(crate) fn is_dry(&self) -> bool {
        self.is_dry
    }

    /// The location as given to [`Store::open`].
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The local folder, if it is one.
    pub(crate) fn folder(&self) -> Option<&FsPath> {
        self.folder.as_deref()
    }

    /// Reads a whole object of at most `limit` bytes.
    pub(crate) async fn read(&self, path: &str, limit: u64) -> Result<Bytes, StoreError> {
        Ok(self.read_revision(path, limit).await?.0)
    }

    /// Reads a whole object of at most `limit` bytes and which state of it this is.
    pub(crate) async fn read_revision(
        &self,
        path: &str,
        limit: u64,
    ) -> Result<(Bytes, Revision), StoreError> {
        let fail = |error| self.error("read", path, error);
        let found = self.objects.get(&self.path(path)?).await.map_err(fail)?;
        if found.meta.size > limit {
            return Err(StoreError::TooLong { store: self.name.clone(), object: path.to_owned(), limit });
        }
        let revision = UpdateVersion { e_tag: found.meta.e_tag.clone(), version: found.meta.version.clone() };
        Ok((found.bytes().await.map_err(fail)?, Revision(revision)))
    }

    /// Reads `range` of an object; an error when it ends earlier.
    pub(crate) async fn read_range(&self, path: &str, range: Range<u64>) -> Result<Bytes, StoreError> {
        let wanted = range.end - range.start;
        let fail = |error| self.error("read", path, error);
        let bytes = self.objects.get_range(&self.path(path)?, range).await.map_err(fail)?;
        if bytes.len() as u64 == wanted { Ok(bytes) } else { Err(self.short(path)) }
    }

    /// Size of an object, in bytes.
    pub(crate) async fn size(&self, path: &str) -> Result<u64, StoreError> {
        Ok(self.state(path).await?.bytes)
    }

    /// What is to be known of an object before it is read.
    pub(crate) async fn state(&self, path: &str) -> Result<State, StoreError> {
        let meta = self.objects.head(&self.path(path)?).await;
        let meta = meta.map_err(|error| self.error("read", path, error))?;
        Ok(State { bytes: meta.size, tag: meta.e_tag })
    }

    /// Streams `range` of an object, never holding more than a piece of it. With the `tag` of one state of it, an object
    /// that is replaced meanwhile ends the stream with an error: what was read is never a mixture.
    pub(crate) fn stream(
        &self,
        path: &str,
        range: Range<u64>,
        tag: Option<String>,
    ) -> BoxStream<'static, Result<Bytes, StoreError>> {
        let (store, path) = (self.clone(), path.to_owned());
        if self.folder.is_none() {
            return stream::once(async move { store.stream_remote(path, range, tag).await })
                .try_flatten()
                .boxed();
        }
        stream::try_unfold(range, move |rest| {
            let (store, path, tag) = (store.clone(), path.clone(), tag.clone());
            async move {
                if rest.is_empty() {
                    return Ok(None);
                }
                let end = rest.end.min(rest.start + PIECE_BYTES);
                let piece = store.read_piece(&path, rest.start..end, tag).await?;
                Ok(Some((piece, end..rest.end)))
            }
        })
        .boxed()
    }

    async fn read_piece(
        &self,
        path: &str,
        range: Range<u64>,
        tag: Option<String>,
    ) -> Result<Bytes, StoreError> {
        let wanted = range.end - range.start;
        let options = GetOptions::new().with_range(Some(GetRange::Bounded(range))).with_if_match(tag);
        let fail = |error| self.error("read", path, error);
        let found = self.objects.get_opts(&self.path(path)?, options).await.map_err(fail)?;
        let bytes = found.bytes().await.map_err(fail)?;
        if bytes.len() as u64 == wanted { Ok(bytes) } else { Err(self.short(path)) }
    }

    async fn stream_remote(
        self,
        path: String,
        range: Range<u64>,
        tag: Option<String>,
    ) -> Result<BoxStream<'static, Result<Bytes, StoreError>>, StoreError> {
        let options = GetOptions::new().with_range(Some(GetRange::Bounded(range))).with_if_match(tag);
        let found = self.objects.get_opts(&self.path(&path)?, options).await;
        let found = found.map_err(|error| self.error("read", &path, error))?;
        Ok(found.into_stream().map_err(move |error| self.error("read", &path, error)).boxed())
    }

    /// Writes an object unless one of that name is there; returns whether it was written.
    pub(crate) async fn create(&self, path: &str, bytes: Bytes) -> Result<bool, StoreError> {
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        match self.objects.put_opts(&self.path(path)?, bytes.into(), options).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::AlreadyExists { .. }) => Ok(false),
            Err(error) => Err(self.error("write", path, error)),
        }
    }

    /// Writes an object, over any that is there; readers see the old one or the new one.
    pub(crate) async fn replace(&self, path: &str, bytes: Bytes) -> Result<(), StoreError> {
        let written = self.objects.put(&self.path(path)?, bytes.into()).await;
        written.map(drop).map_err(|error| self.error("write", path, error))
    }

    /// Writes an object over the state `seen`, or where there was none; [`StoreError::Changed`] on any other state.
    /// A folder has no conditional write: there the caller's [`ContentLock`] keeps others out.
    pub(crate) async fn swap(
        &self,
        path: &str,
        bytes: Bytes,
        seen: Option<Revision>,
    ) -> Result<(), StoreError> {
        let changed = || StoreError::Changed { store: self.name.clone(), object: path.to_owned() };
        let Some(Revision(seen)) = seen else {
            return if self.create(path, bytes).await? { Ok(()) } else { Err(changed()) };
        };
        if self.folder.is_some() {
            return self.replace(path, bytes).await;
        }
        let options = PutOptions { mode: PutMode::Update(seen), ..PutOptions::default() };
        match self.objects.put_opts(&self.path(path)?, bytes.into(), options).await {
            Ok(_) => Ok(()),
            Err(object_store::Error::Precondition { .. }) => Err(changed()),
            Err(error) => Err(self.error("write", path, error)),
        }
    }

    /// Starts the upload of a large object, which appears when it is finished.
    pub(crate) fn upload(&self, path: &str) -> Upload {
        Upload::new(self.clone(), path.to_owned())
    }

    /// All objects under `prefix`, or in the store where it is empty, ordered by name.
    pub(crate) async fn list(&self, prefix: &str) -> Result<Vec<Object>, StoreError> {
        self.list_bounded(prefix, LIST_OBJECTS_MAX).await
    }

    async fn list_bounded(&self, prefix: &str, objects_max: usize) -> Result<Vec<Object>, StoreError> {
        let mut listing = self.listing(prefix)?;
        let mut found = Vec::new();
        while let Some(object) = listing.try_next().await? {
            if found.len() == objects_max {
                return Err(StoreError::TooMany { store: self.name.clone(), prefix: prefix.to_owned() });
            }
            found.push(object);
        }
        found.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Ok(found)
    }

    /// The same as they come, in no order and however many there are.
    pub(crate) fn listing(
        &self,
        prefix: &str,
    ) -> Result<BoxStream<'static, Result<Object, StoreError>>, StoreError> {
        let path = if prefix.is_empty() { None } else { Some(self.path(prefix)?) };
        let (store, prefix) = (self.clone(), prefix.to_owned());
        let listing = self.objects.list(path.as_ref());
        let named = move |meta: object_store::Result<ObjectMeta>| {
            let meta = meta.map_err(|error| store.error("list", &prefix, error))?;
            let modified = u64::try_from(meta.last_modified.timestamp()).unwrap_or(0);
            Ok(Object { path: meta.location.to_string(), bytes: meta.size, modified })
        };
        Ok(listing.map(named).boxed())
    }

    /// Deletes an object; that there is none is no error.
    pub(crate) async fn delete(&self, path: &str) -> Result<(), StoreError> {
        match self.objects.delete(&self.path(path)?).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.error("delete", path, error)),
        }
    }

    fn path(&self, path: &str) -> Result<Path, StoreError> {
        Path::parse(path).map_err(|error| self.error("name", path, error.into()))
    }

    fn short(&self, path: &str) -> StoreError {
        let source = "it ends early".into();
        StoreError::Io { store: self.name.clone(), action: "read", object: path.to_owned(), source }
    }

    fn error(&self, action: &'static str, object: &str, error: object_store::Error) -> StoreError {
        let (store, object) = (self.name.clone(), object.to_owned());
        match error {
            object_store::Error::NotFound { .. } => StoreError::NotFound { store, object },
            error => StoreError::Io { store, action, object, source: error.into() },
        }
    }
}

#[cfg(test)]
mod tests;
