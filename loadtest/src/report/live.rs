//! What only real load can measure: the machine's part in the figures.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

/// How lines are made as slow as the plan says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shaping {
    /// Everybody behind a line of its own in network namespaces, bytes counted on the wire; needs root.
    Lab,
    /// Everybody on loopback; nodes cap what they hand out. The origin and all downlinks are as fast as the machine.
    User,
    /// Everybody on loopback, as fast as the machine.
    None,
}

/// Beside what a simulation knows too.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LiveRun {
    /// How lines were shaped.
    pub shaping: Shaping,
    /// Mean share of the machine's time that was idle, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_mean: Option<f64>,
    /// The same of the two seconds in which it was least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_least: Option<f64>,
    /// Whether the machine had too little left for the times to be those of the lines.
    pub is_machine_bound: bool,
    /// Processor time, user and system, by program, in seconds.
    pub cpu_s: BTreeMap<String, f64>,
    /// Most memory resident at a time in any node, in bytes.
    pub node_resident_bytes_max: u64,
    /// The nodes' lines; absent on loopback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_wire: Option<WireSplit>,
    /// Payload between nodes, by how near they are to each other.
    #[serde(default)]
    pub peer_bytes_by_locality: BTreeMap<String, u64>,
    /// How long links took from the pairing on, at both their ends.
    #[serde(default)]
    pub link_times: LinkTimes,
    /// What each of several trackers said of itself, each second.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trackers: Vec<TrackerBeat>,
    /// Nodes whose installed tree was compared with the published one and found equal.
    pub verified_trees: u32,
    /// How far what a node said it was going to fetch was from what there was to fetch, at most, as a share of that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub announced_off_max: Option<f64>,
    /// Packets that the laboratory delayed, and those of them that were more than 5 ms late.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delayed_packets: Option<[u64; 2]>,
    /// What a reader of the figures must know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// Times from pairings to links.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkTimes {
    /// Links.
    pub links: u64,
    /// Those of them within 500 ms.
    pub within_500_ms: u64,
    /// Sum of the times.
    pub sum_ms: u64,
    /// The longest one.
    pub max_ms: u64,
}

impl AddAssign for LinkTimes {
    fn add_assign(&mut self, other: Self) {
        self.links += other.links;
        self.within_500_ms += other.within_500_ms;
        self.sum_ms += other.sum_ms;
        self.max_ms = self.max_ms.max(other.max_ms);
    }
}

/// What a tracker said of itself at some moment.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TrackerBeat {
    /// Time since the run began, in milliseconds.
    pub at_ms: f64,
    /// Its number.
    pub tracker: u32,
    /// Clients connected.
    pub clients: u64,
    /// Pairs with a link.
    pub pairs_linked: u64,
    /// Messages of clients since it started.
    pub messages_total: u64,
}

/// Bytes on all nodes' lines together, and what of them was content.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WireSplit {
    /// Sent, with all overhead.
    pub up_bytes: u64,
    /// Of these, payload handed to peers.
    pub up_payload_bytes: u64,
    /// Received, with all overhead.
    pub down_bytes: u64,
    /// Of these, payload from peers and origin, used or not.
    pub down_payload_bytes: u64,
    /// Packets, or trains of them, that found a full buffer.
    pub drops: u64,
}

impl LiveRun {
    /// One line for people, beside the figures.
    pub fn summary(&self) -> String {
        let cpu_s: f64 = self.cpu_s.values().sum();
        let mut line = format!("trees as published {}  CPU {cpu_s:.1} s", self.verified_trees);
        if let (Some(mean), Some(least)) = (self.idle_mean, self.idle_least) {
            line += &format!("  idle {:.0} % (least {:.0} %)", mean * 100.0, least * 100.0);
        }
        // On a LAN, bytes come that were on no line.
        if let Some(wire) = self.node_wire.filter(|wire| wire.down_bytes >= wire.down_payload_bytes) {
            let overhead = |all: u64, payload: u64| 100.0 * (all as f64 / payload.max(1) as f64 - 1.0);
            line +=
                &format!("  overhead received {:.1} %", overhead(wire.down_bytes, wire.down_payload_bytes));
        }
        let between: u64 = self.peer_bytes_by_locality.values().sum();
        if self.peer_bytes_by_locality.len() > 1 {
            let share = |(name, bytes): (&String, &u64)| {
                format!(" {name} {:.0} %", *bytes as f64 * 100.0 / between.max(1) as f64)
            };
            line += "  between nodes:";
            line.extend(self.peer_bytes_by_locality.iter().map(share));
        }
        let LinkTimes { links, within_500_ms, sum_ms, max_ms } = self.link_times;
        if let Some(mean_ms) = sum_ms.checked_div(links) {
            let soon = within_500_ms as f64 * 100.0 / links as f64;
            line += &format!("  links after {mean_ms} ms (latest {max_ms}, {soon:.1} % within 500)");
        }
        if self.is_machine_bound {
            line += "  machine-bound";
        }
        line
    }
}
