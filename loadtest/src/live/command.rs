//! The subcommand `live`.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use super::table::table;
use super::{Lines, LiveOptions, LiveOutcome, Release, Verify, best_shaping, run_live};
use crate::plan::read_plan;
use crate::report::Shaping;

/// Arguments of `live`.
#[derive(Debug, clap::Args)]
pub(crate) struct LiveArgs {
    /// A plan's file, or the name of a built-in plan.
    plan: String,
    /// Decides the bytes of the build and when each node starts.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where to write the report, as JSON.
    #[arg(long, value_name = "PATH")]
    out: Option<PathBuf>,
    /// Sets a value of the plan, as in `origin.up_mbit=20` or `groups.0.count=40`. May be given several times.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<String>,
    /// Folder of freshet-origin, freshet-tracker and freshet-node; by default the one that this program lies in.
    #[arg(long, value_name = "DIR")]
    bin_dir: Option<PathBuf>,
    /// How lines are made as slow as the plan says; `lab` if root runs this, else `user`.
    #[arg(long, value_enum)]
    shaping: Option<Shaping>,
    /// Which installed trees are compared with what was published.
    #[arg(long, value_enum, default_value_t = Verify::All)]
    verify: Verify,
    /// Let every node have an older version at first, so that what is fetched is an update.
    #[arg(long)]
    update: bool,
    /// Keep all files of the run, with everybody's logs, in this empty folder.
    #[arg(long, value_name = "DIR")]
    keep_in: Option<PathBuf>,
}

impl LiveArgs {
    /// Runs the plan and prints what came of it.
    ///
    /// # Errors
    /// When it cannot be run, or a node failed.
    pub(crate) fn run(self) -> Result<()> {
        let plan = read_plan(&self.plan, &self.settings)?;
        let options = LiveOptions {
            seed: self.seed,
            bin_dir: self.bin_dir,
            shaping: self.shaping.unwrap_or_else(best_shaping),
            verify: self.verify,
            release: if self.update { Release::Update } else { Release::OfPlan },
            keep_in: self.keep_in,
        };
        if self.shaping.is_none() && options.shaping == Shaping::User {
            eprintln!(
                "the laboratory needs root: everybody runs on loopback instead, where only uplinks are capped"
            );
        }
        let outcome = run_live(&plan, &options, &mut Lines::new(std::io::stderr()))?;
        conclude(&outcome, self.out.as_deref())
    }
}

/// Writes and prints the report; the last line is the summary.
///
/// # Errors
/// When a node failed, or the report cannot be written.
pub(crate) fn conclude(outcome: &LiveOutcome, out: Option<&std::path::Path>) -> Result<()> {
    if let Some(out) = out {
        let json = serde_json::to_vec(&outcome.report).context("write the report as JSON")?;
        std::fs::write(out, json).with_context(|| format!("cannot write the report {}", out.display()))?;
    }
    print!("{}", table(&outcome.report));
    println!("{}", outcome.report.figures.summary());
    if outcome.failures.is_empty() {
        return Ok(());
    }
    for failure in &outcome.failures {
        eprintln!("{failure}");
    }
    bail!("{} of the run's checks failed; see above", outcome.failures.len())
}
