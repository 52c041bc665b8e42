//! Reading what the store holds of a release, without keys: a root is checked against its id, a page against its
//! root, so what is read is what was published. Whether a trusted key signed it, players check themselves.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use freshet_protocol::limits::{PACK_INDEX_BYTES_MAX, PAGE_BYTES_MAX, PATCH_BYTES_MAX, ROOT_BYTES_MAX};
use freshet_protocol::{
    ChunkRef, ContentName, DocumentKind, Encoding, KEY_DOCUMENT_KIND, KeyDocument, Name, PATCH_KIND,
    POINTER_KIND, PackIndex, Page, PageError, PageId, PageRef, Patch, PatchId, PatchPage, PatchPageRef,
    Place, Pointer, ROOT_KIND, Root, RootId, VerifiedChunk, WireError, envelope_bytes_max, origin_path,
};
use serde::{Deserialize, Serialize};

use crate::gzip;
use crate::store::{Store, StoreError};

/// The form of version documents that this program writes and reads.
pub(crate) const VERSION_SCHEMA: u32 = 1;
/// Largest version document, in bytes.
const VERSION_BYTES_MAX: u64 = 4 << 10;
/// Largest compressed page, in bytes: zstd and gzip add at most a little to what they cannot compress.
pub(crate) const PACKED_PAGE_BYTES_MAX: u64 = 2 * PAGE_BYTES_MAX as u64;

/// Why a release could not be read from the store.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An object is there but is not what its name says.
    #[error("{object} is damaged: {reason}")]
    Damaged {
        /// The object.
        object: String,
        /// What does not match.
        reason: String,
    },
}

impl ReadError {
    /// Whether something does not exist, as opposed to a fault.
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_not_found())
    }
}

/// What a store says of one version: small, written once, the last thing before the pointer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct VersionDocument {
    pub(crate) schema: u32,
    pub(crate) root: RootId,
    /// Time of publishing, Unix seconds.
    pub(crate) published: u64,
}

pub(crate) async fn version(
    store: &Store,
    content: &ContentName,
    version: &Name,
) -> Result<VersionDocument, ReadError> {
    let object = origin_path::version(content, version);
    let bytes = store.read(&object, VERSION_BYTES_MAX).await?;
    let document: VersionDocument = parse_json(&object, &bytes)?;
    match document.schema {
        VERSION_SCHEMA => Ok(document),
        other => Err(damaged(object, format!("schema {other} is not known to this version"))),
    }
}

pub(crate) async fn pointer(
    store: &Store,
    content: &ContentName,
    channel: &Name,
) -> Result<Pointer, ReadError> {
    let object = origin_path::pointer(content, channel);
    let bytes = store.read(&object, envelope_bytes_max(POINTER_KIND) as u64).await?;
    parse_json(&object, &payload(&object, &bytes, POINTER_KIND)?)
}

/// The key document as the store has it. Whether the tenant signed it is for those to check who know the tenant's key.
pub(crate) async fn key_document(store: &Store, content: &ContentName) -> Result<KeyDocument, ReadError> {
    let object = origin_path::keys(content);
    let bytes = store.read(&object, envelope_bytes_max(KEY_DOCUMENT_KIND) as u64).await?;
    parse_json(&object, &payload(&object, &bytes, KEY_DOCUMENT_KIND)?)
}

pub(crate) async fn root(store: &Store, content: &ContentName, id: RootId) -> Result<Root, ReadError> {
    let object = origin_path::root(content, id);
    let bytes = store.read(&object, envelope_bytes_max(ROOT_KIND) as u64).await?;
    let payload = payload(&object, &bytes, ROOT_KIND)?;
    if payload.len() > ROOT_BYTES_MAX || RootId::of(&payload) != id {
        return Err(damaged(object, "its payload does not hash to its name"));
    }
    parse_json(&object, &payload)
}

/// The envelope of a signed document, as it is.
pub(crate) async fn envelope(store: &Store, object: &str) -> Result<Vec<u8>, ReadError> {
    let bytes_max = envelope_bytes_max(ROOT_KIND).max(envelope_bytes_max(PATCH_KIND)) as u64;
    Ok(store.read(object, bytes_max).await?.into())
}

pub(crate) async fn page(store: &Store, content: &ContentName, page: &PageRef) -> Result<Page, ReadError> {
    let plain = plain_page(store, content, page.id).await?;
    let object = || origin_path::page(content, page.id);
    Page::open(page, &plain).map_err(|error: PageError| damaged(object(), error))
}

