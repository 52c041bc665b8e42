//! A line that breaks: a proxy that cuts each connection at another point.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::AbortOnDropHandle;

/// Bytes that connections carry up and down until they are cut, one after the other: in a head, in a body, with the answer
/// lost, in an answer.
const LIMITS: [(u64, u64); 5] =
    [(100, 0), (3_000_000, 1 << 20), (u64::MAX, 0), (u64::MAX, 1000), (9_000_000, 3_000_000)];

pub(crate) struct CuttingProxy {
    address: SocketAddr,
    cuts: Arc<AtomicU64>,
    _accepting: AbortOnDropHandle<()>,
}

impl CuttingProxy {
    pub(crate) async fn new(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let address = listener.local_addr().expect("address");
        let cuts = Arc::<AtomicU64>::default();
        let counted = cuts.clone();
        let accepting = tokio::spawn(async move {
            for limits in LIMITS.into_iter().cycle() {
                let (client, _) = listener.accept().await.expect("accepted");
                tokio::spawn(carry(client, target, limits, counted.clone()));
            }
        });
        Self { address, cuts, _accepting: AbortOnDropHandle::new(accepting) }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    pub(crate) fn cuts(&self) -> u64 {
        self.cuts.load(Relaxed)
    }
}

async fn carry(client: TcpStream, target: SocketAddr, (up, down): (u64, u64), cuts: Arc<AtomicU64>) {
    let server = TcpStream::connect(target).await.expect("connected");
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    // Dropped together, both connections end.
    let is_cut = tokio::select! {
        is_cut = copy(from_client, to_server, up) => is_cut,
        is_cut = copy(from_server, to_client, down) => is_cut,
    };
    cuts.fetch_add(u64::from(is_cut), Relaxed);
}

/// Whether the limit was reached, rather than the end.
async fn copy(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, limit: u64) -> bool {
    let (mut left, mut buffer) = (limit, vec![0; 64 << 10]);
    loop {
        let Ok(count @ 1..) = from.read(&mut buffer).await else { return false };
        if left == 0 {
            return true;
        }
        let count = count.min(usize::try_from(left).unwrap_or(usize::MAX));
        if to.write_all(&buffer[..count]).await.is_err() {
            return false;
        }
        left -= count as u64;
        if left == 0 && limit > 0 {
            return true;
        }
    }
}
