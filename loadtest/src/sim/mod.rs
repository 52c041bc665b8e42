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
    #[error(
        "groups.{group}.nat is {nat:?}, but the simulator knows no address translation: use \"open\", or run the plan live"
    )]
    Nat {
        /// Number of the group.
        group: usize,
        /// Its class.
        nat: String,
    },
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
    let is_open = |nat: &Option<String>| nat.as_deref().is_none_or(|nat| nat == "open");
    if let Some((group, other)) = plan.groups.iter().enumerate().find(|(_, group)| !is_open(&group.nat)) {
        return Err(SimError::Nat { group, nat: other.nat.clone().unwrap_or_default() });
    }
    let mut world = World::new(plan, options);
    world.run();
    Ok(world.into_run())
}
