//! Lets a channel show a version that is published already: one that another channel tried out, or an older one again.

use std::sync::Arc;
use std::time::Duration;

use freshet_protocol::{ContentName, Name, RootId};
use serde::Serialize;

use super::channel::{Channel, ChannelOptions, Now};
use super::options::{check_tenant, check_word, knob};
use super::{PublishError, Rewritten, UpdateFrom, documents, known};
use crate::key_document;
use crate::keys::{Keys, may_publish};
use crate::store::{ContentLock, Store};

/// Which version a channel shall show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PromoteTo {
    /// This one.
    Version(Name),
    /// What this channel shows.
    Channel(Name),
    /// What the channel itself showed before: a rollback.
    Before,
}

/// What a channel shall show, and how.
#[derive(Debug)]
pub struct PromoteOptions {
    /// Where the version is.
    pub store: Store,
    /// Who signs the channel's pointer.
    pub keys: Keys,
    /// The content.
    pub content: ContentName,
    /// The channel. Default `live`.
    pub channel: Name,
    /// The version.
    pub to: PromoteTo,
    /// How many of 1000 installations take the version, 1 to 999; the others keep what the channel shows. None: all.
    pub permille: Option<u32>,
    /// As in [`PublishOptions::patches`](super::PublishOptions::patches).
    pub patches: usize,
    /// As in [`PublishOptions::delta_level`](super::PublishOptions::delta_level).
    pub delta_level: i32,
    /// As in [`PublishOptions::expires_in`](super::PublishOptions::expires_in).
    pub expires_in: Duration,
    /// Addresses of trackers; none leaves those that the channel has.
    pub trackers: Option<Vec<String>>,
}

impl PromoteOptions {
    /// Options with the defaults, for channel `live`.
    pub fn new(store: Store, keys: Keys, content: ContentName, to: PromoteTo) -> Self {
        Self {
            store,
            keys,
            content,
            channel: "live".parse().expect("live is a name"),
            to,
            permille: None,
            patches: 3,
            delta_level: 12,
            expires_in: Duration::from_secs(30 * 24 * 3600),
            trackers: None,
        }
    }

    fn channel_options(&self) -> ChannelOptions<'_> {
        ChannelOptions {
            store: &self.store,
            keys: &self.keys,
            content: &self.content,
            channel: &self.channel,
            patches: self.patches,
            delta_level: self.delta_level,
            expires_in: self.expires_in,
            trackers: self.trackers.as_deref(),
        }
    }
}

/// What a channel shows now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Promoted {
    /// The content.
    pub content: ContentName,
    /// The channel.
    pub channel: Name,
    /// The version that it shows.
    pub version: Name,
    /// To how many of 1000 installations, if not to all.
    pub permille: Option<u32>,
    /// The version that it showed, to all or most.
    pub before: Option<Name>,
    /// The version's root.
    pub root: RootId,
    /// The channel's sequence.
    pub sequence: u64,
    /// What players fetch who have one of the versions that the channel showed last.
    pub updates: Vec<UpdateFrom>,
    /// Files that changed wholly since the version that the channel showed, though what they hold hardly did.
    pub rewritten: Vec<Rewritten>,
}

/// Lets a channel show a published version.
///
/// # Errors
/// [`PublishError`] says what stood in the way; the channel then shows what it showed before.
pub async fn promote(options: PromoteOptions) -> Result<Promoted, PublishError> {
    check_word(options.patches, options.delta_level, options.expires_in)?;
    check_tenant(&options.keys, &options.content)?;
    knob(
        options.permille.is_none_or(|share| (1..1000).contains(&share)),
        "a share is 1 to 999 of 1000 installations",
    )?;
    let PromoteOptions { store, keys, content, channel, to, .. } = &options;
    let _lock = ContentLock::take(store, content)?;
    let may = |document: &_| may_publish(document, keys.online().public());
    let document = key_document::put(store, content, keys.tenant(), may).await?;
    let shown = Channel::read(options.channel_options(), &document).await?;
    let version = match to {
        PromoteTo::Version(version) => version.clone(),
        PromoteTo::Before => {
            shown.version_before().ok_or_else(|| PublishError::NothingBefore(channel.clone()))?
        }
        PromoteTo::Channel(other) => {
            let other_options = ChannelOptions { channel: other, ..options.channel_options() };
            let other_channel = Channel::read(other_options, &document).await?;
            other_channel.version().cloned().ok_or_else(|| PublishError::NoChannel(other.clone()))?
        }
    };
    let root = documents::published_root(store, content, &version).await?;
    let root = root.ok_or_else(|| PublishError::NoVersion(version.clone()))?;
    let before = shown.version().cloned();
    let stored = known::load(store, content, known::STORED_CHUNKS_MAX).await?;
    let Now { sequence, updates, rewritten } =
        shown.show(&Arc::new(stored.places), root, &version, options.permille).await?;
    Ok(Promoted {
        content: content.clone(),
        channel: channel.clone(),
        version,
        permille: options.permille,
        before,
        root,
        sequence,
        updates,
        rewritten,
    })
}
