//! The last steps of a publish, in the order that keeps readers whole: root, keys, version, and the pointer that makes
//! the release visible.

use freshet_protocol::{
    ContentName, KeyDocument, Name, POINTER_KIND, POINTER_SCHEMA, Pointer, Role, Root, RootId,
    envelope_bytes_max, origin_path,
};

use super::{PublishError, PublishOptions};
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

/// Moves the channel to `root`; returns the sequence that it has now. A pointer that says the same already is left
/// alone until half of its life is over.
pub(super) async fn put_pointer(
    options: &PublishOptions,
    document: &KeyDocument,
    root: RootId,
    now: u64,
) -> Result<u64, PublishError> {
    let PublishOptions { store, keys, content, channel, version, trackers, .. } = options;
    let object = origin_path::pointer(content, channel);
    let (old, seen) =
        match found(store.read_revision(&object, envelope_bytes_max(POINTER_KIND) as u64).await)? {
            None => (None, None),
            Some((bytes, seen)) => {
                (Some(Pointer::open(&bytes, &document.keys_for(Role::Pointer, 0))?), Some(seen))
            }
        };
    let life = options.expires_in.as_secs();
    if let Some(old) = &old {
        let is_same = old.root == root && old.version == *version && old.trackers == *trackers;
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
        patches: Vec::new(),
    };
    store.swap(&object, pointer.seal(keys.online())?.into(), seen).await?;
    Ok(pointer.sequence)
}

fn found<T>(read: Result<(T, Revision), StoreError>) -> Result<Option<(T, Revision)>, ReadError> {
    match read {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error.into()),
    }
}
