//! The tenant's key document in the store, where players find it.

use freshet_protocol::{
    ContentName, KEY_DOCUMENT_KIND, KeyDocument, KeyDocumentError, envelope_bytes_max, origin_path,
};

use crate::keys::Tenant;
use crate::store::{Store, StoreError};

/// Why the key document was not written.
#[derive(Debug, thiserror::Error)]
pub enum PutKeysError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store holds keys that another tenant key signed.
    #[error(
        "the store holds this content's keys signed by another tenant key, which players have pinned ({0}); use the --keys-dir it was published with"
    )]
    OtherTenantKey(KeyDocumentError),
    /// A newer key document does not give the right that is needed.
    #[error(
        "the store holds a newer key document that does not let this key publish; use the current --keys-dir"
    )]
    KeyWithdrawn,
}

/// Writes the document, unless the store's is newer and gives the right too. Returns the one that counts.
pub(crate) async fn put(
    store: &Store,
    content: &ContentName,
    tenant: &Tenant,
    may: impl Fn(&KeyDocument) -> bool,
) -> Result<KeyDocument, PutKeysError> {
    let object = origin_path::keys(content);
    let read = store.read_revision(&object, envelope_bytes_max(KEY_DOCUMENT_KIND) as u64).await;
    let (found, seen) = match read {
        Ok((bytes, seen)) => {
            let document = KeyDocument::open(&bytes, tenant.public).map_err(PutKeysError::OtherTenantKey)?;
            (Some(document), Some(seen))
        }
        Err(error) if error.is_not_found() => (None, None),
        Err(error) => return Err(error.into()),
    };
    match found {
        Some(stored) if stored.sequence >= tenant.document.sequence => {
            if may(&stored) {
                Ok(stored)
            } else {
                Err(PutKeysError::KeyWithdrawn)
            }
        }
        _ => {
            store.swap(&object, tenant.document_bytes.clone().into(), seen).await?;
            Ok(tenant.document.clone())
        }
    }
}
