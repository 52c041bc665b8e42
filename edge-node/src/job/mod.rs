//! A job: one release for one folder. One task owns the core; everything that happens reaches it through channels as an
//! input, and every output of the core is carried out here.

mod channel_watch;
mod content;
mod deriving;
mod inputs;
mod links;
mod origin_watch;
mod outputs;
mod preloading;
mod progress;
mod reading;
mod serving;
mod spans;
mod tracker;
mod turn;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use freshet_swarm::{Core, CoreConfig, FetchId, LinkId, Policy};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::AbortHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::event::Event;
use crate::job::channel_watch::ChannelWatch;
use crate::job::content::Content;
use crate::job::deriving::Deriving;
use crate::job::origin_watch::OriginWatch;
use crate::job::reading::Readers;
use crate::job::serving::ReadBack;
use crate::job::spans::{Said, Spans};
use crate::network::{Documents, Links, Network};
use crate::node::GetError;
use crate::origin::{EarlyIndex, Origin, RunEvent, Runs};
use crate::release::Release;
use crate::store::{ChunkFiles, Installed, Local, OldFiles, Placing, Sibling, StoreEvent, Writers};

pub(crate) use channel_watch::Watch;
pub(crate) use preloading::Preloading;
pub(crate) use progress::JobReport;
pub(crate) use reading::{ASKS_MAX, Ask, Found};

/// Chunks from the origin that wait for the job.
const RUN_EVENTS_MAX: usize = 32;
/// Chunks being read back from disk for peers.
const READ_EVENTS_MAX: usize = 64;
/// Chunks read and hashed at a time; more would push each other out of the processor's caches before they are sent.
const READERS_MAX: usize = 2;
/// Memory for verified chunks that peers may ask for, in bytes.
const HOT_BYTES_MAX: u64 = 64 << 20;

/// How long to share after the install.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeedFor {
    /// This long; zero ends at once.
    Time(Duration),
    /// Until stopped.
    Forever,
}

/// What a job is for.
pub(crate) enum Purpose {
    /// To install the release over what is installed, and to share it for a while.
    Install { installed: Option<Installed>, seed_for: SeedFor },
    /// To hand it to readers, and to fetch what they ask for and siblings do not have, until it is stopped.
    Read { asks: mpsc::Receiver<Ask>, siblings: Vec<Sibling> },
}

/// What a job needs to know.
pub(crate) struct JobConfig {
    pub(crate) files: ChunkFiles,
    pub(crate) local: Local,
    pub(crate) purpose: Purpose,
    /// The installed release, where its manifest is known.
    pub(crate) old: Option<OldFiles>,
    pub(crate) origin: Origin,
    /// Where the chunks of the first page lie at the origin, if that was asked already.
    pub(crate) index: Option<EarlyIndex>,
    /// Peers and tracker; none for plain HTTP.
    pub(crate) network: Option<Network>,
    pub(crate) documents: Documents,
    pub(crate) policy: Policy,
    /// What the policy is changed to; what it says of peers and of sharing stays.
    pub(crate) policies: watch::Receiver<Policy>,
    /// What of a sealed release is laid behind the release, which is then all here, or nothing.
    pub(crate) preload: Preloading,
    /// What else the channel shows is asked of the origin so, if at all.
    pub(crate) watch: Option<Watch>,
    /// A job whose origin fails and that gets nothing from anyone for this long ends.
    pub(crate) give_up_after: Duration,
    pub(crate) events: mpsc::Sender<Event>,
    pub(crate) stop: CancellationToken,
}

/// A running job.
pub(crate) struct Job {
    core: Core,
    clock: Clock,
    content: Content,
    store_events: mpsc::Receiver<StoreEvent>,
    deriving: Deriving,
    network: Option<Network>,
    documents: Documents,
    links: Links<Said>,
    spans: Spans,
    /// Requests of peers that are answered with pages and roots, which the core does not know of.
    documents_sent: BTreeSet<(LinkId, u64)>,
    runs: Runs,
    run_events: mpsc::Receiver<RunEvent>,
    fetches: BTreeMap<FetchId, AbortHandle>,
    origin_watch: OriginWatch,
    channel_watch: Option<ChannelWatch>,
    readers: Readers,
    read_permits: Arc<Semaphore>,
    read_backs: mpsc::Receiver<ReadBack>,
    read_back: mpsc::Sender<ReadBack>,
    phase: Phase,
    preloading: Preloading,
    /// News that its owner has not heard yet.
    untold: Option<Event>,
    config: Kept,
    progress: progress::Progress,
}

