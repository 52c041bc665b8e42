//! What a job tells while it runs, for a progress bar, a launcher's window, or a log.

use std::net::SocketAddr;

use crate::control::Pause;
use crate::report::Sources;

/// Something worth showing.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// The node accepts links here.
    Listening {
        /// The address.
        address: SocketAddr,
    },
    /// The gateway answers here.
    Gateway {
        /// The address.
        address: SocketAddr,
    },
    /// The release is known.
    Release {
        /// Its version.
        version: String,
        /// Its root id.
        root: String,
        /// The parts that are installed of those that may be left out.
        parts: Vec<String>,
        /// Sum of the files that are installed, in bytes.
        bytes: u64,
        /// Number of those files.
        files: u64,
        /// Bytes that are not here yet.
        missing_bytes: u64,
        /// Bytes that are going to be fetched for them, uncompressed: with deltas, fewer.
        fetch_bytes: u64,
    },
    /// How far it is; about four times a second.
    Progress {
        /// Bytes of the release that are here, each chunk counted once per place.
        done_bytes: u64,
        /// Bytes of the release.
        total_bytes: u64,
        /// Where they came from.
        bytes: Sources,
        /// Payload bytes handed to peers.
        sent_bytes: u64,
        /// Links to peers.
        links: u32,
    },
    /// The release is installed; sharing may go on.
    Installed,
    /// The channel shows another version than the one that this job is for.
    NewVersion {
        /// The version.
        version: String,
        /// Over how many seconds those who follow the channel spread.
        start_window_s: u32,
    },
    /// The channel prepares a version that can be fetched ahead of its time.
    NewPreload {
        /// The version.
        version: String,
        /// When it is meant to open, Unix seconds.
        opens: u64,
        /// Over how many seconds those who follow the channel spread.
        start_window_s: u32,
    },
    /// A sealed version is being fetched ahead of its time; progress is about it.
    Preload {
        /// The version.
        version: String,
        /// When it is meant to open, Unix seconds.
        opens: u64,
        /// Bytes of it that fit this installation.
        bytes: u64,
        /// Bytes of those that are not here yet.
        missing_bytes: u64,
    },
    /// A sealed version is here. It opens when the channel tells its key.
    Preloaded {
        /// The version.
        version: String,
        /// When it is meant to open, Unix seconds.
        opens: u64,
    },
    /// Nothing is done until that has passed.
    Paused {
        /// Why.
        pause: Pause,
    },
    /// The job goes on after a pause.
    Resumed,
    /// Something that its owner should know.
    Note {
        /// In words.
        message: String,
    },
}
