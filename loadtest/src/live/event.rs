//! What a node tells on standard output (`freshet-node get --json`), as far as a run needs it.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::report::LinkTimes;

/// Verified bytes by source.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct SourceBytes {
    /// From peers.
    pub(crate) peer: u64,
    /// From the origin.
    pub(crate) origin: u64,
}

/// Payload over links of one sort.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Traffic {
    /// What came.
    pub(crate) received: u64,
}

/// The account at the end of a job. All sizes are in bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct NodeAccount {
    /// Whether the release is installed.
    pub(crate) installed: bool,
    /// Used bytes by source.
    pub(crate) bytes: SourceBytes,
    /// Used bytes from the origin, by reason.
    pub(crate) origin_bytes_by_reason: BTreeMap<String, u64>,
    /// Body bytes that the origin sent, chunks and manifest.
    pub(crate) origin_wire_bytes: u64,
    /// Requests sent to the origin.
    pub(crate) origin_requests: u64,
    /// Bytes that came and were not used.
    pub(crate) waste_bytes: u64,
    /// Of these, bytes that did not match their hash.
    pub(crate) corrupt_bytes: u64,
    /// Payload handed to peers.
    pub(crate) sent_bytes: u64,
    /// Payload from and to peers, by how near they are.
    pub(crate) peer_bytes_by_locality: BTreeMap<String, Traffic>,
    /// How long links took.
    pub(crate) link_times: LinkTimes,
    /// Peers that sent bytes that do not match.
    pub(crate) peers_banned: Vec<String>,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub(crate) enum NodeEvent {
    /// What it is going to get.
    Release {
        /// Bytes that it is going to fetch.
        fetch_bytes: u64,
    },
    /// How far it is.
    Progress {
        /// Bytes of the release that are there.
        done_bytes: u64,
        /// Bytes of the release.
        total_bytes: u64,
        /// Where they came from.
        bytes: SourceBytes,
        /// Payload handed to peers.
        sent_bytes: u64,
    },
    /// The release is installed; sharing may go on.
    Installed,
    /// The job is over.
    Done(NodeAccount),
    /// The job failed.
    Failed {
        /// Why, in words.
        message: String,
    },
    /// Something that no figure needs.
    #[serde(other)]
    Other,
}

impl NodeEvent {
    /// Reads a line; none: it is not an event.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        serde_json::from_str(line).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let check = |line: &str, expected| assert_eq!(NodeEvent::parse(line), expected, "{line}");
        check(r#"{"event":"installed"}"#, Some(NodeEvent::Installed));
        check(r#"{"event":"listening","address":"127.0.0.1:1"}"#, Some(NodeEvent::Other));
        check(
            r#"{"event":"progress","done_bytes":1,"total_bytes":2,"bytes":{"peer":3,"origin":4,"local":5},"sent_bytes":6,"links":7}"#,
            Some(NodeEvent::Progress {
                done_bytes: 1,
                total_bytes: 2,
                bytes: SourceBytes { peer: 3, origin: 4 },
                sent_bytes: 6,
            }),
        );
        check(
            r#"{"event":"failed","code":10,"message":"no origin"}"#,
            Some(NodeEvent::Failed { message: "no origin".to_owned() }),
        );
        let account = NodeAccount { waste_bytes: 9, ..NodeAccount::default() };
        check(r#"{"event":"done","waste_bytes":9,"a_new_field":1}"#, Some(NodeEvent::Done(account)));
        check("127.0.0.1:4000", None);
        check("", None);
    }
}
