//! Dialing a peer by its candidate addresses: each gets a head start over the next, the first that shakes hands counts.

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::pin::Pin;

use freshet_protocol::limits::ADDRESSES_MAX;
use freshet_protocol::{Candidate, Hash, KeyId, Side, Transport};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use quinn::{Connection, ConnectionError};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Quic, QuicWire, describe, ends};
use crate::transport::dial::{Heard, NotReached, SUPERSEDED};
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
    heard: Heard,
    superseded: &CancellationToken,
) -> Result<Opened<QuicWire>, NotReached> {
    let is_quic = |candidate: &&Candidate| candidate.transport == Transport::Quic;
    let addresses = candidates.iter().filter(is_quic).map(|candidate| candidate.address);
    let waiting = addresses.filter(|_| !heard.is_awaited).collect();
    let (running, again) = (FuturesUnordered::new(), BTreeSet::new());
    let deadline = Instant::now() + CONNECT_TIME;
    let unheard = if heard.is_awaited { "the peer is not heard" } else { "the peer has no address for QUIC" };
    let mut failed = NotReached::Silent(unheard.to_owned());
    let mut race = Race { waiting, running, next_at: Instant::now(), heard: Some(heard), again };
    loop {
        let next = tokio::time::timeout_at(deadline, race.next(quic));
        let Some(next) = superseded.run_until_cancelled(next).await else {
            return Err(NotReached::Refused(SUPERSEDED.to_owned()));
        };
        match next {
            Ok(Some(Ok((connection, own)))) if quic.board.seats().answered(key, superseded) => {
                let met = match ends(connection, Side::Dialer, own) {
                    Ok(ends) => ends.meet(&quic.board, Some(Meant { key, pairing })).await,
                    Err(error) => Err(error),
                };
                match met {
                    Ok(link) => return Ok(link),
                    Err(reason) => failed = NotReached::Refused(reason),
                }
            }
            Ok(Some(Ok(_))) => return Err(NotReached::Refused(SUPERSEDED.to_owned())),
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
    /// Whence the peer is heard: there the way is open, and what was sent before may be lost in a NAT. None once it is
    /// not listened for any more.
    heard: Option<Heard>,
    /// Addresses that were dialed for that.
    again: BTreeSet<SocketAddr>,
}

impl Race {
    /// The next handshake that ends, well or not; none when there is no address left.
    async fn next(&mut self, quic: &Quic) -> Option<Result<(Connection, Hash), String>> {
        loop {
            let is_awaited = self.heard.as_ref().is_some_and(|heard| heard.is_awaited);
            if self.waiting.is_empty() && self.running.is_empty() && !is_awaited {
                return None;
            }
            // Where all before have failed, the next one need not wait.
            let next_at = if self.running.is_empty() { Instant::now() } else { self.next_at };
            tokio::select! {
                Some(ended) = self.running.next() => return Some(ended.map_err(|error| describe(&error))),
                () = tokio::time::sleep_until(next_at), if !self.waiting.is_empty() => {
                    let Some(address) = self.waiting.pop_front() else { continue };
                    self.next_at = Instant::now() + CANDIDATE_STAGGER;
                    if let Err(error) = self.start(quic, address) {
                        return Some(Err(error));
                    }
                }
                address = hear(self.heard.as_mut()) => {
                    let Some(address) = address else {
                        self.heard = None;
                        continue;
                    };
                    // Once each, and no more of them than of candidates.
                    if self.again.len() < ADDRESSES_MAX && self.again.insert(address) {
                        self.waiting.retain(|waiting| *waiting != address);
                        if let Err(error) = self.start(quic, address) {
                            return Some(Err(error));
                        }
                    }
                }
            }
        }
    }

    fn start(&mut self, quic: &Quic, address: SocketAddr) -> Result<(), String> {
        let showing = quic.shown.now();
        let connecting = quic
            .endpoint
            .connect_with(showing.client.clone(), address, SERVER_NAME)
            .map_err(|error| format!("{address}: {error}"))?;
        self.running.push(Box::pin(async move { Ok((connecting.await?, showing.hash)) }));
        Ok(())
    }
}

/// The next address from which the peer is heard, as long as it is listened for.
async fn hear(heard: Option<&mut Heard>) -> Option<SocketAddr> {
    match heard {
        Some(heard) => heard.from.recv().await,
        None => std::future::pending().await,
    }
}
