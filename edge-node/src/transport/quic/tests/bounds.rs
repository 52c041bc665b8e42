//! Every bound that a peer can reach, reached.

use freshet_protocol::limits::LINK_REQUESTS_MAX;
use freshet_protocol::{BlobKind, Frame, Hash, RefuseReason, Request};
use freshet_swarm::RequestId;

use super::node::{Linked, Node, soon};
use super::raw::Raw;
use crate::transport::limits::{CONTROL_BURST_FRAMES, DIALS_MAX, HANDSHAKES_MAX};
use crate::transport::{Answer, TransportEvent};

/// What the node says when a peer sends `bytes` on the control stream.
async fn answer_to(bytes: &[u8]) -> String {
    let mut node = Node::start(1).await;
    let (mut link, _handle) = Raw::start(2).link(&mut node).await;
    link.write(bytes).await;
    let (_, reason) = node.link_down().await;
    assert_eq!(format!("the peer misbehaved: {}", link.closed().await), reason);
    reason
}

#[tokio::test]
async fn broken_rules_close_the_link_by_name() {
    let request = Request { request: 1, kind: BlobKind::Chunk, hash: Hash::of(b""), offset: 0, encodings: 0 };
    let check = async |bytes: &[u8], expected: &str| {
        let reason = answer_to(bytes).await;
        assert!(reason.contains(expected), "{reason}");
    };
    check(&[22, 0], "frame type 22 is critical and unknown").await;
    check(&[0xc0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0], "larger than 2^53-1").await;
    check(&[6, 0xbf, 0xff, 0xff, 0xff], "frame size is over its limit").await;
    check(&[6, 1, 0], "frame of type 6: bytes end too early").await;
    check(&Frame::Request(request).encode(), "does not belong on the control stream").await;
    check(&Frame::Cancel { request: 1 }.encode(), "does not belong on the control stream").await;
}

