//! The servers of a run: an origin, its trackers, and the broker between several; how each starts, and starts again.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use super::network::{BROKER, Network, ORIGIN, tracker_host};
use super::process::{Process, ProcessEvent};
use super::programs::Programs;
use super::stage::Who;
use crate::plan::{Deed, Plan};

/// What the origin sent, in its own words.
const ORIGIN_REPORT: &str = "origin-report.json";
/// The key that all trackers of a cluster have, in a tracker's folder.
const TICKET_KEY: &str = "ticket.key";
/// The port of NATS.
const BROKER_PORT: u16 = 4222;
/// How long a server may take until it serves.
const READY_WAIT: Duration = Duration::from_secs(20);
/// Pause between two looks for its ready file.
const READY_POLL: Duration = Duration::from_millis(10);

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Server {
    /// The origin.
    Origin,
    /// The tracker of that number.
    Tracker(usize),
    /// What several trackers find each other through.
    Broker,
}

impl Server {
    /// The host that it is on; its files have the same name.
    pub(super) fn host(self) -> String {
        match self {
            Self::Origin => ORIGIN.to_owned(),
            Self::Tracker(number) => tracker_host(number),
            Self::Broker => BROKER.to_owned(),
        }
    }

    /// What it is called where all of its sort are counted together.
    pub(super) fn sort(self) -> &'static str {
        match self {
            Self::Origin => "origin",
            Self::Tracker(_) => "tracker",
            Self::Broker => "broker",
        }
    }
}

impl fmt::Display for Server {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "the {}", self.host())
    }
}

/// What starting one takes.
#[derive(Clone, Copy)]
pub(super) struct Ground<'a> {
    pub(super) plan: &'a Plan,
    pub(super) programs: &'a Programs,
    pub(super) network: &'a Network,
    /// Where all files of the run lie.
    pub(super) folder: &'a Path,
}

/// A server that has been started at least once.
#[derive(Debug)]
struct Running {
    process: Process,
    /// Where it listens, also after it has started again.
    address: SocketAddr,
    starts: u32,
}

/// What a server writes once it serves, as far as it is needed.
#[derive(Debug, Deserialize)]
pub(super) struct Ready {
    pub(super) address: SocketAddr,
    /// A tracker's.
    #[serde(default)]
    pub(super) key: String,
}

/// All servers.
#[derive(Debug)]
pub(super) struct Servers {
    all: BTreeMap<Server, Running>,
    sender: mpsc::Sender<(Who, ProcessEvent)>,
}

impl Servers {
    pub(super) fn new(sender: mpsc::Sender<(Who, ProcessEvent)>) -> Self {
        Self { all: BTreeMap::new(), sender }
    }

    /// Starts the trackers, and the broker before them where there are several; the key of their tickets.
    pub(super) async fn start_trackers(
        &mut self,
        ground: Ground<'_>,
        events: &mut mpsc::Receiver<(Who, ProcessEvent)>,
    ) -> Result<String> {
        if ground.plan.trackers.is_cluster() {
            let address = broker_address(ground.network)?;
            self.start(ground, Server::Broker, address)?;
        }
        let mut key = String::new();
        for number in 0..ground.plan.trackers.count as usize {
            if number > 0 {
                let folders = [0, number].map(|number| tracker_folder(ground.folder, number));
                std::fs::create_dir_all(&folders[1])
                    .and_then(|()| std::fs::copy(folders[0].join(TICKET_KEY), folders[1].join(TICKET_KEY)))
                    .context("copy the key of the trackers' tickets")?;
            }
            let ready = self.start_and_wait(ground, Server::Tracker(number), events).await?;
            key = ready.key;
        }
        Ok(key)
    }

    /// Starts one on a port that the system picks, and waits until it serves.
    pub(super) async fn start_and_wait(
        &mut self,
        ground: Ground<'_>,
        server: Server,
        events: &mut mpsc::Receiver<(Who, ProcessEvent)>,
    ) -> Result<Ready> {
        self.start(ground, server, ground.network.listen(&server.host())?)?;
        let path = ready_file(ground.folder, server);
        let ready: Ready = self.wait(server, &path, events).await?;
        if let Some(running) = self.all.get_mut(&server) {
            running.address = ready.address;
        }
        Ok(ready)
    }

    fn start(&mut self, ground: Ground<'_>, server: Server, address: SocketAddr) -> Result<()> {
        let command = self.command(ground, server, address)?;
        let starts = self.all.get(&server).map_or(0, |running| running.starts);
        let log = ground.folder.join(format!("{}-{starts}.log", server.host()));
        let process = Process::start(command, log, Who::Server(server), self.sender.clone())?;
        self.all.insert(server, Running { process, address, starts: starts + 1 });
        Ok(())
    }

