//! Where playlists come in, whatever the way: has their segments looked at, signed, written and pushed. When it is done
//! with a playlist, the playlist may be shown.

use std::collections::BTreeSet;

use freshet_listen::hls::Names;
use freshet_listen::hls::playlist::Media;
use freshet_protocol::ContentName;
use futures_util::future::join_all;
use url::Url;

use super::book::Book;
use super::error::{SegmentProblem, StreamError};
use super::source::{Source, Wanted, look_along, wanted_along};
use crate::keys::StreamKey;
use crate::push::Pusher;
use crate::store::Store;

/// A stream that goes on.
#[derive(Debug)]
pub(super) struct Desk {
    names: Names,
    book: Book,
    pushers: Vec<Pusher>,
}

/// What came of a playlist.
#[derive(Debug)]
pub(super) struct Signed {
    /// How many segments are new.
    pub(super) segments: usize,
    /// The first segment that has no entry, and why.
    pub(super) problem: Option<(String, SegmentProblem)>,
}

/// What a stream that goes on is made of.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) store: Store,
    pub(super) content: ContentName,
    pub(super) key: StreamKey,
    /// Addresses of the trackers that entries are pushed to.
    pub(super) trackers: Vec<String>,
}

impl Desk {
    /// Reads what the store holds of the stream, and begins to connect to its trackers.
    pub(super) async fn open(stream: Stream, names: Names) -> Result<Self, StreamError> {
        let Stream { store, content, key, trackers } = stream;
        let start = |url: String| Pusher::start(url, content.clone(), &key);
        let pushers = trackers.into_iter().map(start).collect();
        let book = Book::open(store, content, key).await?;
        Ok(Self { names, book, pushers })
    }

    pub(super) fn names(&self) -> &Names {
        &self.names
    }

    /// All that the playlist at `url` lists, and whether it is known.
    pub(super) fn wanted(&self, url: &Url, media: &Media) -> Vec<Wanted> {
        let known = self.names.path(url).ok().and_then(|path| self.book.rendition(&path));
        wanted_along(media, url, &self.names, known)
    }

    /// Signs what a playlist lists and has no entry yet. What cannot be signed is left out and told: it can be played
    /// all the same.
    pub(super) async fn sign(
        &mut self,
        url: &Url,
        media: &Media,
        source: &impl Source,
    ) -> Result<Signed, StreamError> {
        let fail = |error| StreamError::Name { path: url.path().to_owned(), error };
        let path = self.names.path(url).map_err(fail)?;
        let mut listing = look_along(media, url, &self.names, self.book.rendition(&path), source).await;
        let is_anew = self.book.turn(&path, &listing.listed)?;
        if is_anew {
            // Nothing is known any more, so everything is looked at.
            listing = look_along(media, url, &self.names, None, source).await;
        }
        let mut entered = self.book.enter(&path, &listing.listed).await?;
        if is_anew {
            self.book.clean(&path).await?;
        }
        for entry in &entered.entries {
            self.pushers.iter().for_each(|pusher| pusher.push(entry));
        }
        entered.problems.append(&mut listing.problems);
        if let Some((segment, problem)) = entered.problems.first() {
            let count = entered.problems.len();
            tracing::warn!(playlist = path, segment, %problem, count, "segments have no entries");
        }
        tracing::debug!(playlist = path, segments = entered.segments, "signed");
        Ok(Signed { segments: entered.segments, problem: entered.problems.into_iter().next() })
    }

    /// Drops entries of segments that no playlist has listed since `before` (Unix seconds), unless `is_listed` says that
    /// one still does.
    pub(super) async fn retire(
        &mut self,
        before: u64,
        is_listed: impl Fn(&str) -> bool,
    ) -> Result<(), StreamError> {
        for path in self.book.paths() {
            self.book.forget(&path, |known| known.seen < before && !is_listed(known.path)).await?;
        }
        Ok(())
    }

    /// Drops the entries of segments at `path`.
    pub(super) async fn forget(&mut self, path: &str) -> Result<(), StreamError> {
        for rendition in self.book.paths() {
            self.book.forget(&rendition, |known| known.path == path).await?;
        }
        Ok(())
    }

    /// Waits a moment for the last entries to reach the trackers.
    pub(super) async fn finish(self) {
        join_all(self.pushers.into_iter().map(Pusher::finish)).await;
    }

    /// Paths of all resources that entries are about.
    pub(super) fn resources(&self) -> BTreeSet<&str> {
        self.book.resources().collect()
    }
}
