//! Makes chunks of the newer release from deltas and the installed files of the older one.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use freshet_protocol::VerifiedChunk;
use zstd::zstd_safe::{DCtx, get_error_name};

use crate::platform;
use crate::release::Release;
use crate::store::{ChunkFiles, Layout};

/// The older release, as it is installed.
#[derive(Debug, Clone)]
pub(crate) struct OldFiles {
    pub(crate) layout: Layout,
    pub(crate) release: Arc<Release>,
}

impl OldFiles {
    /// The joined bytes of neighbouring chunks, as they are now: whether that is what they were, the hash of what is made
    /// from them tells.
    fn read(&self, positions: Range<u32>) -> io::Result<Vec<u8>> {
        let mut joined = Vec::with_capacity(self.release.bytes_of(positions.clone()) as usize);
        let mut open: Option<(PathBuf, File)> = None;
        for position in positions {
            let (number, offset) = self.release.place(position);
            let path = self.layout.installed_at(&self.release.files[number].path);
            let file = match &open {
                Some((known, file)) if *known == path => file,
                _ => {
                    let file = File::open(&path)?;
                    &open.insert((path, file)).1
                }
            };
            let start = joined.len();
            joined.resize(start + self.release.chunk(position).bytes as usize, 0);
            platform::read_exact_at(file, &mut joined[start..], offset)?;
        }
        Ok(joined)
    }
}

/// Makes the chunk that the delta at `position` is for. `delta` are its bytes, where they are in memory.
///
/// # Errors
/// Those of the file system, and `InvalidData` where the older release is not what it was, or the delta is of no use.
pub(crate) fn derive(
    files: &ChunkFiles,
    old: &OldFiles,
    position: u32,
    delta: Option<Bytes>,
) -> io::Result<VerifiedChunk> {
    let (recipe, target) = files.release.delta(position).expect("only deltas are asked for");
    let target = files.release.chunk(target);
    let delta = match delta {
        Some(bytes) => bytes,
        None => files.read(position)?.into_bytes(),
    };
    let base = old.read(recipe.base.clone())?;
    let plain = unpack(&delta, &base, target.bytes)?;
    VerifiedChunk::check(target.id, plain.into())
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// Unpacks to at most `bytes` bytes: what would grow beyond its signed size is refused.
fn unpack(delta: &[u8], base: &[u8], bytes: u32) -> io::Result<Vec<u8>> {
    let failed = |code| io::Error::new(io::ErrorKind::InvalidData, get_error_name(code));
    let mut context = DCtx::create();
    context.ref_prefix(base).map_err(failed)?;
    let mut plain = Vec::with_capacity(bytes as usize);
    context.decompress(&mut plain, delta).map_err(failed)?;
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use zstd::zstd_safe::CCtx;

    /// A base, what is made from it, and the delta that leads there.
    fn sample() -> (Vec<u8>, Vec<u8>, Vec<u8>) {
        let base: Vec<u8> = (0..100_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        let plain = [&base[500..60_000], b"and something new", &base[60_000..]].concat();
        let mut packed = Vec::with_capacity(plain.len());
        let mut context = CCtx::create();
        context.ref_prefix(&base).expect("taken");
        context.compress2(&mut packed, &plain).expect("compresses");
        drop(context);
        (base, plain, packed)
    }

    #[test]
    fn unpacking_is_bounded_and_needs_its_base() {
        let (base, plain, packed) = sample();
        assert!(packed.len() < 5000, "{}", packed.len());
        let size = plain.len() as u32;
        assert_eq!(unpack(&packed, &base, size).expect("unpacks"), plain);
        assert!(unpack(&packed, &base, size - 1).is_err());
        let other = unpack(&packed, &base[..base.len() - 1], size);
        assert!(other.map_or(true, |other| other != plain), "made of another base");
        assert!(unpack(&packed[..packed.len() - 1], &base, size).is_err());
        assert!(unpack(b"not zstd", &base, 10).is_err());
    }

    proptest! {
        #[test]
        fn no_delta_grows_beyond_its_size(
            flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
            cut in any::<prop::sample::Index>(),
            bytes in 0..120_000_u32,
        ) {
            let (base, _, mut packed) = sample();
            for (at, flip) in flips {
                let at = at.index(packed.len());
                packed[at] ^= flip;
            }
            packed.truncate(cut.index(packed.len()) + 1);
            if let Ok(plain) = unpack(&packed, &base, bytes) {
                prop_assert!(plain.len() <= bytes as usize);
            }
        }

        #[test]
        fn any_bytes_are_an_error_or_a_delta(delta in prop::collection::vec(any::<u8>(), 0..2000)) {
            // The magic number of a frame leads further in.
            for head in [&b""[..], &[0x28, 0xb5, 0x2f, 0xfd]] {
                if let Ok(plain) = unpack(&[head, &delta].concat(), b"a base", 1000) {
                    prop_assert!(plain.len() <= 1000);
                }
            }
        }
    }
}
