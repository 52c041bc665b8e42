//! Cuts a segment's bytes into pieces and hashes them as they come, holding none.

use freshet_protocol::limits::{PIECE_BYTES, SEGMENT_BYTES_MAX};
use freshet_protocol::{ChunkId, Hash};
use ring::digest::{Context, SHA256};

/// What an entry says of a segment's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pieces {
    pub(crate) bytes: u64,
    pub(crate) ids: Vec<ChunkId>,
}

/// More bytes came than a segment may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is larger than {} MiB", SEGMENT_BYTES_MAX >> 20)]
pub struct TooLarge;

/// Takes the bytes of one segment.
pub(crate) struct Cutter {
    done: Pieces,
    piece: Context,
    piece_bytes: usize,
}

impl Cutter {
    pub(crate) fn new() -> Self {
        let done = Pieces { bytes: 0, ids: Vec::new() };
        Self { done, piece: Context::new(&SHA256), piece_bytes: 0 }
    }

    /// Takes the next bytes.
    pub(crate) fn push(&mut self, mut bytes: &[u8]) -> Result<(), TooLarge> {
        self.done.bytes += bytes.len() as u64;
        if self.done.bytes > SEGMENT_BYTES_MAX {
            return Err(TooLarge);
        }
        while !bytes.is_empty() {
            let room = PIECE_BYTES as usize - self.piece_bytes;
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.piece.update(now);
            self.piece_bytes += now.len();
            if self.piece_bytes == PIECE_BYTES as usize {
                self.end_piece();
            }
            bytes = later;
        }
        Ok(())
    }

    /// What came.
    pub(crate) fn finish(mut self) -> Pieces {
        if self.piece_bytes > 0 {
            self.end_piece();
        }
        self.done
    }

    fn end_piece(&mut self) {
        let piece = std::mem::replace(&mut self.piece, Context::new(&SHA256)).finish();
        let mut id = [0; 32];
        id.copy_from_slice(piece.as_ref());
        self.done.ids.push(ChunkId(Hash(id)));
        self.piece_bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_do_not_depend_on_how_bytes_come() {
        let piece = PIECE_BYTES as usize;
        let bytes: Vec<u8> = (0..2 * piece + 1).map(|n| (n % 251) as u8).collect();
        let check = |length: usize, step: usize| {
            let mut cutter = Cutter::new();
            bytes[..length].chunks(step).for_each(|part| cutter.push(part).expect("small"));
            let ids = bytes[..length].chunks(piece).map(ChunkId::of).collect();
            assert_eq!(cutter.finish(), Pieces { bytes: length as u64, ids }, "{length} {step}");
        };
        for length in [0, 1, piece - 1, piece, piece + 1, 2 * piece, 2 * piece + 1] {
            [1000, piece, 3 * piece].iter().for_each(|step| check(length, *step));
        }
    }

    #[test]
    fn as_large_as_a_segment_may_be() {
        let mut cutter = Cutter::new();
        let mib = vec![0; 1 << 20];
        (0..SEGMENT_BYTES_MAX >> 20).for_each(|_| cutter.push(&mib).expect("within the limit"));
        assert_eq!(cutter.push(&[0]), Err(TooLarge));
    }
}
