//! Who is let in, and who is not.

use std::sync::Arc;

use bytes::Bytes;
use freshet_protocol::{Candidate, Data, Locality, SigningKey, SwarmId, Transport as Way};
use quinn::{Connection, RecvStream, SendStream};
use tokio::io::AsyncWriteExt;

use super::node::{Node, identity, soon, ticket, tracker};
use super::raw::{Raw, close_reason};
use crate::clock::unix_now;
use crate::transport::tls::SERVER_NAME;
use crate::transport::wire::{Gone, Sending};
use crate::transport::{Transport, TransportConfig};

/// The next event of `node` is the link of a good peer: nothing came of what was tried before.
async fn only_good_peers_link(node: &mut Node) {
    let good = Raw::start(250);
    let (link, _) = good.link(node).await;
    link.connection.close(0_u32.into(), b"");
    node.link_down().await;
}

#[tokio::test]
async fn bad_hellos_are_refused_by_name() {
    let mut node = Node::start(1).await;
    let banned = Raw::start(9);
    node.transport.ban(banned.identity.key_id());
    let raw = Raw::start(2);
    let good = raw.hello();
    let with_ticket = |bend: &dyn Fn(&mut freshet_protocol::Ticket), signer: &SigningKey| {
        let mut bent = ticket(raw.identity.key_id());
        bend(&mut bent);
        let mut hello = good.clone();
        hello.ticket = bent.seal(signer);
        hello
    };
    let owner = identity(3);
    let mut stolen_with_key = good.clone();
    (stolen_with_key.key, stolen_with_key.ticket) = (owner.key(), ticket(owner.key_id()).seal(&tracker()));
    let mut stolen = good.clone();
    stolen.ticket = ticket(owner.key_id()).seal(&tracker());
    let mut future = good.clone();
    (future.version_min, future.version_max) = (2, 3);
    let mut reflected = good.clone();
    reflected.key = identity(1).key();
    let no_ticket = {
        let mut hello = good.clone();
        hello.ticket.clear();
        hello
    };
    let expired = with_ticket(&|t| (t.issued, t.expires) = (unix_now() - 700, unix_now() - 100), &tracker());
    let foreign = with_ticket(&|t| t.swarms = vec![SwarmId::of(b"another")], &tracker());
    let untrusted = with_ticket(&|_| {}, &SigningKey::from_seed(&[99; 32]));
    let cases = [
        (stolen, "ticket belongs to another key"),
        (stolen_with_key, "proof does not match"),
        (future, "speaks versions 2 to 3, this one 1"),
        (reflected, "own key"),
        (no_ticket, "ticket: bytes end too early"),
        (expired, "ticket expired"),
        (foreign, "ticket does not name this swarm"),
        (untrusted, "not signed by a trusted tracker"),
    ];
    for (hello, expected) in cases {
        let reason = raw.say(node.address(), hello).await;
        assert!(reason.contains(expected), "{reason:?} instead of {expected:?}");
    }
    let reason = banned.say(node.address(), banned.hello()).await;
    assert!(reason.contains("banned"), "{reason:?}");
    only_good_peers_link(&mut node).await;
}

#[tokio::test]
async fn a_certificate_is_demanded() {
    let mut node = Node::start(1).await;
    let anonymous = Raw::start(2).without_certificate();
    let connection = anonymous.connect(node.address()).await.expect("TLS alone lets it in");
    let reason = close_reason(&connection).await;
    assert!(reason.contains("certificate"), "{reason}");
    only_good_peers_link(&mut node).await;
}

#[tokio::test]
async fn expired_tickets_pass_within_the_grace() {
    let mut node = Node::start(1).await;
    let raw = Raw::start(2);
    let mut old = ticket(raw.identity.key_id());
    (old.issued, old.expires) = (unix_now() - 4000, unix_now() - 3000);
    let mut hello = raw.hello();
    hello.ticket = old.seal(&tracker());
    let node_address = node.address();
    assert!(raw.say(node_address, hello.clone()).await.contains("expired"));
    node.transport.set_grace(true);
    let saying = async { raw.say(node_address, hello).await };
    let linking = async { node.link_up().await.0.close("end of test") };
    let (reason, ()) = tokio::join!(saying, linking);
    assert_eq!(reason, "end of test");
}

#[tokio::test]
async fn a_dialer_takes_nobody_but_whom_it_meant() {
    let mut node = Node::start(1).await;
    let other = Node::start(2).await;
    let meant = identity(3).key_id();
    node.transport.dial(5, other.candidates(), meant, Locality::Any);
    let (pair, reason) = node.dial_failed().await;
    assert_eq!((pair, reason.as_str()), (5, "hello: another peer than the one dialed"));
}

#[tokio::test]
async fn a_dial_goes_on_to_the_address_that_answers() {
    let (mut node, mut other) = (Node::start(1).await, Node::start(2).await);
    let stranger = Node::start(3).await;
    let web = Candidate { transport: Way::WebTransport, ..other.candidates()[0] };
    // Nobody, who is there in another way, somebody else, and the one that is meant.
    let nobody = std::net::UdpSocket::bind("127.0.0.1:0").expect("bound");
    let silent = Candidate { transport: Way::Quic, address: nobody.local_addr().expect("bound") };
    let candidates = [vec![silent, web], stranger.candidates(), other.candidates()].concat();
    node.transport.dial(1, candidates, other.key, Locality::SameAs);
    let (_, peer) = node.link_up().await;
    assert_eq!((peer.key, peer.pair, peer.locality), (other.key, Some(1), Locality::SameAs));
    other.link_up().await;

    node.transport.dial(2, vec![web], stranger.key, Locality::Any);
    assert_eq!(node.dial_failed().await, (2, "the peer has no address for QUIC".to_owned()));
}

