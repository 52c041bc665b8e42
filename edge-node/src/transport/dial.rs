//! Dialing a peer over whichever transport leads to it: QUIC first, then a data channel.

use std::net::SocketAddr;
use std::sync::Arc;

use freshet_protocol::{Candidate, KeyId, Transport};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::event::TransportEvent;
use super::quic::Quic;
use super::seats::Pairing;
use super::web_rtc::WebRtc;

/// Why a dial ended that another took the place of.
pub(super) const SUPERSEDED: &str = "a later dial of this peer has taken its place";

/// Why one way did not lead to a link.
pub(super) enum NotReached {
    /// Nobody answered there; another way may lead further.
    Silent(String),
    /// Somebody did, and it came to nothing.
    Refused(String),
}

/// A dial under way.
pub(super) struct Dial {
    pub(super) quic: Quic,
    /// None where this node does not speak WebRTC.
    pub(super) web_rtc: Option<WebRtc>,
    pub(super) pairing: Pairing,
    pub(super) candidates: Vec<Candidate>,
    pub(super) key: KeyId,
    pub(super) heard: Heard,
}

/// Whence the peer is heard while it is dialed.
pub(super) struct Heard {
    pub(super) from: mpsc::Receiver<SocketAddr>,
    /// Whether it is dialed nowhere else.
    pub(super) is_awaited: bool,
}

impl Dial {
    /// Dials, and stays as the link's task.
    pub(super) async fn run(self) {
        let (board, pair, key) = (Arc::clone(self.quic.board()), self.pairing.pair, self.key);
        let started = board.seats().start_dial(key);
        let failed = match started {
            Ok(superseded) => self.reach(superseded).await,
            Err(error) => Some(error.to_string()),
        };
        if let Some(reason) = failed {
            let failed = TransportEvent::DialFailed { pair, reason };
            // Without a job nobody waits for the outcome.
            let _ = board.tell(failed).await;
        }
    }

    /// Runs the link to its end; why there is none.
    async fn reach(self, superseded: CancellationToken) -> Option<String> {
        let Self { quic, web_rtc, pairing, candidates, key, heard } = self;
        let board = quic.board();
        let reason = match quic.reach(pairing, &candidates, key, heard, &superseded).await {
            Ok(link) => {
                board.seats().end_dial(key, &superseded);
                link.run().await;
                return None;
            }
            Err(NotReached::Refused(reason)) => {
                board.seats().end_dial(key, &superseded);
                return Some(reason);
            }
            Err(NotReached::Silent(reason)) => reason,
        };
        let speaks = candidates.iter().any(|candidate| candidate.transport == Transport::WebRtc);
        let reached = match web_rtc.as_ref().filter(|_| speaks) {
            // What is said about a data channel is said within its pairing.
            Some(web_rtc) if board.seats().answered(key, &superseded) => {
                web_rtc.reach(pairing, &candidates, key).await
            }
            Some(_) => Err(SUPERSEDED.to_owned()),
            None => Err(reason),
        };
        board.seats().end_dial(key, &superseded);
        match reached {
            Ok(link) => {
                link.run().await;
                None
            }
            Err(reason) => Some(reason),
        }
    }
}
