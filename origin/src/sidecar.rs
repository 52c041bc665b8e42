//! The list of chunks in a pack, stored beside it once the pack is complete. It is the truth about what a store holds:
//! an interrupted publish resumes from these lists, and a machine without old state needs nothing else.
//!
//! ```text
//! sidecar = version:varint(1) chunks:varint chunk* digest:32
//! chunk   = id:32 bytes:varint offset:varint stored:varint encoding:varint        encoding: 0 identity, 1 zstd
//! ```
//! The digest is the SHA-256 of what precedes it, so that a damaged list is told from a damaged pack.

use freshet_protocol::limits::CHUNK_BYTES_MAX;
use freshet_protocol::{ChunkId, Encoding, Hash, Reader, WireError, put_varint};

const SIDECAR_VERSION: u64 = 1;
/// Most chunks in one pack.
pub(crate) const PACK_CHUNKS_MAX: usize = 1 << 16;
/// Largest pack that is written, in bytes; so offsets fit 32 bits.
pub(crate) const PACK_BYTES_MAX: u32 = 1 << 30;
/// Largest sidecar, in bytes: its chunks at the longest form of each field.
pub(crate) const SIDECAR_BYTES_MAX: u64 = 48 + PACK_CHUNKS_MAX as u64 * (32 + 4 * 4 + 1);

/// A chunk as a pack holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PackedChunk {
    pub(crate) id: ChunkId,
    /// Plain size, in bytes.
    pub(crate) bytes: u32,
    pub(crate) offset: u32,
    pub(crate) stored_bytes: u32,
    pub(crate) encoding: Encoding,
}

pub(crate) fn encode(chunks: &[PackedChunk]) -> Vec<u8> {
    let mut out = Vec::with_capacity(48 + chunks.len() * 44);
    put_varint(&mut out, SIDECAR_VERSION);
    put_varint(&mut out, chunks.len() as u64);
    for chunk in chunks {
        out.extend_from_slice(&chunk.id.0.0);
        put_varint(&mut out, u64::from(chunk.bytes));
        put_varint(&mut out, u64::from(chunk.offset));
        put_varint(&mut out, u64::from(chunk.stored_bytes));
        put_varint(&mut out, u64::from(chunk.encoding == Encoding::Zstd));
    }
    let digest = Hash::of(&out);
    out.extend_from_slice(&digest.0);
    out
}

pub(crate) fn decode(bytes: &[u8]) -> Result<Vec<PackedChunk>, WireError> {
    let (list, digest) = bytes.split_last_chunk::<32>().ok_or(WireError::Truncated)?;
    if Hash::of(list).0 != *digest {
        return Err(WireError::Invalid("digest"));
    }
    let mut reader = Reader::new(list);
    if reader.varint()? != SIDECAR_VERSION {
        return Err(WireError::Invalid("sidecar version"));
    }
    let count = reader.varint_max(PACK_CHUNKS_MAX as u64, "number of chunks")?;
    let chunks = (0..count).map(|_| decode_chunk(&mut reader)).collect::<Result<Vec<_>, WireError>>()?;
    reader.finish()?;
    Ok(chunks)
}

fn decode_chunk(reader: &mut Reader<'_>) -> Result<PackedChunk, WireError> {
    Ok(PackedChunk {
        id: ChunkId(reader.hash()?),
        bytes: reader.u32_max(CHUNK_BYTES_MAX, "chunk size")?,
        offset: reader.u32_max(PACK_BYTES_MAX, "offset")?,
        stored_bytes: reader.u32_max(CHUNK_BYTES_MAX, "stored size")?,
        encoding: match reader.varint()? {
            0 => Encoding::Identity,
            1 => Encoding::Zstd,
            _ => return Err(WireError::Invalid("encoding")),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(n: u32) -> PackedChunk {
        let encoding = if n.is_multiple_of(2) { Encoding::Identity } else { Encoding::Zstd };
        let id = ChunkId::of(&n.to_be_bytes());
        PackedChunk { id, bytes: CHUNK_BYTES_MAX, offset: n * 1000, stored_bytes: 1000, encoding }
    }

    #[test]
    fn round_trip_and_faults() {
        let chunks: Vec<_> = (0..3).map(chunk).collect();
        let bytes = encode(&chunks);
        assert_eq!(decode(&bytes), Ok(chunks));
        for len in 0..bytes.len() {
            assert!(decode(&bytes[..len]).is_err(), "{len}");
        }
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1;
            assert_eq!(decode(&flipped), Err(WireError::Invalid("digest")), "{at}");
        }
    }

    #[test]
    fn as_many_chunks_as_a_pack_may_hold() {
        let mut chunks: Vec<_> = (0..PACK_CHUNKS_MAX as u32).map(chunk).collect();
        let bytes = encode(&chunks);
        assert!(bytes.len() as u64 <= SIDECAR_BYTES_MAX);
        assert!(decode(&bytes).is_ok());
        chunks.push(chunk(0));
        assert_eq!(decode(&encode(&chunks)), Err(WireError::OverLimit("number of chunks")));
    }
}
