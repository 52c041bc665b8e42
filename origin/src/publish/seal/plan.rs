//! Which files a sealed release has, and what is in each before it is sealed.

use freshet_protocol::limits::{CHUNK_BYTES_MAX, CHUNKS_MAX, SEALED_CHUNK_BYTES_MIN};
use freshet_protocol::{
    ChunkId, ContentName, PageId, PatchChunk, PatchRef, Place, RelPath, RootId, SEAL_BYTES, SEALED_FULL,
    SEALED_INNER, SealedBlob, SealedItem, origin_path, padded_chunks, sealed_from, sealed_head_start,
};

use super::super::PublishError;
use super::super::map::ReleaseMap;
use crate::history::Shown;
use crate::release::{self, ReadError};
use crate::store::Store;

/// A file before it is sealed.
pub(super) struct PlainFile {
    pub(super) path: RelPath,
    pub(super) head: Vec<HeadPart>,
    pub(super) blobs: Vec<StoredBlob>,
}

/// A part of a head: the item itself, or a page, which is read when its turn comes.
pub(super) enum HeadPart {
    Item(SealedItem),
    Page { id: PageId, bytes: u32, is_of_patch: bool },
}

/// A blob, and where it lies.
#[derive(Clone, Copy)]
pub(super) struct StoredBlob {
    pub(super) blob: SealedBlob,
    pub(super) place: Place,
}

impl StoredBlob {
    fn new(id: ChunkId, bytes: u32, place: Place) -> Self {
        let blob = SealedBlob { id, bytes, stored_bytes: place.stored_bytes, encoding: place.encoding };
        Self { blob, place }
    }
}

impl PlainFile {
    fn new(path: &str, mut head: Vec<HeadPart>, blobs: Vec<StoredBlob>) -> Self {
        let listed: Vec<SealedBlob> = blobs.iter().map(|stored| stored.blob).collect();
        head.extend(SealedItem::lists(&listed).map(HeadPart::Item));
        Self { path: path.parse().expect("paths of sealed files are good ones"), head, blobs }
    }

    /// Bytes of all items of the head.
    pub(super) fn items_bytes(&self) -> u64 {
        let bytes = |part: &HeadPart| match part {
            HeadPart::Item(item) => item.encode().len() as u64,
            HeadPart::Page { bytes, .. } => SealedItem::encoded_bytes(*bytes as usize) as u64,
        };
        self.head.iter().map(bytes).sum()
    }

    fn bytes(&self) -> u64 {
        let items_bytes = self.items_bytes();
        let blobs_bytes: u64 = self.blobs.iter().map(|stored| u64::from(stored.blob.stored_bytes)).sum();
        sealed_head_start(items_bytes).len() as u64 + items_bytes + blobs_bytes
    }

    /// Chunks that it takes, each of so many bytes once it is sealed.
    pub(super) fn chunks(&self, chunk_bytes: u32) -> u64 {
        padded_chunks(self.bytes().div_ceil(u64::from(chunk_bytes - SEAL_BYTES)))
    }
}

/// The smallest size of chunks with which a release of these files has few enough of them.
pub(super) fn chunk_bytes(files: &[PlainFile]) -> Result<u32, PublishError> {
    let mut bytes = SEALED_CHUNK_BYTES_MIN;
    while files.iter().map(|file| file.chunks(bytes)).sum::<u64>() > u64::from(CHUNKS_MAX) {
        if bytes == CHUNK_BYTES_MAX {
            return Err(PublishError::TooManyChunks);
        }
        bytes *= 2;
    }
    Ok(bytes)
}

