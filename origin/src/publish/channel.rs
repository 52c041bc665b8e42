//! Lets a channel show a release: with the patches that lead there, and its place in the channel's history.

use std::sync::Arc;
use std::time::Duration;

use freshet_protocol::{
    ContentName, KeyDocument, Name, POINTER_KIND, POINTER_SCHEMA, PatchRef, Pointer, Role, RootId,
    envelope_bytes_max, origin_path,
};

use super::known::Places;
use super::patch::{self, Patches, Rewritten, UpdateFrom};
use super::{PublishError, unix_now};
use crate::history::{History, Shown};
use crate::keys::Keys;
use crate::release::ReadError;
use crate::store::{Revision, Store, StoreError};

/// A channel, and how it shows releases.
#[derive(Debug, Clone, Copy)]
pub(super) struct ChannelOptions<'a> {
    pub(super) store: &'a Store,
    pub(super) keys: &'a Keys,
    pub(super) content: &'a ContentName,
    pub(super) channel: &'a Name,
    /// From how many of the releases that it showed last.
    pub(super) patches: usize,
    pub(super) delta_level: i32,
    pub(super) expires_in: Duration,
    /// None leaves those that it has.
    pub(super) trackers: Option<&'a [String]>,
}

/// What became of a channel.
pub(super) struct Now {
    pub(super) sequence: u64,
    pub(super) updates: Vec<UpdateFrom>,
    pub(super) rewritten: Vec<Rewritten>,
}

/// What a channel shows now, and what it has shown.
pub(super) struct Channel<'a> {
    options: ChannelOptions<'a>,
    now: Option<(Pointer, Revision)>,
    history: History,
}

impl<'a> Channel<'a> {
    /// Reads it; `document` says whose word about it counts.
    pub(super) async fn read(
        options: ChannelOptions<'a>,
        document: &KeyDocument,
    ) -> Result<Self, PublishError> {
        let ChannelOptions { store, content, channel, .. } = options;
        let object = origin_path::pointer(content, channel);
        let now = match found(store.read_revision(&object, envelope_bytes_max(POINTER_KIND) as u64).await)? {
            None => None,
            Some((bytes, revision)) => {
                Some((Pointer::open(&bytes, &document.keys_for(Role::Pointer, 0))?, revision))
            }
        };
        Ok(Self { options, now, history: History::read(store, content, channel).await? })
    }

    /// The version that it shows.
    pub(super) fn version(&self) -> Option<&Name> {
        self.now.as_ref().map(|(pointer, _)| &pointer.version)
    }

    /// The version that it showed before.
    pub(super) fn version_before(&self) -> Option<Name> {
        let (now, _) = self.now.as_ref()?;
        self.last_before(now.root, 1).pop().map(|shown| shown.version)
    }

    /// Shows a published release. A pointer that says the same already is left alone until half of its life is over.
    pub(super) async fn show(
        self,
        stored: &Arc<Places>,
        root: RootId,
        version: &Name,
    ) -> Result<Now, PublishError> {
        let patches = match self.patches_to(root) {
            Some(refs) => Patches { refs, ..Patches::default() },
            None => {
                let older = self.last_before(root, self.options.patches);
                patch::make_all(&self.options, stored, &older, root).await?
            }
        };
        let Patches { refs, updates, rewritten } = patches;
        Ok(Now { sequence: self.put(root, version, refs).await?, updates, rewritten })
    }

    /// The patches that lead to `root`, if that is what it shows.
    fn patches_to(&self, root: RootId) -> Option<Vec<PatchRef>> {
        let (pointer, _) = self.now.as_ref().filter(|(pointer, _)| pointer.root == root)?;
        Some(pointer.patches.clone())
    }

    /// The releases that it showed last, the newest first, without `root`.
    fn last_before(&self, root: RootId, count: usize) -> Vec<Shown> {
        let Some((now, _)) = &self.now else { return Vec::new() };
        // A store from before there was a history has but the pointer.
        let shown = Shown { sequence: now.sequence, root: now.root, version: now.version.clone(), since: 0 };
        let before = self.history.last(count + 2, now.sequence).into_iter();
        let last = std::iter::once(shown).chain(before.filter(|shown| shown.root != now.root));
        last.filter(|shown| shown.root != root).take(count).collect()
    }

    async fn put(self, root: RootId, version: &Name, patches: Vec<PatchRef>) -> Result<u64, PublishError> {
        let ChannelOptions { store, keys, content, channel, expires_in, trackers, .. } = self.options;
        let (life, now) = (expires_in.as_secs(), unix_now());
        let (old, revision) = self.now.unzip();
        let known_trackers = || old.as_ref().map_or(Vec::new(), |old| old.trackers.clone());
        let trackers = trackers.map_or_else(known_trackers, <[String]>::to_vec);
        if let Some(old) = &old {
            let is_same = old.root == root
                && old.version == *version
                && old.trackers == trackers
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
            trackers,
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
