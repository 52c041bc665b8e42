//! Makes sure that the store says who signs a stream.

use freshet_protocol::{ContentName, KeyDocument, Role};

use super::error::StreamError;
use crate::key_document;
use crate::keys::StreamKey;
use crate::release;
use crate::store::Store;

/// Writes the tenant's document where it is at hand, else relies on the store's. Returns the one that counts, which lets
/// the key sign streams.
pub(super) async fn ensure(
    store: &Store,
    content: &ContentName,
    key: &StreamKey,
) -> Result<KeyDocument, StreamError> {
    let may = |document: &KeyDocument| document.keys_for(Role::Stream, 0).contains(&key.public());
    if let Some(tenant) = key.tenant() {
        if tenant.document.tenant != content.tenant() {
            let tenant = tenant.document.tenant.clone();
            return Err(StreamError::OtherTenant { content: content.clone(), tenant });
        }
        return Ok(key_document::put(store, content, tenant, may).await?);
    }
    // Without the tenant's key this is no proof, but a mistake is found before anything is signed in vain.
    let document = match release::key_document(store, content).await {
        Ok(document) => document,
        Err(error) if error.is_not_found() => return Err(StreamError::NoDocument(content.clone())),
        Err(error) => return Err(error.into()),
    };
    match may(&document) {
        true => Ok(document),
        false => Err(StreamError::NotGranted { content: content.clone(), key: key.public() }),
    }
}
