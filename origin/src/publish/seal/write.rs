//! Seals files, chunk by chunk, several at a time, and puts them into the sealed release.

use std::sync::Arc;

use bytes::Bytes;
use freshet_protocol::{
    ChunkId, ContentName, Encoding, Entry, FileExtent, Hash, RelPath, ReleaseKey, SEAL_BYTES,
};
use futures_util::stream::{self, BoxStream, Stream, StreamExt, TryStreamExt};
use ring::digest::{Context, SHA256};

use super::super::PublishError;
use super::super::assemble::Assembly;
use super::super::encode::Encoded;
use super::super::in_flight;
use super::super::known::Places;
use super::plan::PlainFile;
use super::read::{self, Check};
use crate::release::ReadError;
use crate::store::Store;

/// What files are sealed with.
#[derive(Clone, Copy)]
pub(super) struct Seal {
    pub(super) key: ReleaseKey,
    /// Size of each chunk once it is sealed.
    pub(super) chunk_bytes: u32,
}

/// Hash of all that is going to be sealed, each blob of which is looked at.
pub(super) async fn digest(
    store: &Store,
    content: &ContentName,
    files: &[PlainFile],
    chunk_bytes: u32,
) -> Result<Hash, ReadError> {
    let mut all = Context::new(&SHA256);
    all.update(&chunk_bytes.to_be_bytes());
    for file in files {
        let mut one = Context::new(&SHA256);
        let mut bytes = read::bytes(store, content, file, Check::Blobs);
        while let Some(piece) = bytes.try_next().await? {
            one.update(&piece);
        }
        all.update(Hash::of(file.path.as_str().as_bytes()).0.as_slice());
        all.update(one.finish().as_ref());
    }
    let mut digest = [0; 32];
    digest.copy_from_slice(all.finish().as_ref());
    Ok(Hash(digest))
}

/// Seals a file whose plain bytes are read from `store`. Chunks that are in `stored` are not written again.
pub(super) async fn write(
    assembly: &mut Assembly<'_>,
    store: &Store,
    content: &ContentName,
    file: &PlainFile,
    seal: Seal,
    stored: &Arc<Places>,
) -> Result<(), PublishError> {
    let chunks = file.chunks(seal.chunk_bytes) as u32;
    let size = u64::from(chunks) * u64::from(seal.chunk_bytes);
    let path = file.path.clone();
    let extent = FileExtent { path, part: None, executable: false, size, offset: 0, chunks: Vec::new() };
    assembly.entry(Entry::File(extent)).await?;
    let bytes = read::bytes(store, content, file, Check::Nothing);
    let plain = plain_chunks(bytes, (seal.chunk_bytes - SEAL_BYTES) as usize, chunks);
    let seal_one = |chunk: Result<(u32, Vec<u8>), ReadError>| {
        let (path, stored) = (file.path.clone(), stored.clone());
        async move {
            let (index, chunk) = chunk?;
            let work = tokio::task::spawn_blocking(move || sealed(seal, &path, index, chunk, &stored));
            Ok::<_, PublishError>(work.await.expect("sealing does not panic"))
        }
    };
    let sealed = plain.map(seal_one).buffered(in_flight(seal.chunk_bytes));
    futures_util::pin_mut!(sealed);
    while let Some(chunk) = sealed.try_next().await? {
        assembly.chunk(chunk).await?;
    }
    Ok(())
}

fn sealed(seal: Seal, path: &RelPath, index: u32, mut chunk: Vec<u8>, stored: &Places) -> Encoded {
    seal.key.seal_chunk(path.as_str(), index, &mut chunk);
    let (id, bytes) = (ChunkId::of(&chunk), chunk.len() as u32);
    let data = (!stored.contains(id)).then(|| (Encoding::Identity, Bytes::from(chunk)));
    Encoded { id, bytes, data }
}

/// `count` chunks of so many bytes each, numbered: what the bytes do not fill is zero.
fn plain_chunks(
    bytes: BoxStream<'_, Result<Bytes, ReadError>>,
    chunk_bytes: usize,
    count: u32,
) -> impl Stream<Item = Result<(u32, Vec<u8>), ReadError>> {
    let state = (bytes, Bytes::new(), 0);
    stream::try_unfold(state, move |(mut bytes, mut rest, index)| async move {
        if index == count {
            return Ok(None);
        }
        let mut chunk = Vec::with_capacity(chunk_bytes + SEAL_BYTES as usize);
        while chunk.len() < chunk_bytes {
            if rest.is_empty() {
                match bytes.try_next().await? {
                    Some(piece) => rest = piece,
                    None => {
                        chunk.resize(chunk_bytes, 0);
                        break;
                    }
                }
            }
            chunk.extend_from_slice(&rest.split_to(rest.len().min(chunk_bytes - chunk.len())));
        }
        Ok(Some(((index, chunk), (bytes, rest, index + 1))))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn pieces_become_chunks_and_zeros() {
        let check = async |pieces: &[&'static str], count, expected: &[&[u8]]| {
            let pieces = pieces.iter().map(|piece| Ok(Bytes::from_static(piece.as_bytes())));
            let pieces: Vec<_> = pieces.collect();
            let chunks = plain_chunks(stream::iter(pieces).boxed(), 3, count);
            let chunks: Vec<(u32, Vec<u8>)> = chunks.try_collect().await.expect("read");
            let expected: Vec<_> = (0..).zip(expected.iter().map(|chunk| chunk.to_vec())).collect();
            assert_eq!(chunks, expected);
        };
        check(&[], 0, &[]).await;
        check(&[], 1, &[&[0; 3]]).await;
        check(&["a", "", "bcd", "efgh"], 4, &[b"abc", b"def", b"gh\0", &[0; 3]]).await;
        check(&["abcdef"], 2, &[b"abc", b"def"]).await;
    }
}
