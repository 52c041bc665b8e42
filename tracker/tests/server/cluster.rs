//! Several trackers around a real broker.

use std::time::{Duration, Instant};

use freshet_protocol::{ClientMessage, PairOutcome, PeerId, ServerMessage, Ticket};
use freshet_tracker::{ClusterOptions, Options, Serving};

use super::broker::Broker;
use super::{Client, PATIENCE, Tracker, fetcher, tracker};

/// Trackers of one cluster.
struct Cluster {
    trackers: Vec<Tracker>,
}

impl Cluster {
    async fn start(count: usize, brokers: &[String]) -> Self {
        Self::start_with(count, brokers, |_| {}).await
    }

    async fn start_with(count: usize, brokers: &[String], change: impl Fn(&mut ClusterOptions)) -> Self {
        let mut trackers: Vec<Tracker> = Vec::new();
        for _ in 0..count {
            let mut cluster = ClusterOptions { brokers: brokers.to_vec(), authorities: None };
            change(&mut cluster);
            let key = trackers.first().map(|first| first.folder.path().join("ticket.key"));
            trackers.push(member(cluster, key.as_deref()).await);
        }
        Self { trackers }
    }

    /// Waits until each tracker hears so many others.
    async fn hears(&self, others: usize) {
        for tracker in &self.trackers {
            until(&tracker.serving, |stats| stats.swarms.trackers == others).await;
        }
    }

    async fn enter(&self, at: usize, seed: u8) -> (Client, PeerId) {
        let mut client = Client::open(self.trackers[at].serving.address).await;
        let peer = client.greet(seed).await.peer;
        client.say(&ClientMessage::Announce(fetcher(4, 7))).await;
        (client, peer)
    }
}

/// A tracker with the ticket key of another one.
async fn member(cluster: ClusterOptions, key: Option<&std::path::Path>) -> Tracker {
    tracker(|options: &mut Options| {
        if let Some(key) = key {
            // Copied with its rights, as an operator would.
            std::fs::copy(key, options.state_dir.join("ticket.key")).expect("copied");
        }
        options.cluster = Some(cluster);
    })
    .await
}

