//! Flags that both programs take.

use std::path::PathBuf;

use clap::Args;

use crate::tls::TlsOptions;

/// Where the certificate is.
#[derive(Debug, Clone, Args)]
pub struct TlsArguments {
    /// Certificate chain as PEM, the server's own first; clients are then served over TLS alone. Replaced while the
    /// program runs, it is taken within seconds, or at once on SIGHUP; one that is broken is told and not taken.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,

    /// Private key of the certificate as PEM, without a passphrase: PKCS#8, SEC1 or RSA.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
}

impl TlsArguments {
    /// How to serve over TLS, where that is wanted.
    pub fn options(&self) -> Option<TlsOptions> {
        let (cert, key) = self.tls_cert.as_ref().zip(self.tls_key.as_ref())?;
        Some(TlsOptions::new(cert, key))
    }
}
