//! Against the real tracker, and against one that misbehaves.

use freshet_protocol::{
    Announce, Base64, Candidate, HaveSummary, RootId, SwarmId, Ticket, Transport,
    limits::TRACKER_MESSAGE_BYTES_MAX,
};
use freshet_tracker::{Options, Serving, serve};
use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, accept_async};

use super::*;

/// More than any of these tests should take.
const PATIENCE: Duration = Duration::from_secs(20);

async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("comes in time")
}

struct Peer {
    identity: Arc<Identity>,
    handle: TrackerHandle,
    events: mpsc::Receiver<TrackerEvent>,
}

impl Peer {
    fn start(seed: u8, urls: &[&str]) -> Self {
        Self::start_with(seed, urls, |_| {})
    }

    fn start_with(seed: u8, urls: &[&str], change: impl FnOnce(&mut TrackerConfig)) -> Self {
        let identity = Arc::new(Identity::from_seed(&[seed; 32]));
        let urls = urls.iter().map(|url| (*url).to_owned()).collect();
        let mut config = TrackerConfig::new(urls, Arc::clone(&identity), "test");
        change(&mut config);
        let (handle, events) = TrackerClient::start(config);
        Self { identity, handle, events }
    }

    async fn next(&mut self) -> TrackerEvent {
        soon(self.events.recv()).await.expect("the client runs")
    }

    async fn up(&mut self) -> Welcome {
        match self.next().await {
            TrackerEvent::Up { welcome } => welcome,
            other => panic!("instead of Up: {other:?}"),
        }
    }

    async fn down(&mut self) -> String {
        match self.next().await {
            TrackerEvent::Down { reason } => reason,
            other => panic!("instead of Down: {other:?}"),
        }
    }

    fn announce(&self, left_bytes: u64) {
        let address = "127.0.0.1:4000".parse().expect("address");
        self.handle.send(ClientMessage::Announce(Announce {
            content: "game/demo".parse().expect("name"),
            root: RootId::of(b"root"),
            chunks: 100,
            have: if left_bytes == 0 { HaveSummary::All } else { HaveSummary::None },
            left_bytes,
            sharing: true,
            links: 0,
            links_wanted: 4,
            mapped: Vec::new(),
            local: Vec::new(),
            certificates: Vec::new(),
            candidates: vec![Candidate { transport: Transport::Quic, address }],
        }));
    }
}

async fn tracker(listen: &str, state: &tempfile::TempDir) -> (Serving, String) {
    let mut options = Options::new(listen.parse().expect("address"), state.path());
    options.drain_ms = 100;
    let serving = serve(options).await.expect("tracker starts");
    let url = format!("ws://{}/", serving.address);
    (serving, url)
}

