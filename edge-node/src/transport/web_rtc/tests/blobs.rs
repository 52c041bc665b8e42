//! Links over data channels: frames, blobs both ways, and how they end.

use bytes::Bytes;
use freshet_protocol::{BlobKind, Candidate, Frame, Hash, Locality, RefuseReason, Transport};
use freshet_swarm::RequestId;

use super::meeting::{self, Linked, PAIR, candidates, first_events, link_down, next};
use crate::transport::quic::tests::node::Node;
use crate::transport::{Answer, TransportEvent};

fn blob(len: usize) -> Bytes {
    (0..len).map(|at| (at * 31 % 251) as u8).collect()
}

async fn asked(node: &mut Node) -> u64 {
    match next(node).await {
        TransportEvent::Asked { asked, .. } => asked.request,
        other => panic!("instead of Asked: {other:?}"),
    }
}

async fn answer(node: &mut Node) -> Answer {
    loop {
        match next(node).await {
            TransportEvent::Progress { .. } => {}
            TransportEvent::Answer { answer, .. } => return answer,
            other => panic!("instead of an answer: {other:?}"),
        }
    }
}

async fn sent(node: &mut Node) -> u32 {
    match next(node).await {
        TransportEvent::Sent { bytes, .. } => bytes,
        other => panic!("instead of Sent: {other:?}"),
    }
}

