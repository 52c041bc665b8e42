//! What all that asks over HTTP shares.

use std::time::Duration;

use reqwest::{Client, ClientBuilder};

/// Time for a connection to be made.
const CONNECT_TIME: Duration = Duration::from_secs(10);

/// A client that can speak TLS and says who it is.
pub(crate) fn builder() -> ClientBuilder {
    // Without a provider the client panics; that there is one already is as good.
    rustls::crypto::ring::default_provider().install_default().ok();
    Client::builder()
        .connect_timeout(CONNECT_TIME)
        .user_agent(concat!("freshet-origin/", env!("CARGO_PKG_VERSION")))
}

/// The cause, which reqwest keeps to itself, without the address: it may hold a token.
pub(crate) fn cause(error: &reqwest::Error) -> String {
    let mut source: &dyn std::error::Error = error;
    while let Some(deeper) = source.source() {
        source = deeper;
    }
    source.to_string()
}
