//! The plain file view: files of a release, put together from chunks for clients that know nothing of Freshet. Each
//! chunk is checked before it is sent; links are followed inside the release.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use freshet_protocol::{
    ChunkRef, ContentName, Entry, FileExtent, Hash, Name, PackIndex, Page, PageId, Place, RelPath, Root,
    RootId, Walk, origin_path,
};
use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};
use moka::sync::Cache;

use super::gzip_pages::GzipPages;
use crate::release::{self, ReadError};
use crate::store::Store;

/// Releases remembered; their roots are at most 64 KiB.
const RELEASES_MAX: u64 = 64;
/// Memory for pages and for indexes, in bytes each.
const PAGES_BYTES_MAX: u64 = 32 << 20;
/// How long a version or an index may be served after it changed in the store.
const LIFE: Duration = Duration::from_secs(60);
/// Chunks read ahead of the client.
const CHUNKS_AHEAD: usize = 2;

/// Reads files of releases.
pub(super) struct Files {
    store: Store,
    releases: Cache<(ContentName, Name), Arc<Release>>,
    pages: Cache<PageId, Arc<Page>>,
    indexes: Cache<PageId, Arc<PackIndex>>,
    gzip_pages: GzipPages,
}

struct Release {
    content: ContentName,
    id: RootId,
    root: Root,
}

/// A file of a release, ready to be read.
#[derive(Clone)]
pub(super) struct FileView {
    files: Arc<Files>,
    release: Arc<Release>,
    path: RelPath,
    /// Number of the page in which it starts.
    page: usize,
    bytes: u64,
    digest: Option<Hash>,
}

/// A chunk and which part of it is wanted.
struct Cut {
    chunk: ChunkRef,
    place: Place,
    part: Range<usize>,
}

impl Files {
    pub(super) fn new(store: Store) -> Self {
        let index_weight = |_: &PageId, index: &Arc<PackIndex>| index.places.len() as u32 * 32;
        Self {
            store,
            releases: Cache::builder().max_capacity(RELEASES_MAX).time_to_live(LIFE).build(),
            pages: Cache::builder()
                .max_capacity(PAGES_BYTES_MAX)
                .weigher(|_, page: &Arc<Page>| page_weight(page))
                .build(),
            indexes: Cache::builder()
                .max_capacity(PAGES_BYTES_MAX)
                .weigher(index_weight)
                .time_to_live(LIFE)
                .build(),
            gzip_pages: GzipPages::new(),
        }
    }

    pub(super) fn gzip_pages(&self) -> &GzipPages {
        &self.gzip_pages
    }

    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    /// Opens the file at `path`, if the version exists and has one there.
    pub(super) async fn open(
        self: &Arc<Self>,
        content: &ContentName,
        version: &Name,
        path: &RelPath,
    ) -> Result<Option<FileView>, ReadError> {
        let release = match self.release(content, version).await {
            Ok(release) => release,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error),
        };
        let Some((page, file)) = self.resolve(&release, path).await? else { return Ok(None) };
        let digest = match file.chunks.as_slice() {
            [] if file.size == 0 => Some(Hash::of(b"")),
            [only] if u64::from(only.bytes) == file.size => Some(only.id.0),
            _ => None,
        };
        let FileExtent { path, size, .. } = file;
        Ok(Some(FileView { files: self.clone(), release, path, page, bytes: size, digest }))
    }

    /// Follows links.
    async fn resolve(
        &self,
        release: &Release,
        path: &RelPath,
    ) -> Result<Option<(usize, FileExtent)>, ReadError> {
        let mut walk = Walk::to(path);
        while let Some((at, is_end)) = walk.step() {
            match self.entry(release, &at).await? {
                Some((page, Entry::File(file))) if is_end => return Ok(Some((page, file))),
                Some((_, Entry::Link { target, .. })) if walk.follow(&target) => {}
                // No entry of its own: a folder that holds others, or nothing.
                None => {}
                Some(_) => return Ok(None),
            }
        }
        Ok(None)
    }

    /// The entry at `path` and the page in which it starts.
    async fn entry(&self, release: &Release, path: &RelPath) -> Result<Option<(usize, Entry)>, ReadError> {
        let refs = &release.root.pages;
        let after = refs.partition_point(|page| page.first.as_str() < path.as_str());
        // In the page before, unless it starts one.
        for number in after.saturating_sub(1)..refs.len().min(after + 1) {
            let page = self.page(release, number).await?;
            if let Ok(at) = page.entries.binary_search_by(|entry| entry.path().cmp(path)) {
                return Ok(Some((number, page.entries[at].clone())));
            }
        }
        Ok(None)
    }

    async fn release(&self, content: &ContentName, version: &Name) -> Result<Arc<Release>, ReadError> {
        let key = (content.clone(), version.clone());
        if let Some(release) = self.releases.get(&key) {
            return Ok(release);
        }
        let id = release::version(&self.store, content, version).await?.root;
        let root = release::root(&self.store, content, id).await?;
        let release = Arc::new(Release { content: content.clone(), id, root });
        self.releases.insert(key, release.clone());
        Ok(release)
    }

    async fn page(&self, release: &Release, number: usize) -> Result<Arc<Page>, ReadError> {
        let page = &release.root.pages[number];
        if let Some(page) = self.pages.get(&page.id) {
            return Ok(page);
        }
        let read = Arc::new(release::page(&self.store, &release.content, page).await?);
        self.pages.insert(page.id, read.clone());
        Ok(read)
    }

    async fn index(&self, release: &Release, number: usize) -> Result<Arc<PackIndex>, ReadError> {
        let page = &release.root.pages[number];
        if let Some(index) = self.indexes.get(&page.id) {
            return Ok(index);
        }
        let read = Arc::new(release::index(&self.store, &release.content, page.id, page.chunks).await?);
        self.indexes.insert(page.id, read.clone());
        Ok(read)
    }
}

