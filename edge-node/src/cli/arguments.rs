//! What can be said on the command line, and what it means for a job.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};
use freshet_edge_node::{
    GatewayOptions, GetError, GetOptions, Goal, Hours, Parts, Policy, Preload, PublicKey, SeedFor,
    SharePriority, check_download_rate,
};

use crate::cli::gateway::Gateway;
use crate::cli::quantity::{Bytes, Rate, Time};

/// Least time between two questions to the origin.
const LOOK_EVERY_MIN: Duration = Duration::from_secs(1);

const EXIT_CODES: &str = "\
Exit codes:
    0  installed, or fetched ahead with --preload (and shared for as long as asked)
    1  failed for another reason; the message says why
    2  the command line is wrong
   10  the origin cannot be reached, and no peer could stand in for it
   11  a key, signature or hash is not what it must be
   12  the channel pointer is expired, or older than one seen before
   13  the disk is full
   14  the folder cannot be written
   15  the port to listen on is taken
  130  stopped by SIGINT, or by stdin, before the release was installed
  143  stopped by SIGTERM before the release was installed
Whatever happens, what was fetched is kept, and the same command goes on from there.";

/// Gets releases from origin and peers, and shares them where you agree.
#[derive(Debug, Parser)]
#[command(name = "freshet-node", version, after_help = EXIT_CODES)]
pub(crate) struct Arguments {
    /// What to log to stderr, as in RUST_LOG: a level, or target=level pairs.
    #[arg(long, global = true, default_value = "info", value_name = "FILTER")]
    pub(crate) log: String,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Gets or updates a release in a folder.
    #[command(after_help = EXIT_CODES)]
    Get(Box<Get>),
    /// Keeps a folder at what a channel shows (--follow), or stands in front of an origin as a local HTTP gateway (--gateway),
    /// until SIGINT or SIGTERM.
    #[command(after_help = EXIT_CODES)]
    Run(Box<Run>),
    /// Says what `get` would fetch, write and need, and fetches none of it.
    Plan(Plan),
    /// Compares an installation with its signed manifest. Changes nothing, and needs no network.
    #[command(after_help = "Exit codes: 0 all is as it must be, 20 something is changed or missing.")]
    Verify(Verify),
    /// Hashes what is installed, and gets from peers and the origin what is not as it must be. The version stays.
    #[command(after_help = EXIT_CODES)]
    Repair(Box<Repair>),
    /// Removes an installation, and all that the node kept in its folder. Other files stay.
    Uninstall(Uninstall),
}

/// Arguments of `plan`.
#[derive(Debug, Args)]
pub(crate) struct Plan {
    /// A channel or a root, as for `get`.
    url: String,
    /// Folder that would be installed into.
    #[arg(long, value_name = "DIR")]
    into: PathBuf,
    /// The tenant's public key, as for `get`.
    #[arg(long, value_name = "ed25519:KEY")]
    key: Option<PublicKey>,
    #[command(flatten)]
    parts: ChosenParts,
    /// Rate of the line, like 10MB/s: says how long the download takes.
    #[arg(long, value_name = "RATE")]
    pub(super) rate: Option<Rate>,
    /// Print one JSON object.
    #[arg(long)]
    pub(super) json: bool,
}

impl Plan {
    /// The job that is to be planned.
    pub(super) fn options(&self) -> Result<GetOptions, GetError> {
        let mut options = GetOptions::new(&self.url, &self.into)?;
        options.key = self.key.or(options.key);
        options.parts = self.parts.parts.clone();
        Ok(options)
    }
}

/// Arguments of `verify`.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// The folder that was installed into.
    #[arg(value_name = "DIR")]
    pub(super) folder: PathBuf,
    /// Believe that files that look as they were left are what they were; otherwise all are hashed.
    #[arg(long)]
    pub(super) fast: bool,
    /// Print one JSON object.
    #[arg(long)]
    pub(super) json: bool,
}

/// Arguments of `uninstall`.
#[derive(Debug, Args)]
pub(crate) struct Uninstall {
    /// The folder that was installed into.
    #[arg(value_name = "DIR")]
    pub(super) folder: PathBuf,
    /// Remove files of the installation that were changed since, too.
    #[arg(long)]
    pub(super) remove_changed: bool,
    /// Print one JSON object.
    #[arg(long)]
    pub(super) json: bool,
}

