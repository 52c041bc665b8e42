//! A manifest page: entries in path order, each file with its chunks. Binary, at most 256 KiB plain (PROTOCOL.md 4.3).
//!
//! ```text
//! page   = version:varint(1) entries:varint entry*
//! entry  = kind:varint length:varint body      even kinds are critical, odd ones may be skipped
//! body   = (file | folder | link) part:varint?
//! file   = path flags:byte size offset chunks:varint (id:32 bytes:varint)*      kind 0; flags: 1 = executable
//! folder = path                                                                 kind 2; only folders that are empty
//! link   = path target                                                          kind 4
//! ```
//! `part` is the number of the part that an entry belongs to; without it, the entry is in every installation.
//! A file larger than a page continues in the next one under the same path with a larger `offset`.

use crate::chunk::VerifiedChunk;
use crate::id::{ChunkId, PageId};
use crate::limits::{
    CHUNK_BYTES_MAX, INTEGER_MAX, PAGE_BYTES_MAX, PAGE_ENTRIES_MAX, PARTS_MAX, PATH_BYTES_MAX,
};
use crate::manifest::root::PageRef;
use crate::path::{PathError, RelPath, check_link_target};
use crate::wire::{Reader, WireError, put_bytes, put_varint};

const PAGE_VERSION: u64 = 1;
const KIND_FILE: u64 = 0;
const KIND_FOLDER: u64 = 2;
const KIND_LINK: u64 = 4;
const FLAG_EXECUTABLE: u8 = 1;

/// Why a page was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PageError {
    /// The bytes are not the page that was asked for.
    #[error("page {0} does not match its bytes")]
    Mismatch(PageId),
    /// The bytes are not a page.
    #[error("page: {0}")]
    Wire(#[from] WireError),
    /// A path that may not be installed.
    #[error("path {path:?} {error}")]
    Path {
        /// The path, at most 80 characters of it.
        path: String,
        /// What is wrong with it.
        error: PathError,
    },
    /// Written by a newer program in a form this one cannot read.
    #[error("page has an entry of kind {0}, which this version does not know; update the program")]
    UnknownKind(u64),
    /// The page contradicts itself or its root.
    #[error("page is not consistent: {0}")]
    Inconsistent(&'static str),
}

/// A chunk within a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkRef {
    /// Hash of the chunk.
    pub id: ChunkId,
    /// Size, in bytes.
    pub bytes: u32,
}

/// A file, or the extent of it that this page describes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileExtent {
    /// Where it goes.
    pub path: RelPath,
    /// Number of the part that it belongs to, by its place in the root.
    pub part: Option<u8>,
    /// Whether the owner may run it.
    pub executable: bool,
    /// Size of the whole file, in bytes.
    pub size: u64,
    /// Where this extent starts, in bytes.
    pub offset: u64,
    /// The chunks of this extent, in order.
    pub chunks: Vec<ChunkRef>,
}

/// One entry of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A file or an extent of one.
    File(FileExtent),
    /// An empty folder.
    Folder {
        /// Where it goes.
        path: RelPath,
        /// As of a file.
        part: Option<u8>,
    },
    /// A symbolic link.
    Link {
        /// Where it goes.
        path: RelPath,
        /// As of a file.
        part: Option<u8>,
        /// What it points to, relative to its own folder.
        target: String,
    },
}

impl Entry {
    /// Where the entry goes.
    pub fn path(&self) -> &RelPath {
        match self {
            Self::File(FileExtent { path, .. }) | Self::Folder { path, .. } | Self::Link { path, .. } => path,
        }
    }

    /// Number of the part that the entry belongs to, by its place in the root; none where it is always installed.
    pub fn part(&self) -> Option<u8> {
        match self {
            Self::File(FileExtent { part, .. }) | Self::Folder { part, .. } | Self::Link { part, .. } => {
                *part
            }
        }
    }
}

/// A page of a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// The entries in path order.
    pub entries: Vec<Entry>,
}

impl Page {
    /// Number of chunk positions.
    pub fn chunk_count(&self) -> u32 {
        self.chunks().count() as u32
    }

    /// All chunks in order: their place here, counted on from the pages before, is their position in the release.
    pub fn chunks(&self) -> impl Iterator<Item = &ChunkRef> {
        self.entries.iter().flat_map(|entry| match entry {
            Entry::File(file) => file.chunks.as_slice(),
            Entry::Folder { .. } | Entry::Link { .. } => &[],
        })
    }

