//! Why a folder was not published.

use std::path::PathBuf;

use freshet_protocol::limits::{CHUNKS_MAX, PAGES_MAX, ROOT_BYTES_MAX};
use freshet_protocol::{ContentName, EnvelopeError, Name, PackId, PatchError, PointerError, RootError};

use super::walk::WalkError;
use crate::key_document::PutKeysError;
use crate::keys::KeysError;
use crate::release::ReadError;
use crate::store::StoreError;

/// Why a folder was not published. The channel shows what it showed before.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The folder holds something that cannot be published.
    #[error(transparent)]
    Walk(#[from] WalkError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Something in the store could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A file changed while it was read.
    #[error("{} changed while it was published; stop what writes to the folder and publish again", .0.display())]
    Changed(PathBuf),
    /// A knob is out of its bounds.
    #[error("{0}")]
    Knob(String),
    /// The keys are of another tenant than the content.
    #[error("content {content} belongs to tenant {:?}, but the keys are those of {tenant:?}", content.tenant())]
    OtherTenant {
        /// The content.
        content: ContentName,
        /// Whose keys they are.
        tenant: String,
    },
    /// The key document could not be written.
    #[error(transparent)]
    Keys(#[from] PutKeysError),
    /// The folder and the store contain one another.
    #[error("the folder {} and the store {} lie within each other; move the store with --store", folder.display(), store.display())]
    StoreInside {
        /// The folder.
        folder: PathBuf,
        /// The store.
        store: PathBuf,
    },
    /// The release would have too many chunks.
    #[error("the folder has more than {CHUNKS_MAX} chunks; raise --chunk-avg")]
    TooManyChunks,
    /// The release would have too many pages.
    #[error(
        "the folder's file list needs more than {PAGES_MAX} pages; raise --chunk-avg or pack small files together"
    )]
    TooManyPages,
    /// The root would be too large.
    #[error("the folder's root is longer than {ROOT_BYTES_MAX} bytes; raise --chunk-avg or shorten paths")]
    RootTooLong,
    /// The version is published with other content.
    #[error("this version is published already with other files; publish under a new --version")]
    VersionTaken,
    /// There is no such version.
    #[error("version {0} is not published; `ls` names those that are")]
    NoVersion(Name),
    /// There is no such channel.
    #[error("channel {0} shows nothing; `ls` names the channels that do")]
    NoChannel(Name),
    /// A version that all have cannot be for a share of them.
    #[error("the channel shows version {0} to all already; let it show another one first")]
    NotAShare(Name),
    /// A sealed release is nothing to be installed.
    #[error("version {0} is sealed; `unseal` opens what is in it")]
    IsSealed(Name),
    /// A version that everybody can fetch is no secret.
    #[error("version {0} is published already, so there is nothing to seal; publish under a new --version")]
    IsOpen(Name),
    /// There is no such sealed version.
    #[error("version {0} is not sealed here; `publish --sealed` does that, and `ls` names those that are")]
    NotSealed(Name),
    /// A version's name leaves no room.
    #[error("version {0} is too long for a sealed one: at most 57 characters")]
    SealedName(Name),
    /// A key does not open what it should.
    #[error("{object} does not open: {reason}")]
    Opening {
        /// What was to be opened.
        object: String,
        /// What is wrong.
        reason: String,
    },
    /// The key of a sealed release is not in the keys folder, or cannot be kept there.
    #[error(transparent)]
    ReleaseKey(#[from] KeysError),
    /// A channel has shown one release at most.
    #[error("channel {0} has shown nothing before; name a version with promote")]
    NothingBefore(Name),
    /// A pack vanished from the store in between.
    #[error("pack {0} vanished from the store while publishing (a gc at the same time?); publish again")]
    PackGone(PackId),
    /// Compressing failed.
    #[error("cannot compress: {0}")]
    Compress(std::io::Error),
    /// The root broke a limit.
    #[error(transparent)]
    Root(RootError),
    /// A patch broke a limit.
    #[error(transparent)]
    Patch(#[from] PatchError),
    /// The pointer broke a limit, or the one in the store was refused.
    #[error(transparent)]
    Pointer(#[from] PointerError),
}

impl From<RootError> for PublishError {
    fn from(error: RootError) -> Self {
        match error {
            RootError::Envelope(EnvelopeError::TooLong { .. }) => Self::RootTooLong,
            error => Self::Root(error),
        }
    }
}
