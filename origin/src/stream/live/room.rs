//! The stream as it is now: what comes in is stored, signed and shown here, in this order.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use freshet_listen::hls::playlist::{self, Media, PLAYLIST_BYTES_MAX, Playlist};
use freshet_listen::hls::{self, NameError, Names};
use freshet_protocol::{ContentName, RelPath, origin_path};
use futures_util::{Stream, StreamExt, TryStreamExt, pin_mut};
use tokio::sync::Mutex;
use url::Url;

use super::files::{FILES_MAX, Files};
use crate::keys::StreamKey;
use crate::layout::{self, Kind};
use crate::publish::unix_now;
use crate::store::{ContentLock, Store, StoreError};
use crate::stream::StreamError;
use crate::stream::desk::{self, Desk};
use crate::stream::error::SegmentProblem;
use crate::stream::pieces::{Cutter, Pieces, TooLarge};
use crate::stream::source::{Source, Wanted};

/// Most playlists of a stream.
const PLAYLISTS_MAX: usize = 128;

/// Why something that came in was not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum TakeError {
    #[error(transparent)]
    Stream(#[from] StreamError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
    #[error("the stream has {FILES_MAX} files already; shorten --dvr")]
    TooManyFiles,
    #[error("the stream has {PLAYLISTS_MAX} playlists already")]
    TooManyPlaylists,
    /// It ended before it was whole.
    #[error("it did not come whole: {0}")]
    Cut(String),
}

/// A stream that comes in.
pub(super) struct Room {
    store: Store,
    content: ContentName,
    names: Names,
    dvr: Duration,
    files: Files,
    state: Mutex<State>,
    /// Counts playlists as they come, so that none is shown after a newer one.
    arrivals: AtomicU64,
    _lock: ContentLock,
}

struct State {
    desk: Desk,
    shown: BTreeMap<RelPath, Shown>,
}

/// A playlist that players see.
#[derive(Debug, Default)]
struct Shown {
    arrival: u64,
    /// The files that it lists.
    files: BTreeSet<RelPath>,
}

impl Room {
    /// Goes on with what the store holds.
    pub(super) async fn open(
        store: Store,
        content: ContentName,
        key: StreamKey,
        trackers: Vec<String>,
        dvr: Duration,
    ) -> Result<Self, StreamError> {
        let lock = ContentLock::take_stream(&store, &content)?;
        store.delete_abandoned_media(&content)?;
        let names = Names::of_store(&content);
        let stream = desk::Stream { store: store.clone(), content: content.clone(), key, trackers };
        let desk = Desk::open(stream, names.clone()).await?;
        let room = Self {
            store,
            content,
            names,
            dvr,
            files: Files::default(),
            state: Mutex::new(State { desk, shown: BTreeMap::new() }),
            arrivals: AtomicU64::new(0),
            _lock: lock,
        };
        room.load().await?;
        Ok(room)
    }

    pub(super) fn names(&self) -> &Names {
        &self.names
    }

    pub(super) fn content(&self) -> &ContentName {
        &self.content
    }

    pub(super) fn dvr(&self) -> Duration {
        self.dvr
    }

    /// Whether a file is a playlist whose segments get entries.
    pub(super) fn is_playlist(file: &RelPath) -> bool {
        matches!(ending(file).as_str(), "m3u8" | "m3u")
    }

    /// Stores a file as it comes; it appears whole or not at all.
    pub(super) async fn take_file<E: std::fmt::Display>(
        &self,
        file: &RelPath,
        body: impl Stream<Item = Result<Bytes, E>>,
    ) -> Result<(), TakeError> {
        let arriving = self.files.arrive(file.clone()).ok_or(TakeError::TooManyFiles)?;
        let (mut cutter, mut upload) = (Cutter::new(), self.store.upload(&self.object(file)));
        pin_mut!(body);
        let written = async {
            while let Some(bytes) = body.next().await {
                let bytes = bytes.map_err(|error| TakeError::Cut(error.to_string()))?;
                cutter.push(&bytes)?;
                upload.write(bytes).await?;
            }
            Ok(())
        };
        if let Err(error) = written.await {
            upload.abort().await;
            return Err(error);
        }
        upload.finish().await?;
        arriving.stored(Some(Arc::new(cutter.finish())), unix_now());
        Ok(())
    }

    /// Signs what a playlist lists, and shows it.
    pub(super) async fn take_playlist(
        &self,
        url: &Url,
        file: &RelPath,
        bytes: Bytes,
    ) -> Result<(), TakeError> {
        let arrival = self.arrivals.fetch_add(1, Relaxed) + 1;
        let parsed = playlist::parse(&bytes);
        let parsed = parsed.map_err(|error| StreamError::Playlist { path: file.to_string(), error })?;
        let mut files = BTreeSet::new();
        if let Playlist::Media(media) = &parsed {
            self.files.settle(&self.listed(url, media, false)).await;
            files = self.listed(url, media, true);
        }
        let mut state = self.state.lock().await;
        let is_new = !state.shown.contains_key(file);
        if is_new && state.shown.len() == PLAYLISTS_MAX {
            return Err(TakeError::TooManyPlaylists);
        }
        if state.shown.get(file).is_some_and(|shown| shown.arrival > arrival) {
            return Ok(());
        }
        if let Playlist::Media(media) = &parsed {
            let stored = StoredMedia {
                store: &self.store,
                content: &self.content,
                names: &self.names,
                files: &self.files,
            };
            state.desk.sign(url, media, &stored).await?;
        }
        self.store.replace(&self.object(file), bytes).await?;
        self.files.load(file.clone(), unix_now());
        state.shown.insert(file.clone(), Shown { arrival, files });
        Ok(())
    }