#[tokio::test]
async fn a_node_without_swarm_or_ticket_lets_nobody_in() {
    let config = TransportConfig::new("127.0.0.1:0".parse().expect("address"), identity(1));
    let (transport, events) = Transport::bind(config).await.expect("bound");
    let node = Node { transport, events, key: identity(1).key_id() };
    let raw = Raw::start(2);
    let refused = async || raw.say(node.address(), raw.hello()).await;
    assert!(refused().await.contains("no ticket yet"));
    node.transport.set_ticket(ticket(node.key).seal(&tracker()));
    assert!(refused().await.contains("no swarm"));
    node.transport.set_swarm(super::node::swarm());
    assert!(refused().await.contains("not signed by a trusted tracker"));
}

#[tokio::test]
async fn a_dial_that_outruns_the_ticket_finds_its_peer() {
    let config = TransportConfig::new("127.0.0.1:0".parse().expect("address"), identity(1));
    let (transport, events) = Transport::bind(config).await.expect("bound");
    let mut newcomer = Node { transport, events, key: identity(1).key_id() };
    newcomer.transport.trust_trackers(vec![tracker().public()]);
    newcomer.transport.set_swarm(super::node::swarm());
    let mut other = Node::start(2).await;
    other.dial(1, &newcomer);
    let waits = async {
        while newcomer.transport.board.ticket_waiters() == 0 {
            tokio::task::yield_now().await;
        }
    };
    soon(waits).await;
    newcomer.transport.set_ticket(ticket(newcomer.key).seal(&tracker()));
    assert_eq!(other.link_up().await.1.key, newcomer.key);
    assert_eq!(newcomer.link_up().await.1.key, other.key);
}

#[tokio::test]
async fn a_dial_that_outruns_its_pairing_answers_it() {
    let (other, mut newcomer) = (Node::start(1).await, Node::start(2).await);
    other.dial(7, &newcomer);
    let waits = async {
        while newcomer.transport.board.pairing_waiters() == 0 {
            tokio::task::yield_now().await;
        }
    };
    soon(waits).await;
    newcomer.transport.expect(7, &[], other.key, Locality::SameCountry);
    let (_, peer) = newcomer.link_up().await;
    assert_eq!((peer.pair, peer.locality), (Some(7), Locality::SameCountry));
    assert!(peer.link_time.is_some());
}

/// Passes bytes on unseen, as a relay that terminates TLS on both sides can.
async fn pipe(mut from: RecvStream, mut to: SendStream) {
    let mut buffer = [0; 4096];
    while let Ok(Some(len)) = from.read(&mut buffer).await {
        if to.write_all(&buffer[..len]).await.is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn a_relay_in_the_middle_is_refused_on_both_sides() {
    let (mut victim, mut node) = (Node::start(1).await, Node::start(2).await);
    let relay = Arc::new(Raw::start(3));
    let address = relay.address();
    let target = node.address();
    let relaying = tokio::spawn(async move {
        let near: Connection = relay.accept().await;
        let far = relay.endpoint.connect(target, SERVER_NAME).expect("may dial").await.expect("handshake");
        let (near_send, near_recv) = near.accept_bi().await.expect("control stream");
        let (far_send, far_recv) = far.open_bi().await.expect("control stream");
        tokio::join!(pipe(near_recv, far_send), pipe(far_recv, near_send));
    });
    let candidate = Candidate { transport: Way::Quic, address };
    victim.transport.dial(1, vec![candidate], node.key, Locality::Any);
    let (_, reason) = victim.dial_failed().await;
    assert!(reason.contains("proof does not match"), "{reason}");
    soon(relaying).await.expect("the relay ends");
    only_good_peers_link(&mut node).await;
}

/// Takes what is written, and shows it to nobody.
struct Nowhere;

impl Sending for Nowhere {
    const DATA_BYTES_MAX: usize = 1;

    async fn write(&mut self, _: Bytes) -> Result<(), Gone> {
        Ok(())
    }

    async fn write_data(&mut self, _: Data, _: &mut u32) -> Result<(), Gone> {
        Ok(())
    }

    fn go_first(&mut self) {}

    fn finish(&mut self) -> Result<(), Gone> {
        Ok(())
    }

    fn reset(&mut self) {}

    async fn stopped(&self) {}
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_is_not_waited_for() {
    use crate::transport::frames::FrameReader;
    use crate::transport::hello::{HelloError, Introduction, introduce};

    let (reading, mut far) = tokio::io::duplex(4096);
    let node = Node::start(1).await;
    let identity = identity(1);
    let own = Introduction {
        identity: &identity,
        agent: "test",
        ticket: vec![],
        side: freshet_protocol::Side::Acceptor,
        binding: freshet_protocol::LinkBinding {
            dialer: freshet_protocol::Hash([0; 32]),
            acceptor: freshet_protocol::Hash([1; 32]),
        },
        expected: None,
    };
    let mut reader = FrameReader::new(reading);
    // A byte now and then is as good as silence.
    let dripping = tokio::spawn(async move {
        loop {
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            if far.write_all(&[0x41]).await.is_err() {
                return;
            }
        }
    });
    let started = tokio::time::Instant::now();
    let met = introduce(&own, node.transport.board.as_ref(), &mut reader, &mut Nowhere).await;
    assert!(matches!(met, Err(HelloError::TooSlow)), "{met:?}");
    assert_eq!(started.elapsed().as_secs(), 5);
    dripping.abort();
}
