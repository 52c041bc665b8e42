//! Opens a sealed release when its time has come: publishes what is in it, as `publish` would have, and lets the channel
//! show it, with the key.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use freshet_protocol::{
    ContentName, KeyDocument, Name, PackId, Page, Patch, PatchChunk, PatchId, PatchPage, PatchRef, Role,
    Root, RootId, SEALED_FULL, SEALED_INNER, SealedHead, Unsealed, origin_path, parse_sealed_from,
};
use serde::Serialize;

use super::super::channel::{Channel, Now, Ready, Show};
use super::super::packs::{Blob, Packs};
use super::super::{ChannelOptions, PublishError, UpdateFrom};
use super::super::{documents, known, refuse_lost_packs, unix_now};
use super::opened::{OpenedFile, SealedRelease, opening};
use super::sealed_name;
use crate::key_document;
use crate::keys::may_publish;
use crate::publish::ReleaseMap;
use crate::release::{self, damaged};
use crate::store::ContentLock;

/// Longest time after which the clock is looked at again: it may be set meanwhile.
const LOOK_AT_CLOCK: Duration = Duration::from_secs(10);

/// When to open a sealed release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// When the channel says that it is going to open.
    AsPublished,
    /// At this time, Unix seconds.
    At(u64),
    /// At once.
    Now,
}

/// Which sealed release to open, and when.
#[derive(Debug)]
pub struct UnsealOptions {
    /// The channel that shall show it. Its keys must hold that of the sealed release.
    pub channel: ChannelOptions,
    /// The version that is in it.
    pub version: Name,
    /// When. A dry run waits for nothing.
    pub opening: Opening,
}

/// A release that was sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Opened {
    /// The release.
    pub root: RootId,
    /// The sealed release that it was in.
    pub sealed_root: RootId,
    /// The content.
    pub content: ContentName,
    /// The version.
    pub version: Name,
    /// The channel that shows it.
    pub channel: Name,
    /// Sequence of the channel's pointer.
    pub sequence: u64,
    /// Patches that were sealed with it.
    pub patches: usize,
    /// What players fetch who have one of the versions that the channel has shown since it was sealed.
    pub updates: Vec<UpdateFrom>,
    /// Whether nothing of it was kept.
    pub dry_run: bool,
}

/// Opens a sealed release.
///
/// # Errors
/// [`PublishError`] says what stood in the way; the channel then shows what it showed before.
pub async fn unseal(options: UnsealOptions) -> Result<Opened, PublishError> {
    let UnsealOptions { channel, version, opening } = options;
    channel.check()?;
    let channel = channel.followed()?;
    let ChannelOptions { store, keys, content, .. } = &channel;
    let sealed_root = documents::published_root(store, content, &sealed_name(&version)?).await?;
    let sealed_root = sealed_root.ok_or_else(|| PublishError::NotSealed(version.clone()))?;
    let map = ReleaseMap::read(store, content, sealed_root).await?;
    let Some(sealed) = map.root.sealed.clone() else { return Err(PublishError::NotSealed(version)) };
    let key = keys.release_key(sealed.key_hash)?.key;
    if !channel.dry_run {
        let told = release::pointer(store, content, &channel.name).await.ok();
        let told = told.and_then(|pointer| pointer.preload).filter(|preload| preload.root == sealed_root);
        wait(opening, told.map_or(sealed.opens, |preload| preload.opens)).await;
    }
    let _lock = ContentLock::take(store, content)?;
    let may = |document: &_| may_publish(document, keys.online().public());
    let document = key_document::put(store, content, keys.tenant(), may).await?;
    let places = Arc::new(known::load(store, content, known::STORED_CHUNKS_MAX).await?.places);
    let packs = Packs::new(store, content, places);
    let sealed = SealedRelease { store, content, map, key };
    let mut publishing = Publishing { channel: &channel, document: &document, sealed: &sealed, packs };
    let published = publishing.release(&version).await;
    let (root, ready) = match published {
        Ok(published) => published,
        Err(error) => {
            publishing.packs.abort().await;
            return Err(error);
        }
    };
    // With what has just been written, for patches from what the channel has shown meanwhile.
    let places = Arc::new(known::load(store, content, known::STORED_CHUNKS_MAX).await?.places);
    let shown = Channel::read(&channel, &document).await?;
    let patches = ready.patches.len();
    let show = Show::Unsealed { unsealed: Unsealed { root: sealed_root, key }, ready };
    let Now { sequence, updates, .. } = shown.show(&places, root, &version, show).await?;
    Ok(Opened {
        root,
        sealed_root,
        content: content.clone(),
        version,
        channel: channel.name.clone(),
        sequence,
        patches,
        updates,
        dry_run: channel.dry_run,
    })
}

/// Waits until it is time.
async fn wait(opening: Opening, as_published: u64) {
    let at = match opening {
        Opening::Now => return,
        Opening::AsPublished => as_published,
        Opening::At(at) => at,
    };
    let Some(at) = UNIX_EPOCH.checked_add(Duration::from_secs(at)) else { return };
    while let Ok(left) = at.duration_since(SystemTime::now()) {
        if left.is_zero() {
            return;
        }
        tokio::time::sleep(left.min(LOOK_AT_CLOCK)).await;
    }
}

/// The release as it comes out of the sealed one.
struct Publishing<'a> {
    channel: &'a ChannelOptions,
    document: &'a KeyDocument,
    sealed: &'a SealedRelease<'a>,
    packs: Packs,
}

