//! What to publish and how: the knobs, their defaults and bounds.

use std::path::PathBuf;
use std::time::Duration;

use freshet_protocol::limits::{PATCHES_MAX, START_WINDOW_S_MAX};
use freshet_protocol::{Chunker, ContentName, Name, check_tracker_addresses};

use super::error::PublishError;
use super::rules::Rules;
use super::walk::WalkError;
use crate::keys::Keys;
use crate::store::Store;

/// Smallest average chunk, in bytes.
pub const CHUNK_AVG_BYTES_MIN: u32 = 16 << 10;
/// Largest average chunk, in bytes.
pub const CHUNK_AVG_BYTES_MAX: u32 = 512 << 10;

/// A channel, who signs for it, and how it shows releases.
#[derive(Debug)]
pub struct ChannelOptions {
    /// Where its releases are.
    pub store: Store,
    /// Who signs its pointer.
    pub keys: Keys,
    /// The content, whose first segment is the tenant.
    pub content: ContentName,
    /// The channel. Default `live`.
    pub name: Name,
    /// For how many of the releases that the channel showed last patches are made, 0 to 16. Default 3. Each costs time to
    /// publish and space in the store; players on older releases fetch whole chunks.
    pub patches: usize,
    /// zstd level of deltas, 1 to 19. Default 12. Higher is much slower to publish, and up to a quarter smaller.
    pub delta_level: i32,
    /// How long clients take the release from the pointer without a new one. Default 30 days.
    pub expires_in: Duration,
    /// Nodes that follow the channel begin to fetch at moments spread over this time, 0 to 7 days. Default 0: at once. A
    /// longer one spares the origin the first rush, and lets the first ones hand on what they have.
    pub start_window: Duration,
    /// Does everything but keep it: what comes of it is told, and the store stays as it is. Default no.
    pub dry_run: bool,
    /// Addresses of trackers, `ws://` or `wss://`; an empty list means HTTP only. None, the default, leaves those that the
    /// channel has.
    pub trackers: Option<Vec<String>>,
}

impl ChannelOptions {
    /// Options with the defaults, for channel `live`.
    pub fn new(store: Store, keys: Keys, content: ContentName) -> Self {
        Self {
            store,
            keys,
            content,
            name: "live".parse().expect("live is a name"),
            patches: 3,
            delta_level: 12,
            expires_in: Duration::from_secs(30 * 24 * 3600),
            start_window: Duration::ZERO,
            dry_run: false,
            trackers: None,
        }
    }

    /// The options as they are followed: those of a dry run lead to a store where nothing stays.
    pub(super) fn followed(self) -> Result<Self, PublishError> {
        let store = if self.dry_run { self.store.dry()? } else { self.store };
        Ok(Self { store, ..self })
    }

    pub(super) fn check(&self) -> Result<(), PublishError> {
        knob(self.patches <= PATCHES_MAX, "patches can be made from at most 16 releases")?;
        knob((1..=19).contains(&self.delta_level), "the zstd level of deltas must be 1 to 19")?;
        let life_range = Duration::from_secs(60)..=Duration::from_secs(3650 * 24 * 3600);
        knob(life_range.contains(&self.expires_in), "the pointer's life must be one minute to ten years")?;
        let window_range = Duration::ZERO..=Duration::from_secs(START_WINDOW_S_MAX.into());
        knob(window_range.contains(&self.start_window), "the start window must be at most seven days")?;
        let trackers = self.trackers.as_deref().unwrap_or_default();
        check_tracker_addresses(trackers).map_err(|what| PublishError::Knob(what.to_owned()))?;
        let tenant = &self.keys.document().tenant;
        if tenant == self.content.tenant() {
            Ok(())
        } else {
            Err(PublishError::OtherTenant { content: self.content.clone(), tenant: tenant.clone() })
        }
    }
}

/// What to publish, where to, and how.
#[derive(Debug)]
pub struct PublishOptions {
    /// The channel that shall show the release.
    pub channel: ChannelOptions,
    /// The folder to publish.
    pub folder: PathBuf,
    /// What of the folder is published. Default all.
    pub rules: Rules,
    /// The release's version; never to be used for other files.
    pub version: Name,
    /// Average chunk, in bytes, 16 KiB to 512 KiB; the smallest is a quarter, the largest four times as much. Default
    /// 128 KiB. Smaller makes patches smaller and the manifest longer.
    pub chunk_avg_bytes: u32,
    /// zstd level of stored chunks, 1 to 19. Default 3. Higher is slower to publish, and a little smaller.
    pub zstd_level: i32,
}

impl PublishOptions {
    /// Options with the defaults.
    pub fn new(channel: ChannelOptions, folder: PathBuf, version: Name) -> Self {
        Self { channel, folder, rules: Rules::default(), version, chunk_avg_bytes: 128 << 10, zstd_level: 3 }
    }

    pub(super) fn check(&self) -> Result<(), PublishError> {
        let avg_range = CHUNK_AVG_BYTES_MIN..=CHUNK_AVG_BYTES_MAX;
        knob(avg_range.contains(&self.chunk_avg_bytes), "the average chunk must be 16 KiB to 512 KiB")?;
        knob((1..=19).contains(&self.zstd_level), "the zstd level must be 1 to 19")?;
        self.channel.check()?;
        let Some(store) = self.channel.store.folder() else { return Ok(()) };
        let folder = self
            .folder
            .canonicalize()
            .map_err(|source| WalkError::Io { path: self.folder.clone(), source })?;
        if folder.starts_with(store) || store.starts_with(&folder) {
            return Err(PublishError::StoreInside { folder, store: store.to_owned() });
        }
        Ok(())
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
