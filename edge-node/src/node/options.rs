//! What a caller may ask of a node.

use std::net::{Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use freshet_protocol::PublicKey;
use freshet_swarm::Policy;

use crate::control::Control;
use crate::job::SeedFor;
use crate::node::address::ReleaseUrl;
use crate::node::{GetError, Preload};
use crate::release::Parts;
use crate::uplink::SharePriority;

/// How to get a release into a folder.
#[derive(Debug, Clone)]
pub struct GetOptions {
    /// URL of a channel pointer or a root at the origin.
    pub url: ReleaseUrl,
    /// Base URLs, ending in a slash, where the same content can be had: asked in this order where the origin in `url` fails,
    /// refuses, or lacks it. At most 7.
    pub mirrors: Vec<String>,
    /// The installation folder.
    pub folder: PathBuf,
    /// Which of the release's parts to install; none: those that are installed, and of new ones those that the publisher
    /// means for everybody.
    pub parts: Option<Parts>,
    /// The tenant's key; needed at the first use of a folder, and compared with the remembered one later.
    pub key: Option<PublicKey>,
    /// Trackers to use instead of those that the channel pointer names.
    pub trackers: Vec<String>,
    /// What may come from and go to peers, and how fast.
    pub policy: Policy,
    /// Whether what is handed out gives way to other traffic of the same line.
    pub share_priority: SharePriority,
    /// What may change while the job runs.
    pub control: Control,
    /// How long to share after the install.
    pub seed_for: SeedFor,
    /// Where to accept links, by UDP. The unspecified IPv6 address takes IPv4 as well, and is that alone where there is no
    /// IPv6.
    pub listen: SocketAddr,
    /// Addresses at which peers reach this node, where the tracker sees another one.
    pub advertise: Vec<SocketAddr>,
    /// Whether to ask the router for a port that leads here (UPnP IGD, PCP, NAT-PMP), where it can be asked.
    pub map_port: bool,
    /// Whether browsers may link over WebTransport, where this node shares.
    pub web_transport: bool,
    /// Whether to make data channels with browsers, and with nodes that cannot be dialed, where this node shares.
    pub web_rtc: bool,
    /// Folder that keeps the node's identity and the peers it was linked with; none: a new identity each time, and no memory.
    pub state_dir: Option<PathBuf>,
    /// Whether installed files that look untouched are hashed, too, and mended where they are not what they must be.
    pub verify: bool,
    /// How often, about, the origin is asked whether the channel shows another version, 100 ms to 30 days; none: never.
    /// That version is told, and not got.
    pub look_every: Option<Duration>,
    /// Whether what the channel prepares is fetched ahead of its time.
    pub preload: Preload,
    /// A job that gets nothing from anyone for this long while the origin fails ends; ten times as long where the origin takes
    /// requests and is silent, as in a crowd.
    pub give_up_after: Duration,
}

impl GetOptions {
    /// Options with the defaults of the program: peers are used, nothing is shared.
    ///
    /// # Errors
    /// [`GetError::Usage`] when `url` is no release's URL.
    pub fn new(url: &str, folder: impl Into<PathBuf>) -> Result<Self, GetError> {
        let (url, key) = ReleaseUrl::parse(url)?;
        Ok(Self {
            url,
            mirrors: Vec::new(),
            folder: folder.into(),
            parts: None,
            key,
            trackers: Vec::new(),
            policy: Policy::default(),
            share_priority: SharePriority::default(),
            control: Control::default(),
            seed_for: SeedFor::Time(Duration::ZERO),
            listen: SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
            advertise: Vec::new(),
            map_port: false,
            web_transport: true,
            web_rtc: true,
            state_dir: None,
            verify: false,
            look_every: None,
            preload: Preload::Never,
            give_up_after: Duration::from_secs(30),
        })
    }
}
