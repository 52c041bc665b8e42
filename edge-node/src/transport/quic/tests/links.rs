//! Links as a whole: pairing, duplicates, and their end.

use std::net::SocketAddr;
use std::time::Instant;

use freshet_protocol::{Candidate, Frame, Locality, Transport as Way};
use freshet_swarm::LinkId;

use super::node::{Linked, Node, soon};
use super::raw::Raw;
use crate::transport::limits::CLOSE_TIME;
use crate::transport::{LinkHandle, TransportConfig, TransportEvent};

#[tokio::test]
async fn both_sides_learn_who_is_there() {
    let (mut near, mut far) = (Node::start(1).await, Node::start(2).await);
    far.transport.expect(77, &[], near.key, Locality::SameCountry);
    near.transport.dial(7, far.candidates(), far.key, Locality::SameAddress);
    let (handle, peer) = near.link_up().await;
    assert_eq!((peer.key, peer.pair, peer.locality), (far.key, Some(7), Locality::SameAddress));
    assert_eq!((peer.peer.get(), peer.address), (7, far.address()));
    assert!(peer.agent.starts_with("freshet-node/"));
    assert!(!handle.rtt().is_zero() && !peer.rtt.is_zero());
    let (_, peer) = far.link_up().await;
    assert_eq!((peer.key, peer.pair, peer.locality), (near.key, Some(77), Locality::SameCountry));

    near.dial(8, &far);
    assert_eq!(near.dial_failed().await, (8, "a link with this peer is up already".to_owned()));
}

#[tokio::test]
async fn one_socket_takes_both_families() {
    let everywhere = |config: &mut TransportConfig| config.listen = "[::]:0".parse().expect("address");
    let (mut dual, mut old) = (Node::configured(1, everywhere).await, Node::start(2).await);
    // Dialing IPv4, and dialed over it: peers see plain IPv4 addresses.
    dual.dial(1, &old);
    assert_eq!(dual.link_up().await.1.address, old.address());
    let (handle, peer) = old.link_up().await;
    assert_eq!(peer.address, SocketAddr::from(([127, 0, 0, 1], dual.address().port())));
    handle.close("and the other way round");
    loop {
        if let TransportEvent::LinkDown { .. } = dual.next().await {
            break;
        }
    }
    old.link_down().await;
    let address = SocketAddr::from(([127, 0, 0, 1], dual.address().port()));
    let candidate = Candidate { transport: Way::Quic, address };
    old.transport.dial(2, vec![candidate], dual.key, Locality::Any);
    old.link_up().await;
    assert_eq!(dual.link_up().await.1.address, old.address());
}

#[tokio::test]
async fn who_was_introduced_is_dialed_where_it_is_heard() {
    let (mut near, mut far) = (Node::start(1).await, Node::start(2).await);
    far.transport.expect(7, &near.candidates(), near.key, Locality::SameAddress);
    near.transport.dial_heard(7, far.candidates(), far.key, Locality::SameAddress);
    assert_eq!(near.link_up().await.1.pair, Some(7));
    assert_eq!(far.link_up().await.1.pair, Some(7));
}

#[tokio::test]
async fn who_is_not_heard_gets_a_few_small_datagrams() {
    let mut node = Node::start(1).await;
    let victim = tokio::net::UdpSocket::bind("127.0.0.1:0").await.expect("port");
    let address = victim.local_addr().expect("bound");
    let candidates = vec![Candidate { transport: Way::Quic, address }];
    node.transport.dial_heard(7, candidates.clone(), Node::start(2).await.key, Locality::Any);
    node.transport.expect(8, &candidates, Node::start(3).await.key, Locality::Any);
    let (pair, reason) = node.dial_failed().await;
    assert_eq!((pair, reason.as_str()), (7, "the peer is not heard"));
    let mut buffer = [0; 2048];
    let mut sizes = Vec::new();
    while let Ok(size) = victim.try_recv(&mut buffer) {
        sizes.push(size);
    }
    assert!((2..=2 * 22).contains(&sizes.len()), "{} datagrams", sizes.len());
    assert!(sizes.iter().all(|size| *size < 64), "{sizes:?}");
}

#[tokio::test]
async fn unannounced_peers_link_up_to_the_cap() {
    let mut node = Node::configured(1, |config| config.links_max = 2).await;
    let (first, second, third) = (Raw::start(2), Raw::start(3), Raw::start(4));
    let (one, _handle) = first.link(&mut node).await;
    let (_other, _handle) = second.link(&mut node).await;
    let reason = third.say(node.address(), third.hello()).await;
    assert_eq!(reason, "all 2 links are taken");
    one.connection.close(0_u32.into(), b"");
    node.link_down().await;
    third.link(&mut node).await;
}

#[tokio::test]
async fn frames_come_in_order() {
    let mut linked = Linked::start().await;
    let frames: Vec<Frame> =
        (0..500).map(|at| Frame::Have { release: 0, ranges: vec![at..at + 1] }).collect();
    frames.iter().for_each(|frame| linked.to_far.send(frame.clone()));
    for expected in frames {
        match linked.far.next().await {
            TransportEvent::Frame { frame, .. } => assert_eq!(frame, expected),
            other => panic!("{other:?}"),
        }
    }
}

/// A side of a crossing: what it has seen so far.
struct Crossing {
    node: Node,
    pair: u64,
    live: Option<(LinkId, LinkHandle)>,
    /// Its own dial has ended.
    has_outcome: bool,
    /// The live link carries frames of the other side.
    is_heard: bool,
}

