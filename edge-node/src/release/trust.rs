//! Whom this folder believes: the pinned tenant key, and the highest sequences seen, so that nobody can lead it back.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use freshet_protocol::{
    ContentName, Hash, KeyDocument, KeyDocumentError, Name, Offer, Patch, PatchError, PatchId, Pointer,
    PointerError, PublicKey, Role, Root, RootError, RootId,
};
use serde::{Deserialize, Serialize};

use crate::clock::unix_now;
use crate::random::random_bytes;
use crate::store::{Layout, read_record, write_atomic};

/// Why a signed document was not believed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TrustError {
    #[error(
        "no tenant key is known for {0} yet; give it with --key ed25519:..., as the publisher printed it"
    )]
    NoKey(PathBuf),
    #[error(
        "{folder} was installed with the tenant key {pinned}, and {given} was given now; use another folder for another tenant"
    )]
    OtherKey { folder: PathBuf, pinned: PublicKey, given: PublicKey },
    #[error("{folder} holds {found}, and {wanted} was asked for; use another folder for it")]
    OtherContent { folder: PathBuf, found: ContentName, wanted: ContentName },
    #[error("{0}; it may be forged, or --key is not this publisher's")]
    Keys(#[from] KeyDocumentError),
    #[error("key document has sequence {found}, older than {seen} seen before; refusing to go back")]
    OlderKeys { found: u64, seen: u64 },
    #[error("no key document is known yet, so nothing can be checked")]
    NoKeys,
    #[error(transparent)]
    Pointer(#[from] PointerError),
    #[error(transparent)]
    Root(#[from] RootError),
    #[error(transparent)]
    Patch(#[from] PatchError),
    #[error("cannot keep what was learnt in {path}: {error}")]
    Io { path: PathBuf, error: io::Error },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Record {
    content: ContentName,
    tenant_key: PublicKey,
    /// Highest sequence of the key document.
    keys_sequence: u64,
    /// Highest sequence of each channel's pointer.
    channels: BTreeMap<Name, u64>,
    /// Decides which rollouts this installation takes part in; told to nobody.
    #[serde(default = "new_install")]
    install: Hash,
}

/// The folder's memory of keys and sequences.
#[derive(Debug)]
pub(crate) struct Trust {
    layout: Layout,
    record: Record,
    keys: Option<(KeyDocument, Vec<u8>)>,
}

impl Trust {
    /// Opens the folder's memory, or starts it with the key `given`.
    pub(crate) fn open(
        layout: &Layout,
        content: &ContentName,
        given: Option<PublicKey>,
    ) -> Result<Self, TrustError> {
        let path = layout.trust();
        let io = |error| TrustError::Io { path: path.clone(), error };
        let record = match read_record::<Record>(&path).map_err(io)? {
            Some(record) => record,
            None => Record {
                content: content.clone(),
                tenant_key: given.ok_or_else(|| TrustError::NoKey(layout.folder().to_owned()))?,
                keys_sequence: 0,
                channels: BTreeMap::new(),
                install: new_install(),
            },
        };
        let folder = || layout.folder().to_owned();
        if record.content != *content {
            let found = record.content;
            return Err(TrustError::OtherContent { folder: folder(), found, wanted: content.clone() });
        }
        if let Some(given) = given.filter(|given| *given != record.tenant_key) {
            return Err(TrustError::OtherKey { folder: folder(), pinned: record.tenant_key, given });
        }
        Ok(Self::with(layout, record))
    }

    /// The folder's memory, if it has one.
    pub(crate) fn remembered(layout: &Layout) -> Result<Option<Self>, TrustError> {
        let path = layout.trust();
        let record = read_record(&path).map_err(|error| TrustError::Io { path, error })?;
        Ok(record.map(|record| Self::with(layout, record)))
    }

    fn with(layout: &Layout, record: Record) -> Self {
        let mut trust = Self { layout: layout.clone(), record, keys: None };
        // A cached document that no longer reads is fetched anew.
        if let Ok(envelope) = std::fs::read(layout.keys())
            && let Ok(document) = KeyDocument::open(&envelope, trust.record.tenant_key)
            && document.sequence >= trust.record.keys_sequence
        {
            trust.keys = Some((document, envelope));
        }
        trust
    }

    /// Takes a key document that the tenant key signed and that is not older than the one before.
    pub(crate) fn take_keys(&mut self, envelope: &[u8]) -> Result<(), TrustError> {
        let document = KeyDocument::open(envelope, self.record.tenant_key)?;
        let seen = self.record.keys_sequence;
        if document.sequence < seen {
            return Err(TrustError::OlderKeys { found: document.sequence, seen });
        }
        self.record.keys_sequence = document.sequence;
        self.write(self.layout.keys(), envelope)?;
        self.save()?;
        self.keys = Some((document, envelope.to_vec()));
        Ok(())
    }

    /// Opens a pointer and checks who signed it and what it is for; whether it is current is another question.
    pub(crate) fn open_pointer(&self, channel: &Name, envelope: &[u8]) -> Result<Pointer, TrustError> {
        let keys = self.document()?.keys_for(Role::Pointer, unix_now());
        let pointer = Pointer::open(envelope, &keys)?;
        if pointer.content != self.record.content || pointer.channel != *channel {
            let other = format!("channel {} of {}", pointer.channel, pointer.content);
            return Err(PointerError::Other(other).into());
        }
        Ok(pointer)
    }

    /// Takes a pointer to follow: it must be current, and becomes the newest seen.
    pub(crate) fn take_pointer(&mut self, channel: &Name, envelope: &[u8]) -> Result<Pointer, TrustError> {
        let pointer = self.open_pointer(channel, envelope)?;
        pointer.check_current(self.record.channels.get(channel).copied(), unix_now())?;
        self.record.channels.insert(channel.clone(), pointer.sequence);
        self.write(self.layout.pointer(channel), envelope)?;
        self.save()?;
        Ok(pointer)
    }

    /// What a pointer has for this installation.
    pub(crate) fn offer<'a>(&self, pointer: &'a Pointer) -> Offer<'a> {
        pointer.offer(self.record.install)
    }

    /// Opens the root `id`.
    pub(crate) fn open_root(&self, id: RootId, envelope: &[u8]) -> Result<Root, TrustError> {
        let keys = self.document()?.keys_for(Role::Root, unix_now());
        let root = Root::open_as(id, envelope, &keys)?;
        if root.content != self.record.content {
            return Err(RootError::Inconsistent("it belongs to another content").into());
        }
        Ok(root)
    }

    /// Opens the patch `id`.
    pub(crate) fn open_patch(&self, id: PatchId, envelope: &[u8]) -> Result<Patch, TrustError> {
        let keys = self.document()?.keys_for(Role::Root, unix_now());
        let patch = Patch::open_as(id, envelope, &keys)?;
        if patch.content != self.record.content {
            return Err(PatchError::Inconsistent("it belongs to another content").into());
        }
        Ok(patch)
    }

    /// What the folder is of.
    pub(crate) fn content(&self) -> &ContentName {
        &self.record.content
    }

    /// Whether a key document is known.
    pub(crate) fn has_keys(&self) -> bool {
        self.keys.is_some()
    }

    /// The newest key document's envelope.
    pub(crate) fn keys_envelope(&self) -> Option<&[u8]> {
        self.keys.as_ref().map(|(_, envelope)| envelope.as_slice())
    }

    /// Keys of the trackers that the tenant has named.
    pub(crate) fn tracker_keys(&self) -> Vec<PublicKey> {
        self.keys.as_ref().map_or(Vec::new(), |(keys, _)| keys.keys_for(Role::Tracker, unix_now()))
    }

    fn document(&self) -> Result<&KeyDocument, TrustError> {
        self.keys.as_ref().map(|(document, _)| document).ok_or(TrustError::NoKeys)
    }

    fn save(&self) -> Result<(), TrustError> {
        let record = serde_json::to_vec_pretty(&self.record).expect("a record is valid JSON");
        self.write(self.layout.trust(), &record)
    }

    fn write(&self, path: PathBuf, bytes: &[u8]) -> Result<(), TrustError> {
        write_atomic(&path, bytes).map_err(|error| TrustError::Io { path, error })
    }
}

fn new_install() -> Hash {
    Hash(random_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use freshet_protocol::{Grant, KEY_DOCUMENT_SCHEMA, POINTER_SCHEMA, SigningKey};

    fn keys(tenant: &SigningKey, online: &SigningKey, sequence: u64) -> Vec<u8> {
        let grant = Grant {
            key: online.public(),
            roles: vec![Role::Pointer, Role::Root, Role::Tracker],
            expires: None,
        };
        KeyDocument { schema: KEY_DOCUMENT_SCHEMA, tenant: "game".to_owned(), sequence, keys: vec![grant] }
            .seal(tenant)
            .expect("good document")
    }

    fn pointer(online: &SigningKey, channel: &str, sequence: u64, expires: u64) -> Vec<u8> {
        Pointer {
            schema: POINTER_SCHEMA,
            content: "game/demo".parse().expect("name"),
            channel: channel.parse().expect("name"),
            sequence,
            expires,
            root: RootId::of(b"root"),
            version: "1".parse().expect("name"),
            trackers: Vec::new(),
            patches: Vec::new(),
            rollout: None,
            preload: None,
            unsealed: None,
            start_window_s: 0,
        }
        .seal(online)
        .expect("good pointer")
    }

    #[test]
    fn remembers_keys_and_sequences() {
        let folder = tempfile::tempdir().expect("folder");
        let layout = Layout::new(folder.path());
        layout.create().expect("writable");
        let [tenant, online, thief] = [1, 2, 3].map(|n| SigningKey::from_seed(&[n; 32]));
        let content = "game/demo".parse().expect("name");
        let live = "live".parse().expect("name");
        let later = unix_now() + 1000;
        assert!(matches!(Trust::open(&layout, &content, None), Err(TrustError::NoKey(_))));

        let mut trust = Trust::open(&layout, &content, Some(tenant.public())).expect("first use");
        let early = trust.take_pointer(&live, &pointer(&online, "live", 5, later));
        assert!(matches!(early, Err(TrustError::NoKeys)));
        trust.take_keys(&keys(&tenant, &online, 2)).expect("signed by the tenant");
        assert!(matches!(trust.take_keys(&keys(&thief, &online, 9)), Err(TrustError::Keys(_))));
        trust.take_pointer(&live, &pointer(&online, "live", 5, later)).expect("current");

        let mut trust = Trust::open(&layout, &content, None).expect("remembered");
        assert_eq!(trust.tracker_keys(), [online.public()]);
        let mut check = |envelope: &[u8], expected: &str| {
            let error = trust.take_pointer(&live, envelope).expect_err(expected).to_string();
            assert!(error.contains(expected), "{error}");
        };
        check(&pointer(&online, "live", 4, later), "refusing to go back");
        check(&pointer(&online, "live", 6, 1), "expired");
        check(&pointer(&online, "beta", 6, later), "not asked for");
        check(&pointer(&thief, "live", 6, later), "no valid signature");
        let older = trust.take_keys(&keys(&tenant, &online, 1));
        assert!(matches!(older, Err(TrustError::OlderKeys { found: 1, seen: 2 })));
        let other = Trust::open(&layout, &content, Some(thief.public()));
        assert!(matches!(other, Err(TrustError::OtherKey { .. })));
        let other = Trust::open(&layout, &"game/other".parse().expect("name"), None);
        assert!(matches!(other, Err(TrustError::OtherContent { .. })));
    }
}
