//! What the core asks of the shell.

use std::ops::Range;

use freshet_protocol::RefuseReason;

use crate::input::{ChunkIndex, FetchId, LinkId, RequestId};

/// Why bytes come from the origin. Ends up in the metrics: operators ask "why origin?".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OriginReason {
    /// No peer is known to hold it: the swarm's first copy.
    FirstCopy,
    /// The peers would be late for play-out.
    Deadline,
    /// There is no peer to ask.
    NoPeers,
    /// The peers are slower than the origin would be, or stopped.
    SlowPeers,
    /// Peers sent bytes that do not match.
    CorruptPeers,
    /// A segment without a signed entry.
    Unlisted,
    /// The policy says so: P2P is off, or `speed` uses the origin as one more source.
    Policy,
    /// A member of the control group.
    ControlGroup,
}

impl OriginReason {
    /// All reasons, in the order of metrics.
    pub const ALL: [Self; 8] = [
        Self::FirstCopy,
        Self::Deadline,
        Self::NoPeers,
        Self::SlowPeers,
        Self::CorruptPeers,
        Self::Unlisted,
        Self::Policy,
        Self::ControlGroup,
    ];

    /// The name used in metrics and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::FirstCopy => "first-copy",
            Self::Deadline => "deadline",
            Self::NoPeers => "no-peers",
            Self::SlowPeers => "slow-peers",
            Self::CorruptPeers => "corrupt-peers",
            Self::Unlisted => "unlisted",
            Self::Policy => "policy",
            Self::ControlGroup => "control-group",
        }
    }
}

/// Why a peer's request is not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ServeRefusal {
    /// The chunk is not held.
    NotHeld,
    /// Too many requests wait.
    Busy,
    /// The upload budget is used up.
    Budget,
    /// The owner does not share.
    NotSharing,
}

impl From<ServeRefusal> for RefuseReason {
    fn from(refusal: ServeRefusal) -> Self {
        match refusal {
            ServeRefusal::NotHeld => Self::NotHeld,
            ServeRefusal::Busy => Self::Busy,
            ServeRefusal::Budget => Self::Budget,
            ServeRefusal::NotSharing => Self::NotSharing,
        }
    }
}

/// Why a link should be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DropReason {
    /// The peer sent bytes that do not match: its key is banned.
    Corrupt,
    /// The peer broke a bound of the protocol.
    Misbehaved,
}

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "output", rename_all = "kebab-case")]
pub enum Output {
    /// Ask a peer for a chunk.
    Request {
        /// The link.
        link: LinkId,
        /// The request.
        request: RequestId,
        /// The position.
        chunk: ChunkIndex,
    },
    /// Take a request back. No input about it may follow.
    Cancel {
        /// The request.
        request: RequestId,
    },
    /// Fetch a run of neighbouring chunks from the origin; deliver each as it comes, then say that the fetch ended.
    FetchOrigin {
        /// The fetch.
        fetch: FetchId,
        /// First position.
        first: ChunkIndex,
        /// Number of positions.
        count: u32,
        /// Why.
        reason: OriginReason,
    },
    /// Break off an origin fetch. No input about it may follow.
    CancelOrigin {
        /// The fetch.
        fetch: FetchId,
    },
    /// Tell one peer, or all, what is held. Only sent while sharing.
    SendHave {
        /// The link, or none for all.
        link: Option<LinkId>,
        /// Ascending, disjoint ranges; may be more than one frame's worth.
        ranges: Vec<Range<ChunkIndex>>,
    },
    /// Tell all peers what is no longer held.
    SendWithdraw {
        /// Ascending, disjoint ranges.
        ranges: Vec<Range<ChunkIndex>>,
    },
    /// Tell all peers what is being fetched from the origin.
    SendFetching {
        /// Ascending, disjoint ranges.
        ranges: Vec<Range<ChunkIndex>>,
    },
    /// Ask the tracker for shards, and report those held whole since the last time.
    AskShards {
        /// Most shards wanted.
        want: u32,
        /// Shards held whole.
        done: Vec<u32>,
    },
    /// Hand a chunk to a peer, then say `Sent`; say `Lost` first where the bytes no longer match.
    Serve {
        /// The link.
        link: LinkId,
        /// The peer's number for it.
        request: u64,
        /// The position.
        chunk: ChunkIndex,
    },
    /// Refuse a peer's request.
    Refuse {
        /// The link.
        link: LinkId,
        /// The peer's number for it.
        request: u64,
        /// Why.
        reason: ServeRefusal,
    },
    /// Close a link. `LinkDown` is understood.
    DropLink {
        /// The link.
        link: LinkId,
        /// Why.
        reason: DropReason,
    },
    /// Every wanted position is held. Comes once.
    Complete,
}
