//! A straight line over QUIC: a stream for each chunk, as many at a time as a link carries, and nothing else. The one
//! file here that knows quinn.
//!
//! What a node's links set (`edge-node/src/transport/quic/settings.rs`) is set here too, where it changes the rate.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use quinn::{
    AckFrequencyConfig, Endpoint, EndpointConfig, MtuDiscoveryConfig, TokioRuntime, TransportConfig,
};
use rustls::RootCertStore;
use rustls::pki_types::PrivateKeyDer;
use socket2::{Domain, Socket, Type};
use tokio::task::JoinSet;

use super::sink::Sink;
use super::{CHUNK_BYTES, rate_since};
use crate::random::Random;

/// Streams at a time: the requests that a link has in flight at such rates.
const PARALLEL: u64 = 8;
/// The name that both sides call the server.
const NAME: &str = "straight-line";
/// Bytes that are sent over and over: more than processor caches hold.
const SOURCE_BYTES: usize = 64 << 20;
const WINDOW_BYTES: u32 = 8 << 20;
const SOCKET_BUFFER_BYTES: usize = 4 << 20;
const MTU_MAX: u16 = 1472;
const ACK_PACKETS: u32 = 10;
const ACK_DELAY: Duration = Duration::from_millis(20);

/// Sends `bytes` bytes from one end of this process to the other; returns bytes a second.
///
/// # Errors
/// When the connection fails.
pub(super) async fn rate(bytes: u64, sink: Sink) -> Result<f64> {
    let (server, client) = endpoints()?;
    let address = server.local_addr().context("the server's address")?;
    let serving = tokio::spawn(serve(server, source()));
    let connection = client.connect(address, NAME)?.await.context("connect over loopback")?;
    let started = Instant::now();
    let mut workers = JoinSet::new();
    for worker in 0..PARALLEL {
        let (connection, sink) = (connection.clone(), sink.clone());
        workers.spawn(async move {
            for chunk in (worker..bytes / CHUNK_BYTES as u64).step_by(PARALLEL as usize) {
                fetch(&connection, chunk, &sink).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(ended) = workers.join_next().await {
        ended.context("a worker ended badly")??;
    }
    let rate = rate_since(started, bytes);
    connection.close(0_u32.into(), b"done");
    serving.await.context("the server ended badly")??;
    Ok(rate)
}

fn source() -> Bytes {
    let mut random = Random::new(1);
    (0..SOURCE_BYTES / 8).flat_map(|_| random.next_u64().to_le_bytes()).collect::<Vec<u8>>().into()
}

/// Answers each stream's four bytes, the number of a chunk, with that chunk.
async fn serve(server: Endpoint, source: Bytes) -> Result<()> {
    let connection = server.accept().await.context("the endpoint is open")?.await?;
    while let Ok((mut send, mut recv)) = connection.accept_bi().await {
        let source = source.clone();
        tokio::spawn(async move {
            let mut number = [0; 4];
            recv.read_exact(&mut number).await?;
            let at = u32::from_be_bytes(number) as usize % (SOURCE_BYTES / CHUNK_BYTES) * CHUNK_BYTES;
            send.write_chunk(source.slice(at..at + CHUNK_BYTES)).await?;
            send.finish()?;
            anyhow::Ok(())
        });
    }
    Ok(())
}

async fn fetch(connection: &quinn::Connection, chunk: u64, sink: &Sink) -> Result<()> {
    let (mut send, mut recv) = connection.open_bi().await?;
    send.write_all(&u32::try_from(chunk)?.to_be_bytes()).await?;
    send.finish()?;
    let mut run = sink.from(chunk * CHUNK_BYTES as u64);
    while let Some(part) = recv.read_chunk(usize::MAX, true).await? {
        run.take(&part.bytes)?;
    }
    let came = run.finish()?;
    ensure!(came == CHUNK_BYTES as u64, "{came} bytes of a chunk");
    Ok(())
}

fn endpoints() -> Result<(Endpoint, Endpoint)> {
    let issued = rcgen::generate_simple_self_signed(vec![NAME.to_owned()]).context("make a certificate")?;
    let key = PrivateKeyDer::Pkcs8(issued.signing_key.serialize_der().into());
    let mut server = quinn::ServerConfig::with_single_cert(vec![issued.cert.der().clone()], key)?;
    let mut roots = RootCertStore::empty();
    roots.add(issued.cert.der().clone())?;
    let mut client = quinn::ClientConfig::with_root_certificates(Arc::new(roots))?;
    let settings = Arc::new(settings());
    server.transport_config(Arc::clone(&settings));
    client.transport_config(settings);
    let endpoint = |server| {
        Endpoint::new(EndpointConfig::default(), server, socket()?, Arc::new(TokioRuntime))
            .context("make an endpoint")
    };
    let (far, mut near) = (endpoint(Some(server))?, endpoint(None)?);
    near.set_default_client_config(client);
    Ok((far, near))
}

fn settings() -> TransportConfig {
    let mut mtu = MtuDiscoveryConfig::default();
    mtu.upper_bound(MTU_MAX);
    let mut ack = AckFrequencyConfig::default();
    ack.ack_eliciting_threshold(ACK_PACKETS.into()).max_ack_delay(Some(ACK_DELAY));
    let mut settings = TransportConfig::default();
    settings
        .mtu_discovery_config(Some(mtu))
        .ack_frequency_config(Some(ack))
        .stream_receive_window(WINDOW_BYTES.into())
        .receive_window(WINDOW_BYTES.into())
        .send_window(WINDOW_BYTES.into());
    settings
}

fn socket() -> Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).context("make a socket")?;
    // A smaller buffer costs speed, nothing else.
    let _ = socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES);
    let _ = socket.set_send_buffer_size(SOCKET_BUFFER_BYTES);
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).context("bind to loopback")?;
    Ok(socket.into())
}
