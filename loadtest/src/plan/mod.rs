//! Plans: who takes part in a run, over which lines, to fetch what. The same file drives the simulator and real load.

mod builtin;
mod content;
mod fault;
mod group;
mod read;
mod trackers;

use freshet_swarm::{Goal, Policy};
use serde::{Deserialize, Serialize};

pub use builtin::BUILTIN_PLANS;
pub use content::Content;
pub use fault::{Deed, FAULTS_MAX, Fault, Whom};
pub use group::{Behaviour, Group};
pub use read::{PlanError, read_plan};
pub use trackers::{TRACKERS_MAX, Trackers};

/// Most nodes in one plan.
pub const NODES_MAX: u32 = 20_000;
/// Most chunk deliveries (nodes times chunks) that one plan may ask for; keeps a typing error from filling memory.
pub const DELIVERIES_MAX: u64 = 50_000_000;
/// Smallest and largest quantum, in bytes.
pub const QUANTUM_BYTES: std::ops::RangeInclusive<u32> = 1024..=(1 << 20);

/// A run: one content, one origin, groups of nodes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Name, for reports.
    pub name: String,
    /// What it is for, in one sentence.
    #[serde(default)]
    pub about: String,
    /// What every node fetches.
    pub content: Content,
    /// The origin's line; the trackers stand beside it.
    pub origin: Origin,
    /// The trackers.
    #[serde(default)]
    pub trackers: Trackers,
    /// The nodes.
    pub groups: Vec<Group>,
    /// What goes wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<Fault>,
    /// What the jobs optimise for.
    #[serde(default = "offload")]
    pub goal: Goal,
    /// Whether chunks may come from peers.
    #[serde(default = "yes")]
    pub p2p: bool,
    /// When all are told that chunks may come from peers no longer, in milliseconds; absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p2p_off_at_ms: Option<u32>,
    /// The governor's line at `offload`, in thousandths of the reference rate; the core's default if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offload_slack_permille: Option<u32>,
    /// Links that each node asks its tracker for.
    #[serde(default = "links")]
    pub links: u8,
    /// Whether nodes that are done stay and share until the last one is done. A group's `seed_ms` goes first.
    #[serde(default = "yes")]
    pub seed_until_last: bool,
    /// Queue that senders keep in front of a saturated line, in milliseconds: what a control message waits there.
    #[serde(default = "buffer_ms")]
    pub buffer_ms: u32,
    /// Packets lost, in thousandths.
    #[serde(default)]
    pub loss_permille: f64,
    /// Piece in which lines are shared among transfers, in payload bytes. Larger is faster to simulate and coarser.
    #[serde(default = "quantum_bytes")]
    pub quantum_bytes: u32,
    /// The run is given up after so many seconds.
    #[serde(default = "end_after_s")]
    pub end_after_s: u32,
}

/// The origin's side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// Uplink, in Mbit/s of wire bytes.
    pub up_mbit: f64,
    /// What the tracker says the origin may send to all jobs together, in Mbit/s; absent: it says nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget_mbit: Option<f64>,
    /// Whether it refuses what is more than its line carries, as with `serve --bandwidth-mbit-max`; else it sends all of it,
    /// the slower.
    #[serde(default)]
    pub refuses: bool,
    /// Round trip between the origin (and tracker) and a node with the same value, in milliseconds.
    #[serde(default = "rtt_ms")]
    pub rtt_ms: f64,
}

fn yes() -> bool {
    true
}

fn offload() -> Goal {
    Goal::Offload
}

fn links() -> u8 {
    8
}

fn buffer_ms() -> u32 {
    20
}

fn quantum_bytes() -> u32 {
    16 << 10
}

fn end_after_s() -> u32 {
    600
}

fn rtt_ms() -> f64 {
    2.0
}

/// Bytes a second of a line of `mbit` Mbit/s.
pub fn bytes_s_of_mbit(mbit: f64) -> u64 {
    (mbit * 125_000.0).round() as u64
}

impl Plan {
    /// Number of nodes of all groups.
    pub fn nodes(&self) -> u32 {
        self.groups.iter().map(|group| group.count).sum()
    }

    /// The policy of a job of `group`.
    pub fn policy(&self, group: &Group) -> Policy {
        let defaults = Policy::default();
        Policy {
            p2p: self.p2p,
            sharing: group.sharing && self.p2p,
            goal: self.goal,
            upload_bytes_s_max: group.share_mbit_max.map(bytes_s_of_mbit),
            offload_slack_permille: self.offload_slack_permille.unwrap_or(defaults.offload_slack_permille),
            ..defaults
        }
    }

    /// Checks every bound.
    ///
    /// # Errors
    /// [`PlanError::Value`] names the field and what it may be.
    pub fn check(&self) -> Result<(), PlanError> {
        let nodes: u64 = self.groups.iter().map(|group| u64::from(group.count)).sum();
        require("groups", (1..=u64::from(NODES_MAX)).contains(&nodes), "1 to 20000 nodes in all")?;
        self.content.check()?;
        let deliveries = nodes.saturating_mul(self.content.chunks_about());
        require("groups", deliveries <= DELIVERIES_MAX, "at most 50 million chunk deliveries in all")?;
        require("origin.up_mbit", is_rate(self.origin.up_mbit), "0.01 to 1000000")?;
        require("origin.budget_mbit", self.origin.budget_mbit.is_none_or(is_rate), "0.01 to 1000000")?;
        require("origin.rtt_ms", is_rtt(self.origin.rtt_ms), "0 to 10000")?;
        require("buffer_ms", self.buffer_ms <= 10_000, "0 to 10000")?;
        require("loss_permille", (0.0..=200.0).contains(&self.loss_permille), "0 to 200")?;
        require("quantum_bytes", QUANTUM_BYTES.contains(&self.quantum_bytes), "1024 to 1048576")?;
        require("links", (1..=32).contains(&self.links), "1 to 32")?;
        require("end_after_s", (1..=86_400).contains(&self.end_after_s), "1 to 86400")?;
        self.trackers.check()?;
        require("faults", self.faults.len() <= FAULTS_MAX, "at most 1000")?;
        let mut faults = self.faults.iter().enumerate();
        faults.try_for_each(|(number, fault)| fault.check(number, self.trackers.count))?;
        self.groups.iter().enumerate().try_for_each(|(number, group)| group.check(number))
    }
}

pub(crate) fn is_rate(mbit: f64) -> bool {
    (0.01..=1e6).contains(&mbit)
}

pub(crate) fn is_rtt(ms: f64) -> bool {
    (0.0..=10_000.0).contains(&ms)
}

pub(crate) fn require(field: &str, holds: bool, allowed: &'static str) -> Result<(), PlanError> {
    if holds { Ok(()) } else { Err(PlanError::Value { field: field.to_owned(), allowed }) }
}
