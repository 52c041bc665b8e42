//! Flags of the program `freshet-tracker`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use freshet_listen::{ProxyArguments, TlsArguments};
use freshet_protocol::PublicKey;
use freshet_tracker::{ClusterOptions, Options};

/// Bytes a second in a megabit a second.
const MBIT_BYTES_S: u64 = 125_000;

/// Pairs peers, relays signalling, spreads first copies, answers STUN. Sees no content.
#[derive(Debug, Parser)]
#[command(name = "freshet-tracker", version)]
pub(crate) struct Args {
    /// TCP address for WebSocket clients, /health and /stats; port 0 picks one.
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:7070")]
    listen: SocketAddr,

    /// Writes the addresses and the public key there as JSON, once clients can connect.
    #[arg(long, value_name = "PATH")]
    pub(crate) ready_file: Option<PathBuf>,

    #[command(flatten)]
    tls: TlsArguments,

    #[command(flatten)]
    proxies: ProxyArguments,

    /// Folder of the ticket key; made if missing. Who has this folder can issue tickets.
    #[arg(long, value_name = "DIR", default_value = "./freshet-tracker-state")]
    state_dir: PathBuf,

    /// UDP address of the STUN service; give it twice, since two ports tell kinds of NAT apart. Without it: two ports
    /// that the system picks, on the address of --listen.
    #[arg(long, value_name = "ADDR:PORT", num_args = 1)]
    stun: Vec<SocketAddr>,

    /// Host at which clients reach the STUN service, as a name or an address; without it they take that of the
    /// tracker's address, which is wrong where a proxy has it.
    #[arg(long, value_name = "HOST", conflicts_with = "no_stun")]
    stun_host: Option<String>,

    /// Both ports at which clients reach the STUN service, in the order of --stun; without it its own, which is wrong
    /// where a NAT or a container maps them to others.
    #[arg(long, value_name = "PORT,PORT", value_parser = parse_ports, conflicts_with = "no_stun")]
    stun_advertise: Option<[u16; 2]>,

    /// Answers no STUN: peers behind NAT are then found less often.
    #[arg(long, conflicts_with = "stun")]
    no_stun: bool,

    /// Database in MaxMind's format (.mmdb) of autonomous systems, countries or both, which the operator brings; may be
    /// given up to 4 times. Peers are then paired within their system and country where load allows. Read again when the file
    /// changes.
    #[arg(long = "network-db", value_name = "FILE")]
    network_databases: Vec<PathBuf>,

    /// Table of own groups of networks, such as companies, providers or PC cafes: in each line a network and the name of its
    /// group (`203.0.113.0/24 cafe-7`). A group counts before the autonomous system. Read again when the file changes.
    #[arg(long, value_name = "FILE")]
    network_groups: Option<PathBuf>,

    /// What the origin may send to all clients of one content together, in Mbit/s (1 to 10000000). Clients share it
    /// among them. Without it they know no limit.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    origin_budget_mbit: Option<u64>,

    /// Key (`ed25519:...`) of a publisher: new entries of its streams reach all viewers at once through this tracker, and new
    /// versions (under its online key, which `keys` prints) all who follow their channels. May be given up to 64 times.
    #[arg(long = "publisher", value_name = "KEY")]
    publishers: Vec<PublicKey>,

    /// Address of a NATS server through which this tracker finds the others of its cluster: nats://host:4222 or
    /// tls://host:4222, with user:password@ or token@ where it asks for one. May be given several times, for servers of one
    /// NATS cluster. All trackers of a cluster need the same ticket.key in their --state-dir. Without it, or while no
    /// server answers, the tracker works by itself.
    #[arg(long, value_name = "URL")]
    cluster: Vec<String>,

    /// File with such addresses, one a line, so that passwords are not seen among the arguments.
    #[arg(long, value_name = "FILE", conflicts_with = "cluster")]
    cluster_file: Option<PathBuf>,

    /// PEM file of the authorities that vouch for the NATS servers over TLS; without it, those of the system.
    #[arg(long, value_name = "FILE")]
    cluster_ca: Option<PathBuf>,

    /// How often clients announce when nothing changes, in ms (1000 to 3600000). Short ones cost messages; leases of
    /// clients that went silent are freed after one and a half of it.
    #[arg(long, value_name = "MS", default_value_t = 30_000)]
    announce_ms: u32,

    /// Life of a ticket, in seconds (60 to 86400). Short ones bind clients to a live tracker, long ones let revoked
    /// clients stay.
    #[arg(long, value_name = "S", default_value_t = 600)]
    ticket_life_s: u64,

