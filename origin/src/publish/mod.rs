//! Publishes a folder as a release: cut, hash, compress, pack, page, sign, point. Nothing is visible before the last
//! step, and a publish that was killed goes on from the packs that it completed.

mod assemble;
mod channel;
mod cut;
mod documents;
mod encode;
mod error;
mod known;
mod map;
mod options;
mod pack;
mod packs;
mod patch;
mod promote;
mod rules;
mod seal;
mod seams;
mod walk;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use freshet_protocol::limits::CHUNKS_MAX;
use freshet_protocol::{Chunker, ContentName, Entry, Name, PackId, ROOT_SCHEMA, Root, RootId};
use freshet_protocol::{PARTS_FEATURE, Part};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde::Serialize;
use tokio::sync::mpsc;

pub use error::PublishError;
pub(crate) use known::{complete_packs, read_sidecar};
pub(crate) use map::ReleaseMap;
pub use options::{CHUNK_AVG_BYTES_MAX, CHUNK_AVG_BYTES_MIN, ChannelOptions, PublishOptions};
pub use patch::{RewriteCause, Rewritten, Update, UpdateFrom};
pub use promote::{PromoteOptions, PromoteTo, Promoted, promote};
pub use rules::{Rules, RulesError};
pub use seal::{
    Opened, Opening, SealOptions, SealedFile, SealedPublished, UnsealOptions, publish_sealed, unseal,
};
pub use walk::WalkError;

use crate::key_document;
use crate::keys::may_publish;
use crate::layout;
use crate::store::{ContentLock, Store};
use assemble::{Assembled, Assembly};
use channel::{Channel, Now, Show};
use cut::Piece;
use encode::{Encoded, Encoder};
use known::Places;
use packs::Packs;

/// Plain bytes of chunks on their way through the encoder.
const IN_FLIGHT_BYTES: usize = 16 << 20;
/// Pieces that the reading thread may be ahead.
const PIECES_AHEAD: usize = 8;

/// How far a publish is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Progress {
    /// Bytes read so far.
    pub bytes: u64,
    /// Chunk positions so far.
    pub chunks: u32,
    /// Chunks that the store did not have.
    pub new_chunks: u32,
    /// Plain bytes of those.
    pub new_bytes: u64,
    /// Bytes stored for those.
    pub stored_bytes: u64,
    /// Packs completed for those.
    pub packs: u32,
}

/// A published release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Published {
    /// The release.
    pub root: RootId,
    /// The content.
    pub content: ContentName,
    /// The version.
    pub version: Name,
    /// The channel that shows it.
    pub channel: Name,
    /// Sequence of the channel's pointer.
    pub sequence: u64,
    /// Number of files, empty folders and links.
    pub entries: u32,
    /// Number of pages.
    pub pages: u32,
    /// The parts that players may leave out.
    pub parts: Vec<Part>,
    /// Whether nothing of it was kept.
    pub dry_run: bool,
    /// What players fetch who have one of the versions that the channel showed last.
    pub updates: Vec<UpdateFrom>,
    /// Files that changed wholly since the version that the channel showed last, though what they hold hardly did.
    pub rewritten: Vec<Rewritten>,
    /// Sizes and counts.
    #[serde(flatten)]
    pub totals: Progress,
}

/// Publishes a folder.
///
/// # Errors
/// [`PublishError`] says what stood in the way; the channel then shows what it showed before.
pub async fn publish(options: PublishOptions) -> Result<Published, PublishError> {
    publish_reporting(options, &mut |_| {}).await
}

/// Publishes a folder, and tells `report` of each pack completed.
///
/// # Errors
/// As [`publish`].
pub async fn publish_reporting(
    options: PublishOptions,
    report: &mut (dyn FnMut(Progress) + Send),
) -> Result<Published, PublishError> {
    options.check()?;
    let options = PublishOptions { channel: options.channel.followed()?, ..options };
    let ChannelOptions { store, keys, content, .. } = &options.channel;
    let chunker = options.chunker();
    survey(&options, &chunker).await?;
    let _lock = ContentLock::take(store, content)?;
    let may = |document: &_| may_publish(document, keys.online().public());
    let document = key_document::put(store, content, keys.tenant(), may).await?;
    let Made { id, root, places, totals } = make(&options, report).await?;
    let (channel, version) = (&options.channel, &options.version);
    let shown = Channel::read(channel, &document).await?;
    let Now { sequence, updates, rewritten } = shown.show(&places, id, version, Show::Plain).await?;
    Ok(Published {
        root: id,
        content: root.content,
        version: root.version,
        channel: channel.name.clone(),
        sequence,
        entries: root.entries,
        pages: root.pages.len() as u32,
        parts: root.parts,
        dry_run: channel.dry_run,
        updates,
        rewritten,
        totals,
    })
}

/// A release that is in the store, and that no channel shows for it.
struct Made {
    id: RootId,
    root: Root,
    /// What the store held before it.
    places: Arc<Places>,
    totals: Progress,
}

