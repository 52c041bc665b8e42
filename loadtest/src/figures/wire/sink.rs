//! Where a reference transfer's bytes go: nowhere, or through the hash into a file.

use std::fs::File;
use std::hint::black_box;
use std::io::Result;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use freshet_protocol::Hash;

use super::{CHUNK_BYTES, sink_path};

/// Where bytes go. Clones share the file.
#[derive(Debug, Clone)]
pub(super) enum Sink {
    /// Nowhere: the transport alone is measured.
    Nothing,
    /// Each chunk through SHA-256 and to its place in a file.
    File(Arc<File>),
}

impl Sink {
    /// A new file in `folder`.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(super) fn file(folder: &Path) -> anyhow::Result<Self> {
        let path = sink_path(folder);
        let file = File::create(&path).with_context(|| format!("make {}", path.display()))?;
        Ok(Self::File(Arc::new(file)))
    }

    /// Begins a run of bytes at an offset of the file.
    pub(super) fn from(&self, offset: u64) -> Run {
        Run { sink: self.clone(), offset, chunk: Vec::with_capacity(CHUNK_BYTES), taken: 0 }
    }
}

/// Neighbouring bytes, put together to chunks.
#[derive(Debug)]
pub(super) struct Run {
    sink: Sink,
    offset: u64,
    chunk: Vec<u8>,
    taken: u64,
}

impl Run {
    /// Takes the next bytes.
    pub(super) fn take(&mut self, mut bytes: &[u8]) -> Result<()> {
        self.taken += bytes.len() as u64;
        if matches!(self.sink, Sink::Nothing) {
            return Ok(());
        }
        while !bytes.is_empty() {
            let part = bytes.len().min(CHUNK_BYTES - self.chunk.len());
            self.chunk.extend_from_slice(&bytes[..part]);
            bytes = &bytes[part..];
            if self.chunk.len() == CHUNK_BYTES {
                self.write()?;
            }
        }
        Ok(())
    }

    /// Writes what is left; returns how many bytes there were.
    pub(super) fn finish(mut self) -> Result<u64> {
        self.write()?;
        Ok(self.taken)
    }

    fn write(&mut self) -> Result<()> {
        if let (Sink::File(file), false) = (&self.sink, self.chunk.is_empty()) {
            // Nobody asks for the hash; it is taken all the same.
            black_box(Hash::of(&self.chunk));
            file.write_all_at(&self.chunk, self.offset)?;
            self.offset += self.chunk.len() as u64;
            self.chunk.clear();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_any_size_come_out_whole() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let bytes: Vec<u8> = (0..3 * CHUNK_BYTES + 5).map(|at| (at % 251) as u8).collect();
        for piece in [1000, CHUNK_BYTES, CHUNK_BYTES + 1, bytes.len()] {
            let mut run = Sink::file(folder.path()).expect("made").from(7);
            bytes.chunks(piece).for_each(|part| run.take(part).expect("written"));
            assert_eq!(run.finish().expect("written"), bytes.len() as u64);
            let written = std::fs::read(sink_path(folder.path())).expect("there");
            assert!(written[7..] == bytes[..], "{piece}");
        }
    }
}
