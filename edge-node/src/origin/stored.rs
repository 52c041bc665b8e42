//! What chunks take as the origin stores them, asked of the indexes of their pages.

use std::collections::BTreeMap;

use futures_util::{StreamExt, TryStreamExt, stream};

use crate::origin::{Origin, OriginError};
use crate::release::Release;

/// Indexes asked for at a time.
const INDEXES_PARALLEL: usize = 8;

impl Origin {
    /// The stored size of each of some positions, in their order.
    ///
    /// # Errors
    /// When an index cannot be had.
    pub(crate) async fn stored_bytes(
        &self,
        release: &Release,
        positions: impl Iterator<Item = u32>,
    ) -> Result<Vec<u64>, OriginError> {
        let mut by_page: BTreeMap<usize, Vec<u32>> = BTreeMap::new();
        for position in positions {
            let (page, place) = release.page_of(position);
            by_page.entry(page).or_default().push(place);
        }
        let sizes = async |(page, places): (usize, Vec<u32>)| {
            let index = self.index(&release.root.content, release.page(page)).await?;
            Ok(places
                .into_iter()
                .map(|place| u64::from(index.places[place as usize].stored_bytes))
                .collect::<Vec<_>>())
        };
        let pages: Vec<Vec<u64>> =
            stream::iter(by_page).map(sizes).buffered(INDEXES_PARALLEL).try_collect().await?;
        Ok(pages.concat())
    }
}
