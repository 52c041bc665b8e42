//! Publishes a release sealed: what is in it is put together beside the store, and reaches it encrypted alone
//! (PROTOCOL.md 4.7). `open` makes of it what `publish` would have made.

mod open;
mod opened;
mod plan;
mod read;
mod write;

use std::path::PathBuf;

use freshet_protocol::{
    Chunker, ContentName, FIXED_CHUNKER, Name, Preload, ROOT_SCHEMA, Root, RootId, SEALED_FEATURE, Sealed,
    sealed_from,
};
use serde::Serialize;

pub use open::{Opened, Opening, UnsealOptions, unseal};

use super::assemble::{Assembled, Assembly};
use super::channel::{Channel, Ready};
use super::known;
use super::packs::Packs;
use super::{Made, Progress, PublishError, PublishOptions};
use super::{documents, make, refuse_lost_packs, survey, unix_now};
use crate::key_document;
use crate::keys::{KeptKey, may_publish};
use crate::release;
use crate::store::{ContentLock, Store};
use plan::PlainFile;
use write::Seal;

/// What is added to a version's name where it is sealed.
const SEALED_SUFFIX: &str = "-sealed";

/// What to seal, and until when.
#[derive(Debug)]
pub struct SealOptions {
    /// The release, and the channel whose followers fetch it ahead of its time.
    pub publish: PublishOptions,
    /// When it is meant to open, Unix seconds.
    pub opens: u64,
}

/// A file of a sealed release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SealedFile {
    /// The version that it is for; none where it is for who has nothing, or for everybody.
    pub from: Option<Name>,
    /// Its path.
    pub path: String,
    /// Its size, in bytes.
    pub bytes: u64,
}

/// A sealed release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SealedPublished {
    /// The sealed release.
    pub root: RootId,
    /// The content.
    pub content: ContentName,
    /// The version that is in it.
    pub version: Name,
    /// The version that it is listed as.
    pub sealed_version: Name,
    /// The channel whose followers fetch it.
    pub channel: Name,
    /// Sequence of the channel's pointer.
    pub sequence: u64,
    /// When it is meant to open, Unix seconds.
    pub opens: u64,
    /// Where its key is; none after a dry run.
    pub key_file: Option<PathBuf>,
    /// Whether nothing of it was kept.
    pub dry_run: bool,
    /// Its files.
    pub files: Vec<SealedFile>,
    /// Sizes and counts of what was stored.
    #[serde(flatten)]
    pub totals: Progress,
}

/// Publishes a folder sealed, and lets the channel's followers fetch it. Tells `report` of each pack completed.
///
/// # Errors
/// [`PublishError`] says what stood in the way; the channel then says what it said before.
pub async fn publish_sealed(
    options: SealOptions,
    report: &mut (dyn FnMut(Progress) + Send),
) -> Result<SealedPublished, PublishError> {
    let SealOptions { publish: options, opens } = options;
    options.check()?;
    let mut options = PublishOptions { channel: options.channel.followed()?, ..options };
    survey(&options, &options.chunker()).await?;
    let (store, content) = (options.channel.store.clone(), options.channel.content.clone());
    let version = options.version.clone();
    let sealed_version = sealed_name(&version)?;
    let _lock = ContentLock::take(&store, &content)?;
    let may = |document: &_| may_publish(document, options.channel.keys.online().public());
    let document = key_document::put(&store, &content, options.channel.keys.tenant(), may).await?;
    if documents::published_root(&store, &content, &version).await?.is_some() {
        return Err(PublishError::IsOpen(version));
    }
    if Channel::read(&options.channel, &document).await?.version().is_none() {
        return Err(PublishError::NoChannel(options.channel.name));
    }
    // What is not sealed lies beside the store, and is gone at the end.
    options.channel.store = store.dry()?;
    let Made { id, places, .. } = make(&options, &mut |_| {}).await?;
    let shown = Channel::read(&options.channel, &document).await?;
    let bases = shown.last_before(id, options.channel.patches);
    let patches = shown.patches_to(&places, id, &Ready::default()).await?.refs;
    let plain = std::mem::replace(&mut options.channel.store, store);
    let files = plan::plan(&plain, &content, id, &bases, &patches).await?;

    let chunk_bytes = plan::chunk_bytes(&files)?;
    let seals = write::digest(&plain, &content, &files, chunk_bytes).await?;
    let keys = &options.channel.keys;
    let kept = match keys.release_key_for(&content, &version, seals)? {
        Some(kept) => kept,
        None => KeptKey::new(content.clone(), version.clone(), seals),
    };
    let key_file = if options.channel.dry_run { None } else { Some(keys.keep_release_key(&kept)?) };
    let seal = Seal { key: kept.key, chunk_bytes };
    let assembled = write_files(&options, &plain, &sealed_version, &files, seal, report).await?;
    let sealed = Sealed { opens, key_hash: kept.key.hash() };
    let sealed = published_seal(&options, &sealed_version, &sealed).await?.unwrap_or(sealed);
    refuse_lost_packs(&options.channel.store, &content, &assembled.packs_used).await?;
    let root = sealed_root(&content, &sealed_version, sealed, chunk_bytes, &assembled);
    let id = put(&options, &root).await?;
    let preload = Preload { root: id, version: version.clone(), opens };
    let sequence = Channel::read(&options.channel, &document).await?.preload(preload).await?;
    let listed = |file: &PlainFile| {
        let path = file.path.to_string();
        let is_for = |base: &&crate::history::Shown| path == sealed_from(base.root);
        let from = bases.iter().find(is_for).map(|base| base.version.clone());
        SealedFile { from, path, bytes: file.chunks(chunk_bytes) * u64::from(chunk_bytes) }
    };
    Ok(SealedPublished {
        root: id,
        content,
        version,
        sealed_version,
        channel: options.channel.name.clone(),
        sequence,
        opens,
        key_file,
        dry_run: options.channel.dry_run,
        files: files.iter().map(listed).collect(),
        totals: assembled.progress,
    })
}

