//! Lets a channel show a version that is published already: one that another channel tried out, or an older one again.

use std::sync::Arc;

use freshet_protocol::{ContentName, Name, RootId};
use serde::Serialize;

use super::channel::{Channel, Now, Show, shown_version};
use super::options::knob;
use super::{ChannelOptions, PublishError, Rewritten, UpdateFrom, documents, known};
use crate::key_document;
use crate::keys::may_publish;
use crate::release;
use crate::store::ContentLock;

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
    /// The channel.
    pub channel: ChannelOptions,
    /// The version.
    pub to: PromoteTo,
    /// How many of 1000 installations take the version, 1 to 999; the others keep what the channel shows. None: all.
    pub permille: Option<u32>,
}

impl PromoteOptions {
    /// Options with the defaults: all installations take the version.
    pub fn new(channel: ChannelOptions, to: PromoteTo) -> Self {
        Self { channel, to, permille: None }
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
    /// Whether nothing of it was kept.
    pub dry_run: bool,
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
    let PromoteOptions { channel, to, permille } = options;
    channel.check()?;
    let channel = channel.followed()?;
    let is_share = permille.is_none_or(|permille| (1..1000).contains(&permille));
    knob(is_share, "a share is 1 to 999 of 1000 installations")?;
    let ChannelOptions { store, keys, content, .. } = &channel;
    let _lock = ContentLock::take(store, content)?;
    let may = |document: &_| may_publish(document, keys.online().public());
    let document = key_document::put(store, content, keys.tenant(), may).await?;
    let shown = Channel::read(&channel, &document).await?;
    let version = match to {
        PromoteTo::Version(version) => version,
        PromoteTo::Before => {
            shown.version_before().ok_or_else(|| PublishError::NothingBefore(channel.name.clone()))?
        }
        PromoteTo::Channel(other) => shown_version(store, content, &other, &document).await?,
    };
    let root = documents::published_root(store, content, &version).await?;
    let root = root.ok_or_else(|| PublishError::NoVersion(version.clone()))?;
    if release::root(store, content, root).await?.sealed.is_some() {
        return Err(PublishError::IsSealed(version));
    }
    let before = shown.version().cloned();
    let stored = known::load(store, content, known::STORED_CHUNKS_MAX).await?;
    let show = permille.map_or(Show::Plain, |permille| Show::Share { permille });
    let Now { sequence, updates, rewritten } =
        shown.show(&Arc::new(stored.places), root, &version, show).await?;
    Ok(Promoted {
        content: content.clone(),
        channel: channel.name.clone(),
        version,
        permille,
        before,
        root,
        sequence,
        dry_run: channel.dry_run,
        updates,
        rewritten,
    })
}
