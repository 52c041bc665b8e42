//! Dialing a peer by its candidate addresses: each gets a head start over the next, the first that shakes hands counts.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::pin::Pin;

use freshet_protocol::{Candidate, Hash, KeyId, Side, Transport};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use quinn::{Connection, ConnectionError};
use tokio::time::Instant;

use super::{Quic, QuicWire, describe, ends};
use crate::transport::dial::NotReached;
use crate::transport::limits::{CANDIDATE_STAGGER, CONNECT_TIME};
use crate::transport::link_task::Opened;
use crate::transport::meet::Meant;
use crate::transport::seats::Pairing;
use crate::transport::tls::SERVER_NAME;

/// Tries one candidate after the other until one leads to the peer that is meant.
pub(super) async fn reach(
    quic: &Quic,
    pairing: Pairing,
    candidates: &[Candidate],
    key: KeyId,
) -> Result<Opened<QuicWire>, NotReached> {
    let is_quic = |candidate: &&Candidate| candidate.transport == Transport::Quic;
    let waiting = candidates.iter().filter(is_quic).map(|candidate| candidate.address).collect();
    let mut race = Race { waiting, running: FuturesUnordered::new(), next_at: Instant::now() };
    let deadline = Instant::now() + CONNECT_TIME;
    let mut failed = NotReached::Silent("the peer has no address for QUIC".to_owned());
    loop {
        match tokio::time::timeout_at(deadline, race.next(quic)).await {
            Ok(Some(Ok((connection, own)))) => {
                let met = match ends(connection, Side::Dialer, own) {
                    Ok(ends) => ends.meet(&quic.board, Some(Meant { key, pairing })).await,
                    Err(error) => Err(error),
                };
                match met {
                    Ok(link) => return Ok(link),
                    Err(reason) => failed = NotReached::Refused(reason),
                }
            }
            Ok(Some(Err(reason))) => failed = NotReached::Silent(reason),
            Ok(None) => return Err(failed),
            Err(_) => {
                let reason = format!("the peer does not answer within {} s", CONNECT_TIME.as_secs());
                return Err(NotReached::Silent(reason));
            }
        }
    }
}

/// A handshake under way, and the hash of the certificate that it shows.
type Dialing = Pin<Box<dyn Future<Output = Result<(Connection, Hash), ConnectionError>> + Send>>;

struct Race {
    waiting: VecDeque<SocketAddr>,
    running: FuturesUnordered<Dialing>,
    next_at: Instant,
}

impl Race {
    /// The next handshake that ends, well or not; none when there is no address left.
    async fn next(&mut self, quic: &Quic) -> Option<Result<(Connection, Hash), String>> {
        loop {
            if self.waiting.is_empty() && self.running.is_empty() {
                return None;
            }
            // Where all before have failed, the next one need not wait.
            let next_at = if self.running.is_empty() { Instant::now() } else { self.next_at };
            tokio::select! {
                Some(ended) = self.running.next() => return Some(ended.map_err(|error| describe(&error))),
                () = tokio::time::sleep_until(next_at), if !self.waiting.is_empty() => {
                    if let Err(error) = self.start_next(quic) {
                        return Some(Err(error));
                    }
                }
            }
        }
    }

    fn start_next(&mut self, quic: &Quic) -> Result<(), String> {
        let Some(address) = self.waiting.pop_front() else { return Ok(()) };
        let showing = quic.shown.now();
        let connecting = quic
            .endpoint
            .connect_with(showing.client.clone(), address, SERVER_NAME)
            .map_err(|error| format!("{address}: {error}"))?;
        self.running.push(Box::pin(async move { Ok((connecting.await?, showing.hash)) }));
        self.next_at = Instant::now() + CANDIDATE_STAGGER;
        Ok(())
    }
}
