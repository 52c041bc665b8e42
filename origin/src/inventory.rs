//! What lies in a store, content by content, from the names of its objects.

use std::collections::BTreeMap;

use freshet_protocol::{ContentName, Hash, Name, PackId, PageId, PatchId, RelPath, RootId};

use crate::layout::{self, Kind};
use crate::store::{Object, Store, StoreError};

/// The objects of one content.
#[derive(Debug, Default)]
pub(crate) struct Inventory {
    pub(crate) keys: Option<Object>,
    pub(crate) channels: BTreeMap<Name, Object>,
    pub(crate) histories: BTreeMap<Name, Object>,
    pub(crate) versions: BTreeMap<Name, Object>,
    pub(crate) roots: BTreeMap<RootId, Object>,
    pub(crate) patches: BTreeMap<PatchId, Object>,
    pub(crate) pages: BTreeMap<PageId, Object>,
    pub(crate) gzip_pages: BTreeMap<PageId, Object>,
    pub(crate) indexes: BTreeMap<PageId, Object>,
    pub(crate) packs: BTreeMap<PackId, Object>,
    pub(crate) sidecars: BTreeMap<PackId, Object>,
    /// Files of the stream of this name.
    pub(crate) media: BTreeMap<RelPath, Object>,
    /// Pages of its entries.
    pub(crate) entries: BTreeMap<(Hash, u64), Object>,
    /// All objects together.
    pub(crate) bytes: u64,
}

/// Takes stock of the whole store, or of one content.
pub(crate) async fn read(
    store: &Store,
    only: Option<&ContentName>,
) -> Result<BTreeMap<ContentName, Inventory>, StoreError> {
    let mut contents: BTreeMap<ContentName, Inventory> = BTreeMap::new();
    for object in store.list(only.map_or("", ContentName::as_str)).await? {
        let Some((content, kind)) = layout::parse(&object.path) else { continue };
        if only.is_none_or(|only| *only == content) {
            contents.entry(content).or_default().add(kind, object);
        }
    }
    Ok(contents)
}

impl Inventory {
    fn add(&mut self, kind: Kind, object: Object) {
        self.bytes += object.bytes;
        let replaced = match kind {
            Kind::Keys => self.keys.replace(object),
            Kind::Channel(name) => self.channels.insert(name, object),
            Kind::History(name) => self.histories.insert(name, object),
            Kind::Version(name) => self.versions.insert(name, object),
            Kind::Root(id) => self.roots.insert(id, object),
            Kind::Patch(id) => self.patches.insert(id, object),
            Kind::Page(id) => self.pages.insert(id, object),
            Kind::PageGzip(id) => self.gzip_pages.insert(id, object),
            Kind::Index(id) => self.indexes.insert(id, object),
            Kind::Pack(id) => self.packs.insert(id, object),
            Kind::Sidecar(id) => self.sidecars.insert(id, object),
            Kind::Media(path) => self.media.insert(path, object),
            Kind::Entries(rendition, number) => self.entries.insert((rendition, number), object),
        };
        debug_assert!(replaced.is_none(), "a name is listed once");
    }
}
