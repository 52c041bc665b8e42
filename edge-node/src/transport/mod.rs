//! The network between peers: links over one UDP socket, on which chunks are asked for, sent and verified.
//!
//! The job drives it with [`Transport`] and [`LinkHandle`], and hears of it through one bounded channel of
//! [`TransportEvent`]s.

mod admission;
mod answer;
mod ask;
mod certificates;
mod control;
mod dial;
mod event;
mod frames;
mod hello;
mod interface;
mod limits;
mod link;
mod link_task;
mod meet;
mod nat;
mod printable;
mod quic;
mod rtt;
mod seats;
mod serve;
mod switchboard;
mod tls;
mod web_rtc;
mod web_transport;
mod wire;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use freshet_protocol::{Candidate, Hash, KeyId, Locality, PublicKey, SwarmId};
use tokio::sync::mpsc;

pub use certificates::CertificateError;
pub use event::{Answer, PeerInfo, TransportEvent};
pub(crate) use limits::GRACE_S;
pub use limits::LINKS_MAX;
pub use link::LinkHandle;
pub use nat::Outside;
pub(crate) use nat::StunService;

use crate::identity::Identity;
use crate::limiter::Limiter;
use crate::uplink::Uplink;
use dial::{Dial, Heard};
use hello::Admit;
use limits::{CLOSE_TIME, EVENTS_MAX, HEARD_MAX};
use nat::NatHandle;
use quic::Quic;
use seats::Pairing;
use switchboard::Switchboard;
use web_rtc::WebRtc;

/// How a link finds its rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Congestion {
    /// CUBIC (RFC 9438): fair to what else uses the line.
    #[default]
    Cubic,
    /// BBR: keeps its rate on paths that lose packets at random, where CUBIC falls to a hundredth; may crowd out others.
    Bbr,
}

/// The knobs of QUIC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuicSettings {
    /// How links find their rate.
    pub congestion: Congestion,
    /// Whether the kernel cuts batches into datagrams (GSO). Off costs three quarters of the rate; only for drivers
    /// that lose such batches.
    pub segmentation_offload: bool,
    /// Whether browsers may dial over WebTransport, on the same port.
    pub web_transport: bool,
}

impl Default for QuicSettings {
    fn default() -> Self {
        Self { congestion: Congestion::default(), segmentation_offload: true, web_transport: true }
    }
}

/// What a transport is made of.
#[derive(Debug, Clone)]
pub struct TransportConfig {
    /// Where to listen; port 0 picks one. An IPv6 wildcard takes IPv4 as well.
    pub listen: SocketAddr,
    /// Who this node is.
    pub identity: Arc<Identity>,
    /// Program and version as peers see it, at most 64 bytes.
    pub agent: String,
    /// Whether to make data channels with browsers and with peers that cannot be dialed.
    pub web_rtc: bool,
    /// Whether to ask the router for a port that leads here.
    pub map_port: bool,
    /// Most links at once, dialed and accepted together.
    pub links_max: usize,
    /// The knobs of QUIC.
    pub quic: QuicSettings,
    /// Bound of what answers bring.
    pub(crate) limiter: Limiter,
    /// What answers leave through, where they yield to what else uses the line.
    pub(crate) uplink: Option<Uplink>,
}

impl TransportConfig {
    /// Defaults for a node at `listen`.
    pub fn new(listen: SocketAddr, identity: Arc<Identity>) -> Self {
        let agent = concat!("freshet-node/", env!("CARGO_PKG_VERSION")).to_owned();
        let (quic, limiter) = (QuicSettings::default(), Limiter::default());
        Self {
            listen,
            identity,
            agent,
            web_rtc: true,
            map_port: false,
            links_max: LINKS_MAX,
            quic,
            limiter,
            uplink: None,
        }
    }
}

/// Why there is no transport.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// The socket could not be had.
    #[error("cannot listen on UDP {address}: {source}")]
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// Why it failed; [`std::io::ErrorKind::AddrInUse`] when another program has the port.
        source: std::io::Error,
    },
    /// The certificate of the identity could not be used.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The agent's name is too long for a Hello.
    #[error("agent name {0:?} is longer than {max} bytes", max = freshet_protocol::limits::AGENT_BYTES_MAX)]
    Agent(String),
}

/// The network side of a node. Cheap to clone; all calls but [`Transport::bind`] and [`Transport::close`] return at
/// once.
#[derive(Debug, Clone)]
pub struct Transport {
    board: Arc<Switchboard>,
    quic: Quic,
    /// None where this node does not speak WebRTC.
    web_rtc: Option<WebRtc>,
    nat: NatHandle,
    local_address: SocketAddr,
}

impl Transport {
    /// Binds the socket. Peers are let in once there is a swarm, a ticket and a trusted tracker.
    ///
    /// # Errors
    /// [`TransportError`] when the socket cannot be had or the configuration is not usable.
    pub async fn bind(
        config: TransportConfig,
    ) -> Result<(Self, mpsc::Receiver<TransportEvent>), TransportError> {
        if config.agent.len() > freshet_protocol::limits::AGENT_BYTES_MAX {
            return Err(TransportError::Agent(config.agent));
        }
        let (events_in, events) = mpsc::channel(EVENTS_MAX);
        let board = Arc::new(Switchboard::new(
            config.identity,
            config.agent,
            config.links_max,
            config.limiter,
            config.uplink,
            events_in,
        ));
        let (aside_in, aside) = nat::aside();
        let quic = Quic::bind(config.listen, config.quic, Arc::clone(&board), aside_in)?;
        let nat = NatHandle::start(quic.aside(), aside, Arc::clone(&board), config.map_port);
        let local_address =
            quic.local_address().map_err(|source| TransportError::Bind { address: config.listen, source })?;
        let listen = SocketAddr::new(local_address.ip(), 0);
        let web_rtc = config.web_rtc.then(|| WebRtc::new(listen, Arc::clone(&board)));
        Ok((Self { board, quic, web_rtc, nat, local_address }, events))
    }

