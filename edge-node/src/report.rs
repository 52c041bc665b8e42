//! What a job did, for people and machines: the numbers that operators compare with their bills.

use std::collections::BTreeMap;
use std::ops::AddAssign;
use std::path::PathBuf;
use std::time::Duration;

use freshet_protocol::KeyId;
use freshet_swarm::{OriginReason, Totals};
use serde::Serialize;

use crate::network::LinkTally;

/// The outcome of a job. All sizes are in bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The content.
    pub content: String,
    /// The release's version, once known.
    pub version: Option<String>,
    /// The release's root id, once known.
    pub root: Option<String>,
    /// Whether the release is installed.
    pub installed: bool,
    /// The sealed version that is here and waits for its key.
    pub preloaded: Option<String>,
    /// Sum of the files that are, or are going to be, installed.
    pub release_bytes: u64,
    /// The parts among them that may be left out.
    pub parts: Vec<String>,
    /// Where the bytes came from.
    pub bytes: Sources,
    /// Plain bytes from the origin by the reason why they were fetched there.
    pub origin_bytes_by_reason: BTreeMap<&'static str, u64>,
    /// Body bytes from the origin as they came over the wire, manifest and compressed chunks together.
    pub origin_wire_bytes: u64,
    /// Requests sent to the origin.
    pub origin_requests: u64,
    /// Bytes that came and were not used.
    pub waste_bytes: u64,
    /// Of these, bytes that did not match their hash.
    pub corrupt_bytes: u64,
    /// Payload bytes handed to peers.
    pub sent_bytes: u64,
    /// Payload bytes from and to peers, by the transport of their links: `quic`, `web-transport`, `web-rtc`.
    pub peer_bytes_by_transport: BTreeMap<&'static str, Traffic>,
    /// The same by how near the peers are: `same-address`, `same-as`, `same-country`, `any`.
    pub peer_bytes_by_locality: BTreeMap<&'static str, Traffic>,
    /// Time since the process started, in milliseconds.
    pub time_ms: u64,
    /// Time from the first fetch of a chunk to the last, in milliseconds.
    pub download_ms: u64,
    /// Time from the start of the process to the installed release, in milliseconds; none before that.
    pub installed_ms: Option<u64>,
    /// Links to peers that came up.
    pub links: u64,
    /// How long they took.
    pub link_times: LinkTimes,
    /// Key ids of peers that sent bytes that do not match.
    pub peers_banned: Vec<String>,
    /// Where foreign files that were in the way have been moved.
    pub moved_aside: Vec<PathBuf>,
}

impl Report {
    /// Adds what a job did that went on beside others. What is said of one release alone stays.
    pub(crate) fn add(&mut self, other: Self) {
        self.bytes += other.bytes;
        for (reason, bytes) in other.origin_bytes_by_reason {
            *self.origin_bytes_by_reason.entry(reason).or_default() += bytes;
        }
        self.waste_bytes += other.waste_bytes;
        self.corrupt_bytes += other.corrupt_bytes;
        self.sent_bytes += other.sent_bytes;
        add_traffic(&mut self.peer_bytes_by_transport, other.peer_bytes_by_transport);
        add_traffic(&mut self.peer_bytes_by_locality, other.peer_bytes_by_locality);
        self.download_ms += other.download_ms;
        self.links += other.links;
        self.link_times += other.link_times;
        self.peers_banned.extend(other.peers_banned);
    }

    /// What a core and its links have counted.
    pub(crate) fn of(totals: &Totals, links: LinkTally) -> Self {
        let by_reason = OriginReason::ALL.iter().map(|reason| reason.name()).zip(totals.origin_bytes);
        Self {
            bytes: Sources { peer: totals.peer_bytes, origin: totals.origin_bytes.iter().sum(), local: 0 },
            origin_bytes_by_reason: by_reason.filter(|(_, bytes)| *bytes > 0).collect(),
            waste_bytes: totals.waste_bytes,
            corrupt_bytes: totals.corrupt_bytes,
            sent_bytes: totals.sent_bytes,
            peer_bytes_by_transport: links.by_transport,
            peer_bytes_by_locality: links.by_locality,
            links: links.total,
            link_times: links.times,
            peers_banned: links.banned.iter().map(KeyId::to_string).collect(),
            ..Self::default()
        }
    }
}

fn add_traffic(to: &mut BTreeMap<&'static str, Traffic>, other: BTreeMap<&'static str, Traffic>) {
    for (name, traffic) in other {
        *to.entry(name).or_default() += traffic;
    }
}

/// What is done so far by something that goes on.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SoFar {
    pub(crate) bytes: Sources,
    pub(crate) sent_bytes: u64,
    pub(crate) links: u32,
}

/// Payload bytes over links of one sort.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Traffic {
    /// Verified chunks that came.
    pub received: u64,
    /// What was handed to peers.
    pub sent: u64,
}

impl AddAssign for Traffic {
    fn add_assign(&mut self, other: Self) {
        self.received += other.received;
        self.sent += other.sent;
    }
}

/// Times from the pairing by the tracker to the link, at this node's end, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct LinkTimes {
    /// Links that answered a pairing.
    pub links: u64,
    /// Those of them within 500 ms.
    pub within_500_ms: u64,
    /// Sum of the times.
    pub sum_ms: u64,
    /// The longest one.
    pub max_ms: u64,
}

impl LinkTimes {
    /// A link took so long.
    pub(crate) fn took(&mut self, time: Duration) {
        let ms = time.as_millis() as u64;
        *self += Self { links: 1, within_500_ms: u64::from(ms <= 500), sum_ms: ms, max_ms: ms };
    }
}

impl AddAssign for LinkTimes {
    fn add_assign(&mut self, other: Self) {
        self.links += other.links;
        self.within_500_ms += other.within_500_ms;
        self.sum_ms += other.sum_ms;
        self.max_ms = self.max_ms.max(other.max_ms);
    }
}

/// Verified bytes by source.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Sources {
    /// From peers.
    pub peer: u64,
    /// From the origin.
    pub origin: u64,
    /// From this folder: files that stay, an earlier download, chunks of the installed release.
    pub local: u64,
}

impl AddAssign for Sources {
    fn add_assign(&mut self, other: Self) {
        self.peer += other.peer;
        self.origin += other.origin;
        self.local += other.local;
    }
}
