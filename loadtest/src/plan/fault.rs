//! What goes wrong in a run, and when.

use serde::{Deserialize, Serialize};

use super::read::PlanError;
use super::require;

/// Most faults of one plan.
pub const FAULTS_MAX: usize = 1000;

/// Something that befalls a part of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// When, in milliseconds from the start of the run.
    pub at_ms: u32,
    /// What.
    #[serde(rename = "do")]
    pub deed: Deed,
    /// Whom.
    pub who: Whom,
    /// How many of the nodes; always the same are the first.
    #[serde(default = "all")]
    pub percent: f64,
    /// Which of several trackers, from 0; absent: all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u32>,
    /// Packets lost from then on, in thousandths, for `lose`.
    #[serde(default)]
    pub permille: u32,
    /// How far clocks jump, in seconds, for `clock`.
    #[serde(default)]
    pub seconds: i64,
}

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Deed {
    /// Its process ends at once, without a word.
    Kill,
    /// It is asked to end.
    Terminate,
    /// It starts again, where it was.
    Start,
    /// No packet passes its line.
    CutOff,
    /// Its line loses so many.
    Lose,
    /// Its line is as it was.
    Rejoin,
    /// Its disk is full.
    FillDisk,
    /// There is room again.
    FreeDisk,
    /// Its clock jumps.
    Clock,
}

/// Whom it happens to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Whom {
    /// The origin.
    Origin,
    /// The trackers.
    Tracker,
    /// What they find each other through.
    Broker,
    /// Nodes that fetch.
    Nodes,
}

fn all() -> f64 {
    100.0
}

impl Fault {
    pub(super) fn check(&self, number: usize, trackers: u32) -> Result<(), PlanError> {
        let field = |name: &str| format!("faults.{number}.{name}");
        require(&field("percent"), (0.0..=100.0).contains(&self.percent), "0 to 100")?;
        let is_lossy = self.deed == Deed::Lose;
        require(
            &field("permille"),
            if is_lossy { (1..=999).contains(&self.permille) } else { self.permille == 0 },
            "1 to 999, for lose",
        )?;
        let is_clock = self.deed == Deed::Clock;
        require(
            &field("seconds"),
            is_clock != (self.seconds == 0) && self.seconds.abs() <= 1 << 31,
            "other than 0, for clock",
        )?;
        let is_tracker = self.number.is_none_or(|own| self.who == Whom::Tracker && own < trackers);
        require(&field("number"), is_tracker, "that of a tracker, from 0")?;
        let has_broker = self.who != Whom::Broker || trackers > 1;
        require(&field("who"), has_broker, "the broker where there are several trackers")?;
        let is_of_nodes = matches!(self.deed, Deed::FillDisk | Deed::FreeDisk | Deed::Clock);
        require(&field("who"), !is_of_nodes || self.who == Whom::Nodes, "nodes, for disks and clocks")
    }
}
