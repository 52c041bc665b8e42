//! Opens a release: finds its root, gets its documents, takes up what is kept of it, and starts its job.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use freshet_protocol::origin_path::Target;
use freshet_protocol::{Hash, RootId};
use freshet_swarm::Policy;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::cache::{Kept, look};
use super::release::OpenRelease;
use super::route::ReleaseName;
use crate::event::Event;
use crate::job::{ASKS_MAX, Job, JobConfig, JobReport, Preloading, Purpose};
use crate::node::{Folder, Found, GetError, GetOptions, ReleaseUrl, blocking, find};
use crate::origin::Origin;
use crate::random::random_bytes;
use crate::release::{Located, Trust, cached_release, fetch_keys};
use crate::report::SoFar;
use crate::store::{ChunkFiles, FolderLock, Layout, ScanError, Sibling, take_up, write_atomic};

/// Events of a job that wait to be heard.
const EVENTS_MAX: usize = 16;
/// Other releases that are looked through for each chunk.
const SIBLINGS_MAX: usize = 2;

/// Why a release is not open.
#[derive(Debug, thiserror::Error)]
pub(super) enum OpenError {
    #[error("the origin has no such release")]
    NotFound,
    #[error(transparent)]
    Failed(#[from] GetError),
}

/// What every release is opened with.
#[derive(Clone)]
pub(super) struct Opener {
    /// Those of a job on one release, but for its URL; its folder is below this one.
    pub(super) options: GetOptions,
    /// Whose pointer names trackers.
    pub(super) channel: freshet_protocol::Name,
    pub(super) origin: Origin,
    pub(super) policies: watch::Receiver<Policy>,
    pub(super) events: mpsc::Sender<Event>,
    pub(super) stop: CancellationToken,
}

/// An open release and its job, which is to be run.
pub(super) struct Opened {
    pub(super) release: Arc<OpenRelease>,
    job: Job,
    events: mpsc::Receiver<Event>,
    owner: mpsc::Sender<Event>,
    _lock: FolderLock,
}

impl Opener {
    /// The folder in which a release is kept: names may be too long for a file system, or forbidden.
    pub(super) fn folder(&self, name: &ReleaseName) -> std::path::PathBuf {
        let hash = Hash::of(format!("{}\n{}", name.content, name.version).as_bytes());
        self.options.folder.join(&hash.to_string()[..32])
    }

    /// Opens a release. Each takes part in its swarm by itself, so the identity that the options keep is for one that is
    /// alone; others have one of their own.
    pub(super) async fn open(
        &self,
        name: &ReleaseName,
        is_alone: bool,
        stop: &CancellationToken,
    ) -> Result<Opened, OpenError> {
        let layout = Layout::new(&self.folder(name));
        let id = self.root(name, &layout).await?;
        let mut options = self.options.clone();
        options.folder = self.folder(name);
        options.url = ReleaseUrl { base: options.url.base, target: Target::Root(name.content.clone(), id) };
        options.policy = *self.policies.borrow();
        options.listen = free_port(options.listen);
        options.state_dir = options.state_dir.filter(|_| is_alone);
        let (events, job_events) = mpsc::channel(EVENTS_MAX);
        let Folder { layout, mut trust, lock } = Folder::take(&options, stop).await?;
        let note = fetch_keys(&self.origin, &mut trust, &name.content).await.map_err(GetError::from)?;
        let trackers = match self.origin.pointer(&name.content, &self.channel).await {
            Ok(pointer) => trust.open_pointer(&self.channel, &pointer).map(|pointer| pointer.trackers),
            // Without it there may be trackers that the options name.
            Err(_) => Ok(Vec::new()),
        };
        let trackers = trackers.map_err(GetError::from)?;
        let located = Ok(Located { id, trackers, note });
        let Found { fetched, network, documents, .. } =
            find(&options, &self.origin, trust, located, &events, stop).await?;
        let release = Arc::new(fetched.release);
        if release.root.version != name.version {
            let found = &release.root.version;
            let message = format!("the origin names version {found} where {} was asked for", name.version);
            return Err(GetError::Forged(message).into());
        }
        self.remember(&layout, id)?;
        let files = ChunkFiles { layout, release };
        let (looked_at, stopped, cache) = (files.clone(), stop.clone(), self.options.folder.clone());
        let look = move || Ok::<_, ScanError>((take_up(&looked_at, &stopped)?, siblings(&cache, &looked_at)));
        let (local, siblings) = blocking(look).await.map_err(GetError::from)?;
        let (asks, asked) = mpsc::channel(ASKS_MAX);
        let config = JobConfig {
            files: files.clone(),
            local,
            purpose: Purpose::Read { asks: asked, siblings },
            old: None,
            origin: self.origin.clone(),
            index: fetched.index,
            network,
            documents,
            policy: options.policy,
            policies: self.policies.clone(),
            preload: Preloading::default(),
            watch: None,
            give_up_after: options.give_up_after,
            events,
            stop: stop.clone(),
        };
        let job = Job::new(config, u32::from_be_bytes(random_bytes()))?;
        let release = Arc::new(OpenRelease::new(files, asks, stop.clone()));
        Ok(Opened { release, job, events: job_events, owner: self.events.clone(), _lock: lock })
    }

