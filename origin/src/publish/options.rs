//! What to publish and how: the knobs, their defaults and bounds.

use std::path::PathBuf;
use std::time::Duration;

use freshet_protocol::limits::{PATCHES_MAX, URL_BYTES_MAX, URLS_MAX};
use freshet_protocol::{Chunker, ContentName, Name};

use super::channel::ChannelOptions;
use super::error::PublishError;
use super::rules::Rules;
use super::walk::WalkError;
use crate::keys::Keys;
use crate::store::Store;

/// Smallest average chunk, in bytes.
pub const CHUNK_AVG_BYTES_MIN: u32 = 16 << 10;
/// Largest average chunk, in bytes.
pub const CHUNK_AVG_BYTES_MAX: u32 = 512 << 10;

/// What to publish, where to, and how.
#[derive(Debug)]
pub struct PublishOptions {
    /// Where the release goes.
    pub store: Store,
    /// Who signs it.
    pub keys: Keys,
    /// The folder to publish.
    pub folder: PathBuf,
    /// What of the folder is published. Default all.
    pub rules: Rules,
    /// The content, whose first segment is the tenant.
    pub content: ContentName,
    /// The release's version; never to be used for other files.
    pub version: Name,
    /// The channel that shall show it. Default `live`.
    pub channel: Name,
    /// Average chunk, in bytes, 16 KiB to 512 KiB; the smallest is a quarter, the largest four times as much. Default
    /// 128 KiB. Smaller makes patches smaller and the manifest longer.
    pub chunk_avg_bytes: u32,
    /// zstd level of stored chunks, 1 to 19. Default 3. Higher is slower to publish, and a little smaller.
    pub zstd_level: i32,
    /// For how many of the releases that the channel showed last patches are made, 0 to 16. Default 3. Each costs time to
    /// publish and space in the store; players on older releases fetch whole chunks.
    pub patches: usize,
    /// zstd level of deltas, 1 to 19. Default 12. Higher is much slower to publish, and up to a quarter smaller.
    pub delta_level: i32,
    /// How long clients take the release from the pointer without a new one. Default 30 days.
    pub expires_in: Duration,
    /// Addresses of trackers, `ws://` or `wss://`. None means HTTP only.
    pub trackers: Vec<String>,
}

impl PublishOptions {
    /// Options with the defaults, for channel `live`.
    pub fn new(store: Store, keys: Keys, folder: PathBuf, content: ContentName, version: Name) -> Self {
        Self {
            store,
            keys,
            folder,
            rules: Rules::default(),
            content,
            version,
            channel: "live".parse().expect("live is a name"),
            chunk_avg_bytes: 128 << 10,
            zstd_level: 3,
            patches: 3,
            delta_level: 12,
            expires_in: Duration::from_secs(30 * 24 * 3600),
            trackers: Vec::new(),
        }
    }

    pub(super) fn check(&self) -> Result<(), PublishError> {
        let avg_range = CHUNK_AVG_BYTES_MIN..=CHUNK_AVG_BYTES_MAX;
        knob(avg_range.contains(&self.chunk_avg_bytes), "the average chunk must be 16 KiB to 512 KiB")?;
        knob((1..=19).contains(&self.zstd_level), "the zstd level must be 1 to 19")?;
        check_word(self.patches, self.delta_level, self.expires_in)?;
        let is_address = |url: &String| {
            url.len() <= URL_BYTES_MAX && (url.starts_with("ws://") || url.starts_with("wss://"))
        };
        knob(
            self.trackers.len() <= URLS_MAX && self.trackers.iter().all(is_address),
            "a tracker's address must start with ws:// or wss:// and have at most 256 bytes, and there may be at most 8",
        )?;
        check_tenant(&self.keys, &self.content)?;
        let Some(store) = self.store.folder() else { return Ok(()) };
        let folder = self
            .folder
            .canonicalize()
            .map_err(|source| WalkError::Io { path: self.folder.clone(), source })?;
        if folder.starts_with(store) || store.starts_with(&folder) {
            return Err(PublishError::StoreInside { folder, store: store.to_owned() });
        }
        Ok(())
    }

    /// The channel that shall show it.
    pub(super) fn channel_options(&self) -> ChannelOptions<'_> {
        ChannelOptions {
            store: &self.store,
            keys: &self.keys,
            content: &self.content,
            channel: &self.channel,
            patches: self.patches,
            delta_level: self.delta_level,
            expires_in: self.expires_in,
            trackers: Some(&self.trackers),
        }
    }

    pub(super) fn chunker(&self) -> Chunker {
        Chunker {
            algorithm: "fastcdc-2020".to_owned(),
            bytes_min: self.chunk_avg_bytes / 4,
            bytes_avg: self.chunk_avg_bytes,
            bytes_max: self.chunk_avg_bytes * 4,
        }
    }
}

pub(super) fn knob(good: bool, what: &str) -> Result<(), PublishError> {
    if good { Ok(()) } else { Err(PublishError::Knob(what.to_owned())) }
}

/// The knobs of a channel's word about its release.
pub(super) fn check_word(patches: usize, delta_level: i32, expires_in: Duration) -> Result<(), PublishError> {
    knob(patches <= PATCHES_MAX, "patches can be made from at most 16 releases")?;
    knob((1..=19).contains(&delta_level), "the zstd level of deltas must be 1 to 19")?;
    let life_range = Duration::from_secs(60)..=Duration::from_secs(3650 * 24 * 3600);
    knob(life_range.contains(&expires_in), "the pointer's life must be one minute to ten years")
}

/// The content must be the keys' tenant's.
pub(super) fn check_tenant(keys: &Keys, content: &ContentName) -> Result<(), PublishError> {
    let tenant = &keys.document().tenant;
    if tenant == content.tenant() {
        Ok(())
    } else {
        Err(PublishError::OtherTenant { content: content.clone(), tenant: tenant.clone() })
    }
}
