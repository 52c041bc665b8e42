//! What pages may not do, and how much of what they may.

use freshet_protocol::limits::LINK_REQUESTS_MAX;
use freshet_protocol::{Frame, Hash, RefuseReason};

use super::page::{Page, close_reason, read_answer};
use crate::transport::TransportEvent;
use crate::transport::limits::{CONTROL_BURST_FRAMES, HANDSHAKES_MAX};
use crate::transport::quic::tests::node::{Node, soon};

#[tokio::test]
async fn broken_rules_close_the_session_by_name() {
    let check = async |bytes: &[u8], expected: &str| {
        let mut node = Node::start(1).await;
        let (mut link, _handle) = Page::open(2).link(&mut node).await;
        link.write(bytes).await;
        let (_, reason) = node.link_down().await;
        let (code, told) = link.closed().await;
        assert_eq!((format!("the peer misbehaved: {told}"), code), (reason, 2));
        assert!(told.contains(expected), "{told}");
    };
    check(&[22, 0], "frame type 22 is critical and unknown").await;
    check(&[6, 0xbf, 0xff, 0xff, 0xff], "frame size is over its limit").await;
    check(&Frame::Cancel { request: 1 }.encode(), "does not belong on the control stream").await;
}

#[tokio::test]
async fn a_flood_of_control_frames_closes_the_session() {
    let mut node = Node::start(1).await;
    let (mut link, _handle) = Page::open(2).link(&mut node).await;
    let frame = Frame::Fetching { release: 0, ranges: vec![] }.encode();
    // The node may close before all is written.
    let _ = link.send.write_all(&frame.repeat(CONTROL_BURST_FRAMES as usize * 2)).await;
    let reason = loop {
        match node.next().await {
            TransportEvent::Frame { .. } => {}
            TransportEvent::LinkDown { reason, .. } => break reason,
            other => panic!("{other:?}"),
        }
    };
    assert!(reason.contains("more than 100 control frames a second"), "{reason}");
}

#[tokio::test]
async fn a_page_may_leave_so_many_requests_open() {
    let mut node = Node::start(1).await;
    let (link, handle) = Page::open(2).link(&mut node).await;
    let mut streams = Vec::new();
    for number in 0..LINK_REQUESTS_MAX as u64 {
        streams.push(link.ask(number, Hash::of(b"")).await);
        assert!(matches!(node.next().await, TransportEvent::Asked { .. }));
    }
    let one_more = LINK_REQUESTS_MAX as u64;
    let (_send, recv) = link.ask(one_more, Hash::of(b"")).await;
    let busy = |request| Frame::Refuse { request, reason: RefuseReason::Busy };
    assert_eq!(read_answer(recv).await.1, Some(busy(one_more)));
    for (number, (_send, recv)) in streams.into_iter().enumerate() {
        handle.refuse(number as u64, RefuseReason::NotHeld);
        read_answer(recv).await;
    }
    // Streams themselves are bounded a little above, for those that carry no request; quinn grants them in eighths.
    let mut open = Vec::new();
    loop {
        let mut further = Box::pin(link.session.open_bi());
        match futures_util::poll!(&mut further) {
            std::task::Poll::Ready(stream) => open.push(stream.expect("a stream")),
            std::task::Poll::Pending => break,
        }
    }
    assert!((LINK_REQUESTS_MAX / 2..2 * LINK_REQUESTS_MAX).contains(&open.len()), "{}", open.len());
}

#[tokio::test]
async fn a_request_number_is_used_once_at_a_time() {
    let mut node = Node::start(1).await;
    let (link, _handle) = Page::open(2).link(&mut node).await;
    let _first = link.ask(5, Hash::of(b"")).await;
    assert!(matches!(node.next().await, TransportEvent::Asked { .. }));
    let _second = link.ask(5, Hash::of(b"")).await;
    assert!(node.link_down().await.1.contains("request number 5 is in use"));
}

#[tokio::test]
async fn sessions_without_a_hello_are_bounded() {
    let mut node = Node::start(1).await;
    let certificate = node.transport.certificates()[0];
    let crowd = Page::open(2);
    let mut silent = Vec::new();
    for _ in 0..HANDSHAKES_MAX {
        silent.push(crowd.connect(&node, certificate).await.expect("there is room"));
    }
    assert!(crowd.connect(&node, certificate).await.is_err(), "there is none");
    silent.iter().for_each(|session| session.close(0, b""));
    let session = soon(async {
        loop {
            // The node learns of the others' end in its own time.
            if let Ok(session) = crowd.connect(&node, certificate).await {
                break session;
            }
        }
    })
    .await;
    crowd.introduce(session, certificate).await.expect("introduced");
    node.link_up().await;
}

#[tokio::test]
async fn who_says_nothing_is_not_waited_for() {
    let mut node = Node::start(1).await;
    let certificate = node.transport.certificates()[0];
    let page = Page::open(2);
    let silent = page.connect(&node, certificate).await.expect("session");
    assert_eq!(close_reason(&silent).await, (1, "the other side did not finish its Hello in 5 s".to_owned()));
    page.link(&mut node).await;
}

#[tokio::test]
async fn a_node_without_web_transport() {
    let node = Node::configured(1, |config| config.quic.web_transport = false).await;
    assert!(node.transport.certificates().is_empty());
    assert!(Page::open(2).connect(&node, Hash([0; 32])).await.is_err());
}