#[tokio::test]
async fn both_sides_learn_who_is_there() {
    let (mut near, mut far) = (Node::start(1).await, Node::start(2).await);
    let [(to_far, of_far), (to_near, of_near)] = meeting::link(&mut near, &mut far).await;
    for (peer, key) in [(&of_far, far.key), (&of_near, near.key)] {
        assert_eq!((peer.key, peer.pair, peer.locality), (key, Some(PAIR), Locality::SameAs));
        assert_eq!((peer.transport, peer.transport_name()), (Transport::WebRtc, "web-rtc"));
        assert!(peer.address.ip().is_loopback() && !peer.rtt.is_zero(), "{peer:?}");
    }
    let frames: Vec<Frame> =
        (0..200).map(|at| Frame::Have { release: 0, ranges: vec![at..at + 1] }).collect();
    for (handle, node) in [(to_far, &mut far), (to_near, &mut near)] {
        frames.iter().for_each(|frame| handle.send(frame.clone()));
        for expected in &frames {
            match next(node).await {
                TransportEvent::Frame { frame, .. } => assert_eq!(&frame, expected),
                other => panic!("{other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn blobs_are_exchanged_in_small_messages() {
    let mut linked = Linked::start().await;
    for (number, kind, len) in [
        (1, BlobKind::Chunk, 1),
        (2, BlobKind::Chunk, 16_384),
        (3, BlobKind::Chunk, 16_385),
        (4, BlobKind::Chunk, 131_073),
        (5, BlobKind::Chunk, 2 << 20),
        (6, BlobKind::Root, 60_000),
        (7, BlobKind::Chunk, 0),
    ] {
        let blob = blob(len);
        linked.to_far.request(RequestId(number), kind, Hash::of(&blob), len as u32);
        let request = asked(&mut linked.far).await;
        assert_eq!(request, number);
        linked.to_near.serve(request, blob.clone());
        match (kind, answer(&mut linked.near).await) {
            (BlobKind::Chunk, Answer::Verified(chunk)) => assert_eq!(chunk.bytes(), &blob),
            (_, Answer::Blob(bytes)) => assert_eq!(bytes, blob),
            (_, other) => panic!("{other:?}"),
        }
        assert_eq!(sent(&mut linked.far).await, len as u32);
    }
}

#[tokio::test]
async fn many_requests_share_the_channel() {
    const COUNT: u64 = 32;
    let mut linked = Linked::start().await;
    let blobs: Vec<Bytes> = (0..COUNT as usize).map(|number| blob(100_000 + number)).collect();
    for (number, blob) in blobs.iter().enumerate() {
        let request = RequestId(number as u64);
        linked.to_far.request(request, BlobKind::Chunk, Hash::of(blob), blob.len() as u32);
    }
    let mut open = Vec::new();
    while open.len() < COUNT as usize {
        open.push(asked(&mut linked.far).await);
    }
    for request in open.into_iter().rev() {
        linked.to_near.serve(request, blobs[request as usize].clone());
    }
    let mut verified = 0;
    while verified < COUNT {
        match next(&mut linked.near).await {
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
    linked.to_near.serve(asked(&mut linked.far).await, good.clone());
    assert!(matches!(answer(&mut linked.near).await, Answer::Corrupt { bytes: 100_000 }));
    assert_eq!(sent(&mut linked.far).await, 100_000);

    // Another size than signed: the rest is taken back.
    linked.to_far.request(RequestId(2), BlobKind::Chunk, Hash::of(&good), 99_999);
    linked.to_near.serve(asked(&mut linked.far).await, good.clone());
    assert!(matches!(answer(&mut linked.near).await, Answer::Corrupt { bytes: 0 }));
    sent(&mut linked.far).await;

    linked.to_far.request(RequestId(3), BlobKind::Chunk, Hash::of(&good), 100_000);
    let request = asked(&mut linked.far).await;
    linked.to_near.refuse(request, RefuseReason::Budget);
    assert!(matches!(answer(&mut linked.near).await, Answer::Refused(RefuseReason::Budget)));
}

#[tokio::test]
async fn what_is_taken_back_is_not_served() {
    let mut linked = Linked::start().await;
    let blob = blob(2 << 20);
    linked.to_far.request(RequestId(1), BlobKind::Chunk, Hash::of(&blob), 2 << 20);
    asked(&mut linked.far).await;
    linked.to_far.cancel(RequestId(1));
    assert!(matches!(next(&mut linked.far).await, TransportEvent::AskCancelled { request: 1, .. }));

    linked.to_far.request(RequestId(2), BlobKind::Chunk, Hash::of(&blob), 2 << 20);
    linked.to_near.serve(asked(&mut linked.far).await, blob.clone());
    assert!(matches!(next(&mut linked.near).await, TransportEvent::Progress { .. }));
    linked.to_far.cancel(RequestId(2));
    sent(&mut linked.far).await;

    // What was under way is of no harm to the next one.
    linked.to_far.request(RequestId(3), BlobKind::Chunk, Hash::of(&blob[..1000]), 1000);
    linked.to_near.serve(asked(&mut linked.far).await, blob.slice(..1000));
    loop {
        match next(&mut linked.near).await {
            TransportEvent::Progress { .. } => {}
            TransportEvent::Answer { request, answer, .. } => {
                assert_eq!(request, RequestId(3));
                break assert!(matches!(answer, Answer::Verified(_)));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_link_that_ends_tells_both_sides() {
    let mut linked = Linked::start().await;
    linked.to_far.request(RequestId(1), BlobKind::Chunk, Hash::of(b"x"), 1);
    asked(&mut linked.far).await;
    linked.to_far.close("had enough");
    assert!(matches!(
        next(&mut linked.near).await,
        TransportEvent::Answer { answer: Answer::Failed { .. }, .. }
    ));
    assert_eq!(link_down(&mut linked.near).await, "had enough");
    assert_eq!(link_down(&mut linked.far).await, "the peer closed: had enough");

    // And they can meet again.
    meeting::link(&mut linked.near, &mut linked.far).await;
    linked.near.transport.close().await;
    assert_eq!(link_down(&mut linked.far).await, "the peer closed: this node stops");
}

#[tokio::test]
async fn who_is_not_let_in_hears_why() {
    let (mut near, mut far) = (Node::start(1).await, Node::start(2).await);
    far.transport.ban(near.key);
    meeting::pair(&near, &far);
    let failed = async {
        loop {
            tokio::select! {
                event = near.next() => match event {
                    TransportEvent::Signal { pair, data } => far.transport.signal(pair, &data),
                    TransportEvent::DialFailed { reason, .. } => break reason,
                    other => panic!("{other:?}"),
                },
                event = far.next() => match event {
                    TransportEvent::Signal { pair, data } => near.transport.signal(pair, &data),
                    other => panic!("{other:?}"),
                },
            }
        }
    };
    assert_eq!(failed.await, "the peer refused: this key is banned here");
}

#[tokio::test]
async fn a_channel_is_the_way_where_nobody_answers_over_quic() {
    let (mut near, mut far) = (Node::start(1).await, Node::start(2).await);
    let nobody = std::net::UdpSocket::bind("127.0.0.1:0").expect("bound");
    let silent = Candidate { transport: Transport::Quic, address: nobody.local_addr().expect("bound") };
    far.transport.expect(PAIR, &candidates(), near.key, Locality::Any);
    near.transport.dial(PAIR, [vec![silent], candidates()].concat(), far.key, Locality::Any);
    match first_events(&mut near, &mut far).await {
        (TransportEvent::LinkUp { peer, .. }, TransportEvent::LinkUp { .. }) => {
            assert_eq!(peer.transport, Transport::WebRtc);
        }
        other => panic!("{other:?}"),
    }

    // Where it does, it is the way.
    let mut third = Node::start(3).await;
    third.transport.expect(PAIR, &candidates(), near.key, Locality::Any);
    near.transport.dial(PAIR, [candidates(), third.candidates()].concat(), third.key, Locality::Any);
    match next(&mut near).await {
        TransportEvent::LinkUp { peer, .. } => assert_eq!(peer.transport, Transport::Quic),
        other => panic!("{other:?}"),
    }
    assert!(matches!(next(&mut third).await, TransportEvent::LinkUp { .. }));
}
