//! Flags that both programs take.

use std::path::PathBuf;

use clap::Args;

use crate::proxies::{Network, Proxies, ProxyHeader};
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

/// Which proxies are believed.
#[derive(Debug, Clone, Args)]
pub struct ProxyArguments {
    /// Address or network of a proxy in front, like 127.0.0.1 or 10.0.0.0/8; may be repeated. From these alone, the
    /// client's address is taken from --proxy-header: the rightmost one that is no trusted proxy itself.
    #[arg(long = "trusted-proxy", value_name = "ADDR|CIDR")]
    trusted_proxies: Vec<Network>,

    /// The header in which the proxies name the client. Only this one is read, since a client may write the other.
    #[arg(long, value_enum, default_value_t, value_name = "NAME", requires = "trusted_proxies")]
    proxy_header: ProxyHeader,
}

impl ProxyArguments {
    /// The proxies.
    pub fn proxies(&self) -> Proxies {
        Proxies { trusted: self.trusted_proxies.clone(), header: self.proxy_header }
    }
}
