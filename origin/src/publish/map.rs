//! A published release as those who make patches see it: its chunks, where they are stored, and to which file each
//! belongs.

use std::ops::Range;

use freshet_protocol::{ChunkId, ChunkRef, ContentName, Entry, PageId, Place, RelPath, Root, RootId};

use crate::release::{self, ReadError};
use crate::store::Store;

/// A file, and the positions of its chunks.
#[derive(Debug)]
pub(crate) struct MappedFile {
    pub(crate) path: RelPath,
    pub(crate) executable: bool,
    pub(crate) bytes: u64,
    pub(crate) positions: Range<u32>,
}

/// A release, chunk by chunk.
#[derive(Debug)]
pub(crate) struct ReleaseMap {
    pub(crate) id: RootId,
    pub(crate) root: Root,
    pub(crate) chunks: Vec<ChunkRef>,
    /// Where each position is stored.
    pub(crate) places: Vec<Place>,
    /// Offset of each position within its file.
    pub(crate) offsets: Vec<u64>,
    /// Files in path order; empty ones have no positions.
    pub(crate) files: Vec<MappedFile>,
    /// First positions of all chunks, in the order of their ids.
    by_id: Vec<u32>,
}

impl ReleaseMap {
    /// Reads all pages of a release and their indexes.
    pub(crate) async fn read(store: &Store, content: &ContentName, id: RootId) -> Result<Self, ReadError> {
        let mut map = Self::new(id, release::root(store, content, id).await?);
        for page in map.root.pages.clone() {
            map.places.extend(release::index(store, content, page.id, page.chunks).await?.places);
            release::page(store, content, &page).await?.entries.into_iter().for_each(|entry| map.add(entry));
        }
        map.order();
        Ok(map)
    }

    /// A release of files with these chunks, all stored at one place.
    #[cfg(test)]
    pub(crate) fn of_files(
        id: RootId,
        root: Root,
        files: impl Iterator<Item = (RelPath, Vec<ChunkRef>)>,
        place: Place,
    ) -> Self {
        let mut map = Self::new(id, root);
        for (path, chunks) in files {
            let size = chunks.iter().map(|chunk| u64::from(chunk.bytes)).sum();
            map.places.extend(chunks.iter().map(|_| place));
            map.add(Entry::File(freshet_protocol::FileExtent {
                path,
                part: None,
                executable: false,
                size,
                offset: 0,
                chunks,
            }));
        }
        map.order();
        map
    }

    fn new(id: RootId, root: Root) -> Self {
        Self {
            id,
            chunks: Vec::with_capacity(root.chunks as usize),
            places: Vec::with_capacity(root.chunks as usize),
            offsets: Vec::with_capacity(root.chunks as usize),
            files: Vec::new(),
            by_id: Vec::new(),
            root,
        }
    }

    fn order(&mut self) {
        self.by_id = (0..self.chunks.len() as u32).collect();
        let chunks = &self.chunks;
        self.by_id.sort_unstable_by_key(|&position| (chunks[position as usize].id, position));
        self.by_id.dedup_by_key(|position| chunks[*position as usize].id);
    }

    fn add(&mut self, entry: Entry) {
        let Entry::File(part) = entry else { return };
        let first = self.chunks.len() as u32;
        let mut offset = part.offset;
        for chunk in part.chunks {
            self.offsets.push(offset);
            offset += u64::from(chunk.bytes);
            self.chunks.push(chunk);
        }
        let end = self.chunks.len() as u32;
        match self.files.last_mut() {
            Some(file) if part.offset > 0 => file.positions.end = end,
            _ => self.files.push(MappedFile {
                path: part.path,
                executable: part.executable,
                bytes: part.size,
                positions: first..end,
            }),
        }
    }

    pub(crate) fn chunk(&self, position: u32) -> &ChunkRef {
        &self.chunks[position as usize]
    }

    pub(crate) fn place(&self, position: u32) -> &Place {
        &self.places[position as usize]
    }

    /// Where the chunk at a position begins and ends in its file.
    pub(crate) fn span(&self, position: u32) -> Range<u64> {
        let start = self.offsets[position as usize];
        start..start + u64::from(self.chunk(position).bytes)
    }

    /// The first position of a chunk.
    pub(crate) fn position(&self, id: ChunkId) -> Option<u32> {
        let at = self.by_id.binary_search_by_key(&id, |&position| self.chunk(position).id).ok()?;
        Some(self.by_id[at])
    }

    /// First positions of those chunks that are wanted there, ascending.
    pub(crate) fn firsts(&self, is_wanted: impl Fn(u32) -> bool) -> impl Iterator<Item = u32> {
        let is_first = |position: &u32| self.position(self.chunk(*position).id) == Some(*position);
        (0..self.chunks.len() as u32).filter(is_first).filter(move |position| is_wanted(*position))
    }

    /// The file of this path.
    pub(crate) fn file(&self, path: &RelPath) -> Option<&MappedFile> {
        let at = self.files.binary_search_by(|file| file.path.cmp(path)).ok()?;
        Some(&self.files[at])
    }

    /// The file that a position belongs to.
    pub(crate) fn file_of(&self, position: u32) -> &MappedFile {
        // Empty files share their start with the next one, so the last that starts here or before is the owner.
        let at = self.files.partition_point(|file| file.positions.start <= position) - 1;
        &self.files[at]
    }

    pub(crate) fn has_page(&self, id: PageId) -> bool {
        self.root.pages.iter().any(|page| page.id == id)
    }
}
