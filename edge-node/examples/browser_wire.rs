//! A peer for benchmarks of browsers: hands out chunks to whoever links, and takes those that a page says it holds.
//!
//! ```text
//! cargo run --release -p freshet-edge-node --example browser_wire -- --help
//! ```
//!
//! `npm run bench -- wires` in `browser-sdk/` drives it. It listens on 127.0.0.1 and speaks HTTP there, for any page:
//!
//! - `GET /info`: candidates and certificates as a pairing has them, the node's key, and the chunks: size and ids.
//! - `GET /ticket/KEY`: a ticket, in base64, for a page's key (`ed25519:...`).
//! - `GET /pair/KEY`: the number of a pairing, within which the owner of the key may offer a data channel.
//! - `POST /signal/PAIR`: what the page says within the pairing. `GET /signal/PAIR/N`: what the node says as its `N`th,
//!   counted from 0, once it says it.
//! - `GET /uploads/N`: the `N`th upload of all pages, counted from 0, once it is over.
//! - `GET /plain`: all chunks in turn, over nothing but HTTP. `POST /plain`: takes them likewise, and tells how many
//!   bytes were right.
//!
//! Chunk `n` is `n` as 4 bytes, big end first, over and over. A page that sends Release and Have for positions of these
//! chunks is asked for them, 8 at a time, and what came is told by `/uploads`.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::{Path as FilePath, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Instant, SystemTime};

use anyhow::{Context, Result};
use axum::Json;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::routing::{get, post};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use clap::Parser;
use freshet_edge_node::{Answer, Identity, LinkHandle, Transport, TransportConfig, TransportEvent};
use freshet_protocol::{
    BlobKind, Candidate, Frame, Hash, Locality, PeerId, PublicKey, RIGHT_RECEIVE, RIGHT_SEND, RefuseReason,
    SigningKey, SwarmId, Ticket, Transport as Way,
};
use freshet_swarm::{LinkId, RequestId};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use tokio::sync::watch;

const CHUNK_BYTES: usize = 256 << 10;
/// Chunks asked of one page at the same time.
const PARALLEL: usize = 8;

/// Serves chunks to pages, and takes theirs.
#[derive(Parser)]
struct Arguments {
    /// Size of all chunks together, in MB.
    #[arg(long, value_name = "MB", default_value_t = 100)]
    megabytes: usize,
    /// Port of HTTP on 127.0.0.1; 0 lets the system pick one.
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    http_port: u16,
    /// Write the port to this file, as JSON, once the node listens.
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
    /// What to log, as `RUST_LOG` has it.
    #[arg(long, value_name = "FILTER", default_value = "warn")]
    log: String,
}

struct Shared {
    node: Transport,
    key: PublicKey,
    tracker: SigningKey,
    chunks: Vec<(Hash, Bytes)>,
    uploads: watch::Sender<Vec<Value>>,
    /// What the node has said within each pairing.
    signals: Mutex<Vec<watch::Sender<Vec<String>>>>,
}

/// What a page gives.
struct Upload {
    handle: LinkHandle,
    transport: &'static str,
    wanted: Vec<u32>,
    open: usize,
    bytes: u64,
    wrong: u32,
    started: Instant,
}

#[tokio::main]
async fn main() -> Result<()> {
    rustls::crypto::ring::default_provider().install_default().map_err(|_| anyhow::anyhow!("provider"))?;
    let Arguments { megabytes, http_port, ready_file, log } = Arguments::parse();
    tracing_subscriber::fmt().with_env_filter(log).with_writer(std::io::stderr).init();
    let chunks = (0..(megabytes * 1_000_000).div_ceil(CHUNK_BYTES) as u32).map(chunk).collect();

    let identity = Arc::new(Identity::generate());
    let (key, tracker) = (identity.key(), SigningKey::from_seed(&[1; 32]));
    let config = TransportConfig::new(SocketAddr::from(([127, 0, 0, 1], 0)), identity);
    let (node, mut events) = Transport::bind(config).await?;
    node.trust_trackers(vec![tracker.public()]);
    node.set_swarm(swarm());
    node.set_ticket(ticket(&key, &tracker));
    let shared = Arc::new(Shared {
        node,
        key,
        tracker,
        chunks,
        uploads: watch::Sender::default(),
        signals: Mutex::default(),
    });

    let listener = tokio::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], http_port))).await?;
    let address = listener.local_addr()?;
    if let Some(path) = ready_file {
        tell_ready(&path, address)?;
    }
    println!("http://{address} serves {megabytes} MB");
    let app = axum::Router::new()
        .route("/info", get(info))
        .route("/ticket/{key}", get(issue))
        .route("/pair/{key}", get(pair))
        .route("/signal/{pair}", post(signal))
        .route("/signal/{pair}/{number}", get(signals))
        .route("/uploads/{number}", get(uploads))
        .route("/plain", get(plain).post(take_plain))
        .layer(DefaultBodyLimit::disable())
        .with_state(Arc::clone(&shared));
    tokio::spawn(async move { axum::serve(listener, app).await });

    let mut links: BTreeMap<LinkId, Upload> = BTreeMap::new();
    while let Some(event) = events.recv().await {
        take(event, &shared, &mut links);
    }
    Ok(())
}

