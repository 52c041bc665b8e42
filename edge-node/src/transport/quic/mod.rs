//! The QUIC transport: one endpoint on one UDP socket, through which peers are dialed and accepted.

mod connection_ids;
mod dial;
mod gather;
mod settings;
mod socket;
#[cfg(test)]
mod tests;
mod wire;

use std::net::SocketAddr;
use std::sync::Arc;

use freshet_protocol::{Candidate, KeyId, PEER_ALPN, Side};
use quinn::{Endpoint, EndpointConfig, Incoming, ServerConfig, TokioRuntime};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::limits::{CONNECT_TIME, HANDSHAKES_MAX, HANDSHAKES_UNPROVEN_MAX};
use super::meet::Ends;
use super::seats::Pairing;
use super::switchboard::Switchboard;
use super::wire::{CloseCode, Wire};
use super::{QuicSettings, TransportError, tls};
use socket::GatheringSocket;
use wire::{QuicWire, describe};

/// The endpoint. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Quic {
    endpoint: Endpoint,
    client: quinn::ClientConfig,
    board: Arc<Switchboard>,
}

impl Quic {
    /// Binds the socket and starts to accept.
    pub(super) fn bind(
        listen: SocketAddr,
        settings: QuicSettings,
        board: Arc<Switchboard>,
    ) -> Result<Self, TransportError> {
        let connection = settings::connection(settings);
        let certificate = board.identity.certificate();
        let mut server = ServerConfig::with_crypto(Arc::new(tls::server_crypto(certificate)?));
        server
            .transport_config(Arc::clone(&connection))
            .max_incoming(settings::INCOMING_MAX)
            .incoming_buffer_size(settings::INCOMING_BYTES_MAX);
        let mut client = quinn::ClientConfig::new(Arc::new(tls::client_crypto(certificate)?));
        client.transport_config(connection);
        let endpoint = settings::socket(listen)
            .and_then(|socket| new_endpoint(settings::endpoint(), server, socket))
            .map_err(|source| TransportError::Bind { address: listen, source })?;
        let quic = Self { endpoint, client, board };
        tokio::spawn(quic.clone().accept());
        Ok(quic)
    }

    /// Where the socket is bound.
    pub(super) fn local_address(&self) -> std::io::Result<SocketAddr> {
        self.endpoint.local_addr()
    }

    /// Dials a peer; the end comes as an event.
    pub(super) fn dial(&self, pairing: Pairing, candidates: Vec<Candidate>, key: KeyId) {
        self.board.tasks.spawn(dial::dial(self.clone(), pairing, candidates, key));
    }

    /// Closes what is still open, and waits until the peers have been told.
    pub(super) async fn close(&self) {
        self.endpoint.close(CloseCode::Bye.number().into(), b"closed");
        self.endpoint.wait_idle().await;
    }

    async fn accept(self) {
        let handshakes = Arc::new(Semaphore::new(HANDSHAKES_MAX));
        while let Some(incoming) = self.endpoint.accept().await {
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
            self.board.tasks.spawn(accept_one(Arc::clone(&self.board), incoming, permit));
        }
    }
}

fn new_endpoint(
    config: EndpointConfig,
    server: ServerConfig,
    socket: std::net::UdpSocket,
) -> std::io::Result<Endpoint> {
    let socket = Arc::new(GatheringSocket::new(socket)?);
    Endpoint::new_with_abstract_socket(config, Some(server), socket, Arc::new(TokioRuntime))
}

/// Takes a connection up to its link, which then is a task of its own.
async fn accept_one(board: Arc<Switchboard>, incoming: Incoming, permit: OwnedSemaphorePermit) {
    let address = incoming.remote_address();
    let met = match handshake(incoming).await {
        Ok(connection) => match ends(&board, connection, Side::Acceptor) {
            Ok(ends) => ends.meet(&board, None).await,
            Err(reason) => Err(reason),
        },
        Err(reason) => Err(reason),
    };
    drop(permit);
    match met {
        Ok(link) => link.run().await,
        Err(reason) => tracing::debug!(%address, reason, "connection refused"),
    }
}

async fn handshake(incoming: Incoming) -> Result<quinn::Connection, String> {
    let connecting = incoming.accept().map_err(|error| describe(&error))?;
    let connection = tokio::time::timeout(CONNECT_TIME, connecting)
        .await
        .map_err(|_| "the handshake took too long".to_owned())?
        .map_err(|error| describe(&error))?;
    match tls::alpn(&connection).as_deref() {
        Some(PEER_ALPN) => Ok(connection),
        _ => Err("another protocol".to_owned()),
    }
}

/// The ends of a `freshet/1` connection, on which both sides show certificates.
fn ends(board: &Switchboard, connection: quinn::Connection, side: Side) -> Result<Ends<QuicWire>, String> {
    let theirs = tls::peer_certificate(&connection);
    let wire = QuicWire::new(connection);
    match theirs {
        Some(theirs) => Ok(Ends { wire, side, own: board.identity.certificate().hash(), theirs }),
        None => {
            let reason = "a freshet/1 peer shows a certificate";
            wire.close(CloseCode::Refused, reason);
            Err(reason.to_owned())
        }
    }
}
