//! Puts the release together: places chunks, fills packs, cuts pages and writes them with their indexes.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use freshet_protocol::limits::{CHUNKS_MAX, PAGES_MAX};
use freshet_protocol::{
    ChunkRef, ContentName, Entry, FilePart, PackId, PackIndex, Page, PageCutter, PageId, PageRef, origin_path,
};
use futures_util::{StreamExt, TryStreamExt, stream};

use super::encode::Encoded;
use super::known::Places;
use super::pack::OpenPack;
use super::{Progress, PublishError};
use crate::gzip;
use crate::store::Store;

/// Cut pages that wait for the pack that their chunks are in; then the pack is closed early.
const PAGES_WAITING_MAX: usize = 64;
/// Pages written at once.
const PAGES_AT_ONCE: usize = 4;
/// Compression of pages: small, read by everybody, mostly hashes.
const PAGE_ZSTD_LEVEL: i32 = 9;

/// Where a release goes, and what is known of it.
pub(super) struct Target {
    pub(super) store: Store,
    pub(super) content: ContentName,
    pub(super) stored: Arc<Places>,
    /// The version exists, so a chunk that the store lacks proves that this is another release.
    pub(super) is_published: bool,
}

/// A release as far as it has been read.
pub(super) struct Assembly<'a> {
    target: Target,
    fresh: Places,
    pack: Option<OpenPack>,
    packs_used: BTreeSet<PackId>,
    file: Option<FilePart>,
    cutter: PageCutter,
    waiting: Vec<Page>,
    done: Assembled,
    report: &'a mut (dyn FnMut(Progress) + Send),
}

/// What the root says of its pages, and what was stored for them.
#[derive(Default)]
pub(super) struct Assembled {
    pub(super) pages: Vec<PageRef>,
    pub(super) entries: u32,
    pub(super) progress: Progress,
    pub(super) packs_used: BTreeSet<PackId>,
}

impl<'a> Assembly<'a> {
    pub(super) fn new(target: Target, report: &'a mut (dyn FnMut(Progress) + Send)) -> Self {
        Self {
            target,
            fresh: Places::default(),
            pack: None,
            packs_used: BTreeSet::new(),
            file: None,
            cutter: PageCutter::default(),
            waiting: Vec::new(),
            done: Assembled::default(),
            report,
        }
    }

    /// Takes the next entry in path order.
    pub(super) async fn entry(&mut self, entry: Entry) -> Result<(), PublishError> {
        self.end_file().await?;
        self.done.entries += 1;
        match entry {
            Entry::File(file) => self.file = Some(file),
            Entry::Folder(_) | Entry::Link { .. } => self.cut(entry).await?,
        }
        Ok(())
    }

    /// Takes the next chunk of the file that came last.
    pub(super) async fn chunk(&mut self, mut chunk: Encoded) -> Result<(), PublishError> {
        let progress = &mut self.done.progress;
        if progress.chunks == CHUNKS_MAX {
            return Err(PublishError::TooManyChunks);
        }
        progress.chunks += 1;
        progress.bytes += u64::from(chunk.bytes);
        let file = self.file.as_mut().expect("chunks follow their file");
        file.chunks.push(ChunkRef { id: chunk.id, bytes: chunk.bytes });
        match chunk.data.take() {
            Some((encoding, data)) if !self.fresh.contains(chunk.id) => {
                self.store_chunk(chunk, encoding, data).await
            }
            _ => Ok(()),
        }
    }

    /// Writes what is left; nothing of it is visible before a root names it.
    pub(super) async fn finish(&mut self) -> Result<Assembled, PublishError> {
        self.end_file().await?;
        self.waiting.extend(std::mem::take(&mut self.cutter).finish());
        self.close_pack().await?;
        self.write_pages().await?;
        self.done.packs_used = std::mem::take(&mut self.packs_used);
        Ok(std::mem::take(&mut self.done))
    }

    /// Gives up; complete packs stay for the next try.
    pub(super) async fn abort(self) {
        if let Some(pack) = self.pack {
            pack.abort().await;
        }
    }

    async fn store_chunk(
        &mut self,
        chunk: Encoded,
        encoding: freshet_protocol::Encoding,
        data: Bytes,
    ) -> Result<(), PublishError> {
        if self.target.is_published {
            return Err(PublishError::VersionTaken);
        }
        let progress = &mut self.done.progress;
        progress.new_chunks += 1;
        progress.new_bytes += u64::from(chunk.bytes);
        progress.stored_bytes += data.len() as u64;
        let pack = match &mut self.pack {
            Some(pack) => pack,
            none => {
                let pack = OpenPack::start(&self.target.store, &self.target.content);
                self.fresh.open_pack(pack.id());
                none.insert(pack)
            }
        };
        self.fresh.add(&pack.append(&chunk, encoding, data).await?);
        if pack.is_full() {
            self.close_pack().await?;
            self.write_pages().await?;
        }
        Ok(())
    }

    async fn close_pack(&mut self) -> Result<(), PublishError> {
        if let Some(pack) = self.pack.take() {
            pack.finish().await?;
            self.done.progress.packs += 1;
            (self.report)(self.done.progress.clone());
        }
        Ok(())
    }

    async fn end_file(&mut self) -> Result<(), PublishError> {
        match self.file.take() {
            Some(file) => self.cut(Entry::File(file)).await,
            None => Ok(()),
        }
    }

