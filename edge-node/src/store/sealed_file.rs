//! A sealed file of this folder, opened with its key: its head from the beginning, its blobs from wherever they are wanted.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::PathBuf;

use bytes::Bytes;
use freshet_protocol::{
    BadSeal, ChunkId, ReleaseKey, SealedBlob, SealedHead, SealedHeadError, SealedHeadReader,
};

use crate::platform;
use crate::release::plain_chunk_bytes;

/// Why a sealed file cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SealedFileError {
    #[error("{path} cannot be read: {error}")]
    Io { path: PathBuf, error: io::Error },
    #[error("chunk {index} of {path} is missing or damaged: {error}")]
    Seal { path: PathBuf, index: u32, error: BadSeal },
    #[error("{path}: {error}")]
    Head { path: PathBuf, error: SealedHeadError },
}

/// A sealed file, and what opens it.
#[derive(Debug, Clone)]
pub(crate) struct SealedFile {
    /// Where it is.
    pub(crate) place: PathBuf,
    /// Its path in the sealed release.
    pub(crate) path: String,
    pub(crate) key: ReleaseKey,
    /// Size of its chunks.
    pub(crate) chunk_bytes: u32,
}

/// The file that holds chunks and deltas, with the list of them.
#[derive(Debug, Clone)]
pub(crate) struct SealedStream {
    pub(crate) file: SealedFile,
    blobs: Vec<SealedBlob>,
    /// Where each blob begins in the plain bytes, and where the last one ends.
    starts: Vec<u64>,
    /// The ids of the blobs, in their order.
    ids: Vec<ChunkId>,
}

impl SealedFile {
    /// Reads its head, and where the blobs behind it begin.
    ///
    /// # Errors
    /// [`SealedFileError`].
    pub(crate) fn head(&self) -> Result<(SealedHead, u64), SealedFileError> {
        let file = File::open(&self.place).map_err(|error| self.io(error))?;
        let (mut reader, mut head) = (SealedHeadReader::default(), SealedHead::default());
        let refused = |error| SealedFileError::Head { path: self.place.clone(), error };
        for index in 0.. {
            reader.push(&self.chunk(&file, index)?).map_err(refused)?;
            while let Some(item) = reader.next_item().map_err(refused)? {
                head.take(item).map_err(refused)?;
            }
            if reader.is_done() {
                break;
            }
        }
        Ok((head, reader.blobs_start().expect("the head is read")))
    }

    /// The plain bytes of a chunk.
    ///
    /// # Errors
    /// [`SealedFileError`].
    pub(crate) fn chunk(&self, file: &File, index: u32) -> Result<Vec<u8>, SealedFileError> {
        let mut chunk = vec![0; self.chunk_bytes as usize];
        let offset = u64::from(index) * u64::from(self.chunk_bytes);
        platform::read_exact_at(file, &mut chunk, offset).map_err(|error| self.io(error))?;
        let opened = self.key.open_chunk(&self.path, index, &mut chunk);
        let bytes =
            opened.map_err(|error| SealedFileError::Seal { path: self.place.clone(), index, error })?.len();
        chunk.truncate(bytes);
        Ok(chunk)
    }

    fn io(&self, error: io::Error) -> SealedFileError {
        SealedFileError::Io { path: self.place.clone(), error }
    }
}

impl SealedStream {
    /// The file with the blobs that its head lists, which begin at `start`.
    pub(crate) fn new(file: SealedFile, blobs: Vec<SealedBlob>, start: u64) -> Self {
        let mut end = start;
        let ends = blobs.iter().map(|blob| {
            end += u64::from(blob.stored_bytes);
            end
        });
        let starts = std::iter::once(start).chain(ends).collect();
        let mut ids: Vec<ChunkId> = blobs.iter().map(|blob| blob.id).collect();
        ids.sort_unstable();
        Self { file, blobs, starts, ids }
    }

    /// Whether a chunk or a delta was in it.
    pub(crate) fn has(&self, id: ChunkId) -> bool {
        self.ids.binary_search(&id).is_ok()
    }

    /// Its size on the disk now; 0 where it is gone.
    pub(crate) fn file_bytes(&self) -> u64 {
        std::fs::metadata(&self.file.place).map_or(0, |file| file.len())
    }

    /// How many of the blobs, from the first one on, lie in so many bytes of the file.
    pub(crate) fn blobs_within(&self, file_bytes: u64) -> usize {
        let chunks = file_bytes / u64::from(self.file.chunk_bytes);
        let plain_bytes = chunks * plain_chunk_bytes(self.file.chunk_bytes);
        self.starts[1..].partition_point(|&end| end <= plain_bytes)
    }

    /// The blobs before `end` that take at most `bytes_max` together, or one.
    pub(crate) fn batch_before(&self, end: usize, bytes_max: u64) -> Range<usize> {
        let first = self.starts[..end].partition_point(|&start| start + bytes_max < self.starts[end]);
        first.min(end - 1)..end
    }

    /// The size that the file needs for the blobs before `end`.
    pub(crate) fn bytes_before(&self, end: usize) -> u64 {
        match end {
            0 => 0,
            _ => {
                let chunks = self.starts[end].div_ceil(plain_chunk_bytes(self.file.chunk_bytes));
                chunks * u64::from(self.file.chunk_bytes)
            }
        }
    }

