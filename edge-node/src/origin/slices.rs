//! Cuts a run of positions into ranges of packs, and a running body into chunks.

use bytes::{Bytes, BytesMut};
use freshet_protocol::{Encoding, PackId, Place};

use crate::origin::client::Body;
use crate::origin::error::{OriginError, OriginFault};

/// Neighbouring bytes of one pack that hold chunks one after the other.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Slice {
    pub(super) pack: PackId,
    pub(super) start: u64,
    pub(super) end: u64,
    /// Positions and their places, in the order of the pack.
    pub(super) chunks: Vec<(u32, Place)>,
}

/// Joins what lies side by side in one pack.
pub(super) fn join(places: Vec<(u32, Place)>) -> Vec<Slice> {
    let mut slices: Vec<Slice> = Vec::new();
    for (position, place) in places {
        let end = place.offset + u64::from(place.stored_bytes);
        match slices.last_mut() {
            Some(slice) if slice.pack == place.pack && slice.end == place.offset => {
                slice.end = end;
                slice.chunks.push((position, place));
            }
            _ => slices.push(Slice {
                pack: place.pack,
                start: place.offset,
                end,
                chunks: vec![(position, place)],
            }),
        }
    }
    slices
}

/// Takes chunk after chunk off a body.
pub(super) struct Cutter {
    body: Body,
    buffer: BytesMut,
}

impl Cutter {
    pub(super) fn new(body: Body) -> Self {
        Self { body, buffer: BytesMut::new() }
    }

    /// Reads on while fewer than `bytes` bytes are there; how many came, or none when there are enough.
    pub(super) async fn fill(&mut self, bytes: u32) -> Result<Option<u32>, OriginError> {
        if self.buffer.len() >= bytes as usize {
            return Ok(None);
        }
        match self.body.next().await? {
            Some(part) => {
                self.buffer.extend_from_slice(&part);
                Ok(Some(part.len() as u32))
            }
            None => Err(self.body.failed(OriginFault::Unreachable("broke off in the middle".to_owned()))),
        }
    }

    /// What came is not what was signed.
    pub(super) fn wrong(&self) -> OriginError {
        self.body.failed(OriginFault::Wrong("other bytes than were signed".to_owned()))
    }

    /// Takes `bytes` bytes, which [`Cutter::fill`] has said are there.
    pub(super) fn take(&mut self, bytes: u32) -> Bytes {
        self.buffer.split_to(bytes as usize).freeze()
    }
}

/// The plain bytes of a stored chunk; none when they cannot be had.
pub(crate) fn plain(stored: Bytes, encoding: Encoding, bytes: u32) -> Option<Bytes> {
    match encoding {
        Encoding::Identity => Some(stored),
        Encoding::Zstd => super::documents::unpack(&stored, bytes).ok(),
        Encoding::Gzip => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_joined() {
        let place = |pack: u8, offset, stored_bytes| Place {
            pack: PackId([pack; 16]),
            offset,
            stored_bytes,
            encoding: Encoding::Identity,
        };
        let check = |places: &[Place], expected: &[(u64, u64, usize)]| {
            let slices = join((0..).zip(places.iter().copied()).collect());
            let found: Vec<_> = slices.iter().map(|s| (s.start, s.end, s.chunks.len())).collect();
            assert_eq!(found, expected);
        };
        check(&[], &[]);
        check(&[place(1, 0, 5), place(1, 5, 5), place(1, 10, 1)], &[(0, 11, 3)]);
        check(&[place(1, 0, 5), place(2, 5, 5)], &[(0, 5, 1), (5, 10, 1)]);
        check(&[place(1, 0, 5), place(1, 6, 5)], &[(0, 5, 1), (6, 11, 1)]);
        check(&[place(1, 5, 5), place(1, 0, 5)], &[(5, 10, 1), (0, 5, 1)]);
    }
}
