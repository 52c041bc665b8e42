//! The manifest of a large game, written into an origin's store: all that a publish leaves there, but for the packs.

use std::path::Path;

use anyhow::{Context, Result};
use freshet_protocol::{
    ChunkId, ChunkRef, Chunker, ContentName, Encoding, Entry, FileExtent, Grant, KEY_DOCUMENT_SCHEMA,
    KeyDocument, Name, POINTER_SCHEMA, PackId, PackIndex, Page, PageCutter, PageId, PageRef, Place, Pointer,
    ROOT_SCHEMA, Role, Root, SigningKey, origin_path,
};

use super::{CHUNK_BYTES, CHUNKS};

const TENANT: &str = "load";
const CONTENT: &str = "load/large";
const CHANNEL: &str = "live";
/// Large archives, and what lies beside them: as a game of this size has it.
const ARCHIVES: u32 = 20;
const ARCHIVE_CHUNKS: u32 = 16_000;
const FILE_CHUNKS: u32 = 4;
/// Hashes do not compress; the level only has to be one.
const PAGE_ZSTD_LEVEL: i32 = 1;
/// The pointer's life: beyond any run.
const EXPIRES: u64 = 1 << 40;

/// What a node must be told.
#[derive(Debug)]
pub(super) struct Made {
    /// Path of the channel's pointer.
    pub(super) channel: String,
    /// The tenant's key, as text.
    pub(super) key: String,
}

/// Writes the release into the folder of a store.
///
/// # Errors
/// When a file cannot be written.
pub(super) fn make(store: &Path) -> Result<Made> {
    let content: ContentName = CONTENT.parse().expect("a content's name");
    let (tenant, online) = (SigningKey::from_seed(&[1; 32]), SigningKey::from_seed(&[2; 32]));
    let pages = pages();
    let mut refs = Vec::with_capacity(pages.len());
    for (number, page) in pages.iter().enumerate() {
        let plain = page.encode();
        let id = PageId::of(&plain);
        let packed = zstd::bulk::compress(&plain, PAGE_ZSTD_LEVEL).context("compress a page")?;
        write(store, &origin_path::page(&content, id), &packed)?;
        write(store, &origin_path::index(&content, id), &index(page, number as u128).encode())?;
        let first = page.entries.first().context("a page has entries")?.path().to_string();
        refs.push(PageRef { id, bytes: plain.len() as u32, chunks: page.chunk_count(), first });
    }
    let root = root(content.clone(), refs);
    let (id, envelope) = root.seal(&online).context("sign the root")?;
    write(store, &origin_path::root(&content, id), &envelope)?;
    let channel: Name = CHANNEL.parse().expect("a name");
    let pointer = Pointer {
        schema: POINTER_SCHEMA,
        content: content.clone(),
        channel: channel.clone(),
        sequence: 1,
        expires: EXPIRES,
        root: id,
        version: root.version,
        trackers: Vec::new(),
        patches: Vec::new(),
        rollout: None,
        preload: None,
        unsealed: None,
        start_window_s: 0,
    };
    write(
        store,
        &origin_path::pointer(&content, &channel),
        &pointer.seal(&online).context("sign the pointer")?,
    )?;
    let roles = vec![Role::Pointer, Role::Root];
    let keys = KeyDocument {
        schema: KEY_DOCUMENT_SCHEMA,
        tenant: TENANT.to_owned(),
        sequence: 1,
        keys: vec![Grant { key: online.public(), roles, expires: None }],
    };
    write(store, &origin_path::keys(&content), &keys.seal(&tenant).context("sign the keys")?)?;
    Ok(Made { channel: origin_path::pointer(&content, &channel), key: tenant.public().to_string() })
}

fn write(store: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    let path = store.join(name);
    std::fs::create_dir_all(path.parent().context("an object lies in a folder")?)
        .and_then(|()| std::fs::write(&path, bytes))
        .with_context(|| format!("write {}", path.display()))
}

/// Files in path order: first the archives, then a crowd of small ones.
fn pages() -> Vec<Page> {
    let archives = (0..ARCHIVES).map(|number| (format!("archives/{number:02}.pak"), ARCHIVE_CHUNKS));
    let left = CHUNKS - ARCHIVES * ARCHIVE_CHUNKS;
    let small = (0..left / FILE_CHUNKS)
        .map(|number| (format!("assets/{:03}/{number:06}.bin", number / 100), FILE_CHUNKS));
    let mut cutter = PageCutter::default();
    let mut next = 0;
    let mut pages = Vec::new();
    for (path, chunks) in archives.chain(small) {
        pages.extend(cutter.push(file(&path, next..next + chunks)));
        next += chunks;
    }
    pages.extend(cutter.finish());
    pages
}

fn file(path: &str, numbers: std::ops::Range<u32>) -> Entry {
    let chunk = |number: u32| ChunkRef { id: ChunkId::of(&number.to_be_bytes()), bytes: CHUNK_BYTES };
    Entry::File(FileExtent {
        path: path.parse().expect("a good path"),
        part: None,
        executable: false,
        size: u64::from(CHUNK_BYTES) * numbers.len() as u64,
        offset: 0,
        chunks: numbers.map(chunk).collect(),
    })
}

/// All chunks of a page lie in a pack of its own.
fn index(page: &Page, pack: u128) -> PackIndex {
    let place = |at: u32| Place {
        pack: PackId(pack.to_be_bytes()),
        offset: u64::from(at) * u64::from(CHUNK_BYTES),
        stored_bytes: CHUNK_BYTES,
        encoding: Encoding::Identity,
    };
    PackIndex { places: (0..page.chunk_count()).map(place).collect() }
}

fn root(content: ContentName, pages: Vec<PageRef>) -> Root {
    let left = CHUNKS - ARCHIVES * ARCHIVE_CHUNKS;
    Root {
        schema: ROOT_SCHEMA,
        content,
        version: "1".parse().expect("a name"),
        chunker: Chunker {
            algorithm: "fastcdc-2020".to_owned(),
            bytes_min: 32 << 10,
            bytes_avg: 128 << 10,
            bytes_max: 512 << 10,
        },
        entries: ARCHIVES + left / FILE_CHUNKS,
        bytes: u64::from(CHUNKS) * u64::from(CHUNK_BYTES),
        chunks: CHUNKS,
        pages,
        parts: Vec::new(),
        sealed: None,
        requires: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use freshet_protocol::limits::ROOT_BYTES_MAX;

    #[test]
    fn the_release_is_one_that_readers_accept() {
        let pages = pages();
        assert_eq!(pages.iter().map(Page::chunk_count).sum::<u32>(), CHUNKS);
        let reference = |page: &Page| PageRef {
            id: PageId::of(&page.encode()),
            bytes: page.encode().len() as u32,
            chunks: page.chunk_count(),
            first: page.entries[0].path().to_string(),
        };
        let root = root(CONTENT.parse().expect("name"), pages.iter().map(reference).collect());
        let (_, payload) = root.payload().expect("within all limits");
        assert!(payload.len() <= ROOT_BYTES_MAX, "{}", payload.len());
    }
}
