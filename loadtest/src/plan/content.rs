//! What is fetched, as sizes of chunks.

use freshet_protocol::limits::{CHUNK_BYTES_MAX, CHUNKS_MAX};
use serde::{Deserialize, Serialize};

use super::read::PlanError;
use super::require;
use crate::random::Random;

/// What every node fetches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Content {
    /// So many bytes, cut as the publisher's chunker would cut them.
    Cut {
        /// Size of the release.
        bytes: u64,
    },
    /// Chunks of one size.
    Equal {
        /// How many.
        chunks: u32,
        /// Size of each.
        chunk_bytes: u32,
    },
    /// The chunk sizes of a real manifest.
    Listed {
        /// Size of each chunk.
        chunk_bytes: Vec<u32>,
    },
}

/// FastCDC's bounds as releases use them (DESIGN.md 4), in bytes.
const CUT_BYTES_MIN: u32 = 32 << 10;
const CUT_BYTES_AVERAGE: u32 = 128 << 10;
const CUT_BYTES_MAX: u32 = 512 << 10;
/// Sizes are drawn in steps of so many bytes; a boundary falls evenly within its step.
const STEP_BYTES: u32 = 1 << 10;
/// Chance of a boundary within a step, one in so many. Normalised chunking of level 1 (Xia et al. 2016, "FastCDC")
/// looks for 18 bits before the average size and for 16 after it; a step holds 2^10 positions.
const STEPS_BEFORE_AVERAGE: u64 = 1 << (18 - 10);
const STEPS_AFTER_AVERAGE: u64 = 1 << (16 - 10);

impl Content {
    /// The sizes, in bytes.
    pub fn chunk_bytes(&self, random: &mut Random) -> Vec<u32> {
        match self {
            Self::Cut { bytes } => cut(*bytes, random),
            Self::Equal { chunks, chunk_bytes } => vec![*chunk_bytes; *chunks as usize],
            Self::Listed { chunk_bytes } => chunk_bytes.clone(),
        }
    }

    /// Bytes of all chunks.
    pub fn bytes(&self) -> u64 {
        match self {
            Self::Cut { bytes } => *bytes,
            Self::Equal { chunks, chunk_bytes } => u64::from(*chunks) * u64::from(*chunk_bytes),
            Self::Listed { chunk_bytes } => chunk_bytes.iter().map(|&bytes| u64::from(bytes)).sum(),
        }
    }

    /// About how many chunks there will be.
    pub(super) fn chunks_about(&self) -> u64 {
        match self {
            Self::Cut { bytes } => bytes / u64::from(CUT_BYTES_AVERAGE) + 1,
            Self::Equal { chunks, .. } => u64::from(*chunks),
            Self::Listed { chunk_bytes } => chunk_bytes.len() as u64,
        }
    }

    pub(super) fn check(&self) -> Result<(), PlanError> {
        let is_size = |bytes: u32| (1..=CHUNK_BYTES_MAX).contains(&bytes);
        let is_count = |chunks: u64| (1..=u64::from(CHUNKS_MAX)).contains(&chunks);
        match self {
            Self::Cut { bytes } => {
                let bytes_max = u64::from(CHUNKS_MAX) * u64::from(CUT_BYTES_MIN);
                require("content.bytes", (1..=bytes_max).contains(bytes), "1 byte to 16 GiB")
            }
            Self::Equal { chunks, chunk_bytes } => {
                require("content.chunk_bytes", is_size(*chunk_bytes), "1 to 2097152")?;
                require("content.chunks", is_count(u64::from(*chunks)), "1 to 524288")
            }
            Self::Listed { chunk_bytes } => {
                require("content.chunk_bytes", is_count(chunk_bytes.len() as u64), "1 to 524288 sizes")?;
                require(
                    "content.chunk_bytes",
                    chunk_bytes.iter().copied().all(is_size),
                    "sizes of 1 to 2097152",
                )
            }
        }
    }
}

fn cut(bytes: u64, random: &mut Random) -> Vec<u32> {
    let mut sizes = Vec::new();
    let mut left = bytes;
    while left > 0 {
        let size = u64::from(cut_one(random)).min(left);
        sizes.push(size as u32);
        left -= size;
    }
    sizes
}

fn cut_one(random: &mut Random) -> u32 {
    let mut size = CUT_BYTES_MIN;
    while size < CUT_BYTES_MAX {
        let steps = if size < CUT_BYTES_AVERAGE { STEPS_BEFORE_AVERAGE } else { STEPS_AFTER_AVERAGE };
        if random.below(steps) == 0 {
            return size + random.below(u64::from(STEP_BYTES)) as u32;
        }
        size += STEP_BYTES;
    }
    CUT_BYTES_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cut_sizes_are_like_the_chunkers() {
        let sizes = Content::Cut { bytes: 256 << 20 }.chunk_bytes(&mut Random::new(1));
        assert_eq!(sizes.iter().map(|&size| u64::from(size)).sum::<u64>(), 256 << 20);
        let (_last, whole) = sizes.split_last().expect("many");
        assert!(whole.iter().all(|size| (CUT_BYTES_MIN..=CUT_BYTES_MAX).contains(size)));
        let average = (256 << 20) / sizes.len();
        assert!((110 << 10..160 << 10).contains(&average), "{average}");
    }
}