/// Arguments of `get`.
#[derive(Debug, Args)]
pub(crate) struct Get {
    /// A channel (http://host/game/demo/channels/live) or a root (http://host/game/demo/roots/HASH); the tenant's key
    /// may follow as #key=ed25519:...
    url: String,
    #[command(flatten)]
    parts: ChosenParts,
    #[command(flatten)]
    into: Into,
    #[command(flatten)]
    pub(super) job: Job,
    /// How long to go on sharing after the install: 30s, 2h, or forever.
    #[arg(long, value_name = "TIME", default_value = "0s", requires = "share")]
    seed_for: Time,
    /// Hash what is installed, and mend what is not as it must be, from peers and the origin. Files that somebody changed
    /// are moved aside.
    #[arg(long)]
    verify: bool,
    /// Fetch what the channel prepares, ahead of its time, and install nothing. Ends when it is here; once the channel opens
    /// it, `get` or `run` install it from there.
    #[arg(long, conflicts_with = "verify")]
    preload: bool,
}

/// Arguments of `run`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("what").required(true).args(["follow", "gateway"]))]
pub(crate) struct Run {
    /// The channel to follow (http://host/game/demo/channels/live); the tenant's key may follow as #key=ed25519:...
    #[arg(long, value_name = "URL", requires = "into")]
    follow: Option<String>,
    /// Folder to install into; made if missing.
    #[arg(long, value_name = "DIR", requires = "follow")]
    into: Option<PathBuf>,
    #[command(flatten)]
    parts: ChosenParts,
    /// How often, about, to ask the origin whether the channel shows another version: from 1s. Peers tell at once.
    #[arg(long, value_name = "TIME", default_value = "5m", conflicts_with = "gateway")]
    look_every: Time,
    /// Do not fetch what the channel prepares ahead of its time.
    #[arg(long, conflicts_with = "gateway")]
    no_preload: bool,
    #[command(flatten)]
    pub(super) gateway: Gateway,
    #[command(flatten)]
    pub(super) job: Job,
}

/// Arguments of `repair`.
#[derive(Debug, Args)]
pub(crate) struct Repair {
    /// The channel or root that it was got from, as for `get`.
    url: String,
    #[command(flatten)]
    into: Into,
    #[command(flatten)]
    pub(super) job: Job,
}

/// Which parts of a release are installed.
#[derive(Debug, Args)]
struct ChosenParts {
    /// Optional parts to install: all, default, none, names like ja,hd, or changes to what is installed, like +ja,-hd.
    /// Remembered in DIR; by default what is installed stays so. `plan` lists them.
    #[arg(long, value_name = "PARTS", allow_hyphen_values = true)]
    parts: Option<Parts>,
}

/// Where to install.
#[derive(Debug, Args)]
struct Into {
    /// Folder to install into; made if missing.
    #[arg(long, value_name = "DIR")]
    into: PathBuf,
}

