//! The steps of `get`, from a URL to an installed folder.

use freshet_protocol::{ContentName, PublicKey};
use freshet_swarm::Policy;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::event::Event;
use crate::job::{Job, JobConfig, Purpose, Watch};
use crate::network::{Documents, Learning, Network, NetworkConfig, learn};
use crate::node::folder::{Before, Folder};
use crate::node::preload::{refuse_sealed, tidy};
use crate::node::prepare::{Prepared, Preparing};
use crate::node::{GetError, GetOptions};
use crate::origin::{MIRRORS_MAX, Origin, OriginConfig};
use crate::random::random_bytes;
use crate::release::{
    DocumentError, Fetched, Located, Release, Trust, channel_of, content_of, fetch, fetch_patched, locate,
};
use crate::report::Report;
use crate::store::{ChunkFiles, Layout, OldFiles, SealedStream};
use crate::uplink::SharePriority;

/// Gets a release once, without a pause. What it finds out goes into `report`; `policies` tells changes that it follows.
pub(super) async fn get_once(
    options: &GetOptions,
    policies: watch::Receiver<Policy>,
    events: mpsc::Sender<Event>,
    stop: CancellationToken,
    started: Instant,
    report: &mut Report,
) -> Result<(), GetError> {
    tokio::select! {
        result = steps(options, policies, events, stop.clone(), started, report) => result,
        // The steps before and after the job end here at once; the job itself winds down on its own.
        () = grace(&stop) => Err(GetError::Stopped),
    }
}

/// Time that the job has to wind down before it is dropped.
const STOP_GRACE: std::time::Duration = std::time::Duration::from_millis(1800);

async fn grace(stop: &CancellationToken) {
    stop.cancelled().await;
    tokio::time::sleep(STOP_GRACE).await;
}

async fn steps(
    options: &GetOptions,
    policies: watch::Receiver<Policy>,
    events: mpsc::Sender<Event>,
    stop: CancellationToken,
    started: Instant,
    report: &mut Report,
) -> Result<(), GetError> {
    let Folder { layout, mut trust, lock: _lock } = Folder::take(options, &stop).await?;
    let origin = open_origin(options)?;
    let located = tokio::select! {
        located = locate(&origin, &mut trust, &layout, &options.url.target) => located,
        () = stop.cancelled() => return Err(GetError::Stopped),
    };
    let Found { fetched: Fetched { release, index }, network, documents, sealed } =
        find(options, &origin, trust, located, &events, &stop).await?;
    refuse_sealed(&release)?;
    tidy(&layout, &documents);
    let before = Before::load(&layout, documents.trust())?;
    let release = before.choose_parts(options.parts.as_ref(), release)?;
    let preparing = Preparing {
        options,
        origin: &origin,
        documents: &documents,
        layout: &layout,
        events: &events,
        stop: &stop,
    };
    let prepared = preparing.job((release, index), before, sealed, report).await?;
    let Prepared { release, local, before, index, preload } = prepared;
    let config = JobConfig {
        old: before.release.map(|release| OldFiles { layout: layout.clone(), release }),
        files: ChunkFiles { layout, release },
        local,
        purpose: Purpose::Install { installed: before.installed, seed_for: options.seed_for },
        origin: origin.clone(),
        index,
        network,
        documents,
        policy: options.policy,
        policies,
        preload,
        watch: watch(options),
        give_up_after: options.give_up_after,
        events,
        stop,
    };
    let job = Job::new(config, u32::from_be_bytes(random_bytes()))?;
    let (job_report, result) = job.run().await;
    job_report.add_to(report, started);
    report.origin_wire_bytes += origin.body_bytes();
    report.origin_requests += origin.requests();
    result
}

/// Whether, and how, to look for newer versions meanwhile.
fn watch(options: &GetOptions) -> Option<Watch> {
    let (target, every) = (&options.url.target, options.look_every?);
    Some(Watch { content: content_of(target).clone(), channel: channel_of(target)?, every })
}

/// A release, and the way to those who share it.
pub(crate) struct Found {
    pub(crate) fetched: Fetched,
    pub(crate) network: Option<Network>,
    pub(crate) documents: Documents,
    /// What holds its chunks, where it was fetched ahead of its time.
    pub(crate) sealed: Option<SealedStream>,
}

