//! The pages of a manifest joined into one map: chunk position to file and offset, chunk id to positions.

use std::collections::BTreeSet;
use std::ops::Range;

use freshet_protocol::{ChunkId, ChunkRef, Entry, FileExtent, Page, RelPath, Root, RootId};

use crate::release::parts::Chosen;
use crate::release::patch::PatchMap;
use crate::release::sealed::SealedMap;
use crate::store::STATE_FOLDER;

/// Why a manifest was refused, though each of its pages is good by itself. The publisher is the guilty side.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReleaseError {
    #[error("the manifest is not consistent at {path:?}: {what}")]
    Inconsistent { path: String, what: &'static str },
    #[error("the manifest is not consistent: {0}")]
    Totals(&'static str),
    #[error("the patch is of no use: {0}")]
    Patch(&'static str),
    #[error("the sealed release is of no use: {0}")]
    Sealed(&'static str),
}

/// A file of the release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileEntry {
    pub(crate) path: RelPath,
    /// Number of its part, by its place in the root.
    pub(crate) part: Option<u8>,
    pub(crate) executable: bool,
    pub(crate) bytes: u64,
    /// Its chunk positions.
    pub(crate) positions: Range<u32>,
}

/// An empty folder of the release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FolderEntry {
    pub(crate) path: RelPath,
    pub(crate) part: Option<u8>,
}

/// A symbolic link of the release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LinkEntry {
    pub(crate) path: RelPath,
    pub(crate) part: Option<u8>,
    pub(crate) target: String,
}

/// A release, ready to be fetched and installed.
#[derive(Debug, Clone)]
pub(crate) struct Release {
    pub(crate) id: RootId,
    pub(crate) root: Root,
    pub(crate) files: Vec<FileEntry>,
    pub(crate) folders: Vec<FolderEntry>,
    pub(crate) links: Vec<LinkEntry>,
    pub(super) chunks: Vec<ChunkRef>,
    /// Offset of each position within its file.
    offsets: Vec<u64>,
    /// Positions in the order of their chunk ids.
    by_id: Vec<u32>,
    /// For each position, where its chunk starts in `by_id`: large releases are walked by position, and searching for
    /// each one's id takes seconds.
    by_id_starts: Vec<u32>,
    /// First position of each page.
    pub(super) page_starts: Vec<u32>,
    /// What leads here from the installed release. Its chunks have the positions behind those of the release.
    pub(super) patch: Option<PatchMap>,
    /// Files of a sealed release, which have the positions behind those of the release.
    pub(super) sealed: Option<SealedMap>,
    pub(super) chosen: Chosen,
}

impl Release {
    /// Joins all pages of `root`, each of which was checked against it.
    pub(crate) fn build(id: RootId, root: Root, pages: &[Page]) -> Result<Self, ReleaseError> {
        let mut release = Self {
            id,
            root,
            files: Vec::new(),
            folders: Vec::new(),
            links: Vec::new(),
            chunks: Vec::new(),
            offsets: Vec::new(),
            by_id: Vec::new(),
            by_id_starts: Vec::new(),
            page_starts: Vec::new(),
            patch: None,
            sealed: None,
            chosen: Chosen::default(),
        };
        let mut last: Option<RelPath> = None;
        for page in pages {
            release.page_starts.push(release.chunks.len() as u32);
            for entry in &page.entries {
                let continues = matches!(entry, Entry::File(extent) if extent.offset > 0);
                let in_order = match &last {
                    Some(last) if continues => last == entry.path(),
                    Some(last) => last < entry.path(),
                    None => !continues,
                };
                if !in_order {
                    return Err(inconsistent(entry.path(), "its place in the order of paths"));
                }
                release.add(entry)?;
                last = Some(entry.path().clone());
            }
        }
        release.check()?;
        release.order()?;
        Ok(release)
    }

    /// Finds all places of each chunk.
    pub(super) fn order(&mut self) -> Result<(), ReleaseError> {
        self.by_id = (0..self.chunk_count()).collect();
        let chunks = &self.chunks;
        self.by_id.sort_unstable_by_key(|&position| (chunks[position as usize].id, position));
        let size_differs = |pair: &[u32]| {
            let [a, b] = [&chunks[pair[0] as usize], &chunks[pair[1] as usize]];
            a.id == b.id && a.bytes != b.bytes
        };
        if self.by_id.windows(2).any(size_differs) {
            return Err(ReleaseError::Totals("a chunk has two sizes"));
        }
        self.by_id_starts = self.starts();
        Ok(())
    }

    fn starts(&self) -> Vec<u32> {
        let mut starts = vec![0; self.chunks.len()];
        let mut start = 0;
        for (at, &position) in self.by_id.iter().enumerate() {
            if self.chunk(position).id != self.chunk(self.by_id[start]).id {
                start = at;
            }
            starts[position as usize] = start as u32;
        }
        starts
    }

