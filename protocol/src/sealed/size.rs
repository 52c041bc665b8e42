//! How large sealed files are: nothing of what they hold is to be told by it.

use crate::limits::{CHUNK_BYTES_MAX, SEALED_CHUNK_BYTES_MIN};

/// What sealing adds to a chunk, in bytes.
pub const SEAL_BYTES: u32 = 16;

/// A sealed file's chunks are told in so many steps between a power of two and the next.
const STEPS: u32 = 64;

/// Whether chunks of a sealed release may have this size: a power of two.
pub(crate) fn is_sealed_chunk(bytes: u32) -> bool {
    (SEALED_CHUNK_BYTES_MIN..=CHUNK_BYTES_MAX).contains(&bytes) && bytes.is_power_of_two()
}

/// The chunks of a sealed file that needs `chunks`: the next multiple of 2^(floor(log2 chunks) - 6), so at most 1/64 more.
/// Files that need about as many have the same size.
pub fn padded_chunks(chunks: u64) -> u64 {
    let step = 1 << chunks.checked_ilog2().unwrap_or(0).saturating_sub(STEPS.ilog2());
    chunks.next_multiple_of(step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_few() {
        let check = |chunks, expected| assert_eq!(padded_chunks(chunks), expected, "{chunks}");
        check(0, 0);
        check(1, 1);
        check(127, 127);
        check(128, 128);
        check(129, 130);
        check(255, 256);
        check(1000, 1000);
        check(1001, 1008);
        check(1 << 19, 1 << 19);
        check((1 << 19) + 1, (1 << 19) + (1 << 13));
        for chunks in 1..5000 {
            let padded = padded_chunks(chunks);
            assert!(padded >= chunks && (padded - chunks) * 64 < chunks, "{chunks}");
            assert_eq!(padded_chunks(padded), padded);
        }
    }

    #[test]
    fn chunks_are_of_few_sizes() {
        let check = |bytes, expected| assert_eq!(is_sealed_chunk(bytes), expected, "{bytes}");
        check(SEALED_CHUNK_BYTES_MIN, true);
        check(SEALED_CHUNK_BYTES_MIN / 2, false);
        check(SEALED_CHUNK_BYTES_MIN * 3 / 2, false);
        check(CHUNK_BYTES_MAX, true);
        check(CHUNK_BYTES_MAX * 2, false);
    }
}
