//! The QUIC transport: one endpoint on one UDP socket, through which peers are dialed and accepted.

mod aside;
mod connection_ids;
mod datagrams;
mod dial;
mod gather;
mod settings;
mod shown;
mod socket;
#[cfg(test)]
pub(super) mod tests;
mod wire;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use freshet_protocol::{Candidate, Hash, KeyId, PEER_ALPN, Side};
use quinn::{Endpoint, EndpointConfig, Incoming, ServerConfig, TokioRuntime};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use super::dial::{Heard, NotReached};
use super::limits::{CONNECT_TIME, HANDSHAKES_MAX, HANDSHAKES_UNPROVEN_MAX};
use super::link_task::Opened;
use super::meet::Ends;
use super::seats::Pairing;
use super::switchboard::Switchboard;
use super::wire::{CloseCode, Wire};
use super::{QuicSettings, TransportError, tls, web_transport};
pub(super) use aside::{Aside, AsideSocket};
use shown::Shown;
use socket::GatheringSocket;
use wire::{QuicWire, describe};

/// How often it is looked whether the next certificate is due. By the calendar, since a machine may have slept.
const TURN_TIME: Duration = Duration::from_secs(10 * 60);

/// The endpoint. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Quic {
    endpoint: Endpoint,
    socket: AsideSocket,
    shown: Arc<Shown>,
    board: Arc<Switchboard>,
}

impl Quic {
    /// Binds the socket and starts to accept. What comes there and is not QUIC goes to `aside`.
    pub(super) fn bind(
        listen: SocketAddr,
        settings: QuicSettings,
        board: Arc<Switchboard>,
        aside: mpsc::Sender<Aside>,
    ) -> Result<Self, TransportError> {
        let shown = Arc::new(Shown::new(settings)?);
        // Connections are accepted with what is shown by then; of this one only the bounds before that count.
        let server = shown.now().server.as_ref().clone();
        let (endpoint, socket) = settings::socket(listen)
            .and_then(|socket| new_endpoint(settings::endpoint(), server, socket, aside))
            .map_err(|source| TransportError::Bind { address: listen, source })?;
        let quic = Self { endpoint, socket, shown, board };
        tokio::spawn(quic.clone().accept());
        Ok(quic)
    }

    /// Where the socket is bound.
    pub(super) fn local_address(&self) -> std::io::Result<SocketAddr> {
        self.endpoint.local_addr()
    }

    /// The same socket, for what is not QUIC.
    pub(super) fn aside(&self) -> AsideSocket {
        self.socket.clone()
    }

    /// Dials a peer, and brings up a link. `heard` tells addresses from which it is heard meanwhile, `superseded` that
    /// another dial has taken the place of this one.
    pub(super) async fn reach(
        &self,
        pairing: Pairing,
        candidates: &[Candidate],
        key: KeyId,
        heard: Heard,
        superseded: &CancellationToken,
    ) -> Result<Opened<QuicWire>, NotReached> {
        dial::reach(self, pairing, candidates, key, heard, superseded).await
    }

    pub(super) fn board(&self) -> &Arc<Switchboard> {
        &self.board
    }

    /// Hashes by which browsers know this endpoint.
    pub(super) fn certificates(&self) -> Vec<Hash> {
        self.shown.browsers_hashes()
    }

    /// Shows the certificate that is due at `now`.
    pub(super) fn turn_certificates(&self, now: SystemTime) {
        if let Err(error) = self.shown.turn(now) {
            tracing::warn!(%error, "the certificate stays the old one");
        }
    }

    /// Closes what is still open, and waits until the peers have been told.
    pub(super) async fn close(&self) {
        self.endpoint.close(CloseCode::Bye.number().into(), b"closed");
        self.endpoint.wait_idle().await;
    }

    async fn accept(self) {
        let handshakes = Arc::new(Semaphore::new(HANDSHAKES_MAX));
        let mut turn = tokio::time::interval(TURN_TIME);
        loop {
            let incoming = tokio::select! {
                incoming = self.endpoint.accept() => incoming,
                _ = turn.tick() => {
                    self.turn_certificates(SystemTime::now());
                    continue;
                }
            };
            let Some(incoming) = incoming else { return };
            let Ok(permit) = Arc::clone(&handshakes).try_acquire_owned() else {
                incoming.refuse();
                continue;
            };
            let is_busy = HANDSHAKES_MAX - handshakes.available_permits() > HANDSHAKES_UNPROVEN_MAX;
            if is_busy && incoming.may_retry() {
                // Fails only for who has proved its address already.
                let _ = incoming.retry();
                continue;
            }
            self.board.tasks.spawn(self.clone().accept_one(incoming, permit));
        }
    }

    /// Takes a connection up to its link, and stays as the link's task.
    async fn accept_one(self, incoming: Incoming, permit: OwnedSemaphorePermit) {
        let address = incoming.remote_address();
        if let Err(reason) = self.accept_link(incoming, permit).await {
            tracing::debug!(%address, reason, "connection refused");
        }
    }

    async fn accept_link(&self, incoming: Incoming, permit: OwnedSemaphorePermit) -> Result<(), String> {
        let showing = self.shown.now();
        let connection = handshake(incoming, Arc::clone(&showing.server)).await?;
        match tls::alpn(&connection).as_deref() {
            Some(PEER_ALPN) => {
                let link = ends(connection, Side::Acceptor, showing.hash)?.meet(&self.board, None).await?;
                drop(permit);
                link.run().await;
            }
            Some(web_transport::ALPN) => {
                settings::allow_web_transport(&connection);
                let link =
                    web_transport::accept(connection, showing.hash).await?.meet(&self.board, None).await?;
                drop(permit);
                link.run().await;
            }
            _ => return Err("another protocol".to_owned()),
        }
        Ok(())
    }
}

fn new_endpoint(
    config: EndpointConfig,
    server: ServerConfig,
    socket: std::net::UdpSocket,
    aside: mpsc::Sender<Aside>,
) -> std::io::Result<(Endpoint, AsideSocket)> {
    let bound = socket.local_addr()?;
    let socket = Arc::new(GatheringSocket::new(socket, aside)?);
    let aside = AsideSocket { socket: Arc::clone(&socket), bound };
    let endpoint = Endpoint::new_with_abstract_socket(config, Some(server), socket, Arc::new(TokioRuntime))?;
    Ok((endpoint, aside))
}

async fn handshake(incoming: Incoming, server: Arc<ServerConfig>) -> Result<quinn::Connection, String> {
    let connecting = incoming.accept_with(server).map_err(|error| describe(&error))?;
    tokio::time::timeout(CONNECT_TIME, connecting)
        .await
        .map_err(|_| "the handshake took too long".to_owned())?
        .map_err(|error| describe(&error))
}

/// The ends of a `freshet/1` connection, on which both sides show certificates.
fn ends(connection: quinn::Connection, side: Side, own: Hash) -> Result<Ends<QuicWire>, String> {
    let theirs = tls::peer_certificate(&connection);
    let wire = QuicWire::new(connection);
    match theirs {
        Some(theirs) => Ok(Ends { wire, side, own, theirs }),
        None => {
            let reason = "a freshet/1 peer shows a certificate";
            wire.close(CloseCode::Refused, reason);
            Err(reason.to_owned())
        }
    }
}
