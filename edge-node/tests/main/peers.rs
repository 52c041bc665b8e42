//! Nodes that share, with a real tracker between them.

use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::time::Duration;

use freshet_edge_node::{Event, GetOptions, Goal, Report, SeedFor};

use crate::crooked::{Crooked, Manner};
use crate::evil::{self, Pretence};
use crate::site::{Running, Site, installed, refused};
use crate::tree::{assert_same, make_sample, noise, write};

/// A site with a tracker beside its origin.
pub(crate) struct Swarm {
    pub(crate) site: Site,
    tracker: freshet_tracker::Serving,
}

impl Swarm {
    pub(crate) async fn new() -> Self {
        let site = Site::new();
        let mut options = freshet_tracker::Options::new(
            SocketAddr::from(([127, 0, 0, 1], 0)),
            site.folder.path().join("tracker"),
        );
        options.stun = None;
        options.swarms.publishers = [site.load_keys().online().public().id()].into();
        let tracker = freshet_tracker::serve(options).await.expect("tracker");
        Self { site, tracker }
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://{}/", self.tracker.address)
    }

    /// The tracker is gone; the site stays.
    pub(crate) async fn stop_tracker(self) -> Site {
        self.tracker.shutdown().await;
        self.site
    }

    /// How far the swarm is with what was pushed to it last, as its tracker tells.
    pub(crate) async fn update(&self) -> Option<freshet_tracker::swarms::Uptake> {
        self.tracker.stats().await.expect("running").updates.pop()
    }

    /// A node that uses peers, and shares if asked to.
    pub(crate) fn options(&self, base: &str, name: &str, sharing: bool) -> GetOptions {
        let mut options = self.site.options(base, name);
        options.policy.p2p = true;
        options.policy.sharing = sharing;
        options.trackers = vec![self.url()];
        options.listen = SocketAddr::from(([127, 0, 0, 1], 0));
        options.give_up_after = Duration::from_secs(20);
        if sharing {
            options.seed_for = SeedFor::Forever;
        }
        options
    }

    /// Nodes that begin together, wait for peers rather than ask the origin, and must all install `source`; each goes on
    /// sharing until the last one is done.
    pub(crate) async fn run_together(&self, base: &str, nodes: usize, source: &Path) -> Vec<Report> {
        let start = |number| {
            let mut options = self.options(base, &format!("n{number}"), true);
            options.policy.goal = Goal::Offload;
            options.policy.offload_slack_permille = 100;
            Running::start(options)
        };
        let mut running: Vec<Running> = (0..nodes).map(start).collect();
        for node in &mut running {
            node.installed().await;
        }
        let mut reports = Vec::new();
        for (number, node) in running.into_iter().enumerate() {
            let (report, result) = node.stop().await;
            result.expect("installed");
            assert_same(source, &self.site.target(&format!("n{number}")));
            reports.push(report);
        }
        reports
    }