#[tokio::test]
async fn unknown_optional_frames_are_skipped() {
    let mut node = Node::start(1).await;
    let (mut link, _handle) = Raw::start(2).link(&mut node).await;
    let have = Frame::Have { release: 0, ranges: vec![0..3] };
    link.write(&[vec![33, 3, 1, 2, 3], have.encode()].concat()).await;
    match node.next().await {
        TransportEvent::Frame { frame, .. } => assert_eq!(frame, have),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_flood_of_control_frames_closes_the_link() {
    let mut node = Node::start(1).await;
    let (mut link, _handle) = Raw::start(2).link(&mut node).await;
    let flood =
        Frame::Fetching { release: 0, ranges: vec![] }.encode().repeat(CONTROL_BURST_FRAMES as usize * 2);
    // The node may close before all is written.
    let _ = link.send.write_all(&flood).await;
    let mut frames = 0;
    let reason = loop {
        match node.next().await {
            TransportEvent::Frame { .. } => frames += 1,
            TransportEvent::LinkDown { reason, .. } => break reason,
            other => panic!("{other:?}"),
        }
    };
    assert!(reason.contains("more than 100 control frames a second"), "{reason}");
    assert!((CONTROL_BURST_FRAMES..CONTROL_BURST_FRAMES * 2).contains(&frames), "{frames}");
}

#[tokio::test]
async fn a_peer_that_does_not_read_is_cut_off() {
    let mut node = Node::start(1).await;
    let (link, handle) = Raw::with_window(2, 10_000).link(&mut node).await;
    let frame = Frame::Pointer { envelope: vec![0; 8 << 10] };
    (0..200).for_each(|_| handle.send(frame.clone()));
    let (_, reason) = node.link_down().await;
    assert_eq!(reason, "the peer does not read its control frames");
    assert_eq!(link.closed().await, reason);
}

#[tokio::test]
async fn a_peer_may_leave_so_many_requests_open() {
    let mut node = Node::start(1).await;
    let (link, handle) = Raw::start(2).link(&mut node).await;
    let mut streams = Vec::new();
    for number in 0..LINK_REQUESTS_MAX as u64 {
        streams.push(link.ask(number).await);
        assert!(matches!(node.next().await, TransportEvent::Asked { .. }));
    }
    let mut further = Box::pin(link.connection.open_bi());
    assert!(futures_util::poll!(&mut further).is_pending(), "there is no stream for one more");
    // Quinn grants streams anew in eighths.
    for (number, (_, recv)) in streams.iter_mut().enumerate().take(LINK_REQUESTS_MAX / 4) {
        handle.refuse(number as u64, RefuseReason::Busy);
        soon(recv.read_to_end(100)).await.expect("refused");
    }
    soon(further).await.expect("a stream");
}

#[tokio::test]
async fn own_requests_are_bounded_as_well() {
    let mut linked = Linked::start().await;
    for number in 0..=LINK_REQUESTS_MAX as u64 {
        linked.to_far.request(RequestId(number), BlobKind::Chunk, Hash::of(b""), 0);
    }
    match linked.near.next().await {
        TransportEvent::Answer { request, answer: Answer::Refused(RefuseReason::Busy), .. } => {
            assert_eq!(request, RequestId(LINK_REQUESTS_MAX as u64));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_request_number_is_used_once_at_a_time() {
    let mut node = Node::start(1).await;
    let (link, _handle) = Raw::start(2).link(&mut node).await;
    let _first = link.ask(5).await;
    assert!(matches!(node.next().await, TransportEvent::Asked { .. }));
    let _second = link.ask(5).await;
    assert!(node.link_down().await.1.contains("request number 5 is in use"));
}

#[tokio::test]
async fn a_stream_carries_one_request() {
    let check = async |bytes: &[u8], expected: Option<&str>| {
        let mut node = Node::start(1).await;
        let (mut link, _handle) = Raw::start(2).link(&mut node).await;
        let (mut send, mut recv) = link.connection.open_bi().await.expect("stream");
        send.write_all(bytes).await.expect("written");
        send.finish().expect("open");
        match expected {
            Some(expected) => {
                let (_, reason) = node.link_down().await;
                assert!(reason.contains(expected), "{reason}");
            }
            None => {
                assert_eq!(soon(recv.read_to_end(10)).await.ok(), Some(vec![]), "the stream is given up");
                link.write(&Frame::Bye { reason: "still up".to_owned() }.encode()).await;
                assert!(matches!(node.next().await, TransportEvent::Frame { .. }));
            }
        }
    };
    let request = Request { request: 1, kind: BlobKind::Chunk, hash: Hash::of(b""), offset: 0, encodings: 0 };
    let request = Frame::Request(request).encode();
    check(&[request.clone(), request.clone()].concat(), Some("another frame")).await;
    check(&Frame::Cancel { request: 1 }.encode(), Some("another frame")).await;
    check(&[46, 0], Some("frame type 46")).await;
    check(&request[..10], None).await;
    check(&[], None).await;
}

#[tokio::test]
async fn handshakes_are_bounded() {
    let mut node = Node::start(1).await;
    let crowd = Raw::start(2);
    let mut silent = Vec::new();
    for _ in 0..HANDSHAKES_MAX {
        silent.push(crowd.connect(node.address()).await.expect("there is room"));
    }
    assert_eq!(
        crowd.connect(node.address()).await.err(),
        Some(quinn::ConnectionError::ConnectionClosed(refusal()))
    );
    silent.into_iter().for_each(|connection| connection.close(0_u32.into(), b""));
    let (_link, _handle) = soon(async {
        loop {
            // The node learns of the others' end in its own time.
            if crowd.connect(node.address()).await.is_ok() {
                break Raw::start(3).link(&mut node).await;
            }
        }
    })
    .await;
}

fn refusal() -> quinn::ConnectionClose {
    quinn::ConnectionClose {
        error_code: quinn::TransportErrorCode::CONNECTION_REFUSED,
        frame_type: None,
        reason: "".into(),
    }
}

#[tokio::test]
async fn dials_are_bounded() {
    let mut node = Node::start(1).await;
    let nobody = std::net::UdpSocket::bind("127.0.0.1:0").expect("bound");
    let address = nobody.local_addr().expect("bound");
    let candidates =
        vec![freshet_protocol::Candidate { transport: freshet_protocol::Transport::Quic, address }];
    let key_of = |number: u64| freshet_protocol::KeyId(Hash::of(&number.to_be_bytes()));
    for number in 0..=DIALS_MAX as u64 {
        let key = key_of(number);
        node.transport.dial(number, candidates.clone(), key, freshet_protocol::Locality::Any);
    }
    let (_, reason) = node.dial_failed().await;
    assert_eq!(reason, "too many dials at once");
    // The others end when nobody has answered in time, which need not be waited for.
    tokio::time::pause();
    let (_, reason) = node.dial_failed().await;
    assert_eq!(reason, "the peer does not answer within 5 s");
}
