//! Where blobs of a release go: into packs, one after the other; and its pages, each with the index that says where its
//! blobs lie.

use std::sync::Arc;

use bytes::Bytes;
use freshet_protocol::{ChunkId, ContentName, Encoding, PackId, PackIndex, PageId, Place, origin_path};

use super::PublishError;
use super::known::Places;
use super::pack::OpenPack;
use crate::gzip;
use crate::store::{Store, StoreError};

/// Compression of pages: small, read by everybody, mostly hashes.
const PAGE_ZSTD_LEVEL: i32 = 9;

/// Something to be packed, named by the hash of its plain bytes.
pub(super) struct Blob {
    pub(super) id: ChunkId,
    /// Plain size, in bytes.
    pub(super) bytes: u32,
    pub(super) encoding: Encoding,
    pub(super) data: Bytes,
}

/// A page as it was written.
pub(super) struct WrittenPage {
    pub(super) id: PageId,
    /// Plain size, in bytes.
    pub(super) bytes: u32,
    /// Size as nodes fetch it, in bytes.
    pub(super) packed_bytes: u64,
    /// The packs that its blobs lie in.
    pub(super) packs: Vec<PackId>,
}

/// The packs of one content: those that there were, and those that are written now.
pub(super) struct Packs {
    store: Store,
    content: ContentName,
    stored: Arc<Places>,
    fresh: Places,
    open: Option<OpenPack>,
}

impl Packs {
    pub(super) fn new(store: &Store, content: &ContentName, stored: Arc<Places>) -> Self {
        Self { store: store.clone(), content: content.clone(), stored, fresh: Places::default(), open: None }
    }

    /// Whether a blob has been written since the start.
    pub(super) fn is_fresh(&self, id: ChunkId) -> bool {
        self.fresh.contains(id)
    }

    /// Where a blob lies, or will lie once its pack is complete.
    pub(super) fn place(&self, id: ChunkId) -> Option<Place> {
        self.fresh.place(id).or_else(|| self.stored.place(id))
    }

    /// Whether a pack is being written, so that places in it are not yet to be relied on.
    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Appends a blob; returns whether that completed a pack.
    pub(super) async fn append(&mut self, blob: Blob) -> Result<bool, StoreError> {
        let pack = match &mut self.open {
            Some(pack) => pack,
            none => {
                let pack = OpenPack::start(&self.store, &self.content);
                self.fresh.open_pack(pack.id());
                none.insert(pack)
            }
        };
        self.fresh.add(&pack.append(blob).await?);
        if pack.is_full() { self.close().await } else { Ok(false) }
    }

    /// Completes the pack being written; returns whether there was one.
    pub(super) async fn close(&mut self) -> Result<bool, StoreError> {
        match self.open.take() {
            Some(pack) => pack.finish().await.map(|_| true),
            None => Ok(false),
        }
    }

    /// Gives up; complete packs stay for the next try.
    pub(super) async fn abort(self) {
        if let Some(pack) = self.open {
            pack.abort().await;
        }
    }

    /// Writes a page, all of whose blobs lie in complete packs, after its index. A blob may come with its place, where that
    /// is known from elsewhere.
    pub(super) async fn write_page(
        &self,
        plain: &[u8],
        blobs: impl Iterator<Item = (ChunkId, Option<Place>)>,
        is_for_browsers: bool,
    ) -> Result<WrittenPage, PublishError> {
        let Self { store, content, .. } = self;
        let id = PageId::of(plain);
        let place = |(blob, known): (ChunkId, Option<Place>)| {
            known.or_else(|| self.place(blob)).expect("each blob was placed before its page")
        };
        let places = blobs.map(place);
        let index = PackIndex { places: places.collect() };
        let packed = zstd::bulk::compress(plain, PAGE_ZSTD_LEVEL).map_err(PublishError::Compress)?;
        let packed_bytes = packed.len() as u64;
        store.replace(&origin_path::index(content, id), index.encode().into()).await?;
        store.create(&origin_path::page(content, id), packed.into()).await?;
        if is_for_browsers {
            store.create(&origin_path::page_gzip(content, id), gzip::compress(plain).into()).await?;
        }
        let packs = index.places.iter().map(|place| place.pack).collect();
        Ok(WrittenPage { id, bytes: plain.len() as u32, packed_bytes, packs })
    }
}
