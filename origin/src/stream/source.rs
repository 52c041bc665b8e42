//! Where the bytes of segments are looked at, and the walk along a playlist that does so.

use std::sync::Arc;

use futures_util::stream::{self, StreamExt};
use url::Url;

use super::error::SegmentProblem;
use super::names::{self, Names};
use super::pieces::Pieces;
use super::playlist::{Media, Resource};
use super::rendition::{Listed, ListedInit, Rendition};

/// Segments looked at side by side.
const AT_ONCE: usize = 4;

/// A part of a resource whose bytes are wanted.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) url: Url,
    /// First byte and number of bytes; none for the whole.
    pub(super) range: Option<(u64, u64)>,
    /// An entry says already what lies there: it has to be looked at only if it may have changed since.
    pub(super) is_known: bool,
}

/// Something that holds segments.
pub(super) trait Source: Sync {
    /// The pieces of a part; none where it is known and has not changed.
    fn look(
        &self,
        wanted: Wanted,
    ) -> impl Future<Output = Result<Option<Arc<Pieces>>, SegmentProblem>> + Send;
}

/// What a playlist lists, and what of it cannot be signed.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub(super) listed: Vec<Listed>,
    pub(super) problems: Vec<(String, SegmentProblem)>,
}

/// Looks at everything that the playlist at `url` lists. What `known` has need not be looked at again.
pub(super) async fn look_along(
    media: &Media,
    url: &Url,
    names: &Names,
    known: Option<&Rendition>,
    source: &impl Source,
) -> Listing {
    let mut inits = Vec::with_capacity(media.inits.len());
    for init in &media.inits {
        inits.push(look_init(init, url, names, known, source).await.map(Arc::new));
    }
    let inits = &inits;
    let mut found = stream::iter(&media.segments)
        .map(|segment| async move {
            let seen = async {
                let (name, wanted) = wanted(&segment.resource, url, names)?;
                let offset = segment.resource.range.map_or(0, |(start, _)| start);
                let init = match segment.init.map(|at| &inits[at]) {
                    None => None,
                    Some(Ok(init)) => Some(init.clone()),
                    // The initialisation has been named itself.
                    Some(Err(_)) => return Ok(None),
                };
                let is_known =
                    known.is_some_and(|known| known.has(segment.sequence, &name, segment.resource.range));
                let pieces = source.look(Wanted { is_known, ..wanted }).await?;
                let (sequence, duration_us) = (segment.sequence, segment.duration_us);
                Ok(Some(Listed { sequence, path: name, offset, duration_us, pieces, init }))
            };
            seen.await.map_err(|problem| (segment.resource.uri.clone(), problem))
        })
        .buffered(AT_ONCE);
    let mut listing = Listing::default();
    while let Some(seen) = found.next().await {
        match seen {
            Ok(listed) => listing.listed.extend(listed),
            Err(problem) => listing.problems.push(problem),
        }
    }
    drop(found);
    for (init, seen) in media.inits.iter().zip(inits) {
        if let Err(problem) = seen {
            listing.problems.push((init.uri.clone(), SegmentProblem::Io(problem.to_string())));
        }
    }
    listing
}

async fn look_init(
    init: &Resource,
    url: &Url,
    names: &Names,
    known: Option<&Rendition>,
    source: &impl Source,
) -> Result<ListedInit, SegmentProblem> {
    let (name, wanted) = wanted(init, url, names)?;
    let offset = init.range.map_or(0, |(start, _)| start);
    let is_known = known.is_some_and(|known| known.has_init(&name, init.range));
    let pieces = source.look(Wanted { is_known, ..wanted }).await?;
    Ok(ListedInit { path: name, offset, pieces })
}

fn wanted(resource: &Resource, url: &Url, names: &Names) -> Result<(String, Wanted), SegmentProblem> {
    let url = names::join(url, &resource.uri)?;
    Ok((names.path(&url)?, Wanted { url, range: resource.range, is_known: false }))
}
