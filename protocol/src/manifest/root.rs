//! The signed root of a release: what it is, how it was cut, and the index of its pages.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::envelope::{self, DocumentKind, EnvelopeError};
use crate::id::{ContentName, Hash, Name, PageId, RootId};
use crate::key::{PublicKey, SigningKey};
use crate::limits::{
    CHUNK_BYTES_MAX, CHUNKS_MAX, ENTRIES_MAX, INTEGER_MAX, PAGE_BYTES_MAX, PAGES_MAX, PARTS_MAX,
    PATH_BYTES_MAX, ROOT_BYTES_MAX,
};
use crate::sealed::size::is_sealed_chunk;

/// The root's payload type and limit.
pub const ROOT_KIND: DocumentKind =
    DocumentKind { payload_type: "application/vnd.freshet.root+json", bytes_max: ROOT_BYTES_MAX };

/// The schema that this program writes and reads.
pub const ROOT_SCHEMA: u32 = 1;

/// What a release with parts requires of its readers: others would take all of it to be wanted.
pub const PARTS_FEATURE: &str = "parts";

/// What a sealed release requires of its readers: others would install its files.
pub const SEALED_FEATURE: &str = "sealed";

/// How the files of a sealed release are cut: into chunks of one size, which tell nothing.
pub const FIXED_CHUNKER: &str = "fixed";
/// How all others are.
const FAST_CDC: &str = "fastcdc-2020";

/// Why a root was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RootError {
    /// The envelope was refused.
    #[error("root: {0}")]
    Envelope(#[from] EnvelopeError),
    /// The payload is not a root.
    #[error("root is not valid: {0}")]
    Malformed(String),
    /// Written by a newer program in a form this one cannot read.
    #[error("root needs {0:?}, which this version does not know; update the program")]
    Unsupported(String),
    /// A value breaks a limit or contradicts another.
    #[error("root is not consistent: {0}")]
    Inconsistent(&'static str),
    /// Not the root that was asked for.
    #[error("root {found} is not the one asked for, {wanted}")]
    Other {
        /// The id asked for.
        wanted: RootId,
        /// The id that came.
        found: RootId,
    },
}

/// How the files were cut into chunks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunker {
    /// Name of the algorithm: `fastcdc-2020`, or [`FIXED_CHUNKER`] for a sealed release.
    pub algorithm: String,
    /// Smallest chunk but the last of a file, in bytes.
    pub bytes_min: u32,
    /// Average chunk, in bytes.
    pub bytes_avg: u32,
    /// Largest chunk, in bytes.
    pub bytes_max: u32,
}

/// One page, as the root names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageRef {
    /// Hash of the plain page.
    pub id: PageId,
    /// Plain size, in bytes.
    pub bytes: u32,
    /// Number of chunk positions in the page.
    pub chunks: u32,
    /// Path of its first entry.
    pub first: String,
}

/// A part of a release, such as a language: who installs the release may leave it out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Its name.
    pub name: Name,
    /// Whether it is installed where nobody says whether it should be.
    pub default: bool,
    /// Sum of its files, in bytes.
    pub bytes: u64,
}

/// That a release is sealed: its files are encrypted, and hold another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// When it is meant to open, Unix seconds. Nobody counts on it.
    pub opens: u64,
    /// Hash of the key that it opens with.
    pub key_hash: Hash,
}

/// The root of a release. It has no channel, sequence or expiry: those belong to the pointer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Root {
    /// Form of this document.
    pub schema: u32,
    /// What this is a release of.
    pub content: ContentName,
    /// The release's version, as the publisher names it.
    pub version: Name,
    /// How files were cut.
    pub chunker: Chunker,
    /// Number of files, folders and links.
    pub entries: u32,
    /// Sum of all files, in bytes.
    pub bytes: u64,
    /// Number of chunk positions in all pages.
    pub chunks: u32,
    /// The pages, in path order.
    pub pages: Vec<PageRef>,
    /// The parts that may be left out, in the order of their numbers. What belongs to none is always installed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Part>,
    /// Whether what is in it is for a later time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<Sealed>,
    /// Features that a reader must know to read this release.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requires: Vec<String>,
}

impl Root {
    /// The signed payload and the id that follows from it.
    ///
    /// # Errors
    /// [`RootError`] when the root breaks a limit, so that no publisher can sign what no reader accepts.
    pub fn payload(&self) -> Result<(RootId, Vec<u8>), RootError> {
        self.check()?;
        let payload = serde_json::to_vec(self).expect("a root is valid JSON");
        if payload.len() > ROOT_BYTES_MAX {
            return Err(EnvelopeError::TooLong { limit: ROOT_BYTES_MAX }.into());
        }
        Ok((RootId::of(&payload), payload))
    }

