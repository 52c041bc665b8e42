//! Why a stream was not published.

use std::path::PathBuf;

use freshet_listen::hls::NameError;
use freshet_listen::hls::playlist::PlaylistError;
use freshet_protocol::{ContentName, PublicKey, RelPath, WireError};

use super::book::RENDITIONS_MAX;
use super::pieces::TooLarge;
use super::rendition::MEDIA_MAX;
use crate::key_document::PutKeysError;
use crate::release::ReadError;
use crate::store::StoreError;

/// Why a stream was not published. Playlists show what they showed before.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Something in the store could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The key document could not be written.
    #[error(transparent)]
    Keys(#[from] PutKeysError),
    /// The keys are of another tenant than the content.
    #[error("content {content} belongs to tenant {:?}, but the keys are those of {tenant:?}", content.tenant())]
    OtherTenant {
        /// The content.
        content: ContentName,
        /// Whose keys they are.
        tenant: String,
    },
    /// The store has no key document, and none was given.
    #[error("the store has no keys of {0} yet; give --keys-dir, so that players can find who signs")]
    NoDocument(ContentName),
    /// The key document of the store does not name the key.
    #[error(
        "the keys of {content} in the store do not let {key} sign streams; give the --keys-dir that does"
    )]
    NotGranted {
        /// The content.
        content: ContentName,
        /// The key.
        key: PublicKey,
    },
    /// A playlist cannot be read.
    #[error("playlist {path}: {error}")]
    Playlist {
        /// The playlist.
        path: String,
        /// What is wrong with it.
        error: PlaylistError,
    },
    /// A playlist leads to something that is not of this stream.
    #[error("playlist {path}: {error}")]
    Name {
        /// The playlist.
        path: String,
        /// What is wrong.
        error: NameError,
    },
    /// The first playlist is in a folder within the one that is published.
    #[error("{0} lies in a folder of its own; publish that folder, as names of segments begin there")]
    FirstInside(RelPath),
    /// A list of renditions leads to another one.
    #[error("playlist {0} lists renditions, though another one lists it as a rendition")]
    Nested(String),
    /// A segment cannot be signed.
    #[error("playlist {playlist}: {path}: {problem}")]
    Segment {
        /// The playlist that lists it.
        playlist: String,
        /// The segment.
        path: String,
        /// What is wrong.
        problem: SegmentProblem,
    },
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file changed while it was read.
    #[error("{} changed while it was published; stop what writes to the folder and publish again", .0.display())]
    Changed(PathBuf),
    /// More renditions than a stream may have.
    #[error("the stream has more than {RENDITIONS_MAX} renditions")]
    TooManyRenditions,
    /// More segments than a rendition may have at once.
    #[error("rendition {0} has more than {MEDIA_MAX} segments at once; shorten the window")]
    TooManySegments(String),
}

/// Why a segment has no entry.
#[derive(Debug, thiserror::Error)]
pub enum SegmentProblem {
    /// It is not there.
    #[error("it is missing")]
    Missing,
    /// It has no bytes.
    #[error("it is empty")]
    Empty,
    /// It has too many bytes.
    #[error("{0}; make shorter segments")]
    TooLarge(#[from] TooLarge),
    /// The range of the playlist goes beyond it.
    #[error("its byte range goes beyond its end")]
    Short,
    /// It lies where this origin must not look, or has no good name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// An entry cannot say what it should.
    #[error("its entry would have a bad {0}")]
    Wire(#[from] WireError),
    /// Reading failed.
    #[error("{0}")]
    Io(String),
}