    /// Lets a fault of its process come to one.
    pub(super) fn befall(&mut self, ground: Ground<'_>, server: Server, deed: Deed) -> Result<()> {
        match (deed, self.all.get_mut(&server)) {
            (_, None) => Ok(()),
            (Deed::Start, Some(running)) if !running.process.has_ended => Ok(()),
            (Deed::Start, Some(running)) => {
                let address = running.address;
                self.start(ground, server, address)
            }
            (deed, Some(running)) => {
                running.process.fall(deed);
                Ok(())
            }
        }
    }

    pub(super) fn processes(&self) -> impl Iterator<Item = (Server, &Process)> {
        self.all.iter().map(|(&server, running)| (server, &running.process))
    }

    pub(super) fn process_mut(&mut self, server: Server) -> Option<&mut Process> {
        self.all.get_mut(&server).map(|running| &mut running.process)
    }

    /// Where one listens.
    pub(super) fn address(&self, server: Server) -> Option<SocketAddr> {
        self.all.get(&server).map(|running| running.address)
    }

    fn command(&self, ground: Ground<'_>, server: Server, listen: SocketAddr) -> Result<Command> {
        let Ground { plan, programs, network, folder } = ground;
        let host = server.host();
        let program = match server {
            Server::Origin => programs.origin.clone(),
            Server::Tracker(_) => programs.tracker.clone(),
            Server::Broker => programs.broker()?,
        };
        let mut command = network.command(&host, program)?;
        match server {
            Server::Origin => origin_arguments(&mut command, plan, network, folder),
            Server::Tracker(number) => {
                tracker_arguments(&mut command, plan);
                command.args(network.name(&host)?.map(|name| format!("--stun-host={name}")));
                command.arg("--state-dir").arg(tracker_folder(folder, number));
                if let Some(broker) = self.address(Server::Broker) {
                    let authority = network.authority(BROKER, broker.port())?;
                    command.arg("--cluster").arg(format!("nats://{authority}"));
                }
            }
            Server::Broker => {
                let (address, port) = (listen.ip().to_string(), listen.port().to_string());
                command.args(["--addr", &address, "--port", &port]);
                return Ok(command);
            }
        }
        command.arg("--listen").arg(listen.to_string());
        command.arg("--ready-file").arg(ready_file(folder, server));
        Ok(command)
    }

    /// Waits until a server has written its ready file.
    async fn wait<T: DeserializeOwned>(
        &self,
        server: Server,
        path: &Path,
        events: &mut mpsc::Receiver<(Who, ProcessEvent)>,
    ) -> Result<T> {
        let last_words =
            || self.all.get(&server).map(|running| running.process.last_words()).unwrap_or_default();
        let deadline = Instant::now() + READY_WAIT;
        loop {
            if let Ok(bytes) = std::fs::read(path) {
                let text = String::from_utf8_lossy(&bytes);
                return serde_json::from_slice(&bytes)
                    .with_context(|| format!("{server} is ready with {text:?}"));
            }
            while let Ok((from, event)) = events.try_recv() {
                if let (true, ProcessEvent::Ended(_)) = (from == Who::Server(server), event) {
                    bail!("{server} ended before it served:\n{}", last_words());
                }
            }
            if Instant::now() > deadline {
                bail!("{server} does not serve after {READY_WAIT:?}:\n{}", last_words());
            }
            sleep(READY_POLL).await;
        }
    }
}

/// Where the origin of a run tells what it sent.
pub(super) fn origin_report(folder: &Path) -> PathBuf {
    folder.join(ORIGIN_REPORT)
}

fn ready_file(folder: &Path, server: Server) -> PathBuf {
    folder.join(format!("{}-ready.json", server.host()))
}

fn tracker_folder(folder: &Path, number: usize) -> PathBuf {
    folder.join(tracker_host(number))
}

/// On a host of its own it has the usual port; beside others, one that is free now.
fn broker_address(network: &Network) -> Result<SocketAddr> {
    let address = network.listen(BROKER)?;
    match network {
        Network::Lab(_) => Ok(SocketAddr::new(address.ip(), BROKER_PORT)),
        Network::Loopback => TcpListener::bind(address)
            .and_then(|listener| listener.local_addr())
            .context("find a port for the broker"),
    }
}

fn tracker_arguments(command: &mut Command, plan: &Plan) {
    // Nobody comes back after a run, so there is no crowd to spread.
    command.args(["--drain-ms", "0"]);
    if let Some(budget_mbit) = plan.origin.budget_mbit {
        command.arg("--origin-budget-mbit").arg(budget_mbit.round().max(1.0).to_string());
    }
    if let Some(life_s) = plan.trackers.ticket_life_s {
        command.arg("--ticket-life-s").arg(life_s.to_string());
    }
}

fn origin_arguments(command: &mut Command, plan: &Plan, network: &Network, folder: &Path) {
    command.arg("serve").arg("--store").arg(folder.join("store"));
    command.arg("--report-file").arg(origin_report(folder));
    let mbit = plan.origin.up_mbit.round().max(1.0).to_string();
    if plan.origin.refuses {
        command.args(["--bandwidth-mbit-max", &mbit]);
    }
    if let Network::Lab(_) = network {
        command.args(["--line-mbit", &mbit]);
    }
}
