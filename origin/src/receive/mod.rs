//! Takes in objects from publishers elsewhere: a store over HTTP, for those who know the token. `store::remote` is its
//! other side. What comes is kept as it is; players believe signatures, not this door.
//!
//! ```text
//! GET    /objects?prefix=game/demo   what there is: one JSON object a line
//! GET    /objects/PATH               one range at most; If-Match
//! PUT    /objects/PATH               at most one part's bytes; If-None-Match: * or If-Match
//! DELETE /objects/PATH
//! POST   /uploads?path=PATH          starts a larger object: {"upload": "ID"}
//! PUT    /uploads/ID/N               its part N, from 0; one that is there already is not taken again
//! POST   /uploads/ID?parts=N         the object appears
//! DELETE /uploads/ID                 gives it up
//! ```

mod door;
mod locks;
mod refusal;
mod uploads;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use freshet_listen::{Tls, TlsOptions};
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::private::{SILENCE_MAX, Token, TokenError};
use crate::serve::{self, ServeError};
use crate::store::Store;

/// Most connections at once.
const CONNECTIONS_MAX: usize = 256;
/// What connections over TLS carry: bodies are large, and one stream's window would hold them back.
const PROTOCOLS: &[&[u8]] = &[b"http/1.1"];

/// Why nothing is taken in.
#[derive(Debug, thiserror::Error)]
pub enum ReceiveError {
    /// The address or the certificate cannot be used.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// The token keeps nobody out.
    #[error("{0}")]
    Token(String),
}

/// What to take in, and from whom.
#[derive(Debug)]
pub struct ReceiveOptions {
    /// Where objects go.
    pub store: Store,
    /// Where to listen; port 0 picks a free one.
    pub listen: SocketAddr,
    /// What requests must carry as `Authorization: Bearer`, at least 8 bytes.
    pub token: String,
    /// The certificate to listen with. Default none: plain HTTP, for a proxy of this machine that has one.
    pub tls: Option<TlsOptions>,
}

impl ReceiveOptions {
    /// Options with the defaults.
    pub fn new(store: Store, listen: SocketAddr, token: String) -> Self {
        Self { store, listen, token, tls: None }
    }
}

/// What came in since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Received {
    /// Requests with the token.
    pub requests: u64,
    /// Requests without it.
    pub refused: u64,
    /// Bytes of objects and parts that were taken.
    pub bytes: u64,
}

#[derive(Debug, Default)]
struct Tally {
    requests: AtomicU64,
    refused: AtomicU64,
    bytes: AtomicU64,
}

impl Tally {
    fn read(&self) -> Received {
        let Self { requests, refused, bytes } = self;
        let read = |count: &AtomicU64| count.load(Relaxed);
        Received { requests: read(requests), refused: read(refused), bytes: read(bytes) }
    }
}

/// A door that is open. Dropped, it closes at once.
#[derive(Debug)]
pub struct Receiving {
    address: SocketAddr,
    is_secure: bool,
    tally: Arc<Tally>,
    stop: DropGuard,
    task: JoinHandle<()>,
}

/// Starts to take objects in.
///
/// # Errors
/// [`ReceiveError`] when the token is too short, the certificate cannot be used, or the address cannot be listened on.
pub async fn receive(options: ReceiveOptions) -> Result<Receiving, ReceiveError> {
    let ReceiveOptions { store, listen, token, tls } = options;
    let token = Token::new(&token).map_err(|error: TokenError| ReceiveError::Token(error.to_string()))?;
    let tls = tls.map(|options| Tls::open(&options, PROTOCOLS)).transpose().map_err(ServeError::from)?;
    let fail = |source| ServeError::Listen { address: listen, source };
    let listener = TcpListener::bind(listen).await.map_err(fail)?;
    let address = listener.local_addr().map_err(fail)?;
    let (stop, tally) = (CancellationToken::new(), Arc::<Tally>::default());
    if let Some(tls) = &tls {
        tokio::spawn(tls.clone().watch(stop.clone()));
    }
    let is_secure = tls.is_some();
    let (router, sweeping) = door::open(store, token, tally.clone());
    let answering = serve::run_private(listener, router, tls, stop.clone(), CONNECTIONS_MAX, SILENCE_MAX);
    let task = tokio::spawn(async move {
        tokio::select! {
            () = answering => {}
            () = sweeping => {}
        }
    });
    Ok(Receiving { address, is_secure, tally, stop: stop.drop_guard(), task })
}

impl Receiving {
    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What publishers give as their store.
    pub fn url(&self) -> String {
        let scheme = if self.is_secure { "https" } else { "http" };
        format!("{scheme}://{}/", self.address)
    }

    /// What came in so far.
    pub fn received(&self) -> Received {
        self.tally.read()
    }

    /// Stops; what is on its way has a few seconds to end. Returns what came in in all.
    pub async fn shutdown(self) -> Received {
        drop(self.stop);
        if let Err(error) = self.task.await {
            tracing::error!(%error, "taking objects in ended badly");
        }
        self.tally.read()
    }
}
