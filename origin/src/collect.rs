//! Garbage collection: removes old versions and what only they used. What a channel needs is never removed, and
//! anything that cannot be read stops the collection before it deletes.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use freshet_protocol::{ContentName, Name, PackId, PageId, PatchId, PatchRef, RootId};
use serde::Serialize;

use crate::history::History;
use crate::inventory::{self, Inventory};
use crate::publish::unix_now;
use crate::release::{self, ReadError};
use crate::store::{Abandoned, ContentLock, Object, Store, StoreError};

/// What to keep, and whether to delete the rest.
#[derive(Debug)]
pub struct GcOptions {
    /// The store.
    pub store: Store,
    /// One content, or all.
    pub content: Option<ContentName>,
    /// How many of the newest versions of each content are kept, beside those that a channel shows or showed before.
    pub keep: usize,
    /// Objects of no version are spared for this long: a publish may be writing them, or will resume from them.
    pub grace: Duration,
    /// Whether to delete; otherwise only tells.
    pub is_delete: bool,
}

/// A pack of which only a part is still needed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PartlyUsed {
    /// The pack, as 32 hexadecimal digits.
    pub pack: String,
    /// Its size, in bytes.
    pub bytes: u64,
    /// Bytes of it that are needed.
    pub used_bytes: u64,
}

/// What was removed of one content, or would be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Collected {
    /// The content.
    pub content: ContentName,
    /// Versions kept.
    pub kept: Vec<Name>,
    /// Versions removed.
    pub removed: Vec<Name>,
    /// Packs removed.
    pub packs: usize,
    /// Objects removed, packs among them.
    pub objects: usize,
    /// Unfinished files of killed writers removed from a local store.
    pub abandoned: usize,
    /// Bytes freed.
    pub bytes: u64,
    /// Objects of no version that are younger than the grace.
    pub spared: usize,
    /// Packs that are needed in part. They stay whole.
    pub partly_used: Vec<PartlyUsed>,
}

/// Collects garbage.
///
/// # Errors
/// [`ReadError`] when the store fails, or when something is damaged, so that it is unknown what is needed.
pub async fn gc(options: &GcOptions) -> Result<Vec<Collected>, ReadError> {
    let mut collected = Vec::new();
    for (content, _) in inventory::read(&options.store, options.content.as_ref()).await? {
        let _lock = match options.is_delete {
            true => Some(ContentLock::take(&options.store, &content)?),
            false => None,
        };
        // Anew under the lock: a publish may have ended in between.
        let inventory = inventory::read(&options.store, Some(&content)).await?.remove(&content);
        let plan = Plan::make(options, &content, &inventory.unwrap_or_default()).await?;
        if options.is_delete {
            plan.delete(&options.store).await?;
        }
        collected.push(plan.collected);
    }
    Ok(collected)
}

/// What versions use.
#[derive(Default)]
struct Used {
    roots: BTreeSet<RootId>,
    patches: BTreeSet<PatchId>,
    pages: BTreeSet<PageId>,
    /// For each pack, the stored size of each chunk by its offset.
    packs: BTreeMap<PackId, BTreeMap<u64, u32>>,
}

impl Used {
    async fn add(&mut self, store: &Store, content: &ContentName, id: RootId) -> Result<(), ReadError> {
        if !self.roots.insert(id) {
            return Ok(());
        }
        for page in release::root(store, content, id).await?.pages {
            self.add_page(store, content, page.id, page.chunks).await?;
        }
        Ok(())
    }

    /// What a channel needs: the releases that it shows, the sealed ones that it names, the patches to what it shows,
    /// the releases that these lead from, which the next publish makes patches of, and the release that a rollback
    /// would show.
    async fn add_channel(
        &mut self,
        store: &Store,
        content: &ContentName,
        channel: &Name,
        held: &Inventory,
    ) -> Result<(), ReadError> {
        let pointer = release::pointer(store, content, channel).await?;
        for offer in pointer.offers() {
            self.add(store, content, offer.root).await?;
        }
        // Who fetches what is to come, and who comes late to what was opened, needs the sealed releases.
        let opened = pointer.unsealed.iter().map(|unsealed| unsealed.root);
        for sealed in pointer.preload.iter().map(|preload| preload.root).chain(opened) {
            self.add(store, content, sealed).await?;
        }
        let history = History::read(store, content, channel).await?;
        for before in history.last_but(pointer.root, 1, pointer.sequence + 1) {
            // Stores from before this was kept may lack it.
            if held.roots.contains_key(&before.root) {
                self.add(store, content, before.root).await?;
            }
        }
        for &PatchRef { from, patch } in pointer.all_patches() {
            self.add(store, content, from).await?;
            if self.patches.insert(patch) {
                for page in release::patch(store, content, patch).await?.pages {
                    self.add_page(store, content, page.id, page.chunks).await?;
                }
            }
        }
        Ok(())
    }

