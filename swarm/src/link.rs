//! What is known of one link.

use std::ops::Range;

use crate::bits::Bits;
use crate::pace::Pace;

/// A link of a release.
#[derive(Debug)]
pub(crate) struct Link {
    /// What the peer holds.
    pub(crate) has: Bits,
    /// What the peer fetches from the origin now.
    pub(crate) fetching: Vec<Range<u32>>,
    pub(crate) pace: Pace,
}

impl Link {
    /// A link to a peer of which nothing is heard yet, for a release of `len` positions.
    pub(crate) fn new(len: u32, pace: Pace) -> Self {
        Self { has: Bits::new(len), fetching: Vec::new(), pace }
    }
}
