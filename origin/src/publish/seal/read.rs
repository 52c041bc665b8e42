//! The plain bytes of a file that is to be sealed, as they are read from the store, never many at a time.

use bytes::Bytes;
use freshet_protocol::{ChunkRef, ContentName, SealedItem, origin_path, sealed_head_start};
use futures_util::stream::{self, BoxStream, StreamExt};

use super::plan::{HeadPart, PlainFile, StoredBlob};
use crate::release::{self, ReadError, damaged};
use crate::store::Store;

/// Bytes of neighbouring blobs that are read together, at most.
const RUN_BYTES: u64 = 4 << 20;
/// Parts of a file that are read at once.
const PARTS_AT_ONCE: usize = 3;

/// Whether blobs are looked at as they are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Check {
    /// Each must be what its id says.
    Blobs,
    /// They were looked at before.
    Nothing,
}

/// What is read together.
enum Part<'a> {
    Start(u64),
    Head(&'a HeadPart),
    Run(&'a [StoredBlob]),
}

/// The file's bytes in order, without padding.
pub(super) fn bytes<'a>(
    store: &'a Store,
    content: &'a ContentName,
    file: &'a PlainFile,
    check: Check,
) -> BoxStream<'a, Result<Bytes, ReadError>> {
    let start = std::iter::once_with(|| Part::Start(file.items_bytes()));
    let parts = start.chain(file.head.iter().map(Part::Head)).chain(runs(&file.blobs).map(Part::Run));
    stream::iter(parts).map(move |part| read(store, content, part, check)).buffered(PARTS_AT_ONCE).boxed()
}

async fn read(
    store: &Store,
    content: &ContentName,
    part: Part<'_>,
    check: Check,
) -> Result<Bytes, ReadError> {
    match part {
        Part::Start(items_bytes) => Ok(sealed_head_start(items_bytes).into()),
        Part::Head(HeadPart::Item(item)) => Ok(item.encode().into()),
        Part::Head(HeadPart::Page { id, is_of_patch, .. }) => {
            let plain = release::plain_page(store, content, *id).await?.into();
            let item = if *is_of_patch { SealedItem::PatchPage(plain) } else { SealedItem::Page(plain) };
            Ok(item.encode().into())
        }
        Part::Run(run) => {
            let bytes = read_run(store, content, run).await?;
            if check == Check::Blobs {
                let (run, bytes) = (run.to_vec(), bytes.clone());
                let object = origin_path::pack(content, run[0].place.pack);
                let checking = tokio::task::spawn_blocking(move || check_run(&run, &bytes));
                let checked = checking.await.expect("checking does not panic");
                checked.map_err(|reason| damaged(object, reason))?;
            }
            Ok(bytes)
        }
    }
}

/// Blobs that lie behind each other in one pack.
pub(super) fn runs(blobs: &[StoredBlob]) -> impl Iterator<Item = &[StoredBlob]> {
    let mut rest = blobs;
    std::iter::from_fn(move || {
        let first = rest.first()?.place;
        let mut end = first.offset;
        let follows = |stored: &&StoredBlob| {
            let place = stored.place;
            let is_next = place.pack == first.pack && place.offset == end;
            end += u64::from(place.stored_bytes);
            is_next && end <= first.offset + RUN_BYTES
        };
        let count = rest.iter().take_while(follows).count().max(1);
        let (run, after) = rest.split_at(count);
        rest = after;
        Some(run)
    })
}

/// The bytes of a run, as they lie in their pack.
pub(super) async fn read_run(
    store: &Store,
    content: &ContentName,
    run: &[StoredBlob],
) -> Result<Bytes, ReadError> {
    let first = run[0].place;
    let bytes: u64 = run.iter().map(|stored| u64::from(stored.place.stored_bytes)).sum();
    let object = origin_path::pack(content, first.pack);
    Ok(store.read_range(&object, first.offset..first.offset + bytes).await?)
}

fn check_run(run: &[StoredBlob], bytes: &Bytes) -> Result<(), String> {
    let mut start = 0;
    for StoredBlob { blob, .. } in run {
        let end = start + blob.stored_bytes as usize;
        let chunk = ChunkRef { id: blob.id, bytes: blob.bytes };
        release::open_chunk(&chunk, blob.encoding, bytes.slice(start..end))
            .map_err(|reason| format!("chunk {}: {reason}", blob.id))?;
        start = end;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use freshet_protocol::{ChunkId, Encoding, PackId, Place, SealedBlob};

    #[test]
    fn neighbours_are_read_together() {
        let stored = |pack: u8, offset: u64, stored_bytes: u32| StoredBlob {
            blob: SealedBlob {
                id: ChunkId::of(b"blob"),
                bytes: stored_bytes,
                stored_bytes,
                encoding: Encoding::Identity,
            },
            place: Place { pack: PackId([pack; 16]), offset, stored_bytes, encoding: Encoding::Identity },
        };
        let check = |blobs: &[StoredBlob], expected: &[usize]| {
            assert_eq!(runs(blobs).map(<[_]>::len).collect::<Vec<_>>(), expected);
        };
        check(&[], &[]);
        check(&[stored(1, 0, 5), stored(1, 5, 5), stored(1, 11, 5), stored(2, 16, 5)], &[2, 1, 1]);
        check(&[stored(1, 9, 5), stored(1, 5, 4)], &[1, 1]);
        let mib = 1 << 20;
        check(&(0..9).map(|n| stored(1, n * mib, mib as u32)).collect::<Vec<_>>(), &[4, 4, 1]);
    }
}
