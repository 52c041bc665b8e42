//! Which chunks lie where: those that the store held when a publish began, and those that it adds. Compact, because a
//! large game has half a million of them.

use std::collections::{BTreeMap, HashMap};

use freshet_protocol::{ChunkId, ContentName, Encoding, PackId, Place};
use futures_util::{StreamExt, TryStreamExt, stream};

use crate::layout::{self, Kind};
use crate::release::ReadError;
use crate::sidecar::{self, PackedChunk, SIDECAR_BYTES_MAX};
use crate::store::{Object, Store};

/// Most chunks of a store that a publish remembers: what fills a hash table of 2^20 places. Beyond it the newest packs
/// win, and an old chunk may be stored a second time.
pub(crate) const STORED_CHUNKS_MAX: usize = 7 << 17;
/// Sidecars read at once.
const SIDECARS_AT_ONCE: usize = 8;
/// Marks a chunk stored with zstd; sizes stay below it.
const ZSTD_BIT: u32 = 1 << 31;

/// Places of chunks, by id.
#[derive(Debug, Default)]
pub(crate) struct Places {
    packs: Vec<PackId>,
    slots: HashMap<ChunkId, Slot>,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    pack: u32,
    offset: u32,
    /// Stored size, and [`ZSTD_BIT`].
    stored: u32,
}

impl Places {
    /// Adds the chunks of a pack.
    pub(crate) fn add_pack(&mut self, pack: PackId, chunks: &[PackedChunk]) {
        self.open_pack(pack);
        chunks.iter().for_each(|chunk| self.add(chunk));
    }

    /// Following chunks lie in `pack`.
    pub(crate) fn open_pack(&mut self, pack: PackId) {
        self.packs.push(pack);
    }

    /// Adds a chunk of the pack opened last.
    pub(crate) fn add(&mut self, chunk: &PackedChunk) {
        let bit = if chunk.encoding == Encoding::Zstd { ZSTD_BIT } else { 0 };
        let pack = self.packs.len().checked_sub(1).expect("a pack is opened before its chunks") as u32;
        self.slots.insert(chunk.id, Slot { pack, offset: chunk.offset, stored: chunk.stored_bytes | bit });
    }

    pub(crate) fn contains(&self, id: ChunkId) -> bool {
        self.slots.contains_key(&id)
    }

    pub(crate) fn place(&self, id: ChunkId) -> Option<Place> {
        let slot = self.slots.get(&id)?;
        let encoding = if slot.stored & ZSTD_BIT == 0 { Encoding::Identity } else { Encoding::Zstd };
        Some(Place {
            pack: self.packs[slot.pack as usize],
            offset: u64::from(slot.offset),
            stored_bytes: slot.stored & !ZSTD_BIT,
            encoding,
        })
    }

    fn len(&self) -> usize {
        self.slots.len()
    }
}

/// What a store holds of a content.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) places: Places,
    /// Whether every stored chunk is known, that is, the bound was not reached.
    pub(crate) is_complete: bool,
}

/// Reads the lists of all complete packs, newest first, up to `chunks_max` chunks.
pub(crate) async fn load(
    store: &Store,
    content: &ContentName,
    chunks_max: usize,
) -> Result<Stored, ReadError> {
    let packs = complete_packs(&store.list(&layout::folder(content, "packs")).await?);
    let read = |(pack, bytes): (PackId, u64)| async move {
        let chunks = match read_sidecar(store, content, pack).await {
            Err(error @ ReadError::Damaged { .. }) => {
                tracing::warn!(%error, "the chunks of this pack are stored anew; scrub tells more");
                Vec::new()
            }
            read => read?,
        };
        Ok::<_, ReadError>((pack, bytes, chunks))
    };
    let mut sidecars = stream::iter(packs).map(read).buffered(SIDECARS_AT_ONCE);
    let mut stored = Stored { places: Places::default(), is_complete: true };
    while let Some((pack, bytes, chunks)) = sidecars.try_next().await? {
        let end = chunks.iter().map(|chunk| u64::from(chunk.offset) + u64::from(chunk.stored_bytes)).max();
        if end.unwrap_or(0) > bytes {
            tracing::warn!(%pack, "pack is shorter than its list of chunks says; its chunks are stored anew");
            continue;
        }
        if stored.places.len() + chunks.len() > chunks_max {
            stored.is_complete = false;
            break;
        }
        stored.places.add_pack(pack, &chunks);
    }
    Ok(stored)
}

/// The list of chunks of one pack.
pub(crate) async fn read_sidecar(
    store: &Store,
    content: &ContentName,
    pack: PackId,
) -> Result<Vec<PackedChunk>, ReadError> {
    let object = layout::sidecar(content, pack);
    let bytes = store.read(&object, SIDECAR_BYTES_MAX).await?;
    sidecar::decode(&bytes).map_err(|error| ReadError::Damaged { object, reason: error.to_string() })
}

/// Packs that have their list beside them, newest first, with their size in bytes.
pub(crate) fn complete_packs(objects: &[Object]) -> Vec<(PackId, u64)> {
    let mut sizes = BTreeMap::new();
    let mut listed = Vec::new();
    for object in objects {
        match layout::parse(&object.path) {
            Some((_, Kind::Pack(pack))) => drop(sizes.insert(pack, object.bytes)),
            Some((_, Kind::Sidecar(pack))) => listed.push((std::cmp::Reverse(object.modified), pack)),
            _ => {}
        }
    }
    listed.sort_unstable();
    listed.into_iter().filter_map(|(_, pack)| Some((pack, *sizes.get(&pack)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use freshet_protocol::origin_path;

    async fn put_pack(store: &Store, content: &ContentName, n: u8, bytes: usize, has_list: bool) {
        let chunk = |k: u8| PackedChunk {
            id: ChunkId::of(&[n, k]),
            bytes: 10,
            offset: u32::from(k) * 10,
            stored_bytes: 10,
            encoding: if k == 0 { Encoding::Identity } else { Encoding::Zstd },
        };
        let pack = PackId([n; 16]);
        store.replace(&origin_path::pack(content, pack), vec![0; bytes].into()).await.expect("written");
        if has_list {
            let list = sidecar::encode(&[chunk(0), chunk(1)]);
            store.replace(&layout::sidecar(content, pack), Bytes::from(list)).await.expect("written");
        }
    }

    #[tokio::test]
    async fn only_whole_packs_count_and_the_bound_holds() {
        let store = Store::of_objects(std::sync::Arc::new(object_store::memory::InMemory::new()));
        let content: ContentName = "game/demo".parse().expect("name");
        put_pack(&store, &content, 1, 20, true).await;
        put_pack(&store, &content, 2, 20, false).await;
        put_pack(&store, &content, 3, 19, true).await;
        put_pack(&store, &content, 4, 20, true).await;
        let stored = load(&store, &content, STORED_CHUNKS_MAX).await.expect("loaded");
        assert!(stored.is_complete);
        let held = |n: u8| stored.places.contains(ChunkId::of(&[n, 0]));
        assert_eq!([held(1), held(2), held(3), held(4)], [true, false, false, true]);
        let place = stored.places.place(ChunkId::of(&[4, 1])).expect("known");
        let expected =
            Place { pack: PackId([4; 16]), offset: 10, stored_bytes: 10, encoding: Encoding::Zstd };
        assert_eq!(place, expected);
        let stored = load(&store, &content, 3).await.expect("loaded");
        assert_eq!((stored.is_complete, stored.places.len()), (false, 2));
    }
}
