//! The command line.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
#[cfg(target_os = "linux")]
use std::time::Duration;

use anyhow::Context;
use clap::{Parser, Subcommand};

#[cfg(target_os = "linux")]
use crate::demo::DemoArgs;
#[cfg(target_os = "linux")]
use crate::figures::{FiguresArgs, measure_core};
use crate::game_build::GenerateArgs;
use crate::huge_pages;
#[cfg(target_os = "linux")]
use crate::lab::serve_delay;
#[cfg(target_os = "linux")]
use crate::live::LiveArgs;
use crate::plan::{PlanError, read_plan};
use crate::refused::Refused;
use crate::report::{Report, page, read_report};
use crate::sim::{Options, SimError, simulate};

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
    /// Makes one page for people of reports.
    Report(ReportArgs),
    /// Runs a plan with real processes: an origin, a tracker and nodes.
    #[cfg(target_os = "linux")]
    Live(LiveArgs),
    /// Lets eight nodes on this machine fetch a build from each other, and tells what that saved.
    #[cfg(target_os = "linux")]
    Demo(DemoArgs),
    /// Measures what Freshet promises in numbers, each beside a reference of the same run.
    #[cfg(target_os = "linux")]
    Figures(FiguresArgs),
    /// Makes a build to publish: the same bytes for the same size and seed.
    Generate(GenerateArgs),
    /// Delays packets in the laboratory network, which starts it.
    #[cfg(target_os = "linux")]
    #[command(hide = true)]
    LabDelay {
        /// Half a round trip, in microseconds.
        one_way_us: u64,
    },
    /// Measures the core of a large release for `figures`, which starts it.
    #[cfg(target_os = "linux")]
    #[command(hide = true)]
    MeasureCore,
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

#[derive(Debug, clap::Args)]
struct ReportArgs {
    /// Reports that `sim` or `live` wrote.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Where to write the page, as HTML.
    #[arg(long)]
    out: PathBuf,
}

impl Args {
    /// Does what was asked.
    ///
    /// # Errors
    /// One sentence for people.
    pub fn run(self) -> anyhow::Result<()> {
        match self.command {
            Command::Sim(args) => {
                huge_pages::ask_for();
                sim(args)
            }
            Command::Report(args) => report(args),
            #[cfg(target_os = "linux")]
            Command::Live(args) => args.run(),
            #[cfg(target_os = "linux")]
            Command::Demo(args) => args.run(),
            #[cfg(target_os = "linux")]
            Command::Figures(args) => args.run(),
            Command::Generate(args) => args.run(),
            #[cfg(target_os = "linux")]
            Command::LabDelay { one_way_us } => serve_delay(Duration::from_micros(one_way_us)),
            #[cfg(target_os = "linux")]
            Command::MeasureCore => measure_core(),
        }
    }
}

/// 2 for a plan that cannot be run, 1 for a run that failed.
pub fn exit_code(error: &anyhow::Error) -> ExitCode {
    let is_usage = error.is::<PlanError>() || error.is::<SimError>() || error.is::<Refused>();
    ExitCode::from(if is_usage { 2 } else { 1 })
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
    report.run.violations.iter().for_each(|violation| eprintln!("violation: {violation}"));
    println!("{}", report.figures.summary());
    anyhow::ensure!(report.run.violations.is_empty(), "the run broke rules, see above");
    let (jobs, finished) = (report.figures.jobs, report.figures.finished);
    anyhow::ensure!(
        report.figures.time_s.is_some(),
        "only {finished} of {jobs} jobs were done when the plan's time was up"
    );
    Ok(())
}

fn report(args: ReportArgs) -> anyhow::Result<()> {
    let reports = args.files.iter().map(|path| read_report(path)).collect::<Result<Vec<_>, _>>()?;
    std::fs::write(&args.out, page(&reports))
        .with_context(|| format!("cannot write the page {}", args.out.display()))?;
    for report in &reports {
        println!("{}: {}", report.run.plan.name, report.figures.summary());
    }
    Ok(())
}

fn write_json(path: &Path, report: &Report) -> anyhow::Result<()> {
    let text = serde_json::to_vec(report)?;
    std::fs::write(path, text).with_context(|| format!("cannot write the report {}", path.display()))
}

/// Processor time of this thread so far, in seconds, where the system tells it.
#[cfg(target_os = "linux")]
pub(crate) fn cpu_s() -> Option<f64> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Some(time.tv_sec as f64 + time.tv_nsec as f64 / 1e9)
}

#[cfg(not(target_os = "linux"))]
fn cpu_s() -> Option<f64> {
    None
}
