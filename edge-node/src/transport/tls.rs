//! The TLS configurations of the one QUIC endpoint.
//!
//! TLS only proves that each side holds the key of the certificate it shows; who that is, Hello and Proof say, which
//! sign both certificates' hashes. So any certificate passes here.

use std::sync::Arc;

use freshet_protocol::{Hash, PEER_ALPN};
use quinn::crypto::rustls::{HandshakeData, QuicClientConfig, QuicServerConfig};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, PeerMisbehaved, SignatureScheme};

use super::certificates::{CertificateError, SessionCertificate};

/// The name that dialers send. One for all peers, so it tells nothing.
pub(super) const SERVER_NAME: &str = "freshet";
/// Longest certificate taken from a peer, in bytes; a session certificate has about 350.
const CERTIFICATE_BYTES_MAX: usize = 2048;
/// The one scheme in which peers sign handshakes.
const SCHEME: SignatureScheme = SignatureScheme::ECDSA_NISTP256_SHA256;

/// What the listening side shows and asks for. Certificates of dialers are optional here, since browsers have none;
/// `freshet/1` demands one after the handshake.
pub(super) fn server_crypto(
    certificate: &SessionCertificate,
    alpns: &[&[u8]],
) -> Result<QuicServerConfig, CertificateError> {
    let text = |error: Error| CertificateError(error.to_string());
    let (chain, key) = certificate.chain();
    let mut tls = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(text)?
        .with_client_cert_verifier(Arc::new(AnyCertificate { provider: provider() }))
        .with_single_cert(chain, key)
        .map_err(text)?;
    tls.alpn_protocols = alpns.iter().map(|alpn| alpn.to_vec()).collect();
    // A resumed session shows the certificates of the first one, which Proof would no longer match.
    tls.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    tls.send_tls13_tickets = 0;
    QuicServerConfig::try_from(tls).map_err(|error| CertificateError(error.to_string()))
}

/// What the dialing side shows.
pub(super) fn client_crypto(certificate: &SessionCertificate) -> Result<QuicClientConfig, CertificateError> {
    let text = |error: Error| CertificateError(error.to_string());
    let (chain, key) = certificate.chain();
    let tls = client_builder()?.with_client_auth_cert(chain, key).map_err(text)?;
    quic_client(tls)
}

fn client_builder()
-> Result<rustls::ConfigBuilder<rustls::ClientConfig, rustls::client::WantsClientCert>, CertificateError> {
    Ok(rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| CertificateError(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate { provider: provider() })))
}

fn quic_client(mut tls: rustls::ClientConfig) -> Result<QuicClientConfig, CertificateError> {
    tls.alpn_protocols = vec![PEER_ALPN.to_vec()];
    tls.resumption = rustls::client::Resumption::disabled();
    QuicClientConfig::try_from(tls).map_err(|error| CertificateError(error.to_string()))
}

/// A dialer without a certificate, as a browser is.
#[cfg(test)]
pub(super) fn anonymous_client_crypto() -> Result<QuicClientConfig, CertificateError> {
    quic_client(client_builder()?.with_no_client_auth())
}

/// Hash of the certificate that the other side showed; none where it showed none.
pub(super) fn peer_certificate(connection: &quinn::Connection) -> Option<Hash> {
    let chain = connection.peer_identity()?.downcast::<Vec<CertificateDer<'static>>>().ok()?;
    chain.first().map(|certificate| Hash::of(certificate))
}

/// The protocol that both sides agreed on.
pub(super) fn alpn(connection: &quinn::Connection) -> Option<Vec<u8>> {
    connection.handshake_data()?.downcast::<HandshakeData>().ok()?.protocol
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// Accepts any certificate whose key signed this handshake.
#[derive(Debug)]
struct AnyCertificate {
    provider: Arc<CryptoProvider>,
}

impl AnyCertificate {
    fn check_shape(certificate: &CertificateDer<'_>, chain: &[CertificateDer<'_>]) -> Result<(), Error> {
        if chain.is_empty() && certificate.len() <= CERTIFICATE_BYTES_MAX {
            Ok(())
        } else {
            Err(Error::InvalidCertificate(rustls::CertificateError::BadEncoding))
        }
    }

    fn check_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if signature.scheme != SCHEME {
            return Err(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into());
        }
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }
}

fn no_tls12() -> Result<HandshakeSignatureValid, Error> {
    Err(Error::General("QUIC has TLS 1.3 only".to_owned()))
}

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Self::check_shape(certificate, chain).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        no_tls12()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SCHEME]
    }
}

impl ClientCertVerifier for AnyCertificate {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Self::check_shape(certificate, chain).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        no_tls12()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SCHEME]
    }
}