async fn until(serving: &Serving, fits: impl Fn(&freshet_tracker::ServerStats) -> bool) {
    let started = Instant::now();
    loop {
        let stats = serving.stats().await.expect("runs");
        if fits(&stats) {
            return;
        }
        assert!(started.elapsed() < PATIENCE, "{stats:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

struct Pair {
    pair: u64,
    peer: PeerId,
    dial: bool,
}

async fn pair(client: &mut Client) -> Pair {
    let found = client.wait_for(|message| match message {
        ServerMessage::Pair { pair, peer, dial, .. } => Some(Pair { pair, peer, dial }),
        _ => None,
    });
    found.await
}

/// Two clients of different trackers are paired; they and their pair's number.
async fn across(
    cluster: &Cluster,
    (at, seed): (usize, u8),
    (other_at, other_seed): (usize, u8),
) -> [Client; 2] {
    let (mut one, one_id) = cluster.enter(at, seed).await;
    let (mut two, two_id) = cluster.enter(other_at, other_seed).await;
    let (a, b) = (pair(&mut one).await, pair(&mut two).await);
    assert_eq!((a.pair, a.peer, b.peer), (b.pair, two_id, one_id));
    assert!(a.dial != b.dial);
    [one, two]
}

#[tokio::test]
async fn clients_of_two_trackers_meet_and_signal() {
    let Some(broker) = Broker::start(&[]) else { return };
    let cluster = Cluster::start(3, &[broker.url()]).await;
    cluster.hears(2).await;
    let (mut one, _) = cluster.enter(0, 1).await;
    let (mut two, _) = cluster.enter(1, 2).await;
    let Pair { pair: number, .. } = pair(&mut one).await;
    pair(&mut two).await;
    one.say(&ClientMessage::Signal { pair: number, data: "offer".to_owned() }).await;
    let signal = |message| match message {
        ServerMessage::Signal { pair, data } => Some((pair, data)),
        _ => None,
    };
    assert_eq!(two.wait_for(signal).await, (number, "offer".to_owned()));
    two.say(&ClientMessage::Signal { pair: number, data: "answer".to_owned() }).await;
    assert_eq!(one.wait_for(signal).await, (number, "answer".to_owned()));
    one.say(&ClientMessage::Paired { pair: number, outcome: PairOutcome::Linked }).await;
    for at in [0, 1] {
        until(&cluster.trackers[at].serving, |stats| stats.swarms.pairs_linked == 1).await;
    }
    // A ticket of one counts at the other: they have one key.
    let keys: Vec<_> = cluster.trackers.iter().map(|tracker| tracker.serving.key).collect();
    assert_eq!((keys[0], keys[0]), (keys[1], keys[2]));
    let (mut third, _) = cluster.enter(2, 3).await;
    let ticket = third.wait_for(|message| match message {
        ServerMessage::Ticket { ticket, .. } => Some(ticket),
        _ => None,
    });
    Ticket::open(&ticket.await.0, &keys[..1]).expect("signed by the key of the cluster");
}

#[tokio::test]
async fn trackers_go_on_alone_and_find_each_other_again() {
    let Some(mut broker) = Broker::start(&[]) else { return };
    let cluster = Cluster::start(3, &[broker.url()]).await;
    cluster.hears(2).await;
    let [mut one, _two] = across(&cluster, (0, 1), (1, 2)).await;
    broker.kill();
    cluster.hears(0).await;
    let sent = sent(&cluster).await;
    // A link that was made across stays, and so does everybody's connection; those of one tracker meet as ever.
    let (mut three, _) = cluster.enter(0, 3).await;
    pair(&mut three).await;
    pair(&mut one).await;
    let stats = cluster.trackers[0].serving.stats().await.expect("runs");
    assert_eq!((stats.swarms.pairs_across, stats.swarms.remote_peers), (1, 0));
    assert_eq!(self::sent(&cluster).await, sent, "nothing is said to nobody");

    broker.start_again();
    cluster.hears(2).await;
    let (mut four, _) = cluster.enter(2, 4).await;
    pair(&mut four).await;
    // Three trackers with a swarm each: a few signs of life, digests, and an ask and a grant for each of four pairs.
    let after = self::sent(&cluster).await - sent;
    assert!(after < 60, "{after} messages");
}

async fn sent(cluster: &Cluster) -> u64 {
    let mut sum = 0;
    for tracker in &cluster.trackers {
        sum += tracker.serving.stats().await.expect("runs").swarms.cluster_sent_total;
    }
    sum
}

#[tokio::test]
async fn a_tracker_without_its_broker_is_a_tracker() {
    let cluster = Cluster::start(1, &["nats://127.0.0.1:9".to_owned()]).await;
    let (mut one, _) = cluster.enter(0, 1).await;
    let (mut two, _) = cluster.enter(0, 2).await;
    assert_eq!(pair(&mut one).await.pair, pair(&mut two).await.pair);
}

#[tokio::test]
async fn a_tracker_that_stops_says_so() {
    let Some(broker) = Broker::start(&[]) else { return };
    let mut cluster = Cluster::start(2, &[broker.url()]).await;
    cluster.hears(1).await;
    let last = cluster.trackers.pop().expect("two");
    last.serving.shutdown().await;
    cluster.hears(0).await;
}

#[tokio::test]
async fn who_has_another_key_is_not_heard() {
    let Some(broker) = Broker::start(&[]) else { return };
    let cluster = Cluster::start(2, &[broker.url()]).await;
    cluster.hears(1).await;
    // A key of their own, and so subjects of their own: two clusters at one broker.
    let strangers = Cluster::start(2, &[broker.url()]).await;
    strangers.hears(1).await;
    cluster.hears(1).await;
    // Somebody who can write at the broker, but has no key.
    let key = cluster.trackers[0].serving.key.id().0.0;
    let name: String = key[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    write_raw(&broker, &format!("freshet.1.{name}.all"), b"{\"type\":\"bye\"}").await;
    until(&cluster.trackers[0].serving, |stats| stats.cluster_refused_total == 1).await;
    cluster.hears(1).await;
}

/// Publishes a message as any client of the broker could.
async fn write_raw(broker: &Broker, subject: &str, payload: &[u8]) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(broker.address).await.expect("connected");
    let text = [
        b"CONNECT {\"verbose\":false}\r\n".as_slice(),
        format!("PUB {subject} {}\r\n", payload.len()).as_bytes(),
        payload,
        b"\r\nPING\r\n",
    ]
    .concat();
    stream.write_all(&text).await.expect("written");
    let mut heard = Vec::new();
    while !heard.windows(4).any(|part| part == b"PONG") {
        assert!(stream.read_buf(&mut heard).await.expect("read") > 0, "the broker hung up");
    }
}

#[tokio::test]
async fn brokers_may_ask_who_one_is() {
    let Some(broker) = Broker::start(&["--user", "freshet", "--pass", "p@ss"]) else { return };
    let url = |name: &str| vec![format!("nats://{name}{}", broker.address)];
    // They begin first, and so they would have met before those who may.
    let refused = Cluster::start(2, &url("freshet:wrong@")).await;
    Cluster::start(2, &url("freshet:p%40ss@")).await.hears(1).await;
    refused.hears(0).await;
}

#[tokio::test]
async fn brokers_may_speak_tls() {
    let folder = tempfile::tempdir().expect("folder");
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("made");
    let write = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        path
    };
    let (certificate, key) =
        (write("cert.pem", made.cert.pem()), write("key.pem", made.signing_key.serialize_pem()));
    let flags = [
        "--tls",
        "--tlscert",
        certificate.to_str().expect("UTF-8"),
        "--tlskey",
        key.to_str().expect("UTF-8"),
    ];
    let Some(broker) = Broker::start(&flags) else { return };
    let brokers = [format!("tls://localhost:{}", broker.address.port())];
    let strict = Cluster::start(2, &brokers).await;
    let trust = |options: &mut ClusterOptions| options.authorities = Some(certificate.clone());
    Cluster::start_with(2, &brokers, trust).await.hears(1).await;
    strict.hears(0).await;
}
