//! What stands before the first node starts: the build, its keys, the network, a tracker and an origin that serves it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use super::network::{Network, ORIGIN, TRACKER};
use super::process::{Process, ProcessEvent};
use super::programs::Programs;
use super::{LiveOptions, Release};
use crate::game_build::{BuildKind, BuildSpec, generate_build};
use crate::plan::Plan;

/// The content's tenant and name.
const TENANT: &str = "load";
const CONTENT: &str = "load/build";
/// What the origin sent, in its own words.
const ORIGIN_REPORT: &str = "origin-report.json";
/// How long a server may take until it serves.
const READY_WAIT: Duration = Duration::from_secs(20);
/// Pause between two looks for its ready file.
const READY_POLL: Duration = Duration::from_millis(10);
/// Events that wait for the run: two servers and some hundred nodes with a few lines each.
const EVENTS_MAX: usize = 1024;

/// Whose event it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    /// The origin.
    Origin,
    /// The tracker.
    Tracker,
    /// The node of that number.
    Node(usize),
}

/// What a node has to fetch.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(crate) struct Published {
    /// Chunks and deltas.
    pub(crate) chunks: u32,
    /// Bytes of those as the origin sends them.
    pub(crate) stored_bytes: u64,
}

/// What `publish` tells of an update.
#[derive(Debug, Deserialize)]
struct PublishedUpdate {
    updates: Vec<Update>,
}

/// What a node has to fetch that has an older version.
#[derive(Debug, Clone, Copy, Deserialize)]
struct Update {
    deltas: u32,
    delta_bytes: u64,
    chunks: u32,
    chunk_bytes: u64,
}

#[derive(Debug, Deserialize)]
struct OriginReady {
    address: String,
}

#[derive(Debug, Deserialize)]
struct TrackerReady {
    url: String,
    key: String,
}

#[derive(Debug, Deserialize)]
struct KeysMade {
    key: String,
}

/// Everything that a run stands on.
#[derive(Debug)]
pub(crate) struct Stage {
    /// Where all files of the run lie.
    pub(crate) folder: PathBuf,
    /// The folder that is published.
    pub(crate) source: PathBuf,
    pub(crate) programs: Programs,
    pub(crate) network: Network,
    pub(crate) published: Published,
    /// Where the content is at the origin.
    pub(crate) content: String,
    /// The channel, with the tenant's key.
    pub(crate) url: String,
    pub(crate) origin: Process,
    pub(crate) tracker: Option<Process>,
    pub(crate) sender: mpsc::Sender<(Who, ProcessEvent)>,
    pub(crate) events: mpsc::Receiver<(Who, ProcessEvent)>,
}

impl Stage {
    /// Makes the build, publishes it and starts the servers. On an error, dropping what was made ends it.
    pub(crate) async fn set(plan: &Plan, options: &LiveOptions, folder: &Path) -> Result<Self> {
        let programs = Programs::find(options.bin_dir.as_deref())?;
        let folder = folder.to_owned();
        let source = build(plan, options, &folder)?;
        let network = Network::build(plan, options.shaping)?;
        let (sender, mut events) = mpsc::channel(EVENTS_MAX);

        let mut trackers = None;
        if plan.p2p {
            let command = tracker_command(plan, &programs, &network, &folder)?;
            let process = Process::start(command, folder.join("tracker.log"), Who::Tracker, sender.clone())?;
            let ready: TrackerReady = ready(&folder, (TRACKER, Who::Tracker), &process, &mut events).await?;
            trackers = Some((process, ready));
        }
        let tracker = trackers.as_ref().map(|(_, ready)| ready);
        let key = make_keys(&programs, &folder, tracker.map(|ready| ready.key.as_str())).await?;
        let tracker_url = tracker.map(|ready| ready.url.as_str());
        let published = publish(&programs, &folder, &source, tracker_url).await?;

        let command = origin_command(plan, &programs, &network, &folder)?;
        let origin = Process::start(command, folder.join("origin.log"), Who::Origin, sender.clone())?;
        let ready: OriginReady = ready(&folder, (ORIGIN, Who::Origin), &origin, &mut events).await?;
        let content = format!("http://{}/{CONTENT}", ready.address);
        let url = format!("{content}/channels/live#key={key}");
        let tracker = trackers.map(|(process, _)| process);
        let mut stage = Self {
            folder,
            source,
            programs,
            network,
            published,
            content,
            url,
            origin,
            tracker,
            sender,
            events,
        };
        if options.release == Release::Update {
            stage.make_older(plan, options.seed).await?;
        }
        Ok(stage)
    }

    /// Publishes the next version; what is to be fetched by those who have the one before.
    pub(super) async fn publish_update(&self) -> Result<Published> {
        let command = publish_command(&self.programs, &self.folder, &self.source, "2");
        let published: PublishedUpdate = last_object(command).await.context("publish the update")?;
        let [update] = published.updates[..] else { bail!("there is one older version") };
        Ok(Published {
            chunks: update.deltas + update.chunks,
            stored_bytes: update.delta_bytes + update.chunk_bytes,
        })
    }

