//! Offers and candidates of peers that mean harm, or nothing.

use std::collections::VecDeque;

use freshet_protocol::Locality;

use super::meeting::{self, PAIR, candidates};
use crate::transport::TransportEvent;
use crate::transport::limits::{CHANNELS_MAX, SIGNALS_MAX};
use crate::transport::quic::tests::node::{Node, identity, soon};
use crate::transport::web_rtc::signal::Signal;

/// What a node offers to somebody.
async fn an_offer(node: &mut Node) -> String {
    node.transport.dial(99, candidates(), identity(99).key_id(), Locality::Any);
    match node.next().await {
        TransportEvent::Signal { data, .. } => data,
        other => panic!("instead of an offer: {other:?}"),
    }
}

#[tokio::test]
async fn an_offer_says_no_more_than_it_must() {
    let mut node = Node::start(1).await;
    let offer = an_offer(&mut node).await;
    assert!(offer.len() < 1000, "{} bytes", offer.len());
    assert!(offer.starts_with(r#"{"type":"offer","sdp":"v=0\r\n"#), "{offer}");
    assert!(!offer.contains("candidate:") && !offer.contains("sctp-init"), "{offer}");
    let mut said = VecDeque::new();
    while !matches!(said.back(), Some(Signal::End)) {
        match soon(node.events.recv()).await.expect("runs") {
            TransportEvent::Signal { data, .. } => said.push_back(Signal::read(&data).expect("a signal")),
            other => panic!("{other:?}"),
        }
    }
    assert!(said.iter().any(
        |signal| matches!(signal, Signal::Candidate { candidate, .. } if candidate.contains("127.0.0.1"))
    ));
}

#[tokio::test]
async fn what_is_no_good_offer_comes_to_nothing() {
    let mut other = Node::start(2).await;
    let good = an_offer(&mut other).await;
    let bend = |from: &str, to: &str| {
        assert!(good.contains(from), "{from} in {good}");
        good.replace(from, to)
    };
    let mut node = Node::start(1).await;
    let offers = [
        "".to_owned(),
        "{".to_owned(),
        "[1,2]".to_owned(),
        r#"{"type":"offer"}"#.to_owned(),
        r#"{"type":"offer","sdp":""}"#.to_owned(),
        r#"{"type":"answer","sdp":"v=0"}"#.to_owned(),
        r#"{"type":"candidate","candidate":"candidate:1 1 udp 1 127.0.0.1 9 typ host"}"#.to_owned(),
        format!(r#"{{"type":"offer","sdp":"{}"}}"#, "a=".repeat(1900)),
        bend("m=application", "m=audio"),
        bend("sha-256", "md5"),
        bend("a=ice-ufrag:", "a=ice-ufrag:\u{fffd}"),
        bend("a=sctp-port:5000", "a=sctp-port:-1"),
        bend("a=max-message-size:", "a=max-message-size:99999999999999"),
        bend("a=mid:", "a=mid: \u{0}"),
    ];
    for (pair, offer) in (100..).zip(&offers) {
        node.transport.expect(pair, &candidates(), identity(pair as u8).key_id(), Locality::Any);
        node.transport.signal(pair, offer);
    }
    // A good one, of a pairing that nobody announced.
    node.transport.signal(1000, &good);
    // What is said in spite of it all is an answer to none of them: the next pairing is the first that leads to one.
    meeting::link(&mut other, &mut node).await;
}

#[tokio::test]
async fn connections_are_bounded() {
    let mut other = Node::start(2).await;
    let offer = an_offer(&mut other).await;
    let mut node = Node::start(1).await;
    let mut answers = 0;
    for pair in 0..CHANNELS_MAX as u64 + 5 {
        node.transport.expect(pair, &candidates(), identity(pair as u8 + 3).key_id(), Locality::Any);
        node.transport.signal(pair, &offer);
        // More of it changes nothing.
        node.transport.signal(pair, &offer);
    }
    let mut others = 0;
    while answers < CHANNELS_MAX {
        match soon(node.events.recv()).await.expect("runs") {
            TransportEvent::Signal { data, .. } => match Signal::read(&data).expect("a signal") {
                Signal::Answer { .. } => answers += 1,
                _ => others += 1,
            },
            other => panic!("{other:?}"),
        }
    }
    assert!(others <= CHANNELS_MAX * 8, "{others}");
    node.transport.dial(PAIR, candidates(), identity(90).key_id(), Locality::Any);
    loop {
        match soon(node.events.recv()).await.expect("runs") {
            TransportEvent::Signal { .. } => {}
            TransportEvent::DialFailed { reason, .. } => {
                break assert_eq!(reason, "all 32 connections of WebRTC are taken");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn candidates_without_end_change_nothing() {
    let (mut near, mut far) = (Node::start(1).await, Node::start(2).await);
    meeting::pair(&near, &far);
    for number in 0..SIGNALS_MAX * 4 {
        let candidate = format!("candidate:{number} 1 udp 1 127.0.0.1 9 typ host");
        near.transport.signal(PAIR, &Signal::Candidate { candidate, mid: None }.write());
        far.transport.signal(PAIR, &Signal::End.write());
    }
    let (near, far) = meeting::first_events(&mut near, &mut far).await;
    assert!(
        matches!((&near, &far), (TransportEvent::LinkUp { .. }, TransportEvent::LinkUp { .. })),
        "{near:?} {far:?}"
    );
}
