//! What all figures share: how many runs, where files go, and an end on request.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

use super::child;
use crate::live::{Lines, LiveOptions, MEMORY_FOLDER, Programs, Release, Stop, Verify, free_bytes, run_live};
use crate::plan::Plan;
use crate::report::{Report, Shaping};

/// A series of figures.
pub(super) struct Bench {
    /// Runs of each figure.
    pub(super) runs: u32,
    /// The programs to measure.
    pub(super) programs: Programs,
    seed: u64,
    bin_dir: Option<PathBuf>,
    out: PathBuf,
    runtime: tokio::runtime::Runtime,
    stop: Stop,
    has_stopped: bool,
}

impl Bench {
    /// # Errors
    /// When a program is missing.
    pub(super) fn new(runs: u32, seed: u64, out: PathBuf, bin_dir: Option<PathBuf>) -> Result<Self> {
        let programs = Programs::find(bin_dir.as_deref())?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .context("start the asynchronous runtime")?;
        let stop = runtime.block_on(async { Stop::listen() }).context("listen for signals")?;
        Ok(Self { runs, programs, seed, bin_dir, out, runtime, stop, has_stopped: false })
    }

    /// A seed for each run.
    pub(super) fn seeds(&self) -> std::ops::Range<u64> {
        self.seed..self.seed + u64::from(self.runs)
    }

    /// Tells whoever waits.
    pub(super) fn say(&self, text: &str) {
        eprintln!("{text}");
    }

    /// Runs a plan with real processes in the laboratory; every node must install what was published.
    ///
    /// # Errors
    /// When a node failed, or the run could not be made.
    pub(super) fn live(&mut self, plan: &Plan, release: Release, seed: u64) -> Result<Report> {
        // A signal between two runs is heard by neither.
        self.go_on()?;
        let options = LiveOptions { verify: Verify::All, ..self.options(Shaping::Lab, release, seed) };
        let outcome = run_live(plan, &options, &mut Lines::new(std::io::sink()))?;
        ensure!(outcome.failures.is_empty(), "{} --seed {seed}: {}", plan.name, outcome.failures.join("\n"));
        self.say(&format!("  {} seed {seed}: {}", plan.name, outcome.report.figures.summary()));
        Ok(outcome.report)
    }

    /// How a figure's own runs are made.
    pub(super) fn options(&self, shaping: Shaping, release: Release, seed: u64) -> LiveOptions {
        LiveOptions {
            seed,
            bin_dir: self.bin_dir.clone(),
            shaping,
            verify: Verify::None,
            release,
            keep_in: None,
        }
    }

    /// Keeps the report of a run beside the figures, for `report`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn keep(&self, name: &str, report: &Report) -> Result<()> {
        let path = self.out.join(format!("{name}.json"));
        std::fs::write(&path, serde_json::to_vec(report)?)
            .with_context(|| format!("write {}", path.display()))
    }

    /// This program with other arguments, as a process of its own.
    ///
    /// # Errors
    /// When this program cannot be found.
    pub(super) fn own(&self, arguments: &[&str]) -> Result<Command> {
        let mut command = Command::new(std::env::current_exe().context("find this program")?);
        command.args(arguments);
        Ok(command)
    }

    /// Makes a game build of so many bytes in `folder`, in a process of its own.
    ///
    /// # Errors
    /// When it fails.
    pub(super) fn make_build(&mut self, folder: &Path, bytes: u64, log: &Path) -> Result<()> {
        let mut generate = self.own(&["generate"])?;
        generate.arg(folder).args(["--bytes", &bytes.to_string(), "--seed", &self.seed.to_string()]);
        self.say("  making the build");
        self.wait(child::run(generate, log))?;
        Ok(())
    }

    /// Works until it is done, or a signal asks to end.
    ///
    /// # Errors
    /// That of the work, or that it was interrupted.
    pub(super) fn wait<T>(&mut self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let Self { runtime, stop, has_stopped, .. } = self;
        runtime.block_on(async {
            tokio::select! {
                done = work => done,
                () = stop.asked() => {
                    *has_stopped = true;
                    bail!("interrupted")
                }
            }
        })
    }

    /// Whether a signal has asked to end, also while somebody else listened.
    pub(super) fn is_stopped(&mut self) -> bool {
        let Self { runtime, stop, has_stopped, .. } = self;
        let asked = async { tokio::time::timeout(Duration::ZERO, stop.asked()).await.is_ok() };
        *has_stopped = *has_stopped || runtime.block_on(asked);
        *has_stopped
    }

    /// # Errors
    /// When a signal has asked to end.
    pub(super) fn go_on(&mut self) -> Result<()> {
        ensure!(!self.is_stopped(), "interrupted");
        Ok(())
    }
}

/// A temporary folder in memory-backed storage.
pub(super) fn memory_folder() -> Result<TempDir> {
    folder_in(Path::new(MEMORY_FOLDER))
}

/// A temporary folder with so many bytes of room: on disk, or else in memory.
pub(super) fn roomy_folder(bytes: u64) -> Result<TempDir> {
    let disk = std::env::temp_dir();
    let has_room = free_bytes(&disk).is_some_and(|free| free >= bytes);
    folder_in(if has_room { &disk } else { Path::new(MEMORY_FOLDER) })
}

fn folder_in(parent: &Path) -> Result<TempDir> {
    let folder = tempfile::Builder::new().prefix("freshet-figures-").tempdir_in(parent);
    folder.with_context(|| format!("make a folder in {}", parent.display()))
}
