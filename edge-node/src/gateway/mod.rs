//! The local gateway: plain HTTP on loopback in front of an origin, with the origin's own paths. Files of releases come from
//! peers and the origin, verified, chunk by chunk; the rest is passed on. A launcher or downloader that knows nothing of
//! Freshet needs only another base URL.

mod cache;
mod guard;
mod http;
mod media;
mod open;
mod passed;
mod playlists;
mod reader;
mod refusal;
mod release;
mod route;
mod shelf;
mod streams;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use freshet_listen::http::Connections;
use freshet_protocol::Name;
use freshet_swarm::Policy;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use cache::Cache;
use guard::Guard;
use open::Opener;
use shelf::Shelf;
use streams::Streams;

use crate::control::Following;
use crate::event::Event;
use crate::node::{GetError, GetOptions, can_follow, open_origin};
use crate::release::channel_of;
use crate::report::Report;

/// Most connections at once; more wait.
const CONNECTIONS_MAX: usize = 256;
/// A client that takes nothing for so long is cut off. Chunks may be long in coming.
const IDLE_MAX: Duration = Duration::from_secs(120);

/// A gateway in front of an origin.
#[derive(Debug, Clone)]
pub struct GatewayOptions {
    /// How releases are got. Its URL names a channel of the origin, and channels of this name say which trackers there are;
    /// its folder is the cache.
    pub get: GetOptions,
    /// Where to listen: an address of this machine's own, port 0 for any.
    pub listen: SocketAddr,
    /// The cache is kept at about so many bytes. A file that is read now stays, whatever its size.
    pub cache_bytes_max: u64,
    /// Names by which clients may call the gateway, beside those of this machine.
    pub hosts: Vec<String>,
    /// Sites whose pages may ask, like `https://play.example`.
    pub origins: Vec<String>,
}

impl GatewayOptions {
    /// Options with the defaults of the program.
    ///
    /// # Errors
    /// [`GetError::Usage`] when `url` is no channel's URL.
    pub fn new(url: &str, cache: impl Into<PathBuf>, listen: SocketAddr) -> Result<Self, GetError> {
        Ok(Self {
            get: GetOptions::new(url, cache)?,
            listen,
            cache_bytes_max: 20_000_000_000,
            hosts: Vec::new(),
            origins: Vec::new(),
        })
    }

    /// The channel that it is about, where all is as it must be.
    fn check(&self) -> Result<Name, GetError> {
        let usage = |message: String| Err(GetError::Usage(message));
        if !self.listen.ip().is_loopback() {
            return usage(format!(
                "the gateway listens on addresses of this machine alone, such as 127.0.0.1:8188, and not on {}",
                self.listen
            ));
        }
        if let Some(host) = self.hosts.iter().find(|host| host.is_empty() || host.contains(['/', ':', '@'])) {
            return usage(format!("{host:?} is no host name"));
        }
        if let Some(origin) = self.origins.iter().find(|origin| !is_site(origin)) {
            return usage(format!("{origin:?} is no site such as https://play.example"));
        }
        let root = || GetError::Usage("a root is one release; name a channel of the origin".to_owned());
        channel_of(&self.get.url.target).ok_or_else(root)
    }
}

/// Scheme, host and port, as browsers write it in `Origin`.
fn is_site(text: &str) -> bool {
    let host = ["https://", "http://"].iter().find_map(|scheme| text.strip_prefix(scheme));
    host.is_some_and(|host| {
        !host.is_empty()
            && host
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-:[]".contains(&byte))
    })
}

/// Serves until `stop`. Its control pauses it, bounds its rates and changes its policy meanwhile.
///
/// Returns what was fetched and sent.
///
/// # Errors
/// When it cannot listen, or the cache cannot be used; what happens to single releases is told to their clients.
pub async fn gateway(
    options: GatewayOptions,
    events: mpsc::Sender<Event>,
    stop: CancellationToken,
) -> (Report, Result<(), GetError>) {
    let (gateway, connections) = match start(&options, &events, &stop).await {
        Ok(started) => started,
        Err(error) => return (Report::default(), Err(error)),
    };
    tokio::select! {
        () = connections.run() => {}
        () = Arc::clone(&gateway.shelf).look_after() => {}
        () = gateway.streams.look_after() => {}
        () = gateway.steer(options.get.control.follow(), options.get.policy, &events) => {}
    }
    gateway.close_all();
    tokio::join!(gateway.shelf.end(), gateway.streams.end());
    let mut report = gateway.shelf.report();
    report.add(gateway.streams.report());
    (report, Ok(()))
}

/// What a gateway serves.
struct Gateway {
    shelf: Arc<Shelf>,
    streams: Arc<Streams>,
    policies: watch::Sender<Policy>,
}

async fn start(
    options: &GatewayOptions,
    events: &mpsc::Sender<Event>,
    stop: &CancellationToken,
) -> Result<(Gateway, Connections), GetError> {
    let channel = options.check()?;
    let cache = Cache::open(options.get.folder.clone(), options.cache_bytes_max).await?;
    let listener = TcpListener::bind(options.listen).await.map_err(|error| {
        let address = options.listen;
        GetError::PortInUse(format!(
            "the gateway cannot listen on {address}: {error}; choose another address"
        ))
    })?;
    let address = listener.local_addr().map_err(|error| GetError::Other(error.to_string()))?;
    let policies = watch::Sender::new(options.get.policy);
    let opener = Opener {
        options: options.get.clone(),
        channel,
        origin: open_origin(&options.get)?,
        policies: policies.subscribe(),
        events: events.clone(),
        stop: stop.clone(),
    };
    let guard = Guard {
        hosts: options.hosts.iter().map(|host| host.to_ascii_lowercase()).collect(),
        origins: options.origins.clone(),
    };
    let (shelf, streams) = (Shelf::new(opener.clone(), cache), Streams::new(opener));
    let connections = Connections {
        listener,
        router: http::router(guard, Arc::clone(&shelf), Arc::clone(&streams)),
        meter: Arc::new(()),
        tls: None,
        stop: stop.clone(),
        connections_max: CONNECTIONS_MAX,
        idle_timeout: IDLE_MAX,
    };
    let _ = events.send(Event::Gateway { address }).await;
    Ok((Gateway { shelf, streams, policies }, connections))
}

impl Gateway {
    /// Follows what its owner wants, until dropped.
    async fn steer(&self, mut following: Following, base: Policy, events: &mpsc::Sender<Event>) {
        let mut paused = None;
        loop {
            let standing = following.standing(base);
            let pause = standing.err();
            if let Ok(policy) = standing {
                let before = self.policies.send_replace(policy);
                if !can_follow(before, policy) {
                    // Links are made and listened for as the first policy says.
                    self.close_all();
                }
            }
            if pause != paused {
                self.shelf.set_pause(pause);
                self.streams.set_pause(pause.is_some());
                let event = pause.map_or(Event::Resumed, |pause| Event::Paused { pause });
                let _ = events.send(event).await;
                paused = pause;
            }
            following.changed().await;
        }
    }

    fn close_all(&self) {
        self.shelf.close_all();
        self.streams.close_all();
    }
}
