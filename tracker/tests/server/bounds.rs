//! What one client may do to the server, and how many there may be.

use std::time::{Duration, Instant};

use freshet_protocol::limits::{SIGNAL_BYTES_MAX, TRACKER_MESSAGE_BYTES_MAX};
use freshet_protocol::{ClientMessage, ServerMessage};
use futures_util::SinkExt;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

use super::{Client, fetcher, http_get, lease, tracker};

#[tokio::test]
async fn malformed_messages_are_named_and_counted() {
    let tracker = tracker(|options| options.limits.faults_max = 3).await;
    let mut client = Client::enter(tracker.serving.address, 1).await;
    for text in ["{}", "[", r#"{"type":"lease"}"#] {
        client.say_text(text.to_owned()).await;
        assert_eq!(client.error().await, "malformed");
    }
    client.sync().await;
    client.socket.send(Message::Binary(vec![1, 2, 3].into())).await.expect("sent");
    assert_eq!(client.next().await, None, "one more than is borne");
    let stats = tracker.serving.stats().await.expect("running");
    assert_eq!(stats.messages_malformed_total, 4);
}

#[tokio::test]
async fn a_message_over_the_limit_ends_the_connection() {
    let tracker = tracker(|_| {}).await;
    let mut client = Client::enter(tracker.serving.address, 1).await;
    let padded = |length: usize| {
        let text = lease(0).encode();
        format!("{text}{}", " ".repeat(length - text.len()))
    };
    client.say_text(padded(TRACKER_MESSAGE_BYTES_MAX)).await;
    assert!(matches!(client.next().await, Some(ServerMessage::Shards { .. })), "the limit itself is fine");
    client.say_text(padded(TRACKER_MESSAGE_BYTES_MAX + 1)).await;
    assert_eq!(client.next().await, None);
}

#[tokio::test]
async fn a_fast_client_waits() {
    let tracker = tracker(|options| {
        options.limits.messages_per_s = 20;
        options.limits.messages_burst = 4;
    })
    .await;
    let start = Instant::now();
    let mut client = Client::enter(tracker.serving.address, 1).await;
    for _ in 0..10 {
        client.say(&lease(0)).await;
    }
    for _ in 0..10 {
        assert!(matches!(client.next().await, Some(ServerMessage::Shards { .. })), "late, but not lost");
    }
    // Four at once, the fifth 50 ms after the first, and so on.
    assert!(start.elapsed() >= Duration::from_millis(300), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_client_that_does_not_read_is_cut() {
    let tracker = tracker(|options| {
        options.limits.outgoing_max = 128;
        options.limits.messages_burst = 10_000;
        options.limits.write_timeout = Duration::from_secs(600);
    })
    .await;
    let address = tracker.serving.address;
    let mut deaf = Client::open_narrow(address).await;
    deaf.greet(1).await;
    deaf.say(&ClientMessage::Announce(fetcher(0, 7))).await;
    deaf.sync().await;
    // Each pair carries 64 messages of 4 KiB: together more than all buffers between the server and the deaf one.
    let mut cut = false;
    for seed in 2..14 {
        let mut loud = Client::enter(address, seed).await;
        loud.say(&ClientMessage::Announce(fetcher(1, 8))).await;
        let pair = loud.pair().await;
        for _ in 0..64 {
            loud.say(&ClientMessage::Signal { pair, data: "x".repeat(SIGNAL_BYTES_MAX) }).await;
        }
        loud.sync().await;
        cut = tracker.serving.stats().await.expect("running").slow_cut_total == 1;
        if cut {
            // The loud one is still in.
            loud.sync().await;
            break;
        }
    }
    assert!(cut, "3 MiB fit nowhere");
    let mut rest = Vec::new();
    // What was on its way comes, then the end; in whichever way.
    let _ = deaf.socket.into_inner().read_to_end(&mut rest).await;
}

#[tokio::test]
async fn a_client_that_takes_nothing_for_too_long_is_cut() {
    let tracker = tracker(|options| {
        options.limits.outgoing_max = 65_536;
        options.limits.write_timeout = Duration::from_millis(100);
        options.limits.messages_per_s = 1_000_000;
        options.limits.messages_burst = 1_000_000;
    })
    .await;
    let mut deaf = Client::open_narrow(tracker.serving.address).await;
    deaf.greet(1).await;
    // It asks and asks, and reads no answer, until it cannot even ask any more.
    while deaf.socket.send(Message::Text(lease(0).encode().into())).await.is_ok() {}
    let stats = tracker.serving.stats().await.expect("running");
    assert_eq!(stats.slow_cut_total, 1);
}

#[tokio::test]
async fn a_client_silent_to_pings_is_gone() {
    let tracker = tracker(|options| options.limits.idle_timeout = Duration::from_millis(300)).await;
    let client = Client::enter(tracker.serving.address, 1).await;
    // Without the WebSocket layer nobody answers pings.
    let mut stream = client.socket.into_inner();
    let mut pings = Vec::new();
    stream.read_to_end(&mut pings).await.expect("closed in order");
    assert!(pings.starts_with(&[0x89, 0]), "pinged first: {pings:?}");
}

#[tokio::test]
async fn a_client_that_answers_pings_stays() {
    let tracker = tracker(|options| options.limits.idle_timeout = Duration::from_millis(300)).await;
    let mut client = Client::enter(tracker.serving.address, 1).await;
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(900) {
        // Reading answers pings.
        let wait = tokio::time::timeout(Duration::from_millis(100), client.next());
        assert!(wait.await.is_err(), "nothing but pings comes");
    }
    client.sync().await;
}

#[tokio::test]
async fn connections_are_bounded() {
    let tracker = tracker(|options| options.swarms.clients_max = 2).await;
    let address = tracker.serving.address;
    let mut first = Client::enter(address, 1).await;
    let _second = Client::enter(address, 2).await;
    let stream = TcpStream::connect(address).await.expect("connected");
    assert!(tokio_tungstenite::client_async("ws://tracker/", stream).await.is_err());
    assert_eq!(tracker.serving.stats().await.expect("running").connections_refused_total, 1);
    first.socket.close(None).await.expect("closing");
    while first.next().await.is_some() {}
    let mut rest = Vec::new();
    first.socket.into_inner().read_to_end(&mut rest).await.expect("closed");
    Client::enter(address, 3).await;
}

#[tokio::test]
async fn health_and_figures() {
    let tracker = tracker(|_| {}).await;
    let mut client = Client::enter(tracker.serving.address, 1).await;
    client.say(&ClientMessage::Announce(fetcher(0, 7))).await;
    client.sync().await;
    assert!(http_get(tracker.serving.address, "/health").await.ends_with("\r\n\r\nok\n"));
    let answer = http_get(tracker.serving.address, "/stats").await;
    let (_, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    let stats: serde_json::Value = serde_json::from_str(body).expect("JSON");
    let check = |name: &str, expected: u64| assert_eq!(stats[name], expected, "{name} in {stats}");
    check("clients", 1);
    check("swarms", 1);
    check("peers", 1);
    check("tickets_total", 1);
    check("messages_received_total", 3);
    // Challenge, welcome, ticket, shards.
    check("messages_sent_total", 4);
    assert!(stats["bytes_sent_total"].as_u64().is_some_and(|bytes| bytes > 400));
    assert!(http_get(tracker.serving.address, "/nothing").await.starts_with("HTTP/1.1 404"));
}
