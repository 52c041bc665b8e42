//! What stands at the beginning of a sealed file, before the blobs: read piece by piece, as chunks are opened.
//!
//! ```text
//! file  = head_bytes:8 head blob* padding         head_bytes with the highest byte first
//! head  = version:varint(1) item*
//! item  = kind:varint length:varint body          even kinds are critical, odd ones may be skipped
//! body  = envelope of a root                      kind 0
//!       | page                                    kind 2
//!       | envelope of a patch                     kind 4
//!       | page of a patch                         kind 6
//!       | blobs:varint (id:32 bytes:varint stored:varint encoding:varint)*       kind 8
//! ```

use crate::frame::Encoding;
use crate::id::ChunkId;
use crate::limits::{CHUNK_BYTES_MAX, CHUNKS_MAX, PAGES_MAX, SEALED_HEAD_BYTES_MAX, SEALED_ITEM_BYTES_MAX};
use crate::wire::{Reader, WireError, put_bytes, put_varint, varint_len};

const HEAD_VERSION: u64 = 1;
/// What says how long the head is, in bytes.
const LENGTH_BYTES: usize = 8;
const KIND_ROOT: u64 = 0;
const KIND_PAGE: u64 = 2;
const KIND_PATCH: u64 = 4;
const KIND_PATCH_PAGE: u64 = 6;
const KIND_BLOBS: u64 = 8;
/// Longest kind and length of an item, in bytes: a length that is within its limit has 4.
const ITEM_HEAD_BYTES_MAX: usize = 12;
/// A blob in its list, at least.
const BLOB_RECORD_BYTES_MIN: usize = 35;
/// Blobs that one list holds, where they are written: it is then far from its limit.
const BLOBS_IN_ITEM: usize = 4096;

/// Why the head of a sealed file was refused. The publisher is the guilty side.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealedHeadError {
    /// The bytes are not a head.
    #[error("head of a sealed file: {0}")]
    Wire(#[from] WireError),
    /// Written by a newer program in a form this one cannot read.
    #[error("sealed file has an item of kind {0}, which this version does not know; update the program")]
    UnknownKind(u64),
}

/// Something that lies behind the head, as the origin stores it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealedBlob {
    /// Names a chunk, or a delta.
    pub id: ChunkId,
    /// Plain size, in bytes.
    pub bytes: u32,
    /// Size as it lies there, in bytes.
    pub stored_bytes: u32,
    /// How it lies there: as it is, or with zstd.
    pub encoding: Encoding,
}

/// What a head tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SealedItem {
    /// Envelope of the release's root.
    Root(Vec<u8>),
    /// A page of the release, plain.
    Page(Vec<u8>),
    /// Envelope of the patch that leads to the release.
    Patch(Vec<u8>),
    /// A page of the patch, plain.
    PatchPage(Vec<u8>),
    /// The blobs that follow each other behind the head, after those listed before.
    Blobs(Vec<SealedBlob>),
}

impl SealedItem {
    /// Lists of these blobs, as few as hold them.
    pub fn lists(blobs: &[SealedBlob]) -> impl Iterator<Item = Self> {
        blobs.chunks(BLOBS_IN_ITEM).map(|blobs| Self::Blobs(blobs.to_vec()))
    }

    /// The item's bytes.
    ///
    /// # Panics
    /// When a blob lies there with gzip, which none does.
    pub fn encode(&self) -> Vec<u8> {
        let list;
        let (kind, body) = match self {
            Self::Root(envelope) => (KIND_ROOT, envelope),
            Self::Page(page) => (KIND_PAGE, page),
            Self::Patch(envelope) => (KIND_PATCH, envelope),
            Self::PatchPage(page) => (KIND_PATCH_PAGE, page),
            Self::Blobs(blobs) => {
                list = encode_blobs(blobs);
                (KIND_BLOBS, &list)
            }
        };
        let mut out = Vec::with_capacity(Self::encoded_bytes(body.len()));
        put_varint(&mut out, kind);
        put_bytes(&mut out, body);
        out
    }

    /// Size of an item whose body has so many bytes.
    pub fn encoded_bytes(body_bytes: usize) -> usize {
        1 + varint_len(body_bytes as u64) + body_bytes
    }
}

/// What comes before the items, where all of them together have so many bytes.
pub fn sealed_head_start(items_bytes: u64) -> Vec<u8> {
    let mut version = Vec::new();
    put_varint(&mut version, HEAD_VERSION);
    let mut out = (items_bytes + version.len() as u64).to_be_bytes().to_vec();
    out.extend_from_slice(&version);
    out
}

