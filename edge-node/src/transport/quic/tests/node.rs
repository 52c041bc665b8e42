//! A node under test: a transport with its ticket, and what a job would do with its events.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use freshet_protocol::{
    Candidate, KeyId, Locality, PeerId, RIGHT_RECEIVE, RIGHT_SEND, SigningKey, SwarmId, Ticket,
    Transport as Way,
};
use freshet_swarm::LinkId;
use tokio::sync::mpsc;

use crate::clock::unix_now;
use crate::identity::Identity;
use crate::transport::{LinkHandle, PeerInfo, Transport, TransportConfig, TransportEvent};

/// More than any of these tests should take.
const PATIENCE: Duration = Duration::from_secs(20);

pub(in crate::transport) fn tracker() -> SigningKey {
    SigningKey::from_seed(&[100; 32])
}

pub(in crate::transport) fn swarm() -> SwarmId {
    SwarmId::of(b"the swarm of these tests")
}

/// A good ticket for `key`, to be bent by tests.
pub(in crate::transport) fn ticket(key: KeyId) -> Ticket {
    let peer = PeerId::try_from(7).expect("small");
    let (issued, rights) = (unix_now(), RIGHT_RECEIVE | RIGHT_SEND);
    Ticket { peer, key, issued, expires: issued + 600, rights, swarms: vec![swarm()] }
}

pub(in crate::transport) fn identity(seed: u8) -> Arc<Identity> {
    Arc::new(Identity::from_seed(&[seed; 32]))
}

/// Waits, but not for ever.
pub(in crate::transport) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("comes in time")
}

pub(in crate::transport) struct Node {
    pub(in crate::transport) transport: Transport,
    pub(in crate::transport) events: mpsc::Receiver<TransportEvent>,
    pub(in crate::transport) key: KeyId,
}

impl Node {
    pub(in crate::transport) async fn start(seed: u8) -> Self {
        Self::configured(seed, |_| {}).await
    }

    pub(in crate::transport) async fn configured(
        seed: u8,
        configure: impl FnOnce(&mut TransportConfig),
    ) -> Self {
        let identity = identity(seed);
        let key = identity.key_id();
        let mut config = TransportConfig::new("127.0.0.1:0".parse().expect("address"), identity);
        configure(&mut config);
        let (transport, events) = Transport::bind(config).await.expect("bound");
        transport.trust_trackers(vec![tracker().public()]);
        transport.set_swarm(swarm());
        transport.set_ticket(ticket(key).seal(&tracker()));
        Self { transport, events, key }
    }

    pub(in crate::transport) fn address(&self) -> SocketAddr {
        self.transport.local_address()
    }

    pub(in crate::transport) fn candidates(&self) -> Vec<Candidate> {
        vec![Candidate { transport: Way::Quic, address: self.address() }]
    }

    pub(in crate::transport) fn dial(&self, pair: u64, other: &Self) {
        self.transport.dial(pair, other.candidates(), other.key, Locality::SameAddress);
    }

    pub(in crate::transport) async fn next(&mut self) -> TransportEvent {
        soon(self.events.recv()).await.expect("the transport runs")
    }

    pub(in crate::transport) async fn link_up(&mut self) -> (LinkHandle, PeerInfo) {
        match self.next().await {
            TransportEvent::LinkUp { handle, peer, .. } => (handle, peer),
            other => panic!("instead of LinkUp: {other:?}"),
        }
    }

    pub(in crate::transport) async fn link_down(&mut self) -> (LinkId, String) {
        match self.next().await {
            TransportEvent::LinkDown { link, reason } => (link, reason),
            other => panic!("instead of LinkDown: {other:?}"),
        }
    }

    pub(in crate::transport) async fn dial_failed(&mut self) -> (u64, String) {
        match self.next().await {
            TransportEvent::DialFailed { pair, reason } => (pair, reason),
            other => panic!("instead of DialFailed: {other:?}"),
        }
    }
}

/// Two nodes and their handles on one link.
pub(in crate::transport) struct Linked {
    pub(in crate::transport) near: Node,
    pub(in crate::transport) far: Node,
    pub(in crate::transport) to_far: LinkHandle,
    pub(in crate::transport) to_near: LinkHandle,
}

impl Linked {
    pub(in crate::transport) async fn start() -> Self {
        let (mut near, mut far) = (Node::start(1).await, Node::start(2).await);
        near.dial(1, &far);
        let ((to_far, _), (to_near, _)) = (near.link_up().await, far.link_up().await);
        Self { near, far, to_far, to_near }
    }
}
