//! Groups: nodes that are alike.

use serde::{Deserialize, Serialize};

use super::read::PlanError;
use super::{is_rate, is_rtt, require};
use crate::lab::{BUFFER, LabIp, LabNat, LabPortMapping, SITE_HOSTS_MAX};

/// How a node behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Behaviour {
    /// As Freshet's own node does.
    #[default]
    Honest,
    /// Fetches nothing, claims to hold everything, and answers every request at once with altered bytes.
    Corrupt,
    /// Fetches nothing, claims to hold everything, sends half of each chunk asked for, and stops.
    Stall,
    /// Honest, but each of its links carries only a trickle.
    Slow,
}

impl Behaviour {
    /// Whether the node takes part in order to harm: it has no job of its own, and is not counted.
    pub fn is_hostile(self) -> bool {
        matches!(self, Self::Corrupt | Self::Stall)
    }
}

/// Nodes that are alike.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// How many.
    pub count: u32,
    /// Uplink, in Mbit/s of wire bytes.
    pub up_mbit: f64,
    /// Downlink, in Mbit/s of wire bytes.
    pub down_mbit: f64,
    /// How long a packet waits at most in the full buffer of its line, in milliseconds, in the laboratory.
    #[serde(default = "line_buffer_ms")]
    pub line_buffer_ms: u32,
    /// Round trip between two such nodes, in milliseconds; between unlike hosts it is the mean of both.
    #[serde(default = "rtt_ms")]
    pub rtt_ms: f64,
    /// When the first may start, in milliseconds from the start of the run.
    #[serde(default)]
    pub start_at_ms: u32,
    /// They start at random within so many milliseconds from there.
    #[serde(default)]
    pub start_spread_ms: u32,
    /// Whether they hand out chunks.
    #[serde(default = "yes")]
    pub sharing: bool,
    /// Their own cap on that, in Mbit/s of payload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share_mbit_max: Option<f64>,
    /// How they behave.
    #[serde(default)]
    pub behaviour: Behaviour,
    /// Whether they hold the whole content at the start.
    #[serde(default)]
    pub seed: bool,
    /// They vanish without a word so many milliseconds after their start, done or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leave_after_ms: Option<u32>,
    /// They stay so many milliseconds after they are done, and say goodbye.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed_ms: Option<u32>,
    /// Whether they know their peers again after a fault, in real runs.
    #[serde(default)]
    pub remembers: bool,
    /// What stands in front of each, in the laboratory.
    #[serde(default)]
    pub nat: LabNat,
    /// How its router may be asked for a port, which they then do, in the laboratory; absent: it gives none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port_mapping: Option<LabPortMapping>,
    /// Whether they share one such line, as the seats of a LAN do, in the laboratory.
    #[serde(default)]
    pub shared_line: bool,
    /// Which addresses each has, in the laboratory.
    #[serde(default)]
    pub ip: LabIp,
    /// Room on a disk of its own for each, in bytes, in the laboratory; absent: as much as there is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_bytes: Option<u64>,
}

fn yes() -> bool {
    true
}

fn line_buffer_ms() -> u32 {
    BUFFER.as_millis() as u32
}

fn rtt_ms() -> f64 {
    2.0
}

impl Group {
    /// Whether its nodes have a job to finish.
    pub fn is_counted(&self) -> bool {
        !self.behaviour.is_hostile() && !self.seed
    }

    /// What of it only the laboratory has, if anything, in words.
    pub fn lab_only(&self) -> Option<String> {
        if self.nat != LabNat::Open {
            return Some(format!("nat {}", self.nat.name()));
        }
        if let Some(mapping) = self.port_mapping {
            return Some(format!("port_mapping {}", mapping.name()));
        }
        if self.shared_line {
            return Some("a shared line".to_owned());
        }
        if self.disk_bytes.is_some() {
            return Some("a disk of its own".to_owned());
        }
        (self.ip != LabIp::V4).then(|| "IPv6".to_owned())
    }

    pub(super) fn check(&self, number: usize) -> Result<(), PlanError> {
        let field = |name: &str| format!("groups.{number}.{name}");
        require(&field("up_mbit"), is_rate(self.up_mbit), "0.01 to 1000000")?;
        require(&field("down_mbit"), is_rate(self.down_mbit), "0.01 to 1000000")?;
        require(&field("share_mbit_max"), self.share_mbit_max.is_none_or(is_rate), "0.01 to 1000000")?;
        require(&field("line_buffer_ms"), (1..=10_000).contains(&self.line_buffer_ms), "1 to 10000")?;
        require(&field("rtt_ms"), is_rtt(self.rtt_ms), "0 to 10000")?;
        let is_site = !self.shared_line || self.count as usize <= SITE_HOSTS_MAX;
        require(&field("count"), is_site, "at most 120 on a shared line")?;
        let is_alone = self.port_mapping.is_none() || !self.shared_line;
        require(&field("port_mapping"), is_alone, "absent on a shared line")
    }
}
