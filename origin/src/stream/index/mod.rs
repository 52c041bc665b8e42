//! Signs a stream whose media stays where it is: segments are read once, to be hashed, and nothing but entries is stored.

mod fetch;
mod folder;
mod url;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use ::url::Url;
use freshet_listen::hls::playlist::Media;
use freshet_listen::hls::{self, Names};
use freshet_protocol::ContentName;
use serde::Serialize;

use super::desk::{self, Desk};
use super::live::{IngestError, check_folder, check_knobs};
use super::source::Source;
use super::{SegmentProblem, StreamError};
use crate::keys::StreamKey;
use crate::publish::unix_now;
use crate::store::{ContentLock, Store};

/// Where the media is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IndexInput {
    /// In a folder that a packager writes to, and that something else serves.
    Watch(PathBuf),
    /// Behind the address of its first playlist.
    Playlist {
        /// The address, http or https.
        url: String,
        /// Hosts that media may be fetched from, beside that of the address.
        allow_hosts: Vec<String>,
    },
}

/// What to index, where to, and who signs.
#[derive(Debug)]
pub struct IndexOptions {
    /// Where entries go.
    pub store: Store,
    /// Who signs them.
    pub key: StreamKey,
    /// The stream's name.
    pub content: ContentName,
    /// Where its media is.
    pub input: IndexInput,
    /// Addresses of trackers that new entries are pushed to, at most 8. Default none.
    pub trackers: Vec<String>,
    /// How long entries are kept after playlists have ceased to list them, one second to a year. Default 30 minutes.
    pub dvr: Duration,
    /// Whether to sign what there is now and stop, and to fail where a segment cannot be signed. Default no.
    pub is_once: bool,
}

impl IndexOptions {
    /// Options with the defaults.
    pub fn new(store: Store, key: StreamKey, content: ContentName, input: IndexInput) -> Self {
        let dvr = Duration::from_secs(30 * 60);
        Self { store, key, content, input, trackers: Vec::new(), dvr, is_once: false }
    }
}

/// What was signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Indexed {
    /// Renditions that there are.
    pub renditions: usize,
    /// Segments that had no entry before.
    pub new_segments: usize,
}

/// Signs a stream until it has ended, or once. Dropped, it stops; it goes on from there the next time.
///
/// # Errors
/// [`IngestError`] when the options make no sense or the store fails; with [`IndexOptions::is_once`] also when something
/// cannot be read.
pub async fn index(options: IndexOptions) -> Result<Indexed, IngestError> {
    let IndexOptions { store, key, content, input, trackers, dvr, is_once } = options;
    check_knobs(&trackers, dvr)?;
    if let IndexInput::Watch(folder) = &input {
        check_folder(folder)?;
    }
    let _lock = ContentLock::take_stream(&store, &content).map_err(StreamError::from)?;
    let names = Names::of_store(&content);
    let stream = desk::Stream { store, content, key, trackers };
    let way = Way { dvr, is_once };
    match input {
        IndexInput::Watch(folder) => {
            let desk = Desk::open(stream, names).await?;
            folder::run(Index::new(desk, way), folder).await
        }
        IndexInput::Playlist { url, allow_hosts } => url::run(stream, way, &url, allow_hosts).await,
    }
}

/// How to index.
#[derive(Debug, Clone, Copy)]
struct Way {
    dvr: Duration,
    is_once: bool,
}

/// A stream that is indexed.
struct Index {
    desk: Desk,
    way: Way,
    /// What each playlist lists now, as entries call it.
    listed: BTreeMap<String, BTreeSet<String>>,
    indexed: Indexed,
}

impl Index {
    fn new(desk: Desk, way: Way) -> Self {
        Self { desk, way, listed: BTreeMap::new(), indexed: Indexed::default() }
    }

    /// Signs what a playlist lists. Returns whether something of it could not be signed.
    async fn enter(&mut self, url: &Url, media: &Media, source: &impl Source) -> Result<bool, StreamError> {
        let signed = self.desk.sign(url, media, source).await?;
        self.indexed.new_segments += signed.segments;
        let name = |uri: &String| hls::join(url, uri).and_then(|url| self.desk.names().path(&url)).ok();
        let listed = media.segments.iter().filter_map(|segment| name(&segment.resource.uri)).collect();
        self.listed.insert(url.path().to_owned(), listed);
        self.indexed.renditions = self.listed.len();
        match signed.problem {
            Some((path, problem)) if self.way.is_once => Err(failed(url, path, problem)),
            problem => Ok(problem.is_some()),
        }
    }

    async fn finish(self) -> Indexed {
        self.desk.finish().await;
        self.indexed
    }

    /// Drops entries of segments that no playlist lists and that are older than the window.
    async fn sweep(&mut self) -> Result<(), StreamError> {
        let before = unix_now().saturating_sub(self.way.dvr.as_secs());
        let listed = &self.listed;
        self.desk.retire(before, |path| listed.values().any(|listed| listed.contains(path))).await
    }
}

fn failed(playlist: &Url, path: String, problem: SegmentProblem) -> StreamError {
    StreamError::Segment { playlist: playlist.path().to_owned(), path, problem }
}