/// Writes the folder's release into the store of the options.
async fn make(
    options: &PublishOptions,
    report: &mut (dyn FnMut(Progress) + Send),
) -> Result<Made, PublishError> {
    let PublishOptions { channel: ChannelOptions { store, keys, content, .. }, version, .. } = options;
    let chunker = options.chunker();
    let published = documents::published_root(store, content, version).await?;
    let stored = known::load(store, content, known::STORED_CHUNKS_MAX).await?;
    let places = Arc::new(stored.places);
    let packs = Packs::new(store, content, places.clone());
    let encoder = Encoder::new(places.clone(), options.zstd_level);
    let is_published = published.is_some() && stored.is_complete;
    let assembly = Assembly::new(packs, options.rules.parts(), is_published, report);
    let assembled = assemble(options, &chunker, assembly, encoder).await?;
    refuse_lost_packs(store, content, &assembled.packs_used).await?;
    let root = root_of(options, chunker, &assembled);
    if published.is_some_and(|published| Ok(published) != root.payload().map(|(id, _)| id)) {
        return Err(PublishError::VersionTaken);
    }
    let id = documents::put_root(store, keys, &root).await?;
    documents::put_version(store, &root, id, unix_now()).await?;
    Ok(Made { id, root, places, totals: assembled.progress })
}

fn root_of(options: &PublishOptions, chunker: Chunker, assembled: &Assembled) -> Root {
    Root {
        schema: ROOT_SCHEMA,
        content: options.channel.content.clone(),
        version: options.version.clone(),
        chunker,
        entries: assembled.entries,
        bytes: assembled.progress.bytes,
        chunks: assembled.progress.chunks,
        pages: assembled.pages.clone(),
        sealed: None,
        requires: assembled.parts.iter().take(1).map(|_| PARTS_FEATURE.to_owned()).collect(),
        parts: assembled.parts.clone(),
    }
}

/// Time now, Unix seconds.
pub(crate) fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Refuses by names and sizes, before anything is uploaded.
async fn survey(options: &PublishOptions, chunker: &Chunker) -> Result<(), PublishError> {
    let (folder, rules, chunker) = (options.folder.clone(), options.rules.clone(), chunker.clone());
    let work = tokio::task::spawn_blocking(move || cut::survey(&folder, &rules, &chunker));
    let survey = work.await.expect("walking does not panic")?;
    tracing::debug!(bytes = survey.bytes, "names checked");
    if survey.chunks_min > u64::from(CHUNKS_MAX) { Err(PublishError::TooManyChunks) } else { Ok(()) }
}

async fn assemble(
    options: &PublishOptions,
    chunker: &Chunker,
    mut assembly: Assembly<'_>,
    encoder: Encoder,
) -> Result<Assembled, PublishError> {
    let (send, mut pieces) = mpsc::channel(PIECES_AHEAD);
    let (folder, rules, cut_by) = (options.folder.clone(), options.rules.clone(), chunker.clone());
    let reader = tokio::task::spawn_blocking(move || cut::run(&folder, &rules, &cut_by, &send));
    let encode = |piece: Result<Piece, PublishError>| {
        let encoder = encoder.clone();
        async move {
            Ok::<_, PublishError>(match piece? {
                Piece::Entry(entry) => Step::Entry(entry),
                Piece::Chunk(chunk) => Step::Chunk(encoder.encode(chunk).await?),
            })
        }
    };
    let steps = stream::poll_fn(|context| pieces.poll_recv(context))
        .map(encode)
        .buffered(in_flight(chunker.bytes_max));
    let run = async {
        futures_util::pin_mut!(steps);
        while let Some(step) = steps.try_next().await? {
            match step {
                Step::Entry(entry) => assembly.entry(entry).await?,
                Step::Chunk(chunk) => assembly.chunk(chunk).await?,
            }
        }
        assembly.finish().await
    };
    let result = run.await;
    if result.is_err() {
        assembly.abort().await;
    }
    drop(pieces);
    reader.await.expect("reading does not panic");
    result
}

enum Step {
    Entry(Entry),
    Chunk(Encoded),
}

/// Chunks hashed and compressed, or sealed, at once: enough for every core, within a bound of memory.
fn in_flight(chunk_bytes_max: u32) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    (2 * cores).min(IN_FLIGHT_BYTES / chunk_bytes_max as usize).max(2)
}

/// Packs relied on from before must still be there: no lock keeps a gc elsewhere out of a bucket.
async fn refuse_lost_packs(
    store: &Store,
    content: &ContentName,
    packs_used: &BTreeSet<PackId>,
) -> Result<(), PublishError> {
    let objects = store.list(&layout::folder(content, "packs")).await?;
    let mut held: Vec<PackId> = complete_packs(&objects).into_iter().map(|(pack, _)| pack).collect();
    held.sort_unstable();
    match packs_used.iter().find(|pack| held.binary_search(pack).is_err()) {
        Some(lost) => Err(PublishError::PackGone(*lost)),
        None => Ok(()),
    }
}
