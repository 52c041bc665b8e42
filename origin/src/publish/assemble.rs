//! Puts the release together: places chunks, fills packs, cuts pages and writes them with their indexes.

use std::collections::BTreeSet;

use freshet_protocol::Part;
use freshet_protocol::limits::{CHUNKS_MAX, PAGES_MAX};
use freshet_protocol::{ChunkRef, Entry, FileExtent, PackId, Page, PageCutter, PageRef};
use futures_util::{StreamExt, TryStreamExt, stream};

use super::encode::Encoded;
use super::packs::{Blob, Packs};
use super::{Progress, PublishError};

/// Cut pages that wait for the pack that their chunks are in; then the pack is closed early.
const PAGES_WAITING_MAX: usize = 64;
/// Pages written at once.
const PAGES_AT_ONCE: usize = 4;

/// A release as far as it has been read.
pub(super) struct Assembly<'a> {
    packs: Packs,
    /// The version exists, so a chunk that the store lacks proves that this is another release.
    is_published: bool,
    packs_used: BTreeSet<PackId>,
    file: Option<FileExtent>,
    cutter: PageCutter,
    waiting: Vec<Page>,
    done: Assembled,
    report: &'a mut (dyn FnMut(Progress) + Send),
}

/// What the root says of its pages, and what was stored for them.
#[derive(Default)]
pub(super) struct Assembled {
    pub(super) pages: Vec<PageRef>,
    pub(super) parts: Vec<Part>,
    pub(super) entries: u32,
    pub(super) progress: Progress,
    pub(super) packs_used: BTreeSet<PackId>,
}

impl<'a> Assembly<'a> {
    pub(super) fn new(
        packs: Packs,
        parts: Vec<Part>,
        is_published: bool,
        report: &'a mut (dyn FnMut(Progress) + Send),
    ) -> Self {
        Self {
            packs,
            is_published,
            packs_used: BTreeSet::new(),
            file: None,
            cutter: PageCutter::default(),
            waiting: Vec::new(),
            done: Assembled { parts, ..Assembled::default() },
            report,
        }
    }

    /// Takes the next entry in path order.
    pub(super) async fn entry(&mut self, entry: Entry) -> Result<(), PublishError> {
        self.end_file().await?;
        self.done.entries += 1;
        match entry {
            Entry::File(file) => {
                if let Some(part) = file.part {
                    self.done.parts[usize::from(part)].bytes += file.size;
                }
                self.file = Some(file);
            }
            Entry::Folder { .. } | Entry::Link { .. } => self.cut(entry).await?,
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
            Some((encoding, data)) if !self.packs.is_fresh(chunk.id) => {
                self.store_chunk(Blob { id: chunk.id, bytes: chunk.bytes, encoding, data }).await
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
        self.packs.abort().await;
    }

    async fn store_chunk(&mut self, chunk: Blob) -> Result<(), PublishError> {
        if self.is_published {
            return Err(PublishError::VersionTaken);
        }
        let progress = &mut self.done.progress;
        progress.new_chunks += 1;
        progress.new_bytes += u64::from(chunk.bytes);
        progress.stored_bytes += chunk.data.len() as u64;
        if self.packs.append(chunk).await? {
            self.pack_completed();
            self.write_pages().await?;
        }
        Ok(())
    }

    async fn close_pack(&mut self) -> Result<(), PublishError> {
        if self.packs.close().await? {
            self.pack_completed();
        }
        Ok(())
    }

    fn pack_completed(&mut self) {
        self.done.progress.packs += 1;
        (self.report)(self.done.progress.clone());
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
        if self.packs.is_open() { Ok(()) } else { self.write_pages().await }
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
        for (page, packs) in done {
            self.done.pages.push(page);
            self.packs_used.extend(packs);
        }
        Ok(())
    }

    async fn write_page(&self, page: &Page) -> Result<(PageRef, Vec<PackId>), PublishError> {
        let chunks = page.chunks().map(|chunk| (chunk.id, None));
        let written = self.packs.write_page(&page.encode(), chunks, true).await?;
        let first = page.entries.first().expect("a cut page has entries").path().to_string();
        let page = PageRef { id: written.id, bytes: written.bytes, chunks: page.chunk_count(), first };
        Ok((page, written.packs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sidecar::PACK_CHUNKS_MAX;
    use crate::store::Store;
    use bytes::Bytes;
    use freshet_protocol::{ChunkId, Encoding};
    use std::sync::Arc;

    fn assembly(report: &mut (dyn FnMut(Progress) + Send)) -> Assembly<'_> {
        let store = Store::of_objects(Arc::new(object_store::memory::InMemory::new()));
        let packs = Packs::new(&store, &"game/demo".parse().expect("name"), Arc::default());
        Assembly::new(packs, Vec::new(), false, report)
    }

    fn file(size: u64) -> Entry {
        let path = "file".parse().expect("path");
        Entry::File(FileExtent { path, part: None, executable: false, size, offset: 0, chunks: Vec::new() })
    }

    fn chunk(n: u32) -> Encoded {
        let data = Bytes::copy_from_slice(&n.to_be_bytes());
        Encoded { id: ChunkId::of(&data), bytes: 4, data: Some((Encoding::Identity, data)) }
    }

    /// A folder whose record in a page is long.
    fn folder(n: u32) -> Entry {
        let path = format!("{}/{n:08}", ["x".repeat(200).as_str(); 5].join("/"));
        Entry::Folder { path: path.parse().expect("path"), part: None }
    }

    #[tokio::test]
    async fn as_many_chunks_as_a_release_may_have() {
        let mut ignore = |_| {};
        let mut assembly = assembly(&mut ignore);
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
        let mut assembly = assembly(&mut report);
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
        let mut assembly = assembly(&mut ignore);
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
        let mut assembly = assembly(&mut ignore);
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
