//! The simulator: real decision cores and the real pairing code under a virtual clock, on a modelled network.
//!
//! What is real: `freshet_swarm::Core` of each node, `freshet_tracker::swarms::Swarms`, the sizes of frames and messages.
//! What is modelled: lines, latency, queues, slow start and loss ([`net`]), the set-up of links (one and a half round
//! trips and a handshake's bytes), the start of a job (four round trips to the origin, then root and pages), and the
//! rules by which a node's shell announces itself ([`announce`]). What is left out: address translation, processor and
//! disk time, hashing, and failures of the origin and the tracker.

mod announce;
mod connection;
mod idle;
mod line;
mod links;
mod message;
mod net;
mod node;
mod origin;
mod outputs;
mod positions;
mod queue;
mod series;
mod setup;
mod stage;
mod trace;
mod tracker;
mod transfers;
mod wire;
mod world;

use std::io::Write;

use crate::plan::Plan;
use crate::report::Run;
use world::World;

/// Time between two samples of the report's series, in microseconds.
const SERIES_US: u64 = 500_000;
/// Time between two looks at idle uplinks, where someone watches.
const WATCH_US: u64 = 100_000;

/// Why a plan cannot be simulated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SimError {
    /// The plan asks for what only real load has.
    #[error("group {group} has {what}, which the simulator does not know: run the plan live")]
    LabOnly {
        /// Number of the group.
        group: usize,
        /// What it is.
        what: String,
    },
    /// The plan lets things go wrong.
    #[error("the simulator knows no faults: run the plan live")]
    Faults,
    /// The plan has several trackers.
    #[error("the simulator has one tracker: run the plan live")]
    Trackers,
}

/// How to simulate.
#[derive(Default)]
pub struct Options<'a> {
    /// Decides every random choice.
    pub seed: u64,
    /// Where each second's state is written, for finding where time goes.
    pub verbose: Option<&'a mut dyn Write>,
}

/// Runs a plan.
///
/// # Errors
/// [`SimError`] when the plan asks for what the simulator does not know.
pub fn simulate(plan: &Plan, options: Options<'_>) -> Result<Run, SimError> {
    if !plan.faults.is_empty() {
        return Err(SimError::Faults);
    }
    if plan.trackers.is_cluster() {
        return Err(SimError::Trackers);
    }
    for (group, other) in plan.groups.iter().enumerate() {
        if let Some(what) = other.lab_only() {
            return Err(SimError::LabOnly { group, what });
        }
    }
    let mut world = World::new(plan, options);
    world.run();
    Ok(world.into_run())
}