    async fn cut(&mut self, entry: Entry) -> Result<(), PublishError> {
        self.waiting.extend(self.cutter.push(entry));
        if self.done.pages.len() + self.waiting.len() > PAGES_MAX {
            return Err(PublishError::TooManyPages);
        }
        if self.waiting.len() > PAGES_WAITING_MAX {
            self.close_pack().await?;
        }
        if self.pack.is_none() { self.write_pages().await } else { Ok(()) }
    }

    /// Writes the waiting pages, all of whose chunks lie in complete packs now.
    async fn write_pages(&mut self) -> Result<(), PublishError> {
        let pages = std::mem::take(&mut self.waiting);
        let mut written =
            stream::iter(pages.iter().map(|page| self.write_page(page))).buffered(PAGES_AT_ONCE);
        let mut done = Vec::with_capacity(pages.len());
        while let Some(page) = written.try_next().await? {
            done.push(page);
        }
        drop(written);
        for (page, index) in done {
            self.done.pages.push(page);
            self.packs_used.extend(index.places.iter().map(|place| place.pack));
        }
        Ok(())
    }

    async fn write_page(&self, page: &Page) -> Result<(PageRef, PackIndex), PublishError> {
        let Target { store, content, stored, .. } = &self.target;
        let plain = page.encode();
        let id = PageId::of(&plain);
        let place = |chunk: &ChunkRef| self.fresh.place(chunk.id).or_else(|| stored.place(chunk.id));
        let places = page.chunks().map(|chunk| place(chunk).expect("each chunk was placed before its page"));
        let index = PackIndex { places: places.collect() };
        let packed = zstd::bulk::compress(&plain, PAGE_ZSTD_LEVEL).map_err(PublishError::Compress)?;
        store.replace(&origin_path::index(content, id), index.encode().into()).await?;
        store.create(&origin_path::page(content, id), packed.into()).await?;
        store.create(&origin_path::page_gzip(content, id), gzip::compress(&plain).into()).await?;
        let first = page.entries.first().expect("a cut page has entries").path().to_string();
        Ok((PageRef { id, bytes: plain.len() as u32, chunks: page.chunk_count(), first }, index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sidecar::PACK_CHUNKS_MAX;
    use freshet_protocol::{ChunkId, Encoding};

    fn target() -> Target {
        let store = Store::of_objects(Arc::new(object_store::memory::InMemory::new()));
        let content = "game/demo".parse().expect("name");
        Target { store, content, stored: Arc::default(), is_published: false }
    }

    fn file(size: u64) -> Entry {
        let path = "file".parse().expect("path");
        Entry::File(FilePart { path, executable: false, size, offset: 0, chunks: Vec::new() })
    }

    fn chunk(n: u32) -> Encoded {
        let data = Bytes::copy_from_slice(&n.to_be_bytes());
        Encoded { id: ChunkId::of(&data), bytes: 4, data: Some((Encoding::Identity, data)) }
    }

    /// A folder whose record in a page is long.
    fn folder(n: u32) -> Entry {
        Entry::Folder(format!("{}/{n:08}", ["x".repeat(200).as_str(); 5].join("/")).parse().expect("path"))
    }

    #[tokio::test]
    async fn as_many_chunks_as_a_release_may_have() {
        let mut ignore = |_| {};
        let mut assembly = Assembly::new(target(), &mut ignore);
        assembly.entry(file(4 * u64::from(CHUNKS_MAX))).await.expect("taken");
        for _ in 0..CHUNKS_MAX {
            assembly.chunk(chunk(0)).await.expect("taken");
        }
        assert!(matches!(assembly.chunk(chunk(0)).await, Err(PublishError::TooManyChunks)));
    }

    #[tokio::test]
    async fn a_pack_holds_a_bounded_number_of_chunks() {
        let mut packs = Vec::new();
        let mut report = |progress: Progress| packs.push((progress.packs, progress.new_chunks));
        let mut assembly = Assembly::new(target(), &mut report);
        let count = PACK_CHUNKS_MAX as u32 + 1;
        assembly.entry(file(4 * u64::from(count))).await.expect("taken");
        for n in 0..count {
            assembly.chunk(chunk(n)).await.expect("taken");
        }
        let assembled = assembly.finish().await.expect("finished");
        assert_eq!(assembled.pages.iter().map(|page| page.chunks).sum::<u32>(), count);
        assert_eq!(packs, [(1, PACK_CHUNKS_MAX as u32), (2, count)]);
    }

    #[tokio::test]
    async fn pages_wait_for_a_pack_within_a_bound() {
        let mut ignore = |_| {};
        let mut assembly = Assembly::new(target(), &mut ignore);
        assembly.entry(file(4)).await.expect("taken");
        assembly.chunk(chunk(0)).await.expect("taken");
        let mut waiting = 0;
        for n in 0.. {
            assembly.entry(folder(n)).await.expect("taken");
            if assembly.done.progress.packs == 1 {
                break;
            }
            waiting = assembly.waiting.len();
        }
        assert_eq!(waiting, PAGES_WAITING_MAX, "then the pack was closed early");
        assert!(assembly.waiting.is_empty());
    }

    #[tokio::test]
    async fn as_many_pages_as_a_root_may_name() {
        let mut ignore = |_| {};
        let mut assembly = Assembly::new(target(), &mut ignore);
        let mut n = 0;
        let error = loop {
            match assembly.entry(folder(n)).await {
                Ok(()) => n += 1,
                Err(error) => break error,
            }
        };
        assert!(matches!(error, PublishError::TooManyPages), "{error}");
        assert_eq!(assembly.done.pages.len(), PAGES_MAX);
    }
}
