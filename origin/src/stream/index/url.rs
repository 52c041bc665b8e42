//! Indexes a stream behind an address: follows its playlists as a player does, and fetches each new segment once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex as StdMutex};
use std::time::Duration;

use freshet_listen::hls::playlist::{self, Media, Playlist};
use freshet_listen::hls::{self, Names};
use freshet_protocol::Hash;
use futures_util::future::{BoxFuture, try_join_all};
use futures_util::{FutureExt, StreamExt, stream};
use tokio::sync::Mutex;
use tokio::time::sleep;
use url::Url;

use super::fetch::{FetchError, Fetcher, State};
use super::{Index, Indexed, Way};
use crate::stream::StreamError;
use crate::stream::book::RENDITIONS_MAX;
use crate::stream::desk::{self, Desk};
use crate::stream::error::SegmentProblem;
use crate::stream::live::IngestError;
use crate::stream::pieces::Pieces;
use crate::stream::source::{Source, Wanted};

/// Segments of one rendition fetched side by side.
const AT_ONCE: usize = 4;
/// Bounds of the wait between two looks at a playlist.
const WAIT_MIN: Duration = Duration::from_millis(250);
const WAIT_MAX: Duration = Duration::from_secs(10);
/// Most other hosts that may be named.
const HOSTS_MAX: usize = 64;

pub(super) async fn run(
    stream: desk::Stream,
    way: Way,
    address: &str,
    allow_hosts: Vec<String>,
) -> Result<Indexed, IngestError> {
    let knob = |what: String| IngestError::Knob(what);
    let first =
        Url::parse(address).map_err(|error| knob(format!("{address:?} is not an address: {error}")))?;
    let Some(host) = first.host_str().filter(|_| matches!(first.scheme(), "http" | "https")) else {
        return Err(knob(format!("{address:?} does not start with http:// or https://")));
    };
    if allow_hosts.len() > HOSTS_MAX {
        return Err(knob(format!("at most {HOSTS_MAX} hosts may be allowed")));
    }
    let hosts: BTreeSet<String> = allow_hosts.into_iter().chain([host.to_owned()]).collect();
    let fetcher = Fetcher::new(hosts);
    let unread =
        |error: FetchError| IngestError::Playlist { url: shortened(&first), reason: error.to_string() };
    let got = fetcher.playlist(&first, &State::default()).await.map_err(unread)?;
    let got = got.ok_or_else(|| unread(FetchError::Http("it has no state to compare with".to_owned())))?;
    let parsed = playlist::parse(&got.bytes);
    let parsed = parsed
        .map_err(|error| IngestError::Playlist { url: shortened(&first), reason: error.to_string() })?;
    let names = Names::of_playlist(&got.url);
    let renditions = match parsed {
        Playlist::Media(_) => vec![first],
        Playlist::Master(master) => {
            let mut renditions = BTreeMap::new();
            for uri in &master.renditions {
                let fail = |error| StreamError::Name { path: shortened(&first), error };
                let url = hls::join(&got.url, uri).map_err(fail)?;
                // Two hosts of one rendition give one stream.
                renditions.entry(names.path(&url).map_err(fail)?).or_insert(url);
            }
            if renditions.len() > RENDITIONS_MAX {
                return Err(StreamError::TooManyRenditions.into());
            }
            renditions.into_values().collect()
        }
    };
    let index = Mutex::new(Index::new(Desk::open(stream, names).await?, way));
    let followed = renditions.into_iter().map(|url| follow(&index, &fetcher, url));
    try_join_all(followed).await?;
    Ok(index.into_inner().finish().await)
}

/// What is known of a rendition from the look before.
#[derive(Default)]
struct Before {
    state: State,
    /// Hash of the playlist, for servers that do not say whether it has changed.
    hash: Option<Hash>,
    /// First sequence that it listed.
    first: Option<u64>,
    is_down: bool,
}

/// Follows one rendition until it has ended.
async fn follow(index: &Mutex<Index>, fetcher: &Fetcher, url: Url) -> Result<(), IngestError> {
    let (way, mut before) = (index.lock().await.way, Before::default());
    let mut target = WAIT_MAX;
    loop {
        let looked = look(index, fetcher, &url, &mut before).await;
        let wait = match looked {
            Ok(Look::Ended) => return Ok(()),
            Ok(Look::Changed { target: now }) => {
                target = now;
                target / 2
            }
            Ok(Look::Same) => target / 4,
            Err(IngestError::Playlist { url, reason }) if !way.is_once => {
                if !std::mem::replace(&mut before.is_down, true) {
                    tracing::warn!(playlist = url, reason, "the playlist cannot be read; it is tried again");
                }
                target
            }
            Err(error) => return Err(error),
        };
        if way.is_once {
            return Ok(());
        }
        sleep(wait.clamp(WAIT_MIN, WAIT_MAX)).await;
    }
}

