//! A demonstration: an origin, a tracker and eight nodes on this machine fetch one build, mostly from each other.

mod bars;

use std::io::IsTerminal;
use std::path::PathBuf;

use anyhow::{Context, Result};
use freshet_swarm::Goal;

use crate::game_build::BUILD_BYTES_DEFAULT;
use crate::live::{Lines, LiveOptions, Release, Verify, View, conclude, run_live};
use crate::plan::Plan;
use crate::refused::refuse_unless;
use crate::report::Shaping;
use bars::Bars;

/// The demonstration as a plan: everything else is a plan's default.
const PLAN: &str = include_str!("plan.json");

/// Arguments of `demo`.
#[derive(Debug, clap::Args)]
pub(crate) struct DemoArgs {
    /// A folder to publish instead of a generated game.
    dir: Option<PathBuf>,
    /// How many nodes fetch it.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=64), value_name = "N")]
    nodes: u32,
    /// What the nodes optimise for: `speed` or `offload`.
    #[arg(long, default_value = "offload", value_parser = goal)]
    goal: Goal,
    /// Folder of freshet-origin, freshet-tracker and freshet-node; by default the one that this program lies in.
    #[arg(long, value_name = "DIR")]
    bin_dir: Option<PathBuf>,
    /// Where to write the report, as JSON.
    #[arg(long, value_name = "PATH")]
    out: Option<PathBuf>,
    /// Keep all files, with everybody's logs, in this empty folder.
    #[arg(long, value_name = "DIR")]
    keep_in: Option<PathBuf>,
}

fn goal(text: &str) -> Result<Goal, String> {
    match text {
        "speed" => Ok(Goal::Speed),
        "offload" => Ok(Goal::Offload),
        other => Err(format!("{other:?} is neither speed nor offload")),
    }
}

impl DemoArgs {
    /// Runs the demonstration and prints what came of it.
    ///
    /// # Errors
    /// When it cannot be run, or a node failed.
    pub(crate) fn run(self) -> Result<()> {
        let release = match self.dir {
            None => Release::Game { bytes: BUILD_BYTES_DEFAULT },
            Some(dir) => {
                refuse_unless(dir.is_dir(), || {
                    format!("{} is not a folder; name one to publish, or none", dir.display())
                })?;
                Release::Folder(dir.canonicalize().with_context(|| format!("look at {}", dir.display()))?)
            }
        };
        let plan = plan(self.nodes, self.goal)?;
        let options = LiveOptions {
            seed: 1,
            bin_dir: self.bin_dir,
            shaping: Shaping::None,
            verify: Verify::All,
            release,
            keep_in: self.keep_in,
        };
        let mut view: Box<dyn View> = if std::io::stderr().is_terminal() {
            Box::new(Bars::new(self.nodes))
        } else {
            Box::new(Lines::new(std::io::stderr()))
        };
        conclude(&run_live(&plan, &options, view.as_mut())?, self.out.as_deref())
    }
}

fn plan(nodes: u32, goal: Goal) -> Result<Plan> {
    let mut plan: Plan = serde_json::from_str(PLAN).context("read the demonstration's plan")?;
    plan.groups[0].count = nodes;
    plan.goal = goal;
    plan.check()?;
    Ok(plan)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plan_is_good() {
        let check = |nodes, goal| {
            let plan = plan(nodes, goal).expect("a plan");
            assert_eq!((plan.nodes(), plan.goal, plan.p2p), (nodes, goal, true));
        };
        check(1, Goal::Speed);
        check(8, Goal::Offload);
        check(64, Goal::Offload);
    }
}
