//! The tenant's key document: which keys may sign what, signed by the tenant's own key that clients pin.

use serde::{Deserialize, Serialize};

use crate::envelope::{self, DocumentKind, EnvelopeError};
use crate::key::{PublicKey, SigningKey};
use crate::limits::{INTEGER_MAX, KEY_DOCUMENT_BYTES_MAX, KEYS_MAX};

/// The key document's payload type and limit.
pub const KEY_DOCUMENT_KIND: DocumentKind =
    DocumentKind { payload_type: "application/vnd.freshet.keys+json", bytes_max: KEY_DOCUMENT_BYTES_MAX };

/// The schema that this program writes and reads.
pub const KEY_DOCUMENT_SCHEMA: u32 = 1;

/// Why a key document was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyDocumentError {
    /// The envelope was refused.
    #[error("key document: {0}")]
    Envelope(#[from] EnvelopeError),
    /// The payload is not a key document.
    #[error("key document is not valid: {0}")]
    Malformed(String),
    /// Written by a newer program in a form this one cannot read.
    #[error("key document has schema {0}, which this version does not know; update the program")]
    Unsupported(u32),
    /// A value breaks a limit.
    #[error("key document is not consistent: {0}")]
    Inconsistent(&'static str),
}

/// What a key may sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Channel pointers.
    Pointer,
    /// Roots of releases.
    Root,
    /// Tickets.
    Tracker,
    /// Entries of streams.
    Stream,
    /// A role that this version does not know, and gives no right.
    #[serde(other)]
    Unknown,
}

/// A key and what it may sign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The key.
    pub key: PublicKey,
    /// What it may sign.
    pub roles: Vec<Role>,
    /// End of the grant, Unix seconds. What it signed of releases and
    /// streams stays good after it: installed games stay repairable, and films playable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<u64>,
}

/// All grants of a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyDocument {
    /// Form of this document.
    pub schema: u32,
    /// The tenant.
    pub tenant: String,
    /// Counts up with each change.
    pub sequence: u64,
    /// The grants.
    pub keys: Vec<Grant>,
}

impl KeyDocument {
    /// Signs the document with the tenant's own key.
    ///
    /// # Errors
    /// [`KeyDocumentError`] when it breaks a limit.
    pub fn seal(&self, key: &SigningKey) -> Result<Vec<u8>, KeyDocumentError> {
        self.check()?;
        let payload = serde_json::to_vec(self).expect("a key document is valid JSON");
        if payload.len() > KEY_DOCUMENT_BYTES_MAX {
            return Err(EnvelopeError::TooLong { limit: KEY_DOCUMENT_BYTES_MAX }.into());
        }
        Ok(envelope::seal(KEY_DOCUMENT_KIND, &payload, key))
    }

    /// Opens a document that must be signed by the pinned `tenant_key`.
    ///
    /// # Errors
    /// [`KeyDocumentError`] says which check failed.
    pub fn open(bytes: &[u8], tenant_key: PublicKey) -> Result<Self, KeyDocumentError> {
        let payload = envelope::open(KEY_DOCUMENT_KIND, bytes, &[tenant_key])?;
        let document: Self = serde_json::from_slice(&payload)
            .map_err(|error| KeyDocumentError::Malformed(error.to_string()))?;
        document.check()?;
        Ok(document)
    }

    /// Keys that may sign as `role` at `now` (Unix seconds).
    pub fn keys_for(&self, role: Role, now: u64) -> Vec<PublicKey> {
        // What was published under a grant stays good after it.
        let is_lasting = matches!(role, Role::Root | Role::Stream);
        let is_live = |grant: &&Grant| is_lasting || grant.expires.is_none_or(|expires| now < expires);
        self.keys
            .iter()
            .filter(|grant| grant.roles.contains(&role))
            .filter(is_live)
            .map(|grant| grant.key)
            .collect()
    }

    fn check(&self) -> Result<(), KeyDocumentError> {
        if self.schema != KEY_DOCUMENT_SCHEMA {
            Err(KeyDocumentError::Unsupported(self.schema))
        } else if self.keys.len() > KEYS_MAX {
            Err(KeyDocumentError::Inconsistent("too many keys"))
        } else if self.sequence > INTEGER_MAX {
            Err(KeyDocumentError::Inconsistent("sequence is larger than 2^53-1"))
        } else if self.keys.iter().filter_map(|grant| grant.expires).any(|expires| expires > INTEGER_MAX) {
            Err(KeyDocumentError::Inconsistent("an expiry is larger than 2^53-1"))
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_and_expiry() {
        let tenant = SigningKey::from_seed(&[1; 32]);
        let online = SigningKey::from_seed(&[2; 32]).public();
        let document = KeyDocument {
            schema: KEY_DOCUMENT_SCHEMA,
            tenant: "game".to_owned(),
            sequence: 1,
            keys: vec![Grant { key: online, roles: vec![Role::Pointer, Role::Root], expires: Some(100) }],
        };
        let sealed = document.seal(&tenant).expect("good document");
        let opened = KeyDocument::open(&sealed, tenant.public()).expect("signed");
        assert_eq!(opened, document);
        assert_eq!(opened.keys_for(Role::Pointer, 99), [online]);
        assert_eq!(opened.keys_for(Role::Pointer, 100), []);
        assert_eq!(opened.keys_for(Role::Root, 100), [online]);
        assert_eq!(opened.keys_for(Role::Tracker, 0), []);
        assert_eq!(
            KeyDocument::open(&sealed, online),
            Err(KeyDocumentError::Envelope(EnvelopeError::Untrusted))
        );
        let mut many = document;
        many.keys = vec![many.keys[0].clone(); KEYS_MAX + 1];
        assert_eq!(many.seal(&tenant), Err(KeyDocumentError::Inconsistent("too many keys")));
    }

    #[test]
    fn unknown_roles_give_no_right() {
        let text =
            format!("{{\"key\":\"{}\",\"roles\":[\"policy\"]}}", SigningKey::from_seed(&[1; 32]).public());
        let grant: Grant = serde_json::from_str(&text).expect("readable");
        assert_eq!(grant.roles, [Role::Unknown]);
    }
}