    /// Where the origin tells what it sent.
    pub(crate) fn origin_report(&self) -> PathBuf {
        self.folder.join(ORIGIN_REPORT)
    }
}

fn build(plan: &Plan, options: &LiveOptions, folder: &Path) -> Result<PathBuf> {
    let (kind, bytes) = match &options.release {
        Release::Folder(source) => return Ok(source.clone()),
        Release::Game { bytes } => (BuildKind::Game, *bytes),
        Release::OfPlan | Release::Update => (BuildKind::Incompressible, plan.content.bytes()),
    };
    let source = folder.join("build");
    generate_build(&source, BuildSpec { kind, bytes, seed: options.seed })?;
    Ok(source)
}

fn tracker_command(plan: &Plan, programs: &Programs, network: &Network, folder: &Path) -> Result<Command> {
    let mut command = network.command(TRACKER, &programs.tracker)?;
    command.arg("--listen").arg(network.listen(TRACKER)?.to_string());
    command.arg("--state-dir").arg(folder.join("tracker"));
    command.arg("--ready-file").arg(ready_file(folder, TRACKER));
    // Addresses are what they are here: nobody needs to ask for his own.
    command.arg("--no-stun");
    // Nobody comes back after a run, so there is no crowd to spread.
    command.args(["--drain-ms", "0"]);
    if let Some(budget_mbit) = plan.origin.budget_mbit {
        command.arg("--origin-budget-mbit").arg(budget_mbit.round().max(1.0).to_string());
    }
    Ok(command)
}

fn origin_command(plan: &Plan, programs: &Programs, network: &Network, folder: &Path) -> Result<Command> {
    let mut command = network.command(ORIGIN, &programs.origin)?;
    command.arg("serve").arg("--store").arg(folder.join("store"));
    command.arg("--listen").arg(network.listen(ORIGIN)?.to_string());
    command.arg("--ready-file").arg(ready_file(folder, ORIGIN));
    command.arg("--report-file").arg(folder.join(ORIGIN_REPORT));
    if let Network::Lab(_) = network {
        command.arg("--line-mbit").arg(plan.origin.up_mbit.round().max(1.0).to_string());
    }
    Ok(command)
}

async fn make_keys(programs: &Programs, folder: &Path, tracker: Option<&str>) -> Result<String> {
    let mut command = Command::new(&programs.origin);
    command.args(["keys", "--json", "--tenant", TENANT, "--keys-dir"]).arg(folder.join("keys"));
    command.args(tracker.map(|key| format!("--add-tracker={key}")));
    let made: KeysMade = last_object(command).await.context("make the keys")?;
    Ok(made.key)
}

async fn publish(
    programs: &Programs,
    folder: &Path,
    source: &Path,
    tracker: Option<&str>,
) -> Result<Published> {
    let mut command = publish_command(programs, folder, source, "1");
    command.args(tracker.map(|url| format!("--tracker={url}")));
    last_object(command).await.with_context(|| format!("publish {}", source.display()))
}

fn publish_command(programs: &Programs, folder: &Path, source: &Path, version: &str) -> Command {
    let mut command = Command::new(&programs.origin);
    command.arg("publish").arg(source).args(["--json", "--content", CONTENT, "--version", version]);
    command.arg("--store").arg(folder.join("store")).arg("--keys-dir").arg(folder.join("keys"));
    command
}

/// Runs a program to its end; returns the last object that it printed.
pub(super) async fn last_object<T: DeserializeOwned>(mut command: Command) -> Result<T> {
    command.stdin(Stdio::null());
    let name = command.get_program().display().to_string();
    let output = tokio::process::Command::from(command)
        .kill_on_drop(true)
        .output()
        .await
        .with_context(|| format!("start {name}"))?;
    if !output.status.success() {
        bail!("{name} failed ({}): {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().last().unwrap_or_default();
    serde_json::from_str(line).with_context(|| format!("{name} printed {line:?}"))
}

fn ready_file(folder: &Path, host: &str) -> PathBuf {
    folder.join(format!("{host}-ready.json"))
}

/// Waits until a server has written its ready file.
async fn ready<T: DeserializeOwned>(
    folder: &Path,
    (host, who): (&str, Who),
    process: &Process,
    events: &mut mpsc::Receiver<(Who, ProcessEvent)>,
) -> Result<T> {
    let path = ready_file(folder, host);
    let deadline = Instant::now() + READY_WAIT;
    loop {
        if let Ok(bytes) = std::fs::read(&path) {
            let text = String::from_utf8_lossy(&bytes);
            return serde_json::from_slice(&bytes)
                .with_context(|| format!("the {host} is ready with {text:?}"));
        }
        while let Ok((from, event)) = events.try_recv() {
            if let (true, ProcessEvent::Ended(_)) = (from == who, event) {
                bail!("the {host} ended before it served:\n{}", process.last_words());
            }
        }
        if Instant::now() > deadline {
            bail!("the {host} does not serve after {READY_WAIT:?}:\n{}", process.last_words());
        }
        sleep(READY_POLL).await;
    }
}