/// How a job is done.
#[derive(Debug, Args)]
pub(crate) struct Job {
    /// The tenant's public key, as the publisher printed it. Needed the first time, remembered in DIR after that.
    #[arg(long, value_name = "ed25519:KEY")]
    key: Option<PublicKey>,
    /// Tracker to use (ws:// or wss://) instead of those named by the channel; may be repeated.
    #[arg(long, value_name = "URL")]
    tracker: Vec<String>,
    /// Base URL where the same content can be had, ending in a slash: asked where the origin fails, refuses, or lacks what is
    /// needed; may be repeated, and they are asked in this order.
    #[arg(long, value_name = "URL")]
    mirror: Vec<String>,
    /// Fetch from the origin alone, as plain HTTP.
    #[arg(long)]
    no_p2p: bool,
    /// Hand chunks to other peers too. Without this not one byte of content is sent.
    #[arg(long, conflicts_with = "no_p2p")]
    share: bool,
    /// Most bytes a second to hand out, like 2MB/s; no cap by default.
    #[arg(long, value_name = "RATE", requires = "share")]
    share_rate: Option<Rate>,
    /// `yield`: what is handed out takes only what other traffic of the line leaves, and ping stays short. `fair`: it takes
    /// its share as any download does, for machines whose line is there for this.
    #[arg(long, value_enum, requires = "share", default_value_t = PriorityArgument::Yield)]
    share_priority: PriorityArgument,
    /// Most bytes to hand out in all, like 10GB; no cap by default.
    #[arg(long, value_name = "BYTES", requires = "share")]
    share_total: Option<Bytes>,
    /// Most bytes a second to fetch, from all together, like 5MB/s: at least 64kB/s; no cap by default.
    #[arg(long, value_name = "RATE")]
    limit_rate: Option<Rate>,
    /// Fetch, share and install at these hours of the day alone, by the local clock, like 02:00-08:00.
    #[arg(long, value_name = "HH:MM-HH:MM")]
    hours: Option<Hours>,
    /// Follow what is said on stdin, one JSON object a line: {"paused":true}, {"playing":true}, {"while_playing":"100kB/s"},
    /// {"download_rate":"5MB/s"}, {"share":true}, {"share_rate":"1MB/s"}, {"hours":"02:00-08:00"}, {"stop":true}; null takes
    /// a rate or hours away. The end of stdin stops the job.
    #[arg(long)]
    pub(super) stdin: bool,
    /// `speed`: never slower than HTTP alone. `offload`: as few bytes from the origin as --offload-slack allows.
    #[arg(long, value_enum, default_value_t = GoalArgument::Speed)]
    goal: GoalArgument,
    /// At `offload`: the rate to keep up, as a share of the origin's, 0 to 1. 1 is as fast as HTTP; lower saves more of
    /// the origin and may take longer.
    #[arg(long, value_name = "SHARE", default_value_t = 0.5, value_parser = share)]
    offload_slack: f64,
    /// UDP address to accept links at; port 0 picks one. `[::]` takes IPv4 as well, and is that alone where there is no IPv6.
    #[arg(long, value_name = "ADDR:PORT", default_value = "[::]:0")]
    listen: SocketAddr,
    /// Address at which peers reach this node, where it is another than the tracker sees; may be repeated, the first
    /// three count, or more where browsers are not let in.
    #[arg(long, value_name = "ADDR:PORT")]
    advertise: Vec<SocketAddr>,
    /// Ask the router for a port that leads here (UPnP IGD, PCP, NAT-PMP), and give it back at the end. Peers behind NATs
    /// that cannot be passed otherwise then reach this node.
    #[arg(long)]
    map_port: bool,
    /// Do not let browsers link over WebTransport. With --share they may, on the same port as other nodes.
    #[arg(long)]
    no_web_transport: bool,
    /// Make no WebRTC data channels. With --share they are made with browsers that cannot dial this node, and with
    /// nodes where neither can dial the other.
    #[arg(long)]
    no_web_rtc: bool,
    /// Folder for the node's identity, by default a new one each time, and for what it remembers of peers, so that it finds
    /// them again while no tracker answers.
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// End when nothing came from anyone for this long while the origin fails; ten times as long where it takes requests and
    /// is silent, as in a crowd.
    #[arg(long, value_name = "TIME", default_value = "30s")]
    give_up_after: Time,
    /// Write the address that links are accepted at to this file, as JSON.
    #[arg(long, value_name = "PATH")]
    pub(super) ready_file: Option<PathBuf>,
    /// Say everything as one JSON object a line; the last one is "done" or "failed".
    #[arg(long)]
    pub(super) json: bool,
    /// Write the last JSON object to this file too.
    #[arg(long, value_name = "PATH")]
    pub(super) report_file: Option<PathBuf>,
    /// Say nothing but errors.
    #[arg(long)]
    pub(super) quiet: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum GoalArgument {
    Speed,
    Offload,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum PriorityArgument {
    Yield,
    Fair,
}

fn share(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| format!("{text:?} is not a number from 0 to 1"))?;
    if (0.0..=1.0).contains(&value) { Ok(value) } else { Err(format!("{text} is not from 0 to 1")) }
}

impl Get {
    /// The job that these arguments ask for.
    pub(super) fn options(&self) -> Result<GetOptions, GetError> {
        let mut options = self.job.options(&self.url, &self.into.into)?;
        options.parts = self.parts.parts.clone();
        options.verify = self.verify;
        options.preload = if self.preload { Preload::Only } else { Preload::Never };
        options.seed_for = match self.seed_for {
            Time::For(time) => SeedFor::Time(time),
            Time::Forever => SeedFor::Forever,
        };
        Ok(options)
    }
}

impl Run {
    /// The gateway that is to be run, if it is one.
    pub(super) fn gateway(&self) -> Option<Result<GatewayOptions, GetError>> {
        let options = self.gateway.options(&self.job)?;
        let of_follow = GetError::Usage("--parts is for --follow: a gateway has all files".to_owned());
        Some(if self.parts.parts.is_some() { Err(of_follow) } else { options })
    }

