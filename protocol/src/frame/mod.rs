//! Frames of the peer protocol, ALPN `freshet/1` (PROTOCOL.md 7).
//!
//! ```text
//! frame = type:varint length:varint body
//! ```
//! Even types are critical: a reader that does not know one closes the link and names it. Odd types are optional and
//! skipped. On QUIC and WebTransport the first bidirectional stream carries control frames, and each Request has a
//! stream of its own on which Data or Refuse answer; on a data channel all frames share the channel.

mod body;
mod codec;

use std::net::SocketAddr;
use std::ops::Range;

use bytes::Bytes;

use crate::id::{ContentName, Hash, KeyId, RootId};
use crate::key::PublicKey;
use crate::wire::WireError;

pub(crate) use body::{TYPE_DATA, read_data_fields};
pub use codec::{DATA_HEAD_BYTES_MAX, Decoded, frame_head_len};

/// The protocol version that this program speaks.
pub const PEER_VERSION: u64 = 1;
/// Feature bit of a Hello: this peer passes on and understands [`Frame::Peers`] and [`Frame::Signal`].
pub const FEATURE_INTRODUCTIONS: u64 = 1;
/// ALPN of the peer protocol.
pub const PEER_ALPN: &[u8] = b"freshet/1";

/// Why a frame was refused. The sender is the guilty side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The body is not what its type says.
    #[error("frame of type {kind}: {error}")]
    Body {
        /// Type of the frame.
        kind: u64,
        /// What is wrong.
        error: WireError,
    },
    /// The head is not valid.
    #[error("frame head: {0}")]
    Head(WireError),
    /// A critical type that this version does not know.
    #[error("frame type {0} is critical and unknown")]
    UnknownCritical(u64),
}

/// Opens each link, on both sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// Lowest version spoken.
    pub version_min: u64,
    /// Highest version spoken.
    pub version_max: u64,
    /// Feature bits; unknown ones are ignored.
    pub features: u64,
    /// Fresh random bytes, which the other's Proof signs.
    pub nonce: [u8; 32],
    /// The peer's signing key.
    pub key: PublicKey,
    /// The tracker's word for that key.
    pub ticket: Vec<u8>,
    /// Program and version, for people.
    pub agent: String,
}

impl Hello {
    /// The highest version that both sides speak.
    pub fn common_version(&self, own_min: u64, own_max: u64) -> Option<u64> {
        let version = self.version_max.min(own_max);
        (version >= self.version_min.max(own_min)).then_some(version)
    }
}

/// Kinds of blobs that can be asked for by hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlobKind {
    /// A chunk.
    Chunk,
    /// A manifest page, plain.
    Page,
    /// A root's envelope; the hash is the root id.
    Root,
}

/// How payload bytes are encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Encoding {
    /// As they are; every peer offers it.
    Identity,
    /// Zstandard (RFC 8878).
    Zstd,
    /// gzip (RFC 1952).
    Gzip,
}

impl Encoding {
    fn code(self) -> u64 {
        match self {
            Self::Identity => 0,
            Self::Zstd => 1,
            Self::Gzip => 2,
        }
    }

    /// The bit of this encoding in [`Request::encodings`].
    pub fn bit(self) -> u64 {
        1 << self.code()
    }
}

/// Asks for a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// Number of the request, unique on its link.
    pub request: u64,
    /// What kind of blob.
    pub kind: BlobKind,
    /// Its hash.
    pub hash: Hash,
    /// Where to start, in bytes of the plain blob.
    pub offset: u32,
    /// Set of [`Encoding::bit`]s that the asker can read beside identity.
    pub encodings: u64,
}

/// Bytes of a blob. Several follow each other until `total` is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Data {
    /// Number of the request.
    pub request: u64,
    /// Encoding of the whole answer.
    pub encoding: Encoding,
    /// Size of the whole answer as encoded, in bytes.
    pub total: u32,
    /// The bytes.
    pub payload: Bytes,
}

/// Why a request is not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RefuseReason {
    /// The blob is not here (any more).
    NotHeld,
    /// Too much to do; ask later or elsewhere.
    Busy,
    /// The budget for sending is used up.
    Budget,
    /// The owner does not share.
    NotSharing,
    /// A reason that this version does not know.
    Other,
}