/// Writes beside the place and moves it there, so that no reader sees half of it.
fn tell_ready(path: &FilePath, address: SocketAddr) -> Result<()> {
    let temporary = path.with_extension("new");
    std::fs::write(&temporary, json!({ "port": address.port() }).to_string())
        .and_then(|()| std::fs::rename(&temporary, path))
        .with_context(|| format!("cannot write {}", path.display()))
}

fn chunk(number: u32) -> (Hash, Bytes) {
    let bytes = Bytes::from(number.to_be_bytes().repeat(CHUNK_BYTES / 4));
    (Hash::of(&bytes), bytes)
}

fn swarm() -> SwarmId {
    SwarmId::of(b"browser_wire")
}

fn ticket(key: &PublicKey, tracker: &SigningKey) -> Vec<u8> {
    let issued = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let peer = PeerId::try_from(1).expect("small");
    let rights = RIGHT_RECEIVE | RIGHT_SEND;
    let expires = issued + 24 * 3600;
    Ticket { peer, key: key.id(), issued, expires, rights, swarms: vec![swarm()] }.seal(tracker)
}

type Answered<T> = ([(HeaderName, &'static str); 1], T);

fn for_any_page<T>(body: T) -> Answered<T> {
    ([(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*")], body)
}

async fn info(State(shared): State<Arc<Shared>>) -> Answered<Json<Value>> {
    let candidate = Candidate { transport: Way::WebTransport, address: shared.node.local_address() };
    for_any_page(Json(json!({
        "key": shared.key.to_string(),
        "candidates": [candidate],
        "certificates": shared.node.certificates(),
        "tracker_key": shared.tracker.public().to_string(),
        "chunk_bytes": CHUNK_BYTES,
        "chunks": shared.chunks.iter().map(|(id, _)| id).collect::<Vec<_>>(),
    })))
}

async fn issue(State(shared): State<Arc<Shared>>, Path(key): Path<String>) -> Answered<(StatusCode, String)> {
    for_any_page(match key.parse() {
        Ok(key) => (StatusCode::OK, STANDARD.encode(ticket(&key, &shared.tracker))),
        Err(error) => (StatusCode::BAD_REQUEST, format!("{key:?} is no key: {error}")),
    })
}

async fn pair(State(shared): State<Arc<Shared>>, Path(key): Path<String>) -> Answered<(StatusCode, String)> {
    let Ok(key) = key.parse::<PublicKey>() else {
        return for_any_page((StatusCode::BAD_REQUEST, format!("{key:?} is no key")));
    };
    let mut signals = shared.signals.lock().expect("nobody panics with it");
    signals.push(watch::Sender::default());
    let pair = signals.len() as u64 - 1;
    let candidate = Candidate { transport: Way::WebRtc, address: SocketAddr::from(([127, 0, 0, 1], 0)) };
    shared.node.expect(pair, &[candidate], key.id(), Locality::SameAddress);
    for_any_page((StatusCode::OK, pair.to_string()))
}

async fn signal(State(shared): State<Arc<Shared>>, Path(pair): Path<u64>, data: String) -> Answered<()> {
    shared.node.signal(pair, &data);
    for_any_page(())
}

async fn signals(
    State(shared): State<Arc<Shared>>,
    Path((pair, number)): Path<(usize, usize)>,
) -> Answered<(StatusCode, String)> {
    let said = shared.signals.lock().expect("nobody panics with it").get(pair).map(watch::Sender::subscribe);
    for_any_page(match said {
        Some(said) => (StatusCode::OK, nth(said, number).await),
        None => (StatusCode::NOT_FOUND, format!("there is no pairing {pair}")),
    })
}

async fn uploads(State(shared): State<Arc<Shared>>, Path(number): Path<usize>) -> Answered<Json<Value>> {
    for_any_page(Json(nth(shared.uploads.subscribe(), number).await))
}

/// Waits until there is one with this number.
async fn nth<T: Clone>(mut told: watch::Receiver<Vec<T>>, number: usize) -> T {
    let all = told.wait_for(|told| told.len() > number).await;
    all.expect("who tells lives as long as the program")[number].clone()
}

async fn plain(State(shared): State<Arc<Shared>>) -> Answered<Body> {
    let chunks: Vec<_> = shared.chunks.iter().map(|(_, bytes)| Ok::<_, Infallible>(bytes.clone())).collect();
    for_any_page(Body::from_stream(stream::iter(chunks)))
}

async fn take_plain(State(shared): State<Arc<Shared>>, body: Body) -> Answered<String> {
    let (mut body, mut buffer) = (body.into_data_stream(), BytesMut::new());
    let (mut position, mut right_bytes) = (0, 0);
    // A page that breaks off has not sent what is missing.
    while let Some(Ok(bytes)) = body.next().await {
        buffer.extend_from_slice(&bytes);
        while buffer.len() >= CHUNK_BYTES {
            let found = Hash::of(&buffer.split_to(CHUNK_BYTES));
            if shared.chunks.get(position).is_some_and(|(id, _)| *id == found) {
                right_bytes += CHUNK_BYTES;
            }
            position += 1;
        }
    }
    for_any_page(right_bytes.to_string())
}

fn take(event: TransportEvent, shared: &Shared, links: &mut BTreeMap<LinkId, Upload>) {
    match event {
        TransportEvent::LinkUp { link, handle, peer } => {
            println!("{} links over {}, {:?}", peer.agent, peer.transport_name(), peer.rtt);
            let (wanted, started) = (Vec::new(), Instant::now());
            let transport = peer.transport_name();
            links.insert(link, Upload { handle, transport, wanted, open: 0, bytes: 0, wrong: 0, started });
        }
        TransportEvent::Asked { link, asked } => {
            let Some(upload) = links.get(&link) else { return };
            match shared.chunks.iter().find(|(id, _)| *id == asked.hash) {
                Some((_, bytes)) => upload.handle.serve(asked.request, bytes.clone()),
                None => upload.handle.refuse(asked.request, RefuseReason::NotHeld),
            }
        }
        TransportEvent::Frame { link, frame: Frame::Have { ranges, .. } } => {
            let Some(upload) = links.get_mut(&link) else { return };
            let count = shared.chunks.len() as u64;
            let positions = ranges.into_iter().flat_map(|range| range.start..range.end.min(count));
            upload.wanted = positions.map(|position| position as u32).collect();
            (upload.bytes, upload.started) = (0, Instant::now());
            (0..PARALLEL).for_each(|_| upload.ask(shared));
        }
        TransportEvent::Answer { link, answer, .. } => {
            let Some(upload) = links.get_mut(&link) else { return };
            upload.open -= 1;
            match answer {
                Answer::Verified(chunk) => upload.bytes += chunk.bytes().len() as u64,
                _ => upload.wrong += 1,
            }
            upload.ask(shared);
            if upload.open == 0 {
                upload.tell(shared);
            }
        }
        TransportEvent::Signal { pair, data } => {
            if let Some(said) = shared.signals.lock().expect("nobody panics with it").get(pair as usize) {
                said.send_modify(|said| said.push(data));
            }
        }
        TransportEvent::LinkDown { link, reason } => {
            println!("link down: {reason}");
            links.remove(&link);
        }
        _ => {}
    }
}

impl Upload {
    fn ask(&mut self, shared: &Shared) {
        let Some(position) = self.wanted.pop() else { return };
        let id = shared.chunks[position as usize].0;
        self.handle.request(RequestId(position.into()), BlobKind::Chunk, id, CHUNK_BYTES as u32);
        self.open += 1;
    }

    fn tell(&self, shared: &Shared) {
        let seconds = self.started.elapsed().as_secs_f64();
        let megabytes_s = self.bytes as f64 / 1e6 / seconds;
        let told = json!({
            "transport": self.transport, "bytes": self.bytes, "wrong": self.wrong, "seconds": seconds,
            "megabytes_s": megabytes_s,
        });
        println!("upload: {told}");
        shared.uploads.send_modify(|uploads| uploads.push(told));
    }
}
