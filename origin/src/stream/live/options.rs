//! How a stream is taken in: the knobs, their defaults and bounds.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use freshet_protocol::{ContentName, check_tracker_addresses};

use crate::keys::StreamKey;
use crate::store::Store;
use crate::stream::StreamError;

/// Least and longest windows.
const DVR_RANGE: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(366 * 24 * 3600);

/// Why a stream is not taken in.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// A knob is out of its bounds.
    #[error("{0}")]
    Knob(String),
    /// Anybody could write the stream.
    #[error("{0} is no address of this machine alone; give --token-file, or listen on 127.0.0.1")]
    Open(SocketAddr),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}; choose another with --listen")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The folder cannot be watched.
    #[error("cannot watch {}: {source}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A playlist cannot be had, or is none.
    #[error("playlist {url}: {reason}")]
    Playlist {
        /// Its address, without the query.
        url: String,
        /// Why.
        reason: String,
    },
    /// The stream cannot be continued.
    #[error(transparent)]
    Stream(#[from] StreamError),
}

/// How segments and playlists come in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// By PUT, POST and DELETE over HTTP, below `CONTENT/media/`.
    Http {
        /// Where to listen; port 0 picks a free one.
        listen: SocketAddr,
        /// What requests must carry as `Authorization: Bearer`. None: only on an address of this machine alone.
        token: Option<String>,
    },
    /// In a folder that a packager writes to.
    Watch(PathBuf),
}

/// What to take in, where to, and who signs.
#[derive(Debug)]
pub struct IngestOptions {
    /// Where the stream goes.
    pub store: Store,
    /// Who signs its entries.
    pub key: StreamKey,
    /// The stream's name.
    pub content: ContentName,
    /// How it comes in.
    pub input: Input,
    /// Addresses of trackers that new entries are pushed to, `ws://` or `wss://`, at most 8. Default none.
    pub trackers: Vec<String>,
    /// How long segments are kept after playlists have ceased to list them, one second to a year. Default 30 minutes.
    pub dvr: Duration,
}

impl IngestOptions {
    /// Options with the defaults.
    pub fn new(store: Store, key: StreamKey, content: ContentName, input: Input) -> Self {
        Self { store, key, content, input, trackers: Vec::new(), dvr: Duration::from_secs(30 * 60) }
    }

    pub(super) fn check(&self) -> Result<(), IngestError> {
        check_knobs(&self.trackers, self.dvr)?;
        match &self.input {
            Input::Http { listen, token: None } if !listen.ip().is_loopback() => {
                Err(IngestError::Open(*listen))
            }
            Input::Http { .. } => Ok(()),
            Input::Watch(folder) => check_folder(folder),
        }
    }
}

/// Checks what all ways of taking in share.
pub(in crate::stream) fn check_knobs(trackers: &[String], dvr: Duration) -> Result<(), IngestError> {
    let knob = |what: &str| Err(IngestError::Knob(what.to_owned()));
    if !DVR_RANGE.contains(&dvr) {
        return knob("the window must be one second to 366 days");
    }
    check_tracker_addresses(trackers).or_else(knob)
}

/// Whether a folder is there to be watched.
pub(in crate::stream) fn check_folder(folder: &std::path::Path) -> Result<(), IngestError> {
    let fail = |source| IngestError::Folder { path: folder.to_owned(), source };
    std::fs::read_dir(folder).map(drop).map_err(fail)
}
