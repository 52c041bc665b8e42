//! Accepts connections, and bounds what one of them, or all together, may take.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::{Extension, Router};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Meter;
use super::watched::Watched;
use crate::{Secured, Tls};

/// Longest head of a request, in bytes.
const HEAD_BYTES_MAX: usize = 16 << 10;
/// Most header fields of a request.
const HEADERS_MAX: usize = 64;
/// Most requests at once on one HTTP/2 connection.
const STREAMS_MAX: u32 = 64;
/// Most that one HTTP/2 stream buffers, in bytes.
const STREAM_BYTES_MAX: usize = 256 << 10;
/// Pause after the system refused a connection, for instance for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long open answers may go on after a stop.
const STOP_GRACE: Duration = Duration::from_secs(5);

/// The other end of a connection; an extension of each request.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);

/// Connections over HTTP/1.1 and HTTP/2, and what they share.
pub struct Connections {
    /// Where they come from.
    pub listener: TcpListener,
    /// What answers them.
    pub router: Router,
    /// What counts them.
    pub meter: Arc<dyn Meter>,
    /// Over TLS, with this certificate.
    pub tls: Option<Tls>,
    /// Ends them.
    pub stop: CancellationToken,
    /// Most at once; more wait.
    pub connections_max: usize,
    /// One without progress for this long is closed, at the latest after twice as long.
    pub idle_timeout: Duration,
}

impl Connections {
    /// Accepts until stopped, then lets open answers end.
    pub async fn run(self) {
        let places = Arc::new(Semaphore::new(self.connections_max));
        let tasks = TaskTracker::new();
        while let Some((stream, peer, place)) = self.accept(&places).await {
            self.meter.connection();
            tasks.spawn(self.serve(stream, peer, place));
        }
        tasks.close();
        tokio::time::timeout(STOP_GRACE, tasks.wait()).await.ok();
    }

    /// The next connection; none once stopped. While all places are taken, new ones wait in the system's queue.
    async fn accept(&self, places: &Arc<Semaphore>) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
        let next = async {
            let place = places.clone().acquire_owned().await.expect("the semaphore is never closed");
            loop {
                match self.listener.accept().await {
                    Ok((stream, peer)) => return (stream, peer, place),
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a connection");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
        };
        tokio::select! {
            () = self.stop.cancelled() => None,
            accepted = next => Some(accepted),
        }
    }

    fn serve(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        place: OwnedSemaphorePermit,
    ) -> impl Future<Output = ()> + Send + 'static {
        let service = TowerToHyperService::new(self.router.clone().layer(Extension(Peer(peer))));
        let (meter, tls, stop) = (self.meter.clone(), self.tls.clone(), self.stop.clone());
        let idle_timeout = self.idle_timeout;
        async move {
            let _place = place;
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, %peer, "connection is gone");
                return;
            }
            let builder = builder(idle_timeout);
            // The watch is the inner one, so that it counts what goes over the wire.
            let stream = Secured::new(Watched::new(stream, meter, idle_timeout), tls.as_ref());
            let connection = builder.serve_connection(TokioIo::new(stream), service);
            futures_util::pin_mut!(connection);
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                () = stop.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    tokio::time::timeout(STOP_GRACE, connection).await.unwrap_or(Ok(()))
                }
            };
            if let Err(error) = ended {
                tracing::debug!(%error, %peer, "connection ended");
            }
        }
    }
}

fn builder(idle_timeout: Duration) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(idle_timeout)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(HEAD_BYTES_MAX as u32)
        .max_concurrent_streams(STREAMS_MAX)
        .max_send_buf_size(STREAM_BYTES_MAX);
    builder
}