    async fn publish_sample(&self) {
        let source = self.site.source("1");
        make_sample(&source);
        self.site.publish_naming(&source, "1.0", vec![self.url()]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swarm_stands_in_for_an_origin_that_is_gone() {
    let swarm = Swarm::new().await;
    swarm.publish_sample().await;
    let origin = swarm.site.serve().await;
    let base = origin.url();
    let mut seeder = Running::start(swarm.options(&base, "seeder", true));
    seeder.installed().await;
    origin.shutdown().await;

    let report = installed(swarm.options(&base, "a", false)).await;
    assert_same(&swarm.site.source("1"), &swarm.site.target("a"));
    assert_eq!((report.bytes.origin, report.waste_bytes, report.sent_bytes), (0, 0, 0));
    assert_eq!(report.links, 1);
    let (sent, result) = seeder.stop().await;
    result.expect("installed");
    assert!(sent.sent_bytes >= report.bytes.peer, "pages and root count too");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_takes_little_more_than_one_copy() {
    const NODES: usize = 5;
    let swarm = Swarm::new().await;
    let source = swarm.site.source("1");
    write(&source, "data.pak", &noise(5, 20_000_000));
    let published = swarm.site.publish_naming(&source, "1.0", Vec::new()).await;
    let origin = swarm.site.serve().await;
    let reports = swarm.run_together(&origin.url(), NODES, &source).await;
    let from_peers: u64 = reports.iter().map(|report| report.bytes.peer).sum();
    for report in &reports {
        assert_eq!(report.bytes.peer + report.bytes.origin, report.release_bytes);
    }
    let copies = origin.counters().pack.body_bytes as f64 / published.totals.stored_bytes as f64;
    assert!(copies < 2.0, "{copies:.2} copies from the origin for {NODES} nodes");
    assert!(from_peers > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_consent_not_a_byte_is_sent() {
    let swarm = Swarm::new().await;
    swarm.publish_sample().await;
    let origin = swarm.site.serve().await;
    let mut options = swarm.options(&origin.url(), "silent", false);
    options.seed_for = SeedFor::Forever;
    let mut silent = Running::start(options);
    silent.installed().await;
    let report = installed(swarm.options(&origin.url(), "a", false)).await;
    assert_eq!(report.bytes.peer, 0);
    assert_eq!(silent.stop().await.0.sent_bytes, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_file_is_not_passed_on() {
    let swarm = Swarm::new().await;
    let source = swarm.site.source("1");
    // More than the memory for hot chunks would hide nothing: the seeder is started anew and reads from disk.
    make_sample(&source);
    swarm.site.publish_naming(&source, "1.0", Vec::new()).await;
    let origin = swarm.site.serve().await;
    installed(swarm.options(&origin.url(), "seeder", false)).await;
    let mut seeder = Running::start(swarm.options(&origin.url(), "seeder", true));
    seeder.installed().await;
    let path = swarm.site.target("seeder").join("data/big.pak");
    let mut bytes = std::fs::read(&path).expect("installed");
    bytes[2_500_000] ^= 1;
    std::fs::write(&path, bytes).expect("written");
    let slow = swarm.site.serve_slowly().await;
    let mut options = swarm.options(&slow.url(), "a", false);
    options.policy.goal = Goal::Offload;
    options.policy.offload_slack_permille = 0;
    let report = installed(options).await;
    assert_same(&source, &swarm.site.target("a"));
    assert!(report.bytes.peer > 0);
    assert_eq!((report.corrupt_bytes, report.peers_banned.len()), (0, 0), "nobody is blamed");
    seeder.stop().await.1.expect("installed");
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_finish_what_the_origin_began() {
    let swarm = Swarm::new().await;
    swarm.publish_sample().await;
    let origin = swarm.site.serve().await;
    let mut seeder = Running::start(swarm.options(&origin.url(), "seeder", true));
    seeder.installed().await;
    let broken = Crooked::start(&swarm.site.store_folder(), Manner::HoldsAfter { bytes: 500_000 }).await;
    let report = installed(swarm.options(&broken.url(), "a", false)).await;
    assert_same(&swarm.site.source("1"), &swarm.site.target("a"));
    assert!(report.bytes.peer > 0);
    seeder.stop().await.1.expect("installed");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_tracker_the_origin_is_enough() {
    let swarm = Swarm::new().await;
    swarm.publish_sample().await;
    let origin = swarm.site.serve().await;
    let mut options = swarm.options(&origin.url(), "a", true);
    options.seed_for = SeedFor::Time(Duration::ZERO);
    options.trackers = vec!["ws://127.0.0.1:9/".to_owned()];
    let report = installed(options).await;
    assert_eq!(report.bytes.peer, 0);
    assert_same(&swarm.site.source("1"), &swarm.site.target("a"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_port_is_told() {
    let swarm = Swarm::new().await;
    swarm.publish_sample().await;
    let origin = swarm.site.serve().await;
    let taken = UdpSocket::bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("port");
    let mut options = swarm.options(&origin.url(), "a", false);
    options.listen = taken.local_addr().expect("bound");
    let error = refused(options).await;
    assert_eq!(error.exit_code(), 15, "{error}");
    assert!(error.to_string().contains(&options_port(&taken)), "{error}");
}

fn options_port(socket: &UdpSocket) -> String {
    socket.local_addr().expect("bound").port().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_address_is_told() {
    let swarm = Swarm::new().await;
    swarm.publish_sample().await;
    let origin = swarm.site.serve().await;
    let mut node = Running::start(swarm.options(&origin.url(), "a", true));
    let event = node.wait_for(|event| matches!(event, Event::Listening { .. })).await;
    let Event::Listening { address } = event else { unreachable!("waited for it") };
    assert_ne!(address.port(), 0);
    node.installed().await;
    node.stop().await.1.expect("installed");
}

#[tokio::test(flavor = "multi_thread")]
async fn liars_are_banned_and_cost_little() {
    let swarm = Swarm::new().await;
    let source = swarm.site.source("1");
    make_sample(&source);
    let published = swarm.site.publish_naming(&source, "1.0", Vec::new()).await;
    let origin = swarm.site.serve().await;
    let mut liars = Vec::new();
    for _ in 0..3 {
        let chunks = published.totals.chunks;
        let pretence = Pretence { content: published.content.clone(), root: published.root, chunks };
        liars.push(evil::join(swarm.url(), pretence).await.to_string());
    }
    let mut seeder = Running::start(swarm.options(&origin.url(), "seeder", true));
    seeder.installed().await;
    let slow = swarm.site.serve_slowly().await;
    let mut options = swarm.options(&slow.url(), "a", false);
    options.policy.goal = Goal::Offload;
    options.policy.offload_slack_permille = 10;
    let report = installed(options).await;
    assert_same(&source, &swarm.site.target("a"));
    assert!(!report.peers_banned.is_empty());
    assert!(report.peers_banned.iter().all(|key| liars.contains(key)), "{:?}", report.peers_banned);
    // A liar is found out at its first answer; what was asked of it by then is all that it can spoil.
    assert!(report.corrupt_bytes <= 3 * 1_000_000, "{}", report.corrupt_bytes);
    seeder.stop().await.1.expect("installed");
}
