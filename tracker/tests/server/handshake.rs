//! Challenge, proof, welcome.

use std::time::Duration;

use freshet_protocol::{ClientMessage, ServerMessage, SwarmId, Ticket, tracker_proof_message};

use super::{Client, fetcher, hello, key, lease, tracker};

#[tokio::test]
async fn a_good_hello_is_welcome() {
    let tracker = tracker(|_| {}).await;
    let mut client = Client::open(tracker.serving.address).await;
    let welcome = client.greet(1).await;
    assert_eq!(welcome.tracker_key, tracker.serving.key);
    assert_eq!(welcome.address, client.socket.get_ref().local_addr().expect("connected"));
    let ports: Vec<_> = tracker.serving.stun_addresses.iter().map(|address| address.port()).collect();
    assert_eq!(welcome.stun_ports, ports);
    assert_eq!((ports.len(), welcome.stun_host), (2, None));
    assert_eq!(welcome.announce_ms, 30_000);
    let other = Client::open(tracker.serving.address).await.greet(1).await;
    assert_ne!(other.peer, welcome.peer, "each connection has an id of its own");
}

#[tokio::test]
async fn a_bad_hello_is_refused_by_name() {
    let tracker = tracker(|_| {}).await;
    let address = tracker.serving.address;
    let check = async |make: fn(&[u8]) -> String, expected: &str| {
        let mut client = Client::open(address).await;
        let nonce = client.challenge().await;
        client.say_text(make(&nonce)).await;
        assert_eq!(client.error().await, expected);
        assert_eq!(client.next().await, None, "closed after {expected}");
    };
    check(|_| hello(1, (1, 1), &tracker_proof_message(b"another challenge")).encode(), "proof").await;
    check(|nonce| hello(1, (1, 1), nonce).encode(), "proof").await;
    check(|nonce| hello(1, (7, 9), &tracker_proof_message(nonce)).encode(), "version").await;
    check(|_| lease(1).encode(), "not-hello").await;
    check(|_| r#"{"type":"hello"}"#.to_owned(), "malformed").await;
    check(|_| "hello".to_owned(), "malformed").await;
    let stats = tracker.serving.stats().await.expect("running");
    assert_eq!((stats.hellos_refused_total, stats.swarms.clients), (6, 0));
}

#[tokio::test]
async fn a_challenge_is_good_once() {
    let tracker = tracker(|_| {}).await;
    let mut first = Client::open(tracker.serving.address).await;
    let nonce = first.challenge().await;
    let mut second = Client::open(tracker.serving.address).await;
    assert_ne!(second.challenge().await, nonce);
    second.say(&hello(1, (1, 1), &tracker_proof_message(&nonce))).await;
    assert_eq!(second.error().await, "proof");
}

#[tokio::test]
async fn who_says_nothing_is_cut() {
    let tracker = tracker(|options| options.limits.hello_timeout = Duration::from_millis(200)).await;
    let mut client = Client::open(tracker.serving.address).await;
    client.challenge().await;
    assert_eq!(client.next().await, None);
    let mut silent = tokio::net::TcpStream::connect(tracker.serving.address).await.expect("connected");
    let mut nothing = Vec::new();
    // Ends, in whichever way, without a byte having been sent.
    let _ = tokio::io::AsyncReadExt::read_to_end(&mut silent, &mut nothing).await;
    assert!(nothing.is_empty());
}

#[tokio::test]
async fn both_paths_lead_in() {
    let tracker = tracker(|_| {}).await;
    let stream = tokio::net::TcpStream::connect(tracker.serving.address).await.expect("connected");
    let (socket, _) =
        tokio_tungstenite::client_async("ws://tracker/tracker", stream).await.expect("upgraded");
    Client { socket }.greet(1).await;
}

#[tokio::test]
async fn the_ticket_binds_key_peer_and_swarm() {
    let tracker = tracker(|_| {}).await;
    let mut client = Client::open(tracker.serving.address).await;
    let welcome = client.greet(1).await;
    client.say(&ClientMessage::Announce(fetcher(0, 7))).await;
    let (sealed, expires) = client
        .wait_for(|message| match message {
            ServerMessage::Ticket { ticket, expires } => Some((ticket.0, expires)),
            _ => None,
        })
        .await;
    let ticket = Ticket::open(&sealed, &[welcome.tracker_key]).expect("signed by the tracker");
    let swarm = SwarmId::of_content(&super::content());
    assert_eq!((ticket.peer, ticket.expires - ticket.issued), (welcome.peer, 600));
    assert_eq!(ticket.check(&key(1).public(), swarm, expires - 1, 0), Ok(()));
    assert!(ticket.check(&key(2).public(), swarm, expires - 1, 0).is_err());
}