    /// The job that each version is got by.
    pub(super) fn options(&self) -> Result<GetOptions, GetError> {
        let missing = || GetError::Usage("--follow URL --into DIR, or --gateway ADDR:PORT".to_owned());
        let (follow, into) = self.follow.as_ref().zip(self.into.as_ref()).ok_or_else(missing)?;
        let mut options = self.job.options(follow, into)?;
        options.parts = self.parts.parts.clone();
        options.preload = if self.no_preload { Preload::Never } else { Preload::Also };
        options.look_every = match self.look_every {
            Time::For(time) if time < LOOK_EVERY_MIN => {
                return Err(GetError::Usage("--look-every must be 1s or more".to_owned()));
            }
            Time::For(time) => Some(time),
            Time::Forever => None,
        };
        Ok(options)
    }
}

impl Repair {
    /// The job that mends.
    pub(super) fn options(&self) -> Result<GetOptions, GetError> {
        self.job.options(&self.url, &self.into.into)
    }
}

impl Job {
    /// The job on what is at `url`.
    pub(super) fn options(&self, url: &str, folder: &Path) -> Result<GetOptions, GetError> {
        let mut options = GetOptions::new(url, folder)?;
        if let (Some(in_url), Some(given)) = (options.key, self.key)
            && in_url != given
        {
            return Err(GetError::Usage("--key and the key in the URL differ; give one of them".to_owned()));
        }
        if let Some(url) = self.tracker.iter().find(|url| !is_tracker(url)) {
            return Err(GetError::Usage(format!("--tracker {url:?} must start with ws:// or wss://")));
        }
        options.key = self.key.or(options.key);
        options.trackers = self.tracker.clone();
        options.mirrors = self.mirror.clone();
        let download_rate = self.limit_rate.map(|rate| check_download_rate(rate.0)).transpose();
        options.policy = Policy {
            p2p: !self.no_p2p,
            sharing: self.share,
            goal: match self.goal {
                GoalArgument::Speed => Goal::Speed,
                GoalArgument::Offload => Goal::Offload,
            },
            upload_bytes_s_max: self.share_rate.map(|rate| rate.0),
            upload_bytes_max: self.share_total.map(|total| total.0),
            download_bytes_s_max: download_rate
                .map_err(|error| GetError::Usage(format!("--limit-rate: {error}")))?,
            offload_slack_permille: (self.offload_slack * 1000.0).round() as u32,
            ..Policy::default()
        };
        options.share_priority = match self.share_priority {
            PriorityArgument::Yield => SharePriority::Yield,
            PriorityArgument::Fair => SharePriority::Fair,
        };
        options.control.change(|wishes| wishes.hours = self.hours);
        options.give_up_after = match self.give_up_after {
            Time::For(time) => time,
            Time::Forever => Duration::MAX,
        };
        options.listen = self.listen;
        options.advertise = self.advertise.clone();
        options.map_port = self.map_port;
        options.web_transport = !self.no_web_transport;
        options.web_rtc = !self.no_web_rtc;
        options.state_dir = self.state_dir.clone();
        Ok(options)
    }
}

fn is_tracker(url: &str) -> bool {
    url.starts_with("ws://") || url.starts_with("wss://")
}
