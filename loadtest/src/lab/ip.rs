//! Which addresses a host has.

use serde::{Deserialize, Serialize};

/// Families of addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LabIp {
    /// IPv4 alone.
    #[default]
    V4,
    /// IPv6 alone.
    V6,
    /// Both.
    Dual,
}

impl LabIp {
    pub(super) fn has_v4(self) -> bool {
        self != Self::V6
    }

    pub(super) fn has_v6(self) -> bool {
        self != Self::V4
    }
}
