//! The knobs of a job, as policy and the user set them.

use serde::{Deserialize, Serialize};

/// What a bulk job optimises for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Goal {
    /// Never slower than HTTP alone; the origin is one more source.
    Speed,
    /// As few origin bytes as the line of the governor allows.
    Offload,
}

/// The knobs of a job. All may change while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Whether chunks may come from peers. Off: HTTP only, in large ranges.
    pub p2p: bool,
    /// Whether chunks are handed to peers. Off until the user agrees.
    pub sharing: bool,
    /// What to optimise for.
    pub goal: Goal,
    /// Most bytes a second handed to peers; none: no cap.
    pub upload_bytes_s_max: Option<u64>,
    /// Most bytes handed to peers in the life of this core; none: no cap.
    pub upload_bytes_max: Option<u64>,
    /// Most bytes a second that are to be fetched: what the origin could give beyond it is not missed. Whoever reads keeps to
    /// it; none: no cap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub download_bytes_s_max: Option<u64>,
    /// The governor's line at `offload`, in thousandths of the reference rate. 1000 is as fast as HTTP; lower saves
    /// more of the origin and may take longer.
    pub offload_slack_permille: u32,
    /// Reference rate without a sample of the origin's, in bytes a second.
    pub reference_bytes_s_floor: u64,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            p2p: true,
            sharing: false,
            goal: Goal::Speed,
            upload_bytes_s_max: None,
            upload_bytes_max: None,
            download_bytes_s_max: None,
            offload_slack_permille: 500,
            reference_bytes_s_floor: 500_000,
        }
    }
}