fn encode_blobs(blobs: &[SealedBlob]) -> Vec<u8> {
    let mut out = Vec::with_capacity(blobs.len() * (BLOB_RECORD_BYTES_MIN + 6) + 4);
    put_varint(&mut out, blobs.len() as u64);
    for blob in blobs {
        out.extend_from_slice(&blob.id.0.0);
        put_varint(&mut out, u64::from(blob.bytes));
        put_varint(&mut out, u64::from(blob.stored_bytes));
        let encoding = match blob.encoding {
            Encoding::Identity => 0,
            Encoding::Zstd => 1,
            Encoding::Gzip => unreachable!("the origin stores nothing with gzip"),
        };
        put_varint(&mut out, encoding);
    }
    out
}

fn decode_blobs(body: &[u8]) -> Result<Vec<SealedBlob>, WireError> {
    let mut reader = Reader::new(body);
    let most = (SEALED_ITEM_BYTES_MAX / BLOB_RECORD_BYTES_MIN) as u64;
    let count = reader.varint_max(most, "number of blobs")?;
    let mut blobs = Vec::with_capacity((count as usize).min(reader.remaining() / BLOB_RECORD_BYTES_MIN));
    for _ in 0..count {
        let id = ChunkId(reader.hash()?);
        let bytes = reader.u32_max(CHUNK_BYTES_MAX, "blob size")?;
        let stored_bytes = reader.u32_max(CHUNK_BYTES_MAX, "stored size")?;
        let encoding = match reader.varint()? {
            0 => Encoding::Identity,
            1 => Encoding::Zstd,
            _ => return Err(WireError::Invalid("encoding")),
        };
        let is_as_long = encoding == Encoding::Zstd || stored_bytes == bytes;
        if bytes == 0 || stored_bytes == 0 || !is_as_long {
            return Err(WireError::Invalid("stored size"));
        }
        blobs.push(SealedBlob { id, bytes, stored_bytes, encoding });
    }
    reader.finish()?;
    Ok(blobs)
}

/// All that a head tells.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SealedHead {
    /// Envelope of the release's root.
    pub root: Option<Vec<u8>>,
    /// Pages of the release, plain, in their order.
    pub pages: Vec<Vec<u8>>,
    /// Envelope of the patch that leads to the release.
    pub patch: Option<Vec<u8>>,
    /// Pages of the patch, plain, in their order.
    pub patch_pages: Vec<Vec<u8>>,
    /// The blobs that follow each other behind the head.
    pub blobs: Vec<SealedBlob>,
}

impl SealedHead {
    /// Takes the next item.
    ///
    /// # Errors
    /// [`SealedHeadError`] when there are more than a release can have.
    pub fn take(&mut self, item: SealedItem) -> Result<(), SealedHeadError> {
        match item {
            SealedItem::Root(envelope) => self.root = Some(envelope),
            SealedItem::Page(page) => self.pages.push(page),
            SealedItem::Patch(envelope) => self.patch = Some(envelope),
            SealedItem::PatchPage(page) => self.patch_pages.push(page),
            SealedItem::Blobs(blobs) => self.blobs.extend(blobs),
        }
        let most = self.pages.len().max(self.patch_pages.len());
        if most > PAGES_MAX {
            Err(WireError::OverLimit("pages of a sealed file").into())
        } else if self.blobs.len() > CHUNKS_MAX as usize {
            Err(WireError::OverLimit("blobs of a sealed file").into())
        } else {
            Ok(())
        }
    }
}

/// Reads a head from the plain bytes of its file, as they come.
#[derive(Debug, Default)]
pub struct SealedHeadReader {
    /// What came and is not yet read: never more than an item and what came last.
    waiting: Vec<u8>,
    /// Size of the head, once it is known.
    head_bytes: Option<u64>,
    /// Bytes of the head that came.
    taken_bytes: u64,
    has_version: bool,
}

