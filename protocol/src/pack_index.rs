//! Where the chunks of one manifest page lie in the origin's packs. Unsigned: repacking changes it and no manifest, and
//! a wrong one only makes a chunk fail its hash.
//!
//! ```text
//! index = version:varint(1) packs:varint pack:16* chunks:varint place*
//! place = pack:varint offset:varint stored:varint encoding:varint          encoding: 0 identity, 1 zstd
//! ```

use std::fmt;
use std::str::FromStr;

use crate::frame::Encoding;
use crate::id::IdError;
use crate::limits::{
    CHUNK_BYTES_MAX, INTEGER_MAX, PACK_INDEX_BYTES_MAX, PACK_INDEX_PACKS_MAX, PAGE_BYTES_MAX,
};
use crate::wire::{Reader, WireError, put_varint};

const INDEX_VERSION: u64 = 1;

/// Names a pack: 16 random bytes, 32 hexadecimal digits in text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PackId(pub [u8; 16]);

impl fmt::Display for PackId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl FromStr for PackId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let is_lower_hex = text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if text.len() != 32 || !is_lower_hex {
            return Err(IdError::Hash);
        }
        u128::from_str_radix(text, 16).map(|id| Self(id.to_be_bytes())).map_err(|_| IdError::Hash)
    }
}

/// Where a chunk lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The pack.
    pub pack: PackId,
    /// First byte within the pack.
    pub offset: u64,
    /// Size as stored, in bytes.
    pub stored_bytes: u32,
    /// How it is stored.
    pub encoding: Encoding,
}

/// Places of all chunk positions of one page, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PackIndex {
    /// One place for each position.
    pub places: Vec<Place>,
}

impl PackIndex {
    /// The index's bytes.
    ///
    /// # Panics
    /// When a place is stored with gzip, which packs never are.
    pub fn encode(&self) -> Vec<u8> {
        let mut packs: Vec<PackId> = self.places.iter().map(|place| place.pack).collect();
        packs.sort_unstable();
        packs.dedup();
        let mut out = Vec::with_capacity(16 * packs.len() + 10 * self.places.len() + 8);
        put_varint(&mut out, INDEX_VERSION);
        put_varint(&mut out, packs.len() as u64);
        packs.iter().for_each(|pack| out.extend_from_slice(&pack.0));
        put_varint(&mut out, self.places.len() as u64);
        for place in &self.places {
            let pack = packs.binary_search(&place.pack).expect("each pack is in the list");
            put_varint(&mut out, pack as u64);
            put_varint(&mut out, place.offset);
            put_varint(&mut out, u64::from(place.stored_bytes));
            put_varint(
                &mut out,
                match place.encoding {
                    Encoding::Identity => 0,
                    Encoding::Zstd => 1,
                    Encoding::Gzip => unreachable!("packs hold identity and zstd only"),
                },
            );
        }
        out
    }

    /// Reads an index that must have `chunks` places.
    ///
    /// # Errors
    /// [`WireError`] when a limit or the form is wrong.
    pub fn decode(bytes: &[u8], chunks: u32) -> Result<Self, WireError> {
        if bytes.len() > PACK_INDEX_BYTES_MAX {
            return Err(WireError::OverLimit("pack index size"));
        }
        let mut reader = Reader::new(bytes);
        if reader.varint()? != INDEX_VERSION {
            return Err(WireError::Invalid("pack index version"));
        }
        let pack_count = reader.varint_max(PACK_INDEX_PACKS_MAX as u64, "number of packs")?;
        let packs =
            (0..pack_count).map(|_| reader.array().map(PackId)).collect::<Result<Vec<_>, WireError>>()?;
        let count = reader.u32_max((PAGE_BYTES_MAX / 33) as u32, "number of places")?;
        if count != chunks {
            return Err(WireError::Invalid("number of places"));
        }
        let mut places = Vec::with_capacity(count as usize);
        for _ in 0..count {
            let pack = reader.varint()? as usize;
            let pack = *packs.get(pack).ok_or(WireError::Invalid("pack number"))?;
            let offset = reader.varint_max(INTEGER_MAX - u64::from(CHUNK_BYTES_MAX), "offset")?;
            // zstd may add a little to what it cannot compress; such chunks are stored as they are.
            let stored_bytes = reader.u32_max(CHUNK_BYTES_MAX, "stored size")?;
            let encoding = match reader.varint()? {
                0 => Encoding::Identity,
                1 => Encoding::Zstd,
                _ => return Err(WireError::Invalid("encoding")),
            };
            places.push(Place { pack, offset, stored_bytes, encoding });
        }
        reader.finish()?;
        Ok(Self { places })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_faults() {
        let place = |pack: u8, offset| Place {
            pack: PackId([pack; 16]),
            offset,
            stored_bytes: 77,
            encoding: Encoding::Zstd,
        };
        let index = PackIndex { places: vec![place(2, 0), place(1, 77), place(2, 77)] };
        let bytes = index.encode();
        assert_eq!(PackIndex::decode(&bytes, 3), Ok(index));
        assert_eq!(PackIndex::decode(&bytes, 2), Err(WireError::Invalid("number of places")));
        for len in 0..bytes.len() {
            assert!(PackIndex::decode(&bytes[..len], 3).is_err());
        }
    }

    #[test]
    fn pack_id_text() {
        let id = PackId([0xab; 16]);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!("AB".repeat(16).parse::<PackId>().is_err());
        assert!("+b".repeat(16).parse::<PackId>().is_err());
    }
}
