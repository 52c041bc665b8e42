//! Reads everything that a store holds and checks it: each chunk, page and root against its hash, each index against
//! what the packs hold, each segment of a stream against its entry, and, with the tenant's key, each signature.

mod stream;

use std::collections::BTreeMap;

use freshet_protocol::{
    ChunkId, ChunkRef, ContentName, KEY_DOCUMENT_KIND, KeyDocument, Name, PATCH_KIND, POINTER_KIND, PackId,
    PackIndex, PageId, PageRef, Patch, PatchChunk, PatchId, Pointer, PublicKey, ROOT_KIND, Role, Root,
    RootId, envelope_bytes_max, origin_path,
};
use futures_util::stream::{StreamExt, iter};
use serde::Serialize;

use crate::history::History;
use crate::inventory::{self, Inventory};
use crate::layout;
use crate::publish::{ReleaseMap, read_sidecar};
use crate::release::{self, ReadError};
use crate::sidecar::PackedChunk;
use crate::store::{Store, StoreError};

/// Most damages that a report names; those beyond are counted.
pub(crate) const DAMAGES_MAX: usize = 1000;
/// Bytes of neighbouring chunks that are read together, at most.
const RUN_BYTES: u64 = 4 << 20;
/// Runs read at once.
const RUNS_AT_ONCE: usize = 3;

/// Something that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Damage {
    /// The object.
    pub object: String,
    /// What is wrong with it.
    pub reason: String,
}

/// What a scrub found.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Scrubbed {
    /// Versions checked.
    pub versions: u32,
    /// Pages checked.
    pub pages: u32,
    /// Chunks checked.
    pub chunks: u64,
    /// Plain bytes of those.
    pub bytes: u64,
    /// Pages of entries of streams checked.
    pub entry_pages: u32,
    /// Segments of streams checked: those whose media is in the store.
    pub segments: u64,
    /// Damages in all.
    pub damage_count: u64,
    /// The first thousand of them.
    pub damages: Vec<Damage>,
}

/// Checks a whole store. With the tenant's public key, contents of that tenant have their signatures checked too.
///
/// # Errors
/// [`StoreError`] when the store cannot be listed. Damage is no error but in the report.
pub async fn scrub(store: &Store, tenant_key: Option<PublicKey>) -> Result<Scrubbed, StoreError> {
    let mut scrubbed = Scrubbed::default();
    for (content, inventory) in inventory::read(store, None).await? {
        let mut scrub = Scrub { store, content, inventory, found: &mut scrubbed, packs: BTreeMap::new() };
        scrub.packs().await;
        scrub.releases().await;
        scrub.patches().await;
        scrub.stream().await;
        if let Some(key) = tenant_key {
            scrub.signatures(key).await;
        }
    }
    Ok(scrubbed)
}

struct Scrub<'a> {
    store: &'a Store,
    content: ContentName,
    inventory: Inventory,
    found: &'a mut Scrubbed,
    /// What the packs hold, for checking indexes.
    packs: BTreeMap<PackId, Vec<PackedChunk>>,
}

impl Scrubbed {
    fn note(&mut self, object: String, reason: impl ToString) {
        self.damage_count += 1;
        if self.damages.len() < DAMAGES_MAX {
            self.damages.push(Damage { object, reason: reason.to_string() });
        }
    }

    /// Names the object that is to blame, once: several versions may lead to it.
    fn note_unreadable(&mut self, object: String, error: ReadError) {
        let (object, reason) = match error {
            ReadError::Damaged { object, reason } => (object, reason),
            ReadError::Store(error) => (object, error.to_string()),
        };
        if !self.is_noted(&object) {
            self.note(object, reason);
        }
    }

    fn is_noted(&self, object: &str) -> bool {
        self.damages.iter().any(|damage| damage.object == object)
    }
}