    /// Signs the root; returns its id and the envelope.
    ///
    /// # Errors
    /// As [`Root::payload`].
    pub fn seal(&self, key: &SigningKey) -> Result<(RootId, Vec<u8>), RootError> {
        let (id, payload) = self.payload()?;
        Ok((id, envelope::seal(ROOT_KIND, &payload, key)))
    }

    /// Opens a signed root.
    ///
    /// # Errors
    /// [`RootError`] says which check failed.
    pub fn open(bytes: &[u8], trusted: &[PublicKey]) -> Result<(RootId, Self), RootError> {
        let payload = envelope::open(ROOT_KIND, bytes, trusted)?;
        let root: Self =
            serde_json::from_slice(&payload).map_err(|error| RootError::Malformed(error.to_string()))?;
        root.check()?;
        Ok((RootId::of(&payload), root))
    }

    /// Opens a signed root that must be `wanted`.
    ///
    /// # Errors
    /// As [`Root::open`], and [`RootError::Other`].
    pub fn open_as(wanted: RootId, bytes: &[u8], trusted: &[PublicKey]) -> Result<Self, RootError> {
        let (found, root) = Self::open(bytes, trusted)?;
        if found == wanted { Ok(root) } else { Err(RootError::Other { wanted, found }) }
    }

    fn parts_bytes(&self) -> Option<u64> {
        self.parts.iter().try_fold(0_u64, |sum, part| sum.checked_add(part.bytes))
    }

    fn chunker_name(&self) -> &'static str {
        if self.sealed.is_some() { FIXED_CHUNKER } else { FAST_CDC }
    }

    fn is_sealed_well(&self) -> bool {
        let Chunker { bytes_min, bytes_max, .. } = self.chunker;
        self.sealed.as_ref().is_none_or(|sealed| {
            sealed.opens <= INTEGER_MAX
                && bytes_min == bytes_max
                && is_sealed_chunk(bytes_max)
                && self.bytes == u64::from(self.chunks) * u64::from(bytes_max)
                && self.parts.is_empty()
        })
    }

    fn check(&self) -> Result<(), RootError> {
        if self.schema != ROOT_SCHEMA {
            return Err(RootError::Unsupported(format!("schema {}", self.schema)));
        }
        let is_known = |feature: &str| [PARTS_FEATURE, SEALED_FEATURE].contains(&feature);
        if let Some(feature) = self.requires.iter().find(|feature| !is_known(feature)) {
            return Err(RootError::Unsupported(feature.chars().take(80).collect()));
        }
        if self.chunker.algorithm != self.chunker_name() {
            return Err(RootError::Unsupported(self.chunker.algorithm.chars().take(80).collect()));
        }
        let Chunker { bytes_min, bytes_avg, bytes_max, .. } = self.chunker;
        let requires = |feature: &str| self.requires.iter().any(|required| required == feature);
        let names: BTreeSet<&Name> = self.parts.iter().map(|part| &part.name).collect();
        let checks = [
            (
                0 < bytes_min && bytes_min <= bytes_avg && bytes_avg <= bytes_max,
                "chunk sizes are out of order",
            ),
            (bytes_max <= CHUNK_BYTES_MAX, "chunks are larger than the limit"),
            (self.bytes <= INTEGER_MAX, "size is larger than 2^53-1"),
            (self.pages.len() <= PAGES_MAX, "too many pages"),
            (self.chunks <= CHUNKS_MAX, "too many chunks"),
            (self.entries as usize <= ENTRIES_MAX, "too many entries"),
            (
                self.pages.iter().all(|p| p.bytes as usize <= PAGE_BYTES_MAX),
                "a page is larger than the limit",
            ),
            (self.pages.iter().all(|p| p.first.len() <= PATH_BYTES_MAX), "a page's first path is too long"),
            (
                self.pages.iter().map(|p| u64::from(p.chunks)).sum::<u64>() == u64::from(self.chunks),
                "page chunk counts do not add up",
            ),
            (self.parts.len() <= PARTS_MAX, "too many parts"),
            (names.len() == self.parts.len(), "two parts have one name"),
            (self.parts.is_empty() != requires(PARTS_FEATURE), "parts are not required, or there are none"),
            (self.sealed.is_some() == requires(SEALED_FEATURE), "a seal is not required, or there is none"),
            (self.is_sealed_well(), "a sealed release has chunks of one size, and no parts"),
            (
                self.parts_bytes().is_some_and(|bytes| bytes <= self.bytes),
                "parts are larger than the release",
            ),
        ];
        match checks.into_iter().find(|(good, _)| !good) {
            Some((_, what)) => Err(RootError::Inconsistent(what)),
            None => Ok(()),
        }
    }
}
