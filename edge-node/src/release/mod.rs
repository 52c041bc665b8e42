//! A release as a node knows it: the signed documents that name it, and where each of its chunks belongs.

mod documents;
mod map;
mod opening;
mod parts;
mod patch;
mod sealed;
mod trust;
mod view;

pub(crate) use documents::{
    DocumentError, Fetched, Located, cached_release, channel_of, content_of, fetch, fetch_keys,
    fetch_patched, locate,
};
#[cfg(test)]
pub(crate) use map::tests as samples;
pub(crate) use map::{FileEntry, Release, ReleaseError};
pub(crate) use opening::open_sealed;
pub(crate) use parts::{PartChoice, decide};
pub use parts::{Parts, PartsError};
pub(crate) use patch::Span;
pub(crate) use sealed::{SealedPart, plain_chunk_bytes, stream_path};
pub(crate) use trust::{Trust, TrustError};
