//! The documents of a content: keys, pointer, root, pages, pack indexes.

use bytes::Bytes;
use freshet_protocol::{
    ContentName, KEY_DOCUMENT_KIND, Name, PATCH_KIND, POINTER_KIND, PackIndex, Page, PageError, PageId,
    PageRef, PatchId, PatchPage, PatchPageRef, ROOT_KIND, RootId, envelope_bytes_max, limits, origin_path,
};

use crate::origin::client::{Origin, Tag};
use crate::origin::error::{OriginError, OriginFault};

/// Longest document that names a root, in bytes.
const VERSION_BYTES_MAX: u64 = 256;

impl Origin {
    /// The tenant's key document, unchecked.
    pub(crate) async fn keys(&self, content: &ContentName) -> Result<Bytes, OriginError> {
        self.whole(&origin_path::keys(content), envelope_bytes_max(KEY_DOCUMENT_KIND) as u64).await
    }

    /// A channel's pointer, unchecked.
    pub(crate) async fn pointer(&self, content: &ContentName, channel: &Name) -> Result<Bytes, OriginError> {
        self.whole(&origin_path::pointer(content, channel), envelope_bytes_max(POINTER_KIND) as u64).await
    }

    /// A channel's pointer, unchecked, where it is another than the last time; `tag` remembers that.
    pub(crate) async fn changed_pointer(
        &self,
        content: &ContentName,
        channel: &Name,
        tag: &mut Option<Tag>,
    ) -> Result<Option<Bytes>, OriginError> {
        let path = origin_path::pointer(content, channel);
        let bytes_max = envelope_bytes_max(POINTER_KIND) as u64;
        let Some((pointer, now)) = self.whole_unless(&path, tag.clone(), bytes_max).await? else {
            return Ok(None);
        };
        *tag = now;
        Ok(Some(pointer))
    }

    /// The root of a version, unsigned: what it names must be checked.
    pub(crate) async fn version(&self, content: &ContentName, version: &Name) -> Result<RootId, OriginError> {
        let path = origin_path::version(content, version);
        let text = self.whole(&path, VERSION_BYTES_MAX).await?;
        let root = std::str::from_utf8(&text).ok().and_then(|text| text.trim().parse().ok());
        root.ok_or_else(|| OriginError {
            url: path,
            fault: OriginFault::Wrong("something that names no root".to_owned()),
            retry_after: None,
        })
    }

    /// The entries of a stream's rendition around a sequence, unchecked.
    pub(crate) async fn entry_page(
        &self,
        stream: &ContentName,
        rendition: &str,
        sequence: u64,
    ) -> Result<Bytes, OriginError> {
        let path = origin_path::entries(stream, rendition, sequence);
        self.whole(&path, limits::ENTRY_PAGE_BYTES_MAX as u64).await
    }

    /// A root's envelope, unchecked.
    pub(crate) async fn root(&self, content: &ContentName, id: RootId) -> Result<Bytes, OriginError> {
        self.whole(&origin_path::root(content, id), envelope_bytes_max(ROOT_KIND) as u64).await
    }

    /// A page, checked against the root's word: its plain bytes and what they say.
    pub(crate) async fn page(
        &self,
        content: &ContentName,
        page: &PageRef,
    ) -> Result<(Bytes, Page), OriginError> {
        self.plain_page(content, page.id, page.bytes, |plain| Page::open(page, plain)).await
    }

    /// A patch's envelope, unchecked.
    pub(crate) async fn patch(&self, content: &ContentName, id: PatchId) -> Result<Bytes, OriginError> {
        self.whole(&origin_path::patch(content, id), envelope_bytes_max(PATCH_KIND) as u64).await
    }

    /// A page of a patch, checked against the patch's word: its plain bytes and what they say.
    pub(crate) async fn patch_page(
        &self,
        content: &ContentName,
        page: &PatchPageRef,
    ) -> Result<(Bytes, PatchPage), OriginError> {
        self.plain_page(content, page.id, page.bytes, |plain| PatchPage::open(page, plain)).await
    }

    async fn plain_page<P>(
        &self,
        content: &ContentName,
        id: PageId,
        bytes: u32,
        open: impl FnOnce(&Bytes) -> Result<P, PageError>,
    ) -> Result<(Bytes, P), OriginError> {
        let path = origin_path::page(content, id);
        // zstd adds at most a few bytes to what it cannot compress.
        let packed = self.whole(&path, limits::PAGE_BYTES_MAX as u64 + 1024).await?;
        let wrong = |what: String| OriginError {
            url: path.clone(),
            fault: OriginFault::Wrong(what),
            retry_after: None,
        };
        let plain = unpack(&packed, bytes).map_err(|error| wrong(error.to_string()))?;
        let opened = open(&plain).map_err(|error| wrong(error.to_string()))?;
        Ok((plain, opened))
    }

    /// Where the chunks of a page lie in packs. Unsigned: a wrong one makes chunks fail their hash.
    pub(super) async fn index(
        &self,
        content: &ContentName,
        page: &PageRef,
    ) -> Result<PackIndex, OriginError> {
        let path = origin_path::index(content, page.id);
        let bytes = self.whole(&path, limits::PACK_INDEX_BYTES_MAX as u64).await?;
        PackIndex::decode(&bytes, page.chunks).map_err(|error| OriginError {
            url: path,
            fault: OriginFault::Wrong(error.to_string()),
            retry_after: None,
        })
    }
}

/// Decompresses zstd to exactly `bytes` bytes: what would grow beyond its signed size is refused.
pub(super) fn unpack(packed: &[u8], bytes: u32) -> std::io::Result<Bytes> {
    let plain = zstd::bulk::decompress(packed, bytes as usize)?;
    if plain.len() == bytes as usize {
        Ok(plain.into())
    } else {
        Err(std::io::Error::new(std::io::ErrorKind::InvalidData, "unpacks to fewer bytes than signed"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unpacking_is_bounded_by_the_signed_size() {
        let packed = zstd::bulk::compress(&vec![0; 1 << 20], 3).expect("compresses");
        assert!(packed.len() < 1000);
        assert_eq!(unpack(&packed, 1 << 20).expect("exact").len(), 1 << 20);
        assert!(unpack(&packed, (1 << 20) - 1).is_err());
        assert!(unpack(&packed, (1 << 20) + 1).is_err());
        assert!(unpack(&packed[..packed.len() - 1], 1 << 20).is_err());
        assert!(unpack(b"not zstd", 10).is_err());
    }
}
