//! Serves a store over HTTP/1.1 and HTTP/2, plain or over TLS.

mod admission;
mod content;
mod counters;
mod cross_origin;
mod files;
mod gate;
mod gzip_pages;
mod media_type;
mod pace;
mod refusal;
mod route;
mod sending;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{Method, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Router};
use freshet_listen::http::{Connections, Peer, parse_ranges, respond};
use freshet_listen::{Proxies, Tls, TlsError, TlsOptions};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

pub use admission::{Admission, Caps, Class, ComeBack, Load};
pub use counters::{Counters, KindCount};
pub use pace::LOT_BYTES;

use crate::store::Store;
use content::Found;
use counters::{Kind, Tally};
use files::Files;
use gate::Gate;
use refusal::Refusal;
use sending::Sending;

/// Most requests answered at once, over all connections: each holds about half a MiB while its client reads.
const REQUESTS_MAX: usize = 2048;
/// What connections over TLS may carry, by their ALPN names.
const PROTOCOLS: &[&[u8]] = &[b"h2", b"http/1.1"];

/// Why the origin does not serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}; choose another with --listen")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// What to serve, and within which bounds.
#[derive(Debug)]
pub struct ServeOptions {
    /// What is served. It may be read-only.
    pub store: Store,
    /// Where to listen; port 0 picks a free one.
    pub listen: SocketAddr,
    /// Most connections at once; more wait. Default 2048.
    pub connections_max: usize,
    /// A connection without progress for this long is closed, at the latest after twice as long. Default 30 s.
    pub idle_timeout: Duration,
    /// Rate of the line, in bytes a second: content then stays a little below it. Default none.
    pub line_bytes_s: Option<u64>,
    /// Above these, bulk is told to come back later, and media where it alone is above them. Default none.
    pub caps: Caps,
    /// The certificate to serve over TLS with. Default none: plain HTTP.
    pub tls: Option<TlsOptions>,
    /// Proxies in front that are believed when they name the client; for the log. Default none.
    pub proxies: Proxies,
}

impl ServeOptions {
    /// Options with the defaults.
    pub fn new(store: Store, listen: SocketAddr) -> Self {
        Self {
            store,
            listen,
            connections_max: 2048,
            idle_timeout: Duration::from_secs(30),
            line_bytes_s: None,
            caps: Caps::default(),
            tls: None,
            proxies: Proxies::default(),
        }
    }
}

/// An origin that serves. Dropped, it stops at once.
#[derive(Debug)]
pub struct Serving {
    address: SocketAddr,
    tally: Arc<Tally>,
    tls: Option<Tls>,
    stop: DropGuard,
    task: JoinHandle<()>,
}

impl Serving {
    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Base URL of the origin, with a `/` at its end.
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}/", self.address)
    }

    /// What it has sent so far.
    pub fn counters(&self) -> Counters {
        count(&self.tally, self.tls.as_ref())
    }

    /// Stops: no new connections, and a few seconds for open answers. Returns what was sent in all.
    pub async fn shutdown(self) -> Counters {
        drop(self.stop);
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the origin ended badly");
        }
        count(&self.tally, self.tls.as_ref())
    }
}

fn count(tally: &Tally, tls: Option<&Tls>) -> Counters {
    Counters { handshakes_failed: tls.map_or(0, Tls::handshakes_failed), ..tally.read() }
}

/// Starts to serve.
///
/// # Errors
/// [`ServeError`] when the certificate cannot be used, or the address is taken or not this machine's.
pub async fn serve(options: ServeOptions) -> Result<Serving, ServeError> {
    let ServeOptions { store, listen, connections_max, idle_timeout, line_bytes_s, caps, tls, proxies } =
        options;
    let tls = tls.map(|options| Tls::open(&options, PROTOCOLS)).transpose()?;
    let fail = |source| ServeError::Listen { address: listen, source };
    let listener = TcpListener::bind(listen).await.map_err(fail)?;
    let address = listener.local_addr().map_err(fail)?;
    let tally = Arc::new(Tally::default());
    let stop = CancellationToken::new();
    let service = Service {
        files: Arc::new(Files::new(store)),
        tally: tally.clone(),
        gate: Gate::new(REQUESTS_MAX, line_bytes_s, caps),
        proxies,
    };
    let router = cross_origin::open(Router::new().fallback(answer).with_state(Arc::new(service)));
    let connections = Connections {
        listener,
        router,
        meter: tally.clone(),
        tls: tls.clone(),
        stop: stop.clone(),
        connections_max,
        idle_timeout,
    };
    if let Some(tls) = &tls {
        tokio::spawn(tls.clone().watch(stop.clone()));
    }
    let task = tokio::spawn(connections.run());
    Ok(Serving { address, tally, tls, stop: stop.drop_guard(), task })
}

