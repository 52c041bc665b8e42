//! Files of a sealed release laid behind the installed one, so that a job fetches them like anything else, and shares both
//! meanwhile. Only those files have positions that are of use here.

use std::ops::Range;

use freshet_protocol::{Hash, PageRef, Root, RootId, SEAL_BYTES, SEALED_FULL, SEALED_INNER, sealed_from};

use crate::release::map::{Release, ReleaseError};
use crate::release::patch::Span;

/// What stands before the root and the path of a file in its name among peers.
const SPAN_DOMAIN: &[u8] = b"freshet sealed file 1\n";
/// Which of the two files of a sealed release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SealedPart {
    /// The one that says what is in the others.
    Inner,
    /// The one that holds what fits the installation.
    Stream,
}

/// The two files.
#[derive(Debug, Clone)]
pub(crate) struct SealedMap {
    root: RootId,
    chunk_bytes: u32,
    pages: Vec<PageRef>,
    /// First position of each page, as the sealed release counts.
    page_starts: Vec<u32>,
    inner: SealedFile,
    stream: SealedFile,
}

#[derive(Debug, Clone)]
struct SealedFile {
    /// Its name among peers, where each file is a release of its own.
    id: RootId,
    positions: Range<u32>,
    /// Its first position, as the sealed release counts.
    first: u32,
}

/// The path of the file for who has this release; that for who has nothing, where there is none.
pub(crate) fn stream_path(sealed: &Release, installed: Option<RootId>) -> String {
    let path = installed.map(sealed_from);
    path.filter(|path| find(sealed, path).is_some()).unwrap_or_else(|| SEALED_FULL.to_owned())
}

fn find<'a>(sealed: &'a Release, path: &str) -> Option<&'a crate::release::FileEntry> {
    sealed.files.iter().find(|file| file.path.as_str() == path)
}

impl SealedMap {
    fn build(sealed: &Release, stream: &str, start: u32) -> Result<Self, ReleaseError> {
        if sealed.root.sealed.is_none() {
            return Err(ReleaseError::Sealed("it is not sealed"));
        }
        let chunk_bytes = sealed.root.chunker.bytes_max;
        let file = |path: &str, start: u32| {
            let found = find(sealed, path).ok_or(ReleaseError::Sealed("a file of it is missing"))?;
            let Range { start: first, end } = found.positions;
            if sealed.chunks_of(found).iter().any(|chunk| chunk.bytes != chunk_bytes) {
                return Err(ReleaseError::Sealed("its chunks are not of one size"));
            }
            let name = [SPAN_DOMAIN, &sealed.id.0.0, path.as_bytes()].concat();
            let positions = start..start + (end - first);
            Ok(SealedFile { id: RootId(Hash::of(&name)), positions, first })
        };
        let inner = file(SEALED_INNER, start)?;
        let stream = file(stream, inner.positions.end)?;
        let (pages, page_starts) = (sealed.root.pages.clone(), sealed.page_starts.clone());
        Ok(Self { root: sealed.id, chunk_bytes, pages, page_starts, inner, stream })
    }

    fn file_of(&self, position: u32) -> (SealedPart, &SealedFile) {
        match self.inner.positions.contains(&position) {
            true => (SealedPart::Inner, &self.inner),
            false => (SealedPart::Stream, &self.stream),
        }
    }

    fn file(&self, part: SealedPart) -> &SealedFile {
        match part {
            SealedPart::Inner => &self.inner,
            SealedPart::Stream => &self.stream,
        }
    }
}

/// A sealed release laid behind another one.
impl Release {
    /// A release of nothing, of the same content.
    pub(crate) fn nothing_of(root: &Root) -> Self {
        let root = Root { entries: 0, bytes: 0, chunks: 0, pages: Vec::new(), ..root.clone() };
        Self::build(RootId(Hash([0; 32])), root, &[]).expect("nothing contradicts itself")
    }

