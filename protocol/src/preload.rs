//! What a channel prepares, and what it has opened: sealed releases (PROTOCOL.md 4.7).

use serde::{Deserialize, Serialize};

use crate::id::{Name, RootId};
use crate::sealed::key::ReleaseKey;

/// A sealed release that those who follow the channel fetch ahead of its time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preload {
    /// The sealed release.
    pub root: RootId,
    /// The version that is in it.
    pub version: Name,
    /// When it is meant to open, Unix seconds. Nobody counts on it.
    pub opens: u64,
}

/// A sealed release that is opened: what is in it is the release that the channel shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unsealed {
    /// The sealed release.
    pub root: RootId,
    /// Its key.
    pub key: ReleaseKey,
}
