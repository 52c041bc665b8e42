//! Starts and stops a tracker.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use freshet_listen::{Tls, TlsError};
use freshet_protocol::PublicKey;
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::address_proofs::AddressProofs;
use crate::cluster::{Alone, Cluster, ClusterOptionsError, Nats, Secret};
use crate::connection::Room;
use crate::counters::{Counters, ServerStats};
use crate::door::{Caller, Door};
use crate::engine::{EVENTS_MAX, Engine, Event};
use crate::http;
use crate::networks::{self, NetworksError};
use crate::options::{Options, OptionsError};
use crate::stun_server::{self, StunService};
use crate::ticket_key::{self, TicketKeyError};
use crate::tickets::Tickets;

/// Time that connections have for their last messages, once all are closed.
const LAST_MESSAGES: Duration = Duration::from_secs(1);
/// What connections over TLS may carry, by their ALPN names: WebSockets begin as HTTP/1.1.
const PROTOCOLS: &[&[u8]] = &[b"http/1.1"];

/// Why a tracker did not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A knob is out of bounds.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// The ticket key cannot be had.
    #[error(transparent)]
    TicketKey(#[from] TicketKeyError),
    /// The certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A file about networks cannot be used.
    #[error(transparent)]
    Networks(#[from] NetworksError),
    /// The way to the other trackers cannot be used.
    #[error(transparent)]
    Cluster(#[from] ClusterOptionsError),
    /// An address cannot be had.
    #[error(
        "cannot listen on {address} ({protocol}): {error}; choose another address or end the program that has it"
    )]
    Listen {
        /// The address.
        address: SocketAddr,
        /// `TCP` or `UDP`.
        protocol: &'static str,
        /// Why not.
        error: io::Error,
    },
}

/// A running tracker. Dropping it stops it at once, as a crash would.
#[derive(Debug)]
pub struct Serving {
    /// TCP address of the WebSocket service.
    pub address: SocketAddr,
    /// UDP addresses of the STUN service; empty without one.
    pub stun_addresses: Vec<SocketAddr>,
    /// The key that signs tickets.
    pub key: PublicKey,
    room: Arc<Room>,
    tasks: TaskTracker,
    engine: JoinHandle<()>,
    door: JoinHandle<()>,
    doors: CancellationToken,
    drain: Duration,
    _stop: DropGuard,
}

/// Starts a tracker.
///
/// # Errors
/// [`ServeError`] when a knob is out of bounds, or the key, the certificate or an address cannot be had.
pub async fn serve(options: Options) -> Result<Serving, ServeError> {
    options.check()?;
    let tls = options.tls.as_ref().map(|options| Tls::open(options, PROTOCOLS)).transpose()?;
    let key = ticket_key::load_or_create(&options.state_dir)?;
    let public_key = key.public();
    let secret = Secret::new(&key);
    let counters = Arc::new(Counters::default());
    let stop = CancellationToken::new();
    let networks = networks::open(options.networks, &stop)?;
    let doors = stop.child_token();
    let tasks = TaskTracker::new();

    let (listener, address) = open_tcp(options.listen).await?;
    let sockets = match options.stun {
        Some(addresses) => Some(StunSockets::open(addresses).await?),
        None => None,
    };
    let stun_addresses: Vec<SocketAddr> = sockets.iter().flat_map(StunSockets::addresses).collect();

    let mut config = options.swarms.clone();
    config.ticket_renew_us = options.ticket_life_s * 1_000_000 / 2;
    let connections_max = config.clients_max;
    let tickets = Tickets::new(key, options.ticket_life_s);
    let (events, queue) = mpsc::channel(EVENTS_MAX);
    let proofs = Arc::new(AddressProofs::new());
    let cluster: Box<dyn Cluster> = match &options.cluster {
        None => Box::new(Alone),
        Some(cluster) => {
            let (events, counters, ending) = (events.clone(), Arc::clone(&counters), (&tasks, stop.clone()));
            Box::new(Nats::start(cluster, (secret, public_key), events, counters, ending).await?)
        }
    };
    let engine = Engine::new(config, tickets, Arc::clone(&proofs), networks, cluster, Arc::clone(&counters));
    let engine = tokio::spawn(engine.run(queue, stop.clone()));

    let patience = options.limits.hello_timeout;
    let room = Arc::new(Room {
        events,
        counters: Arc::clone(&counters),
        tls: tls.clone(),
        proxies: options.proxies,
        limits: options.limits,
        tracker_key: public_key,
        stun_ports: options
            .stun_advertise
            .map_or_else(|| stun_addresses.iter().map(SocketAddr::port).collect(), Vec::from),
        stun_host: options.stun_host,
        announce_ms: options.announce_ms,
        stop: stop.clone(),
    });
    if let Some(tls) = &tls {
        tokio::spawn(tls.clone().watch(stop.clone()));
    }
    let door = Door::new(listener, tls, connections_max, patience, Arc::clone(&counters));
    let door = tokio::spawn(run_door(door, Arc::clone(&room), tasks.clone(), doors.clone()));
    if let Some(StunSockets { ports, other_port }) = sockets {
        let service = Arc::new(StunService { other_port, proofs, counters: Arc::clone(&counters) });
        for socket in ports {
            tokio::spawn(stun_server::run(socket, Arc::clone(&service), stop.clone()));
        }
    }
    let drain = Duration::from_millis(options.drain_ms.into());
    let _stop = stop.drop_guard();
    Ok(Serving { address, stun_addresses, key: public_key, room, tasks, engine, door, doors, drain, _stop })
}