    /// Adds the file at `stream` of a sealed release, and the one that tells what is in it.
    ///
    /// # Errors
    /// [`ReleaseError`] when it is no sealed release, or has no such file.
    pub(crate) fn with_sealed(&self, sealed: &Self, stream: &str) -> Result<Self, ReleaseError> {
        let map = SealedMap::build(sealed, stream, self.chunk_count())?;
        let mut laid = self.clone();
        for file in [&map.inner, &map.stream] {
            let theirs = file.first as usize..file.first as usize + file.positions.len();
            laid.chunks.extend_from_slice(&sealed.chunks()[theirs]);
        }
        laid.sealed = Some(map);
        laid.order()?;
        Ok(laid)
    }

    /// Positions of the files of a sealed release.
    pub(crate) fn sealed_positions(&self) -> Option<Range<u32>> {
        self.sealed.as_ref().map(|map| map.inner.positions.start..map.stream.positions.end)
    }

    /// Bytes of the files of a sealed release.
    pub(crate) fn sealed_bytes(&self) -> Option<u64> {
        let sealed = self.sealed.as_ref()?;
        Some(self.sealed_positions()?.len() as u64 * u64::from(sealed.chunk_bytes))
    }

    /// The sealed release, if files of one are laid behind this one.
    pub(crate) fn sealed_root(&self) -> Option<RootId> {
        self.sealed.as_ref().map(|map| map.root)
    }

    /// Which file of a sealed release has this number, behind those that are installed.
    pub(crate) fn sealed_part(&self, number: usize) -> Option<SealedPart> {
        self.sealed.as_ref()?;
        match number.checked_sub(self.files.len())? {
            0 => Some(SealedPart::Inner),
            1 => Some(SealedPart::Stream),
            _ => None,
        }
    }

    /// The number of the file of a sealed release that a position belongs to, and the offset within it.
    pub(super) fn sealed_place(&self, position: u32) -> Option<(usize, u64)> {
        let map = self.sealed.as_ref().filter(|map| position >= map.inner.positions.start)?;
        let (part, file) = map.file_of(position);
        let number = self.files.len() + usize::from(part == SealedPart::Stream);
        Some((number, u64::from(position - file.positions.start) * u64::from(map.chunk_bytes)))
    }

    /// The files of a sealed release, by number, with their positions.
    pub(crate) fn sealed_files(&self) -> impl Iterator<Item = (usize, Range<u32>)> {
        let files = self.sealed.iter().flat_map(|map| [&map.inner, &map.stream]);
        files.enumerate().map(|(at, file)| (self.files.len() + at, file.positions.clone()))
    }

    /// Size of a file of a sealed release, by its number.
    pub(super) fn sealed_file_bytes(&self, number: usize) -> Option<u64> {
        let (map, part) = (self.sealed.as_ref()?, self.sealed_part(number)?);
        Some(map.file(part).positions.len() as u64 * u64::from(map.chunk_bytes))
    }

    pub(super) fn sealed_spans(&self) -> impl Iterator<Item = Span> {
        let files = self.sealed.iter().flat_map(|map| [&map.inner, &map.stream]);
        files.map(|file| Span { id: file.id, positions: file.positions.clone() })
    }

    /// The page that a position behind the release belongs to, by its number among all, and its place there.
    pub(super) fn sealed_page_of(&self, position: u32) -> Option<(usize, u32)> {
        let map = self.sealed.as_ref().filter(|map| position >= map.inner.positions.start)?;
        let (_, file) = map.file_of(position);
        let theirs = file.first + (position - file.positions.start);
        let page = map.page_starts.partition_point(|&start| start <= theirs) - 1;
        Some((self.root.pages.len() + page, theirs - map.page_starts[page]))
    }

    pub(super) fn sealed_pages(&self) -> &[PageRef] {
        self.sealed.as_ref().map_or(&[], |map| &map.pages)
    }
}

