//! A release's own documents, in the order that keeps readers whole: the root, then the version that names it.

use freshet_protocol::{ContentName, Name, Root, RootId, origin_path};

use super::PublishError;
use crate::keys::Keys;
use crate::release::{self, VERSION_SCHEMA, VersionDocument};
use crate::store::Store;

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
