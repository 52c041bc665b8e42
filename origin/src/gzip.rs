//! Pages once more as gzip, for browsers: `DecompressionStream` knows gzip and no zstd.

use std::io::{Read, Write};

use flate2::read::MultiGzDecoder;
use flate2::{Compression, GzBuilder};

/// Pages are small, mostly hashes, and read by everybody.
const LEVEL: Compression = Compression::new(6);

/// One gzip member (RFC 1952) without a time or a name, so that the same page gives the same bytes.
pub(crate) fn compress(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzBuilder::new().mtime(0).write(Vec::new(), LEVEL);
    encoder.write_all(plain).and_then(|()| encoder.finish()).expect("memory takes everything")
}

/// The plain bytes, at most `limit` of them.
pub(crate) fn decompress(packed: &[u8], limit: usize) -> std::io::Result<Vec<u8>> {
    let mut plain = Vec::new();
    MultiGzDecoder::new(packed).take(limit as u64 + 1).read_to_end(&mut plain)?;
    if plain.len() > limit { Err(std::io::ErrorKind::FileTooLarge.into()) } else { Ok(plain) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back_within_the_limit() {
        let plain = b"the same page ".repeat(100);
        let packed = compress(&plain);
        assert_eq!(packed, compress(&plain));
        // RFC 1952, 2.3: magic, deflate, no flags, no time.
        assert_eq!(packed[..8], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0]);
        assert_eq!(decompress(&packed, plain.len()).expect("whole"), plain);
        assert!(decompress(&packed, plain.len() - 1).is_err());
        assert!(decompress(&packed[..packed.len() - 1], plain.len()).is_err());
        assert!(decompress(b"no gzip", 100).is_err());
    }
}