/// Serves what is not public, within the same bounds of connections, until stopped.
pub(crate) fn run_private(
    listener: TcpListener,
    router: Router,
    tls: Option<Tls>,
    stop: CancellationToken,
    connections_max: usize,
    idle_timeout: Duration,
) -> impl Future<Output = ()> + Send + 'static {
    Connections { listener, router, meter: Arc::new(()), tls, stop, connections_max, idle_timeout }.run()
}

struct Service {
    files: Arc<Files>,
    tally: Arc<Tally>,
    gate: Arc<Gate>,
    proxies: Proxies,
}

async fn answer(
    State(service): State<Arc<Service>>,
    Extension(Peer(peer)): Extension<Peer>,
    request: Request,
) -> Response {
    let (request, _) = request.into_parts();
    let response = match service.answer(&request).await {
        Ok(response) => response,
        Err(refusal) => {
            service.tally.body(Kind::Other, refusal.sentence().len());
            refusal.into_response()
        }
    };
    tracing::debug!(
        client = %service.proxies.client(peer, &request.headers),
        method = %request.method,
        path = request.uri.path(),
        status = response.status().as_u16(),
        "answered"
    );
    response
}

impl Service {
    async fn answer(&self, request: &Parts) -> Result<Response, Refusal> {
        let target = self.target(request);
        let kind = target.as_ref().map_or(Kind::Other, content::kind);
        self.tally.request(kind);
        let entry = self.gate.admit(kind.class(), bytes_asked(request)).map_err(|come_back| {
            self.tally.refused(kind);
            Refusal::Busy(come_back)
        })?;
        let Found { kind, content } = content::find(&self.files, target?).await?;
        let sending = Sending { tally: self.tally.clone(), kind, entry };
        let answer =
            respond(&content, &request.method, &request.headers, |body, bytes| sending.body(body, bytes));
        answer.map_err(|error| Refusal::Range(error, content.bytes))
    }

    fn target(&self, request: &Parts) -> Result<route::Target, Refusal> {
        if request.method != Method::GET && request.method != Method::HEAD {
            return Err(Refusal::Method);
        }
        let uri = &request.uri;
        let url_bytes = uri.path_and_query().map_or(0, |path| path.as_str().len());
        if url_bytes > route::URL_BYTES_MAX { Err(Refusal::UrlTooLong) } else { route::parse(uri.path()) }
    }
}

/// About how many bytes a request is for, as far as it says so itself.
fn bytes_asked(request: &Parts) -> u64 {
    let header = request.headers.get(header::RANGE).and_then(|range| range.to_str().ok());
    let ranges = header.and_then(|range| parse_ranges(range, u64::MAX).ok().flatten());
    ranges.map_or(u64::MAX, |ranges| {
        ranges.iter().fold(0, |sum: u64, range| sum.saturating_add(range.end - range.start))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::StatusCode;

    #[tokio::test]
    async fn no_more_requests_at_once_than_allowed() {
        let store = Store::of_objects(Arc::new(object_store::memory::InMemory::new()));
        let (files, tally) = (Arc::new(Files::new(store)), Arc::new(Tally::default()));
        let service = Arc::new(Service {
            files,
            tally,
            gate: Gate::new(1, None, Caps::default()),
            proxies: Proxies::default(),
        });
        let peer = Peer(SocketAddr::from(([127, 0, 0, 1], 1)));
        let ask = async || {
            let request = Request::get("/game/demo/keys").body(axum::body::Body::empty()).expect("request");
            answer(State(service.clone()), Extension(peer), request).await
        };
        assert_eq!(ask().await.status(), StatusCode::NOT_FOUND);
        let held = service.gate.places().clone().acquire_owned().await.expect("open");
        let refused = ask().await;
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(refused.headers()[header::RETRY_AFTER], "1");
        drop(held);
        assert_eq!(ask().await.status(), StatusCode::NOT_FOUND);
    }
}