    async fn add_page(
        &mut self,
        store: &Store,
        content: &ContentName,
        page: PageId,
        blobs: u32,
    ) -> Result<(), ReadError> {
        if self.pages.insert(page) {
            for place in release::index(store, content, page, blobs).await?.places {
                self.packs.entry(place.pack).or_default().insert(place.offset, place.stored_bytes);
            }
        }
        Ok(())
    }
}

struct Plan {
    collected: Collected,
    /// In the order in which they go: names first, so that an interruption leaves nothing named but missing.
    doomed: Vec<Object>,
    abandoned: Vec<Abandoned>,
}

impl Plan {
    async fn make(options: &GcOptions, content: &ContentName, held: &Inventory) -> Result<Self, ReadError> {
        let store = &options.store;
        let mut kept = Used::default();
        for channel in held.channels.keys() {
            kept.add_channel(store, content, channel, held).await?;
        }
        let mut versions = Vec::new();
        for version in held.versions.keys() {
            let document = release::version(store, content, version).await?;
            versions.push((Reverse(document.published), Reverse(version), document.root));
        }
        versions.sort_unstable();
        for (_, _, root) in versions.iter().take(options.keep) {
            kept.add(store, content, *root).await?;
        }
        let mut removed = Used::default();
        let (stays, goes): (Vec<_>, Vec<_>) =
            versions.into_iter().partition(|(_, _, root)| kept.roots.contains(root));
        for (_, _, root) in &goes {
            removed.add(store, content, *root).await?;
        }
        let names = |versions: &[(Reverse<u64>, Reverse<&Name>, RootId)]| {
            versions.iter().map(|(_, Reverse(name), _)| (*name).clone()).collect::<Vec<_>>()
        };
        let collected = Collected {
            content: content.clone(),
            kept: names(&stays),
            removed: names(&goes),
            packs: 0,
            objects: 0,
            abandoned: 0,
            bytes: 0,
            spared: 0,
            partly_used: partly_used(held, &kept),
        };
        let mut plan = Self { collected, doomed: Vec::new(), abandoned: store.abandoned(content)? };
        plan.doom(held, &kept, &removed, unix_now().saturating_sub(options.grace.as_secs()));
        Ok(plan)
    }

    fn doom(&mut self, held: &Inventory, kept: &Used, removed: &Used, young_since: u64) {
        for version in &self.collected.removed {
            self.doomed.extend(held.versions.get(version).cloned());
        }
        let mut plan = |objects: Vec<(&Object, bool, bool)>| {
            for (object, is_kept, was_used) in objects {
                match (is_kept, was_used || object.modified <= young_since) {
                    (true, _) => {}
                    (false, true) => self.doomed.push(object.clone()),
                    (false, false) => self.collected.spared += 1,
                }
            }
        };
        let root = |(id, object)| (object, kept.roots.contains(id), removed.roots.contains(id));
        let page = |(id, object)| (object, kept.pages.contains(id), removed.pages.contains(id));
        let pack = |(id, object)| (object, kept.packs.contains_key(id), removed.packs.contains_key(id));
        let patch = |(id, object)| (object, kept.patches.contains(id), false);
        plan(held.patches.iter().map(patch).collect());
        plan(held.roots.iter().map(root).collect());
        plan(held.pages.iter().map(page).collect());
        plan(held.gzip_pages.iter().map(page).collect());
        plan(held.indexes.iter().map(page).collect());
        // The list goes before its pack, which then counts as unfinished.
        plan(held.sidecars.iter().map(pack).collect());
        plan(held.packs.iter().map(pack).collect());
        let doomed: BTreeSet<&str> = self.doomed.iter().map(|object| object.path.as_str()).collect();
        self.collected.packs = held.packs.values().filter(|pack| doomed.contains(pack.path.as_str())).count();
        self.collected.objects = self.doomed.len();
        self.collected.abandoned = self.abandoned.len();
        let abandoned_bytes: u64 = self.abandoned.iter().map(|file| file.bytes).sum();
        self.collected.bytes = abandoned_bytes + self.doomed.iter().map(|object| object.bytes).sum::<u64>();
    }

    async fn delete(&self, store: &Store) -> Result<(), StoreError> {
        for object in &self.doomed {
            store.delete(&object.path).await?;
        }
        // Under the lock nobody writes, so these are nobody's.
        self.abandoned.iter().try_for_each(|file| store.delete_abandoned(file))
    }
}

fn partly_used(held: &Inventory, kept: &Used) -> Vec<PartlyUsed> {
    let mut partly_used = Vec::new();
    for (pack, object) in &held.packs {
        let Some(chunks) = kept.packs.get(pack) else { continue };
        let used_bytes = chunks.values().map(|bytes| u64::from(*bytes)).sum();
        if used_bytes < object.bytes {
            partly_used.push(PartlyUsed { pack: pack.to_string(), bytes: object.bytes, used_bytes });
        }
    }
    partly_used
}
