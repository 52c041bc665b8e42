//! WebTransport: how browsers dial a node, on the same endpoint and port as its peers over QUIC.
//!
//! A browser trusts the node's certificate by its hash, which the tracker tells it, and shows none of its own.

#[cfg(test)]
mod tests;
mod wire;

use freshet_protocol::{Hash, Side};
use web_transport_quinn::Request;

use super::limits::HELLO_TIME;
use super::meet::Ends;
use wire::WebWire;

/// The application protocol under which browsers dial.
pub(super) const ALPN: &[u8] = web_transport_quinn::ALPN.as_bytes();

/// What Proof signs in the place of the certificate that a browser does not have (PROTOCOL.md 6).
const NO_CERTIFICATE: Hash = Hash([0; 32]);

/// Accepts the session that a browser asks for on a fresh connection, which showed the certificate `own`. Whatever the
/// path: who may link, Hello says.
pub(super) async fn accept(connection: quinn::Connection, own: Hash) -> Result<Ends<WebWire>, String> {
    let accepting = async { Request::accept(connection).await?.ok().await };
    let session = tokio::time::timeout(HELLO_TIME, accepting)
        .await
        .map_err(|_| "no session was asked for in time".to_owned())?
        .map_err(|error| format!("no session: {error}"))?;
    Ok(Ends { wire: WebWire::new(session), side: Side::Acceptor, own, theirs: NO_CERTIFICATE })
}
