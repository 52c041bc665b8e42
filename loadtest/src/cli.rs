//! The command line.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Parser, Subcommand};

use crate::plan::read_plan;
use crate::report::Report;
use crate::sim::{Options, simulate};

/// Load on Freshet, simulated or real, by the same plans and with the same report.
#[derive(Debug, Parser)]
#[command(name = "freshet-loadtest", version)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Simulates a plan: real decisions, modelled lines, virtual time.
    Sim(SimArgs),
}

#[derive(Debug, clap::Args)]
struct SimArgs {
    /// A plan's file, or the name of a built-in plan.
    plan: String,
    /// Decides every random choice; the same seed gives the same run.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where to write the report, as JSON.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Sets a value of the plan, as in `origin.up_mbit=20` or `groups.0.count=40`. May be given several times.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<String>,
    /// Writes each second's use of the uplinks, and why idle ones are idle.
    #[arg(long)]
    verbose: bool,
}

impl Args {
    /// Does what was asked.
    ///
    /// # Errors
    /// One sentence for people.
    pub fn run(self) -> anyhow::Result<()> {
        match self.command {
            Command::Sim(args) => sim(args),
        }
    }
}

fn sim(args: SimArgs) -> anyhow::Result<()> {
    let plan = read_plan(&args.plan, &args.settings)?;
    let mut stdout = std::io::stdout();
    let before_s = cpu_s();
    let options = Options { seed: args.seed, verbose: args.verbose.then_some(&mut stdout as &mut dyn Write) };
    let mut run = simulate(&plan, options)?;
    run.cpu_s = before_s.zip(cpu_s()).map(|(before_s, after_s)| after_s - before_s);
    let report = Report::of(run);
    if let Some(out) = &args.out {
        write_json(out, &report)?;
    }
    println!("{}", serde_json::to_string_pretty(&report.figures)?);
    println!("trace {}", report.run.trace.as_deref().unwrap_or("none"));
    println!("{}", report.figures.summary());
    Ok(())
}

fn write_json(path: &Path, report: &Report) -> anyhow::Result<()> {
    let text = serde_json::to_vec(report)?;
    std::fs::write(path, text).with_context(|| format!("cannot write the report {}", path.display()))
}

/// Processor time of this thread so far, in seconds, where the system tells it.
fn cpu_s() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds: u64 = text.split(' ').next()?.parse().ok()?;
    Some(nanoseconds as f64 / 1e9)
}
