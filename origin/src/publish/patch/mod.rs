//! Makes patches: from each release that the channel showed last, the deltas that lead to the new one.

mod base;
mod delta;
mod reader;
mod rewritten;

use std::ops::Range;
use std::sync::Arc;

use freshet_protocol::limits::PAGES_MAX;
use freshet_protocol::{
    ChunkId, ChunkRef, Delta, Encoding, Name, PATCH_ALGORITHM, PATCH_SCHEMA, Patch, PatchChunk, PatchPage,
    PatchPageRef, PatchRef, RootId, is_changed_in_place, origin_path, staying_chunks,
};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde::Serialize;

use super::known::Places;
use super::map::{MappedFile, ReleaseMap};
use super::packs::{Blob, Packs};
use super::{ChannelOptions, PublishError};
use crate::history::Shown;
use base::Target;
use delta::DeltaMakers;
use reader::ChunkReader;
pub use rewritten::{RewriteCause, Rewritten};

/// A delta is kept where it, with its place in a page, saves this share of what the chunk itself takes.
const SAVING_PERCENT: u64 = 30;
/// What a delta takes in its page, in bytes.
const RECORD_BYTES: u64 = 42;
/// Deltas on their way for each core: one is compressed while another one's bytes are read.
const DELTAS_PER_CORE: usize = 2;

/// What a player who has an older version will fetch and write.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Update {
    /// Deltas.
    pub deltas: u32,
    /// Bytes of those.
    pub delta_bytes: u64,
    /// Chunks that come whole.
    pub chunks: u32,
    /// Bytes of those, as stored.
    pub chunk_bytes: u64,
    /// Bytes of pages that the player lacks, of the manifest and of deltas, as stored.
    pub page_bytes: u64,
    /// Bytes to fetch if there were no deltas.
    pub without_deltas_bytes: u64,
    /// Bytes to write for files that are new or change, deltas aside. Where the player's file system shares blocks between
    /// files, or somebody uses a file meanwhile, they may be fewer or more.
    pub written_bytes: u64,
}

impl Update {
    /// Bytes to fetch.
    pub fn fetched_bytes(&self) -> u64 {
        self.delta_bytes + self.chunk_bytes + self.page_bytes
    }
}

/// A way from an older version to the new one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UpdateFrom {
    /// The older version.
    pub version: Name,
    /// What it costs a player.
    #[serde(flatten)]
    pub update: Update,
}

/// What was made for those who have an older version.
#[derive(Debug, Default)]
pub(super) struct Patches {
    /// The patches, as the pointer names them.
    pub(super) refs: Vec<PatchRef>,
    pub(super) updates: Vec<UpdateFrom>,
    /// Files that changed wholly since the newest of the older versions, for the way they are packed.
    pub(super) rewritten: Vec<Rewritten>,
}

/// Makes the patches from each of `older`, the newest first, to `newer`, which is published. One that cannot be made
/// because the older release is damaged is left out: players then fetch whole chunks.
///
/// # Errors
/// When something cannot be written, or the newer release cannot be read.
pub(super) async fn make_all(
    options: &ChannelOptions,
    stored: &Arc<Places>,
    older: &[Shown],
    newer: RootId,
) -> Result<Patches, PublishError> {
    if older.is_empty() {
        return Ok(Patches::default());
    }
    let ChannelOptions { store, content, .. } = options;
    let new = ReleaseMap::read(store, content, newer).await?;
    let makers = DeltaMakers::start(options.delta_level).map_err(PublishError::Compress)?;
    let reader = ChunkReader::new(store, content);
    let mut packs = Packs::new(store, content, stored.clone());
    let mut making = Making { options, new: &new, makers: &makers, reader: &reader, packs: &mut packs };
    let made = making.all(older).await;
    if made.is_err() {
        packs.abort().await;
    }
    made
}

