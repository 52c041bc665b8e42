//! Blobs: asked for, served, refused, broken off, and lied about.

use bytes::Bytes;
use freshet_protocol::{
    BlobKind, Data, Encoding, Frame, Hash, RIGHT_RECEIVE, RIGHT_SEND, RefuseReason, Request,
};
use freshet_swarm::RequestId;

use super::node::{Linked, Node, soon, ticket, tracker};
use super::raw::{Raw, RawLink};
use crate::transport::{Answer, Congestion, LinkHandle, QuicSettings, TransportEvent};

fn blob(len: usize) -> Bytes {
    (0..len).map(|at| (at * 31 % 251) as u8).collect()
}

fn data(request: &Request, total: u32, payload: Bytes) -> Vec<u8> {
    Frame::Data(Data { request: request.request, encoding: Encoding::Identity, total, payload }).encode()
}

async fn asked(node: &mut Node) -> Request {
    match node.next().await {
        TransportEvent::Asked { asked, .. } => asked,
        other => panic!("instead of Asked: {other:?}"),
    }
}

/// The answer to the only open request; progress before it is counted.
async fn answer(node: &mut Node) -> (Answer, u32) {
    let mut progress = 0;
    loop {
        match node.next().await {
            TransportEvent::Progress { bytes, .. } => progress += bytes,
            TransportEvent::Answer { answer, .. } => return (answer, progress),
            other => panic!("instead of an answer: {other:?}"),
        }
    }
}

async fn sent(node: &mut Node) -> u32 {
    match node.next().await {
        TransportEvent::Sent { bytes, .. } => bytes,
        other => panic!("instead of Sent: {other:?}"),
    }
}

#[tokio::test]
async fn blobs_are_exchanged_and_verified() {
    let mut linked = Linked::start().await;
    for (number, kind, len) in [
        (1, BlobKind::Chunk, 1),
        (2, BlobKind::Chunk, 65_536),
        (3, BlobKind::Chunk, 131_073),
        (4, BlobKind::Chunk, 2 << 20),
        (5, BlobKind::Page, 200_000),
        (6, BlobKind::Root, 60_000),
    ] {
        let blob = blob(len);
        linked.to_far.request(RequestId(number), kind, Hash::of(&blob), len as u32);
        let asked = asked(&mut linked.far).await;
        assert_eq!((asked.request, asked.kind, asked.hash), (number, kind, Hash::of(&blob)));
        linked.to_near.serve(asked.request, blob.clone());
        match (kind, answer(&mut linked.near).await.0) {
            (BlobKind::Chunk, Answer::Verified(chunk)) => assert_eq!(chunk.bytes(), &blob),
            (BlobKind::Page | BlobKind::Root, Answer::Blob(bytes)) => assert_eq!(bytes, blob),
            (_, other) => panic!("{other:?}"),
        }
        assert_eq!(sent(&mut linked.far).await, len as u32);
    }
}

#[tokio::test]
async fn every_setting_carries_chunks() {
    for congestion in [Congestion::Cubic, Congestion::Bbr] {
        for segmentation_offload in [true, false] {
            let settings = QuicSettings { congestion, segmentation_offload, ..QuicSettings::default() };
            let mut near = Node::configured(1, |config| config.quic = settings).await;
            let mut far = Node::configured(2, |config| config.quic = settings).await;
            near.dial(1, &far);
            let ((to_far, _), (to_near, _)) = (near.link_up().await, far.link_up().await);
            let blob = blob(1 << 20);
            to_far.request(RequestId(1), BlobKind::Chunk, Hash::of(&blob), 1 << 20);
            to_near.serve(asked(&mut far).await.request, blob);
            assert!(matches!(answer(&mut near).await.0, Answer::Verified(_)), "{settings:?}");
        }
    }
}

