//! Publishes a folder as a release: cut, hash, compress, pack, page, sign, point. Nothing is visible before the last
//! step, and a publish that was killed goes on from the packs that it completed.

mod assemble;
mod cut;
mod encode;
mod known;
mod pack;
mod point;
mod walk;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use freshet_protocol::limits::{CHUNKS_MAX, PAGES_MAX, ROOT_BYTES_MAX};
use freshet_protocol::{
    Chunker, ContentName, EnvelopeError, KeyDocumentError, Name, PackId, PointerError, ROOT_SCHEMA, Root,
    RootError, RootId,
};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde::Serialize;
use tokio::sync::mpsc;

pub(crate) use known::{complete_packs, read_sidecar};
pub use walk::WalkError;

use crate::keys::Keys;
use crate::layout;
use crate::release::ReadError;
use crate::store::{ContentLock, Store, StoreError};
use assemble::{Assembled, Assembly, Target};
use cut::Piece;
use encode::{Encoded, Encoder};

/// Smallest average chunk, in bytes.
pub const CHUNK_AVG_BYTES_MIN: u32 = 16 << 10;
/// Largest average chunk, in bytes.
pub const CHUNK_AVG_BYTES_MAX: u32 = 512 << 10;
/// Plain bytes of chunks on their way through the encoder.
const IN_FLIGHT_BYTES: usize = 16 << 20;
/// Pieces that the reading thread may be ahead.
const PIECES_AHEAD: usize = 8;

/// Why a folder was not published. The channel shows what it showed before.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The folder holds something that cannot be published.
    #[error(transparent)]
    Walk(#[from] WalkError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Something in the store could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A file changed while it was read.
    #[error("{} changed while it was published; stop what writes to the folder and publish again", .0.display())]
    Changed(PathBuf),
    /// A knob is out of its bounds.
    #[error("{0}")]
    Knob(String),
    /// The keys are of another tenant than the content.
    #[error("content {content} belongs to tenant {:?}, but the keys are those of {tenant:?}", content.tenant())]
    OtherTenant {
        /// The content.
        content: ContentName,
        /// Whose keys they are.
        tenant: String,
    },
    /// The store holds keys that another tenant key signed.
    #[error(
        "the store holds this content's keys signed by another tenant key, which players have pinned ({0}); use the --keys-dir it was published with"
    )]
    OtherTenantKey(KeyDocumentError),
    /// A newer key document does not name the online key.
    #[error(
        "the store holds a newer key document that does not let this online key publish; use the current --keys-dir"
    )]
    KeyWithdrawn,
    /// The folder and the store contain one another.
    #[error("the folder {} and the store {} lie within each other; move the store with --store", folder.display(), store.display())]
    StoreInside {
        /// The folder.
        folder: PathBuf,
        /// The store.
        store: PathBuf,
    },
    /// The release would have too many chunks.
    #[error("the folder has more than {CHUNKS_MAX} chunks; raise --chunk-avg")]
    TooManyChunks,
    /// The release would have too many pages.
    #[error(
        "the folder's file list needs more than {PAGES_MAX} pages; raise --chunk-avg or pack small files together"
    )]
    TooManyPages,
    /// The root would be too large.
    #[error("the folder's root is longer than {ROOT_BYTES_MAX} bytes; raise --chunk-avg or shorten paths")]
    RootTooLong,
    /// The version is published with other content.
    #[error("this version is published already with other files; publish under a new --version")]
    VersionTaken,
    /// A pack vanished from the store in between.
    #[error("pack {0} vanished from the store while publishing (a gc at the same time?); publish again")]
    PackGone(PackId),
    /// Compressing failed.
    #[error("cannot compress: {0}")]
    Compress(std::io::Error),
    /// The root broke a limit.
    #[error(transparent)]
    Root(RootError),
    /// The pointer broke a limit, or the one in the store was refused.
    #[error(transparent)]
    Pointer(#[from] PointerError),
}

impl From<RootError> for PublishError {
    fn from(error: RootError) -> Self {
        match error {
            RootError::Envelope(EnvelopeError::TooLong { .. }) => Self::RootTooLong,
            error => Self::Root(error),
        }
    }
}

