//! A port of the router that leads to this node: asked for by PCP (RFC 6887), NAT-PMP (RFC 6886) or UPnP IGD, renewed while
//! the node runs, and given back at its end.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::num::NonZeroU16;
use std::time::Duration;

use crab_nat::{InternetProtocol, PortMapping, PortMappingOptions, PortMappingType, TimeoutConfig, natpmp};
use igd_next::aio::Gateway;
use igd_next::aio::tokio::{Tokio, search_gateway};
use igd_next::{AddPortError, PortMappingProtocol, SearchOptions};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::transport::interface::own_ip_towards;

/// Life asked for; a router that forgets a node that vanished has its port back after that.
const LIFE: Duration = Duration::from_secs(3600);
/// When a router that gave no port is asked again.
const ASK_AGAIN: Duration = Duration::from_secs(600);
/// Time for UPnP's search: routers answer a multicast within a second or two.
const SEARCH_TIME: Duration = Duration::from_secs(3);
/// The same for PCP and NAT-PMP: three requests within 1.75 s.
const PATIENCE: TimeoutConfig = TimeoutConfig {
    initial_timeout: Duration::from_millis(250),
    max_retries: 2,
    max_retry_timeout: Some(Duration::from_secs(1)),
};
/// As the router's list shows it.
const NAME: &str = "Freshet";

/// A port that is asked for. Dropping it gives it back, as far as the program goes on for so long.
#[derive(Debug)]
pub(super) struct Forwarding {
    outside: watch::Receiver<Option<SocketAddr>>,
    end: CancellationToken,
}

impl Forwarding {
    /// Asks for one that leads to this port of the machine; none for port 0.
    pub(super) fn of(port: u16) -> Option<Self> {
        let port = NonZeroU16::new(port)?;
        let (tell, outside) = watch::channel(None);
        let end = CancellationToken::new();
        tokio::spawn(hold(port, tell, end.clone()));
        Some(Self { outside, end })
    }

    async fn changed(&mut self) -> Option<SocketAddr> {
        if self.outside.changed().await.is_err() {
            // Nothing changes any more.
            std::future::pending::<()>().await;
        }
        *self.outside.borrow_and_update()
    }
}

impl Drop for Forwarding {
    fn drop(&mut self) {
        self.end.cancel();
    }
}

/// The next address outside, for ever none where no port is asked for.
pub(super) async fn changed(forwarding: &mut Option<Forwarding>) -> Option<SocketAddr> {
    match forwarding {
        Some(forwarding) => forwarding.changed().await,
        None => std::future::pending().await,
    }
}

/// Gets a port, keeps it, and gets another when it is lost.
async fn hold(port: NonZeroU16, tell: watch::Sender<Option<SocketAddr>>, end: CancellationToken) {
    loop {
        let Some(asked) = end.run_until_cancelled(Lease::ask(port)).await else { return };
        if let Some((mut lease, outside)) = asked {
            tracing::info!(%outside, "the router forwards a port");
            tell.send_replace(Some(outside));
            while end.run_until_cancelled(tokio::time::sleep(LIFE / 2)).await.is_some() {
                if !lease.renew().await {
                    break;
                }
            }
            if end.is_cancelled() {
                return lease.give_back().await;
            }
            tracing::info!("the router forwards it no more");
            tell.send_replace(None);
        } else if end.run_until_cancelled(tokio::time::sleep(ASK_AGAIN)).await.is_none() {
            return;
        }
    }
}

/// A port that a router has given.
enum Lease {
    Pcp(PortMapping),
    Upnp { gateway: Gateway<Tokio>, local: SocketAddr, outside_port: u16 },
}

impl Lease {
    /// Asks the router in the ways there are; the lease, and where it leads here from outside.
    async fn ask(port: NonZeroU16) -> Option<(Self, SocketAddr)> {
        match by_pcp(port).await {
            Ok(lease) => return Some(lease),
            Err(reason) => tracing::debug!(reason, "no port by PCP or NAT-PMP"),
        }
        match by_upnp(port).await {
            Ok(lease) => Some(lease),
            Err(reason) => {
                tracing::info!(reason, "the router forwards no port");
                None
            }
        }
    }

