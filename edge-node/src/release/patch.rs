//! A patch joined with the two releases that it leads between: its chunks stand behind those of the newer release, so that
//! a job fetches them like any others.

use std::ops::Range;

use freshet_protocol::limits::DELTA_BASE_BYTES_MAX;
use freshet_protocol::{ChunkRef, Delta, PageRef, Patch, PatchChunk, PatchId, PatchPage, RootId};

use crate::release::map::{Release, ReleaseError};

/// Positions that are numbered from 0 under a name of their own among peers and at the tracker: those of a release, or of
/// a patch to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) id: RootId,
    pub(crate) positions: Range<u32>,
}

/// The chunks of a patch, in the order of their targets.
#[derive(Debug, Clone)]
pub(crate) struct PatchMap {
    /// The patch's name among peers, where it stands in the place of a root.
    id: RootId,
    pages: Vec<PageRef>,
    chunks: Vec<PatchChunk>,
    /// For each chunk, where its delta begins in the file of deltas.
    offsets: Vec<u64>,
    /// Size of that file.
    delta_bytes: u64,
    /// For each chunk, whether it can be made of what is installed of the older release, or comes whole.
    is_usable: Vec<bool>,
}

impl PatchMap {
    /// Joins all pages of a patch, each of which was checked against it; returns the map, and what is to be fetched for
    /// each of its chunks.
    fn build(
        id: PatchId,
        patch: &Patch,
        pages: Vec<PatchPage>,
        from: &Release,
        to: &Release,
    ) -> Result<(Self, Vec<ChunkRef>), ReleaseError> {
        let check = |good: bool, what| if good { Ok(()) } else { Err(ReleaseError::Patch(what)) };
        check(patch.from == from.id && patch.to == to.id, "it is for other releases")?;
        let chunks: Vec<PatchChunk> = pages.into_iter().flat_map(|page| page.chunks).collect();
        let is_in_order = chunks.windows(2).all(|pair| pair[0].target < pair[1].target);
        check(is_in_order, "its chunks are out of order")?;
        let (mut blobs, mut offsets, mut delta_bytes) = (Vec::new(), Vec::new(), 0);
        for PatchChunk { target, delta } in &chunks {
            check(*target < to.root.chunks, "it speaks of positions beyond the release")?;
            check(to.all_places_of(*target).first() == Some(target), "it names a second place of a chunk")?;
            offsets.push(delta_bytes);
            match delta {
                None => blobs.push(*to.chunk(*target)),
                Some(Delta { id, bytes, base }) => {
                    check(base.end <= from.root.chunks, "it speaks of positions beyond the older release")?;
                    check(from.bytes_of(base.clone()) <= DELTA_BASE_BYTES_MAX, "a base is too large")?;
                    blobs.push(ChunkRef { id: *id, bytes: *bytes });
                    delta_bytes += u64::from(*bytes);
                }
            }
        }
        let is_here = |delta: &Delta| delta.base.clone().all(|position| from.is_chosen(position));
        let is_usable = chunks.iter().map(|chunk| chunk.delta.as_ref().is_none_or(is_here)).collect();
        let bytes: u64 = blobs.iter().map(|blob| u64::from(blob.bytes)).sum();
        check(bytes == patch.bytes, "its sizes do not add up")?;
        let page = |page: &freshet_protocol::PatchPageRef| PageRef {
            id: page.id,
            bytes: page.bytes,
            chunks: page.chunks,
            first: String::new(),
        };
        let pages = patch.pages.iter().map(page).collect();
        Ok((Self { id: RootId(id.0), pages, chunks, offsets, delta_bytes, is_usable }, blobs))
    }

    /// The position of the chunk that the `n`th one of the patch stands for.
    pub(super) fn target(&self, n: u32) -> u32 {
        self.chunks[n as usize].target
    }

    /// How the `n`th chunk of the patch is made; none where it comes whole.
    pub(super) fn delta(&self, n: u32) -> Option<&Delta> {
        self.chunks[n as usize].delta.as_ref()
    }

    pub(super) fn delta_offset(&self, n: u32) -> u64 {
        self.offsets[n as usize]
    }

    /// Which chunk of the patch stands for the one at `target`.
    fn of_target(&self, target: u32) -> Option<u32> {
        self.chunks.binary_search_by_key(&target, |chunk| chunk.target).ok().map(|n| n as u32)
    }

