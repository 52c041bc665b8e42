//! A crowd comes back to a tracker that was killed: all are served, and what that costs.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use freshet_protocol::{
    Announce, Base64, ClientMessage, ContentName, Hash, HaveSummary, RootId, ServerMessage, SigningKey,
    tracker_proof_message,
};
use futures_util::{SinkExt, StreamExt};
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream, client_async_tls_with_config};

use super::bench::{Bench, memory_folder};
use super::child::Child;
use super::row::{Row, Unit, Wanted};
use crate::random::Random;

/// How many there are, and over how long they come back, each at a random moment.
const CLIENTS: usize = 5000;
const BACK_WITHIN: Duration = Duration::from_secs(10);
/// Most time until the last of them is served.
const SERVED_S_MAX: f64 = 11.0;
/// Most time from the start of a connection to the ticket, for 95 of 100.
const EACH_S_MAX: f64 = 0.5;
/// Most memory of the tracker, and most of its processor time for each.
const RESIDENT_BYTES_MAX: f64 = 512.0 * 1024.0 * 1024.0;
const CPU_S_MAX: f64 = 0.002;
/// How many connect at a time before the tracker is killed.
const AT_A_TIME: usize = 64;
/// Longer than any answer takes.
const PATIENCE: Duration = Duration::from_secs(60);
/// The name in the tracker's certificate.
const NAME: &str = "tracker";

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Kills a tracker of that many clients over TLS, starts it again, and lets all come back.
///
/// # Errors
/// When the tracker does not start, or does not take a client.
pub(super) fn measure(bench: &mut Bench) -> Result<Vec<Row>> {
    let folder = memory_folder()?;
    let program = bench.programs.tracker.clone();
    let seed = bench.seeds().start;
    let back = bench.wait(kill_and_return(&program, folder.path(), seed))?;
    let count = back.took_s.len() as f64;
    let last_s = back.served_s.iter().copied().fold(0.0, f64::max);
    let p95_s = *back.took_s.get(back.took_s.len() * 95 / 100).unwrap_or(&f64::NAN);
    Ok(vec![
        Row::new("clients served", Unit::Count, Wanted::AtLeast(CLIENTS as f64), vec![count])
            .beside(format!("{} tries beyond the first", back.tries_more)),
        Row::new("the last is served", Unit::Seconds, Wanted::AtMost(SERVED_S_MAX), vec![last_s])
            .beside(format!("they come within {} s", BACK_WITHIN.as_secs())),
        Row::new(
            "connection to ticket, 95 of 100",
            Unit::Milliseconds,
            Wanted::AtMost(EACH_S_MAX),
            vec![p95_s],
        ),
        Row::new(
            "tracker's memory",
            Unit::Mebibytes,
            Wanted::AtMost(RESIDENT_BYTES_MAX),
            vec![back.resident_bytes],
        )
        .beside(format!("{:.0} KiB a client", back.resident_bytes / 1024.0 / CLIENTS as f64)),
        Row::new(
            "tracker's CPU for each",
            Unit::Milliseconds,
            Wanted::AtMost(CPU_S_MAX),
            vec![back.cpu_s / count],
        )
        .beside(format!("{:.1} s in all: TLS, proof of the key, ticket, pairing", back.cpu_s)),
    ])
}

/// How they came back, in seconds and bytes.
#[derive(Debug, Default)]
struct Back {
    /// From the tracker's start, for each.
    served_s: Vec<f64>,
    /// From its own start, for each, the shortest first.
    took_s: Vec<f64>,
    tries_more: usize,
    resident_bytes: f64,
    cpu_s: f64,
}

async fn kill_and_return(program: &Path, folder: &Path, seed: u64) -> Result<Back> {
    let tls = certificate(folder)?;
    let (mut tracker, address) = start(program, folder, "127.0.0.1:0").await?;
    let (returned_in, returned) = watch::channel(None::<Instant>);
    let places = Arc::new(Semaphore::new(AT_A_TIME));
    let (up_in, mut up) = tokio::sync::mpsc::channel::<()>(CLIENTS);
    let mut clients = JoinSet::new();
    let mut random = Random::new(seed);
    for number in 0..CLIENTS {
        let (tls, places, returned, up) =
            (Arc::clone(&tls), Arc::clone(&places), returned.clone(), up_in.clone());
        let wait = Duration::from_micros(random.below(BACK_WITHIN.as_micros() as u64));
        clients.spawn(async move {
            let key = SigningKey::from_seed(&key_seed(number));
            let place = places.acquire().await.context("there are places")?;
            let mut socket = connect(address, &tls, &key).await?;
            drop(place);
            let _ = up.send(()).await;
            while let Some(Ok(_)) = socket.next().await {}
            come_back(address, &tls, &key, returned, wait).await
        });
    }
    for _ in 0..CLIENTS {
        tokio::select! {
            _ = up.recv() => {}
            Some(ended) = clients.join_next() => bail!("a client is not taken: {:?}", ended.context("run a client")?.err()),
        }
    }
    tracker.kill();
    tracker.end().await?;
    let (mut tracker, _) = start(program, folder, &address.to_string()).await?;
    let before_s = tracker.spent().cpu_s;
    returned_in.send_replace(Some(Instant::now()));
    let (mut back, mut sockets) = (Back::default(), Vec::with_capacity(CLIENTS));
    while let Some(ended) = clients.join_next().await {
        let (served, took, tries_more, socket) = ended.context("run a client")??;
        back.served_s.push(served.as_secs_f64());
        back.took_s.push(took.as_secs_f64());
        back.tries_more += tries_more;
        // All of them at a time are what the tracker's memory is for.
        sockets.push(socket);
    }
    back.took_s.sort_by(f64::total_cmp);
    let spent = tracker.spent();
    (back.resident_bytes, back.cpu_s) = (spent.resident_bytes as f64, spent.cpu_s - before_s);
    Ok(back)
}