    fn add(&mut self, entry: &Entry) -> Result<(), ReleaseError> {
        if entry.part().is_some_and(|part| usize::from(part) >= self.root.parts.len()) {
            return Err(inconsistent(entry.path(), "it is of a part that the root does not name"));
        }
        match entry {
            Entry::File(extent) => self.add_extent(extent),
            Entry::Folder { path, part } => {
                self.folders.push(FolderEntry { path: path.clone(), part: *part });
                Ok(())
            }
            Entry::Link { path, part, target } => {
                self.links.push(LinkEntry { path: path.clone(), part: *part, target: target.clone() });
                Ok(())
            }
        }
    }

    fn add_extent(&mut self, extent: &FileExtent) -> Result<(), ReleaseError> {
        let first = self.chunks.len() as u32;
        if extent.offset == 0 {
            self.files.push(FileEntry {
                path: extent.path.clone(),
                part: extent.part,
                executable: extent.executable,
                bytes: extent.size,
                positions: first..first,
            });
        }
        let continued = || inconsistent(&extent.path, "an extent that does not continue the one before");
        let reached = if extent.offset == 0 { 0 } else { self.end_of_last_chunk().ok_or_else(continued)? };
        let file = self.files.last_mut().ok_or_else(continued)?;
        let is_same = file.path == extent.path
            && file.part == extent.part
            && file.bytes == extent.size
            && file.executable == extent.executable;
        if !is_same || reached != extent.offset {
            return Err(continued());
        }
        let mut offset = extent.offset;
        for chunk in &extent.chunks {
            self.chunks.push(*chunk);
            self.offsets.push(offset);
            offset += u64::from(chunk.bytes);
        }
        file.positions.end = self.chunks.len() as u32;
        Ok(())
    }

    fn end_of_last_chunk(&self) -> Option<u64> {
        Some(self.offsets.last()? + u64::from(self.chunks.last()?.bytes))
    }

    fn check(&self) -> Result<(), ReleaseError> {
        for file in &self.files {
            if self.bytes_of(file.positions.clone()) != file.bytes {
                return Err(inconsistent(&file.path, "its chunks do not add up to its size"));
            }
        }
        self.check_paths()?;
        let entries = self.files.len() + self.folders.len() + self.links.len();
        let bytes: u64 = self.files.iter().map(|file| file.bytes).sum();
        if entries != self.root.entries as usize {
            Err(ReleaseError::Totals("the number of entries differs from the root's"))
        } else if bytes != self.root.bytes {
            Err(ReleaseError::Totals("the sum of all files differs from the root's"))
        } else if !self.are_parts_as_said() {
            Err(ReleaseError::Totals("the files of a part are not as large as the root says"))
        } else {
            Ok(())
        }
    }

    fn are_parts_as_said(&self) -> bool {
        let mut bytes = vec![0; self.root.parts.len()];
        for file in &self.files {
            if let Some(part) = file.part {
                bytes[usize::from(part)] += file.bytes;
            }
        }
        self.root.parts.iter().zip(bytes).all(|(part, bytes)| part.bytes == bytes)
    }

    /// No entry lies below a file or a link, in the folder that the node keeps for itself, or at a path that a file
    /// system without letter case cannot tell from another.
    fn check_paths(&self) -> Result<(), ReleaseError> {
        let mut folded = BTreeSet::new();
        for path in self.paths() {
            let key = path.folded();
            if key.split('/').next() == Some(STATE_FOLDER) {
                return Err(inconsistent(path, "it is in the node's own folder"));
            }
            if !folded.insert(key) {
                return Err(inconsistent(path, "another path differs from it in letter case alone"));
            }
        }
        for path in self.paths() {
            let key = path.folded();
            if key.match_indices('/').any(|(at, _)| folded.contains(&key[..at])) {
                return Err(inconsistent(path, "it lies below something that is no folder"));
            }
        }
        Ok(())
    }

    fn paths(&self) -> impl Iterator<Item = &RelPath> {
        let files = self.files.iter().map(|file| &file.path);
        let folders = self.folders.iter().map(|folder| &folder.path);
        files.chain(folders).chain(self.links.iter().map(|link| &link.path))
    }

    /// Number of positions, those of a patch or of a sealed release included.
    pub(crate) fn chunk_count(&self) -> u32 {
        self.chunks.len() as u32
    }

    /// The chunk at a position below [`Release::chunk_count`].
    pub(crate) fn chunk(&self, position: u32) -> &ChunkRef {
        &self.chunks[position as usize]
    }

    pub(crate) fn chunks(&self) -> &[ChunkRef] {
        &self.chunks
    }

