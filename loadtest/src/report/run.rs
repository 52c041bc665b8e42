//! What a run measured, in the same form for the simulator and for real load.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::live::LiveRun;
use crate::plan::Plan;

/// What ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// The simulator: real decision core and pairing code, modelled network, virtual time.
    Sim,
    /// Real processes on shaped lines.
    Live,
}

/// What was measured. Bytes are payload unless a name says `wire`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// What ran.
    pub source: Source,
    /// By which plan.
    pub plan: Plan,
    /// The seed of a simulation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Hash over all events of a simulation, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
    /// Chunks of the content.
    pub chunks: u32,
    /// Bytes that one node needs.
    pub needed_bytes: u64,
    /// Chunks delivered and verified, of all nodes.
    pub deliveries: u64,
    /// End of the run, in milliseconds.
    pub end_ms: f64,
    /// The origin's side.
    pub origin: OriginSent,
    /// Each node, in the order of the plan's groups.
    pub nodes: Vec<NodeRun>,
    /// State over time.
    pub series: Vec<Sample>,
    /// Who gave how much to whom.
    pub fed: Fed,
    /// What a sound run never shows, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub violations: Vec<String>,
    /// Processor time, where it was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_s: Option<f64>,
    /// What only real load measures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<LiveRun>,
}

/// What the origin sent, whether it arrived or not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OriginSent {
    /// Payload: chunks, roots, pages.
    pub bytes: u64,
    /// Of these, roots and pages.
    pub manifest_bytes: u64,
    /// With all overhead.
    pub wire_bytes: u64,
    /// Requests for runs of chunks.
    pub requests: u64,
    /// Of these, told to come back later.
    #[serde(default)]
    pub refused: u64,
}

/// What became of one node.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct NodeRun {
    /// Number of its group in the plan.
    pub group: u32,
    /// Whether its job counts: neither hostile nor a seed from the start.
    pub is_counted: bool,
    /// Start, in milliseconds.
    pub start_ms: f64,
    /// When it held all it needs, in milliseconds; none: it never did.
    pub finish_ms: Option<f64>,
    /// Whether it vanished by the plan before it was done.
    pub left_early: bool,
    /// Verified bytes from peers that were used.
    pub peer_bytes: u64,
    /// Verified bytes from the origin that were used, by reason.
    pub origin_bytes: BTreeMap<String, u64>,
    /// Bytes that came and were not used.
    pub waste_bytes: u64,
    /// Of these, bytes that did not match their hash.
    pub corrupt_bytes: u64,
    /// Bytes handed to peers.
    pub sent_bytes: u64,
    /// Requests made to peers.
    pub requests: u64,
    /// Peers that it banned.
    pub bans: u32,
}

/// State of the run at one moment; rates are means since the sample before.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// When, in milliseconds.
    pub at_ms: f64,
    /// What the origin sends, in Mbit/s of wire bytes.
    pub origin_mbit: f64,
    /// What all peers send, in Mbit/s of wire bytes.
    pub peers_mbit: f64,
    /// Mean share of the content that counted nodes hold, 0 to 1.
    pub completion: f64,
    /// Counted nodes that hold all.
    pub finished: u32,
}

/// Most rows of a who-fed-whom matrix; beyond, neighbouring nodes share a row.
pub const FED_ROWS_MAX: u32 = 64;

/// Who gave how much to whom: a row for each receiver, in it the origin's bytes, then those of each sender.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fed {
    /// Nodes that share a row, and a column.
    pub nodes_per_row: u32,
    /// Bytes: `rows[receiver][0]` from the origin, `rows[receiver][1 + sender]` from a peer.
    pub rows: Vec<Vec<u64>>,
}

impl Fed {
    /// All zero, for so many nodes.
    pub fn new(nodes: u32) -> Self {
        let nodes_per_row = nodes.div_ceil(FED_ROWS_MAX).max(1);
        let rows = nodes.div_ceil(nodes_per_row) as usize;
        Self { nodes_per_row, rows: vec![vec![0; rows + 1]; rows] }
    }

    /// Counts bytes from a peer, or from the origin.
    pub fn add(&mut self, receiver: u32, sender: Option<u32>, bytes: u64) {
        let column = sender.map_or(0, |sender| 1 + (sender / self.nodes_per_row) as usize);
        self.rows[(receiver / self.nodes_per_row) as usize][column] += bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_matrices_are_folded() {
        let check = |nodes, rows, nodes_per_row| {
            let mut fed = Fed::new(nodes);
            fed.add(nodes - 1, Some(nodes - 1), 5);
            fed.add(0, None, 7);
            assert_eq!((fed.rows.len(), fed.nodes_per_row), (rows, nodes_per_row), "{nodes}");
            assert_eq!((fed.rows[0][0], fed.rows[rows - 1][rows]), (7, 5));
        };
        check(1, 1, 1);
        check(FED_ROWS_MAX, 64, 1);
        check(FED_ROWS_MAX + 1, 33, 2);
        check(2000, 63, 32);
    }
}
