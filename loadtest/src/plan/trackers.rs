//! The trackers of a plan.

use serde::{Deserialize, Serialize};

use super::read::PlanError;
use super::require;

/// Most trackers of one plan.
pub const TRACKERS_MAX: u32 = 8;

/// How many there are, and how they behave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trackers {
    /// How many all nodes know; several are a cluster over a broker.
    #[serde(default = "one")]
    pub count: u32,
    /// Life of a ticket, in seconds; the tracker's own default if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket_life_s: Option<u32>,
}

fn one() -> u32 {
    1
}

impl Default for Trackers {
    fn default() -> Self {
        Self { count: one(), ticket_life_s: None }
    }
}

impl Trackers {
    /// Whether there is a broker.
    pub fn is_cluster(&self) -> bool {
        self.count > 1
    }

    pub(super) fn check(&self) -> Result<(), PlanError> {
        require("trackers.count", (1..=TRACKERS_MAX).contains(&self.count), "1 to 8")?;
        let is_life = self.ticket_life_s.is_none_or(|life_s| (60..=86_400).contains(&life_s));
        require("trackers.ticket_life_s", is_life, "60 to 86400")
    }
}