    /// Those chunks of the patch that come whole and whose targets lie in `targets`.
    fn whole_in(&self, targets: &Range<u32>) -> impl Iterator<Item = u32> {
        let first = self.chunks.partition_point(|chunk| chunk.target < targets.start);
        let end = targets.end;
        let within = self.chunks[first..].iter().take_while(move |chunk| chunk.target < end);
        within.enumerate().filter(|(_, chunk)| chunk.delta.is_none()).map(move |(n, _)| (first + n) as u32)
    }
}

/// The patch laid behind a release.
impl Release {
    /// Adds the patch that leads here from `from`.
    ///
    /// # Errors
    /// [`ReleaseError`] when it does not fit the two; the release is of use without it.
    pub(crate) fn patched(
        &self,
        id: PatchId,
        patch: &Patch,
        pages: Vec<PatchPage>,
        from: &Self,
    ) -> Result<Self, ReleaseError> {
        let (map, blobs) = PatchMap::build(id, patch, pages, from, self)?;
        let mut patched = self.clone();
        let mut start = self.chunk_count();
        for page in &map.pages {
            patched.page_starts.push(start);
            start += page.chunks;
        }
        patched.chunks.extend(blobs);
        patched.patch = Some(map);
        patched.order()?;
        Ok(patched)
    }

    /// The release's own positions, those of the patch, and those of a sealed release.
    pub(crate) fn spans(&self) -> Vec<Span> {
        let own = Span { id: self.id, positions: 0..self.root.chunks };
        // There may be nothing but what is sealed.
        let own = Some(own).filter(|own| self.sealed_root().is_none() || !own.positions.is_empty());
        let patch = self.patch.as_ref().map(|patch| Span { id: patch.id, positions: self.patch_positions() });
        own.into_iter().chain(patch).chain(self.sealed_spans()).collect()
    }

    /// The positions that are to be fetched, and spread over peers as first copies.
    pub(crate) fn fetched_span(&self) -> Span {
        self.spans().pop().expect("a release has a span")
    }

    /// What is known of staging is about this: with another patch, another sealed file, or none, the positions are others.
    pub(crate) fn staging_id(&self) -> RootId {
        self.spans().pop().map_or(self.id, |span| span.id)
    }

    fn patch_positions(&self) -> Range<u32> {
        self.root.chunks..self.chunk_count()
    }

    pub(super) fn in_patch(&self, position: u32) -> Option<(&PatchMap, u32)> {
        let n = position.checked_sub(self.root.chunks)?;
        Some((self.patch.as_ref()?, n))
    }

    /// The delta at a position of the patch, and the position of the chunk that it makes.
    pub(crate) fn delta(&self, position: u32) -> Option<(&Delta, u32)> {
        let (patch, n) = self.in_patch(position)?;
        Some((patch.delta(n)?, patch.target(n)))
    }

    /// Whether a position of the patch is another name of one of the release: the chunk comes whole.
    pub(crate) fn is_alias(&self, position: u32) -> bool {
        self.in_patch(position).is_some_and(|(patch, n)| patch.delta(n).is_none())
    }

    /// The position that is fetched for the chunk at `position`: its own, or that in the patch, where that is of use.
    pub(crate) fn fetched_for(&self, position: u32) -> u32 {
        // A patch names the first place of each chunk, whether that is to be installed or not.
        let target = self.all_places_of(position).first().copied().unwrap_or(position);
        let n = self
            .patch
            .as_ref()
            .and_then(|patch| patch.of_target(target).filter(|&n| patch.is_usable[n as usize]));
        n.map_or(position, |n| self.root.chunks + n)
    }

    /// Positions of the patch that hold the same bytes as some of `ranges`, ascending.
    pub(crate) fn also_in_patch(&self, ranges: &[Range<u32>]) -> Vec<Range<u32>> {
        let Some(patch) = &self.patch else { return Vec::new() };
        freshet_protocol::ranges_of(
            ranges.iter().flat_map(|range| patch.whole_in(range)).map(|n| self.root.chunks + n),
        )
    }

    /// The number of the file that deltas are staged in, behind those that are installed.
    pub(crate) fn delta_file(&self) -> Option<usize> {
        self.patch.as_ref().map(|_| self.files.len())
    }

