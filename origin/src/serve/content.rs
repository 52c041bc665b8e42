//! Finds what a request asks for, and what is to be said about it.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use freshet_listen::hls::playlist::PLAYLIST_BYTES_MAX;
use freshet_listen::http::{ByteStream, Content, Source, is_playlist, media_type_of};
use freshet_protocol::limits::{ENTRY_PAGE_BYTES_MAX, PACK_INDEX_BYTES_MAX};
use freshet_protocol::{
    ContentName, Hash, KEY_DOCUMENT_KIND, Name, PATCH_KIND, POINTER_KIND, PageId, ROOT_KIND, RelPath,
    envelope_bytes_max, origin_path,
};
use futures_util::stream::{StreamExt, TryStreamExt, once};

use super::counters::Kind;
use super::files::{FileView, Files};
use super::media_type;
use super::refusal::Refusal;
use super::route::Target;
use crate::layout;
use crate::release::{self, PACKED_PAGE_BYTES_MAX, ReadError};
use crate::store::{State, Store};
use crate::stream;

/// For what never changes under its name.
const FOREVER: &str = "public, max-age=31536000, immutable";
/// For playlists of live streams, and pages that entries are still added to.
const SECOND: &str = "public, max-age=1";
/// For pointers: how long a CDN may hide a new release.
const POINTER_LIFE: &str = "public, max-age=5";
/// For keys and indexes, which change seldom and are checked or repaired by other means.
const MINUTE: &str = "public, max-age=60";
/// For files and versions: a version may be removed and published anew.
const HOUR: &str = "public, max-age=3600";

/// What a request asks for.
pub(super) struct Found {
    pub(super) kind: Kind,
    pub(super) content: Content<Place>,
}

/// Where content is.
pub(super) enum Place {
    Memory(Bytes),
    /// An object, and the tag of the state that it must be in.
    Object(Store, String, Option<String>),
    File(FileView),
}

impl Source for Place {
    type Error = ReadError;

    fn stream(&self, range: Range<u64>) -> ByteStream<ReadError> {
        match self {
            Place::Memory(bytes) => {
                let part = bytes.slice(range.start as usize..range.end as usize);
                once(std::future::ready(Ok(part))).boxed()
            }
            Place::Object(store, object, tag) => {
                store.stream(object, range, tag.clone()).map_err(ReadError::from).boxed()
            }
            Place::File(file) => file.clone().stream(range),
        }
    }
}

/// Which counter a request belongs to.
pub(super) fn kind(target: &Target) -> Kind {
    match target {
        Target::File(..) => Kind::File,
        Target::Object(_, kind) => match kind {
            layout::Kind::Keys => Kind::Keys,
            layout::Kind::Channel(_) => Kind::Pointer,
            layout::Kind::Root(_) => Kind::Root,
            layout::Kind::Patch(_) => Kind::Patch,
            layout::Kind::Page(_) | layout::Kind::PageGzip(_) => Kind::Page,
            layout::Kind::Index(_) => Kind::Index,
            layout::Kind::Pack(_) => Kind::Pack,
            layout::Kind::Version(_) => Kind::Version,
            layout::Kind::Media(path) if is_playlist(path.as_str()) => Kind::Playlist,
            layout::Kind::Media(_) => Kind::Media,
            layout::Kind::Entries(..) => Kind::Entries,
            layout::Kind::Sidecar(_) | layout::Kind::History(_) => Kind::Other,
        },
    }
}

pub(super) async fn find(files: &Arc<Files>, target: Target) -> Result<Found, Refusal> {
    let store = files.store();
    let (content, object) = match target {
        Target::File(content, version, path) => return find_file(files, &content, &version, path).await,
        Target::Object(content, object) => (content, object),
    };
    match object {
        layout::Kind::Keys => {
            let limit = envelope_bytes_max(KEY_DOCUMENT_KIND);
            small(store, Kind::Keys, origin_path::keys(&content), limit, MINUTE, media_type::KEYS).await
        }
        layout::Kind::Channel(channel) => {
            let (path, limit) = (origin_path::pointer(&content, &channel), envelope_bytes_max(POINTER_KIND));
            small(store, Kind::Pointer, path, limit, POINTER_LIFE, media_type::POINTER).await
        }
        layout::Kind::Root(id) => {
            let (path, limit) = (origin_path::root(&content, id), envelope_bytes_max(ROOT_KIND));
            small(store, Kind::Root, path, limit, FOREVER, media_type::ROOT).await
        }
        layout::Kind::Patch(id) => {
            let (path, limit) = (origin_path::patch(&content, id), envelope_bytes_max(PATCH_KIND));
            small(store, Kind::Patch, path, limit, FOREVER, media_type::PATCH).await
        }
        layout::Kind::Page(id) => {
            let path = origin_path::page(&content, id);
            small(store, Kind::Page, path, PACKED_PAGE_BYTES_MAX as usize, FOREVER, media_type::PAGE).await
        }
        layout::Kind::PageGzip(id) => find_gzip_page(files, &content, id).await,
        layout::Kind::Index(id) => {
            let path = origin_path::index(&content, id);
            small(store, Kind::Index, path, PACK_INDEX_BYTES_MAX, MINUTE, media_type::INDEX).await
        }
        layout::Kind::Pack(id) => {
            let object = origin_path::pack(&content, id);
            let bytes = store.size(&object).await?;
            Ok(Found {
                kind: Kind::Pack,
                content: Content {
                    // A pack's id is random and never used again, so it tells its bytes apart.
                    etag: format!("\"{id}\""),
                    cache_control: FOREVER,
                    media_type: media_type::PACK,
                    digest: None,
                    bytes,
                    source: Place::Object(store.clone(), object, None),
                },
            })
        }
        layout::Kind::Media(path) => find_media(store, &content, &path).await,
        layout::Kind::Entries(rendition, number) => find_entries(store, &content, rendition, number).await,
        layout::Kind::Version(version) => find_version(store, &content, &version).await,
        layout::Kind::Sidecar(_) | layout::Kind::History(_) => Err(Refusal::NotFound),
    }
}