/// The files for the release `id`, in the order of their paths: `bases` are the releases that there is a file for, with
/// the patches that lead from them, if there are any.
pub(super) async fn plan(
    store: &Store,
    content: &ContentName,
    id: RootId,
    bases: &[Shown],
    patches: &[PatchRef],
) -> Result<Vec<PlainFile>, PublishError> {
    let new = ReleaseMap::read(store, content, id).await?;
    let mut files = Vec::new();
    for base in bases {
        let patch = patches.iter().find(|patch| patch.from == base.root);
        let planned = match patch {
            Some(patch) => by_patch(store, content, &new, patch).await,
            None => whole(store, content, &new, base.root).await,
        };
        match planned {
            Ok((head, blobs)) => files.push(PlainFile::new(&sealed_from(base.root), head, blobs)),
            Err(error) => {
                tracing::warn!(version = %base.version, %error, "nothing is sealed for this version; scrub tells more");
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let all = new.firsts(|_| true);
    files.push(PlainFile::new(SEALED_FULL, Vec::new(), stored(&new, all)));
    let envelope = release::envelope(store, &origin_path::root(content, id)).await?;
    let mut head = vec![HeadPart::Item(SealedItem::Root(envelope))];
    let page = |page: &freshet_protocol::PageRef| HeadPart::Page {
        id: page.id,
        bytes: page.bytes,
        is_of_patch: false,
    };
    head.extend(new.root.pages.iter().map(page));
    files.push(PlainFile::new(SEALED_INNER, head, Vec::new()));
    Ok(files)
}

type Planned = (Vec<HeadPart>, Vec<StoredBlob>);

/// For who has a release that a patch leads from: the patch, and what it names.
async fn by_patch(
    store: &Store,
    content: &ContentName,
    new: &ReleaseMap,
    patch: &PatchRef,
) -> Result<Planned, ReadError> {
    let envelope = release::envelope(store, &origin_path::patch(content, patch.patch)).await?;
    let (mut head, mut blobs) = (vec![HeadPart::Item(SealedItem::Patch(envelope))], Vec::new());
    for page in release::patch(store, content, patch.patch).await?.pages {
        head.push(HeadPart::Page { id: page.id, bytes: page.bytes, is_of_patch: true });
        let index = release::index(store, content, page.id, page.chunks).await?;
        let read = release::patch_page(store, content, &page).await?;
        for (PatchChunk { target, delta }, place) in read.chunks.iter().zip(index.places) {
            blobs.push(match delta {
                Some(delta) => StoredBlob::new(delta.id, delta.bytes, place),
                None => {
                    let chunk = new.chunk(*target);
                    StoredBlob::new(chunk.id, chunk.bytes, *new.place(*target))
                }
            });
        }
    }
    Ok((head, blobs))
}

/// For who has a release that no patch leads from: the chunks that it lacks.
async fn whole(
    store: &Store,
    content: &ContentName,
    new: &ReleaseMap,
    base: RootId,
) -> Result<Planned, ReadError> {
    let old = ReleaseMap::read(store, content, base).await?;
    let missing = new.firsts(|position| old.position(new.chunk(position).id).is_none());
    Ok((Vec::new(), stored(new, missing)))
}

/// Blobs at these positions of a release.
pub(super) fn stored(map: &ReleaseMap, positions: impl Iterator<Item = u32>) -> Vec<StoredBlob> {
    positions
        .map(|position| {
            let chunk = map.chunk(position);
            StoredBlob::new(chunk.id, chunk.bytes, *map.place(position))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use freshet_protocol::{Encoding, PackId};

    /// A file whose blobs have so many bytes together.
    fn file(bytes: u64) -> PlainFile {
        let place = |stored_bytes| Place {
            pack: PackId([0; 16]),
            offset: 0,
            stored_bytes,
            encoding: Encoding::Identity,
        };
        let blob = |bytes| StoredBlob::new(ChunkId::of(b"blob"), bytes, place(bytes));
        let mut blobs = vec![blob(1 << 20); (bytes >> 20) as usize];
        blobs.extend(((bytes & 0xf_ffff) > 0).then(|| blob((bytes & 0xf_ffff) as u32)));
        PlainFile { path: SEALED_FULL.parse().expect("path"), head: Vec::new(), blobs }
    }

    #[test]
    fn chunks_grow_with_the_release() {
        let check = |bytes: u64, expected: Option<u32>| {
            assert_eq!(chunk_bytes(&[file(bytes)]).ok(), expected, "{bytes}");
        };
        let most = |chunk_bytes: u32| u64::from(CHUNKS_MAX) * u64::from(chunk_bytes - SEAL_BYTES) - 9;
        check(0, Some(256 << 10));
        check(most(256 << 10), Some(256 << 10));
        check(most(256 << 10) + 1, Some(512 << 10));
        check(most(2 << 20), Some(2 << 20));
        check(most(2 << 20) + 1, None);
    }
}
