//! Finds files that changed wholly though what they hold hardly did: a patch should not pay for the way a file is packed.

use std::collections::HashSet;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

use fastcdc::v2020::FastCDC;
use freshet_protocol::{PatchChunk, RelPath};
use serde::Serialize;

use super::super::map::{MappedFile, ReleaseMap};
use super::reader::ChunkReader;
use crate::release::ReadError;

/// Smaller files cost little, however they change.
const FILE_BYTES_MIN: u64 = 1 << 20;
/// A file changed wholly where this share of it is to be fetched.
const FETCHED_PERCENT_MIN: u64 = 70;
/// And its data is the same where this share of it is found in the older file, wherever there.
const SAME_PERCENT_MIN: u64 = 50;
/// What one stream of compression wrote is about as long as before where little has changed.
const LENGTH_PERCENT_MIN: u64 = 90;
/// Chunks that take this share of their size when compressed are compressed, or encrypted, already.
const PACKED_PERCENT_MIN: u64 = 97;
/// Sizes of the pieces that two files are compared by, in bytes: small, since members of packs are.
const PIECE_BYTES: [usize; 3] = [64, 256, 1024];
/// Of files beyond this size not all pieces are remembered.
const ALL_PIECES_BYTES_MAX: u64 = 256 << 20;

/// A file that players fetch anew because of how it is packed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rewritten {
    /// The file.
    pub path: RelPath,
    /// Bytes to fetch of it.
    pub fetched_bytes: u64,
    /// Why nothing of the older file is of use.
    pub cause: RewriteCause,
}

/// Why nothing of an older file is of use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RewriteCause {
    /// It holds the same data in another order.
    Shuffled,
    /// It is compressed, or encrypted, as one stream: one change at the front changes all that follows.
    Solid,
}

impl fmt::Display for Rewritten {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, .. } = self;
        match self.cause {
            RewriteCause::Shuffled => {
                write!(
                    out,
                    "{path} changed wholly, but holds the same data in another order; write it in a fixed order"
                )
            }
            RewriteCause::Solid => write!(
                out,
                "{path} changed wholly and seems to be compressed as one stream; store its members uncompressed, or each \
                 compressed alone"
            ),
        }
    }
}

/// Names the files of `new` that are fetched nearly whole, by `chunks`, for no good reason.
pub(super) async fn find(
    reader: &ChunkReader<'_>,
    old: &ReleaseMap,
    new: &ReleaseMap,
    chunks: &[PatchChunk],
) -> Result<Vec<Rewritten>, ReadError> {
    let mut found = Vec::new();
    for file in new.files.iter().filter(|file| file.bytes >= FILE_BYTES_MIN) {
        let Some(known) = old.file(&file.path).filter(|known| known.bytes >= FILE_BYTES_MIN) else {
            continue;
        };
        let fetched_bytes = fetched_bytes(new, file, chunks);
        if fetched_bytes * 100 < stored_bytes(new, file) * FETCHED_PERCENT_MIN {
            continue;
        }
        let is_solid = is_as_long(file, known) && is_packed(new, file) && is_packed(old, known);
        let cause = if is_solid {
            Some(RewriteCause::Solid)
        } else {
            let same = same_percent(reader, (old, known), (new, file)).await?;
            (same >= SAME_PERCENT_MIN).then_some(RewriteCause::Shuffled)
        };
        found.extend(cause.map(|cause| Rewritten { path: file.path.clone(), fetched_bytes, cause }));
    }
    Ok(found)
}

/// What is fetched for a file: deltas, and chunks as they are stored.
fn fetched_bytes(new: &ReleaseMap, file: &MappedFile, chunks: &[PatchChunk]) -> u64 {
    let first = chunks.partition_point(|chunk| chunk.target < file.positions.start);
    let of_file = chunks[first..].iter().take_while(|chunk| chunk.target < file.positions.end);
    let bytes = |chunk: &PatchChunk| match &chunk.delta {
        Some(delta) => delta.bytes,
        None => new.place(chunk.target).stored_bytes,
    };
    of_file.map(bytes).map(u64::from).sum()
}

fn stored_bytes(map: &ReleaseMap, file: &MappedFile) -> u64 {
    file.positions.clone().map(|position| u64::from(map.place(position).stored_bytes)).sum()
}

fn is_packed(map: &ReleaseMap, file: &MappedFile) -> bool {
    stored_bytes(map, file) * 100 >= file.bytes * PACKED_PERCENT_MIN
}

fn is_as_long(one: &MappedFile, other: &MappedFile) -> bool {
    one.bytes.min(other.bytes) * 100 >= one.bytes.max(other.bytes) * LENGTH_PERCENT_MIN
}

/// The share of a newer file whose pieces the older one has, too.
async fn same_percent(
    reader: &ChunkReader<'_>,
    (old, known): (&ReleaseMap, &MappedFile),
    (new, file): (&ReleaseMap, &MappedFile),
) -> Result<u64, ReadError> {
    let one_in = 1 + known.bytes / ALL_PIECES_BYTES_MAX;
    let is_remembered = |piece: &Piece| piece.hash.is_multiple_of(one_in);
    let mut there = HashSet::new();
    for position in known.positions.clone() {
        let pieces = pieces(reader.read(old, position..position + 1).await?).await;
        there.extend(pieces.into_iter().filter(is_remembered).map(|piece| piece.hash));
    }
    let (mut same, mut all) = (0, 0);
    for position in file.positions.clone() {
        let pieces = pieces(reader.read(new, position..position + 1).await?).await;
        for piece in pieces.into_iter().filter(is_remembered) {
            all += piece.bytes;
            same += if there.contains(&piece.hash) { piece.bytes } else { 0 };
        }
    }
    Ok(100 * same / all.max(1))
}

struct Piece {
    hash: u64,
    bytes: u64,
}

async fn pieces(chunk: Vec<u8>) -> Vec<Piece> {
    let cut = move || {
        let [min, avg, max] = PIECE_BYTES;
        let piece = |cut: fastcdc::v2020::Chunk| {
            let mut hasher = DefaultHasher::new();
            chunk[cut.offset..cut.offset + cut.length].hash(&mut hasher);
            Piece { hash: hasher.finish(), bytes: cut.length as u64 }
        };
        FastCDC::new(&chunk, min, avg, max).map(piece).collect()
    };
    tokio::task::spawn_blocking(cut).await.expect("cutting does not panic")
}
