//! What the endpoint shows of itself, and what connections are made with: TLS of the certificate in use.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use freshet_protocol::{Hash, PEER_ALPN};
use quinn::{ClientConfig, ServerConfig};

use super::settings;
use crate::transport::certificates::{CertificateError, Certificates};
use crate::transport::{QuicSettings, tls, web_transport};

/// The certificates, and what is shown now. Connections keep what they began with.
#[derive(Debug)]
pub(super) struct Shown {
    settings: QuicSettings,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    certificates: Certificates,
    showing: Arc<Showing>,
}

/// One certificate, ready for use.
#[derive(Debug)]
pub(super) struct Showing {
    /// What Proof signs of a connection made with this.
    pub(super) hash: Hash,
    pub(super) server: Arc<ServerConfig>,
    pub(super) client: ClientConfig,
}

impl Shown {
    pub(super) fn new(settings: QuicSettings) -> Result<Self, CertificateError> {
        let certificates = Certificates::generate(SystemTime::now())?;
        let showing = Arc::new(Showing::new(settings, &certificates)?);
        Ok(Self { settings, state: Mutex::new(State { certificates, showing }) })
    }

    /// What new connections are to be made with.
    pub(super) fn now(&self) -> Arc<Showing> {
        Arc::clone(&self.state().showing)
    }

    /// Hashes of the certificate in use and of the next one, for browsers; none where they cannot dial.
    pub(super) fn browsers_hashes(&self) -> Vec<Hash> {
        if self.settings.web_transport { self.state().certificates.hashes().to_vec() } else { Vec::new() }
    }

    /// Shows the next certificate when its time has come.
    ///
    /// # Errors
    /// [`CertificateError`]; then the old one stays.
    pub(super) fn turn(&self, now: SystemTime) -> Result<(), CertificateError> {
        let mut state = self.state();
        if state.certificates.turn(now)? {
            state.showing = Arc::new(Showing::new(self.settings, &state.certificates)?);
        }
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Showing {
    fn new(settings: QuicSettings, certificates: &Certificates) -> Result<Self, CertificateError> {
        let certificate = certificates.current();
        let mut server =
            ServerConfig::with_crypto(Arc::new(tls::server_crypto(certificate, alpns(settings))?));
        server
            .transport_config(settings::accepted(settings))
            .max_incoming(settings::INCOMING_MAX)
            .incoming_buffer_size(settings::INCOMING_BYTES_MAX);
        let mut client = ClientConfig::new(Arc::new(tls::client_crypto(certificate)?));
        client.transport_config(settings::dialed(settings));
        Ok(Self { hash: certificate.hash(), server: Arc::new(server), client })
    }
}

/// The protocols that a dialer may choose from.
fn alpns(settings: QuicSettings) -> &'static [&'static [u8]] {
    if settings.web_transport { &[PEER_ALPN, web_transport::ALPN] } else { &[PEER_ALPN] }
}