/// An object small enough to be read whole and tagged by its hash.
async fn small(
    store: &Store,
    kind: Kind,
    object: String,
    limit: usize,
    cache_control: &'static str,
    media_type: &'static str,
) -> Result<Found, Refusal> {
    let bytes = store.read(&object, limit as u64).await?;
    Ok(in_memory(kind, bytes, cache_control, media_type))
}

fn in_memory(kind: Kind, bytes: Bytes, cache_control: &'static str, media_type: &'static str) -> Found {
    let digest = Hash::of(&bytes);
    Found {
        kind,
        content: Content {
            etag: format!("\"{}\"", &digest.to_string()[..32]),
            cache_control,
            media_type,
            digest: Some(digest.0),
            bytes: bytes.len() as u64,
            source: Place::Memory(bytes),
        },
    }
}

async fn find_gzip_page(files: &Files, content: &ContentName, page: PageId) -> Result<Found, Refusal> {
    let store = files.store();
    let bytes = match store.read(&origin_path::page_gzip(content, page), PACKED_PAGE_BYTES_MAX).await {
        // Published before browsers were thought of.
        Err(error) if error.is_not_found() => files.gzip_pages().make(store, content, page).await?,
        read => read?,
    };
    Ok(in_memory(Kind::Page, bytes, FOREVER, media_type::PAGE_GZIP))
}

async fn find_media(store: &Store, content: &ContentName, path: &RelPath) -> Result<Found, Refusal> {
    let object = origin_path::media(content, path);
    let media_type = media_type_of(path.as_str());
    if is_playlist(path.as_str()) {
        return small(store, Kind::Playlist, object, PLAYLIST_BYTES_MAX, SECOND, media_type).await;
    }
    let State { bytes, tag } = store.state(&object).await?;
    // A packager that begins anew may use a name again, so the tag is that of the file and not of its name.
    let etag = Hash::of(tag.as_ref().unwrap_or(&object).as_bytes());
    Ok(Found {
        kind: Kind::Media,
        content: Content {
            etag: format!("\"{}\"", &etag.to_string()[..32]),
            cache_control: HOUR,
            media_type,
            digest: None,
            bytes,
            source: Place::Object(store.clone(), object, tag),
        },
    })
}

async fn find_entries(
    store: &Store,
    content: &ContentName,
    rendition: Hash,
    number: u64,
) -> Result<Found, Refusal> {
    let object = layout::entry_page(content, rendition, number);
    let bytes = match store.read(&object, ENTRY_PAGE_BYTES_MAX as u64).await {
        // The segment may well be on its way.
        Err(error) if error.is_not_found() => return Err(Refusal::NotYet),
        read => read?,
    };
    let life = if stream::is_full_page(&bytes) { HOUR } else { SECOND };
    Ok(in_memory(Kind::Entries, bytes, life, media_type::ENTRIES))
}

async fn find_version(store: &Store, content: &ContentName, version: &Name) -> Result<Found, Refusal> {
    let root = release::version(store, content, version).await?.root;
    Ok(in_memory(Kind::Version, root.to_string().into(), HOUR, media_type::VERSION))
}

async fn find_file(
    files: &Arc<Files>,
    content: &ContentName,
    version: &Name,
    path: RelPath,
) -> Result<Found, Refusal> {
    let media_type = media_type_of(path.as_str());
    let file = files.open(content, version, &path).await?.ok_or(Refusal::NotFound)?;
    Ok(Found {
        kind: Kind::File,
        content: Content {
            etag: file.etag(),
            cache_control: HOUR,
            media_type,
            digest: file.digest().map(|digest| digest.0),
            bytes: file.bytes(),
            source: Place::File(file),
        },
    })
}
