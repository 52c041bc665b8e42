//! The signed head of a patch: from which release to which, and the index of its pages.

use serde::{Deserialize, Serialize};

use crate::envelope::{self, DocumentKind, EnvelopeError};
use crate::id::{ContentName, PageId, PatchId, RootId};
use crate::key::{PublicKey, SigningKey};
use crate::limits::{CHUNKS_MAX, INTEGER_MAX, PAGE_BYTES_MAX, PAGES_MAX, PATCH_BYTES_MAX};

/// The patch's payload type and limit.
pub const PATCH_KIND: DocumentKind =
    DocumentKind { payload_type: "application/vnd.freshet.patch+json", bytes_max: PATCH_BYTES_MAX };

/// The schema that this program writes and reads.
pub const PATCH_SCHEMA: u32 = 1;
/// How deltas are made: one zstd frame (RFC 8878) each, with the old bytes as its prefix.
pub const PATCH_ALGORITHM: &str = "zstd-prefix";

/// Why a patch was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// The envelope was refused.
    #[error("patch: {0}")]
    Envelope(#[from] EnvelopeError),
    /// The payload is not a patch.
    #[error("patch is not valid: {0}")]
    Malformed(String),
    /// Written by a newer program in a form this one cannot read.
    #[error("patch needs {0:?}, which this version does not know; update the program")]
    Unsupported(String),
    /// A value breaks a limit or contradicts another.
    #[error("patch is not consistent: {0}")]
    Inconsistent(&'static str),
    /// Not the patch that was asked for.
    #[error("patch {found} is not the one asked for, {wanted}")]
    Other {
        /// The id asked for.
        wanted: PatchId,
        /// The id that came.
        found: PatchId,
    },
}

/// One page of a patch, as its head names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PatchPageRef {
    /// Hash of the plain page.
    pub id: PageId,
    /// Plain size, in bytes.
    pub bytes: u32,
    /// Number of chunks in the page.
    pub chunks: u32,
}

/// A patch from one release to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Patch {
    /// Form of this document.
    pub schema: u32,
    /// What the two releases are of.
    pub content: ContentName,
    /// The older release, whose bytes the deltas need.
    pub from: RootId,
    /// The release that they lead to.
    pub to: RootId,
    /// How deltas are made: [`PATCH_ALGORITHM`].
    pub algorithm: String,
    /// Number of chunks in all pages: those of the newer release that the older one lacks, each once.
    pub chunks: u32,
    /// Sum of the deltas, and of the chunks that come whole, in plain bytes.
    pub bytes: u64,
    /// The pages, in the order of the positions that their chunks are for.
    pub pages: Vec<PatchPageRef>,
}

impl Patch {
    /// Signs the patch; returns its id and the envelope.
    ///
    /// # Errors
    /// [`PatchError`] when it breaks a limit, so that no publisher can sign what no reader accepts.
    pub fn seal(&self, key: &SigningKey) -> Result<(PatchId, Vec<u8>), PatchError> {
        self.check()?;
        let payload = serde_json::to_vec(self).expect("a patch is valid JSON");
        if payload.len() > PATCH_BYTES_MAX {
            return Err(EnvelopeError::TooLong { limit: PATCH_BYTES_MAX }.into());
        }
        Ok((PatchId::of(&payload), envelope::seal(PATCH_KIND, &payload, key)))
    }

    /// Opens a signed patch.
    ///
    /// # Errors
    /// [`PatchError`] says which check failed.
    pub fn open(bytes: &[u8], trusted: &[PublicKey]) -> Result<(PatchId, Self), PatchError> {
        let payload = envelope::open(PATCH_KIND, bytes, trusted)?;
        let patch: Self =
            serde_json::from_slice(&payload).map_err(|error| PatchError::Malformed(error.to_string()))?;
        patch.check()?;
        Ok((PatchId::of(&payload), patch))
    }

    /// Opens a signed patch that must be `wanted`.
    ///
    /// # Errors
    /// As [`Patch::open`], and [`PatchError::Other`].
    pub fn open_as(wanted: PatchId, bytes: &[u8], trusted: &[PublicKey]) -> Result<Self, PatchError> {
        let (found, patch) = Self::open(bytes, trusted)?;
        if found == wanted { Ok(patch) } else { Err(PatchError::Other { wanted, found }) }
    }

    fn check(&self) -> Result<(), PatchError> {
        if self.schema != PATCH_SCHEMA {
            return Err(PatchError::Unsupported(format!("schema {}", self.schema)));
        }
        if self.algorithm != PATCH_ALGORITHM {
            return Err(PatchError::Unsupported(self.algorithm.chars().take(80).collect()));
        }
        let checks = [
            (self.from != self.to, "it leads from a release to itself"),
            (self.bytes <= INTEGER_MAX, "size is larger than 2^53-1"),
            (self.pages.len() <= PAGES_MAX, "too many pages"),
            (self.chunks <= CHUNKS_MAX, "too many chunks"),
            (
                self.pages.iter().all(|page| page.bytes as usize <= PAGE_BYTES_MAX),
                "a page is larger than the limit",
            ),
            (
                self.pages.iter().map(|page| u64::from(page.chunks)).sum::<u64>() == u64::from(self.chunks),
                "page chunk counts do not add up",
            ),
        ];
        match checks.into_iter().find(|(good, _)| !good) {
            Some((_, what)) => Err(PatchError::Inconsistent(what)),
            None => Ok(()),
        }
    }
}