/// Plain bytes of a chunk of so many bytes.
pub(crate) fn plain_chunk_bytes(chunk_bytes: u32) -> u64 {
    u64::from(chunk_bytes - SEAL_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::release::map::tests::{build, file};
    use freshet_protocol::{Chunker, FIXED_CHUNKER, Sealed};

    const CHUNK: u32 = 256 << 10;

    /// A sealed release of these files, each of so many chunks.
    fn sealed(files: &[(&str, u32)]) -> Release {
        let mut n = 0;
        let mut chunks = |count: u32| {
            let names: Vec<String> = (n..n + count).map(|n| format!("sealed {n}")).collect();
            n += count;
            names
        };
        let entries = files.iter().map(|&(path, count)| {
            let names = chunks(count);
            let chunks: Vec<(&str, u32)> = names.iter().map(|name| (name.as_str(), CHUNK)).collect();
            file(path, 0, u64::from(count) * u64::from(CHUNK), &chunks)
        });
        let mut release = build(vec![entries.collect()]).expect("consistent");
        release.root.chunker = Chunker {
            algorithm: FIXED_CHUNKER.to_owned(),
            bytes_min: CHUNK,
            bytes_avg: CHUNK,
            bytes_max: CHUNK,
        };
        release.root.sealed = Some(Sealed { opens: 1, key_hash: Hash([1; 32]) });
        release
    }

    fn installed() -> Release {
        build(vec![vec![file("a", 0, 5, &[("x", 2), ("y", 3)]), file("b", 0, 0, &[])]]).expect("consistent")
    }

    #[test]
    fn two_files_stand_behind_the_release() {
        let from = sealed_from(installed().id);
        let other = sealed_from(RootId(Hash([9; 32])));
        let mut files = [(from.as_str(), 2), (other.as_str(), 1)];
        files.sort_unstable();
        let sealed = sealed(&[files[0], files[1], ("full", 4), ("inner", 1)]);
        assert_eq!(stream_path(&sealed, None), "full");
        assert_eq!(stream_path(&sealed, Some(RootId(Hash([7; 32])))), "full");
        assert_eq!(stream_path(&sealed, Some(installed().id)), from);
        let laid = installed().with_sealed(&sealed, &from).expect("fits");
        assert_eq!(laid.chunk_count(), 2 + 1 + 2);
        assert_eq!(laid.sealed_positions(), Some(2..5));
        assert_eq!(laid.sealed_bytes(), Some(3 * u64::from(CHUNK)));
        assert_eq!([2, 3, 4].map(|at| laid.place(at)), [(2, 0), (3, 0), (3, u64::from(CHUNK))]);
        assert_eq!((laid.file_bytes(2), laid.file_bytes(3)), (CHUNK.into(), u64::from(CHUNK) * 2));
        let first = find(&sealed, &from).expect("there").positions.start;
        assert_eq!((laid.page_of(1), laid.page_of(2), laid.page_of(4)), ((0, 1), (1, 7), (1, first + 1)));
        assert_eq!((laid.page(1).id, laid.pages().count()), (sealed.root.pages[0].id, 2));
        assert_eq!(laid.chunk(4), sealed.chunk(first + 1));
        let spans = laid.spans();
        assert_eq!(spans.iter().map(|span| span.positions.clone()).collect::<Vec<_>>(), [0..2, 2..3, 3..5]);
        assert_eq!((spans[0].id, laid.fetched_span().id), (laid.id, laid.staging_id()));
        let full = installed().with_sealed(&sealed, "full").expect("fits");
        assert_eq!(full.spans()[1], spans[1]);
        assert_ne!(full.fetched_span().id, laid.fetched_span().id, "a swarm of its own for each file");
        let alone = Release::nothing_of(&sealed.root).with_sealed(&sealed, "full").expect("fits");
        assert_eq!(alone.spans().len(), 2, "there is nothing else to speak of");
    }

    #[test]
    fn what_is_no_sealed_release() {
        let check = |release: &Release, stream: &str, expected: &str| {
            let error = installed().with_sealed(release, stream).expect_err(expected).to_string();
            assert!(error.contains(expected), "{error}");
        };
        let good = sealed(&[("full", 1), ("inner", 1)]);
        check(&good, "from/x", "missing");
        check(&sealed(&[("full", 1)]), "full", "missing");
        check(&installed(), "full", "not sealed");
        let mut uneven = build(vec![vec![file("full", 0, 2, &[("x", 2)]), file("inner", 0, 3, &[("y", 3)])]])
            .expect("consistent");
        (uneven.root.chunker, uneven.root.sealed) = (good.root.chunker.clone(), good.root.sealed.clone());
        check(&uneven, "full", "not of one size");
    }
}
