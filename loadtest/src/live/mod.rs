//! Real load: an origin, a tracker and nodes as processes of their own, by the same plans as the simulator and with the
//! same report.
//!
//! The reference is the laboratory (`lab`): everybody on a host of its own behind a shaped line, bytes counted on the
//! wire. Without the rights for it, everybody is on this machine's loopback.

mod account;
mod command;
mod course;
mod event;
mod fault;
mod machine;
mod network;
mod node;
mod older;
mod process;
mod programs;
mod pulse;
mod schedule;
mod series;
mod servers;
mod spending;
mod stage;
mod table;
mod verify;
mod view;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::plan::{Plan, TRACKERS_MAX};
use crate::refused::{Refused, refuse_unless};
use crate::report::{Report, Shaping};
use course::Course;

pub(crate) use command::{LiveArgs, conclude};
pub(crate) use machine::ProcessUse;
pub(crate) use network::node_host;
pub(crate) use process::{Process, ProcessEvent};
pub(crate) use programs::Programs;
pub(crate) use stage::Stage;
pub(crate) use table::megabytes;
pub(crate) use verify::Verify;
pub(crate) use view::{Lines, NodeView, Scene, View};

/// The hidden command of this program that delays packets in the laboratory.
pub(crate) const DELAY_COMMAND: &str = "lab-delay";

/// Most nodes of a real run: the laboratory's hosts, less origin, trackers and broker.
pub(crate) const LIVE_NODES_MAX: u32 = crate::lab::LAB_HOSTS_MAX as u32 - 2 - TRACKERS_MAX;
/// Copies of the release that a run's folder may hold beside those of the nodes: build, store, some air.
const COPIES_BESIDE: u64 = 3;
/// A file system in memory, which keeps disks out of the figures.
pub(crate) const MEMORY_FOLDER: &str = "/dev/shm";

/// The laboratory where the rights for it are there.
pub(crate) fn best_shaping() -> Shaping {
    if rustix::process::geteuid().is_root() { Shaping::Lab } else { Shaping::User }
}

/// What is published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Release {
    /// An incompressible build of the plan's size.
    OfPlan,
    /// As [`Release::OfPlan`], after an older version that every node has installed.
    Update,
    /// A generated game of so many bytes.
    Game {
        /// Size of all files.
        bytes: u64,
    },
    /// A folder that exists.
    Folder(PathBuf),
}

/// How to run a plan.
#[derive(Debug, Clone)]
pub(crate) struct LiveOptions {
    /// Decides the build's bytes and the nodes' start times.
    pub(crate) seed: u64,
    /// Folder of the programs; absent: the one that this program lies in.
    pub(crate) bin_dir: Option<PathBuf>,
    /// How lines are shaped.
    pub(crate) shaping: Shaping,
    /// Which installed trees are compared with what was published.
    pub(crate) verify: Verify,
    /// What is published.
    pub(crate) release: Release,
    /// Keep all files of the run in this folder, which must be empty or absent; absent: they are removed.
    pub(crate) keep_in: Option<PathBuf>,
}

/// What came of a run.
#[derive(Debug)]
pub(crate) struct LiveOutcome {
    /// The figures.
    pub(crate) report: Report,
    /// What went wrong with single nodes; the run failed unless this is empty.
    pub(crate) failures: Vec<String>,
}

/// Runs a plan with real processes, and shows on `view` how it goes. Nothing is left running or lying about, however it
/// ends.
///
/// # Errors
/// When the plan asks for what cannot be had here, a program is missing, a server does not serve, or the run is
/// interrupted by SIGINT, SIGTERM or SIGHUP.
pub(crate) fn run_live(plan: &Plan, options: &LiveOptions, view: &mut dyn View) -> Result<LiveOutcome> {
    check(plan, options.shaping)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("start the asynchronous runtime")?;
    let folder = Folder::make(plan, options)?;
    // The folder outlives the runtime, and with it every process that writes there.
    runtime.block_on(async {
        let mut stop = Stop::listen().context("listen for signals")?;
        view.say("making, publishing and serving the release");
        let stage = tokio::select! {
            stage = Stage::set(plan, options, folder.path()) => stage?,
            () = stop.asked() => bail!("interrupted"),
        };
        view.say(&format!(
            "{} chunks, {} as the origin sends them; {} nodes start",
            stage.published.chunks,
            megabytes(stage.published.stored_bytes),
            plan.nodes()
        ));
        Course::new(plan, options, stage).run(&mut stop, view).await
    })
}

