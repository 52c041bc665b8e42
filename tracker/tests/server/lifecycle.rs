//! Start, end, and start again.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use freshet_protocol::{ClientMessage, ServerMessage};
use freshet_tracker::{Options, ServeError, serve};
use tokio::net::TcpStream;

use super::{Client, Tracker, fetcher, tracker};

#[tokio::test]
async fn a_drain_tells_all_and_closes_them_one_by_one() {
    const CLIENTS: u8 = 10;
    let Tracker { serving, folder: _folder } = tracker(|options| options.drain_ms = 500).await;
    let address = serving.address;
    let mut clients = Vec::new();
    for seed in 0..CLIENTS {
        clients.push(Client::enter(address, seed).await);
    }
    let start = Instant::now();
    let shutdown = tokio::spawn(serving.shutdown());
    let mut watchers = Vec::new();
    for mut client in clients {
        watchers.push(tokio::spawn(async move {
            assert_eq!(client.next().await, Some(ServerMessage::Drain { reconnect_ms: 500 }));
            assert_eq!(client.next().await, None);
            Instant::now()
        }));
    }
    let mut ends = Vec::new();
    for watcher in watchers {
        ends.push(watcher.await.expect("told and closed").duration_since(start));
    }
    ends.sort_unstable();
    assert!(ends[9] - ends[0] >= Duration::from_millis(350), "spread: {ends:?}");
    shutdown.await.expect("stopped");
    assert!(TcpStream::connect(address).await.is_err(), "the port is closed");
}

#[tokio::test]
async fn an_empty_tracker_stops_at_once() {
    let Tracker { serving, folder: _folder } = tracker(|options| options.drain_ms = 60_000).await;
    let start = Instant::now();
    serving.shutdown().await;
    assert!(start.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn a_restarted_tracker_has_the_same_key_and_no_swarms() {
    let Tracker { serving, folder } = tracker(|options| options.drain_ms = 0).await;
    let (address, key) = (serving.address, serving.key);
    let mut client = Client::enter(address, 1).await;
    client.say(&ClientMessage::Announce(fetcher(0, 7))).await;
    client.sync().await;
    serving.shutdown().await;
    while client.next().await.is_some() {}

    let serving = serve(Options::new(address, folder.path())).await.expect("the port is free again");
    assert_eq!(serving.key, key);
    assert_eq!(serving.stats().await.expect("running").swarms.swarms, 0);
    let mut client = Client::enter(address, 1).await;
    client.say(&ClientMessage::Announce(fetcher(0, 7))).await;
    client.sync().await;
    assert_eq!(serving.stats().await.expect("running").swarms.peers, 1, "clients rebuild it");
}

#[tokio::test]
async fn a_tracker_that_dies_closes_its_connections() {
    let tracker = tracker(|_| {}).await;
    let mut client = Client::enter(tracker.serving.address, 1).await;
    drop(tracker.serving);
    assert_eq!(client.next().await, None, "without a drain");
}

#[tokio::test]
async fn what_cannot_start_says_why() {
    let taken = tracker(|_| {}).await;
    let check = async |change: &dyn Fn(&mut Options), expected: &str| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut options = Options::new(SocketAddr::from(([127, 0, 0, 1], 0)), folder.path());
        change(&mut options);
        let error: ServeError = serve(options).await.expect_err("refused");
        assert!(error.to_string().contains(expected), "{error}");
    };
    let address = taken.serving.address;
    let stun = taken.serving.stun_addresses[0];
    check(&|options| options.listen = address, &format!("cannot listen on {address} (TCP)")).await;
    check(&|options| options.stun = Some([stun, stun]), &format!("cannot listen on {stun} (UDP)")).await;
    check(&|options| options.drain_ms = u32::MAX, "drain time in ms is 4294967295").await;
    check(&|options| options.state_dir = "/proc/nothing".into(), "cannot create /proc/nothing").await;
}