    /// The root of a version: the origin's word, or the one that it gave before where it cannot be asked.
    async fn root(&self, name: &ReleaseName, layout: &Layout) -> Result<RootId, OpenError> {
        match self.origin.version(&name.content, &name.version).await {
            Ok(id) => Ok(id),
            Err(error) if error.is_missing() => Err(OpenError::NotFound),
            Err(error) => {
                let known = std::fs::read_to_string(layout.own(ROOT_FILE)).ok();
                let known = known.filter(|_| error.may_pass()).and_then(|text| text.parse().ok());
                known.ok_or_else(|| OpenError::Failed(error.into()))
            }
        }
    }

    fn remember(&self, layout: &Layout, id: RootId) -> Result<(), GetError> {
        let path = layout.own(ROOT_FILE);
        write_atomic(&path, id.to_string().as_bytes()).map_err(|error| GetError::io(&path, &error))
    }
}

/// Which root the folder is for.
const ROOT_FILE: &str = "root";

/// The address to accept links at: each release has a socket of its own, and the port that was asked for goes to the first.
pub(super) fn free_port(wanted: SocketAddr) -> SocketAddr {
    match std::net::UdpSocket::bind(wanted) {
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => SocketAddr::new(wanted.ip(), 0),
        _ => wanted,
    }
}

/// Other releases of the same content in the cache, those that were used last.
fn siblings(cache: &Path, files: &ChunkFiles) -> Vec<Sibling> {
    let mut kept = look(cache).unwrap_or_default();
    kept.sort_by_key(|kept| std::cmp::Reverse(kept.used));
    kept.retain(|kept| kept.folder != files.layout.folder());
    let sibling = |kept: Kept| {
        let layout = Layout::new(&kept.folder);
        let trust = Trust::remembered(&layout).ok()??;
        if *trust.content() != files.release.root.content {
            return None;
        }
        let id = std::fs::read_to_string(layout.own(ROOT_FILE)).ok()?.parse().ok()?;
        let release = Arc::new(cached_release(&trust, &layout, id)?);
        Sibling::begun(ChunkFiles { layout, release })
    };
    kept.into_iter().filter_map(sibling).take(SIBLINGS_MAX).collect()
}

impl Opened {
    /// Runs the job until it is stopped or fails.
    pub(super) async fn run(self) -> (JobReport, Result<(), GetError>) {
        let Self { release, job, mut events, owner, _lock } = self;
        let listening = async move {
            while let Some(event) = events.recv().await {
                match event {
                    Event::Progress { bytes, sent_bytes, links, .. } => {
                        release.set_so_far(SoFar { bytes, sent_bytes, links });
                    }
                    Event::Note { .. } => drop(owner.send(event).await),
                    _ => {}
                }
            }
        };
        let ((report, result), ()) = tokio::join!(job.run(), listening);
        let result = match result {
            Err(GetError::Stopped) => Ok(()),
            result => result,
        };
        (report, result)
    }
}
