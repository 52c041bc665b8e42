//! Pack indexes of the pages that were needed so far, each fetched once however many runs ask for it.

use std::sync::Arc;

use freshet_protocol::{ContentName, PackIndex, PageRef, Place};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use crate::origin::client::Origin;
use crate::origin::error::OriginError;
use crate::release::Release;

/// An index on its way before any run needs it. Nobody waits for it but the first run.
pub(crate) type EarlyIndex = JoinHandle<Result<PackIndex, OriginError>>;

impl Origin {
    /// Begins to fetch the index of a page.
    pub(crate) fn early_index(&self, content: &ContentName, page: &PageRef) -> EarlyIndex {
        let (origin, content, page) = (self.clone(), content.clone(), page.clone());
        tokio::spawn(async move { origin.index(&content, &page).await })
    }
}

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
    early: Option<EarlyIndex>,
    was_refreshed: bool,
}

impl Indexes {
    /// `first` is the index of the first page, if it is on its way.
    pub(super) fn new(release: &Arc<Release>, first: Option<EarlyIndex>) -> Self {
        let early = std::iter::once(first).chain(std::iter::repeat_with(|| None));
        let cached = |(_, early)| Mutex::new(Cached { early, ..Cached::default() });
        let pages = release.pages().zip(early).map(cached).collect();
        Self { release: Arc::clone(release), pages }
    }

    /// Where the chunk at `position` lies.
    pub(super) async fn place(&self, origin: &Origin, position: u32) -> Result<Place, OriginError> {
        let (page, place) = self.release.page_of(position);
        let mut cached = self.pages[page].lock().await;
        let index = match &cached.index {
            Some(index) => Arc::clone(index),
            None => {
                let root = &self.release.root;
                let early = match cached.early.take() {
                    Some(early) => early.await.ok().and_then(Result::ok),
                    None => None,
                };
                let index = match early {
                    Some(index) => index,
                    None => origin.index(&root.content, self.release.page(page)).await?,
                };
                Arc::clone(cached.index.insert(Arc::new(index)))
            }
        };
        Ok(index.places[place as usize])
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
