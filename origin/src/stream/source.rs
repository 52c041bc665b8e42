//! Where the bytes of segments are looked at, and the walk along a playlist that does so.

use std::sync::Arc;

use freshet_listen::hls::playlist::{Media, Resource, Segment};
use freshet_listen::hls::{self, Names};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt};
use url::Url;

use super::error::SegmentProblem;
use super::pieces::Pieces;
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
pub(super) async fn look_along<S: Source>(
    media: &Media,
    url: &Url,
    names: &Names,
    known: Option<&Rendition>,
    source: &S,
) -> Listing {
    let along = Along { url, names, known, source };
    let mut listing = Listing::default();
    let mut inits = Vec::with_capacity(media.inits.len());
    for init in &media.inits {
        let seen = along.look_init(init).await;
        inits.push(match seen {
            Ok(seen) => Some(Arc::new(seen)),
            Err(problem) => {
                listing.problems.push((init.uri.clone(), problem));
                None
            }
        });
    }
    let looks: Vec<BoxFuture<'_, _>> =
        media.segments.iter().map(|segment| along.look_segment(segment, &inits).boxed()).collect();
    let mut looks = stream::iter(looks).buffered(AT_ONCE);
    while let Some(seen) = looks.next().await {
        match seen {
            Ok(listed) => listing.listed.extend(listed),
            Err(problem) => listing.problems.push(problem),
        }
    }
    listing
}

/// All that the playlist at `url` lists, and whether `known` has it. What has no good name is left out.
pub(super) fn wanted_along(
    media: &Media,
    url: &Url,
    names: &Names,
    known: Option<&Rendition>,
) -> Vec<Wanted> {
    let want = |resource: &Resource, is_known: &dyn Fn(&Rendition, &str) -> bool| {
        let url = hls::join(url, &resource.uri).ok()?;
        let path = names.path(&url).ok()?;
        let is_known = known.is_some_and(|known| is_known(known, &path));
        Some(Wanted { url, range: resource.range, is_known })
    };
    let inits =
        media.inits.iter().filter_map(|init| want(init, &|known, path| known.has_init(path, init.range)));
    let segments = media.segments.iter().filter_map(|segment| {
        want(&segment.resource, &|known, path| known.has(segment.sequence, path, segment.resource.range))
    });
    inits.chain(segments).collect()
}

/// What a walk along a playlist goes by.
struct Along<'a, S> {
    url: &'a Url,
    names: &'a Names,
    known: Option<&'a Rendition>,
    source: &'a S,
}

impl<S: Source> Along<'_, S> {
    /// None where the initialisation that it needs cannot be had, which has been told already.
    async fn look_segment(
        &self,
        segment: &Segment,
        inits: &[Option<Arc<ListedInit>>],
    ) -> Result<Option<Listed>, (String, SegmentProblem)> {
        let init = match segment.init.map(|at| &inits[at]) {
            Some(None) => return Ok(None),
            init => init.cloned().flatten(),
        };
        let is_known =
            |known: &Rendition, name: &str| known.has(segment.sequence, name, segment.resource.range);
        let looked = self.look(&segment.resource, is_known).await;
        let (path, pieces) = looked.map_err(|problem| (segment.resource.uri.clone(), problem))?;
        let offset = segment.resource.range.map_or(0, |(start, _)| start);
        let (sequence, duration_us) = (segment.sequence, segment.duration_us);
        Ok(Some(Listed { sequence, path, offset, duration_us, pieces, init }))
    }

    async fn look_init(&self, init: &Resource) -> Result<ListedInit, SegmentProblem> {
        let (path, pieces) = self.look(init, |known, name| known.has_init(name, init.range)).await?;
        Ok(ListedInit { path, offset: init.range.map_or(0, |(start, _)| start), pieces })
    }

    /// What entries call a resource, and its pieces.
    async fn look(
        &self,
        resource: &Resource,
        is_known: impl Fn(&Rendition, &str) -> bool,
    ) -> Result<(String, Option<Arc<Pieces>>), SegmentProblem> {
        let url = hls::join(self.url, &resource.uri)?;
        let path = self.names.path(&url)?;
        let is_known = self.known.is_some_and(|known| is_known(known, &path));
        let pieces = self.source.look(Wanted { url, range: resource.range, is_known }).await?;
        match &pieces {
            Some(pieces) if pieces.bytes == 0 => Err(SegmentProblem::Empty),
            _ => Ok((path, pieces)),
        }
    }
}