pub(crate) async fn patch(store: &Store, content: &ContentName, id: PatchId) -> Result<Patch, ReadError> {
    let object = origin_path::patch(content, id);
    let bytes = store.read(&object, envelope_bytes_max(PATCH_KIND) as u64).await?;
    let payload = payload(&object, &bytes, PATCH_KIND)?;
    if payload.len() > PATCH_BYTES_MAX || PatchId::of(&payload) != id {
        return Err(damaged(object, "its payload does not hash to its name"));
    }
    parse_json(&object, &payload)
}

pub(crate) async fn patch_page(
    store: &Store,
    content: &ContentName,
    page: &PatchPageRef,
) -> Result<PatchPage, ReadError> {
    let plain = plain_page(store, content, page.id).await?;
    let object = || origin_path::page(content, page.id);
    PatchPage::open(page, &plain).map_err(|error: PageError| damaged(object(), error))
}

/// A page's plain bytes, which hash to its id.
pub(crate) async fn plain_page(
    store: &Store,
    content: &ContentName,
    page: PageId,
) -> Result<Bytes, ReadError> {
    let object = origin_path::page(content, page);
    let bytes = store.read(&object, PACKED_PAGE_BYTES_MAX).await?;
    let plain =
        zstd::bulk::decompress(&bytes, PAGE_BYTES_MAX).map_err(|error| damaged(object.clone(), error))?;
    check_page(object, page, plain)
}

/// The same page's plain bytes out of its form for browsers.
pub(crate) async fn gzip_page(
    store: &Store,
    content: &ContentName,
    page: PageId,
) -> Result<Bytes, ReadError> {
    let object = origin_path::page_gzip(content, page);
    let bytes = store.read(&object, PACKED_PAGE_BYTES_MAX).await?;
    let plain = gzip::decompress(&bytes, PAGE_BYTES_MAX).map_err(|error| damaged(object.clone(), error))?;
    check_page(object, page, plain)
}

fn check_page(object: String, page: PageId, plain: Vec<u8>) -> Result<Bytes, ReadError> {
    match PageId::of(&plain) == page {
        true => Ok(plain.into()),
        false => Err(damaged(object, "its plain bytes do not hash to its name")),
    }
}

pub(crate) async fn index(
    store: &Store,
    content: &ContentName,
    page: PageId,
    blobs: u32,
) -> Result<PackIndex, ReadError> {
    let object = origin_path::index(content, page);
    let bytes = store.read(&object, PACK_INDEX_BYTES_MAX as u64).await?;
    PackIndex::decode(&bytes, blobs).map_err(|error: WireError| damaged(object, error))
}

pub(crate) fn parse_json<T: for<'de> Deserialize<'de>>(object: &str, bytes: &[u8]) -> Result<T, ReadError> {
    serde_json::from_slice(bytes).map_err(|error| damaged(object.to_owned(), error))
}

pub(crate) fn damaged(object: String, reason: impl ToString) -> ReadError {
    ReadError::Damaged { object, reason: reason.to_string() }
}

/// The payload of a DSSE envelope, its signatures not looked at.
fn payload(object: &str, envelope: &[u8], kind: DocumentKind) -> Result<Vec<u8>, ReadError> {
    #[derive(Deserialize)]
    struct Envelope {
        #[serde(rename = "payloadType")]
        payload_type: String,
        payload: String,
    }
    let envelope: Envelope = parse_json(object, envelope)?;
    if envelope.payload_type != kind.payload_type {
        return Err(damaged(object.to_owned(), "it is a signed document of another type"));
    }
    STANDARD.decode(&envelope.payload).map_err(|error| damaged(object.to_owned(), error))
}

/// Reads one chunk out of its pack and checks it.
pub(crate) async fn chunk(
    store: &Store,
    content: &ContentName,
    chunk: &ChunkRef,
    place: &Place,
) -> Result<Bytes, ReadError> {
    let object = origin_path::pack(content, place.pack);
    let end = place.offset + u64::from(place.stored_bytes);
    let stored = store.read_range(&object, place.offset..end).await?;
    open_chunk(chunk, place.encoding, stored)
        .map_err(|reason| damaged(object, format!("chunk {} at offset {}: {reason}", chunk.id, place.offset)))
}

/// The plain bytes of a chunk as stored, checked.
pub(crate) fn open_chunk(chunk: &ChunkRef, encoding: Encoding, stored: Bytes) -> Result<Bytes, String> {
    let plain = match encoding {
        Encoding::Identity => stored,
        Encoding::Zstd => zstd::bulk::decompress(&stored, chunk.bytes as usize)
            .map_err(|error| format!("cannot be decompressed: {error}"))?
            .into(),
        Encoding::Gzip => return Err("packs hold no gzip".to_owned()),
    };
    let checked = VerifiedChunk::check(chunk.id, plain).map_err(|mismatch| mismatch.to_string())?;
    Ok(checked.into_bytes())
}
