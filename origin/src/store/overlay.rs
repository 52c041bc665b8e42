//! A store over another one: what is written lies in a temporary folder and ends with it, what lies below is only read.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use tempfile::TempDir;

#[derive(Debug)]
pub(super) struct Overlay {
    below: Arc<dyn ObjectStore>,
    above: LocalFileSystem,
    _folder: TempDir,
}

impl Overlay {
    /// # Errors
    /// When there is no temporary folder to be had.
    pub(super) fn new(below: Arc<dyn ObjectStore>) -> std::io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("freshet-dry-run-").tempdir()?;
        let above = LocalFileSystem::new_with_prefix(folder.path())?;
        Ok(Self { below, above, _folder: folder })
    }

    async fn find(&self, location: &Path) -> Result<Option<ObjectMeta>> {
        match self.head(location).await {
            Ok(meta) => Ok(Some(meta)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl fmt::Display for Overlay {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "what would be written over {}", self.below)
    }
}

#[async_trait]
impl ObjectStore for Overlay {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let path = location.to_string();
        match &options.mode {
            PutMode::Overwrite => {}
            PutMode::Create if self.find(location).await?.is_none() => {}
            PutMode::Create => return Err(Error::AlreadyExists { path, source: "it is there".into() }),
            PutMode::Update(seen) => {
                if self.find(location).await?.is_none_or(|now| now.e_tag != seen.e_tag) {
                    return Err(Error::Precondition { path, source: "it is another one".into() });
                }
            }
        }
        self.above.put_opts(location, payload, PutOptions { mode: PutMode::Overwrite, ..options }).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.above.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        match self.above.get_opts(location, options.clone()).await {
            Err(Error::NotFound { .. }) => self.below.get_opts(location, options).await,
            found => found,
        }
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        locations.map(|_| Err(unsupported("deletes"))).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (above, below) = (self.above.list(prefix), self.below.list(prefix));
        let joined = async move {
            let above: Vec<Result<ObjectMeta>> = above.collect().await;
            let named = |meta: &Result<ObjectMeta>| meta.as_ref().ok().map(|meta| meta.location.clone());
            let hidden: BTreeSet<Path> = above.iter().filter_map(named).collect();
            let below = below.filter(move |meta| {
                std::future::ready(!named(meta).is_some_and(|location| hidden.contains(&location)))
            });
            stream::iter(above).chain(below)
        };
        stream::once(joined).flatten().boxed()
    }

    async fn list_with_delimiter(&self, _prefix: Option<&Path>) -> Result<ListResult> {
        Err(unsupported("lists folders"))
    }

    async fn copy_opts(&self, _from: &Path, _to: &Path, _options: CopyOptions) -> Result<()> {
        Err(unsupported("copies"))
    }
}

fn unsupported(what: &str) -> Error {
    Error::NotSupported { source: format!("nothing that is tried out {what}").into() }
}