#[tokio::test]
async fn a_real_tracker_gives_tickets_and_pairs() {
    let state = tempfile::tempdir().expect("folder");
    let (serving, url) = tracker("127.0.0.1:0", &state).await;
    let (mut seed, mut fetcher) = (Peer::start(1, &[&url]), Peer::start(2, &[&url]));
    let welcome = seed.up().await;
    assert_eq!((welcome.url.as_str(), welcome.tracker_key), (url.as_str(), serving.key));
    assert_eq!((welcome.address.ip(), welcome.stun_ports.len()), (serving.address.ip(), 2));
    fetcher.up().await;
    seed.announce(0);
    let TrackerEvent::Message(ServerMessage::Ticket { ticket, .. }) = seed.next().await else {
        panic!("no ticket")
    };
    let ticket = Ticket::open(&ticket.0, &[welcome.tracker_key]).expect("good");
    assert_eq!((ticket.peer, ticket.key), (welcome.peer, seed.identity.key_id()));
    assert_eq!(ticket.swarms, [SwarmId::of_content(&"game/demo".parse().expect("name"))]);

    fetcher.announce(1000);
    for (peer, other) in [(&mut seed, 2), (&mut fetcher, 1)] {
        let other = Identity::from_seed(&[other; 32]).key_id();
        loop {
            match peer.next().await {
                TrackerEvent::Message(ServerMessage::Pair { key, .. }) => break assert_eq!(key, other),
                TrackerEvent::Message(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn a_killed_tracker_is_found_again_and_told_anew() {
    let state = tempfile::tempdir().expect("folder");
    let (serving, url) = tracker("127.0.0.1:0", &state).await;
    let (address, mut peer) = (serving.address, Peer::start(1, &[&url]));
    peer.up().await;
    drop(serving);
    peer.down().await;
    // Nobody is there to hear it.
    peer.announce(5);
    let again = soon(async {
        loop {
            // The dead tracker's socket closes in its own time.
            let options = Options::new(address, state.path());
            if let Ok(serving) = serve(options).await {
                break serving;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(peer.up().await.tracker_key, again.key);
    let stats = again.stats().await.expect("runs");
    assert_eq!(stats.swarms.swarms, 0, "an announce of the old session is not sent in the new one");
    peer.announce(0);
    assert!(matches!(peer.next().await, TrackerEvent::Message(ServerMessage::Ticket { .. })));
}

#[tokio::test]
async fn a_tracker_that_drains_is_left_for_the_next() {
    let (one, two) = (tempfile::tempdir().expect("folder"), tempfile::tempdir().expect("folder"));
    let (first, first_url) = tracker("127.0.0.1:0", &one).await;
    let (_second, second_url) = tracker("127.0.0.1:0", &two).await;
    let mut peer = Peer::start(1, &[&first_url, &second_url]);
    assert_eq!(peer.up().await.url, first_url);
    let draining = tokio::spawn(first.shutdown());
    peer.down().await;
    assert_eq!(peer.up().await.url, second_url);
    soon(draining).await.expect("drains");
}

#[tokio::test]
async fn trackers_are_tried_in_rotation() {
    let state = tempfile::tempdir().expect("folder");
    let (_serving, url) = tracker("127.0.0.1:0", &state).await;
    let closed = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let dead = format!("ws://{}/", closed.local_addr().expect("bound"));
    drop(closed);
    let mut peer = Peer::start(1, &["no address", &dead, &url]);
    let reason = peer.down().await;
    assert!(reason.starts_with("no address: not a tracker address"), "{reason}");
    assert_eq!(peer.up().await.url, url, "further failures are not told");
    peer.handle.close();
    assert_eq!(soon(peer.events.recv()).await, None);
}

#[tokio::test]
async fn the_first_tracker_is_used_again_once_it_is_back() {
    let states = [(); 3].map(|()| tempfile::tempdir().expect("folder"));
    let mut servers = Vec::new();
    for state in &states {
        servers.push(tracker("127.0.0.1:0", state).await);
    }
    let urls: Vec<String> = servers.iter().map(|(_, url)| url.clone()).collect();
    let (first, _) = servers.remove(0);
    let address = first.address;
    drop(first);
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    let mut peer = Peer::start_with(1, &urls, |config| config.return_after = Duration::from_millis(50));
    // The dead tracker's socket may still answer.
    let mut at = peer.next().await;
    while !matches!(&at, TrackerEvent::Up { welcome } if welcome.url == urls[1]) {
        at = peer.next().await;
    }
    // Looking for it changes nothing while it is away.
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(peer.events.try_recv().is_err());
    let options = Options::new(address, states[0].path());
    let _back = serve(options).await.expect("starts again");
    let reason = peer.down().await;
    assert!(reason.ends_with("comes first"), "{reason}");
    assert_eq!(peer.up().await.url, urls[0]);
    // It stays there.
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(peer.events.try_recv().is_err());
    peer.announce(0);
    assert!(matches!(peer.next().await, TrackerEvent::Message(ServerMessage::Ticket { .. })));
}

#[tokio::test]
async fn without_a_tracker_there_is_one_word() {
    let mut peer = Peer::start(1, &[]);
    assert_eq!(peer.down().await, "no tracker is named");
    assert_eq!(soon(peer.events.recv()).await, None);
}

/// A tracker made by hand, and a client that has just connected to it.
struct Fake {
    peer: Peer,
    socket: WebSocketStream<TcpStream>,
}

impl Fake {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let url = format!("ws://{}/", listener.local_addr().expect("bound"));
        let peer = Peer::start(1, &[&url]);
        let (stream, _) = soon(listener.accept()).await.expect("dialed");
        let socket = soon(accept_async(stream)).await.expect("WebSocket");
        Self { peer, socket }
    }

    async fn welcomed() -> Self {
        let mut fake = Self::start().await;
        fake.say(&ServerMessage::Challenge { nonce: Base64(vec![7; 32]) }.encode()).await;
        let hello = soon(fake.socket.next()).await.expect("open").expect("a message");
        let hello = ClientMessage::decode(hello.to_text().expect("text").as_bytes()).expect("good");
        let ClientMessage::Hello { key, proof, agent, .. } = hello else { panic!("{hello:?}") };
        let message = freshet_protocol::tracker_proof_message(&[7; 32]);
        assert_eq!((key, agent.as_str()), (fake.peer.identity.key(), "test"));
        assert_eq!(key.verify(&message, &proof.0), Ok(()));
        fake.say(&welcome(1)).await;
        fake.peer.up().await;
        fake
    }

    async fn say(&mut self, text: &str) {
        soon(self.socket.send(Message::text(text))).await.expect("sent");
    }
}

fn welcome(version: u32) -> String {
    let tracker_key = freshet_protocol::SigningKey::from_seed(&[9; 32]).public();
    let (peer, address) = (PeerId::try_from(1).expect("small"), "127.0.0.1:1".parse().expect("address"));
    ServerMessage::Welcome {
        version,
        peer,
        tracker_key,
        address,
        stun_ports: vec![],
        stun_host: None,
        announce_ms: 1000,
    }
    .encode()
}

#[tokio::test]
async fn bad_greetings_are_told() {
    let refusal = ServerMessage::Error { code: "proof".to_owned(), message: "wrong key".to_owned() }.encode();
    let challenge = ServerMessage::Challenge { nonce: Base64(vec![7; 32]) }.encode();
    let check = async |said: &[&str], expected: &str| {
        let mut fake = Fake::start().await;
        for text in said {
            fake.say(text).await;
        }
        let reason = fake.peer.down().await;
        assert!(reason.ends_with(expected), "{reason}");
    };
    check(&[&welcome(1)], "said something else than a challenge").await;
    check(&[&challenge, &challenge], "said something else than a welcome").await;
    check(&[&challenge, &refusal], "refused this node (proof): wrong key").await;
    check(&[&challenge, &welcome(2)], "speaks version 2, this program 1").await;
    check(&["{\"type\":\"greeting\"}", &challenge, &refusal], "wrong key").await;
    check(&[&" ".repeat(TRACKER_MESSAGE_BYTES_MAX + 1)], "more than 16384 bytes").await;
}

#[tokio::test]
async fn malformed_messages_are_skipped_up_to_a_bound() {
    let mut fake = Fake::welcomed().await;
    for _ in 0..15 {
        fake.say("{").await;
    }
    let error = ServerMessage::Error { code: "code".to_owned(), message: "message".to_owned() };
    fake.say("{\"type\":\"of the next version\"}").await;
    fake.say(&error.encode()).await;
    assert_eq!(fake.peer.next().await, TrackerEvent::Message(error));
    soon(fake.socket.send(Message::binary(vec![1]))).await.expect("sent");
    let reason = fake.peer.down().await;
    assert!(reason.contains("malformed messages"), "{reason}");
}

#[tokio::test]
async fn an_oversized_message_ends_the_session() {
    let mut fake = Fake::welcomed().await;
    fake.say(&" ".repeat(TRACKER_MESSAGE_BYTES_MAX + 1)).await;
    let reason = fake.peer.down().await;
    assert!(reason.contains("more than 16384 bytes"), "{reason}");
}

#[tokio::test]
async fn a_tracker_that_falls_silent_is_left() {
    let mut fake = Fake::welcomed().await;
    // The tracker answers no ping any more, for a time that need not be waited for.
    tokio::time::pause();
    match fake.peer.events.recv().await {
        Some(TrackerEvent::Down { reason }) => assert!(reason.ends_with("silent for 50 s"), "{reason}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn closing_says_goodbye() {
    let mut fake = Fake::welcomed().await;
    fake.peer.handle.close();
    let last = loop {
        match soon(fake.socket.next()).await.expect("open").expect("a message") {
            // It may just have asked for a sign of life.
            Message::Ping(_) => {}
            last => break last,
        }
    };
    assert!(last.is_close(), "{last:?}");
    assert_eq!(soon(fake.peer.events.recv()).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_silent_server_is_not_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let url = format!("ws://{}/", listener.local_addr().expect("bound"));
    let config = TrackerConfig::new(vec![url], Arc::new(Identity::from_seed(&[1; 32])), "test");
    let (_handle, mut events) = TrackerClient::start(config);
    match events.recv().await {
        Some(TrackerEvent::Down { reason }) => {
            assert!(reason.ends_with("does not answer within 10 s"), "{reason}")
        }
        other => panic!("{other:?}"),
    }
}