impl RefuseReason {
    fn code(self) -> u64 {
        match self {
            Self::NotHeld => 0,
            Self::Busy => 1,
            Self::Budget => 2,
            Self::NotSharing => 3,
            Self::Other => 4,
        }
    }

    fn of_code(code: u64) -> Self {
        match code {
            0 => Self::NotHeld,
            1 => Self::Busy,
            2 => Self::Budget,
            3 => Self::NotSharing,
            _ => Self::Other,
        }
    }
}

/// Where a peer sees another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Where the datagrams of its link come from.
    pub address: SocketAddr,
    /// Whether those of the one who is told come from the same line.
    pub is_near: bool,
}

/// A frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// First frame of each side.
    Hello(Hello),
    /// Signature over [`crate::proof_message`]; second frame of each side.
    Proof {
        /// Ed25519 signature.
        signature: [u8; 64],
    },
    /// Names a release by a short number for the frames that follow on this link.
    Release {
        /// The number, below 16.
        release: u64,
        /// The release.
        root: RootId,
        /// Its number of chunk positions.
        chunks: u32,
        /// Whether the sender hands out chunks of it.
        sharing: bool,
    },
    /// Names a rendition of a stream by a short number, out of those that releases have too. Its positions are
    /// [`piece_position`](crate::piece_position)s.
    Rendition {
        /// The number, below 16.
        release: u64,
        /// The stream.
        stream: ContentName,
        /// Its epoch.
        epoch: u64,
        /// Path of the rendition's playlist, as in [`SegmentEntry::path`](crate::SegmentEntry::path).
        rendition: String,
        /// Whether the sender hands out pieces of it.
        sharing: bool,
    },
    /// Positions that the sender holds now.
    Have {
        /// Number of the release.
        release: u64,
        /// Ascending, disjoint ranges.
        ranges: Vec<Range<u64>>,
    },
    /// Positions that the sender no longer holds.
    Withdraw {
        /// Number of the release.
        release: u64,
        /// Ascending, disjoint ranges.
        ranges: Vec<Range<u64>>,
    },
    /// Positions that the sender is fetching from the origin now; replaces what it said before. Optional.
    Fetching {
        /// Number of the release.
        release: u64,
        /// Ascending, disjoint ranges.
        ranges: Vec<Range<u64>>,
    },
    /// Asks for a blob.
    Request(Request),
    /// Bytes of a blob.
    Data(Data),
    /// A request is not answered.
    Refuse {
        /// Number of the request.
        request: u64,
        /// Why.
        reason: RefuseReason,
    },
    /// A request is no longer wanted (data channels; on QUIC the stream is reset).
    Cancel {
        /// Number of the request.
        request: u64,
    },
    /// The newest channel pointer that the sender knows: an envelope. Optional.
    Pointer {
        /// The envelope's JSON.
        envelope: Vec<u8>,
    },
    /// The newest key document that the sender knows: an envelope, good only under the tenant's key that the reader
    /// pins. Lets a peer join while the origin is away. Optional.
    Keys {
        /// The envelope's JSON.
        envelope: Vec<u8>,
    },
    /// A signed entry of a segment, new to the sender. Optional.
    Entry {
        /// The entry.
        entry: Vec<u8>,
    },
    /// A fresh ticket of the sender. Optional.
    Ticket {
        /// The ticket.
        ticket: Vec<u8>,
    },
    /// The sender's other peers of this swarm that can be met through it. Optional.
    Peers {
        /// Whether it wants to know the receiver's.
        asks: bool,
        /// Their keys, at most [`PEERS_MAX`](crate::limits::PEERS_MAX).
        keys: Vec<KeyId>,
    },
    /// Something that two of a peer's peers say to each other through it. Optional.
    Signal {
        /// Whom it is for; where it was passed on, who says it.
        key: KeyId,
        /// Where the peer that passes it on sees who says it; none: it is to be passed on.
        seen: Option<Seen>,
        /// What, an [`Introduction`](crate::Introduction); nobody else looks at it.
        data: Vec<u8>,
    },
    /// The sender closes the link.
    Bye {
        /// Why, for people.
        reason: String,
    },
}
