//! Lets a channel show a release: with the patches that lead there, and its place in the channel's history.

use std::sync::Arc;

use freshet_protocol::{
    ContentName, KeyDocument, Name, POINTER_KIND, POINTER_SCHEMA, PatchRef, Pointer, Preload, Role, Rollout,
    RootId, Unsealed, envelope_bytes_max, origin_path,
};

use super::known::Places;
use super::patch::{self, Patches, Rewritten, UpdateFrom};
use super::{ChannelOptions, PublishError, unix_now};
use crate::history::{History, Shown};
use crate::push::push_pointer;
use crate::store::{Revision, Store};

/// What became of a channel.
pub(super) struct Now {
    pub(super) sequence: u64,
    pub(super) updates: Vec<UpdateFrom>,
    pub(super) rewritten: Vec<Rewritten>,
}

/// What a channel shows now, and what it has shown.
pub(super) struct Channel<'a> {
    options: &'a ChannelOptions,
    now: Option<(Pointer, Revision)>,
    history: History,
}

impl<'a> Channel<'a> {
    /// Reads it; `document` says whose word about it counts.
    pub(super) async fn read(
        options: &'a ChannelOptions,
        document: &KeyDocument,
    ) -> Result<Self, PublishError> {
        let ChannelOptions { store, content, name, .. } = options;
        let now = read_pointer(store, content, name, document).await?;
        Ok(Self { options, now, history: History::read(store, content, name).await? })
    }

    /// The version that it shows.
    pub(super) fn version(&self) -> Option<&Name> {
        self.now.as_ref().map(|(pointer, _)| &pointer.version)
    }

    /// The version that it showed before. While one is rolled out, that is what most installations still take.
    pub(super) fn version_before(&self) -> Option<Name> {
        let (now, _) = self.now.as_ref()?;
        if now.rollout.is_some() {
            return Some(now.version.clone());
        }
        self.last_before(now.root, 1).pop().map(|shown| shown.version)
    }

    /// Shows a published release, to all installations or to a share of them; the others then keep what they have. A
    /// pointer that says the same already is left alone until half of its life is over.
    ///
    /// # Errors
    /// [`PublishError::NoChannel`] where there is nothing that the others could keep, [`PublishError::NotAShare`] where they
    /// have this version.
    pub(super) async fn show(
        self,
        stored: &Arc<Places>,
        root: RootId,
        version: &Name,
        show: Show,
    ) -> Result<Now, PublishError> {
        let (permille, unsealed, ready) = match show {
            Show::Plain => (None, None, Ready::default()),
            Show::Share { permille } => (Some(permille), None, Ready::default()),
            Show::Unsealed { unsealed, ready } => (None, Some(unsealed), ready),
        };
        let shown = self.patches_to(stored, root, &ready).await?;
        let (updates, rewritten) = (shown.updates, shown.rewritten);
        let old = self.now.as_ref().map(|(now, _)| now);
        let preload = old.and_then(|old| old.preload.clone());
        let is_over = |preload: &Preload| {
            preload.version == *version || unsealed.as_ref().is_some_and(|opened| opened.root == preload.root)
        };
        let preload = preload.filter(|preload| !is_over(preload));
        // Who comes late finds the key, for as long as the release is shown.
        let known_key =
            |shown: RootId| old.filter(|old| old.root == shown).and_then(|old| old.unsealed.clone());
        let word = match permille {
            None => {
                let (version, unsealed) = (version.clone(), unsealed.or_else(|| known_key(root)));
                Word { root, version, patches: shown.refs, rollout: None, preload, unsealed }
            }
            Some(permille) => {
                let no_channel = || PublishError::NoChannel(self.options.name.clone());
                let (now, _) = self.now.as_ref().ok_or_else(no_channel)?;
                if now.root == root {
                    return Err(PublishError::NotAShare(version.clone()));
                }
                let rollout = Rollout { permille, root, version: version.clone(), patches: shown.refs };
                let patches = self.patches_to(stored, now.root, &Ready::default()).await?.refs;
                let (root, version, unsealed) = (now.root, now.version.clone(), known_key(now.root));
                Word { root, version, patches, rollout: Some(rollout), preload, unsealed }
            }
        };
        Ok(Now { sequence: self.put(word).await?, updates, rewritten })
    }

    /// Names a sealed release that followers may fetch; what the channel shows stays.
    ///
    /// # Errors
    /// [`PublishError::NoChannel`] where it shows nothing yet.
    pub(super) async fn preload(self, preload: Preload) -> Result<u64, PublishError> {
        let no_channel = || PublishError::NoChannel(self.options.name.clone());
        let (now, _) = self.now.as_ref().ok_or_else(no_channel)?;
        let word = Word {
            root: now.root,
            version: now.version.clone(),
            patches: now.patches.clone(),
            rollout: now.rollout.clone(),
            preload: Some(preload),
            unsealed: now.unsealed.clone(),
        };
        self.put(word).await
    }