/// The newer release, and what patches to it are made with.
struct Making<'a> {
    options: &'a ChannelOptions,
    new: &'a ReleaseMap,
    makers: &'a DeltaMakers,
    reader: &'a ChunkReader<'a>,
    packs: &'a mut Packs,
}

impl Making<'_> {
    async fn all(&mut self, older: &[Shown]) -> Result<Patches, PublishError> {
        let mut patches = Patches::default();
        for shown in older {
            let old = match ReleaseMap::read(&self.options.store, &self.options.content, shown.root).await {
                Ok(old) => old,
                Err(error) => {
                    tracing::warn!(version = %shown.version, %error, "no patch from this version; scrub tells more");
                    continue;
                }
            };
            let chunks = self.write_deltas(&old).await?;
            self.packs.close().await?;
            if patches.updates.is_empty() {
                patches.rewritten = self.find_rewritten(&old, &chunks).await;
            }
            let (patch, update) = self.write_patch(&old, chunks).await?;
            patches.refs.extend(patch);
            patches.updates.push(UpdateFrom { version: shown.version.clone(), update });
        }
        Ok(patches)
    }

    async fn find_rewritten(&self, old: &ReleaseMap, chunks: &[PatchChunk]) -> Vec<Rewritten> {
        rewritten::find(self.reader, old, self.new, chunks).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "cannot compare the files of the two versions");
            Vec::new()
        })
    }

    /// Makes the deltas, several at a time, and packs those that are worth it.
    async fn write_deltas(&mut self, old: &ReleaseMap) -> Result<Vec<PatchChunk>, PublishError> {
        let Self { new, makers, reader, .. } = *self;
        let made = stream::iter(base::targets(old, new)).map(|Target { position, base }| async move {
            let Some(base) = base else { return Ok::<_, PublishError>((position, None)) };
            let prefix = match reader.read(old, base.clone()).await {
                Ok(prefix) => prefix,
                Err(error) => {
                    tracing::warn!(%error, "no delta from what cannot be read");
                    return Ok((position, None));
                }
            };
            let chunk = reader.read(new, position..position + 1).await?;
            let bytes = makers.make(prefix, chunk).await.map_err(PublishError::Compress)?;
            let whole_bytes = u64::from(new.place(position).stored_bytes);
            Ok((position, is_worth_it(bytes.len() as u64, whole_bytes).then_some((base, bytes))))
        });
        let made = made.buffered(DELTAS_PER_CORE * delta::cores());
        futures_util::pin_mut!(made);
        let mut chunks = Vec::new();
        while let Some((target, made)) = made.try_next().await? {
            let delta = match made {
                Some((base, data)) => Some(keep_delta(self.packs, base, data).await?),
                None => None,
            };
            chunks.push(PatchChunk { target, delta });
        }
        Ok(chunks)
    }

    /// Writes the patch from `old`, whose deltas are packed; none where no delta is worth it.
    async fn write_patch(
        &self,
        old: &ReleaseMap,
        chunks: Vec<PatchChunk>,
    ) -> Result<(Option<PatchRef>, Update), PublishError> {
        let (new, ChannelOptions { store, content, keys, .. }) = (self.new, self.options);
        let mut update = self.update(old, &chunks).await?;
        if update.deltas == 0 {
            return Ok((None, update));
        }
        let plain_bytes = |chunk: &PatchChunk| match &chunk.delta {
            Some(delta) => u64::from(delta.bytes),
            None => u64::from(new.chunk(chunk.target).bytes),
        };
        let patch = Patch {
            schema: PATCH_SCHEMA,
            content: content.clone(),
            from: old.id,
            to: new.id,
            algorithm: PATCH_ALGORITHM.to_owned(),
            chunks: chunks.len() as u32,
            bytes: chunks.iter().map(plain_bytes).sum(),
            pages: self.write_pages(chunks, &mut update).await?,
        };
        let (id, envelope) = patch.seal(keys.online())?;
        store.create(&origin_path::patch(content, id), envelope.into()).await?;
        Ok((Some(PatchRef { from: old.id, patch: id }), update))
    }

    /// What a player who has `old` fetches, but for the pages of the patch.
    async fn update(&self, old: &ReleaseMap, chunks: &[PatchChunk]) -> Result<Update, PublishError> {
        let (new, ChannelOptions { store, content, .. }) = (self.new, self.options);
        let mut update = Update { written_bytes: written_bytes(old, new), ..Update::default() };
        for page in new.root.pages.iter().filter(|page| !old.has_page(page.id)) {
            update.page_bytes += store.size(&origin_path::page(content, page.id)).await?;
        }
        update.without_deltas_bytes = update.page_bytes;
        for PatchChunk { target, delta } in chunks {
            let whole_bytes = u64::from(new.place(*target).stored_bytes);
            update.without_deltas_bytes += whole_bytes;
            match delta {
                Some(delta) => {
                    update.deltas += 1;
                    update.delta_bytes += u64::from(delta.bytes);
                }
                None => {
                    update.chunks += 1;
                    update.chunk_bytes += whole_bytes;
                }
            }
        }
        Ok(update)
    }

    async fn write_pages(
        &self,
        chunks: Vec<PatchChunk>,
        update: &mut Update,
    ) -> Result<Vec<PatchPageRef>, PublishError> {
        let new = self.new;
        let mut pages = Vec::new();
        for page in PatchPage::cut(chunks) {
            let blob = |chunk: &PatchChunk| match &chunk.delta {
                Some(delta) => (delta.id, None),
                None => (new.chunk(chunk.target).id, Some(*new.place(chunk.target))),
            };
            let written = self.packs.write_page(&page.encode(), page.chunks.iter().map(blob), false).await?;
            update.page_bytes += written.packed_bytes;
            pages.push(PatchPageRef {
                id: written.id,
                bytes: written.bytes,
                chunks: page.chunks.len() as u32,
            });
        }
        if pages.len() > PAGES_MAX { Err(PublishError::TooManyPages) } else { Ok(pages) }
    }
}