/// Joins the swarm where there is one, gets the release's documents meanwhile, and asks the swarm for what the origin
/// could not tell.
pub(crate) async fn find(
    options: &GetOptions,
    origin: &Origin,
    trust: Trust,
    located: Result<Located, DocumentError>,
    events: &mpsc::Sender<Event>,
    stop: &CancellationToken,
) -> Result<Found, GetError> {
    let content = content_of(&options.url.target);
    let tracker_keys = trust.tracker_keys();
    let layout = Layout::new(&options.folder);
    let mut documents = Documents::new(trust, layout.clone(), channel_of(&options.url.target));
    let named = match &located {
        Ok(located) => located.trackers.clone(),
        Err(_) => documents.trackers(),
    };
    let mut network = join(options, content_of(&options.url.target), named, tracker_keys, events).await?;
    let (mut sealed, opening) = match &located {
        Ok(Located { id, .. }) => documents.open_sealed(*id),
        Err(_) => (None, None),
    };
    if let Some(message) = opening {
        let _ = events.send(Event::Note { message }).await;
    }
    let fetched = match located {
        Ok(Located { id, note, .. }) => {
            if let Some(message) = note {
                let _ = events.send(Event::Note { message }).await;
            }
            tokio::select! {
                fetched = fetch(origin, documents.trust(), &layout, content, id) => fetched,
                () = stop.cancelled() => return Err(GetError::Stopped),
            }
        }
        Err(error) => Err(error),
    };
    let fetched = match (fetched, &mut network) {
        (Ok(fetched), _) => fetched,
        (Err(DocumentError::Origin(error)), Some(network)) if error.may_pass() => {
            let message = format!("{error}; asking peers");
            let _ = events.send(Event::Note { message }).await;
            let learning = Learning {
                target: &options.url.target,
                sharing: options.policy.sharing,
                give_up_after: options.give_up_after,
                stop,
            };
            let release = learn(network, &mut documents, learning, error.into()).await?;
            sealed = documents.open_sealed(release.id).0;
            Fetched { release, index: None }
        }
        (Err(error), _) => return Err(error.into()),
    };
    Ok(Found { fetched, network, documents, sealed })
}

/// Opens the way to peers, where policy wants them and a tracker is known.
pub(crate) async fn join(
    options: &GetOptions,
    content: &ContentName,
    named: Vec<String>,
    tracker_keys: Vec<PublicKey>,
    events: &mpsc::Sender<Event>,
) -> Result<Option<Network>, GetError> {
    let trackers = if options.trackers.is_empty() { named } else { options.trackers.clone() };
    if !options.policy.p2p || trackers.is_empty() {
        return Ok(None);
    }
    let config = NetworkConfig {
        content,
        listen: options.listen,
        advertise: &options.advertise,
        map_port: options.map_port,
        web_transport: options.web_transport && options.policy.sharing,
        web_rtc: options.web_rtc && options.policy.sharing,
        state_dir: options.state_dir.as_deref(),
        limiter: options.control.limiter().clone(),
        uplink: match options.share_priority {
            SharePriority::Yield => Some(options.control.uplink().clone()),
            SharePriority::Fair => None,
        },
        trackers,
        tracker_keys,
    };
    let network = Network::open(config).await?;
    let _ = events.send(Event::Listening { address: network.transport.local_address() }).await;
    Ok(Some(network))
}

/// The way to the origin that `options` name.
pub(crate) fn open_origin(options: &GetOptions) -> Result<Origin, GetError> {
    let agent = concat!("freshet-node/", env!("CARGO_PKG_VERSION")).to_owned();
    if let Some(url) = options.mirrors.iter().find(|url| !is_base(url)) {
        return Err(GetError::Usage(format!(
            "the mirror {url:?} must start with http:// or https://, and end in /"
        )));
    }
    if options.mirrors.len() >= MIRRORS_MAX {
        return Err(GetError::Usage(format!("there may be up to {} mirrors", MIRRORS_MAX - 1)));
    }
    let bases = std::iter::once(&options.url.base).chain(&options.mirrors).cloned().collect();
    let limiter = options.control.limiter().clone();
    Ok(Origin::new(&OriginConfig { bases, agent, limiter })?)
}

fn is_base(url: &str) -> bool {
    (url.starts_with("http://") || url.starts_with("https://")) && url.ends_with('/')
}

/// The release with the patch laid behind it that leads there from the older one, if there is one, and what speaks against
/// it: chunks are then fetched whole.
pub(super) async fn with_patch(
    origin: &Origin,
    documents: &Documents,
    old: &Release,
    release: Release,
) -> (Release, Option<String>) {
    let Some(patch) = documents.patch(old.id, release.id) else { return (release, None) };
    match fetch_patched(origin, documents.trust(), documents.layout(), patch, old, &release).await {
        Ok(patched) => (patched, None),
        Err(error) => (release, Some(format!("{error}; fetching changed chunks whole"))),
    }
}