impl Scrub<'_> {
    async fn packs(&mut self) {
        let packs: Vec<PackId> = self.inventory.sidecars.keys().copied().collect();
        for pack in packs {
            match read_sidecar(self.store, &self.content, pack).await {
                Ok(chunks) => {
                    self.pack(pack, &chunks).await;
                    self.packs.insert(pack, chunks);
                }
                Err(error) => self.found.note_unreadable(layout::sidecar(&self.content, pack), error),
            }
        }
    }

    async fn pack(&mut self, pack: PackId, chunks: &[PackedChunk]) {
        let object = origin_path::pack(&self.content, pack);
        if !self.inventory.packs.contains_key(&pack) {
            return self.found.note(object, "is missing, though its list of chunks is there");
        }
        let (store, object) = (self.store, object.as_str());
        let mut checks = iter(runs(chunks)).map(|run| check_run(store, object, run)).buffered(RUNS_AT_ONCE);
        while let Some(damages) = checks.next().await {
            damages.into_iter().for_each(|reason| self.found.note(object.to_owned(), reason));
        }
        self.found.chunks += chunks.len() as u64;
        self.found.bytes += chunks.iter().map(|chunk| u64::from(chunk.bytes)).sum::<u64>();
    }

    async fn releases(&mut self) {
        let mut pages: BTreeMap<PageId, PageRef> = BTreeMap::new();
        let versions: Vec<Name> = self.inventory.versions.keys().cloned().collect();
        for version in versions {
            self.found.versions += 1;
            match self.root_of(&version).await {
                Ok(root) => pages.extend(root.pages.into_iter().map(|page| (page.id, page))),
                Err(error) => {
                    self.found.note_unreadable(origin_path::version(&self.content, &version), error)
                }
            }
        }
        let channels: Vec<Name> = self.inventory.channels.keys().cloned().collect();
        for channel in channels {
            if let Err(error) = self.channel(&channel).await {
                self.found.note_unreadable(origin_path::pointer(&self.content, &channel), error);
            }
        }
        for page in pages.into_values() {
            self.found.pages += 1;
            if let Err(error) = self.page(&page).await {
                self.found.note_unreadable(origin_path::page(&self.content, page.id), error);
            }
            // Older stores have none; it is then made when asked for.
            let has_gzip = self.inventory.gzip_pages.contains_key(&page.id);
            if has_gzip && let Err(error) = release::gzip_page(self.store, &self.content, page.id).await {
                self.found.note_unreadable(origin_path::page_gzip(&self.content, page.id), error);
            }
        }
    }

    async fn root_of(&self, version: &Name) -> Result<Root, ReadError> {
        let id = release::version(self.store, &self.content, version).await?.root;
        release::root(self.store, &self.content, id).await
    }

    /// Reads all releases that a channel names, and its history.
    async fn channel(&self, channel: &Name) -> Result<(), ReadError> {
        let pointer = release::pointer(self.store, &self.content, channel).await?;
        let sealed = pointer.preload.iter().map(|preload| preload.root);
        let sealed = sealed.chain(pointer.unsealed.iter().map(|unsealed| unsealed.root));
        for root in pointer.offers().map(|offer| offer.root).chain(sealed) {
            release::root(self.store, &self.content, root).await?;
        }
        History::read(self.store, &self.content, channel).await.map(drop)
    }

    async fn page(&mut self, page: &PageRef) -> Result<(), ReadError> {
        let read = release::page(self.store, &self.content, page).await?;
        self.index(page.id, read.chunks().map(|chunk| chunk.id).collect()).await
    }

    async fn patches(&mut self) {
        let patches: Vec<PatchId> = self.inventory.patches.keys().copied().collect();
        for id in patches {
            if let Err(error) = self.patch(id).await {
                self.found.note_unreadable(origin_path::patch(&self.content, id), error);
            }
        }
    }

    async fn patch(&mut self, id: PatchId) -> Result<(), ReadError> {
        let patch = release::patch(self.store, &self.content, id).await?;
        let to = ReleaseMap::read(self.store, &self.content, patch.to).await?;
        for page in patch.pages {
            self.found.pages += 1;
            let read = release::patch_page(self.store, &self.content, &page).await?;
            let blob = |chunk: &PatchChunk| match &chunk.delta {
                Some(delta) => Some(delta.id),
                None => to.chunks.get(chunk.target as usize).map(|chunk| chunk.id),
            };
            match read.chunks.iter().map(blob).collect::<Option<Vec<_>>>() {
                Some(blobs) => self.index(page.id, blobs).await?,
                None => self.found.note(
                    origin_path::page(&self.content, page.id),
                    "it speaks of positions beyond the release",
                ),
            }
        }
        Ok(())
    }

    /// Checks where the index of a page says that its blobs are.
    async fn index(&mut self, page: PageId, blobs: Vec<ChunkId>) -> Result<(), ReadError> {
        let index = release::index(self.store, &self.content, page, blobs.len() as u32).await?;
        if let Some(reason) = self.first_misplaced(&blobs, &index) {
            self.found.note(origin_path::index(&self.content, page), reason);
        }
        Ok(())
    }

    /// The first blob that does not lie where the index says.
    fn first_misplaced(&self, blobs: &[ChunkId], index: &PackIndex) -> Option<String> {
        // A pack whose own list is damaged is named already.
        let is_named = |pack| self.inventory.sidecars.contains_key(pack) && !self.packs.contains_key(pack);
        let mut places = blobs.iter().zip(&index.places).filter(|(_, place)| !is_named(&place.pack));
        places.find_map(|(blob, place)| {
            let packed = self.packs.get(&place.pack).and_then(|chunks| {
                let at =
                    chunks.binary_search_by_key(&place.offset, |packed| u64::from(packed.offset)).ok()?;
                chunks.get(at)
            });
            let is_right = packed.is_some_and(|packed| {
                packed.id == *blob
                    && (packed.stored_bytes, packed.encoding) == (place.stored_bytes, place.encoding)
            });
            let wrong = || format!("chunk {blob} is not at offset {} of pack {}", place.offset, place.pack);
            (!is_right).then(wrong)
        })
    }

    async fn signatures(&mut self, key: PublicKey) {
        let object = origin_path::keys(&self.content);
        let document = match self.store.read(&object, envelope_bytes_max(KEY_DOCUMENT_KIND) as u64).await {
            Ok(bytes) => KeyDocument::open(&bytes, key).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        let document = match document {
            Ok(document) => document,
            Err(reason) => return self.found.note(object, reason),
        };
        let roots: Vec<RootId> = self.inventory.roots.keys().copied().collect();
        for id in roots {
            let object = origin_path::root(&self.content, id);
            let open = |bytes: &[u8]| {
                Root::open_as(id, bytes, &document.keys_for(Role::Root, 0))
                    .map(drop)
                    .map_err(|e| e.to_string())
            };
            self.signed(object, envelope_bytes_max(ROOT_KIND), open).await;
        }
        let patches: Vec<PatchId> = self.inventory.patches.keys().copied().collect();
        for id in patches {
            let object = origin_path::patch(&self.content, id);
            let open = |bytes: &[u8]| {
                Patch::open_as(id, bytes, &document.keys_for(Role::Root, 0))
                    .map(drop)
                    .map_err(|e| e.to_string())
            };
            self.signed(object, envelope_bytes_max(PATCH_KIND), open).await;
        }
        let channels: Vec<Name> = self.inventory.channels.keys().cloned().collect();
        for channel in channels {
            let object = origin_path::pointer(&self.content, &channel);
            let open = |bytes: &[u8]| {
                Pointer::open(bytes, &document.keys_for(Role::Pointer, 0))
                    .map(drop)
                    .map_err(|e| e.to_string())
            };
            self.signed(object, envelope_bytes_max(POINTER_KIND), open).await;
        }
    }

    async fn signed(&mut self, object: String, limit: usize, open: impl Fn(&[u8]) -> Result<(), String>) {
        let opened = match self.store.read(&object, limit as u64).await {
            Ok(bytes) => open(&bytes),
            Err(error) => Err(error.to_string()),
        };
        match opened {
            Err(reason) if !self.found.is_noted(&object) => self.found.note(object, reason),
            _ => {}
        }
    }
}

