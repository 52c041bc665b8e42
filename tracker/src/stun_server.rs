//! Answers STUN on one UDP port, a bounded number of times for each source. Who asks for it is answered from another port,
//! to which it has sent nothing, so that it learns whether its NAT lets that in.

use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use freshet_protocol::stun;
use tokio::net::UdpSocket;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::address_proofs::AddressProofs;
use crate::counters::Counters;
use crate::rate::{Meter, Rate};

/// Requests a second that one address may send, and at once. Many players may share an address.
const REQUESTS_PER_S: u32 = 100;
const REQUESTS_BURST: u32 = 200;
/// Sources are counted in so many cells; two that share one share its rate.
const CELLS: usize = 4096;
/// Longer datagrams are cut off and then fail to parse.
const DATAGRAM_BYTES_MAX: usize = 1500;
/// Pause after a receive error, so that a lasting one does not take a core.
const ERROR_PAUSE: Duration = Duration::from_millis(10);

/// Rates of all sources in bounded memory. The hash is keyed, so that nobody can choose whom to share a cell with.
struct Sources {
    rate: Rate,
    hasher: RandomState,
    meters: Vec<Meter>,
}

impl Sources {
    fn new() -> Self {
        let rate = Rate::new(REQUESTS_PER_S, REQUESTS_BURST);
        Self { rate, hasher: RandomState::new(), meters: vec![Meter::default(); CELLS] }
    }

    /// Counts a request; whether it is within the rate.
    fn allow(&mut self, now_us: u64, source: IpAddr) -> bool {
        let cell = (self.hasher.hash_one(source) % CELLS as u64) as usize;
        let is_allowed = self.rate.ready_us(self.meters[cell]) <= now_us;
        if is_allowed {
            self.rate.count(&mut self.meters[cell], now_us);
        }
        is_allowed
    }
}

/// What all ports share.
#[derive(Debug)]
pub(crate) struct StunService {
    /// Answers come from there to who asks for another port.
    pub(crate) other_port: UdpSocket,
    pub(crate) proofs: Arc<AddressProofs>,
    pub(crate) counters: Arc<Counters>,
}

/// Answers until `stop`.
pub(crate) async fn run(socket: UdpSocket, service: Arc<StunService>, stop: CancellationToken) {
    let start = Instant::now();
    let mut sources = Sources::new();
    let mut buffer = [0; DATAGRAM_BYTES_MAX];
    loop {
        let received = tokio::select! {
            received = socket.recv_from(&mut buffer) => received,
            () = stop.cancelled() => return,
        };
        match received {
            Ok((length, source)) => {
                let now_us = start.elapsed().as_micros() as u64;
                respond(&socket, &buffer[..length], source, now_us, &mut sources, &service).await;
            }
            Err(error) => {
                tracing::debug!(%error, "receiving a STUN request failed");
                tokio::time::sleep(ERROR_PAUSE).await;
            }
        }
    }
}

async fn respond(
    socket: &UdpSocket,
    datagram: &[u8],
    source: SocketAddr,
    now_us: u64,
    sources: &mut Sources,
    service: &StunService,
) {
    let StunService { other_port, proofs, counters } = service;
    let Some(asked) = stun::read_request(datagram) else {
        counters.stun_malformed.add(1);
        return;
    };
    if !sources.allow(now_us, source.ip()) {
        counters.stun_limited.add(1);
        return;
    }
    let (answer, from) = match asked {
        Ok(request) => {
            let proof = request.wish.proof.then(|| proofs.give(source));
            let from = if request.wish.other_port { other_port } else { socket };
            (request.answer(source, proof.as_ref()), from)
        }
        Err(refusal) => (refusal, socket),
    };
    // A lost answer is asked for again by the client, as any datagram is.
    if from.send_to(&answer, source).await.is_ok() {
        counters.stun_answered.add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_source_is_limited_and_others_are_not() {
        let mut sources = Sources::new();
        let loud = IpAddr::from([192, 0, 2, 1]);
        let allowed = (0..1000).filter(|_| sources.allow(0, loud)).count();
        assert_eq!(allowed, REQUESTS_BURST as usize);
        assert!(sources.allow(10_000, loud), "one more a hundredth of a second later");
        let others = (0..100u8).filter(|&n| sources.allow(0, IpAddr::from([198, 51, 100, n]))).count();
        assert!(others >= 95, "{others} of 100 others, some of which may share the cell");
    }
}