    /// Reads blobs that follow each other, each as it is stored; those in chunks that are missing or damaged are left out.
    pub(crate) fn read(&self, file: &File, blobs: Range<usize>) -> Vec<(SealedBlob, Bytes)> {
        let plain_bytes = plain_chunk_bytes(self.file.chunk_bytes);
        let (start, end) = (self.starts[blobs.start], self.starts[blobs.end]);
        let first = start / plain_bytes;
        let (mut plain, mut damaged) = (Vec::new(), Vec::new());
        for index in first..end.div_ceil(plain_bytes) {
            match self.file.chunk(file, index as u32) {
                Ok(chunk) => plain.extend_from_slice(&chunk),
                Err(error) => {
                    tracing::debug!(%error, "what was in it is fetched anew");
                    damaged.push(index);
                    plain.resize(plain.len() + plain_bytes as usize, 0);
                }
            }
        }
        let plain = Bytes::from(plain);
        let offset = |at: usize| (self.starts[at] - first * plain_bytes) as usize;
        let is_whole = |at: &usize| {
            let chunks = self.starts[*at] / plain_bytes..self.starts[*at + 1].div_ceil(plain_bytes);
            damaged.iter().all(|index| !chunks.contains(index))
        };
        let whole = blobs.filter(is_whole);
        whole.map(|at| (self.blobs[at], plain.slice(offset(at)..offset(at + 1)))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use freshet_protocol::{Encoding, SealedItem, sealed_head_start};

    const CHUNK: u32 = 256 << 10;
    const KEY: ReleaseKey = ReleaseKey([5; 32]);

    /// A sealed file of these blobs, in a folder.
    fn sealed(folder: &std::path::Path, blobs: &[Vec<u8>]) -> SealedFile {
        let listed: Vec<SealedBlob> = blobs
            .iter()
            .map(|blob| SealedBlob {
                id: ChunkId::of(blob),
                bytes: blob.len() as u32,
                stored_bytes: blob.len() as u32,
                encoding: Encoding::Identity,
            })
            .collect();
        let items: Vec<u8> = SealedItem::lists(&listed).flat_map(|item| item.encode()).collect();
        let mut plain = [sealed_head_start(items.len() as u64), items, blobs.concat()].concat();
        let size = plain_chunk_bytes(CHUNK) as usize;
        plain.resize(plain.len().next_multiple_of(size), 0);
        let mut file = Vec::new();
        for (index, chunk) in (0..).zip(plain.chunks(size)) {
            let mut chunk = chunk.to_vec();
            KEY.seal_chunk("full", index, &mut chunk);
            file.extend(chunk);
        }
        let place = folder.join("stream");
        std::fs::write(&place, file).expect("written");
        SealedFile { place, path: "full".to_owned(), key: KEY, chunk_bytes: CHUNK }
    }

    fn stream(file: &SealedFile) -> SealedStream {
        let (head, start) = file.head().expect("opens");
        SealedStream::new(file.clone(), head.blobs, start)
    }

    #[test]
    fn blobs_are_read_from_any_end() {
        let folder = tempfile::tempdir().expect("folder");
        let blobs: Vec<Vec<u8>> = (0..40_u8).map(|n| vec![n; 30_000 + usize::from(n)]).collect();
        let stream = stream(&sealed(folder.path(), &blobs));
        let bytes = stream.file_bytes();
        assert_eq!(stream.blobs_within(bytes), 40);
        assert!(stream.has(ChunkId::of(&blobs[3])) && !stream.has(ChunkId::of(b"other")));
        let file = File::open(&stream.file.place).expect("there");
        let (mut end, mut found) = (40, Vec::new());
        while end > 0 {
            let batch = stream.batch_before(end, 100_000);
            assert!((1..=3).contains(&batch.len()));
            let read = stream.read(&file, batch.clone());
            found.extend(read.into_iter().rev().map(|(_, bytes)| bytes.to_vec()));
            end = batch.start;
            // What is left lies in what the file needs for it.
            assert_eq!(
                stream.blobs_within(stream.bytes_before(end)).max(end),
                stream.blobs_within(stream.bytes_before(end))
            );
            assert!(stream.bytes_before(end) <= bytes);
        }
        found.reverse();
        assert_eq!(found, blobs);
        assert_eq!(stream.bytes_before(0), 0);
        // A blob that is larger than a batch comes alone.
        assert_eq!(stream.batch_before(40, 10), 39..40);
        assert_eq!(stream.blobs_within(u64::from(CHUNK) - 1), 0);
    }

    #[test]
    fn what_is_damaged_is_left_out() {
        let folder = tempfile::tempdir().expect("folder");
        let blobs: Vec<Vec<u8>> = (0..40_u8).map(|n| vec![n; 30_000]).collect();
        let sealed = sealed(folder.path(), &blobs);
        let stream = stream(&sealed);
        let mut bytes = std::fs::read(&sealed.place).expect("read");
        bytes[CHUNK as usize + 7] ^= 1;
        std::fs::write(&sealed.place, &bytes).expect("written");
        let file = File::open(&sealed.place).expect("there");
        let read = stream.read(&file, 0..40);
        // The second chunk has all or some of ten blobs.
        assert_eq!(read.len(), 40 - 10, "{}", read.len());
        assert!(read.iter().all(|(blob, bytes)| ChunkId::of(bytes) == blob.id));
        let wrong = SealedFile { key: ReleaseKey([6; 32]), ..sealed.clone() };
        assert!(matches!(wrong.head(), Err(SealedFileError::Seal { index: 0, .. })));
        std::fs::write(&sealed.place, &bytes[..1000]).expect("written");
        assert!(matches!(sealed.head(), Err(SealedFileError::Io { .. })));
    }
}