#[tokio::test]
async fn many_requests_at_once_are_answered_in_any_order() {
    const COUNT: u64 = 32;
    let mut linked = Linked::start().await;
    let blobs: Vec<Bytes> = (0..COUNT as usize).map(|number| blob(100_000 + number)).collect();
    for (number, blob) in blobs.iter().enumerate() {
        let request = RequestId(number as u64);
        linked.to_far.request(request, BlobKind::Chunk, Hash::of(blob), blob.len() as u32);
    }
    let mut open = Vec::new();
    while open.len() < COUNT as usize {
        open.push(asked(&mut linked.far).await.request);
    }
    open.sort_unstable();
    for request in open.into_iter().rev() {
        linked.to_near.serve(request, blobs[request as usize].clone());
    }
    let mut verified = 0;
    while verified < COUNT {
        match linked.near.next().await {
            TransportEvent::Answer { request, answer: Answer::Verified(chunk), .. } => {
                assert_eq!(chunk.bytes(), &blobs[request.0 as usize]);
                verified += 1;
            }
            TransportEvent::Progress { .. } => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn wrong_bytes_are_corrupt_and_no_is_no() {
    let mut linked = Linked::start().await;
    let good = blob(100_000);
    linked.to_far.request(RequestId(1), BlobKind::Chunk, Hash::of(b"another"), 100_000);
    let request = asked(&mut linked.far).await.request;
    linked.to_near.serve(request, good.clone());
    assert!(matches!(answer(&mut linked.near).await.0, Answer::Corrupt { bytes: 100_000 }));
    assert_eq!(sent(&mut linked.far).await, 100_000);

    linked.to_far.request(RequestId(2), BlobKind::Chunk, Hash::of(&good), 99_999);
    let request = asked(&mut linked.far).await.request;
    linked.to_near.serve(request, good.clone());
    assert!(
        matches!(answer(&mut linked.near).await.0, Answer::Corrupt { bytes: 0 }),
        "another size than signed"
    );
    sent(&mut linked.far).await;

    linked.to_far.request(RequestId(3), BlobKind::Chunk, Hash::of(&good), 100_000);
    let request = asked(&mut linked.far).await.request;
    linked.to_near.refuse(request, RefuseReason::Budget);
    assert!(matches!(answer(&mut linked.near).await.0, Answer::Refused(RefuseReason::Budget)));
}

/// A node that has asked a raw peer for `blob`.
async fn asking(blob: &Bytes) -> (Node, RawLink, LinkHandle, Request, quinn::SendStream) {
    let mut node = Node::start(1).await;
    let (link, handle) = Raw::start(2).link(&mut node).await;
    handle.request(RequestId(9), BlobKind::Chunk, Hash::of(blob), blob.len() as u32);
    let (request, send) = link.asked().await;
    (node, link, handle, request, send)
}

#[tokio::test]
async fn an_answer_that_ends_early_is_counted_to_the_byte() {
    let blob = blob(131_072);
    let (mut node, _link, _handle, request, mut send) = asking(&blob).await;
    let part = data(&request, 131_072, blob.slice(..65_536));
    send.write_all(&part[..part.len() - 536]).await.expect("written");
    send.finish().expect("open");
    assert!(matches!(answer(&mut node).await.0, Answer::Failed { bytes: 65_000 }));
}

#[tokio::test]
async fn bytes_before_a_killed_peer_are_counted() {
    let blob = blob(131_072);
    let (mut node, link, _handle, request, mut send) = asking(&blob).await;
    send.write_all(&data(&request, 131_072, blob.slice(..65_536))).await.expect("written");
    let TransportEvent::Progress { bytes: told, .. } = node.next().await else { panic!("no progress") };
    link.connection.close(0_u32.into(), b"killed");
    // A close that finds the congestion window full is not sent by quinn, and silence need not be waited for.
    tokio::time::pause();
    let (failed, progress) = answer(&mut node).await;
    let Answer::Failed { bytes } = failed else { panic!("{failed:?}") };
    assert!((told + progress..=65_536).contains(&bytes) && told >= 16 << 10, "{bytes} {told} {progress}");
    node.link_down().await;
}

#[tokio::test]
async fn a_cancelled_request_stops_its_stream_and_tells_nothing() {
    let blob = blob(131_072);
    let (mut node, mut link, handle, request, mut send) = asking(&blob).await;
    send.write_all(&data(&request, 131_072, blob.slice(..65_536))).await.expect("written");
    handle.cancel(RequestId(9));
    assert_eq!(soon(send.stopped()).await.expect("link is up"), Some(0_u32.into()));
    link.write(&Frame::Bye { reason: "end of test".to_owned() }.encode()).await;
    assert!(matches!(node.next().await, TransportEvent::Frame { frame: Frame::Bye { .. }, .. }));
    assert_eq!(node.link_down().await.1, "the peer closed: end of test");
}

#[tokio::test]
async fn more_than_announced_closes_the_link() {
    let blob = blob(1000);
    let (mut node, link, _handle, request, mut send) = asking(&blob).await;
    let answer_bytes = [data(&request, 1000, blob.clone()), vec![0]].concat();
    send.write_all(&answer_bytes).await.expect("written");
    assert!(matches!(answer(&mut node).await.0, Answer::Verified(_)), "the chunk itself is good");
    assert!(node.link_down().await.1.contains("more bytes than it announced"));
    assert!(link.closed().await.contains("more bytes than it announced"));
}

#[tokio::test]
async fn a_frame_that_is_no_answer_closes_the_link() {
    let blob = blob(1000);
    let (mut node, link, _handle, _, mut send) = asking(&blob).await;
    send.write_all(&[44, 0]).await.expect("written");
    assert!(matches!(answer(&mut node).await.0, Answer::Failed { bytes: 0 }));
    assert!(node.link_down().await.1.contains("frame type 44 is critical and unknown"));
    assert!(link.closed().await.contains("frame type 44"));
}

#[tokio::test]
async fn a_request_taken_back_before_it_is_served() {
    let mut linked = Linked::start().await;
    linked.to_far.request(RequestId(1), BlobKind::Chunk, Hash::of(b"x"), 1);
    let request = asked(&mut linked.far).await.request;
    linked.to_far.cancel(RequestId(1));
    assert!(matches!(linked.far.next().await, TransportEvent::AskCancelled { request: 1, .. }));
    linked.to_near.serve(request, Bytes::from_static(b"x"));
    linked.to_far.request(RequestId(2), BlobKind::Chunk, Hash::of(b"x"), 1);
    assert_eq!(asked(&mut linked.far).await.request, 2, "nothing is told about the first any more");
}

#[tokio::test]
async fn a_serve_that_is_broken_off_counts_what_went_out() {
    let mut node = Node::start(1).await;
    let (link, handle) = Raw::with_window(2, 100_000).link(&mut node).await;
    let blob = blob(1 << 20);
    let (mut send, mut recv) = link.connection.open_bi().await.expect("stream");
    let request =
        Request { request: 3, kind: BlobKind::Chunk, hash: Hash::of(&blob), offset: 0, encodings: 0 };
    send.write_all(&Frame::Request(request).encode()).await.expect("written");
    send.finish().expect("open");
    handle.serve(asked(&mut node).await.request, blob);
    let mut some = [0; 1000];
    soon(recv.read_exact(&mut some)).await.expect("served");
    recv.stop(0_u32.into()).expect("open");
    let bytes = sent(&mut node).await;
    assert!((900..(1 << 20)).contains(&bytes), "{bytes}");
}

/// Whether a question reaches the job of its owner, or is refused before.
async fn passes((asker, ask): (&mut Node, &LinkHandle), (owner, own): (&mut Node, &LinkHandle)) -> bool {
    ask.request(RequestId(1), BlobKind::Chunk, Hash::of(b"x"), 1);
    let refused = tokio::select! {
        asked = asked(owner) => {
            own.refuse(asked.request, RefuseReason::Busy);
            answer(asker).await.0
        }
        answer = answer(asker) => answer.0,
    };
    match refused {
        Answer::Refused(RefuseReason::Busy) => true,
        Answer::Refused(RefuseReason::NotSharing) => false,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_link_that_closes_stops_serving() {
    let mut node = Node::start(1).await;
    let (link, handle) = Raw::with_window(2, 100_000).link(&mut node).await;
    let blob = blob(1 << 20);
    let (_send, mut recv) = link.ask(3).await;
    handle.serve(asked(&mut node).await.request, blob);
    let mut some = [0; 1000];
    soon(recv.read_exact(&mut some)).await.expect("served");
    handle.close("enough");
    let reset = soon(recv.received_reset()).await.expect("the link is up");
    assert_eq!(reset, Some(0_u32.into()));
    assert!(sent(&mut node).await < 1 << 20);
    assert_eq!(node.link_down().await.1, "enough");
    assert_eq!(link.closed().await, "enough");
}

#[tokio::test]
async fn tickets_say_who_may_ask_and_serve() {
    let check = async |rights: u64, may_be_asked: bool, may_ask: bool| {
        let (mut one, mut other) = (Node::start(1).await, Node::start(2).await);
        let mut limited = ticket(other.key);
        limited.rights = rights;
        other.transport.set_ticket(limited.seal(&tracker()));
        one.dial(1, &other);
        let ((to_other, _), (to_one, _)) = (one.link_up().await, other.link_up().await);
        assert_eq!(passes((&mut one, &to_other), (&mut other, &to_one)).await, may_be_asked);
        assert_eq!(passes((&mut other, &to_one), (&mut one, &to_other)).await, may_ask);
    };
    check(RIGHT_RECEIVE | RIGHT_SEND, true, true).await;
    check(RIGHT_RECEIVE, false, true).await;
    check(RIGHT_SEND, true, false).await;
}
