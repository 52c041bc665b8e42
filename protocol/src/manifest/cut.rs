//! Where pages are cut. The rule depends on the entries alone, so a release that changes little keeps most pages.

use crate::id::Hash;
use crate::limits::{PAGE_BYTES_MAX, PAGE_ENTRIES_MAX};
use crate::manifest::page::{Entry, FileExtent, Page};

/// No cut before this many bytes.
const CUT_BYTES_MIN: u32 = 64 << 10;
/// Mean distance from there to the next cut, in bytes.
const CUT_BYTES_MEAN: u32 = 64 << 10;
/// Bytes of one chunk in a page: its id and a size of up to four bytes.
const CHUNK_RECORD_BYTES: usize = 36;
/// Bytes of an entry beside its path, target and chunks, at most.
const ENTRY_OVERHEAD_BYTES: usize = 48;
/// Head of a page: version and number of entries.
const PAGE_OVERHEAD_BYTES: usize = 16;

/// Collects entries in path order and hands out pages.
#[derive(Debug, Default)]
pub struct PageCutter {
    page: Page,
    bytes: usize,
}

impl PageCutter {
    /// Adds an entry; returns the pages that it completed.
    pub fn push(&mut self, entry: Entry) -> Vec<Page> {
        match entry {
            Entry::File(file) => self.push_file(file),
            Entry::Folder { .. } | Entry::Link { .. } => self.push_small(entry).into_iter().collect(),
        }
    }

    /// The last page, if any entry is left for it.
    pub fn finish(mut self) -> Option<Page> {
        self.cut()
    }

    fn push_small(&mut self, entry: Entry) -> Option<Page> {
        let target_bytes = match &entry {
            Entry::Link { target, .. } => target.len(),
            Entry::File(_) | Entry::Folder { .. } => 0,
        };
        let bytes = ENTRY_OVERHEAD_BYTES + entry.path().as_str().len() + target_bytes;
        let full = self.make_room(bytes);
        let mark = Hash::of(entry.path().as_str().as_bytes());
        self.add(entry, bytes);
        full.or_else(|| self.cut_at(mark, bytes))
    }

    /// A file enters chunk by chunk, so that a large one is cut where its content says.
    fn push_file(&mut self, file: FileExtent) -> Vec<Page> {
        let mut pages = Vec::new();
        let head_bytes = ENTRY_OVERHEAD_BYTES + file.path.as_str().len();
        let path_mark = Hash::of(file.path.as_str().as_bytes());
        let extent = |offset| FileExtent { offset, chunks: Vec::new(), path: file.path.clone(), ..file };
        let last = file.chunks.len().saturating_sub(1);
        let mut offset = file.offset;
        let mut open = extent(offset);
        pages.extend(self.make_room(head_bytes + CHUNK_RECORD_BYTES));
        let mut open_bytes = head_bytes;
        for (at, chunk) in file.chunks.iter().enumerate() {
            open.chunks.push(*chunk);
            open_bytes += CHUNK_RECORD_BYTES;
            offset += u64::from(chunk.bytes);
            let is_full = self.bytes + open_bytes + CHUNK_RECORD_BYTES > PAGE_BYTES_MAX - PAGE_OVERHEAD_BYTES;
            let is_cut =
                self.bytes + open_bytes >= CUT_BYTES_MIN as usize && is_mark(chunk.id.0, CHUNK_RECORD_BYTES);
            if at < last && (is_full || is_cut) {
                self.add(Entry::File(std::mem::replace(&mut open, extent(offset))), open_bytes);
                open_bytes = head_bytes;
                pages.extend(self.cut());
            }
        }
        self.add(Entry::File(open), open_bytes);
        pages.extend(self.cut_at(path_mark, head_bytes));
        pages
    }

    fn add(&mut self, entry: Entry, bytes: usize) {
        self.page.entries.push(entry);
        self.bytes += bytes;
    }

    fn make_room(&mut self, bytes: usize) -> Option<Page> {
        let fits = self.bytes + bytes <= PAGE_BYTES_MAX - PAGE_OVERHEAD_BYTES
            && self.page.entries.len() < PAGE_ENTRIES_MAX;
        if fits { None } else { self.cut() }
    }

    fn cut_at(&mut self, mark: Hash, bytes: usize) -> Option<Page> {
        (self.bytes >= CUT_BYTES_MIN as usize && is_mark(mark, bytes)).then(|| self.cut()).flatten()
    }

    fn cut(&mut self) -> Option<Page> {
        self.bytes = 0;
        let page = std::mem::take(&mut self.page);
        (!page.entries.is_empty()).then_some(page)
    }
}

/// Whether a record of `bytes` bytes ends a page: with probability `bytes / CUT_BYTES_MEAN`.
fn is_mark(hash: Hash, bytes: usize) -> bool {
    u64::from(hash.prefix32()) * u64::from(CUT_BYTES_MEAN) < (bytes as u64) << 32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::ChunkId;
    use crate::manifest::page::ChunkRef;

    fn file(path: String, chunks: u32) -> Entry {
        let chunks: Vec<_> = (0..chunks)
            .map(|n| ChunkRef { id: ChunkId::of(format!("{path} {n}").as_bytes()), bytes: 1000 })
            .collect();
        let size = chunks.len() as u64 * 1000;
        Entry::File(FileExtent {
            path: path.parse().expect("path"),
            part: None,
            executable: false,
            size,
            offset: 0,
            chunks,
        })
    }

    fn cut(entries: Vec<Entry>) -> Vec<Page> {
        let mut cutter = PageCutter::default();
        let mut pages: Vec<_> = entries.into_iter().flat_map(|entry| cutter.push(entry)).collect();
        pages.extend(cutter.finish());
        pages
    }

    #[test]
    fn pages_are_within_limits_and_complete() {
        let mut entries: Vec<_> = (0..30_000).map(|n| file(format!("a/{n:05}"), n % 4)).collect();
        entries.push(file("b/huge".to_owned(), 40_000));
        let folder = |n| Entry::Folder { path: format!("c/{n:05}").parse().expect("path"), part: Some(63) };
        entries.extend((0..10_000).map(folder));
        let chunk_count: u32 = (0..30_000).map(|n| n % 4).sum::<u32>() + 40_000;
        let pages = cut(entries);
        assert!(pages.len() > 10, "{}", pages.len());
        for page in &pages {
            let bytes = page.encode();
            assert!(bytes.len() <= PAGE_BYTES_MAX && page.entries.len() <= PAGE_ENTRIES_MAX);
            assert_eq!(Page::decode(&bytes).as_ref(), Ok(page));
        }
        assert_eq!(pages.iter().map(Page::chunk_count).sum::<u32>(), chunk_count);
    }

    #[test]
    fn a_small_change_keeps_most_pages() {
        let entries: Vec<_> = (0..20_000).map(|n| file(format!("a/{n:05}"), 1)).collect();
        let before = cut(entries.clone());
        let mut changed = entries;
        changed.insert(10_000, file("a/09999x".to_owned(), 3));
        let after = cut(changed);
        let kept = after.iter().filter(|page| before.contains(page)).count();
        assert!(kept + 2 >= after.len(), "{kept} of {}", after.len());
    }
}