impl SealedHeadReader {
    /// Takes the bytes that follow; those beyond the head are passed over.
    ///
    /// # Errors
    /// [`SealedHeadError`] when the head would be too long.
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<(), SealedHeadError> {
        let head_bytes = match self.head_bytes {
            Some(known) => known,
            None => {
                let (length, rest) = bytes.split_at(bytes.len().min(LENGTH_BYTES - self.waiting.len()));
                self.waiting.extend_from_slice(length);
                bytes = rest;
                let Ok(length) = self.waiting.as_slice().try_into() else { return Ok(()) };
                let head_bytes = u64::from_be_bytes(length);
                if head_bytes > SEALED_HEAD_BYTES_MAX {
                    return Err(WireError::OverLimit("head of a sealed file").into());
                }
                self.waiting.clear();
                *self.head_bytes.insert(head_bytes)
            }
        };
        let left = head_bytes - self.taken_bytes;
        let taken = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
        self.waiting.extend_from_slice(&bytes[..taken]);
        self.taken_bytes += taken as u64;
        Ok(())
    }

    /// The next item; none where more bytes are needed, or the head is over.
    ///
    /// # Errors
    /// [`SealedHeadError`] when the form is wrong.
    pub fn next_item(&mut self) -> Result<Option<SealedItem>, SealedHeadError> {
        loop {
            let Some(head_bytes) = self.head_bytes else { return Ok(None) };
            let is_all_there = self.taken_bytes == head_bytes;
            let mut reader = Reader::new(&self.waiting);
            if !self.has_version {
                match reader.varint() {
                    Ok(HEAD_VERSION) => self.has_version = true,
                    Ok(_) => return Err(WireError::Invalid("version of a sealed file").into()),
                    Err(WireError::Truncated) if !is_all_there => return Ok(None),
                    Err(error) => return Err(error.into()),
                }
            }
            let start = self.waiting.len() - reader.remaining();
            if is_all_there && reader.remaining() == 0 {
                self.waiting.clear();
                return Ok(None);
            }
            let mut of_item = || {
                let kind = reader.varint()?;
                reader.bytes_max(SEALED_ITEM_BYTES_MAX, "item of a sealed file").map(|body| (kind, body))
            };
            let (kind, body) = match of_item() {
                Ok(item) => item,
                Err(WireError::Truncated) if !is_all_there => {
                    // The version is read once.
                    self.waiting.drain(..start);
                    return Ok(None);
                }
                Err(error) => return Err(error.into()),
            };
            let item = match kind {
                KIND_ROOT => Some(SealedItem::Root(body.to_vec())),
                KIND_PAGE => Some(SealedItem::Page(body.to_vec())),
                KIND_PATCH => Some(SealedItem::Patch(body.to_vec())),
                KIND_PATCH_PAGE => Some(SealedItem::PatchPage(body.to_vec())),
                KIND_BLOBS => Some(SealedItem::Blobs(decode_blobs(body)?)),
                odd if odd % 2 == 1 => None,
                unknown => return Err(SealedHeadError::UnknownKind(unknown)),
            };
            let read = self.waiting.len() - reader.remaining();
            self.waiting.drain(..read);
            if item.is_some() {
                return Ok(item);
            }
        }
    }

    /// Where the blobs begin, counted from the beginning of the file, once that is known.
    pub fn blobs_start(&self) -> Option<u64> {
        Some(LENGTH_BYTES as u64 + self.head_bytes?)
    }

    /// Whether all of the head was taken and read.
    pub fn is_done(&self) -> bool {
        self.head_bytes == Some(self.taken_bytes) && self.has_version && self.waiting.is_empty()
    }
}

/// What a reader keeps at most, beside what came last.
const _: () = assert!(SEALED_ITEM_BYTES_MAX + ITEM_HEAD_BYTES_MAX < 1 << 20);

#[cfg(test)]
mod tests {
    use super::*;

    fn blob(n: u32, encoding: Encoding) -> SealedBlob {
        SealedBlob { id: ChunkId::of(&n.to_be_bytes()), bytes: 100, stored_bytes: 100, encoding }
    }

    fn head(items: &[SealedItem]) -> Vec<u8> {
        let items: Vec<u8> = items.iter().flat_map(SealedItem::encode).collect();
        [sealed_head_start(items.len() as u64), items].concat()
    }

    /// Reads a file that comes in pieces of so many bytes.
    fn read(file: &[u8], piece_bytes: usize) -> Result<(Vec<SealedItem>, SealedHeadReader), SealedHeadError> {
        let (mut reader, mut items) = (SealedHeadReader::default(), Vec::new());
        for piece in file.chunks(piece_bytes) {
            reader.push(piece)?;
            while let Some(item) = reader.next_item()? {
                items.push(item);
            }
            assert!(reader.waiting.len() <= SEALED_ITEM_BYTES_MAX + ITEM_HEAD_BYTES_MAX);
        }
        Ok((items, reader))
    }

