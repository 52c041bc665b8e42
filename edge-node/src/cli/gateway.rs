//! What can be said of the local gateway on the command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use freshet_edge_node::{GatewayOptions, GetError};

use crate::cli::arguments::Job;
use crate::cli::quantity::Bytes;

/// A local HTTP gateway.
#[derive(Debug, Args)]
pub(super) struct Gateway {
    /// Answer HTTP here, such as 127.0.0.1:8188, with the origin's own paths: files of releases and segments of streams come
    /// from peers and the origin, all else from the origin. Port 0 picks one.
    #[arg(long, value_name = "ADDR:PORT", requires = "origin", requires = "cache")]
    gateway: Option<SocketAddr>,
    /// Any channel of the origin to stand in front of (http://host/game/demo/channels/live); the tenant's key may follow as
    /// #key=ed25519:... Trackers are those that channels of this name point to, for streams those of this one; a site that has
    /// streams alone names them with --tracker.
    #[arg(long, value_name = "URL", requires = "gateway")]
    origin: Option<String>,
    /// Folder to keep what was read in; made if missing.
    #[arg(long, value_name = "DIR", requires = "gateway")]
    cache: Option<PathBuf>,
    /// Most that is kept there, about. What was read longest ago goes first; a file that is read now stays.
    #[arg(long, value_name = "BYTES", default_value = "20GB", requires = "gateway")]
    cache_size: Bytes,
    /// A name by which clients call the gateway, where it is none of this machine's own: localhost, 127.0.0.1, ::1 in
    /// brackets; may be repeated.
    #[arg(long, value_name = "HOST", requires = "gateway")]
    allow_host: Vec<String>,
    /// A site whose pages may ask the gateway, as scheme://host; may be repeated. By default no page may.
    #[arg(long, value_name = "ORIGIN", requires = "gateway")]
    allow_origin: Vec<String>,
}

impl Gateway {
    /// The gateway that these arguments ask for, if they ask for one; `job` says how releases are got.
    pub(super) fn options(&self, job: &Job) -> Option<Result<GatewayOptions, GetError>> {
        let Self { gateway, origin, cache, cache_size, allow_host, allow_origin } = self;
        let (listen, url, cache) = (gateway.as_ref()?, origin.as_ref()?, cache.as_ref()?);
        let options = |get| {
            let options = GatewayOptions::new(url, cache, *listen)?;
            let (hosts, origins) = (allow_host.clone(), allow_origin.clone());
            Ok(GatewayOptions { get, cache_bytes_max: cache_size.0, hosts, origins, ..options })
        };
        Some(job.options(url, cache).and_then(options))
    }
}
