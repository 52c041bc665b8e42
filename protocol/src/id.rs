//! Names and ids. An id is the SHA-256 of what it names, so it can be checked by whoever holds the bytes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::limits::{CONTENT_BYTES_MAX, INTEGER_MAX, VERSION_BYTES_MAX};

/// Why a name or id was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Not 64 lowercase hexadecimal digits.
    #[error("a hash is 64 lowercase hexadecimal digits")]
    Hash,
    /// A content name outside the allowed form.
    #[error(
        "content name {0:?} must be 2 to 4 segments like \"game/demo\", each of a-z 0-9 . _ - and starting with a letter or digit"
    )]
    Content(String),
    /// A version or channel name outside the allowed form.
    #[error("name {0:?} must be 1 to 64 of A-Z a-z 0-9 . _ + - and start with a letter or digit")]
    Name(String),
    /// A peer id beyond 2^53-1.
    #[error("peer id is larger than 2^53-1")]
    Peer,
}

/// A SHA-256 digest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// Digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
        let mut out = [0; 32];
        out.copy_from_slice(digest.as_ref());
        Self(out)
    }

    /// First four bytes as a big-endian number: a stable, evenly spread value for cuts and orders.
    pub fn prefix32(&self) -> u32 {
        u32::from_be_bytes([self.0[0], self.0[1], self.0[2], self.0[3]])
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..4].iter().try_for_each(|b| write!(f, "{b:02x}"))?;
        f.write_str("…")
    }
}

impl FromStr for Hash {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        fn digit(b: u8) -> Option<u8> {
            match b {
                b'0'..=b'9' => Some(b - b'0'),
                b'a'..=b'f' => Some(b - b'a' + 10),
                _ => None,
            }
        }
        let text = text.as_bytes();
        if text.len() != 64 {
            return Err(IdError::Hash);
        }
        let mut out = [0; 32];
        for (byte, pair) in out.iter_mut().zip(text.chunks_exact(2)) {
            let (high, low) = digit(pair[0]).zip(digit(pair[1])).ok_or(IdError::Hash)?;
            *byte = high << 4 | low;
        }
        Ok(Self(out))
    }
}

/// Serialises a type as its text form.
macro_rules! text_serde {
    ($($name:ident),*) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = String::deserialize(d)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}
pub(crate) use text_serde;

macro_rules! hash_id {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub Hash);

        impl $name {
            /// The id of `bytes`.
            pub fn of(bytes: &[u8]) -> Self {
                Self(Hash::of(bytes))
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:?})"), self.0)
            }
        }
        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                text.parse().map(Self)
            }
        }
        text_serde!($name);
    )*};
}

hash_id! {
    /// Names a chunk: the hash of its bytes as exchanged.
    ChunkId
    /// Names a manifest page: the hash of its plain bytes.
    PageId
    /// Names a release: the hash of its root's payload, whatever signatures surround it.
    RootId
    /// Names a patch: the hash of its payload, whatever signatures surround it.
    PatchId
    /// Names a signing key: the hash of the public key's bytes.
    KeyId
    /// Names a swarm.
    SwarmId
}
text_serde!(Hash, ContentName, Name);

impl SwarmId {
    /// The swarm of a content, all its releases together.
    pub fn of_content(content: &ContentName) -> Self {
        Self::of(format!("freshet content swarm\n{content}").as_bytes())
    }
}

/// Segments that the origin's paths use themselves.
const RESERVED_SEGMENTS: [&str; 13] = [
    "channels", "entries", "files", "history", "index", "keys", "media", "packs", "pages", "patches",
    "policy", "roots", "versions",
];

/// What a tenant publishes under a name: `tenant/name`, up to four segments.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentName(String);

impl ContentName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The tenant: the first segment.
    pub fn tenant(&self) -> &str {
        self.0.split('/').next().unwrap_or_default()
    }
}

impl fmt::Display for ContentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ContentName {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let segment_is_good = |s: &str| {
            s.bytes().next().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
                && s.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b))
                && !RESERVED_SEGMENTS.contains(&s)
        };
        let good = text.len() <= CONTENT_BYTES_MAX
            && (2..=4).contains(&text.split('/').count())
            && text.split('/').all(segment_is_good);
        good.then(|| Self(text.to_owned())).ok_or_else(|| IdError::Content(text.chars().take(80).collect()))
    }
}

/// A version or channel name, like `1.2.0-rc1` or `live`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

impl Name {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Name {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let good = text.len() <= VERSION_BYTES_MAX
            && text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._+-".contains(&b));
        good.then(|| Self(text.to_owned())).ok_or_else(|| IdError::Name(text.chars().take(80).collect()))
    }
}

/// What the tracker calls a peer in one swarm; issued by the tracker, at most 2^53-1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct PeerId(u64);

impl PeerId {
    /// The id as a number.
    pub fn get(self) -> u64 {
        self.0
    }
}

impl TryFrom<u64> for PeerId {
    type Error = IdError;

    fn try_from(value: u64) -> Result<Self, IdError> {
        (value <= INTEGER_MAX).then_some(Self(value)).ok_or(IdError::Peer)
    }
}

impl From<PeerId> for u64 {
    fn from(id: PeerId) -> u64 {
        id.0
    }
}

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:014x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_names() {
        let check =
            |text: &str, good: bool| assert_eq!(text.parse::<ContentName>().is_ok(), good, "{text:?}");
        check("game/demo", true);
        check("a/b/c/d", true);
        check("studio-7/game_2.0", true);
        check("game", false);
        check("a/b/c/d/e", false);
        check("Game/demo", false);
        check("game//demo", false);
        check("game/..", false);
        check("game/.hidden", false);
        check("game/channels", false);
        check(&format!("a/{}", "b".repeat(126)), true);
        check(&format!("a/{}", "b".repeat(127)), false);
    }

    #[test]
    fn version_names() {
        let check = |text: &str, good: bool| assert_eq!(text.parse::<Name>().is_ok(), good, "{text:?}");
        check("1.2", true);
        check("live", true);
        check("1.2.0-rc1+build.7", true);
        check("", false);
        check("../x", false);
        check(".x", false);
        check(&"v".repeat(64), true);
        check(&"v".repeat(65), false);
    }

    #[test]
    fn hash_text_round_trips() {
        let hash = Hash::of(b"abc");
        assert_eq!(hash.to_string(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(hash.to_string().parse(), Ok(hash));
        assert_eq!(hash.to_string().to_uppercase().parse::<Hash>(), Err(IdError::Hash));
        assert_eq!("00".parse::<Hash>(), Err(IdError::Hash));
    }

    #[test]
    fn peer_id_is_bounded() {
        assert!(PeerId::try_from(INTEGER_MAX).is_ok());
        assert_eq!(PeerId::try_from(INTEGER_MAX + 1), Err(IdError::Peer));
    }
}