impl Serving {
    /// Address for clients.
    pub fn url(&self) -> String {
        let scheme = if self.room.tls.is_some() { "wss" } else { "ws" };
        format!("{scheme}://{}/", self.address)
    }

    /// Figures of the server; `None` once it has stopped.
    pub async fn stats(&self) -> Option<ServerStats> {
        http::stats(&self.room).await
    }

    /// Stops in order: takes no further clients, tells all others, closes their connections spread over the drain time.
    pub async fn shutdown(self) {
        self.doors.cancel();
        // Ends by the line above, and frees the port for the next tracker.
        let _ = self.door.await;
        if self.room.events.send(Event::Drain { over: self.drain }).await.is_ok() {
            // An engine that failed has closed all connections too.
            let _ = self.engine.await;
        }
        self.tasks.close();
        if tokio::time::timeout(LAST_MESSAGES, self.tasks.wait()).await.is_err() {
            tracing::debug!("some clients did not read their last messages");
        }
    }
}

async fn open_tcp(address: SocketAddr) -> Result<(TcpListener, SocketAddr), ServeError> {
    let error = |error| ServeError::Listen { address, protocol: "TCP", error };
    let listener = TcpListener::bind(address).await.map_err(error)?;
    let bound = listener.local_addr().map_err(error)?;
    Ok((listener, bound))
}

/// The two ports of the STUN service, and the one from which it answers who asks for another.
struct StunSockets {
    ports: Vec<UdpSocket>,
    other_port: UdpSocket,
}

impl StunSockets {
    async fn open(addresses: [SocketAddr; 2]) -> Result<Self, ServeError> {
        let mut ports = Vec::new();
        for address in addresses {
            ports.push(open_udp(address).await?);
        }
        let other_port = open_udp(SocketAddr::new(addresses[0].ip(), 0)).await?;
        Ok(Self { ports, other_port })
    }

    fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.ports.iter().filter_map(|socket| socket.local_addr().ok())
    }
}

async fn open_udp(address: SocketAddr) -> Result<UdpSocket, ServeError> {
    UdpSocket::bind(address).await.map_err(|error| ServeError::Listen { address, protocol: "UDP", error })
}

async fn run_door(door: Door, room: Arc<Room>, tasks: TaskTracker, doors: CancellationToken) {
    let service = http::router(room, tasks).into_make_service_with_connect_info::<Caller>();
    tokio::select! {
        served = axum::serve(door, service) => {
            if let Err(error) = served {
                tracing::error!(%error, "the TCP service ended");
            }
        }
        () = doors.cancelled() => {}
    }
}
