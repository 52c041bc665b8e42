//! The last steps of a publish, in the order that keeps readers whole: root, keys, version, and the pointer that makes
//! the release visible.

use freshet_protocol::{
    ContentName, KeyDocument, Name, POINTER_KIND, POINTER_SCHEMA, PatchRef, Pointer, Role, Root, RootId,
    envelope_bytes_max, origin_path,
};

use super::{PublishError, PublishOptions};
use crate::history::{History, Shown};
use crate::keys::Keys;
use crate::release::{self, ReadError, VERSION_SCHEMA, VersionDocument};
use crate::store::{Revision, Store, StoreError};

/// Writes the root, unless it is there.
pub(super) async fn put_root(store: &Store, keys: &Keys, root: &Root) -> Result<RootId, PublishError> {
    let (id, envelope) = root.seal(keys.online())?;
    store.create(&origin_path::root(&root.content, id), envelope.into()).await?;
    Ok(id)
}

/// The root that a version has in the store.
pub(super) async fn published_root(
    store: &Store,
    content: &ContentName,
    version: &Name,
) -> Result<Option<RootId>, PublishError> {
    match release::version(store, content, version).await {
        Ok(document) => Ok(Some(document.root)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Names the root of the version, once and for all.
pub(super) async fn put_version(
    store: &Store,
    root: &Root,
    id: RootId,
    now: u64,
) -> Result<(), PublishError> {
    let document = VersionDocument { schema: VERSION_SCHEMA, root: id, published: now };
    let bytes = serde_json::to_vec(&document).expect("a version document is valid JSON");
    if store.create(&origin_path::version(&root.content, &root.version), bytes.into()).await? {
        return Ok(());
    }
    match published_root(store, &root.content, &root.version).await? {
        Some(found) if found == id => Ok(()),
        _ => Err(PublishError::VersionTaken),
    }
}

/// What a channel shows now, and what it has shown.
pub(super) struct Channel {
    now: Option<(Pointer, Revision)>,
    history: History,
}

impl Channel {
    pub(super) async fn read(options: &PublishOptions, document: &KeyDocument) -> Result<Self, PublishError> {
        let PublishOptions { store, content, channel, .. } = options;
        let object = origin_path::pointer(content, channel);
        let now = match found(store.read_revision(&object, envelope_bytes_max(POINTER_KIND) as u64).await)? {
            None => None,
            Some((bytes, revision)) => {
                Some((Pointer::open(&bytes, &document.keys_for(Role::Pointer, 0))?, revision))
            }
        };
        Ok(Self { now, history: History::read(store, content, channel).await? })
    }

    /// The patches that lead to `root`, if that is what the channel shows.
    pub(super) fn patches_to(&self, root: RootId) -> Option<Vec<PatchRef>> {
        let (pointer, _) = self.now.as_ref().filter(|(pointer, _)| pointer.root == root)?;
        Some(pointer.patches.clone())
    }

    /// The releases that the channel showed last, the newest first, without `root`.
    pub(super) fn last_before(&self, root: RootId, count: usize) -> Vec<Shown> {
        let Some((now, _)) = &self.now else { return Vec::new() };
        // A store from before there was a history has but the pointer.
        let shown = Shown { sequence: now.sequence, root: now.root, version: now.version.clone(), since: 0 };
        let before = self.history.last(count + 2, now.sequence).into_iter();
        let last = std::iter::once(shown).chain(before.filter(|shown| shown.root != now.root));
        last.filter(|shown| shown.root != root).take(count).collect()
    }

    /// Moves the channel to `root`; returns the sequence that it has now. A pointer that says the same already is left
    /// alone until half of its life is over.
    pub(super) async fn show(
        self,
        options: &PublishOptions,
        root: RootId,
        patches: Vec<PatchRef>,
        now: u64,
    ) -> Result<u64, PublishError> {
        let PublishOptions { store, keys, content, channel, version, trackers, .. } = options;
        let life = options.expires_in.as_secs();
        let (old, revision) = self.now.unzip();
        if let Some(old) = &old {
            let is_same = old.root == root
                && old.version == *version
                && old.trackers == *trackers
                && old.patches == patches;
            if is_same && old.expires > now + life / 2 {
                return Ok(old.sequence);
            }
        }
        let pointer = Pointer {
            schema: POINTER_SCHEMA,
            content: content.clone(),
            channel: channel.clone(),
            sequence: old.map_or(1, |old| old.sequence + 1),
            expires: now + life,
            root,
            version: version.clone(),
            trackers: trackers.clone(),
            patches,
        };
        let sealed = pointer.seal(keys.online())?;
        let shown = Shown { sequence: pointer.sequence, root, version: version.clone(), since: now };
        self.history.put(store, content, channel, shown).await?;
        store.swap(&origin_path::pointer(content, channel), sealed.into(), revision).await?;
        Ok(pointer.sequence)
    }
}

fn found<T>(read: Result<(T, Revision), StoreError>) -> Result<Option<(T, Revision)>, ReadError> {
    match read {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error.into()),
    }
}