    /// Where the socket is bound.
    pub fn local_address(&self) -> SocketAddr {
        self.local_address
    }

    /// Hashes of the certificates under which browsers find this node over WebTransport: the one in use and the next.
    /// None where it does not speak WebTransport.
    pub fn certificates(&self) -> Vec<Hash> {
        self.quic.certificates()
    }

    /// Shows the certificate that is due at `now`.
    #[cfg(test)]
    fn turn_certificates(&self, now: std::time::SystemTime) {
        self.quic.turn_certificates(now);
    }

    /// Dials the owner of `key`. Leads to one `LinkUp` with this pair number, or one `DialFailed`.
    pub fn dial(&self, pair: u64, candidates: Vec<Candidate>, key: KeyId, locality: Locality) {
        self.start_dial(Pairing { pair, locality, since: Instant::now() }, candidates, key, false);
    }

    /// Dials the owner of `key` wherever it is heard after both sides have sent probes, and nowhere else: no tracker has seen
    /// it at these candidates. Leads to the same as [`Transport::dial`].
    pub(crate) fn dial_heard(&self, pair: u64, candidates: Vec<Candidate>, key: KeyId, locality: Locality) {
        self.start_dial(Pairing { pair, locality, since: Instant::now() }, candidates, key, true);
    }

    fn start_dial(&self, pairing: Pairing, candidates: Vec<Candidate>, key: KeyId, is_awaited: bool) {
        let (quic, web_rtc) = (self.quic.clone(), self.web_rtc.clone());
        let (heard_in, from) = mpsc::channel(HEARD_MAX);
        self.nat.open_way(pairing.pair, &candidates, Some(heard_in));
        let heard = Heard { from, is_awaited };
        self.board.tasks.spawn(Dial { quic, web_rtc, pairing, candidates, key, heard }.run());
    }

    /// Remembers that the owner of `key` is going to dial, so that its link carries this pair number, and that it may
    /// offer a data channel. Others may link as well; a dial that never comes is forgotten in silence.
    pub fn expect(&self, pair: u64, candidates: &[Candidate], key: KeyId, locality: Locality) {
        let pairing = Pairing { pair, locality, since: Instant::now() };
        self.board.expect(key, pairing);
        self.nat.open_way(pair, candidates, None);
        if let Some(web_rtc) = &self.web_rtc {
            web_rtc.expect(pairing, candidates, key);
        }
    }

    /// What the other side of a pairing says through the tracker.
    pub fn signal(&self, pair: u64, data: &str) {
        if let Some(web_rtc) = &self.web_rtc {
            web_rtc.signal(pair, data);
        }
    }

    /// The STUN service that tells this node its address as others see it. What it tells comes as an event, within 300 ms
    /// for the first time, and again whenever that changes.
    pub(crate) fn set_stun(&self, service: StunService) {
        if let Some(web_rtc) = &self.web_rtc {
            web_rtc.set_stun(&service);
        }
        self.nat.look(service);
    }

    /// The ticket to show from now on, as it has just come from the tracker. Live links keep theirs.
    pub fn set_ticket(&self, ticket: Vec<u8>) {
        self.board.set_ticket(ticket);
    }

    /// As [`Transport::set_ticket`], of a ticket that an earlier run got at `arrived` (Unix seconds of this node's clock);
    /// nothing where there is one already.
    pub(crate) fn restore_ticket(&self, ticket: Vec<u8>, arrived: u64) {
        self.board.restore_ticket(ticket, arrived);
    }

    /// The ticket that is shown, if there is one.
    pub(crate) fn ticket(&self) -> Option<Vec<u8>> {
        self.board.admission().own_ticket()
    }

    /// Whether the owner of `key` may link with `ticket` now.
    pub(crate) fn admits(&self, key: &PublicKey, ticket: &[u8]) -> bool {
        self.board.admit(key, ticket).is_ok()
    }

    /// The trackers whose tickets count from now on.
    pub fn trust_trackers(&self, keys: Vec<PublicKey>) {
        self.board.admission().trust_trackers(keys);
    }

    /// Whether tickets stay good for 6 h beyond their expiry: only while no tracker answers.
    pub fn set_grace(&self, has_grace: bool) {
        self.board.admission().set_grace(has_grace);
    }

    /// Refuses the owner of `key` from now on, and closes its link.
    pub fn ban(&self, key: KeyId) {
        self.board.ban(key);
    }

    /// The swarm that tickets must name.
    pub fn set_swarm(&self, swarm: SwarmId) {
        self.board.admission().set_swarm(swarm);
    }

    /// Says Bye on all links and closes the socket, within 500 ms whatever the peers do.
    pub async fn close(&self) {
        self.nat.end();
        let closed = async {
            self.board.tasks.close();
            self.board.seats().links().for_each(|link| link.close("this node stops"));
            // Dials and handshakes have nothing to say Bye to.
            let _ = tokio::time::timeout(limits::BYE_TIME * 3 / 2, self.board.tasks.wait()).await;
            self.quic.close().await;
        };
        // What is not told by then, the peers learn from silence.
        let _ = tokio::time::timeout(CLOSE_TIME, closed).await;
    }
}