fn check(plan: &Plan, shaping: Shaping) -> Result<(), Refused> {
    refuse_unless(plan.nodes() <= LIVE_NODES_MAX, || {
        format!("a real run has at most {LIVE_NODES_MAX} nodes; the plan has {}", plan.nodes())
    })?;
    refuse_unless(plan.p2p_off_at_ms.is_none(), || {
        "real nodes are not told to leave peers alone; let the peers leave, or simulate the plan with `sim`"
            .to_owned()
    })?;
    refuse_unless(plan.loss_permille == 0.0, || {
        "real lines lose packets in full buffers only; set loss_permille=0, or simulate the plan with `sim`"
            .to_owned()
    })?;
    if shaping == Shaping::Lab {
        refuse_unless(rustix::process::geteuid().is_root(), || {
            "the laboratory needs root; become root, or give --shaping user".to_owned()
        })?;
        network::rtt(plan)?;
    }
    fault::check(plan, shaping)?;
    plan.groups.iter().try_for_each(|group| node::check_group(group, shaping))
}

/// Where the run's files lie.
enum Folder {
    Kept(PathBuf),
    Removed(tempfile::TempDir),
}

impl Folder {
    fn make(plan: &Plan, options: &LiveOptions) -> Result<Self> {
        if let Some(folder) = &options.keep_in {
            std::fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
            let mut there = folder.read_dir().with_context(|| format!("read {}", folder.display()))?;
            refuse_unless(there.next().is_none(), || {
                format!("{} is not empty; choose another folder", folder.display())
            })?;
            let folder = folder.canonicalize().with_context(|| format!("look at {}", folder.display()))?;
            return Ok(Self::Kept(folder));
        }
        let release_bytes = match &options.release {
            Release::OfPlan => plan.content.bytes(),
            // Every node holds the older version, too.
            Release::Update => plan.content.bytes() * 2,
            Release::Game { bytes } => *bytes,
            Release::Folder(source) => crate::tree::tree_bytes(source)?,
        };
        let needed_bytes = release_bytes * (u64::from(plan.nodes()) + COPIES_BESIDE);
        let parents = [PathBuf::from(MEMORY_FOLDER), std::env::temp_dir()];
        let has_room = |parent: &&PathBuf| free_bytes(parent).is_some_and(|free| free > needed_bytes);
        let parent = parents.iter().find(has_room).with_context(|| {
            format!(
                "the run needs about {} MB, which neither {MEMORY_FOLDER} nor {} has free; choose a folder with TMPDIR",
                needed_bytes / 1_000_000,
                std::env::temp_dir().display()
            )
        })?;
        let folder = tempfile::Builder::new().prefix("freshet-load-").tempdir_in(parent);
        folder.map(Self::Removed).with_context(|| format!("make a folder in {}", parent.display()))
    }

    fn path(&self) -> &Path {
        match self {
            Self::Kept(folder) => folder,
            Self::Removed(folder) => folder.path(),
        }
    }
}

pub(crate) fn free_bytes(folder: &Path) -> Option<u64> {
    let facts = rustix::fs::statvfs(folder).ok()?;
    Some(facts.f_bavail.saturating_mul(facts.f_frsize))
}

/// The signals that end a run early.
pub(crate) struct Stop {
    signals: [tokio::signal::unix::Signal; 3],
}

impl Stop {
    pub(crate) fn listen() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let signals = [
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
            signal(SignalKind::hangup())?,
        ];
        Ok(Self { signals })
    }

    /// Ends when one comes.
    pub(crate) async fn asked(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.signals;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::read_plan;

    #[test]
    fn what_cannot_be_run_is_refused() {
        let check = |settings: &[&str], expected: &str| {
            let settings: Vec<String> = settings.iter().map(|&setting| setting.to_owned()).collect();
            let found = super::check(&read_plan("tiny", &settings).expect("a plan"), Shaping::None);
            assert_eq!(found.is_ok(), expected.is_empty(), "{settings:?}");
            let message = found.err().map(|error| error.to_string()).unwrap_or_default();
            assert!(message.contains(expected), "{message}");
        };
        check(&[], "");
        check(&[&format!("groups.0.count={LIVE_NODES_MAX}")], "");
        check(&[&format!("groups.0.count={}", LIVE_NODES_MAX + 1)], "at most 990 nodes");
        check(&["loss_permille=1"], "loss_permille=0");
        check(&["groups.0.behaviour=stall"], "do not lie");
    }

    #[test]
    fn a_kept_folder_must_be_empty() {
        let plan = read_plan("tiny", &[]).expect("built in");
        let there = tempfile::tempdir().expect("temporary folder");
        let options = |keep_in: PathBuf| LiveOptions {
            seed: 1,
            bin_dir: None,
            shaping: Shaping::None,
            verify: Verify::None,
            release: Release::OfPlan,
            keep_in: Some(keep_in),
        };
        assert!(Folder::make(&plan, &options(there.path().join("new"))).is_ok());
        let error = Folder::make(&plan, &options(there.path().to_owned())).map(drop).expect_err("not empty");
        assert!(error.to_string().contains("is not empty"), "{error}");
    }
}
