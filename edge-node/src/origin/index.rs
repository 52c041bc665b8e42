//! Pack indexes of the pages that were needed so far, each fetched once however many runs ask for it.

use std::sync::Arc;

use freshet_protocol::{PackIndex, Place};
use tokio::sync::Mutex;

use crate::origin::client::Origin;
use crate::origin::error::OriginError;
use crate::release::Release;

/// The indexes of one release.
#[derive(Debug)]
pub(super) struct Indexes {
    release: Arc<Release>,
    /// By page. A lock per page: who needs a page waits for the one that fetches its index, and for nobody else.
    pages: Vec<Mutex<Cached>>,
}

#[derive(Debug, Default)]
struct Cached {
    index: Option<Arc<PackIndex>>,
    was_refreshed: bool,
}

impl Indexes {
    /// `first` is the index of the first page, if it is known.
    pub(super) fn new(release: &Arc<Release>, first: Option<PackIndex>) -> Self {
        let known = std::iter::once(first.map(Arc::new)).chain(std::iter::repeat(None));
        let cached = |(_, index)| Mutex::new(Cached { index, was_refreshed: false });
        let pages = release.root.pages.iter().zip(known).map(cached).collect();
        Self { release: Arc::clone(release), pages }
    }

    /// Where the chunk at `position` lies.
    pub(super) async fn place(&self, origin: &Origin, position: u32) -> Result<Place, OriginError> {
        let (page, first) = self.release.page_of(position);
        let mut cached = self.pages[page].lock().await;
        let index = match &cached.index {
            Some(index) => Arc::clone(index),
            None => {
                let root = &self.release.root;
                let index = Arc::new(origin.index(&root.content, &root.pages[page]).await?);
                Arc::clone(cached.index.insert(index))
            }
        };
        Ok(index.places[(position - first) as usize])
    }

    /// Forgets the index of `position`'s page, once in its life: after a repack it is out of date. Whether it did.
    pub(super) async fn refresh(&self, position: u32) -> bool {
        let (page, _) = self.release.page_of(position);
        let mut cached = self.pages[page].lock().await;
        let is_first = !std::mem::replace(&mut cached.was_refreshed, true);
        if is_first {
            cached.index = None;
        }
        is_first
    }
}
