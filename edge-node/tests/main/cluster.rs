//! Nodes at several trackers around a real broker.

use std::net::SocketAddr;
use std::time::Duration;

use freshet_edge_node::{GetOptions, SeedFor};
use freshet_protocol::rendezvous_order;
use freshet_tracker::{ClusterOptions, Options, ServerStats, Serving, serve};

use crate::broker::Broker;
use crate::site::{CONTENT, Running, Site, installed};
use crate::tree::{assert_same, make_sample};

const PATIENCE: Duration = Duration::from_secs(30);

/// Three trackers with one ticket key.
async fn trackers(site: &Site, broker: &Broker) -> Vec<Serving> {
    let mut trackers = Vec::new();
    for number in 0..3 {
        let state = site.folder.path().join(format!("tracker{number}"));
        if number > 0 {
            std::fs::create_dir_all(&state).expect("made");
            let first = site.folder.path().join("tracker0/ticket.key");
            std::fs::copy(first, state.join("ticket.key")).expect("copied");
        }
        let mut options = Options::new(SocketAddr::from(([127, 0, 0, 1], 0)), state);
        options.stun = None;
        options.cluster = Some(ClusterOptions { brokers: vec![broker.url()], authorities: None });
        trackers.push(serve(options).await.expect("tracker"));
    }
    trackers
}

async fn until(tracker: &Serving, fits: impl Fn(&ServerStats) -> bool) {
    let waiting = async {
        while !tracker.stats().await.is_some_and(|stats| fits(&stats)) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    if tokio::time::timeout(PATIENCE, waiting).await.is_err() {
        panic!("{:?}", tracker.stats().await);
    }
}

fn options(site: &Site, base: &str, name: &str, trackers: Vec<String>) -> GetOptions {
    let mut options = site.options(base, name);
    options.policy.p2p = true;
    options.policy.sharing = true;
    options.trackers = trackers;
    options.listen = SocketAddr::from(([127, 0, 0, 1], 0));
    options.give_up_after = Duration::from_secs(20);
    options.seed_for = SeedFor::Forever;
    options
}

/// A site with one release, and a node at the first tracker that has it; the origin is gone after that.
async fn seeded(trackers: &[Serving], site: &Site) -> (String, Running) {
    let source = site.source("1");
    make_sample(&source);
    site.publish(&source, "1.0").await;
    let origin = site.serve().await;
    let base = origin.url();
    let mut seeder = Running::start(options(site, &base, "seeder", vec![trackers[0].url()]));
    seeder.installed().await;
    origin.shutdown().await;
    (base, seeder)
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_of_different_trackers_link_whatever_dies() {
    let Some(mut broker) = Broker::start(&[]) else { return };
    let site = Site::new();
    let trackers = trackers(&site, &broker).await;
    for tracker in &trackers {
        until(tracker, |stats| stats.swarms.trackers == 2).await;
    }
    let (base, seeder) = seeded(&trackers, &site).await;

    // At another tracker: everything comes over the link that the two trackers have arranged.
    let mut second = Running::start(options(&site, &base, "second", vec![trackers[1].url()]));
    second.installed().await;
    assert_same(&site.source("1"), &site.target("second"));
    for tracker in &trackers[..2] {
        until(tracker, |stats| stats.swarms.pairs_linked == 1 && stats.swarms.pairs_across == 1).await;
    }

    // Without the broker: links stay, and at one tracker nodes meet as ever.
    broker.kill();
    for tracker in &trackers {
        until(tracker, |stats| stats.swarms.trackers == 0).await;
    }
    let mut local = options(&site, &base, "local", vec![trackers[1].url()]);
    local.seed_for = SeedFor::Time(Duration::ZERO);
    let report = installed(local).await;
    assert_eq!((report.bytes.origin, report.links), (0, 1));
    assert_eq!(trackers[0].stats().await.expect("runs").swarms.pairs_linked, 1);

    // With it again: the third tracker's nodes find both.
    broker.start_again();
    for tracker in &trackers {
        until(tracker, |stats| stats.swarms.trackers == 2).await;
    }
    let mut third = Running::start(options(&site, &base, "third", vec![trackers[2].url()]));
    third.installed().await;
    assert_same(&site.source("1"), &site.target("third"));
    for node in [seeder, second, third] {
        node.stop().await.1.expect("installed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_loses_its_tracker_comes_to_the_next_and_keeps_its_peers() {
    let Some(broker) = Broker::start(&[]) else { return };
    let site = Site::new();
    let trackers = trackers(&site, &broker).await;
    let urls: Vec<String> = trackers.iter().map(Serving::url).collect();
    let order = rendezvous_order(&CONTENT.parse().expect("name"), &urls);
    let at = |place: usize| urls.iter().position(|url| *url == order[place]).expect("one of them");
    let [first, next] = [at(0), at(1)];
    let mut trackers: Vec<Option<Serving>> = trackers.into_iter().map(Some).collect();
    let source = site.source("1");
    make_sample(&source);
    site.publish(&source, "1.0").await;
    let origin = site.serve().await;
    let base = origin.url();
    let mut seeder = Running::start(options(&site, &base, "seeder", urls.clone()));
    seeder.installed().await;
    origin.shutdown().await;
    until(trackers[first].as_ref().expect("runs"), |stats| stats.swarms.peers == 1).await;

    drop(trackers[first].take());
    until(trackers[next].as_ref().expect("runs"), |stats| stats.swarms.peers == 1).await;
    let mut late = options(&site, &base, "late", urls);
    late.seed_for = SeedFor::Time(Duration::ZERO);
    let report = installed(late).await;
    assert_same(&site.source("1"), &site.target("late"));
    assert_eq!(report.bytes.origin, 0);
    seeder.stop().await.1.expect("installed");
}
