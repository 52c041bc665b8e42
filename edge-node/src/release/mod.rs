//! A release as a node knows it: the signed documents that name it, and where each of its chunks belongs.

mod documents;
mod map;
mod trust;

pub(crate) use documents::{DocumentError, Fetched, Located, cached_release, content_of, fetch, locate};
pub(crate) use map::{Release, ReleaseError};
pub(crate) use trust::{Trust, TrustError};
