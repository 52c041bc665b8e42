//! What the transport tells the job. The job owns the decisions; the transport only reports and obeys.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use freshet_protocol::{Frame, KeyId, Locality, PeerId, RefuseReason, Request, Transport, VerifiedChunk};
use freshet_swarm::{LinkId, RequestId};

use super::link::LinkHandle;
use super::nat::Outside;

/// Something that happened on the network. Events of one link come in order: `LinkUp` first, `LinkDown` last.
#[derive(Debug)]
pub enum TransportEvent {
    /// Hello and Proof are done on both sides.
    LinkUp {
        /// The link; never reused by one transport.
        link: LinkId,
        /// What to drive it with.
        handle: LinkHandle,
        /// Who is there.
        peer: PeerInfo,
    },
    /// A control frame: Release, Have, Withdraw, Fetching, Pointer, Keys, Ticket, Peers, Signal or Bye. The others stay inside.
    Frame {
        /// The link.
        link: LinkId,
        /// The frame.
        frame: Frame,
    },
    /// Payload of an own request came in. Coarse: after the first 16 KiB, then at most every 16 KiB and every 50 ms;
    /// what comes after the last report is not told apart from the answer.
    Progress {
        /// The link.
        link: LinkId,
        /// The request.
        request: RequestId,
        /// Payload bytes since the last such event.
        bytes: u32,
    },
    /// An own request ended. Comes once for each request that is not cancelled, before the link's `LinkDown`.
    Answer {
        /// The link.
        link: LinkId,
        /// The request.
        request: RequestId,
        /// How it ended.
        answer: Answer,
    },
    /// The peer asks for a blob: answer with [`LinkHandle::serve`] or [`LinkHandle::refuse`].
    Asked {
        /// The link.
        link: LinkId,
        /// What it asks for. Its number is unique among the link's open requests.
        asked: Request,
    },
    /// The peer took back a request that was not yet being served; an answer given meanwhile is dropped.
    AskCancelled {
        /// The link.
        link: LinkId,
        /// The peer's number for it.
        request: u64,
    },
    /// A serve ended: the peer has acknowledged all of it, took it back, or is gone.
    Sent {
        /// The link.
        link: LinkId,
        /// The peer's number for it.
        request: u64,
        /// Payload bytes handed to the connection.
        bytes: u32,
    },
    /// The link is gone, and nothing more follows about it.
    LinkDown {
        /// The link.
        link: LinkId,
        /// Why, for people.
        reason: String,
    },
    /// Something to be said to the other side of a pairing, through the tracker.
    Signal {
        /// The pairing.
        pair: u64,
        /// What, in the words of PROTOCOL.md 8.
        data: String,
    },
    /// How this node's socket looks from outside: comes when a STUN service is set, and whenever it changes.
    Outside(Outside),
    /// A dial did not lead to a link.
    DialFailed {
        /// The number given to [`super::Transport::dial`].
        pair: u64,
        /// Why, for people.
        reason: String,
    },
}

/// How an own request ended.
#[derive(Debug)]
pub enum Answer {
    /// A chunk that matches its id.
    Verified(VerifiedChunk),
    /// A page that matches its hash, or a root's envelope, which the caller checks.
    Blob(Bytes),
    /// Bytes that cannot be what was asked for: another hash, or another size than the signed one.
    Corrupt {
        /// Payload received, in bytes.
        bytes: u32,
    },
    /// The peer said no.
    Refused(RefuseReason),
    /// The stream or the link broke.
    Failed {
        /// Payload received before the end, in bytes.
        bytes: u32,
    },
}

/// What is known about the other end of a link.
#[derive(Debug, Clone)]
pub struct PeerInfo {
    /// The key that it proved to hold.
    pub key: KeyId,
    /// What the tracker calls it.
    pub peer: PeerId,
    /// The pairing that the link answers, where it answers one.
    pub pair: Option<u64>,
    /// Over which transport it is linked.
    pub transport: Transport,
    /// Where its datagrams come from.
    pub address: SocketAddr,
    /// Round-trip time when the link came up.
    pub rtt: Duration,
    /// How long it took from the pairing to the link, where it answers one.
    pub link_time: Option<Duration>,
    /// How near the tracker says it is.
    pub locality: Locality,
    /// Whether it passes on what two of its peers say to each other.
    pub introduces: bool,
    /// Program and version, in its own words.
    pub agent: String,
}

impl PeerInfo {
    /// The transport's name in reports and logs.
    pub fn transport_name(&self) -> &'static str {
        match self.transport {
            Transport::Quic => "quic",
            Transport::WebTransport => "web-transport",
            Transport::WebRtc => "web-rtc",
            Transport::Unknown => "unknown",
        }
    }
}