/// What to publish, where to, and how.
#[derive(Debug)]
pub struct PublishOptions {
    /// Where the release goes.
    pub store: Store,
    /// Who signs it.
    pub keys: Keys,
    /// The folder to publish.
    pub folder: PathBuf,
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
            content,
            version,
            channel: "live".parse().expect("live is a name"),
            chunk_avg_bytes: 128 << 10,
            zstd_level: 3,
            expires_in: Duration::from_secs(30 * 24 * 3600),
            trackers: Vec::new(),
        }
    }

    fn check(&self) -> Result<(), PublishError> {
        let knob =
            |good: bool, what: &str| if good { Ok(()) } else { Err(PublishError::Knob(what.to_owned())) };
        let avg_range = CHUNK_AVG_BYTES_MIN..=CHUNK_AVG_BYTES_MAX;
        knob(avg_range.contains(&self.chunk_avg_bytes), "the average chunk must be 16 KiB to 512 KiB")?;
        knob((1..=19).contains(&self.zstd_level), "the zstd level must be 1 to 19")?;
        let life_range = Duration::from_secs(60)..=Duration::from_secs(3650 * 24 * 3600);
        knob(life_range.contains(&self.expires_in), "the pointer's life must be one minute to ten years")?;
        if self.keys.document().tenant != self.content.tenant() {
            let tenant = self.keys.document().tenant.clone();
            return Err(PublishError::OtherTenant { content: self.content.clone(), tenant });
        }
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

    fn chunker(&self) -> Chunker {
        Chunker {
            algorithm: "fastcdc-2020".to_owned(),
            bytes_min: self.chunk_avg_bytes / 4,
            bytes_avg: self.chunk_avg_bytes,
            bytes_max: self.chunk_avg_bytes * 4,
        }
    }
}

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
    let PublishOptions { store, keys, content, version, .. } = &options;
    let chunker = options.chunker();
    survey(&options, &chunker).await?;
    let _lock = ContentLock::take(store, content)?;
    let document = point::put_keys(store, content, keys).await?;
    let published = point::published_root(store, content, version).await?;
    let stored = known::load(store, content, known::STORED_CHUNKS_MAX).await?;
    let places = Arc::new(stored.places);
    let target = Target {
        store: store.clone(),
        content: content.clone(),
        stored: places.clone(),
        is_published: published.is_some() && stored.is_complete,
    };
    let encoder = Encoder::new(places, options.zstd_level);
    let assembled = assemble(&options, &chunker, target, encoder, report).await?;
    refuse_lost_packs(store, content, &assembled).await?;
    let root = Root {
        schema: ROOT_SCHEMA,
        content: content.clone(),
        version: version.clone(),
        chunker,
        entries: assembled.entries,
        bytes: assembled.progress.bytes,
        chunks: assembled.progress.chunks,
        pages: assembled.pages,
        requires: Vec::new(),
    };
    if published.is_some_and(|published| Ok(published) != root.payload().map(|(id, _)| id)) {
        return Err(PublishError::VersionTaken);
    }
    let now = unix_now();
    let id = point::put_root(store, keys, &root).await?;
    point::put_version(store, &root, id, now).await?;
    let aim = point::Aim {
        content,
        channel: &options.channel,
        version,
        root: id,
        trackers: &options.trackers,
        expires_in: options.expires_in,
    };
    let sequence = point::put_pointer(store, keys, &document, aim, now).await?;
    Ok(Published {
        root: id,
        content: content.clone(),
        version: version.clone(),
        channel: options.channel,
        sequence,
        entries: root.entries,
        pages: root.pages.len() as u32,
        totals: assembled.progress,
    })
}

/// Time now, Unix seconds.
pub(crate) fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Refuses by names and sizes, before anything is uploaded.
async fn survey(options: &PublishOptions, chunker: &Chunker) -> Result<(), PublishError> {
    let (folder, chunker) = (options.folder.clone(), chunker.clone());
    let work = tokio::task::spawn_blocking(move || cut::survey(&folder, &chunker));
    let survey = work.await.expect("walking does not panic")?;
    tracing::debug!(bytes = survey.bytes, "names checked");
    if survey.chunks_min > u64::from(CHUNKS_MAX) { Err(PublishError::TooManyChunks) } else { Ok(()) }
}

async fn assemble(
    options: &PublishOptions,
    chunker: &Chunker,
    target: Target,
    encoder: Encoder,
    report: &mut (dyn FnMut(Progress) + Send),
) -> Result<Assembled, PublishError> {
    let (send, mut pieces) = mpsc::channel(PIECES_AHEAD);
    let (folder, cut_by) = (options.folder.clone(), chunker.clone());
    let reader = tokio::task::spawn_blocking(move || cut::run(&folder, &cut_by, &send));
    let encode = |piece: Result<Piece, PublishError>| {
        let encoder = encoder.clone();
        async move {
            Ok::<_, PublishError>(match piece? {
                Piece::Entry(entry) => Step::Entry(entry),
                Piece::Chunk(chunk) => Step::Chunk(encoder.encode(chunk).await?),
            })
        }
    };
    let steps = stream::poll_fn(|context| pieces.poll_recv(context)).map(encode).buffered(in_flight(chunker));
    let mut assembly = Assembly::new(target, report);
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
    Entry(freshet_protocol::Entry),
    Chunk(Encoded),
}

/// Chunks hashed and compressed at once: enough for every core, within a bound of memory.
fn in_flight(chunker: &Chunker) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    (2 * cores).min(IN_FLIGHT_BYTES / chunker.bytes_max as usize).max(2)
}

/// Packs relied on from before must still be there: no lock keeps a gc elsewhere out of a bucket.
async fn refuse_lost_packs(
    store: &Store,
    content: &ContentName,
    assembled: &Assembled,
) -> Result<(), PublishError> {
    let objects = store.list(&layout::folder(content, "packs")).await?;
    let mut held: Vec<PackId> = complete_packs(&objects).into_iter().map(|(pack, _)| pack).collect();
    held.sort_unstable();
    match assembled.packs_used.iter().find(|pack| held.binary_search(pack).is_err()) {
        Some(lost) => Err(PublishError::PackGone(*lost)),
        None => Ok(()),
    }
}