    /// Deletes a file and the entries about it.
    pub(super) async fn delete(&self, url: &Url, file: &RelPath) -> Result<(), TakeError> {
        let mut state = self.state.lock().await;
        state.shown.remove(file);
        if let Ok(path) = self.names.path(url) {
            state.desk.forget(&path).await?;
        }
        self.store.delete(&self.object(file)).await?;
        self.files.remove(file);
        Ok(())
    }

    /// Drops the entries, and then the files, of segments that no playlist lists and that are older than the window.
    pub(super) async fn sweep(&self, now: u64) -> Result<(), TakeError> {
        let before = now.saturating_sub(self.dvr.as_secs());
        let mut state = self.state.lock().await;
        let State { desk, shown } = &mut *state;
        let is_listed = |file: &RelPath| shown.values().any(|shown| shown.files.contains(file));
        desk.retire(before, |path| hls::file_of(path).is_ok_and(|file| is_listed(&file))).await?;
        let needed: BTreeSet<RelPath> =
            desk.resources().into_iter().filter_map(|path| hls::file_of(path).ok()).collect();
        for file in self.files.written_before(before) {
            // A list is never too old.
            if !matches!(ending(&file).as_str(), "m3u8" | "m3u" | "mpd")
                && !needed.contains(&file)
                && !is_listed(&file)
            {
                self.store.delete(&self.object(&file)).await?;
                self.files.remove(&file);
            }
        }
        Ok(())
    }

    /// Waits a moment for the last entries to reach the trackers.
    pub(super) async fn finish(self) {
        self.state.into_inner().desk.finish().await;
    }

    /// The files that a playlist lists: those to be signed, or all.
    fn listed(&self, url: &Url, media: &Media, is_all: bool) -> BTreeSet<RelPath> {
        let segments = media.segments.iter().map(|segment| &segment.resource.uri);
        let inits = media.inits.iter().map(|init| &init.uri);
        let links = media.links.iter().filter(|_| is_all);
        let file = |uri: &String| hls::join(url, uri).and_then(|url| self.names.file(&url)).ok();
        segments.chain(inits).chain(links).filter_map(file).collect()
    }

    /// Takes stock of what lies in the store from before.
    async fn load(&self) -> Result<(), StreamError> {
        let mut state = self.state.lock().await;
        for object in self.store.list(&layout::folder(&self.content, "media")).await? {
            let Some((_, Kind::Media(file))) = layout::parse(&object.path) else { continue };
            self.files.load(file.clone(), object.modified);
            if !Self::is_playlist(&file) || state.shown.len() == PLAYLISTS_MAX {
                continue;
            }
            let bytes = self.store.read(&object.path, PLAYLIST_BYTES_MAX as u64).await?;
            if let Ok(Playlist::Media(media)) = playlist::parse(&bytes) {
                let files = self.listed(&self.names.url(&file), &media, true);
                state.shown.insert(file, Shown { arrival: 0, files });
            }
        }
        Ok(())
    }

    fn object(&self, file: &RelPath) -> String {
        origin_path::media(&self.content, file)
    }
}

fn ending(file: &RelPath) -> String {
    file.as_str().rsplit_once('.').map_or(String::new(), |(_, ending)| ending.to_ascii_lowercase())
}

/// Segments as they lie in the store.
struct StoredMedia<'a> {
    store: &'a Store,
    content: &'a ContentName,
    names: &'a Names,
    files: &'a Files,
}

impl Source for StoredMedia<'_> {
    async fn look(&self, wanted: Wanted) -> Result<Option<Arc<Pieces>>, SegmentProblem> {
        let file = self.names.file(&wanted.url)?;
        let stored = self.files.get(&file).ok_or(SegmentProblem::Missing)?;
        match (stored.pieces, wanted.range) {
            // It was cut as it came.
            (Some(pieces), None) => Ok(Some(pieces)),
            // It came before this process ran, and has an entry since.
            (None, _) if wanted.is_known => Ok(None),
            _ => self.read(&file, wanted.range).await.map(Some),
        }
    }
}

impl StoredMedia<'_> {
    async fn read(&self, file: &RelPath, range: Option<(u64, u64)>) -> Result<Arc<Pieces>, SegmentProblem> {
        let fail = |error: StoreError| match error.is_not_found() {
            true => SegmentProblem::Missing,
            false => SegmentProblem::Io(error.to_string()),
        };
        let object = origin_path::media(self.content, file);
        let held = self.store.state(&object).await.map_err(fail)?;
        let (start, bytes) = range.unwrap_or((0, held.bytes));
        if start + bytes > held.bytes {
            return Err(SegmentProblem::Short);
        }
        let mut cutter = Cutter::new();
        let mut parts = self.store.stream(&object, start..start + bytes, held.tag);
        while let Some(part) = parts.try_next().await.map_err(fail)? {
            cutter.push(&part)?;
        }
        Ok(Arc::new(cutter.finish()))
    }
}

impl From<NameError> for TakeError {
    fn from(error: NameError) -> Self {
        Self::Cut(error.to_string())
    }
}
