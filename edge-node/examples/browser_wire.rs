//! A peer for benchmarks of browsers: hands out chunks to whoever links, and takes those that a page says it holds.
//!
//! ```text
//! cargo run --release -p freshet-edge-node --example browser_wire [MEGABYTES [HTTP_PORT]]
//! ```
//!
//! It listens on 127.0.0.1 and speaks HTTP there, for any page:
//!
//! - `GET /info`: candidates and certificates as a pairing has them, the node's key, and the chunks: size and ids.
//! - `GET /ticket/KEY`: a ticket, in base64, for a page's key (`ed25519:...`).
//! - `GET /pair/KEY`: the number of a pairing, within which the owner of the key may offer a data channel.
//! - `POST /signal/PAIR`: what the page says within the pairing. `GET /signal/PAIR`: what the node has said since.
//! - `GET /uploads`: what came from pages so far.
//!
//! Chunk `n` is `n` as 4 bytes, big end first, over and over. A page that sends Release and Have for positions of these
//! chunks is asked for them, 8 at a time, and what came is told by `/uploads`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Instant, SystemTime};

use anyhow::{Context, Result};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use freshet_edge_node::{Answer, Identity, LinkHandle, Transport, TransportConfig, TransportEvent};
use freshet_protocol::{
    BlobKind, Candidate, Frame, Hash, Locality, PeerId, PublicKey, RIGHT_RECEIVE, RIGHT_SEND, RefuseReason,
    SigningKey, SwarmId, Ticket, Transport as Way,
};
use freshet_swarm::{LinkId, RequestId};
use serde_json::{Value, json};

const CHUNK_BYTES: usize = 256 << 10;
/// Chunks asked of one page at the same time.
const PARALLEL: usize = 8;

struct Shared {
    node: Transport,
    key: PublicKey,
    tracker: SigningKey,
    chunks: Vec<(Hash, Bytes)>,
    uploads: Mutex<Vec<Value>>,
    /// What the node has said within each pairing, and the page has not yet asked for.
    signals: Mutex<Vec<Vec<String>>>,
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
    let mut arguments = std::env::args().skip(1);
    let megabytes: usize = arguments.next().map_or(Ok(100), |text| text.parse()).context("MEGABYTES")?;
    let port: u16 = arguments.next().map_or(Ok(0), |text| text.parse()).context("HTTP_PORT")?;
    let chunks = (0..(megabytes * 1_000_000).div_ceil(CHUNK_BYTES) as u32).map(chunk).collect();

    let identity = Arc::new(Identity::generate());
    let (key, tracker) = (identity.key(), SigningKey::from_seed(&[1; 32]));
    let config = TransportConfig::new(SocketAddr::from(([127, 0, 0, 1], 0)), identity);
    let (node, mut events) = Transport::bind(config).await?;
    node.trust_trackers(vec![tracker.public()]);
    node.set_swarm(swarm());
    node.set_ticket(ticket(&key, &tracker));
    let shared =
        Arc::new(Shared { node, key, tracker, chunks, uploads: Mutex::default(), signals: Mutex::default() });

    let listener = tokio::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], port))).await?;
    println!("http://{} serves {megabytes} MB", listener.local_addr()?);
    let app = axum::Router::new()
        .route("/info", get(info))
        .route("/ticket/{key}", get(issue))
        .route("/pair/{key}", get(pair))
        .route("/signal/{pair}", get(signals).post(signal))
        .route("/uploads", get(uploads))
        .with_state(Arc::clone(&shared));
    tokio::spawn(async move { axum::serve(listener, app).await });

    let mut links: BTreeMap<LinkId, Upload> = BTreeMap::new();
    while let Some(event) = events.recv().await {
        take(event, &shared, &mut links);
    }
    Ok(())
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
    signals.push(Vec::new());
    let pair = signals.len() as u64 - 1;
    let candidate = Candidate { transport: Way::WebRtc, address: SocketAddr::from(([127, 0, 0, 1], 0)) };
    shared.node.expect(pair, &[candidate], key.id(), Locality::SameAddress);
    for_any_page((StatusCode::OK, pair.to_string()))
}

async fn signal(State(shared): State<Arc<Shared>>, Path(pair): Path<u64>, data: String) -> Answered<()> {
    shared.node.signal(pair, &data);
    for_any_page(())
}

async fn signals(State(shared): State<Arc<Shared>>, Path(pair): Path<usize>) -> Answered<Json<Value>> {
    let mut signals = shared.signals.lock().expect("nobody panics with it");
    for_any_page(Json(json!(signals.get_mut(pair).map(std::mem::take).unwrap_or_default())))
}

async fn uploads(State(shared): State<Arc<Shared>>) -> Answered<Json<Value>> {
    for_any_page(Json(json!(*shared.uploads.lock().expect("nobody panics with it"))))
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
            if let Some(signals) =
                shared.signals.lock().expect("nobody panics with it").get_mut(pair as usize)
            {
                signals.push(data);
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
        shared.uploads.lock().expect("nobody panics with it").push(told);
    }
}