    /// The plain bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_varint(&mut out, PAGE_VERSION);
        put_varint(&mut out, self.entries.len() as u64);
        let mut body = Vec::new();
        for entry in &self.entries {
            body.clear();
            let kind = encode_entry(entry, &mut body);
            put_varint(&mut out, kind);
            put_bytes(&mut out, &body);
        }
        out
    }

    /// Reads a page that `expected` names, checking hash, size and chunk count.
    ///
    /// # Errors
    /// [`PageError`] says which check failed; nothing is read before the hash matches.
    pub fn open(expected: &PageRef, bytes: &bytes::Bytes) -> Result<Self, PageError> {
        let page = Self::decode(verified_page(expected.id, expected.bytes, bytes)?.bytes())?;
        if page.chunk_count() != expected.chunks {
            return Err(PageError::Inconsistent("chunk count differs from the root's"));
        }
        Ok(page)
    }

    /// Reads the plain bytes of a page.
    ///
    /// # Errors
    /// [`PageError`] when a limit, a path or the form is wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, PageError> {
        if bytes.len() > PAGE_BYTES_MAX {
            return Err(WireError::OverLimit("page size").into());
        }
        let mut reader = Reader::new(bytes);
        if reader.varint()? != PAGE_VERSION {
            return Err(WireError::Invalid("page version").into());
        }
        let count = reader.varint_max(PAGE_ENTRIES_MAX as u64, "number of entries")?;
        let mut entries = Vec::with_capacity(count as usize);
        for _ in 0..count {
            let kind = reader.varint()?;
            let body = Reader::new(reader.bytes_max(PAGE_BYTES_MAX, "entry size")?);
            match kind {
                KIND_FILE => entries.push(decode_file(body)?),
                KIND_FOLDER => entries.push(decode_folder(body)?),
                KIND_LINK => entries.push(decode_link(body)?),
                odd if odd % 2 == 1 => {}
                unknown => return Err(PageError::UnknownKind(unknown)),
            }
        }
        reader.finish()?;
        if !entries.windows(2).all(|pair| is_in_order(&pair[0], &pair[1])) {
            return Err(PageError::Inconsistent("entries are not in path order"));
        }
        Ok(Self { entries })
    }
}

/// Entries are strictly ordered by path.
fn is_in_order(before: &Entry, after: &Entry) -> bool {
    before.path() < after.path()
}

fn encode_entry(entry: &Entry, out: &mut Vec<u8>) -> u64 {
    put_bytes(out, entry.path().as_str().as_bytes());
    let kind = match entry {
        Entry::File(file) => {
            out.push(if file.executable { FLAG_EXECUTABLE } else { 0 });
            put_varint(out, file.size);
            put_varint(out, file.offset);
            put_varint(out, file.chunks.len() as u64);
            for chunk in &file.chunks {
                out.extend_from_slice(&chunk.id.0.0);
                put_varint(out, u64::from(chunk.bytes));
            }
            KIND_FILE
        }
        Entry::Folder { .. } => KIND_FOLDER,
        Entry::Link { target, .. } => {
            put_bytes(out, target.as_bytes());
            KIND_LINK
        }
    };
    if let Some(part) = entry.part() {
        put_varint(out, part.into());
    }
    kind
}

fn decode_path(reader: &mut Reader<'_>) -> Result<RelPath, PageError> {
    let text = reader.text_max(PATH_BYTES_MAX, "path")?;
    text.parse().map_err(|error| path_error(text, error))
}

fn path_error(text: &str, error: PathError) -> PageError {
    PageError::Path { path: text.chars().take(80).collect(), error }
}

/// The end of an entry: its part, if it is of any.
fn decode_part(mut reader: Reader<'_>) -> Result<Option<u8>, PageError> {
    let part = if reader.remaining() == 0 {
        None
    } else {
        Some(reader.varint_max(PARTS_MAX as u64 - 1, "part number")?)
    };
    reader.finish()?;
    Ok(part.map(|part| part as u8))
}

fn decode_file(mut reader: Reader<'_>) -> Result<Entry, PageError> {
    let path = decode_path(&mut reader)?;
    let flags = reader.byte()?;
    if flags & !FLAG_EXECUTABLE != 0 {
        return Err(WireError::Invalid("file flags").into());
    }
    let size = reader.varint_max(INTEGER_MAX, "file size")?;
    let offset = reader.varint_max(size, "file offset")?;
    let count = reader.varint_max(PAGE_BYTES_MAX as u64 / 33, "number of chunks")?;
    let mut chunks = Vec::with_capacity(count as usize);
    let mut end = offset;
    for _ in 0..count {
        let id = ChunkId(reader.hash()?);
        let bytes = reader.u32_max(CHUNK_BYTES_MAX, "chunk size")?;
        if bytes == 0 {
            return Err(WireError::Invalid("chunk size").into());
        }
        end += u64::from(bytes);
        chunks.push(ChunkRef { id, bytes });
    }
    let part = decode_part(reader)?;
    if end > size {
        return Err(PageError::Inconsistent("chunks reach beyond the end of their file"));
    }
    Ok(Entry::File(FileExtent { path, part, executable: flags & FLAG_EXECUTABLE != 0, size, offset, chunks }))
}

fn decode_folder(mut reader: Reader<'_>) -> Result<Entry, PageError> {
    let path = decode_path(&mut reader)?;
    Ok(Entry::Folder { path, part: decode_part(reader)? })
}

fn decode_link(mut reader: Reader<'_>) -> Result<Entry, PageError> {
    let path = decode_path(&mut reader)?;
    let target = reader.text_max(PATH_BYTES_MAX, "link target")?;
    let part = decode_part(reader)?;
    check_link_target(&path, target).map_err(|error| path_error(path.as_str(), error))?;
    Ok(Entry::Link { path, part, target: target.to_owned() })
}

/// The plain bytes of a page, whose hash and size are what they must be.
pub(crate) fn verified_page(
    id: PageId,
    bytes: u32,
    plain: &bytes::Bytes,
) -> Result<VerifiedChunk, PageError> {
    let is_as_long = plain.len() == bytes as usize;
    let verified = is_as_long.then(|| VerifiedChunk::check(ChunkId(id.0), plain.clone()).ok());
    verified.flatten().ok_or(PageError::Mismatch(id))
}
