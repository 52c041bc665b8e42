//! Links with pages: blobs both ways, and how they end.

use std::time::SystemTime;

use bytes::Bytes;
use freshet_protocol::{BlobKind, Frame, Hash, Locality, RefuseReason, Transport};
use freshet_swarm::RequestId;

use super::page::{Page, close_reason, data, read_answer};
use crate::transport::quic::tests::node::{Node, soon};
use crate::transport::{Answer, TransportEvent};

fn blob(len: usize) -> Bytes {
    (0..len).map(|at| (at * 31 % 251) as u8).collect()
}

async fn asked(node: &mut Node) -> u64 {
    match node.next().await {
        TransportEvent::Asked { asked, .. } => asked.request,
        other => panic!("instead of Asked: {other:?}"),
    }
}

async fn answer(node: &mut Node) -> Answer {
    loop {
        match node.next().await {
            TransportEvent::Progress { .. } => {}
            TransportEvent::Answer { answer, .. } => return answer,
            other => panic!("instead of an answer: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_page_is_met_as_any_peer() {
    let mut node = Node::start(1).await;
    let page = Page::open(2);
    let key = page.identity.key_id();
    node.transport.expect(77, &[], key, Locality::SameCountry);
    let certificate = node.transport.certificates()[0];
    let session = page.connect(&node, certificate).await.expect("session");
    let mut link = page.introduce(session, certificate).await.expect("introduced");
    let (handle, peer) = node.link_up().await;
    assert_eq!((peer.key, peer.pair, peer.locality), (key, Some(77), Locality::SameCountry));
    assert_eq!((peer.transport, peer.agent.as_str()), (Transport::WebTransport, "page"));
    assert!(!peer.rtt.is_zero() && peer.address.ip().is_loopback());

    let have = Frame::Have { release: 0, ranges: vec![3..9] };
    handle.send(have.clone());
    let read = soon(link.reader.next()).await.expect("a frame").expect("a frame");
    assert_eq!(read.decoded, freshet_protocol::Decoded::Frame(have.clone()));
    link.write(&have.encode()).await;
    assert!(matches!(node.next().await, TransportEvent::Frame { frame, .. } if frame == have));
}

#[tokio::test]
async fn blobs_go_both_ways() {
    let mut node = Node::start(1).await;
    let (link, handle) = Page::open(2).link(&mut node).await;
    for (number, len) in [(1, 1), (2, 65_536), (3, 131_073), (4, 2 << 20)] {
        let blob = blob(len);
        let (_send, recv) = link.ask(number, Hash::of(&blob)).await;
        assert_eq!(asked(&mut node).await, number);
        handle.serve(number, blob.clone());
        assert_eq!(read_answer(recv).await, (blob.to_vec(), None));
        match node.next().await {
            TransportEvent::Sent { bytes, .. } => assert_eq!(bytes, len as u32),
            other => panic!("{other:?}"),
        }

        handle.request(RequestId(number), BlobKind::Chunk, Hash::of(&blob), len as u32);
        let (request, mut send) = link.asked().await;
        assert_eq!((request.request, request.hash), (number, Hash::of(&blob)));
        for part in blob.chunks(50_000) {
            send.write_all(&data(&request, len as u32, part)).await.expect("written");
        }
        send.finish().expect("open");
        match answer(&mut node).await {
            Answer::Verified(chunk) => assert_eq!(chunk.bytes(), &blob),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn no_is_no_and_wrong_bytes_are_corrupt() {
    let mut node = Node::start(1).await;
    let (link, handle) = Page::open(2).link(&mut node).await;
    let good = blob(1000);

    let (_send, recv) = link.ask(1, Hash::of(&good)).await;
    handle.refuse(asked(&mut node).await, RefuseReason::Budget);
    let refuse = Frame::Refuse { request: 1, reason: RefuseReason::Budget };
    assert_eq!(read_answer(recv).await, (vec![], Some(refuse)));

    handle.request(RequestId(2), BlobKind::Chunk, Hash::of(&good), 1000);
    let (_, mut send) = link.asked().await;
    let refuse = Frame::Refuse { request: 2, reason: RefuseReason::Busy };
    send.write_all(&refuse.encode()).await.expect("written");
    send.finish().expect("open");
    assert!(matches!(answer(&mut node).await, Answer::Refused(RefuseReason::Busy)));

    handle.request(RequestId(3), BlobKind::Chunk, Hash::of(b"another"), 1000);
    let (request, mut send) = link.asked().await;
    send.write_all(&data(&request, 1000, &good)).await.expect("written");
    send.finish().expect("open");
    assert!(matches!(answer(&mut node).await, Answer::Corrupt { bytes: 1000 }));

    handle.request(RequestId(4), BlobKind::Chunk, Hash::of(&good), 1000);
    let (request, mut send) = link.asked().await;
    send.write_all(&data(&request, 1000, &good[..600])).await.expect("written");
    send.reset(0).expect("open");
    assert!(matches!(answer(&mut node).await, Answer::Failed { .. }));
}

#[tokio::test]
async fn requests_are_taken_back_by_resets() {
    let mut node = Node::start(1).await;
    let (link, handle) = Page::open(2).link(&mut node).await;
    let blob = blob(2 << 20);

    // The page's, before and while it is served.
    let (_send, mut recv) = link.ask(1, Hash::of(&blob)).await;
    asked(&mut node).await;
    recv.stop(0).expect("open");
    assert!(matches!(node.next().await, TransportEvent::AskCancelled { request: 1, .. }));
    let (_send, mut recv) = link.ask(2, Hash::of(&blob)).await;
    asked(&mut node).await;
    handle.serve(2, blob.clone());
    let mut some = [0; 1000];
    soon(recv.read_exact(&mut some)).await.expect("served");
    recv.stop(0).expect("open");
    assert!(matches!(node.next().await, TransportEvent::Sent { request: 2, .. }));

    // The node's.
    handle.request(RequestId(3), BlobKind::Chunk, Hash::of(&blob), blob.len() as u32);
    let (request, mut send) = link.asked().await;
    send.write_all(&data(&request, blob.len() as u32, &blob[..1000])).await.expect("written");
    handle.cancel(RequestId(3));
    assert_eq!(soon(send.stopped()).await.expect("link is up"), Some(0));
}

#[tokio::test]
async fn both_sides_say_why_they_leave() {
    let mut node = Node::start(1).await;
    let (link, handle) = Page::open(2).link(&mut node).await;
    handle.close("had enough");
    assert_eq!(node.link_down().await.1, "had enough");
    assert_eq!(link.closed().await, (0, "had enough".to_owned()));

    let (mut link, _handle) = Page::open(3).link(&mut node).await;
    link.write(&Frame::Bye { reason: "tab closed".to_owned() }.encode()).await;
    assert!(matches!(node.next().await, TransportEvent::Frame { frame: Frame::Bye { .. }, .. }));
    assert_eq!(node.link_down().await.1, "the peer closed: tab closed");

    let (link, _handle) = Page::open(4).link(&mut node).await;
    link.session.close(0, b"in a hurry");
    assert_eq!(node.link_down().await.1, "the peer closed: in a hurry");

    let (link, _handle) = Page::open(5).link(&mut node).await;
    node.transport.close().await;
    assert_eq!(link.closed().await, (0, "this node stops".to_owned()));
}

#[tokio::test]
async fn a_certificate_that_is_followed_by_the_next() {
    let (mut node, mut far) = (Node::start(1).await, Node::start(3).await);
    let known = node.transport.certificates();
    node.dial(1, &far);
    let ((to_far, _), _) = (node.link_up().await, far.link_up().await);
    let (mut old_link, _handle) = Page::open(2).link(&mut node).await;

    node.transport.turn_certificates(SystemTime::now() + std::time::Duration::from_secs(10 * 24 * 3600));
    let now = node.transport.certificates();
    assert_eq!(now[0], known[1], "what was announced as the next one");
    let page = Page::open(4);
    assert!(page.connect(&node, known[0]).await.is_err(), "the old one is not shown any more");
    let (_new_link, _handle) = page.link(&mut node).await;

    // Links stay, and peers over QUIC link with the new certificate.
    old_link.write(&Frame::Bye { reason: "still here".to_owned() }.encode()).await;
    assert!(matches!(node.next().await, TransportEvent::Frame { frame: Frame::Bye { .. }, .. }));
    node.link_down().await;
    to_far.close("to link again");
    node.link_down().await;
    far.next().await;
    far.link_down().await;
    far.dial(2, &node);
    node.link_up().await;
    far.link_up().await;
}

#[tokio::test]
async fn a_page_behind_a_relay_is_refused() {
    let mut node = Node::start(1).await;
    let page = Page::open(2);
    let certificate = node.transport.certificates()[0];
    let session = page.connect(&node, certificate).await.expect("session");
    // What a page signs that was shown another certificate.
    assert!(page.introduce(session.clone(), Hash([9; 32])).await.is_err());
    let (code, reason) = close_reason(&session).await;
    assert_eq!((code, reason.contains("proof does not match")), (1, true), "{reason}");
    page.link(&mut node).await;
}
