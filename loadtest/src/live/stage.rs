//! What stands before the first node starts: the build, its keys, the network, trackers and an origin that serves it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;

use super::network::{Network, ORIGIN, tracker_host};
use super::process::{Process, ProcessEvent};
use super::programs::Programs;
use super::servers::{Ground, Server, Servers, origin_report};
use super::{LiveOptions, Release};
use crate::game_build::{BuildKind, BuildSpec, generate_build};
use crate::plan::{Deed, Plan};

/// The content's tenant and name.
const TENANT: &str = "load";
const CONTENT: &str = "load/build";
/// Events that wait for the run: servers and some hundred nodes with a few lines each.
const EVENTS_MAX: usize = 1024;

/// Whose event it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    /// A server's.
    Server(Server),
    /// The node's of that number.
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
    servers: Servers,
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

        let mut servers = Servers::new(sender.clone());
        let ground = Ground { plan, programs: &programs, network: &network, folder: &folder };
        let mut tracker_key = None;
        if plan.p2p {
            tracker_key = Some(servers.start_trackers(ground, &mut events).await?);
        }
        let key = make_keys(&programs, &folder, tracker_key.as_deref()).await?;
        let numbers = 0..plan.trackers.count as usize;
        let ports =
            numbers.filter_map(|number| Some((number, servers.address(Server::Tracker(number))?.port())));
        let urls: Vec<String> = ports
            .map(|(number, port)| Ok(format!("ws://{}/", network.authority(&tracker_host(number), port)?)))
            .collect::<Result<_>>()?;
        let published = publish(&programs, &folder, &source, &urls).await?;

        let ready = servers.start_and_wait(ground, Server::Origin, &mut events).await?;
        let authority = network.authority(ORIGIN, ready.address.port())?;
        let content = format!("http://{authority}/{CONTENT}");
        let url = format!("{content}/channels/live#key={key}");
        let mut stage =
            Self { folder, source, programs, network, published, content, url, servers, sender, events };
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

    /// Lets a fault of its process come to a server.
    pub(super) fn befall(&mut self, server: Server, deed: Deed, plan: &Plan) -> Result<()> {
        let Self { programs, network, folder, servers, .. } = self;
        servers.befall(Ground { plan, programs, network, folder }, server, deed)
    }

    /// The servers' processes.
    pub(super) fn servers(&self) -> impl Iterator<Item = (Server, &Process)> {
        self.servers.processes()
    }

    /// One of them, if it has been started.
    pub(super) fn server_mut(&mut self, server: Server) -> Option<&mut Process> {
        self.servers.process_mut(server)
    }

    /// Where it listens.
    pub(super) fn server_address(&self, server: Server) -> Option<SocketAddr> {
        self.servers.address(server)
    }

    /// Where the origin tells what it sent.
    pub(crate) fn origin_report(&self) -> PathBuf {
        origin_report(&self.folder)
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
    trackers: &[String],
) -> Result<Published> {
    let mut command = publish_command(programs, folder, source, "1");
    command.args(trackers.iter().map(|url| format!("--tracker={url}")));
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