    /// Size of a file by its number, that of deltas included.
    pub(crate) fn file_bytes(&self, file: usize) -> u64 {
        let deltas = || self.patch.as_ref().map_or(0, |patch| patch.delta_bytes);
        let behind = || self.sealed_file_bytes(file).unwrap_or_else(deltas);
        self.files.get(file).map_or_else(behind, |file| file.bytes)
    }

    /// A page by its number among all.
    pub(crate) fn page(&self, number: usize) -> &PageRef {
        let pages = &self.root.pages;
        let behind = || self.patch.as_ref().map_or(self.sealed_pages(), |patch| &patch.pages);
        pages.get(number).unwrap_or_else(|| &behind()[number - pages.len()])
    }

    /// All pages, those of the patch behind those of the release.
    pub(crate) fn pages(&self) -> impl Iterator<Item = &PageRef> {
        let of_patch = self.patch.iter().flat_map(|patch| &patch.pages);
        self.root.pages.iter().chain(of_patch).chain(self.sealed_pages())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::release::map::tests::{build, file};
    use freshet_protocol::{ChunkId, PATCH_ALGORITHM, PATCH_SCHEMA};

    const BIG: u32 = DELTA_BASE_BYTES_MAX as u32 / 2;

    /// Chunks `old`, `a` and `b`; the last two are together one byte too large for a base.
    fn older() -> Release {
        let bytes = u64::from(2 * BIG) + 6;
        build(vec![vec![file("data", 0, bytes, &[("old", 5), ("a", BIG), ("b", BIG + 1)])]])
            .expect("consistent")
    }

    /// Chunks `new` twice, and `fresh`.
    fn newer() -> Release {
        build(vec![vec![file("data", 0, 22, &[("new", 7), ("new", 7), ("fresh", 8)])]]).expect("consistent")
    }

    fn delta(target: u32, base: Range<u32>) -> PatchChunk {
        PatchChunk { target, delta: Some(Delta { id: ChunkId::of(b"delta"), bytes: 3, base }) }
    }

    fn whole(target: u32) -> PatchChunk {
        PatchChunk { target, delta: None }
    }

    /// A patch of these chunks, whose plain bytes together are `bytes`.
    fn patched(from: RootId, chunks: Vec<PatchChunk>, bytes: u64) -> Result<Release, ReleaseError> {
        let (older, newer) = (older(), newer());
        let patch = Patch {
            schema: PATCH_SCHEMA,
            content: newer.root.content.clone(),
            from,
            to: newer.id,
            algorithm: PATCH_ALGORITHM.to_owned(),
            chunks: chunks.len() as u32,
            bytes,
            pages: Vec::new(),
        };
        newer.patched(PatchId::of(b"patch"), &patch, vec![PatchPage { chunks }], &older)
    }

    #[test]
    fn a_patch_stands_behind_its_release() {
        let release = patched(older().id, vec![delta(0, 0..1), whole(2)], 11).expect("fits");
        assert_eq!(release.chunk_count(), 5);
        assert_eq!((release.fetched_for(0), release.fetched_for(2)), (3, 4));
        assert_eq!(release.delta(3).map(|(delta, target)| (delta.base.clone(), target)), Some((0..1, 0)));
        assert!(release.delta(4).is_none() && release.is_alias(4) && !release.is_alias(3));
        assert_eq!(release.place(3), (1, 0));
        assert_eq!(release.place(4), release.place(2));
        assert_eq!(release.also_in_patch(&[0..3]), [4..5]);
        assert_eq!((release.delta_file(), release.file_bytes(1)), (Some(1), 3));
    }

    #[test]
    fn patches_that_do_not_fit() {
        let check = |from: RootId, chunks: Vec<PatchChunk>, bytes, expected: &str| {
            let error = patched(from, chunks, bytes).expect_err(expected).to_string();
            assert!(error.contains(expected), "{error}");
        };
        let from = older().id;
        check(newer().id, vec![whole(2)], 8, "for other releases");
        check(from, vec![whole(2), delta(0, 0..1)], 11, "out of order");
        check(from, vec![whole(2), whole(2)], 16, "out of order");
        check(from, vec![whole(3)], 8, "beyond the release");
        check(from, vec![delta(1, 0..1)], 3, "a second place");
        check(from, vec![delta(0, 2..4)], 3, "beyond the older release");
        check(from, vec![delta(0, 1..3)], 3, "a base is too large");
        check(from, vec![delta(0, 0..1), whole(2)], 12, "do not add up");
        assert!(patched(from, vec![delta(0, 0..2)], 3).is_ok());
    }
}