    /// The patches that lead to `root`: those that are named already or ready, and else new ones. Whoever took part in a
    /// rollout needs one back to what the others have.
    pub(super) async fn patches_to(
        &self,
        stored: &Arc<Places>,
        root: RootId,
        ready: &Ready,
    ) -> Result<Patches, PublishError> {
        if let Some((now, _)) = &self.now
            && let Some(named) = now.offers().find(|offer| offer.root == root)
            && now.offers().all(|other| other.root == root || named.patch_from(other.root).is_some())
        {
            return Ok(Patches { refs: named.patches().to_vec(), ..Patches::default() });
        }
        let last = self.last_before(root, self.options.patches);
        let is_ready = |shown: &&Shown| ready.bases.contains(&shown.root);
        let rest: Vec<Shown> = last.iter().filter(|shown| !is_ready(shown)).cloned().collect();
        let mut patches = patch::make_all(self.options, stored, &rest, root).await?;
        let made = std::mem::take(&mut patches.refs);
        let all = || ready.patches.iter().chain(&made);
        let named = last.iter().filter_map(|shown| all().find(|patch| patch.from == shown.root));
        patches.refs = named.cloned().collect();
        Ok(patches)
    }

    /// The releases that it showed last, the newest first, without `root`.
    pub(super) fn last_before(&self, root: RootId, count: usize) -> Vec<Shown> {
        let end = self.now.as_ref().map_or(0, |(now, _)| now.sequence + 1);
        self.history.last_but(root, count, end)
    }

    async fn put(self, word: Word) -> Result<u64, PublishError> {
        let ChannelOptions { store, keys, content, name, expires_in, start_window, trackers, .. } =
            self.options;
        let (life, now) = (expires_in.as_secs(), unix_now());
        let (old, revision) = self.now.unzip();
        let known_trackers = || old.as_ref().map_or(Vec::new(), |old| old.trackers.clone());
        let trackers = trackers.clone().unwrap_or_else(known_trackers);
        let Word { root, version, patches, rollout, preload, unsealed } = word;
        let pointer = Pointer {
            schema: POINTER_SCHEMA,
            content: content.clone(),
            channel: name.clone(),
            sequence: old.as_ref().map_or(1, |old| old.sequence + 1),
            expires: now + life,
            root,
            version,
            trackers,
            patches,
            rollout,
            preload,
            unsealed,
            start_window_s: start_window.as_secs() as u32,
        };
        if let Some(old) = &old {
            let again = Pointer { sequence: old.sequence, expires: old.expires, ..pointer.clone() };
            if again == *old && old.expires > now + life / 2 {
                return Ok(old.sequence);
            }
        }
        // What was shown is shown still where only a preload was named.
        let is_shown = old.as_ref().is_some_and(|old| (old.root, &old.rollout) == (root, &pointer.rollout));
        let is_news = !is_shown || old.as_ref().is_none_or(|old| old.preload == pointer.preload);
        let sealed = pointer.seal(keys.online())?;
        let newest = pointer.offers().last().expect("a pointer shows a release");
        let (root, version) = (newest.root, newest.version.clone());
        let permille = pointer.rollout.as_ref().map(|rollout| rollout.permille);
        let shown = Shown { sequence: pointer.sequence, root, version, since: now, permille };
        if is_news {
            self.history.put(store, content, name, shown).await?;
        }
        store.swap(&origin_path::pointer(content, name), sealed.clone().into(), revision).await?;
        if !store.is_dry() {
            push_pointer(&pointer.trackers, content, keys.online(), &sealed).await;
        }
        Ok(pointer.sequence)
    }
}

/// What a channel is to say.
struct Word {
    root: RootId,
    version: Name,
    patches: Vec<PatchRef>,
    rollout: Option<Rollout>,
    preload: Option<Preload>,
    unsealed: Option<Unsealed>,
}

/// In which way a channel shows a release.
pub(super) enum Show {
    /// To all.
    Plain,
    /// To so many of 1000 installations.
    Share { permille: u32 },
    /// To all, with the key of the sealed release that it was in.
    Unsealed { unsealed: Unsealed, ready: Ready },
}

/// Patches that are there already.
#[derive(Debug, Default)]
pub(super) struct Ready {
    /// The releases that patches were made from, those included of which none was worth it.
    pub(super) bases: Vec<RootId>,
    pub(super) patches: Vec<PatchRef>,
}

/// The version that a channel shows.
///
/// # Errors
/// [`PublishError::NoChannel`] where there is none.
pub(super) async fn shown_version(
    store: &Store,
    content: &ContentName,
    channel: &Name,
    document: &KeyDocument,
) -> Result<Name, PublishError> {
    match read_pointer(store, content, channel, document).await? {
        Some((pointer, _)) => Ok(pointer.version),
        None => Err(PublishError::NoChannel(channel.clone())),
    }
}

/// A channel's pointer, whose signature is checked: what is written next follows from it.
async fn read_pointer(
    store: &Store,
    content: &ContentName,
    channel: &Name,
    document: &KeyDocument,
) -> Result<Option<(Pointer, Revision)>, PublishError> {
    let object = origin_path::pointer(content, channel);
    match store.read_revision(&object, envelope_bytes_max(POINTER_KIND) as u64).await {
        Ok((bytes, revision)) => {
            Ok(Some((Pointer::open(&bytes, &document.keys_for(Role::Pointer, 0))?, revision)))
        }
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error.into()),
    }
}
