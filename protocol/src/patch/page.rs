//! A page of a patch: binary, at most 256 KiB plain (PROTOCOL.md 4.6).
//!
//! ```text
//! page  = version:varint(1) chunks:varint chunk*
//! chunk = target:varint base_chunks:varint(0)                                whole
//!       | target:varint base_chunks:varint base:varint id:32 bytes:varint    by a delta
//! ```
//! The first target of a page is a position; each further one is counted from the position after the one before.

use std::ops::Range;

use bytes::Bytes;

use crate::id::ChunkId;
use crate::limits::{CHUNK_BYTES_MAX, CHUNKS_MAX, DELTA_BASE_CHUNKS_MAX, PAGE_BYTES_MAX};
use crate::manifest::page::{PageError, verified_page};
use crate::patch::document::PatchPageRef;
use crate::wire::{Reader, WireError, put_varint, varint_len};

const PAGE_VERSION: u64 = 1;
/// Head of a page at most: version and number of chunks.
const PAGE_OVERHEAD_BYTES: usize = 5;
/// A chunk that comes whole, at least.
const CHUNK_RECORD_BYTES_MIN: usize = 2;

/// A chunk that the newer release has and the older one lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatchChunk {
    /// Its first position in the newer release.
    pub target: u32,
    /// How to make it; otherwise it comes whole.
    pub delta: Option<Delta>,
}

/// How a chunk is made from chunks of the older release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delta {
    /// Hash of the delta.
    pub id: ChunkId,
    /// Size of the delta, in bytes.
    pub bytes: u32,
    /// Positions in the older release whose bytes, joined, are the prefix.
    pub base: Range<u32>,
}

/// A page of a patch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PatchPage {
    /// The chunks, ascending by target.
    pub chunks: Vec<PatchChunk>,
}

impl PatchPage {
    /// Divides chunks, ascending by target, into as few pages as hold them.
    pub fn cut(chunks: Vec<PatchChunk>) -> Vec<Self> {
        let (mut pages, mut page, mut bytes) = (Vec::new(), Self::default(), PAGE_OVERHEAD_BYTES);
        for chunk in chunks {
            // A page that begins here has the target itself, which is no shorter than a gap.
            let record_bytes = record_bytes(&chunk);
            if bytes + record_bytes > PAGE_BYTES_MAX {
                pages.push(std::mem::take(&mut page));
                bytes = PAGE_OVERHEAD_BYTES;
            }
            bytes += record_bytes;
            page.chunks.push(chunk);
        }
        pages.extend((!page.chunks.is_empty()).then_some(page));
        pages
    }

    /// The plain bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_varint(&mut out, PAGE_VERSION);
        put_varint(&mut out, self.chunks.len() as u64);
        let mut next = 0;
        for PatchChunk { target, delta } in &self.chunks {
            put_varint(&mut out, u64::from(target - next));
            match delta {
                None => put_varint(&mut out, 0),
                Some(Delta { id, bytes, base }) => {
                    put_varint(&mut out, base.len() as u64);
                    put_varint(&mut out, u64::from(base.start));
                    out.extend_from_slice(&id.0.0);
                    put_varint(&mut out, u64::from(*bytes));
                }
            }
            next = target + 1;
        }
        out
    }

    /// Reads a page that `expected` names, checking hash, size and number of chunks.
    ///
    /// # Errors
    /// [`PageError`] says which check failed; nothing is read before the hash matches.
    pub fn open(expected: &PatchPageRef, bytes: &Bytes) -> Result<Self, PageError> {
        let page = Self::decode(verified_page(expected.id, expected.bytes, bytes)?.bytes())?;
        if page.chunks.len() != expected.chunks as usize {
            return Err(PageError::Inconsistent("chunk count differs from the patch's"));
        }
        Ok(page)
    }

    /// Reads the plain bytes of a page.
    ///
    /// # Errors
    /// [`PageError`] when a limit or the form is wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, PageError> {
        if bytes.len() > PAGE_BYTES_MAX {
            return Err(WireError::OverLimit("page size").into());
        }
        let mut reader = Reader::new(bytes);
        if reader.varint()? != PAGE_VERSION {
            return Err(WireError::Invalid("page version").into());
        }
        let most = (PAGE_BYTES_MAX / CHUNK_RECORD_BYTES_MIN) as u64;
        let count = reader.varint_max(most, "number of chunks")?;
        let mut chunks =
            Vec::with_capacity((count as usize).min(reader.remaining() / CHUNK_RECORD_BYTES_MIN));
        let mut next = 0;
        for _ in 0..count {
            let chunk = read_chunk(&mut reader, next)?;
            next = chunk.target + 1;
            chunks.push(chunk);
        }
        reader.finish()?;
        Ok(Self { chunks })
    }
}

fn record_bytes(chunk: &PatchChunk) -> usize {
    let target = varint_len(u64::from(chunk.target));
    match &chunk.delta {
        None => target + 1,
        Some(Delta { bytes, base, .. }) => {
            let numbers = [base.len() as u64, u64::from(base.start), u64::from(*bytes)];
            target + 32 + numbers.into_iter().map(varint_len).sum::<usize>()
        }
    }
}

fn read_chunk(reader: &mut Reader<'_>, next: u32) -> Result<PatchChunk, WireError> {
    let target = next + reader.u32_max(CHUNKS_MAX, "gap between targets")?;
    if target >= CHUNKS_MAX {
        return Err(WireError::OverLimit("target"));
    }
    let delta = match reader.u32_max(DELTA_BASE_CHUNKS_MAX, "number of base chunks")? {
        0 => None,
        base_chunks => {
            let base = reader.u32_max(CHUNKS_MAX - base_chunks, "base")?;
            let id = ChunkId(reader.hash()?);
            let bytes = reader.u32_max(CHUNK_BYTES_MAX, "delta size")?;
            if bytes == 0 {
                return Err(WireError::Invalid("delta size"));
            }
            Some(Delta { id, bytes, base: base..base + base_chunks })
        }
    };
    Ok(PatchChunk { target, delta })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_hold_what_they_may_and_keep_the_order() {
        let delta = |target: u32| Delta {
            id: ChunkId::of(&target.to_be_bytes()),
            bytes: CHUNK_BYTES_MAX,
            base: CHUNKS_MAX - 256..CHUNKS_MAX,
        };
        let chunk = |n: u32| PatchChunk { target: n * 2, delta: (!n.is_multiple_of(3)).then(|| delta(n)) };
        let chunks: Vec<_> = (0..CHUNKS_MAX / 2).map(chunk).collect();
        let pages = PatchPage::cut(chunks.clone());
        assert!(pages.len() > 20, "{}", pages.len());
        for page in &pages {
            let bytes = page.encode();
            assert!(bytes.len() <= PAGE_BYTES_MAX, "{}", bytes.len());
            assert_eq!(PatchPage::decode(&bytes).as_ref(), Ok(page));
        }
        assert_eq!(pages.into_iter().flat_map(|page| page.chunks).collect::<Vec<_>>(), chunks);
        assert!(PatchPage::cut(Vec::new()).is_empty());
    }
}