    #[test]
    fn comes_in_any_pieces() {
        let blobs: Vec<SealedBlob> = (0..BLOBS_IN_ITEM as u32 + 1)
            .map(|n| blob(n, if n % 2 == 0 { Encoding::Zstd } else { Encoding::Identity }))
            .collect();
        let mut items = vec![
            SealedItem::Root(b"root".to_vec()),
            SealedItem::Page(vec![7; SEALED_ITEM_BYTES_MAX]),
            SealedItem::Patch(vec![]),
            SealedItem::PatchPage(vec![8; 70]),
        ];
        items.extend(SealedItem::lists(&blobs));
        assert_eq!(items.len(), 6);
        let mut file = head(&items);
        let start = file.len() as u64;
        file.extend_from_slice(&[9; 5000]);
        for piece_bytes in [1, 7, 1000, 1 << 20] {
            let (found, reader) = read(&file, piece_bytes).expect("good");
            assert_eq!(found, items, "{piece_bytes}");
            assert!(reader.is_done());
            assert_eq!(reader.blobs_start(), Some(start));
        }
        for cut in [0, 4, 8, 9, 20, file.len() / 2] {
            let (_, reader) = read(&file[..cut], 1000).expect("good so far");
            assert!(!reader.is_done(), "{cut}");
        }
    }

    #[test]
    fn faults() {
        let of = |items: &[u8]| [sealed_head_start(items.len() as u64).as_slice(), items].concat();
        let check = |file: &[u8], expected: SealedHeadError| {
            for piece_bytes in [1, 1 << 20] {
                assert_eq!(read(file, piece_bytes).map(|(items, _)| items), Err(expected.clone()));
            }
        };
        check(
            &(SEALED_HEAD_BYTES_MAX + 1).to_be_bytes(),
            WireError::OverLimit("head of a sealed file").into(),
        );
        assert!(read(&SEALED_HEAD_BYTES_MAX.to_be_bytes(), 8).is_ok());
        check(&[0, 0, 0, 0, 0, 0, 0, 1, 2], WireError::Invalid("version of a sealed file").into());
        check(&of(&[10, 0]), SealedHeadError::UnknownKind(10));
        check(&of(&[2, 5, 1]), WireError::Truncated.into());
        let mut long = vec![2];
        put_varint(&mut long, SEALED_ITEM_BYTES_MAX as u64 + 1);
        check(&of(&long), WireError::OverLimit("item of a sealed file").into());
        let list = |change: &dyn Fn(&mut SealedBlob)| {
            let mut one = blob(1, Encoding::Identity);
            change(&mut one);
            of(&SealedItem::Blobs(vec![one]).encode())
        };
        check(&list(&|blob| blob.bytes = CHUNK_BYTES_MAX + 1), WireError::OverLimit("blob size").into());
        check(
            &list(&|blob| blob.stored_bytes = CHUNK_BYTES_MAX + 1),
            WireError::OverLimit("stored size").into(),
        );
        check(&list(&|blob| blob.bytes = 101), WireError::Invalid("stored size").into());
        check(
            &list(&|blob| (blob.bytes, blob.stored_bytes) = (0, 0)),
            WireError::Invalid("stored size").into(),
        );
        let mut encoding = list(&|_| {});
        *encoding.last_mut().expect("bytes") = 2;
        check(&encoding, WireError::Invalid("encoding").into());
        let skipped = of(&[11, 2, 1, 1, 4, 1, 7]);
        assert_eq!(read(&skipped, 1).map(|(items, _)| items), Ok(vec![SealedItem::Patch(vec![7])]));
    }

    #[test]
    fn no_more_than_a_release_can_have() {
        let (mut head, list) = (SealedHead::default(), vec![blob(1, Encoding::Zstd); BLOBS_IN_ITEM]);
        for _ in 0..CHUNKS_MAX as usize / BLOBS_IN_ITEM {
            head.take(SealedItem::Blobs(list.clone())).expect("as many as chunks");
        }
        let over = |what| Err(WireError::OverLimit(what).into());
        assert_eq!(head.take(SealedItem::Blobs(list[..1].to_vec())), over("blobs of a sealed file"));
        for item in [SealedItem::Page(vec![]), SealedItem::PatchPage(vec![])] {
            let mut head = SealedHead::default();
            (0..PAGES_MAX).for_each(|_| head.take(item.clone()).expect("as many as a root may name"));
            assert_eq!(head.take(item), over("pages of a sealed file"));
        }
    }
}