enum Look {
    /// As it was.
    Same,
    /// Segments are this long.
    Changed { target: Duration },
    /// Nothing will be added.
    Ended,
}

async fn look(
    index: &Mutex<Index>,
    fetcher: &Fetcher,
    url: &Url,
    before: &mut Before,
) -> Result<Look, IngestError> {
    let fail = |reason: String| IngestError::Playlist { url: shortened(url), reason };
    let got = fetcher.playlist(url, &before.state).await.map_err(|error| fail(error.to_string()))?;
    if std::mem::take(&mut before.is_down) {
        tracing::info!(playlist = shortened(url), "the playlist can be read again");
    }
    let Some(got) = got else { return Ok(Look::Same) };
    let hash = Some(Hash::of(&got.bytes));
    if before.hash == hash {
        return Ok(Look::Same);
    }
    let Playlist::Media(media) = playlist::parse(&got.bytes).map_err(|error| fail(error.to_string()))? else {
        return Err(StreamError::Nested(shortened(url)).into());
    };
    let has_problem = enter(index, fetcher, &got.url, &media, before.first).await?;
    (before.state, before.hash) = match has_problem {
        // It is to be looked at again even where it stays as it is.
        true => (State::default(), None),
        false => (got.state, hash),
    };
    before.first = media.segments.first().map(|segment| segment.sequence);
    match media.is_ended && !has_problem {
        true => Ok(Look::Ended),
        false => Ok(Look::Changed { target: Duration::from_micros(media.target_us) }),
    }
}

/// Fetches what is new in a playlist, and signs it. Fetching holds up no other rendition.
async fn enter(
    index: &Mutex<Index>,
    fetcher: &Fetcher,
    url: &Url,
    media: &Media,
    first_before: Option<u64>,
) -> Result<bool, StreamError> {
    let last = media.segments.last().map(|segment| segment.sequence);
    // Smaller numbers than before: names may be used again, so what is known is not trusted.
    let is_trusted = first_before.is_none_or(|first| last.is_none_or(|last| last >= first));
    let mut wanted = index.lock().await.desk.wanted(url, media);
    if is_trusted {
        // At the start one that is known is looked at all the same: the packager may have begun anew meanwhile.
        let check = wanted.iter().rposition(|wanted| wanted.is_known).filter(|_| first_before.is_none());
        let mut at = 0;
        wanted.retain(|wanted| {
            at += 1;
            !wanted.is_known || check == Some(at - 1)
        });
    }
    let fetched: Vec<BoxFuture<'_, _>> =
        wanted.into_iter().map(|wanted| async move { fetch(fetcher, wanted).await }.boxed()).collect();
    let fetched: BTreeMap<_, _> = stream::iter(fetched).buffered(AT_ONCE).collect().await;
    let source = Fetched { fetcher, fetched: StdMutex::new(fetched) };
    let mut index = index.lock().await;
    let has_problem = index.enter(url, media, &source).await?;
    index.sweep().await?;
    Ok(has_problem)
}

/// A part of a resource: its address, and its range.
type Part = (String, Option<(u64, u64)>);

async fn fetch(fetcher: &Fetcher, wanted: Wanted) -> (Part, Result<Arc<Pieces>, SegmentProblem>) {
    let pieces = fetcher.pieces(&wanted.url, wanted.range).await.map(Arc::new);
    ((wanted.url.into(), wanted.range), pieces)
}

/// What was fetched for a playlist; the rest is fetched when it is looked at.
struct Fetched<'a> {
    fetcher: &'a Fetcher,
    fetched: StdMutex<BTreeMap<Part, Result<Arc<Pieces>, SegmentProblem>>>,
}

impl Source for Fetched<'_> {
    async fn look(&self, wanted: Wanted) -> Result<Option<Arc<Pieces>>, SegmentProblem> {
        let part = (wanted.url.as_str().to_owned(), wanted.range);
        {
            let mut fetched = self.fetched.lock().expect("nothing panics while it is held");
            // Pieces are kept: where numbering has begun anew, all is looked at a second time.
            if let Some(Ok(pieces)) = fetched.get(&part) {
                return Ok(Some(pieces.clone()));
            }
            match fetched.remove(&part) {
                // It was only looked at to be sure, and may well have gone by now.
                Some(Err(_)) if wanted.is_known => return Ok(None),
                Some(Err(problem)) => return Err(problem),
                _ => {}
            }
        }
        if wanted.is_known {
            return Ok(None);
        }
        fetch(self.fetcher, wanted).await.1.map(Some)
    }
}

/// For messages: without the query, which may hold a token.
fn shortened(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.as_str().chars().take(200).collect()
}