impl Crossing {
    fn new(node: Node, pair: u64) -> Self {
        Self { node, pair, live: None, has_outcome: false, is_heard: false }
    }

    fn greet(&self) {
        if let Some((_, handle)) = self.live.as_ref().filter(|_| self.has_outcome) {
            handle.send(Frame::Ticket { ticket: vec![] });
        }
    }

    fn take(&mut self, event: TransportEvent) {
        match event {
            TransportEvent::LinkUp { link, handle, peer } => {
                self.has_outcome |= peer.pair == Some(self.pair);
                (self.live, self.is_heard) = (Some((link, handle)), false);
            }
            TransportEvent::LinkDown { link, .. } => {
                self.live.take_if(|(live, _)| *live == link);
            }
            TransportEvent::DialFailed { .. } => self.has_outcome = true,
            TransportEvent::Frame { link, .. } => {
                self.is_heard |= self.live.as_ref().is_some_and(|(live, _)| *live == link);
                return;
            }
            other => panic!("{other:?}"),
        }
        self.greet();
    }

    fn is_settled(&self) -> bool {
        self.has_outcome && self.is_heard && self.live.is_some()
    }
}

#[tokio::test]
async fn dials_that_cross_leave_one_link() {
    for round in 0..20 {
        let (one, other) = (Node::start(1).await, Node::start(2).await);
        one.dial(1, &other);
        other.dial(2, &one);
        let (mut one, mut other) = (Crossing::new(one, 1), Crossing::new(other, 2));
        while !(one.is_settled() && other.is_settled()) {
            tokio::select! {
                event = one.node.next() => one.take(event),
                event = other.node.next() => other.take(event),
            }
        }
        // The same connection on both sides: what one closes, the other loses.
        let (_, handle) = one.live.take().expect("settled");
        handle.close("end of round");
        let (live, _) = other.live.take().expect("settled");
        loop {
            match other.node.next().await {
                TransportEvent::LinkDown { link, reason } if link == live => {
                    assert_eq!(reason, "the peer closed: end of round", "round {round}");
                    break;
                }
                // The end of the link that had to go may be told last.
                TransportEvent::Frame { .. } | TransportEvent::LinkDown { .. } => {}
                late => panic!("{late:?}"),
            }
        }
    }
}

#[tokio::test]
async fn a_peer_that_starts_again_replaces_its_dead_link() {
    let mut node = Node::start(1).await;
    let (_dead, _handle) = Raw::start(2).link(&mut node).await;
    // LinkUp of the new one and LinkDown of the old one come in either order.
    let link = Raw::start(2).link_unseen(&node).await;
    let mut seen = (false, false);
    while seen != (true, true) {
        match node.next().await {
            TransportEvent::LinkUp { .. } => seen.0 = true,
            TransportEvent::LinkDown { reason, .. } => {
                assert_eq!(reason, "replaced by another link with the same peer");
                seen.1 = true;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(link.connection.close_reason().is_none());
}

#[tokio::test]
async fn bye_carries_its_reason() {
    let mut linked = Linked::start().await;
    linked.to_far.close("had enough");
    assert_eq!(linked.near.link_down().await.1, "had enough");
    match linked.far.next().await {
        TransportEvent::Frame { frame: Frame::Bye { reason }, .. } => assert_eq!(reason, "had enough"),
        other => panic!("{other:?}"),
    }
    assert_eq!(linked.far.link_down().await.1, "the peer closed: had enough");
    // What comes after the end is of no effect.
    linked.to_far.send(Frame::Bye { reason: String::new() });
    linked.to_far.close("again");
}

#[tokio::test]
async fn a_ban_cuts_the_live_link() {
    let mut linked = Linked::start().await;
    linked.near.transport.ban(linked.far.key);
    assert_eq!(linked.near.link_down().await.1, "this key is banned here");
    linked.near.dial(2, &linked.far);
    assert!(linked.near.dial_failed().await.1.contains("banned"));
}

#[tokio::test]
async fn closing_takes_half_a_second_at_most() {
    let mut node = Node::start(1).await;
    // A node that says Bye itself, peers that do not answer it, and one that has not said Hello.
    let mut kind = Node::start(2).await;
    node.dial(1, &kind);
    node.link_up().await;
    kind.link_up().await;
    let (rude, _handle) = Raw::start(3).link(&mut node).await;
    let silent = Raw::start(4).connect(node.address()).await.expect("handshake");
    let started = Instant::now();
    soon(node.transport.close()).await;
    let took = started.elapsed();
    assert!(took < CLOSE_TIME + CLOSE_TIME / 5, "{took:?}");
    assert!(matches!(kind.next().await, TransportEvent::Frame { frame: Frame::Bye { .. }, .. }));
    assert_eq!(kind.link_down().await.1, "the peer closed: this node stops");
    assert_eq!(rude.closed().await, "this node stops");
    soon(silent.closed()).await;
}

#[tokio::test]
async fn a_link_ends_with_its_job() {
    let mut linked = Linked::start().await;
    drop(linked.near);
    assert!(matches!(linked.far.next().await, TransportEvent::Frame { frame: Frame::Bye { .. }, .. }));
    assert_eq!(linked.far.link_down().await.1, "the peer closed: this node stops");
}
