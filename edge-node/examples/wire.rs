//! How fast one link is on this machine: 8 parallel requests of 128 KiB chunks over loopback, each verified, beside
//! the same bytes over bare QUIC streams in the same run.
//!
//! ```text
//! cargo run --release -p freshet-edge-node --example wire [MEGABYTES]
//! ```

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use freshet_edge_node::{Answer, Identity, LinkHandle, Transport, TransportConfig, TransportEvent};
use freshet_protocol::{
    BlobKind, Candidate, Hash, Locality, PeerId, RIGHT_RECEIVE, RIGHT_SEND, SigningKey, SwarmId, Ticket,
    Transport as Way,
};
use freshet_swarm::RequestId;
use rustls::pki_types::PrivateKeyDer;
use tokio::sync::mpsc;

const CHUNK_BYTES: usize = 128 << 10;
const PARALLEL: u64 = 8;
/// Runs of each kind, alternating.
const ROUNDS: usize = 3;

#[tokio::main]
async fn main() -> Result<()> {
    rustls::crypto::ring::default_provider().install_default().map_err(|_| anyhow::anyhow!("provider"))?;
    let megabytes: u64 = match std::env::args().nth(1) {
        Some(text) => text.parse().with_context(|| format!("{text:?} is not a number of megabytes"))?,
        None => 1000,
    };
    let chunks = megabytes * 1_000_000 / CHUNK_BYTES as u64;
    let blob: Bytes = (0..CHUNK_BYTES).map(|at| (at * 31 % 251) as u8).collect();
    for _ in 0..ROUNDS {
        report("link, verified", chunks, over_link(blob.clone(), chunks).await?);
        report("bare streams", chunks, over_bare_streams(blob.clone(), chunks).await?);
    }
    Ok(())
}

fn report(what: &str, chunks: u64, took: Duration) {
    let megabytes = chunks as f64 * CHUNK_BYTES as f64 / 1e6;
    println!("{what:>16}: {:7.1} MB/s ({megabytes:.0} MB)", megabytes / took.as_secs_f64());
}

fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

struct Peer {
    transport: Transport,
    events: mpsc::Receiver<TransportEvent>,
    identity: Arc<Identity>,
}

impl Peer {
    async fn start(tracker: &SigningKey) -> Result<Self> {
        let identity = Arc::new(Identity::generate());
        let (transport, events) =
            Transport::bind(TransportConfig::new(loopback(), Arc::clone(&identity))).await?;
        let issued = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs();
        let swarm = SwarmId::of(b"wire");
        let ticket = Ticket {
            peer: PeerId::try_from(1)?,
            key: identity.key_id(),
            issued,
            expires: issued + 600,
            rights: RIGHT_RECEIVE | RIGHT_SEND,
            swarms: vec![swarm],
        };
        transport.trust_trackers(vec![tracker.public()]);
        transport.set_swarm(swarm);
        transport.set_ticket(ticket.seal(tracker));
        Ok(Self { transport, events, identity })
    }

    async fn link(&mut self) -> Result<LinkHandle> {
        match self.events.recv().await {
            Some(TransportEvent::LinkUp { handle, .. }) => Ok(handle),
            other => bail!("no link: {other:?}"),
        }
    }
}

async fn over_link(blob: Bytes, chunks: u64) -> Result<Duration> {
    let tracker = SigningKey::from_seed(&[1; 32]);
    let (mut near, mut far) = (Peer::start(&tracker).await?, Peer::start(&tracker).await?);
    let candidate = Candidate { transport: Way::Quic, address: far.transport.local_address() };
    near.transport.dial(1, vec![candidate], far.identity.key_id(), Locality::SameAddress);
    let (to_far, to_near) = (near.link().await?, far.link().await?);
    let hash = Hash::of(&blob);
    tokio::spawn(async move {
        while let Some(event) = far.events.recv().await {
            if let TransportEvent::Asked { asked, .. } = event {
                to_near.serve(asked.request, blob.clone());
            }
        }
    });
    let start = Instant::now();
    let ask = |number| to_far.request(RequestId(number), BlobKind::Chunk, hash, CHUNK_BYTES as u32);
    let mut asked = PARALLEL.min(chunks);
    (0..asked).for_each(ask);
    let mut verified = 0;
    while verified < chunks {
        match near.events.recv().await {
            Some(TransportEvent::Answer { answer: Answer::Verified(_), .. }) => verified += 1,
            Some(TransportEvent::Progress { .. }) => continue,
            other => bail!("not verified: {other:?}"),
        }
        if asked < chunks {
            ask(asked);
            asked += 1;
        }
    }
    let took = start.elapsed();
    near.transport.close().await;
    Ok(took)
}

/// The same pattern on quinn as it comes: a stream a request, a byte asks, the answer is read to its end.
async fn over_bare_streams(blob: Bytes, chunks: u64) -> Result<Duration> {
    let issued = rcgen::generate_simple_self_signed(vec!["wire".to_owned()])?;
    let key = PrivateKeyDer::Pkcs8(issued.signing_key.serialize_der().into());
    let server = quinn::ServerConfig::with_single_cert(vec![issued.cert.der().clone()], key)?;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(issued.cert.der().clone())?;
    let client = quinn::ClientConfig::with_root_certificates(Arc::new(roots))?;
    let far = quinn::Endpoint::new(
        quinn::EndpointConfig::default(),
        Some(server),
        big_socket()?,
        Arc::new(quinn::TokioRuntime),
    )?;
    let near = quinn::Endpoint::new(
        quinn::EndpointConfig::default(),
        None,
        big_socket()?,
        Arc::new(quinn::TokioRuntime),
    )?;
    let address = far.local_addr()?;
    tokio::spawn(async move {
        let connection = far.accept().await.context("open")?.await?;
        while let Ok((mut send, mut recv)) = connection.accept_bi().await {
            let blob = blob.clone();
            tokio::spawn(async move {
                recv.read_to_end(1).await?;
                send.write_chunk(blob).await?;
                send.finish()?;
                anyhow::Ok(())
            });
        }
        anyhow::Ok(())
    });
    let connection = near.connect_with(client, address, "wire")?.await?;
    let start = Instant::now();
    let mut streams = tokio::task::JoinSet::new();
    for worker in 0..PARALLEL {
        let connection = connection.clone();
        streams.spawn(async move {
            for _ in (worker..chunks).step_by(PARALLEL as usize) {
                let (mut send, mut recv) = connection.open_bi().await?;
                send.write_all(&[1]).await?;
                send.finish()?;
                let mut left = CHUNK_BYTES;
                while let Some(chunk) = recv.read_chunk(usize::MAX, true).await? {
                    left = left.checked_sub(chunk.bytes.len()).context("too long")?;
                }
            }
            anyhow::Ok(())
        });
    }
    while let Some(ended) = streams.join_next().await {
        ended??;
    }
    Ok(start.elapsed())
}

fn big_socket() -> Result<std::net::UdpSocket> {
    let socket =
        socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, Some(socket2::Protocol::UDP))?;
    socket.set_recv_buffer_size(8 << 20)?;
    socket.set_send_buffer_size(8 << 20)?;
    socket.bind(&loopback().into())?;
    Ok(socket.into())
}