/// Neighbouring chunks that are read together.
fn runs(chunks: &[PackedChunk]) -> impl Iterator<Item = &[PackedChunk]> {
    let mut rest = chunks;
    std::iter::from_fn(move || {
        let first = rest.first()?;
        let limit = u64::from(first.offset) + RUN_BYTES;
        let is_near = |chunk: &PackedChunk| chunk.offset >= first.offset && chunk_end(chunk) <= limit;
        let count = rest.iter().take_while(|chunk| is_near(chunk)).count().max(1);
        let (run, after) = rest.split_at(count);
        rest = after;
        Some(run)
    })
}

fn chunk_end(chunk: &PackedChunk) -> u64 {
    u64::from(chunk.offset) + u64::from(chunk.stored_bytes)
}

/// Reads a run and says what is wrong with it.
async fn check_run(store: &Store, object: &str, run: &[PackedChunk]) -> Vec<String> {
    let start = run.iter().map(|chunk| u64::from(chunk.offset)).min().unwrap_or(0);
    let end = run.iter().map(chunk_end).max().unwrap_or(0);
    let bytes = match store.read_range(object, start..end).await {
        Ok(bytes) => bytes,
        Err(error) => return vec![format!("{} chunks from offset {start} on: {error}", run.len())],
    };
    let check = |packed: &PackedChunk| {
        let stored =
            bytes.slice((u64::from(packed.offset) - start) as usize..(chunk_end(packed) - start) as usize);
        let chunk = ChunkRef { id: packed.id, bytes: packed.bytes };
        let reason = release::open_chunk(&chunk, packed.encoding, stored).err()?;
        Some(format!("at offset {}: {reason}", packed.offset))
    };
    run.iter().filter_map(check).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use freshet_protocol::{ChunkId, Encoding};

    #[test]
    fn chunks_are_read_in_runs() {
        let chunk = |offset: u32, stored_bytes: u32| PackedChunk {
            id: ChunkId::of(b"x"),
            bytes: stored_bytes,
            offset,
            stored_bytes,
            encoding: Encoding::Identity,
        };
        let check = |chunks: &[PackedChunk], expected: &[usize]| {
            assert_eq!(runs(chunks).map(<[_]>::len).collect::<Vec<_>>(), expected);
        };
        let mib = 1 << 20;
        check(&[], &[]);
        check(&[chunk(0, 10)], &[1]);
        check(&(0..9).map(|n| chunk(n * mib, mib)).collect::<Vec<_>>(), &[4, 4, 1]);
        check(&[chunk(0, 10), chunk(100 * mib, 10), chunk(5, 10)], &[1, 1, 1]);
    }

    #[test]
    fn no_more_damages_than_a_report_holds() {
        let mut found = Scrubbed::default();
        (0..=DAMAGES_MAX).for_each(|n| found.note(n.to_string(), "broken"));
        assert_eq!((found.damages.len(), found.damage_count), (DAMAGES_MAX, DAMAGES_MAX as u64 + 1));
    }
}
