//! Pages for browsers that a store does not hold yet: made from its zstd pages when asked for.

use bytes::Bytes;
use freshet_protocol::{ContentName, PageId};
use moka::sync::Cache;
use tokio::sync::Semaphore;

use crate::gzip;
use crate::release::{self, ReadError};
use crate::store::Store;

/// Memory for pages made, in bytes.
const MADE_BYTES_MAX: u64 = 32 << 20;
/// Pages made at once; further requests wait, so that they cannot take the machine from everybody else.
const AT_ONCE_MAX: usize = 2;

pub(super) struct GzipPages {
    made: Cache<(ContentName, PageId), Bytes>,
    places: Semaphore,
}

impl GzipPages {
    pub(super) fn new() -> Self {
        let weigher = |_: &(ContentName, PageId), bytes: &Bytes| bytes.len() as u32 + 256;
        let made = Cache::builder().max_capacity(MADE_BYTES_MAX).weigher(weigher).build();
        Self { made, places: Semaphore::new(AT_ONCE_MAX) }
    }

    /// The page as gzip, made anew unless remembered.
    pub(super) async fn make(
        &self,
        store: &Store,
        content: &ContentName,
        page: PageId,
    ) -> Result<Bytes, ReadError> {
        let key = (content.clone(), page);
        if let Some(made) = self.made.get(&key) {
            return Ok(made);
        }
        let _place = self.places.acquire().await.expect("the semaphore is never closed");
        if let Some(made) = self.made.get(&key) {
            return Ok(made);
        }
        let plain = release::plain_page(store, content, page).await?;
        let made = tokio::task::spawn_blocking(move || gzip::compress(&plain));
        let made = Bytes::from(made.await.expect("compressing does not panic"));
        self.made.insert(key, made.clone());
        Ok(made)
    }
}
