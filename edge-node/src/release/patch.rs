//! A patch joined with the two releases that it leads between: its chunks stand behind those of the newer release, so that
//! a job fetches them like any others.

use std::ops::Range;

use freshet_protocol::limits::{CHUNKS_MAX, DELTA_BASE_BYTES_MAX};
use freshet_protocol::{ChunkRef, Delta, PageRef, Patch, PatchChunk, PatchId, PatchPage, RootId};

use crate::release::map::{Release, ReleaseError};

/// The chunks of a patch, in the order of their targets.
#[derive(Debug, Clone)]
pub(crate) struct PatchMap {
    /// The patch's name among peers, where it stands in the place of a root.
    pub(super) id: RootId,
    pub(super) pages: Vec<PageRef>,
    chunks: Vec<PatchChunk>,
    /// For each chunk, where its delta begins in the file of deltas.
    offsets: Vec<u64>,
    /// Size of that file.
    pub(super) delta_bytes: u64,
}

impl PatchMap {
    /// Joins all pages of a patch, each of which was checked against it; returns the map, and what is to be fetched for
    /// each of its chunks.
    pub(super) fn build(
        id: PatchId,
        patch: &Patch,
        pages: Vec<PatchPage>,
        from: &Release,
        to: &Release,
    ) -> Result<(Self, Vec<ChunkRef>), ReleaseError> {
        let check = |good: bool, what| if good { Ok(()) } else { Err(ReleaseError::Patch(what)) };
        check(patch.from == from.id && patch.to == to.id, "it is for other releases")?;
        check(patch.chunks <= CHUNKS_MAX, "it has too many chunks")?;
        let chunks: Vec<PatchChunk> = pages.into_iter().flat_map(|page| page.chunks).collect();
        let is_in_order = chunks.windows(2).all(|pair| pair[0].target < pair[1].target);
        check(is_in_order, "its chunks are out of order")?;
        let (mut blobs, mut offsets, mut delta_bytes) = (Vec::new(), Vec::new(), 0);
        for PatchChunk { target, delta } in &chunks {
            check(*target < to.root.chunks, "it speaks of positions beyond the release")?;
            check(to.places_of(*target).first() == Some(target), "it names a second place of a chunk")?;
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
        let bytes: u64 = blobs.iter().map(|blob| u64::from(blob.bytes)).sum();
        check(bytes == patch.bytes, "its sizes do not add up")?;
        let page = |page: &freshet_protocol::PatchPageRef| PageRef {
            id: page.id,
            bytes: page.bytes,
            chunks: page.chunks,
            first: String::new(),
        };
        let pages = patch.pages.iter().map(page).collect();
        Ok((Self { id: RootId(id.0), pages, chunks, offsets, delta_bytes }, blobs))
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
    pub(super) fn of_target(&self, target: u32) -> Option<u32> {
        self.chunks.binary_search_by_key(&target, |chunk| chunk.target).ok().map(|n| n as u32)
    }

    /// Those chunks of the patch that come whole and whose targets lie in `targets`.
    pub(super) fn whole_in(&self, targets: &Range<u32>) -> impl Iterator<Item = u32> {
        let first = self.chunks.partition_point(|chunk| chunk.target < targets.start);
        let end = targets.end;
        let within = self.chunks[first..].iter().take_while(move |chunk| chunk.target < end);
        within.enumerate().filter(|(_, chunk)| chunk.delta.is_none()).map(move |(n, _)| (first + n) as u32)
    }
}