    /// False when it is lost.
    async fn renew(&mut self) -> bool {
        match self {
            Self::Pcp(mapping) => mapping.renew().await.is_ok(),
            Self::Upnp { gateway, local, outside_port } => {
                add_port(gateway, *outside_port, *local).await.is_ok()
            }
        }
    }

    async fn give_back(self) {
        match self {
            // A router that does not answer forgets it by itself.
            Self::Pcp(mapping) => drop(mapping.try_drop().await),
            Self::Upnp { gateway, outside_port, .. } => {
                let _ = gateway.remove_port(PortMappingProtocol::UDP, outside_port).await;
            }
        }
    }
}

async fn by_pcp(port: NonZeroU16) -> Result<(Lease, SocketAddr), String> {
    let found = tokio::task::spawn_blocking(netdev::get_default_gateway).await;
    let gateway = found.map_err(|error| error.to_string())??;
    let router = *gateway.ipv4.first().ok_or("the router has no IPv4 address")?;
    let own = own_address(router)?;
    let options = PortMappingOptions {
        external_port: Some(port),
        lifetime_seconds: Some(LIFE.as_secs() as u32),
        timeout_config: Some(PATIENCE),
    };
    let mapping = PortMapping::new(router.into(), own.into(), InternetProtocol::Udp, port, options)
        .await
        .map_err(|error| error.to_string())?;
    let outside = match mapping.mapping_type() {
        PortMappingType::Pcp { external_ip, .. } => external_ip,
        PortMappingType::NatPmp => natpmp::external_address(router.into(), Some(PATIENCE))
            .await
            .map_err(|error| error.to_string())?
            .into(),
    };
    let outside = SocketAddr::new(outside.to_canonical(), mapping.external_port().get());
    Ok((Lease::Pcp(mapping), outside))
}

async fn by_upnp(port: NonZeroU16) -> Result<(Lease, SocketAddr), String> {
    let mut options = SearchOptions::default();
    options.timeout = Some(SEARCH_TIME);
    let gateway = search_gateway(options).await.map_err(|error| error.to_string())?;
    let IpAddr::V4(router) = gateway.addr.ip() else { return Err("the router answers by IPv6".to_owned()) };
    let local = SocketAddr::V4(SocketAddrV4::new(own_address(router)?, port.get()));
    let outside_ip = gateway.get_external_ip().await.map_err(|error| error.to_string())?;
    let outside_port = match add_port(&gateway, port.get(), local).await {
        Ok(()) => port.get(),
        // Somebody else has that one.
        Err(_) => gateway
            .add_any_port(PortMappingProtocol::UDP, local, LIFE.as_secs() as u32, NAME)
            .await
            .map_err(|error| error.to_string())?,
    };
    let outside = SocketAddr::new(outside_ip, outside_port);
    Ok((Lease::Upnp { gateway, local, outside_port }, outside))
}

/// Some routers give ports for ever, or not at all.
async fn add_port(
    gateway: &Gateway<Tokio>,
    outside_port: u16,
    local: SocketAddr,
) -> Result<(), AddPortError> {
    let add = async |life| gateway.add_port(PortMappingProtocol::UDP, outside_port, local, life, NAME).await;
    match add(LIFE.as_secs() as u32).await {
        Err(AddPortError::OnlyPermanentLeasesSupported) => add(0).await,
        added => added,
    }
}

/// This machine's address on the side of the router.
fn own_address(router: Ipv4Addr) -> Result<Ipv4Addr, String> {
    match own_ip_towards(SocketAddr::new(router.into(), 9)) {
        Ok(IpAddr::V4(own)) => Ok(own),
        Ok(IpAddr::V6(_)) => Err("the router is reached by IPv6 alone".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}
