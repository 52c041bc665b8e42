//! What the shell tells the core.

use std::ops::Range;

use freshet_protocol::{Locality, RefuseReason};

use crate::policy::Policy;

/// A link to another peer; chosen by the shell, never reused within a core.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct LinkId(pub u64);

/// An own request to a peer; chosen by the core, never reused within it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct RequestId(pub u64);

/// An own fetch from the origin; chosen by the core, never reused within it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct FetchId(pub u64);

/// A position in the release's list of chunks.
pub type ChunkIndex = u32;

/// How a request to a peer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RequestEnd {
    /// All bytes came and match the chunk's hash.
    Verified,
    /// All bytes came and do not match: the peer is to blame, since a chunk comes from one source.
    Corrupt,
    /// The peer said no.
    Refused(Refusal),
    /// The stream broke.
    Failed,
}

/// Why a peer said no; mirrors [`RefuseReason`] with a serialised form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Refusal {
    /// The chunk is not there any more.
    NotHeld,
    /// Ask later.
    Busy,
    /// No further bytes from this peer.
    Exhausted,
}

impl From<RefuseReason> for Refusal {
    fn from(reason: RefuseReason) -> Self {
        match reason {
            RefuseReason::NotHeld => Self::NotHeld,
            RefuseReason::Busy | RefuseReason::Other => Self::Busy,
            RefuseReason::Budget | RefuseReason::NotSharing => Self::Exhausted,
        }
    }
}

/// How a fetch from the origin ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FetchEnd {
    /// Every chunk of the run was delivered.
    Complete,
    /// The origin failed, or broke off. `retry_after_us` is its own word, where it gave one.
    Failed {
        /// Earliest next try, microseconds from now.
        retry_after_us: Option<u64>,
    },
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "input", rename_all = "kebab-case")]
pub enum Input {
    /// A link is up: its Hello is done.
    LinkUp {
        /// The link.
        link: LinkId,
        /// How near the peer is.
        locality: Locality,
        /// Round-trip time, microseconds.
        rtt_us: u64,
    },
    /// A link is gone. Its requests end by this; no `RequestEnded` follows for them.
    LinkDown {
        /// The link.
        link: LinkId,
    },
    /// The peer holds these positions and hands them out.
    Have {
        /// The link.
        link: LinkId,
        /// Ascending, disjoint ranges.
        ranges: Vec<Range<ChunkIndex>>,
    },
    /// The peer no longer holds these positions.
    Withdraw {
        /// The link.
        link: LinkId,
        /// Ascending, disjoint ranges.
        ranges: Vec<Range<ChunkIndex>>,
    },
    /// The peer fetches these positions from the origin now; replaces what it said before.
    Fetching {
        /// The link.
        link: LinkId,
        /// Ascending, disjoint ranges.
        ranges: Vec<Range<ChunkIndex>>,
    },
    /// Bytes of a request came in, not yet verified.
    Progress {
        /// The request.
        request: RequestId,
        /// How many since the last such input.
        bytes: u32,
    },
    /// A request to a peer ended.
    RequestEnded {
        /// The request.
        request: RequestId,
        /// How.
        end: RequestEnd,
    },
    /// Bytes of an origin fetch came in, not yet verified.
    OriginProgress {
        /// The fetch.
        fetch: FetchId,
        /// How many since the last such input.
        bytes: u32,
    },
    /// One chunk of an origin fetch came in whole.
    OriginChunk {
        /// The fetch.
        fetch: FetchId,
        /// The position.
        chunk: ChunkIndex,
        /// Whether its bytes match.
        verified: bool,
    },
    /// An origin fetch ended.
    OriginEnded {
        /// The fetch.
        fetch: FetchId,
        /// How.
        end: FetchEnd,
    },
    /// These positions are held now without having been fetched (another place of the same chunk, an older file).
    Found {
        /// Ascending, disjoint ranges.
        ranges: Vec<Range<ChunkIndex>>,
    },
    /// These positions are wanted, too: what was to be made of others could not be.
    Want {
        /// Ascending, disjoint ranges.
        ranges: Vec<Range<ChunkIndex>>,
    },
    /// A held position no longer matches its hash (the owner edited the file): it is withdrawn, and not fetched again.
    Lost {
        /// The position.
        chunk: ChunkIndex,
    },
    /// The tracker answers: first copies to fetch, and the state of the swarm.
    Shards {
        /// Granted shards, by number.
        granted: Vec<u32>,
        /// Peers that still fetch.
        active_jobs: u32,
        /// What the origin may send to all of them together, bytes a second.
        origin_budget_bytes_s: Option<u64>,
    },
    /// The tracker can be reached.
    TrackerUp,
    /// The tracker cannot be reached.
    TrackerDown,
    /// A peer asks for a chunk.
    PeerRequest {
        /// The link.
        link: LinkId,
        /// The peer's number for it.
        request: u64,
        /// The position.
        chunk: ChunkIndex,
    },
    /// A peer takes a request back, or its stream broke.
    PeerCancel {
        /// The link.
        link: LinkId,
        /// The peer's number for it.
        request: u64,
    },
    /// A chunk was handed to a peer, whole or in part.
    Sent {
        /// The link.
        link: LinkId,
        /// The peer's number for it.
        request: u64,
        /// Payload bytes sent.
        bytes: u32,
    },
    /// The policy changed.
    Policy(Policy),
}