async fn keep_delta(packs: &mut Packs, base: Range<u32>, data: Vec<u8>) -> Result<Delta, PublishError> {
    let (id, bytes) = (ChunkId::of(&data), data.len() as u32);
    if packs.place(id).is_none() {
        packs.append(Blob { id, bytes, encoding: Encoding::Identity, data: data.into() }).await?;
    }
    Ok(Delta { id, bytes, base })
}

fn is_worth_it(delta_bytes: u64, whole_bytes: u64) -> bool {
    (delta_bytes + RECORD_BYTES) * 100 <= whole_bytes * (100 - SAVING_PERCENT)
}

/// Bytes that go to a player's disk for files that the older release lacks or has otherwise.
fn written_bytes(old: &ReleaseMap, new: &ReleaseMap) -> u64 {
    fn chunks<'a>(map: &'a ReleaseMap, file: &MappedFile) -> &'a [ChunkRef] {
        &map.chunks[file.positions.start as usize..file.positions.end as usize]
    }
    let written = |file: &MappedFile| {
        let Some(known) = old.file(&file.path) else { return file.bytes };
        let (before, after) = (chunks(old, known), chunks(new, file));
        if before == after {
            return 0;
        }
        let staying =
            staying_chunks(before, after).into_iter().map(|number| u64::from(after[number].bytes)).sum();
        let may_change = !known.executable && !file.executable;
        if may_change && is_changed_in_place(file.bytes, staying) {
            2 * (file.bytes - staying)
        } else {
            file.bytes
        }
    };
    new.files.iter().map(written).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_savings_are_not_kept() {
        let check = |delta, whole, expected| assert_eq!(is_worth_it(delta, whole), expected, "{delta}");
        check(658, 1000, true);
        check(659, 1000, false);
        check(0, 59, false);
        check(0, 60, true);
    }
}