    /// Bytes at these positions together.
    pub(crate) fn sum_of(&self, positions: &[u32]) -> u64 {
        positions.iter().map(|&position| u64::from(self.chunk(position).bytes)).sum()
    }

    /// The chunks of a file, in order.
    pub(crate) fn chunks_of(&self, file: &FileEntry) -> &[ChunkRef] {
        &self.chunks[file.positions.start as usize..file.positions.end as usize]
    }

    /// The file at a path.
    pub(crate) fn file(&self, path: &RelPath) -> Option<&FileEntry> {
        self.files.binary_search_by(|file| file.path.cmp(path)).ok().map(|number| &self.files[number])
    }

    pub(crate) fn bytes_of(&self, positions: Range<u32>) -> u64 {
        let chunks = &self.chunks[positions.start as usize..positions.end as usize];
        chunks.iter().map(|chunk| u64::from(chunk.bytes)).sum()
    }

    /// The file that a position belongs to, by its place in `files`, and the offset within it.
    pub(crate) fn place(&self, position: u32) -> (usize, u64) {
        if let Some(place) = self.sealed_place(position) {
            return place;
        }
        if let Some((patch, n)) = self.in_patch(position) {
            return match patch.delta(n) {
                Some(_) => (self.files.len(), patch.delta_offset(n)),
                // The target may be left out, where the chunk is in a file that is not, too.
                None => {
                    let target = patch.target(n);
                    self.place(self.places_of(target).next().unwrap_or(target))
                }
            };
        }
        // Empty files share their start with the next one, so the last that starts here or before is the owner.
        let file = self.files.partition_point(|file| file.positions.start <= position) - 1;
        (file, self.offsets[position as usize])
    }

    /// The positions of a chunk at which it is to be installed, ascending.
    pub(crate) fn positions_of(&self, id: ChunkId) -> impl Iterator<Item = u32> {
        let start = self.by_id.partition_point(|&position| self.chunk(position).id < id);
        self.positions_from(start, id).iter().copied().filter(|&position| self.is_chosen(position))
    }

    /// The positions at which the chunk of this position is to be installed, ascending.
    pub(crate) fn places_of(&self, position: u32) -> impl Iterator<Item = u32> {
        self.all_places_of(position).iter().copied().filter(|&position| self.is_chosen(position))
    }

    /// All positions of the chunk at a position, ascending.
    pub(super) fn all_places_of(&self, position: u32) -> &[u32] {
        self.positions_from(self.by_id_starts[position as usize] as usize, self.chunk(position).id)
    }

    /// The positions of `id`, which start at this place of `by_id` if there are any. Most chunks have one.
    fn positions_from(&self, start: usize, id: ChunkId) -> &[u32] {
        let rest = &self.by_id[start..];
        let is_same = |&position: &u32| self.chunk(position).id == id;
        let len = if rest.get(1).is_some_and(is_same) {
            rest.partition_point(is_same)
        } else {
            usize::from(rest.first().is_some_and(is_same))
        };
        &rest[..len]
    }

    /// The page that a position belongs to, by its number among all, and its place there.
    pub(crate) fn page_of(&self, position: u32) -> (usize, u32) {
        self.sealed_page_of(position).unwrap_or_else(|| {
            let page = self.page_starts.partition_point(|&start| start <= position) - 1;
            (page, position - self.page_starts[page])
        })
    }
}

