//! Lists contents, versions and channels of a store.

use freshet_protocol::{ContentName, Name, RootId};
use serde::Serialize;

use crate::inventory::{self, Inventory};
use crate::release::{self, ReadError};
use crate::store::Store;

/// A version in a store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VersionListing {
    /// The version.
    pub version: Name,
    /// Its root.
    pub root: RootId,
    /// Time of publishing, Unix seconds.
    pub published: u64,
    /// Files, empty folders and links.
    pub entries: u32,
    /// Sum of all files, in bytes.
    pub bytes: u64,
    /// Chunk positions.
    pub chunks: u32,
    /// Where it is sealed: when it is meant to open, Unix seconds.
    pub sealed_until: Option<u64>,
}

/// A version that a share of the installations takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RolloutListing {
    /// The version.
    pub version: Name,
    /// How many of 1000 installations take it.
    pub permille: u32,
}

/// A sealed version that a channel's followers fetch ahead of its time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PreloadListing {
    /// The version that is in it.
    pub version: Name,
    /// When it is meant to open, Unix seconds.
    pub opens: u64,
}

/// A channel in a store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChannelListing {
    /// The channel.
    pub channel: Name,
    /// The version that it shows.
    pub version: Name,
    /// What some installations take instead.
    pub rollout: Option<RolloutListing>,
    /// What is to come.
    pub preload: Option<PreloadListing>,
    /// Its sequence.
    pub sequence: u64,
    /// End of the pointer's life, Unix seconds.
    pub expires: u64,
}

/// A content in a store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ContentListing {
    /// The content.
    pub content: ContentName,
    /// All its objects together, in bytes.
    pub stored_bytes: u64,
    /// Its packs.
    pub packs: usize,
    /// Files of the stream of this name.
    pub media: usize,
    /// Pages of the entries of the stream of this name.
    pub entry_pages: usize,
    /// Its versions, the newest first.
    pub versions: Vec<VersionListing>,
    /// Its channels.
    pub channels: Vec<ChannelListing>,
}

/// Lists a store.
///
/// # Errors
/// [`ReadError`] when the store fails or an object of it is damaged.
pub async fn list(store: &Store) -> Result<Vec<ContentListing>, ReadError> {
    let mut contents = Vec::new();
    for (content, inventory) in inventory::read(store, None).await? {
        contents.push(list_content(store, content, &inventory).await?);
    }
    Ok(contents)
}

async fn list_content(
    store: &Store,
    content: ContentName,
    inventory: &Inventory,
) -> Result<ContentListing, ReadError> {
    let mut versions = Vec::new();
    for version in inventory.versions.keys() {
        let document = release::version(store, &content, version).await?;
        let root = release::root(store, &content, document.root).await?;
        versions.push(VersionListing {
            version: version.clone(),
            root: document.root,
            published: document.published,
            entries: root.entries,
            bytes: root.bytes,
            chunks: root.chunks,
            sealed_until: root.sealed.map(|sealed| sealed.opens),
        });
    }
    versions.sort_by(|a, b| b.published.cmp(&a.published).then_with(|| b.version.cmp(&a.version)));
    let mut channels = Vec::new();
    for channel in inventory.channels.keys() {
        let pointer = release::pointer(store, &content, channel).await?;
        channels.push(ChannelListing {
            channel: channel.clone(),
            version: pointer.version,
            rollout: pointer
                .rollout
                .map(|rollout| RolloutListing { version: rollout.version, permille: rollout.permille }),
            preload: pointer
                .preload
                .map(|preload| PreloadListing { version: preload.version, opens: preload.opens }),
            sequence: pointer.sequence,
            expires: pointer.expires,
        });
    }
    let (stored_bytes, packs) = (inventory.bytes, inventory.packs.len());
    let (media, entry_pages) = (inventory.media.len(), inventory.entries.len());
    Ok(ContentListing { content, stored_bytes, packs, media, entry_pages, versions, channels })
}