impl<'a> Publishing<'a> {
    /// Publishes all of it: chunks, pages, root and version, then the patches.
    async fn release(&mut self, version: &Name) -> Result<(RootId, Ready), PublishError> {
        let ChannelOptions { store, content, .. } = self.channel;
        let mut full = self.file(SEALED_FULL)?;
        let head = full.head().await?;
        self.blobs(&mut full, &head).await?;
        self.packs.close().await?;
        let SealedHead { root: envelope, pages, .. } = self.file(SEALED_INNER)?.head().await?;
        let envelope = envelope.ok_or_else(|| self.wrong(SEALED_INNER, "it has no root"))?;
        let (id, root) = Root::open(&envelope, &self.document.keys_for(Role::Root, 0))?;
        if root.version != *version || root.content != *content || root.pages.len() != pages.len() {
            return Err(self.wrong(SEALED_INNER, "it is another release than it is listed as"));
        }
        let mut packs_used = BTreeSet::new();
        for (page, plain) in root.pages.iter().zip(pages) {
            let plain = Bytes::from(plain);
            let read =
                Page::open(page, &plain).map_err(|error| self.wrong(SEALED_INNER, &error.to_string()))?;
            let chunks = read.chunks().map(|chunk| chunk.id);
            packs_used.extend(self.page(SEALED_INNER, &plain, chunks, true).await?);
        }
        refuse_lost_packs(store, content, &packs_used).await?;
        store.create(&origin_path::root(content, id), envelope.into()).await?;
        documents::put_version(store, &root, id, unix_now()).await?;
        Ok((id, self.patches(id).await?))
    }

    /// Publishes the patches from those releases that are still there.
    async fn patches(&mut self, to: RootId) -> Result<Ready, PublishError> {
        let ChannelOptions { store, content, .. } = self.channel;
        let new = ReleaseMap::read(store, content, to).await?;
        let mut ready = Ready::default();
        for file in &self.sealed.map.files {
            let Some(from) = parse_sealed_from(file.path.as_str()) else { continue };
            let from = from.map_err(|error| self.wrong(file.path.as_str(), &error.to_string()))?;
            match release::root(store, content, from).await {
                Err(error) if error.is_not_found() => continue,
                found => found?,
            };
            ready.bases.push(from);
            let mut opened = self.file(file.path.as_str())?;
            let head = opened.head().await?;
            let Some(envelope) = &head.patch else { continue };
            self.blobs(&mut opened, &head).await?;
            self.packs.close().await?;
            let patch = self.patch(file.path.as_str(), envelope, &head, &new).await?;
            ready.patches.push(PatchRef { from, patch });
        }
        Ok(ready)
    }

    async fn patch(
        &self,
        path: &str,
        envelope: &[u8],
        head: &SealedHead,
        new: &ReleaseMap,
    ) -> Result<PatchId, PublishError> {
        let ChannelOptions { store, content, .. } = self.channel;
        let keys = self.document.keys_for(Role::Root, 0);
        let (id, patch) = Patch::open(envelope, &keys)?;
        if patch.to != new.id || patch.pages.len() != head.patch_pages.len() {
            return Err(self.wrong(path, "its patch leads elsewhere"));
        }
        for (page, plain) in patch.pages.iter().zip(&head.patch_pages) {
            let plain = Bytes::from(plain.clone());
            let read = PatchPage::open(page, &plain).map_err(|error| self.wrong(path, &error.to_string()))?;
            if read.chunks.iter().any(|chunk| chunk.target as usize >= new.chunks.len()) {
                return Err(self.wrong(path, "its patch speaks of positions beyond the release"));
            }
            let blob = |chunk: &PatchChunk| match &chunk.delta {
                Some(delta) => delta.id,
                None => new.chunk(chunk.target).id,
            };
            self.page(path, &plain, read.chunks.iter().map(blob), false).await?;
        }
        store.create(&origin_path::patch(content, id), envelope.to_vec().into()).await?;
        Ok(id)
    }

    /// Packs the blobs that the store lacks.
    async fn blobs(&mut self, file: &mut OpenedFile<'_>, head: &SealedHead) -> Result<(), PublishError> {
        for blob in &head.blobs {
            let data = file.blob(blob).await?;
            if self.packs.place(blob.id).is_none() {
                let blob = Blob { id: blob.id, bytes: blob.bytes, encoding: blob.encoding, data };
                self.packs.append(blob).await?;
            }
        }
        Ok(())
    }

    /// Writes a page, whose blobs are packed; the packs that they lie in.
    async fn page(
        &self,
        path: &str,
        plain: &Bytes,
        blobs: impl Iterator<Item = freshet_protocol::ChunkId>,
        is_for_browsers: bool,
    ) -> Result<Vec<PackId>, PublishError> {
        let placed: Option<Vec<_>> =
            blobs.map(|id| self.packs.place(id).map(|place| (id, Some(place)))).collect();
        let placed = placed.ok_or_else(|| self.wrong(path, "it names what is not in the sealed release"))?;
        Ok(self.packs.write_page(plain, placed.into_iter(), is_for_browsers).await?.packs)
    }

    fn file(&self, path: &str) -> Result<OpenedFile<'a>, PublishError> {
        let root = origin_path::root(self.sealed.content, self.sealed.map.id);
        self.sealed.open(path).ok_or_else(|| damaged(root, format!("it has no file {path}")).into())
    }

    fn wrong(&self, path: &str, reason: &str) -> PublishError {
        let path = path.parse().expect("paths of sealed files are good ones");
        opening(&path, reason.to_owned())
    }
}