/// Memory that a decoded page takes, in bytes.
fn page_weight(page: &Page) -> u32 {
    let paths: usize = page.entries.iter().map(|entry| entry.path().as_str().len() + 128).sum();
    (paths + page.chunk_count() as usize * size_of::<ChunkRef>()) as u32
}

impl FileView {
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// SHA-256 of the whole, known where one chunk is the file.
    pub(super) fn digest(&self) -> Option<Hash> {
        self.digest
    }

    pub(super) fn etag(&self) -> String {
        origin_path::file_tag(self.release.id, &self.path)
    }

    /// Streams a range, chunk by chunk.
    pub(super) fn stream(self, range: Range<u64>) -> BoxStream<'static, Result<Bytes, ReadError>> {
        let (files, release) = (self.files.clone(), self.release.clone());
        let first = self.page;
        stream::try_unfold(first, move |number| {
            let (view, range) = (self.clone(), range.clone());
            async move {
                let cuts = view.cuts(number, &range).await?;
                Ok::<_, ReadError>(cuts.map(|cuts| (cuts, number + 1)))
            }
        })
        .map_ok(|cuts| stream::iter(cuts.into_iter().map(Ok::<_, ReadError>)))
        .try_flatten()
        .map_ok(move |cut: Cut| {
            let (files, release) = (files.clone(), release.clone());
            async move {
                let bytes = release::chunk(&files.store, &release.content, &cut.chunk, &cut.place).await?;
                Ok(bytes.slice(cut.part))
            }
        })
        .try_buffered(CHUNKS_AHEAD)
        .boxed()
    }

    /// What of the range the page holds; none once the file or the range has ended.
    async fn cuts(&self, number: usize, range: &Range<u64>) -> Result<Option<Vec<Cut>>, ReadError> {
        if number >= self.release.root.pages.len() {
            return Ok(None);
        }
        let page = self.files.page(&self.release, number).await?;
        let Some((file, first)) = part_of(&page, &self.path) else { return Ok(None) };
        if file.offset >= range.end {
            return Ok(None);
        }
        let index = self.files.index(&self.release, number).await?;
        let mut cuts = Vec::new();
        let mut start = file.offset;
        for (chunk, place) in file.chunks.iter().zip(&index.places[first..]) {
            let end = start + u64::from(chunk.bytes);
            let (from, to) = (range.start.max(start), range.end.min(end));
            if from < to {
                let part = (from - start) as usize..(to - start) as usize;
                cuts.push(Cut { chunk: *chunk, place: *place, part });
            }
            start = end;
        }
        Ok(Some(cuts))
    }
}

/// The part of a file in a page, and the position of its first chunk among the page's.
fn part_of<'a>(page: &'a Page, path: &RelPath) -> Option<(&'a FileExtent, usize)> {
    let mut position = 0;
    for entry in &page.entries {
        match entry {
            Entry::File(file) if file.path == *path => return Some((file, position)),
            Entry::File(file) => position += file.chunks.len(),
            Entry::Folder { .. } | Entry::Link { .. } => {}
        }
    }
    None
}
