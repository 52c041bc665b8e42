//! Two nodes without a way to dial each other, and a tracker that passes on what they say.

use freshet_protocol::{Candidate, Frame, Locality, Transport};

use crate::transport::quic::tests::node::{Node, soon};
use crate::transport::{LinkHandle, PeerInfo, TransportEvent};

/// The number of the pairing.
pub(super) const PAIR: u64 = 7;

/// How the tracker names a peer that cannot be dialed: it speaks WebRTC, from there.
pub(super) fn candidates() -> Vec<Candidate> {
    vec![Candidate { transport: Transport::WebRtc, address: "127.0.0.1:0".parse().expect("address") }]
}

/// The next event that is no signal.
pub(super) async fn next(node: &mut Node) -> TransportEvent {
    loop {
        match node.next().await {
            TransportEvent::Signal { .. } => {}
            event => return event,
        }
    }
}

pub(super) async fn link_down(node: &mut Node) -> String {
    loop {
        match next(node).await {
            TransportEvent::LinkDown { reason, .. } => return reason,
            TransportEvent::Frame { frame: Frame::Bye { .. }, .. } | TransportEvent::Asked { .. } => {}
            other => panic!("instead of LinkDown: {other:?}"),
        }
    }
}

/// Passes signals on until both have a first event that is none.
pub(super) async fn first_events(near: &mut Node, far: &mut Node) -> (TransportEvent, TransportEvent) {
    let (mut of_near, mut of_far) = (None, None);
    soon(async {
        while of_near.is_none() || of_far.is_none() {
            tokio::select! {
                event = near.events.recv(), if of_near.is_none() => match event.expect("runs") {
                    TransportEvent::Signal { pair, data } => far.transport.signal(pair, &data),
                    event => of_near = Some(event),
                },
                event = far.events.recv(), if of_far.is_none() => match event.expect("runs") {
                    TransportEvent::Signal { pair, data } => near.transport.signal(pair, &data),
                    event => of_far = Some(event),
                },
            }
        }
    })
    .await;
    (of_near.expect("seen"), of_far.expect("seen"))
}

/// Lets `near` dial `far`.
pub(super) fn pair(near: &Node, far: &Node) {
    far.transport.expect(PAIR, &candidates(), near.key, Locality::SameAs);
    near.transport.dial(PAIR, candidates(), far.key, Locality::SameAs);
}

pub(super) async fn link(near: &mut Node, far: &mut Node) -> [(LinkHandle, PeerInfo); 2] {
    pair(near, far);
    let (near, far) = first_events(near, far).await;
    [near, far].map(|event| match event {
        TransportEvent::LinkUp { handle, peer, .. } => (handle, peer),
        other => panic!("instead of LinkUp: {other:?}"),
    })
}

/// Two nodes on one link over a data channel.
pub(super) struct Linked {
    pub(super) near: Node,
    pub(super) far: Node,
    pub(super) to_far: LinkHandle,
    pub(super) to_near: LinkHandle,
}

impl Linked {
    pub(super) async fn start() -> Self {
        let (mut near, mut far) = (Node::start(1).await, Node::start(2).await);
        let [(to_far, _), (to_near, _)] = link(&mut near, &mut far).await;
        Self { near, far, to_far, to_near }
    }
}
