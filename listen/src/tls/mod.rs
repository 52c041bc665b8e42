//! TLS with a certificate from files, which is replaced when they are.

mod certificate;
mod secured;
mod watch;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch::{Receiver, Sender};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use certificate::Snapshot;
pub use certificate::TlsError;
pub use secured::Secured;
use watch::{Changes, Looks};

/// Where the certificate is, and how long clients may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsOptions {
    /// PEM file of the certificate chain, the server's own certificate first.
    pub cert: PathBuf,
    /// PEM file of its private key: PKCS#8, SEC1 or RSA, without a passphrase.
    pub key: PathBuf,
    /// A client whose handshake is not done after this long is cut. Default 10 s.
    pub handshake_timeout: Duration,
    /// How often the files are looked at. What is new is taken at the second look that finds it, so that two files
    /// that are written one after the other are not taken for a broken pair. Default 3 s.
    pub look_every: Duration,
}

impl TlsOptions {
    /// Options with the defaults.
    pub fn new(cert: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        Self {
            cert: cert.into(),
            key: key.into(),
            handshake_timeout: Duration::from_secs(10),
            look_every: Duration::from_secs(3),
        }
    }
}

/// What became of files that changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Renewals {
    /// Certificates that were taken while running.
    pub taken: u64,
    /// Certificates that were broken, so that the one before stayed in use.
    pub refused: u64,
}

/// Turns connections into TLS connections. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Tls(Arc<Shared>);

struct Shared {
    options: TlsOptions,
    acceptor: TlsAcceptor,
    current: Arc<Current>,
    /// Of the files that were read at the start.
    first: [u8; 32],
    renewals: Sender<Renewals>,
    handshakes_failed: AtomicU64,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Tls {
    /// Reads the files. `protocols` are what connections may carry, by their ALPN names, the preferred one first.
    ///
    /// # Errors
    /// [`TlsError`] names the file that is missing, broken or not the other's, and what to do.
    pub fn open(options: &TlsOptions, protocols: &[&[u8]]) -> Result<Self, TlsError> {
        let first = Snapshot::read(options);
        let current = Arc::new(Current(RwLock::new(Arc::new(first.certified_key(options)?))));
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider knows TLS 1.2 and 1.3")
            .with_no_client_auth()
            .with_cert_resolver(current.clone());
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Ok(Self(Arc::new(Shared {
            options: options.clone(),
            acceptor,
            current,
            first: first.digest(),
            renewals: Sender::default(),
            handshakes_failed: AtomicU64::new(0),
        })))
    }

    /// The connection's inner side; its handshake happens as it is read from or written to, within the time for it.
    pub fn secure<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S) -> Secured<S> {
        Secured::handshaking(stream, self)
    }

    /// Handshakes that failed, were given up by the client or took too long.
    pub fn handshakes_failed(&self) -> u64 {
        self.0.handshakes_failed.load(Ordering::Relaxed)
    }

    /// What became of files that changed so far, and a way to wait for the next change.
    pub fn renewals(&self) -> Receiver<Renewals> {
        self.0.renewals.subscribe()
    }

    /// Takes the certificate anew whenever the files change, until `stop`. Looks at once on SIGHUP, where there is
    /// one: it is listened for from this call on, so that it does not end the program. Connections that are open keep
    /// theirs.
    pub fn watch(self, stop: CancellationToken) -> impl Future<Output = ()> + Send + 'static {
        let mut changes = Changes::since(self.0.first);
        let mut looks = Looks::new(self.0.options.look_every);
        async move {
            loop {
                let is_asked = tokio::select! {
                    () = stop.cancelled() => return,
                    is_asked = looks.next() => is_asked,
                };
                let options = self.0.options.clone();
                // Fails only while the program ends.
                let Ok(found) = tokio::task::spawn_blocking(move || Snapshot::read(&options)).await else {
                    return;
                };
                if changes.is_due(found.digest(), is_asked) {
                    self.take(&found);
                }
            }
        }
    }

    fn take(&self, found: &Snapshot) {
        let Shared { options, current, renewals, .. } = &*self.0;
        match found.certified_key(options) {
            Ok(key) => {
                current.set(key);
                tracing::info!(cert = %options.cert.display(), "new certificate taken");
                renewals.send_modify(|renewals| renewals.taken += 1);
            }
            Err(error) => {
                tracing::warn!(%error, "new certificate not taken; the one before stays in use");
                renewals.send_modify(|renewals| renewals.refused += 1);
            }
        }
    }
}

/// The certificate that new connections get.
#[derive(Debug)]
struct Current(RwLock<Arc<CertifiedKey>>);

impl Current {
    fn set(&self, key: CertifiedKey) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(key);
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}
