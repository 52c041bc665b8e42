//! Load on Freshet, simulated or real, by the same plans and with the same report.
//!
//! A [`Plan`] says who fetches what over which lines. [`simulate`] runs it with the real decision core
//! (`freshet_swarm`) and the real pairing code (`freshet_tracker::swarms`) on a modelled network in virtual time, the
//! same to the last bit for the same seed. A [`Report`] holds what was measured beside the bounds that physics sets.

pub mod cli;
#[cfg(target_os = "linux")]
mod demo;
#[cfg(target_os = "linux")]
mod figures;
mod game_build;
mod huge_pages;
#[cfg(target_os = "linux")]
mod lab;
#[cfg(target_os = "linux")]
mod live;
mod plan;
mod random;
mod refused;
mod report;
mod sim;
mod tree;

pub use game_build::{
    BUILD_BYTES_DEFAULT, BUILD_BYTES_MAX, BuildKind, BuildSpec, BuildSummary, GAME_BYTES_MIN, generate_build,
};
#[cfg(target_os = "linux")]
pub use lab::{
    BUFFER as LAB_BUFFER, DelayReport, LAB_HOSTS_MAX, Lab, LabIp, LabNat, LabPlan, LabPortMapping, LabSite,
    Rate, SITE_HOSTS_MAX, WireBytes, WireMeter, remove_stale_labs,
};

pub use plan::{
    BUILTIN_PLANS, Behaviour, Content, DELIVERIES_MAX, Deed, FAULTS_MAX, Fault, Group, NODES_MAX, Origin,
    Plan, PlanError, QUANTUM_BYTES, TRACKERS_MAX, Trackers, Whom, bytes_s_of_mbit, read_plan,
};
pub use random::Random;
pub use report::{
    Bounds, Completion, FED_ROWS_MAX, Fed, Figures, LinkTimes, LiveRun, NodeRun, OriginSent, REPORT_SCHEMA,
    Report, ReportError, Run, Sample, Shaping, Source, TrackerBeat, WireSplit, page, read_report,
};
pub use sim::{Options, SimError, simulate};
pub use tree::TreeDigest;