/// How the sealed release of a version is listed.
fn sealed_name(version: &Name) -> Result<Name, PublishError> {
    let name = format!("{version}{SEALED_SUFFIX}");
    name.parse().map_err(|_| PublishError::SealedName(version.clone()))
}

/// What the sealed version says already, if it is this one: it stays as it is, and the pointer tells another time.
async fn published_seal(
    options: &PublishOptions,
    version: &Name,
    sealed: &Sealed,
) -> Result<Option<Sealed>, PublishError> {
    let (store, content) = (&options.channel.store, &options.channel.content);
    let Some(root) = documents::published_root(store, content, version).await? else { return Ok(None) };
    let known = release::root(store, content, root).await?.sealed;
    Ok(known.filter(|known| known.key_hash == sealed.key_hash))
}

/// Seals the files, whose plain bytes are in `plain`.
async fn write_files(
    options: &PublishOptions,
    plain: &Store,
    version: &Name,
    files: &[PlainFile],
    seal: Seal,
    report: &mut (dyn FnMut(Progress) + Send),
) -> Result<Assembled, PublishError> {
    let (store, content) = (&options.channel.store, &options.channel.content);
    let published = documents::published_root(store, content, version).await?;
    let stored = known::load(store, content, known::STORED_CHUNKS_MAX).await?;
    let places = std::sync::Arc::new(stored.places);
    let packs = Packs::new(store, content, places.clone());
    let is_published = published.is_some() && stored.is_complete;
    let mut assembly = Assembly::new(packs, Vec::new(), is_published, report);
    let write = async {
        for file in files {
            write::write(&mut assembly, plain, content, file, seal, &places).await?;
        }
        assembly.finish().await
    };
    let written = write.await;
    if written.is_err() {
        assembly.abort().await;
    }
    written
}

fn sealed_root(
    content: &ContentName,
    version: &Name,
    sealed: Sealed,
    chunk_bytes: u32,
    assembled: &Assembled,
) -> Root {
    Root {
        schema: ROOT_SCHEMA,
        content: content.clone(),
        version: version.clone(),
        chunker: Chunker {
            algorithm: FIXED_CHUNKER.to_owned(),
            bytes_min: chunk_bytes,
            bytes_avg: chunk_bytes,
            bytes_max: chunk_bytes,
        },
        entries: assembled.entries,
        bytes: assembled.progress.bytes,
        chunks: assembled.progress.chunks,
        pages: assembled.pages.clone(),
        parts: Vec::new(),
        sealed: Some(sealed),
        requires: vec![SEALED_FEATURE.to_owned()],
    }
}

/// Writes the sealed root and its version, unless they are there.
async fn put(options: &PublishOptions, root: &Root) -> Result<RootId, PublishError> {
    let store = &options.channel.store;
    let id = documents::put_root(store, &options.channel.keys, root).await?;
    documents::put_version(store, root, id, unix_now()).await?;
    Ok(id)
}
