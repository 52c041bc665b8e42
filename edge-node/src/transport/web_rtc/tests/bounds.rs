//! What a peer may not do on a data channel, and how much of what it may.

use bytes::Bytes;
use freshet_protocol::limits::{DATA_CHANNEL_BYTES_MAX, LINK_REQUESTS_MAX};
use freshet_protocol::{BlobKind, Data, Encoding, Frame, Hash, Request};
use freshet_swarm::RequestId;

use super::meeting::{link_down, next};
use super::raw::Raw;
use crate::transport::TransportEvent;
use crate::transport::limits::{CONTROL_BURST_FRAMES, TAKEN_BACK_MAX};
use crate::transport::quic::tests::node::{Node, soon};
use crate::transport::wire::Wire;

fn request(number: u64) -> Vec<u8> {
    let hash = Hash::of(b"");
    Frame::Request(Request { request: number, kind: BlobKind::Chunk, hash, offset: 0, encodings: 0 }).encode()
}

fn data(request: u64, payload: usize) -> Vec<u8> {
    let payload = Bytes::from(vec![0; payload]);
    Frame::Data(Data { request, encoding: Encoding::Identity, total: 1 << 20, payload }).encode()
}

#[tokio::test]
async fn broken_rules_close_the_channel_by_name() {
    let check = async |message: &[u8], expected: &str| {
        let mut node = Node::start(1).await;
        let (mut raw, _handle) = Raw::link(2, &mut node).await;
        raw.say(message).await;
        let reason = link_down(&mut node).await;
        assert!(reason.contains(expected), "{reason} instead of {expected}");
        assert_eq!(format!("the peer misbehaved: {}", raw.bye().await), reason);
    };
    check(&[22, 0], "frame type 22 is critical and unknown").await;
    check(&request(1)[..10], "no whole frame").await;
    check(&data(5, 100), "an answer to request 5, which is not open").await;
    check(&data(5, DATA_CHANNEL_BYTES_MAX + 1), "too long for a channel").await;
    check(&[request(5), request(5)].concat(), "request number 5 is in use").await;
}

#[tokio::test]
async fn text_and_further_channels_are_refused() {
    let mut node = Node::start(1).await;
    let (raw, _handle) = Raw::link(2, &mut node).await;
    raw.channel().send_text("hello").await.expect("sent");
    assert_eq!(link_down(&mut node).await, "the peer misbehaved: a message of text");

    let (raw, _handle) = Raw::link(3, &mut node).await;
    let _second = raw.connection().create_data_channel("another", None).await.expect("opened");
    assert_eq!(link_down(&mut node).await, "the peer misbehaved: more than one channel");
}

#[tokio::test]
async fn a_message_may_hold_several_frames() {
    let mut node = Node::start(1).await;
    let (raw, _handle) = Raw::link(2, &mut node).await;
    let have = Frame::Have { release: 0, ranges: vec![0..3] };
    raw.say(&[vec![33, 3, 1, 2, 3], have.encode(), request(1), have.encode()].concat()).await;
    let mut seen = Vec::new();
    while seen.len() < 3 {
        match next(&mut node).await {
            TransportEvent::Frame { frame, .. } => {
                assert_eq!(frame, have);
                seen.push("have");
            }
            TransportEvent::Asked { .. } => seen.push("asked"),
            other => panic!("{other:?}"),
        }
    }
    seen.sort_unstable();
    assert_eq!(seen, ["asked", "have", "have"]);
}

#[tokio::test]
async fn floods_close_the_link() {
    let mut node = Node::start(1).await;
    let (raw, _handle) = Raw::link(2, &mut node).await;
    let frame = Frame::Fetching { release: 0, ranges: vec![] }.encode();
    raw.say(&frame.repeat(CONTROL_BURST_FRAMES as usize * 2)).await;
    let reason = loop {
        match next(&mut node).await {
            TransportEvent::Frame { .. } => {}
            TransportEvent::LinkDown { reason, .. } => break reason,
            other => panic!("{other:?}"),
        }
    };
    assert!(reason.contains("more than 100 control frames a second"), "{reason}");

    let (raw, _handle) = Raw::link(3, &mut node).await;
    let flood: Vec<u8> = (0..1000).flat_map(request).collect();
    raw.say(&flood).await;
    let mut asked = 0;
    let reason = loop {
        match next(&mut node).await {
            TransportEvent::Asked { .. } => asked += 1,
            TransportEvent::LinkDown { reason, .. } => break reason,
            other => panic!("{other:?}"),
        }
    };
    assert!(reason.contains("more than 64 requests at once"), "{reason}");
    assert!(asked <= LINK_REQUESTS_MAX, "{asked}");
}

#[tokio::test]
async fn a_peer_that_does_not_read_fills_no_memory() {
    let mut node = Node::start(1).await;
    let (raw, handle) = Raw::link(2, &mut node).await;
    let blob = Bytes::from(vec![7; 2 << 20]);
    // The raw peer keeps the answer to its first request and does not read it, which holds up all the others.
    let (_send, _answer) = raw.wire.open(0).await.expect("open");
    for number in 0..16 {
        if number > 0 {
            std::mem::forget(raw.wire.open(number).await.expect("open"));
        }
        raw.say(&request(number)).await;
        assert!(matches!(next(&mut node).await, TransportEvent::Asked { .. }));
        handle.serve(number, blob.clone());
    }
    // 32 MiB are to go; what leaves the node are the peer's window, its queue, and one buffer of its own.
    handle.close("enough");
    let mut sent = 0;
    let started = tokio::time::Instant::now();
    loop {
        match next(&mut node).await {
            TransportEvent::Sent { bytes, .. } => sent += u64::from(bytes),
            TransportEvent::LinkDown { reason, .. } => break assert_eq!(reason, "enough"),
            other => panic!("{other:?}"),
        }
    }
    assert!(sent < 12 << 20, "{sent}");
    assert!(started.elapsed().as_secs() < 2, "{:?}", started.elapsed());
}

#[tokio::test]
async fn requests_taken_back_are_remembered_up_to_a_bound() {
    let mut node = Node::start(1).await;
    let (raw, handle) = Raw::link(2, &mut node).await;
    for number in 0..TAKEN_BACK_MAX as u64 + 50 {
        let (_send, answer) = raw.wire.open(number).await.expect("open");
        drop(answer);
        if number % 100 == 0 {
            // The queue of Cancels has a bound of its own.
            tokio::task::yield_now().await;
        }
    }
    let (own, taken_back, theirs) = raw.wire.shared().open_requests();
    assert_eq!((own, theirs), (0, 0));
    assert!(taken_back <= TAKEN_BACK_MAX, "{taken_back}");
    // A late answer to one of them is no fault.
    handle.request(RequestId(1), BlobKind::Chunk, Hash::of(b"x"), 1);
    let (_send, _asked) = soon(raw.wire.accept()).await.expect("the link is up");
}