/// What stays of the configuration.
struct Kept {
    installed: Option<Installed>,
    placing: Placing,
    policy: Policy,
    policies: watch::Receiver<Policy>,
    seed_for: SeedFor,
    events: mpsc::Sender<Event>,
    stop: CancellationToken,
}

/// How far the job is.
enum Phase {
    /// Readers say what is missing.
    Reading,
    /// Chunks are missing, or not yet on disk.
    Fetching,
    /// Files move to their places.
    Installing(tokio::task::JoinHandle<Result<Vec<std::path::PathBuf>, crate::store::InstallError>>),
    /// Installed; shares until then, or until stopped.
    Sharing(Option<Instant>),
}

impl Job {
    /// Prepares a job and starts its writers.
    ///
    /// # Errors
    /// When the system gives no threads.
    pub(crate) fn new(config: JobConfig, seed: u32) -> Result<Self, GetError> {
        let JobConfig { files, local, purpose, old, origin, index, network, documents, policy, .. } = config;
        let JobConfig { policies, watch, give_up_after, events, stop, .. } = config;
        let (phase, installed, seed_for, readers) = match purpose {
            Purpose::Install { installed, seed_for } => {
                (Phase::Fetching, installed, seed_for, Readers::new(None, Vec::new()))
            }
            Purpose::Read { asks, siblings } => {
                (Phase::Reading, None, SeedFor::Forever, Readers::new(Some(asks), siblings))
            }
        };
        let reads = matches!(phase, Phase::Reading);
        let release = Arc::clone(&files.release);
        let (writers, store_events) = Writers::start(&files)
            .map_err(|error| GetError::Other(format!("cannot start threads: {error}")))?;
        let (run_sender, run_events) = mpsc::channel(RUN_EVENTS_MAX);
        let (read_back, read_backs) = mpsc::channel(READ_EVENTS_MAX);
        let core = Core::new(
            0,
            CoreConfig {
                chunk_bytes: release.chunks().iter().map(|chunk| chunk.bytes).collect(),
                wanted: if reads { Vec::new() } else { wanted(&release, &local) },
                held: local.held.ranges(),
                leased: Some(release.fetched_span().positions),
                policy,
                // It spreads first copies of all that is wanted at the start.
                has_tracker: network.is_some() && !reads,
                is_alone: network.is_none(),
                seed,
            },
        );
        let progress = progress::Progress::new(&release, &local);
        Ok(Self {
            core,
            clock: Clock::start(),
            // Who hands nothing out has no use for them.
            content: Content::new(
                files,
                if policy.sharing || reads { HOT_BYTES_MAX } else { 0 },
                writers,
                local.held,
                local.placing.staying.clone(),
            ),
            store_events,
            deriving: Deriving::new(old),
            network,
            documents,
            links: Links::default(),
            spans: Spans::new(Arc::clone(&release), policy.sharing),
            documents_sent: BTreeSet::new(),
            channel_watch: watch.map(|watch| ChannelWatch::start(watch, origin.clone())),
            runs: Runs::new(origin, release, index, run_sender),
            run_events,
            fetches: BTreeMap::new(),
            origin_watch: OriginWatch::new(give_up_after),
            readers,
            read_permits: Arc::new(Semaphore::new(READERS_MAX)),
            read_backs,
            read_back,
            phase,
            preloading: config.preload,
            untold: None,
            config: Kept { installed, placing: local.placing, policy, policies, seed_for, events, stop },
            progress,
        })
    }

    /// Runs the job to its end: installed and done with sharing, failed, or stopped.
    pub(crate) async fn run(mut self) -> (JobReport, Result<(), GetError>) {
        self.begin_preload();
        let result = self.turn_until_over().await;
        let result = self.wind_down(result).await;
        (self.job_report(), result)
    }
}

/// What is fetched for the first place of each chunk that is not held at all: the chunk, or what a patch has for it. A
/// delta that is held is of no use, or the chunk would have been made of it.
pub(crate) fn wanted(release: &Release, local: &Local) -> Vec<std::ops::Range<u32>> {
    let is_first = |position: &u32| release.places_of(*position).next() == Some(*position);
    let end = release.sealed_positions().map_or(release.root.chunks, |sealed| sealed.end);
    let missing = (0..end).filter(|&position| !local.held.contains(position));
    let fetched = missing.filter(is_first).map(|position| {
        let fetched = release.fetched_for(position);
        if local.held.contains(fetched) { position } else { fetched }
    });
    let mut positions: Vec<u32> = fetched.collect();
    positions.sort_unstable();
    freshet_protocol::ranges_of(positions)
}
