//! Ed25519 keys and their text form, `ed25519:` followed by 43 characters of unpadded base64url.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::id::{KeyId, text_serde};

/// Why a key was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The text does not start with a known algorithm.
    #[error("a key starts with \"ed25519:\"")]
    Algorithm,
    /// The rest is not 32 bytes of base64url.
    #[error("a key ends with 43 characters of base64url (32 bytes)")]
    Encoding,
}

/// A signature did not match its bytes and key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("signature does not match")]
pub struct BadSignature;

/// A public Ed25519 key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey(pub [u8; 32]);

/// Whether the one of `keys` whose id is `signer` has signed `message`.
pub(crate) fn is_signed(keys: &[PublicKey], signer: KeyId, message: &[u8], signature: &[u8]) -> bool {
    let key = keys.iter().find(|key| key.id() == signer);
    key.is_some_and(|key| key.verify(message, signature).is_ok())
}

impl PublicKey {
    /// The id by which tickets and reports name this key.
    pub fn id(&self) -> KeyId {
        KeyId::of(&self.0)
    }

    /// Checks an Ed25519 signature (RFC 8032) over `message`.
    ///
    /// # Errors
    /// [`BadSignature`] when it does not match.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
        UnparsedPublicKey::new(&ED25519, &self.0).verify(message, signature).map_err(|_| BadSignature)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ed25519:{}", URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let encoded = text.strip_prefix("ed25519:").ok_or(KeyError::Algorithm)?;
        let bytes = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| KeyError::Encoding)?;
        bytes.try_into().map(Self).map_err(|_| KeyError::Encoding)
    }
}

text_serde!(PublicKey);

/// A private Ed25519 key. Its seed comes from the shell; this crate makes no randomness.
pub struct SigningKey {
    pair: Ed25519KeyPair,
}

impl SigningKey {
    /// Key of a 32-byte seed.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).expect("any 32 bytes are an Ed25519 seed");
        Self { pair }
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        let mut key = [0; 32];
        key.copy_from_slice(self.pair.public_key().as_ref());
        PublicKey(key)
    }

    /// Signature over `message`; the same input gives the same bytes (RFC 8032).
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        let mut signature = [0; 64];
        signature.copy_from_slice(self.pair.sign(message).as_ref());
        signature
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.public())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_and_verifies() {
        let key = SigningKey::from_seed(&[7; 32]);
        let signature = key.sign(b"hello");
        assert_eq!(key.public().verify(b"hello", &signature), Ok(()));
        assert_eq!(key.public().verify(b"hellO", &signature), Err(BadSignature));
        assert_eq!(key.public().verify(b"hello", &signature[..63]), Err(BadSignature));
    }

    #[test]
    fn text_form() {
        let key = SigningKey::from_seed(&[7; 32]).public();
        let text = key.to_string();
        assert_eq!(text.parse(), Ok(key));
        let check = |text: &str, error| assert_eq!(text.parse::<PublicKey>(), Err(error), "{text}");
        check("rsa:AAAA", KeyError::Algorithm);
        check(&text[..text.len() - 1], KeyError::Encoding);
        check("ed25519:", KeyError::Encoding);
        check(&format!("{text}="), KeyError::Encoding);
    }
}
