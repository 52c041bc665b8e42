//! A client that knows the protocol and nothing of the origin's code: it fetches a release with plain GET requests,
//! checks everything against the tenant's key, and writes it into a folder.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use bytes::Bytes;
use freshet_protocol::{
    ChunkRef, ContentName, Encoding, Entry, KeyDocument, PackId, PackIndex, Page, Place, Pointer, PublicKey,
    Role, Root, VerifiedChunk, origin_path,
};
use reqwest::header::RANGE;
use reqwest::{Client, StatusCode};

pub(crate) struct HttpClient {
    http: Client,
    url: String,
    content: ContentName,
    packs: BTreeMap<PackId, Bytes>,
}

impl HttpClient {
    pub(crate) fn new(url: String) -> Self {
        Self { http: http(), url, content: super::fixture::content(), packs: BTreeMap::new() }
    }

    /// The channel's pointer and the root that it names.
    pub(crate) async fn head(&self, key: PublicKey) -> (Pointer, Root) {
        let keys = self.fetch(&origin_path::keys(&self.content)).await;
        let keys = KeyDocument::open(&keys, key).expect("keys");
        let live = "live".parse().expect("name");
        let pointer = self.fetch(&origin_path::pointer(&self.content, &live)).await;
        let pointer = Pointer::open(&pointer, &keys.keys_for(Role::Pointer, 0)).expect("pointer");
        let root = self.fetch(&origin_path::root(&self.content, pointer.root)).await;
        let root = Root::open_as(pointer.root, &root, &keys.keys_for(Role::Root, 0)).expect("root");
        (pointer, root)
    }

    /// Installs what channel `live` shows into `folder`.
    pub(crate) async fn install(&mut self, key: PublicKey, folder: &Path) -> Root {
        let (_, root) = self.head(key).await;
        let (mut entries, mut bytes, mut last) = (0, 0, String::new());
        for page_ref in &root.pages {
            let packed = self.fetch(&origin_path::page(&self.content, page_ref.id)).await;
            let plain = zstd::bulk::decompress(&packed, page_ref.bytes as usize).expect("zstd");
            let page = Page::open(page_ref, &plain.into()).expect("page");
            let index = self.fetch(&origin_path::index(&self.content, page_ref.id)).await;
            let index = PackIndex::decode(&index, page_ref.chunks).expect("index");
            assert_eq!(page.entries[0].path().as_str(), page_ref.first);
            let mut places = index.places.iter();
            for entry in &page.entries {
                let is_continued = entry.path().as_str() == last;
                last = entry.path().to_string();
                entries += u32::from(!is_continued);
                bytes += self.install_entry(entry, &mut places, folder).await;
            }
        }
        assert_eq!((entries, bytes), (root.entries, root.bytes));
        root
    }

    async fn install_entry(
        &mut self,
        entry: &Entry,
        places: &mut impl Iterator<Item = &Place>,
        folder: &Path,
    ) -> u64 {
        let at = folder.join(entry.path().as_str());
        fs::create_dir_all(at.parent().expect("parent")).expect("made");
        match entry {
            Entry::Folder { .. } => fs::create_dir(&at).expect("made"),
            Entry::Link { target, .. } => link(target, &at),
            Entry::File(part) => {
                let mut file =
                    File::options().create(true).truncate(false).write(true).open(&at).expect("made");
                file.seek(SeekFrom::Start(part.offset)).expect("sought");
                for chunk in &part.chunks {
                    let place = places.next().expect("a place for each chunk");
                    file.write_all(&self.chunk(chunk, place).await).expect("written");
                }
                set_executable(&file, part.executable);
                return part.chunks.iter().map(|chunk| u64::from(chunk.bytes)).sum();
            }
        }
        0
    }

    async fn chunk(&mut self, chunk: &ChunkRef, place: &Place) -> Bytes {
        if !self.packs.contains_key(&place.pack) {
            let pack = self.fetch(&origin_path::pack(&self.content, place.pack)).await;
            self.packs.insert(place.pack, pack);
        }
        let start = place.offset as usize;
        let stored = self.packs[&place.pack].slice(start..start + place.stored_bytes as usize);
        let plain = match place.encoding {
            Encoding::Zstd => zstd::bulk::decompress(&stored, chunk.bytes as usize).expect("zstd").into(),
            _ => stored,
        };
        assert_eq!(plain.len(), chunk.bytes as usize);
        VerifiedChunk::check(chunk.id, plain).expect("chunk").into_bytes()
    }

    async fn fetch(&self, path: &str) -> Bytes {
        let response = self.http.get(format!("{}{path}", self.url)).send().await.expect("answered");
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        response.bytes().await.expect("body")
    }
}

/// A client without the TLS that these tests do not need; reqwest wants a provider all the same.
pub(crate) fn http() -> Client {
    // A second call finds one installed: that is as good.
    rustls::crypto::ring::default_provider().install_default().ok();
    Client::new()
}

/// Answer to a GET with a Range header: status, headers and body.
pub(crate) async fn get_range(url: &str, range: &str) -> (StatusCode, reqwest::header::HeaderMap, Bytes) {
    let response = http().get(url).header(RANGE, range).send().await.expect("answered");
    (response.status(), response.headers().clone(), response.bytes().await.expect("body"))
}

#[cfg(unix)]
fn link(target: &str, at: &Path) {
    std::os::unix::fs::symlink(target, at).expect("made");
}

#[cfg(unix)]
fn set_executable(file: &File, is_executable: bool) {
    use std::os::unix::fs::PermissionsExt;
    let mode = if is_executable { 0o755 } else { 0o644 };
    file.set_permissions(fs::Permissions::from_mode(mode)).expect("set");
}
