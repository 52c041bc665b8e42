//! Media types of the origin's own documents.

pub(super) const POINTER: &str = "application/vnd.freshet.pointer+json";
pub(super) const KEYS: &str = "application/vnd.freshet.keys+json";
pub(super) const ROOT: &str = "application/vnd.freshet.root+json";
pub(super) const PATCH: &str = "application/vnd.freshet.patch+json";
/// A page is a zstd blob that the client decompresses itself, not a content coding that a proxy may undo.
pub(super) const PAGE: &str = "application/vnd.freshet.page+zstd";
/// The same for browsers, as gzip.
pub(super) const PAGE_GZIP: &str = "application/vnd.freshet.page+gzip";
pub(super) const VERSION: &str = "text/plain; charset=utf-8";
pub(super) const INDEX: &str = "application/vnd.freshet.index";
pub(super) const PACK: &str = "application/vnd.freshet.pack";
pub(super) const ENTRIES: &str = "application/vnd.freshet.entries";
