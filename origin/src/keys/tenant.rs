//! What everybody may know of a tenant: its public key, and the document that it signed.

use std::path::Path;

use freshet_protocol::{KeyDocument, PublicKey};

use super::files::read;
use super::{DOCUMENT, KeysError, TENANT_PUBLIC};

/// A tenant's public key and its word about who may sign what.
#[derive(Debug, Clone)]
pub(crate) struct Tenant {
    pub(crate) public: PublicKey,
    pub(crate) document: KeyDocument,
    /// The document as players read it.
    pub(crate) document_bytes: Vec<u8>,
}

impl Tenant {
    pub(crate) fn load(folder: &Path) -> Result<Self, KeysError> {
        let public_path = folder.join(TENANT_PUBLIC);
        let public = read(&public_path)?;
        let public = String::from_utf8_lossy(&public)
            .trim()
            .parse()
            .map_err(|error| KeysError::Public { path: public_path, error })?;
        let path = folder.join(DOCUMENT);
        let document_bytes = read(&path)?;
        let document = KeyDocument::open(&document_bytes, public)
            .map_err(|error| KeysError::Document { path, error })?;
        Ok(Self { public, document, document_bytes })
    }
}