    /// Time over which connections are closed at the end, in ms (0 to 3600000), so that not all come back at once.
    #[arg(long, value_name = "MS", default_value_t = 2000)]
    drain_ms: u32,

    /// Most connections (1 to 10000000). Further clients are told to use the origin.
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    clients_max: usize,

    /// Most swarms (1 to 1000000).
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    swarms_max: usize,

    /// Most peers in one swarm (1 to 10000000).
    #[arg(long, value_name = "N", default_value_t = 50_000)]
    swarm_peers_max: usize,

    /// Most links of a peer in one swarm (1 to 64). Few make a swarm fragile, many cost each peer.
    #[arg(long, value_name = "N", default_value_t = 16)]
    links_max: u8,

    /// Messages a second that one client may send in the long run (1 to 1000000); faster ones wait.
    #[arg(long, value_name = "N", default_value_t = 50)]
    messages_per_s: u32,

    /// Time for a new connection to prove its key, in ms (100 to 60000).
    #[arg(long, value_name = "MS", default_value_t = 5000)]
    hello_timeout_ms: u32,

    /// A client silent for so long, also to pings, is gone; in ms (100 to 3600000).
    #[arg(long, value_name = "MS", default_value_t = 60_000)]
    idle_timeout_ms: u32,

    /// What is logged to stderr, in the form of RUST_LOG.
    #[arg(long, value_name = "FILTER", default_value = "info")]
    pub(crate) log: String,
}

impl Args {
    /// The library's options.
    ///
    /// # Errors
    /// When `--stun` is given once, or more than twice, or `--cluster-file` cannot be read.
    pub(crate) fn options(&self) -> anyhow::Result<Options> {
        let mut options = Options::new(self.listen, &self.state_dir);
        options.stun = match (self.no_stun, self.stun.as_slice()) {
            (true, _) => None,
            (false, []) => Some(Options::stun_beside(self.listen.ip())),
            (false, &[first, second]) => Some([first, second]),
            (false, given) => {
                anyhow::bail!("--stun is given {} time(s); give it twice, or not at all", given.len())
            }
        };
        options.stun_host = self.stun_host.clone();
        options.stun_advertise = self.stun_advertise;
        options.tls = self.tls.options();
        options.proxies = self.proxies.proxies();
        options.networks.databases.clone_from(&self.network_databases);
        options.networks.groups.clone_from(&self.network_groups);
        options.cluster = self.cluster()?;
        options.announce_ms = self.announce_ms;
        options.ticket_life_s = self.ticket_life_s;
        options.drain_ms = self.drain_ms;
        options.limits.messages_per_s = self.messages_per_s;
        options.limits.hello_timeout = Duration::from_millis(self.hello_timeout_ms.into());
        options.limits.idle_timeout = Duration::from_millis(self.idle_timeout_ms.into());
        options.swarms.clients_max = self.clients_max;
        options.swarms.swarms_max = self.swarms_max;
        options.swarms.swarm_peers_max = self.swarm_peers_max;
        options.swarms.links_max = self.links_max;
        options.swarms.lease_fresh_us = u64::from(self.announce_ms) * 1500;
        options.swarms.origin_budget_bytes_s = self.origin_budget_mbit.map(|mbit| mbit * MBIT_BYTES_S);
        options.swarms.publishers = self.publishers.iter().map(PublicKey::id).collect();
        options.check()?;
        Ok(options)
    }

    /// Most connections.
    pub(crate) fn clients_max(&self) -> u64 {
        self.clients_max as u64
    }

    fn cluster(&self) -> anyhow::Result<Option<ClusterOptions>> {
        let brokers = match &self.cluster_file {
            None => self.cluster.clone(),
            Some(path) => {
                let text = std::fs::read_to_string(path);
                lines(&text.with_context(|| format!("cannot read --cluster-file {}", path.display()))?)
            }
        };
        let is_wanted = self.cluster_file.is_some() || !brokers.is_empty();
        anyhow::ensure!(
            is_wanted || self.cluster_ca.is_none(),
            "--cluster-ca needs --cluster or --cluster-file"
        );
        Ok(is_wanted.then(|| ClusterOptions { brokers, authorities: self.cluster_ca.clone() }))
    }
}

/// Addresses in a file: one a line, empty lines and those that begin with `#` left out.
fn lines(text: &str) -> Vec<String> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect()
}

fn parse_ports(text: &str) -> Result<[u16; 2], String> {
    let ports =
        text.split_once(',').and_then(|(first, second)| Some([first.parse().ok()?, second.parse().ok()?]));
    ports.ok_or_else(|| "must be two ports such as 3478,3479".to_owned())
}