fn inconsistent(path: &RelPath, what: &'static str) -> ReleaseError {
    ReleaseError::Inconsistent { path: path.to_string(), what }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use freshet_protocol::{Chunker, Hash, PageId, PageRef, Part, ROOT_SCHEMA};

    pub(crate) fn file(path: &str, offset: u64, size: u64, chunks: &[(&str, u32)]) -> Entry {
        Entry::File(FileExtent {
            path: path.parse().expect("path"),
            part: None,
            executable: false,
            size,
            offset,
            chunks: chunks
                .iter()
                .map(|&(name, bytes)| ChunkRef { id: ChunkId::of(name.as_bytes()), bytes })
                .collect(),
        })
    }

    fn link(path: &str) -> Entry {
        link_to(path, "t")
    }

    pub(in crate::release) fn link_to(path: &str, target: &str) -> Entry {
        Entry::Link { path: path.parse().expect("path"), part: None, target: target.to_owned() }
    }

    /// What the root says of the parts that these pages speak of.
    fn parts(pages: &[Page]) -> Vec<Part> {
        let entries = || pages.iter().flat_map(|page| &page.entries);
        let count = entries().filter_map(Entry::part).max().map_or(0, |last| last + 1);
        let bytes = |number: u8| {
            let size = |entry: &Entry| match entry {
                Entry::File(extent) if extent.offset == 0 && extent.part == Some(number) => extent.size,
                _ => 0,
            };
            entries().map(size).sum()
        };
        let names = ["ja", "ko"].map(|name| name.parse().expect("name"));
        let part = |(number, name)| Part { name, default: number == 0, bytes: bytes(number) };
        (0..count).zip(names).map(part).collect()
    }

    pub(in crate::release) fn in_part(number: u8, mut entry: Entry) -> Entry {
        if let Entry::File(FileExtent { part, .. }) | Entry::Link { part, .. } = &mut entry {
            *part = Some(number);
        }
        entry
    }

    /// A release of these pages, with as many of the parts `ja` and `ko` as they speak of; `ja` alone is a default one.
    pub(crate) fn build(pages: Vec<Vec<Entry>>) -> Result<Release, ReleaseError> {
        let pages: Vec<Page> = pages.into_iter().map(|entries| Page { entries }).collect();
        let files = || pages.iter().flat_map(|page| &page.entries);
        let starts = |entry: &&Entry| !matches!(entry, Entry::File(extent) if extent.offset > 0);
        let size = |entry: &Entry| match entry {
            Entry::File(extent) if extent.offset == 0 => extent.size,
            _ => 0,
        };
        let root = Root {
            schema: ROOT_SCHEMA,
            content: "game/demo".parse().expect("name"),
            version: "1".parse().expect("name"),
            chunker: Chunker {
                algorithm: "fastcdc-2020".to_owned(),
                bytes_min: 1,
                bytes_avg: 2,
                bytes_max: 9,
            },
            entries: files().filter(starts).count() as u32,
            bytes: files().map(size).sum(),
            chunks: pages.iter().map(Page::chunk_count).sum(),
            pages: pages
                .iter()
                .map(|page| PageRef {
                    id: PageId::of(&page.encode()),
                    bytes: page.encode().len() as u32,
                    chunks: page.chunk_count(),
                    first: String::new(),
                })
                .collect(),
            parts: parts(&pages),
            sealed: None,
            requires: Vec::new(),
        };
        Release::build(RootId(root.pages.first().map_or(Hash([0; 32]), |page| page.id.0)), root, &pages)
    }

    #[test]
    fn positions_run_over_pages() {
        let release = build(vec![
            vec![file("a", 0, 5, &[("x", 2), ("y", 3)]), file("b", 0, 0, &[]), file("c", 0, 7, &[("x", 2)])],
            vec![file("c", 2, 7, &[("z", 5)]), link("d")],
        ])
        .expect("consistent");
        assert_eq!(release.chunk_count(), 4);
        assert_eq!(release.place(0), (0, 0));
        assert_eq!(release.place(1), (0, 2));
        assert_eq!(release.place(2), (2, 0));
        assert_eq!(release.place(3), (2, 2));
        let positions_of = |name: &[u8]| release.positions_of(ChunkId::of(name)).collect::<Vec<_>>();
        assert_eq!(positions_of(b"x"), [0, 2]);
        assert_eq!(positions_of(b"z"), [3]);
        assert!(positions_of(b"other").is_empty());
        let places = (0..4).map(|position| release.places_of(position).collect::<Vec<_>>());
        assert_eq!(places.collect::<Vec<_>>(), [&[0, 2][..], &[1], &[0, 2], &[3]]);
        assert_eq!((release.page_of(2), release.page_of(3)), ((0, 2), (1, 0)));
    }

    #[test]
    fn hostile_manifests() {
        let check = |pages: Vec<Vec<Entry>>, expected: &str| {
            let error = build(pages).expect_err(expected).to_string();
            assert!(error.contains(expected), "{error}");
        };
        check(vec![vec![file("b", 0, 0, &[])], vec![file("a", 0, 0, &[])]], "order");
        check(vec![vec![file("a", 2, 4, &[("x", 2)])]], "order");
        check(
            vec![vec![file("a", 0, 4, &[("x", 2)])], vec![file("a", 3, 4, &[("x", 1)])]],
            "does not continue",
        );
        check(vec![vec![file("a", 0, 4, &[("x", 2)])]], "add up");
        check(vec![vec![link("a"), link("a-b"), file("a/x", 0, 0, &[])]], "below something");
        check(vec![vec![file("A", 0, 0, &[]), file("a", 0, 0, &[])]], "letter case");
        check(vec![vec![file("A", 0, 0, &[]), file("a/x", 0, 0, &[])]], "below something");
        check(vec![vec![file("a", 0, 3, &[("x", 1), ("x", 2)])]], "two sizes");
        check(vec![vec![in_part(2, link("a"))]], "a part that the root does not name");
        check(
            vec![vec![file("a", 0, 4, &[("x", 2)])], vec![in_part(0, file("a", 2, 4, &[("y", 2)]))]],
            "does not continue",
        );
        check(vec![vec![file(".Freshet/lock", 0, 0, &[])]], "own folder");
    }
}