/// Waits for the tracker's return and then its own time, and connects until it is served: how long that took since the
/// return and since the own start, and how many tries failed.
async fn come_back(
    address: SocketAddr,
    tls: &Arc<ClientConfig>,
    key: &SigningKey,
    mut returned: watch::Receiver<Option<Instant>>,
    wait: Duration,
) -> Result<(Duration, Duration, usize, Socket)> {
    let returned = *returned.wait_for(Option::is_some).await.context("the tracker returns")?;
    let returned = returned.context("it has returned")?;
    sleep(wait).await;
    let (start, mut tries_more) = (Instant::now(), 0);
    loop {
        match connect(address, tls, key).await {
            Ok(socket) => return Ok((returned.elapsed(), start.elapsed(), tries_more, socket)),
            Err(error) => ensure!(start.elapsed() < PATIENCE, "not served: {error:#}"),
        }
        tries_more += 1;
        sleep(Duration::from_millis(500)).await;
    }
}

/// Connects, proves the key, announces a fetching peer and waits for its ticket.
async fn connect(address: SocketAddr, tls: &Arc<ClientConfig>, key: &SigningKey) -> Result<Socket> {
    timeout(PATIENCE, async {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let connector = Connector::Rustls(Arc::clone(tls));
        let url = format!("wss://{NAME}/");
        let (mut socket, _) = client_async_tls_with_config(url, stream, None, Some(connector)).await?;
        loop {
            let Some(frame) = socket.next().await else { bail!("the tracker closed the connection") };
            let Message::Text(text) = frame? else { continue };
            let answer = match ServerMessage::decode(text.as_bytes())? {
                ServerMessage::Challenge { nonce: Base64(nonce) } => hello(key, &nonce),
                ServerMessage::Welcome { .. } => ClientMessage::Announce(announce()?),
                ServerMessage::Ticket { .. } => return Ok(socket),
                _ => continue,
            };
            socket.send(Message::text(answer.encode())).await?;
        }
    })
    .await
    .context("the tracker is silent")?
}

fn hello(key: &SigningKey, nonce: &[u8]) -> ClientMessage {
    ClientMessage::Hello {
        version_min: 1,
        version_max: 1,
        key: key.public(),
        proof: Base64(key.sign(&tracker_proof_message(nonce)).to_vec()),
        agent: "freshet-loadtest".to_owned(),
        token: None,
    }
}

fn announce() -> Result<Announce> {
    Ok(Announce {
        content: "load/build".parse::<ContentName>().context("a name")?,
        root: RootId(Hash([7; 32])),
        chunks: 1600,
        have: HaveSummary::None,
        left_bytes: 1 << 30,
        sharing: true,
        links: 0,
        links_wanted: 8,
        mapped: Vec::new(),
        local: Vec::new(),
        certificates: Vec::new(),
        candidates: Vec::new(),
    })
}

fn key_seed(number: usize) -> [u8; 32] {
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&(number as u64 + 1).to_be_bytes());
    seed
}

/// Makes the tracker's certificate, which alone its clients trust.
fn certificate(folder: &Path) -> Result<Arc<ClientConfig>> {
    let made = rcgen::generate_simple_self_signed([NAME.to_owned()])?;
    std::fs::write(folder.join("cert.pem"), made.cert.pem())?;
    std::fs::write(folder.join("key.pem"), made.signing_key.serialize_pem())?;
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(made.cert.der().to_vec()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    // A session of before the death helps nobody: the keys of the tickets died with the tracker.
    config.resumption = rustls::client::Resumption::disabled();
    Ok(Arc::new(config))
}

async fn start(program: &Path, folder: &Path, listen: &str) -> Result<(Child, SocketAddr)> {
    let mut command = Command::new(program);
    command.args(["--listen", listen, "--no-stun", "--log", "warn"]);
    command.arg("--state-dir").arg(folder.join("state"));
    command.arg("--tls-cert").arg(folder.join("cert.pem")).arg("--tls-key").arg(folder.join("key.pem"));
    let mut child = Child::start(command, &folder.join("tracker.log"))?;
    let line = child.line(|line| line.starts_with("tracker on ")).await?;
    let authority = line.rsplit("//").next().unwrap_or_default().trim_end_matches('/');
    Ok((child, authority.parse().with_context(|| format!("the tracker says {line:?}"))?))
}
