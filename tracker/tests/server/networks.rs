//! What the operator knows about networks decides how near peers are.

use std::path::{Path, PathBuf};
use std::time::Duration;

use freshet_protocol::{ClientMessage, Locality, ServerMessage};
use freshet_tracker::Options;

use super::proxies::open;
use super::{Tracker, fetcher, tracker};

/// Databases for tests, by MaxMind.
fn database(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

/// A proxy on this machine names the clients.
fn databases(options: &mut Options) {
    options.proxies.trusted = vec!["127.0.0.1".parse().expect("a network")];
    options.networks.databases = vec![database("asn.mmdb"), database("country.mmdb")];
}

/// How near the tracker takes two who come from these addresses.
async fn locality(tracker: &Tracker, addresses: [&str; 2]) -> Locality {
    let mut clients = Vec::new();
    for (seed, address) in (1..).zip(addresses) {
        let mut client = open(tracker, "x-forwarded-for", address).await;
        client.greet(seed).await;
        let mut announce = fetcher(1, 7);
        // Where the tracker sees it.
        announce.candidates[0].address.set_ip([0, 0, 0, 0].into());
        client.say(&ClientMessage::Announce(announce)).await;
        if seed == 1 {
            client.sync().await;
        }
        clients.push(client);
    }
    let paired = |message| match message {
        ServerMessage::Pair { locality, .. } => Some(locality),
        _ => None,
    };
    clients[1].wait_for(paired).await
}

#[tokio::test]
async fn systems_and_countries_come_from_databases() {
    let tracker = tracker(databases).await;
    let check = async |addresses, expected| {
        assert_eq!(locality(&tracker, addresses).await, expected, "{addresses:?}");
    };
    check(["12.81.92.1", "12.81.92.1"], Locality::SameAddress).await;
    check(["12.81.92.1", "12.84.0.9"], Locality::SameAs).await;
    check(["2.125.160.216", "81.2.69.142"], Locality::SameCountry).await;
    check(["12.81.92.1", "1.128.0.1"], Locality::Any).await;
}

#[tokio::test]
async fn the_table_of_groups_is_read_again_when_it_changes() {
    let folder = tempfile::tempdir().expect("a folder");
    let table = folder.path().join("groups");
    std::fs::write(&table, "198.51.100.0/24 cafe\n203.0.113.0/24 cafe\n").expect("written");
    let tracker = tracker(|options| {
        databases(options);
        options.networks.groups = Some(table.clone());
        options.networks.look_every = Duration::from_millis(20);
    })
    .await;
    let addresses = ["198.51.100.1", "203.0.113.1"];
    assert_eq!(locality(&tracker, addresses).await, Locality::SameAs);
    // What cannot be used changes nothing.
    std::fs::write(&table, "198.51.100.0/24\n").expect("written");
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(locality(&tracker, addresses).await, Locality::SameAs);
    std::fs::write(&table, "198.51.100.0/24 cafe\n203.0.113.0/24 office\n").expect("written");
    for _ in 0..500 {
        if locality(&tracker, addresses).await == Locality::Any {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the changed table is not read");
}
