//! The signed documents that peers tell each other, and what a peer's word about them is worth.

use std::path::PathBuf;

use freshet_protocol::{
    BlobKind, ContentName, Frame, Hash, Name, PageId, PatchId, Pointer, PointerError, Preload, RootId,
    Unsealed,
};

use crate::release::{Trust, TrustError, open_sealed};
use crate::store::{Installed, Layout, SealedStream};

/// The newest documents that this node knows.
#[derive(Debug)]
pub(crate) struct Documents {
    trust: Trust,
    layout: Layout,
    channel: Option<Name>,
    pointer: Option<(Pointer, Vec<u8>)>,
}

/// What a channel shows since a moment ago.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct News {
    /// The release for this installation.
    pub(crate) root: RootId,
    pub(crate) version: Name,
    /// Over how many seconds those who follow the channel spread.
    pub(crate) start_window_s: u32,
    /// What it prepares.
    pub(crate) preload: Option<Preload>,
}

impl Documents {
    /// The documents of a folder; `channel` is what the user follows, if anything.
    pub(crate) fn new(trust: Trust, layout: Layout, channel: Option<Name>) -> Self {
        let pointer = channel.as_ref().and_then(|channel| {
            let envelope = std::fs::read(layout.pointer(channel)).ok()?;
            Some((trust.open_pointer(channel, &envelope).ok()?, envelope))
        });
        Self { trust, layout, channel, pointer }
    }

    /// What a peer that has just linked should hear.
    pub(crate) fn frames(&self) -> Vec<Frame> {
        let keys = self.trust.keys_envelope().map(|keys| Frame::Keys { envelope: keys.to_vec() });
        let pointer =
            self.pointer.as_ref().map(|(_, envelope)| Frame::Pointer { envelope: envelope.clone() });
        keys.into_iter().chain(pointer).collect()
    }

    /// Takes a key document from a peer; whether it was news.
    ///
    /// # Errors
    /// [`TrustError`] when the tenant's key did not sign it, or it is older than the one known.
    pub(crate) fn take_keys(&mut self, envelope: &[u8]) -> Result<bool, TrustError> {
        if self.trust.keys_envelope() == Some(envelope) {
            return Ok(false);
        }
        self.trust.take_keys(envelope).map(|()| true)
    }

    /// Takes a pointer from a peer or the origin; what is new, where it is newer than the one known. It is passed on and not
    /// followed: which version is installed stays the choice of who asked for it. One of another channel is left alone.
    ///
    /// # Errors
    /// [`TrustError`] when it is not signed by a key for pointers.
    pub(crate) fn take_pointer(&mut self, envelope: &[u8]) -> Result<Option<News>, TrustError> {
        let Some(channel) = &self.channel else { return Ok(None) };
        if self.pointer.as_ref().is_some_and(|(_, known)| known == envelope) {
            return Ok(None);
        }
        let pointer = match self.trust.open_pointer(channel, envelope) {
            // Peers and trackers tell of all channels of a content.
            Err(TrustError::Pointer(PointerError::Other(_))) => return Ok(None),
            opened => opened?,
        };
        let is_newer = self.pointer.as_ref().is_none_or(|(known, _)| known.sequence < pointer.sequence);
        if !is_newer {
            return Ok(None);
        }
        let offer = self.trust.offer(&pointer);
        let (root, version) = (offer.root, offer.version.clone());
        let (start_window_s, preload) = (pointer.start_window_s, pointer.preload.clone());
        self.pointer = Some((pointer, envelope.to_vec()));
        Ok(Some(News { root, version, start_window_s, preload }))
    }

    /// Trackers that the newest pointer names.
    pub(crate) fn trackers(&self) -> Vec<String> {
        self.pointer.as_ref().map_or(Vec::new(), |(pointer, _)| pointer.trackers.clone())
    }

    /// The patch that leads from a release to `to`, if the newest pointer names one.
    pub(crate) fn patch(&self, from: RootId, to: RootId) -> Option<PatchId> {
        let (pointer, _) = self.pointer.as_ref()?;
        pointer.offers().find(|offer| offer.root == to)?.patch_from(from)
    }

    /// The sealed release that the newest pointer prepares, and over how many seconds followers spread.
    pub(crate) fn preload(&self) -> Option<(&Preload, u32)> {
        let (pointer, _) = self.pointer.as_ref()?;
        Some((pointer.preload.as_ref()?, pointer.start_window_s))
    }

    /// The sealed release that holds `root`, and its key, where the newest pointer tells it.
    pub(crate) fn unsealed(&self, root: RootId) -> Option<&Unsealed> {
        let (pointer, _) = self.pointer.as_ref()?;
        pointer.unsealed.as_ref().filter(|_| pointer.root == root)
    }

    /// Whether the newest pointer names a sealed release; none where no pointer is known.
    pub(crate) fn names_sealed(&self, root: RootId) -> Option<bool> {
        let (pointer, _) = self.pointer.as_ref()?;
        let to_come = pointer.preload.as_ref().map(|preload| preload.root);
        Some([to_come, pointer.unsealed.as_ref().map(|unsealed| unsealed.root)].contains(&Some(root)))
    }

    /// Opens the sealed release that waits in the folder, if the newest pointer opens it and `root` is in it: its documents
    /// are then known. What stands in the way is said; the release is fetched like any other.
    pub(crate) fn open_sealed(&self, root: RootId) -> (Option<SealedStream>, Option<String>) {
        let Some(unsealed) = self.unsealed(root) else { return (None, None) };
        let installed = Installed::load(&self.layout).ok().flatten().map(|installed| installed.root);
        let patch = installed.and_then(|installed| self.patch(installed, root));
        match open_sealed(&self.trust, &self.layout, unsealed, root, patch) {
            Ok(stream) => (stream, None),
            Err(error) => (None, Some(format!("{error}; fetching the version as any other"))),
        }
    }

    /// The newest pointer known.
    pub(crate) fn pointer_envelope(&self) -> Option<&[u8]> {
        self.pointer.as_ref().map(|(_, envelope)| envelope.as_slice())
    }

    /// Takes a pointer to follow: it must be current.
    ///
    /// # Errors
    /// [`TrustError`] when it is expired, or older than one followed before.
    pub(crate) fn follow(&mut self, channel: &Name, envelope: &[u8]) -> Result<Pointer, TrustError> {
        self.trust.take_pointer(channel, envelope)
    }

    pub(crate) fn trust(&self) -> &Trust {
        &self.trust
    }

    /// Where a page or root that a peer asks for is kept, if it is.
    pub(crate) fn blob_path(&self, kind: BlobKind, hash: Hash) -> Option<PathBuf> {
        match kind {
            BlobKind::Chunk => None,
            BlobKind::Page => Some(self.layout.page(PageId(hash))),
            BlobKind::Root => {
                let paths = [self.layout.root(RootId(hash)), self.layout.patch(PatchId(hash))];
                paths.into_iter().find(|path| path.exists())
            }
        }
    }

    /// Whether the bytes of that file are still what they should be.
    pub(crate) fn is_good_blob(&self, kind: BlobKind, hash: Hash, bytes: &[u8]) -> bool {
        match kind {
            BlobKind::Chunk => false,
            BlobKind::Page => Hash::of(bytes) == hash,
            BlobKind::Root => {
                self.trust.open_root(RootId(hash), bytes).is_ok()
                    || self.trust.open_patch(PatchId(hash), bytes).is_ok()
            }
        }
    }

    /// What they are of.
    pub(crate) fn content(&self) -> &ContentName {
        self.trust.content()
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }
}
