//! The key of a sealed release, and what it does to chunks.

use std::fmt;
use std::str::FromStr;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, Salt};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::id::{Hash, IdError, text_serde};

/// What stands before a key in its hash.
const HASH_DOMAIN: &[u8] = b"freshet release key 1\n";
/// What stands before path and index in the derivation of a chunk's key.
const CHUNK_DOMAIN: &[u8] = b"freshet sealed chunk 1\n";

/// The chunk was not sealed with this key at this place, or is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("chunk does not open with this key")]
pub struct BadSeal;

/// What a sealed release opens with: 32 random bytes that nothing else is ever sealed with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ReleaseKey(pub [u8; 32]);

impl ReleaseKey {
    /// What a sealed root says of its key.
    pub fn hash(&self) -> Hash {
        Hash::of(&[HASH_DOMAIN, &self.0].concat())
    }

    /// Seals the `index`th chunk of the file at `path` in its place; it grows by [`SEAL_BYTES`](crate::SEAL_BYTES).
    pub fn seal_chunk(&self, path: &str, index: u32, chunk: &mut Vec<u8>) {
        let (key, nonce) = self.of_chunk(path, index);
        key.seal_in_place_append_tag(nonce, Aad::empty(), chunk).expect("a chunk is short enough");
    }

    /// Opens the `index`th chunk of the file at `path` in its place.
    ///
    /// # Errors
    /// [`BadSeal`]; what is in `chunk` then means nothing.
    pub fn open_chunk<'a>(
        &self,
        path: &str,
        index: u32,
        chunk: &'a mut [u8],
    ) -> Result<&'a mut [u8], BadSeal> {
        let (key, nonce) = self.of_chunk(path, index);
        key.open_in_place(nonce, Aad::empty(), chunk).map_err(|_| BadSeal)
    }

    /// The key of one chunk. It seals one text only, so the nonce can be any: it is zero.
    fn of_chunk(&self, path: &str, index: u32) -> (LessSafeKey, Nonce) {
        let prk = Salt::new(HKDF_SHA256, &[]).extract(&self.0);
        // The index has a fixed size and comes last, so no two places are written alike.
        let index = u64::from(index).to_be_bytes();
        let info = [CHUNK_DOMAIN, path.as_bytes(), &index];
        let okm = prk.expand(&info, &AES_256_GCM).expect("a key is shorter than HKDF's limit");
        (LessSafeKey::new(UnboundKey::from(okm)), Nonce::assume_unique_for_key([0; 12]))
    }
}

impl fmt::Display for ReleaseKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Hash(self.0).fmt(f)
    }
}

/// A log must not give it away.
impl fmt::Debug for ReleaseKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReleaseKey({:?})", self.hash())
    }
}

impl FromStr for ReleaseKey {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        text.parse().map(|Hash(bytes)| Self(bytes))
    }
}

text_serde!(ReleaseKey);

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(key: ReleaseKey, path: &str, index: u32, plain: &[u8]) -> Vec<u8> {
        let mut chunk = plain.to_vec();
        key.seal_chunk(path, index, &mut chunk);
        chunk
    }

    #[test]
    fn a_chunk_opens_with_its_key_at_its_place_alone() {
        let (key, other) = (ReleaseKey([1; 32]), ReleaseKey([2; 32]));
        let chunk = sealed(key, "full", 7, b"plain");
        assert_eq!(chunk.len(), 5 + 16);
        let open = |key: ReleaseKey, path, index| {
            key.open_chunk(path, index, &mut chunk.clone()).map(|c| c.to_vec())
        };
        assert_eq!(open(key, "full", 7), Ok(b"plain".to_vec()));
        assert_eq!(open(other, "full", 7), Err(BadSeal));
        assert_eq!(open(key, "ful", 7), Err(BadSeal));
        assert_eq!(open(key, "full", 8), Err(BadSeal));
        for at in 0..chunk.len() {
            let mut changed = chunk.clone();
            changed[at] ^= 1;
            assert_eq!(key.open_chunk("full", 7, &mut changed), Err(BadSeal), "{at}");
        }
        assert_eq!(key.open_chunk("full", 7, &mut []), Err(BadSeal));
    }

    #[test]
    fn the_same_bytes_are_nowhere_sealed_alike_but_twice_at_one_place() {
        let key = ReleaseKey([1; 32]);
        let here = sealed(key, "full", 0, &[0; 64]);
        assert_eq!(here, sealed(key, "full", 0, &[0; 64]), "a killed publish goes on");
        for elsewhere in [sealed(key, "full", 1, &[0; 64]), sealed(key, "inner", 0, &[0; 64])] {
            assert!(here.iter().zip(&elsewhere).filter(|(a, b)| a == b).count() < 8);
        }
    }

    #[test]
    fn keys_are_not_told() {
        let key = ReleaseKey([0xab; 32]);
        assert_eq!(key.to_string().parse(), Ok(key));
        assert!(!format!("{key:?}").contains("abab"));
        assert_ne!(key.hash(), Hash::of(&key.0), "its hash is for nothing else");
    }
}
