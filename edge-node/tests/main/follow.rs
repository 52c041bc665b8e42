//! A folder that is kept at what a channel shows.

use std::path::Path;
use std::time::Duration;

use freshet_edge_node::{Event, GetError, GetOptions, Report, follow};
use freshet_origin::publish;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::peers::Swarm;
use crate::site::Site;
use crate::tree::{assert_same, noise, write};

/// A follower that runs beside the test.
pub(crate) struct Following {
    stop: CancellationToken,
    events: mpsc::Receiver<Event>,
    task: JoinHandle<(Report, Result<(), GetError>)>,
}

impl Following {
    pub(crate) fn start(options: GetOptions) -> Self {
        let (sender, events) = mpsc::channel(64);
        let stop = CancellationToken::new();
        Self { task: tokio::spawn(follow(options, sender, stop.clone())), events, stop }
    }

    /// Waits for an event.
    pub(crate) async fn wait_for(&mut self, fits: impl Fn(&Event) -> bool) -> Event {
        let wait = async {
            loop {
                let event = self.events.recv().await.expect("it goes on");
                if fits(&event) {
                    return event;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(20), wait).await.expect("it does not take so long")
    }

    /// Waits until a version is installed.
    pub(crate) async fn installed(&mut self, wanted: &str) {
        let mut current = String::new();
        let wait = async {
            while let Some(event) = self.events.recv().await {
                match event {
                    Event::Release { version, .. } => current = version,
                    Event::Installed if current == wanted => return,
                    _ => {}
                }
            }
            panic!("it ended before {wanted} was installed");
        };
        tokio::time::timeout(Duration::from_secs(20), wait).await.expect("it does not take so long");
    }

    pub(crate) async fn stop(mut self) -> Report {
        self.stop.cancel();
        let (report, result) = loop {
            tokio::select! {
                ended = &mut self.task => break ended.expect("no panic"),
                Some(_) = self.events.recv() => {}
            }
        };
        result.expect("installed");
        report
    }
}

async fn publish_version(site: &Site, version: u64) {
    let source = site.source(&version.to_string());
    let mut big = noise(1, 1_000_000);
    big[500_000] = version as u8;
    write(&source, "data/big.pak", &big);
    site.publish(&source, &format!("{version}.0")).await;
}

fn assert_version(site: &Site, version: u64, folder: &Path) {
    assert_same(&site.source(&version.to_string()), folder);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_follows_its_channel() {
    let site = Site::new();
    publish_version(&site, 1).await;
    let origin = site.serve().await;
    let mut options = site.options(&origin.url(), "a");
    options.look_every = Some(Duration::from_millis(100));
    let mut following = Following::start(options);
    following.installed("1.0").await;
    assert_version(&site, 1, &site.target("a"));
    publish_version(&site, 2).await;
    following.installed("2.0").await;
    assert_version(&site, 2, &site.target("a"));
    // A version that is taken back is followed like any other.
    site.roll_back().await;
    following.installed("1.0").await;
    assert_version(&site, 1, &site.target("a"));
    // Asking costs no body while nothing changes.
    let looks = || origin.counters().pointer;
    let before = looks();
    let asked = async {
        while looks().requests < before.requests + 5 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), asked).await.expect("it asks");
    // The first answer after a new start tells how it is called.
    assert!(looks().body_bytes - before.body_bytes < 3000, "{:?} to {:?}", before, looks());
    assert_eq!(following.stop().await.version.as_deref(), Some("1.0"));
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_tell_each_other_what_is_new() {
    let swarm = Swarm::new().await;
    publish_version(&swarm.site, 1).await;
    let origin = swarm.site.serve().await;
    let start = |name: &str, look_every: Option<Duration>| {
        let mut options = swarm.options(&origin.url(), name, true);
        options.look_every = look_every;
        Following::start(options)
    };
    let mut looks = start("a", Some(Duration::from_millis(500)));
    let mut hears = start("b", None);
    looks.installed("1.0").await;
    hears.installed("1.0").await;
    publish_version(&swarm.site, 2).await;
    tokio::join!(looks.installed("2.0"), hears.installed("2.0"));
    assert_version(&swarm.site, 2, &swarm.site.target("b"));
    looks.stop().await;
    hears.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tracker_tells_those_who_ask_nobody() {
    let swarm = Swarm::new().await;
    publish_version(&swarm.site, 1).await;
    let origin = swarm.site.serve().await;
    // Without sharing there are no links between them.
    let mut followers: Vec<Following> =
        (0..3).map(|n| Following::start(swarm.options(&origin.url(), &format!("n{n}"), false))).collect();
    for follower in &mut followers {
        follower.installed("1.0").await;
    }
    let source = swarm.site.source("2");
    write(&source, "data/big.pak", b"new");
    // What another channel shows is not for them.
    let mut beta = swarm.site.publish_options(&source, "2.0");
    beta.channel.name = "beta".parse().expect("name");
    beta.channel.trackers = Some(vec![swarm.url()]);
    publish(beta).await.expect("published");
    swarm.site.publish_naming(&source, "2.0", vec![swarm.url()]).await;
    for follower in &mut followers {
        follower.installed("2.0").await;
    }
    let all_done = async {
        loop {
            let update = swarm.update().await.filter(|update| update.done_99_ms.is_some());
            match update {
                Some(update) => return update,
                None => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    };
    let update =
        tokio::time::timeout(Duration::from_secs(20), all_done).await.expect("the tracker hears of it");
    assert_eq!((update.version.as_str(), update.peers, update.started, update.done), ("2.0", 3, 3, 3));
    assert!(
        update.started_50_ms <= update.started_99_ms && update.started_99_ms <= update.done_99_ms,
        "{update:?}"
    );
    for follower in followers {
        follower.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn followers_spread_over_the_start_window() {
    let site = Site::new();
    publish_version(&site, 1).await;
    let origin = site.serve().await;
    let mut followers: Vec<Following> = (0..4)
        .map(|number| {
            let mut options = site.options(&origin.url(), &format!("n{number}"));
            options.look_every = Some(Duration::from_millis(100));
            Following::start(options)
        })
        .collect();
    for follower in &mut followers {
        follower.installed("1.0").await;
    }
    let source = site.source("2");
    write(&source, "data/big.pak", b"new");
    site.publish_with(&source, "2.0", |options| options.channel.start_window = Duration::from_secs(3)).await;
    let begun = tokio::time::Instant::now();
    let mut took = Vec::new();
    for mut follower in followers {
        let told = follower.events.recv().await;
        let is_told = |event: &Event| matches!(event, Event::NewVersion { version, start_window_s: 3 } if version == "2.0");
        let mut told = told.expect("it runs");
        while !is_told(&told) {
            told = follower.events.recv().await.expect("it runs");
        }
        took.push(tokio::spawn(async move {
            follower.installed("2.0").await;
            follower.stop().await;
            begun.elapsed()
        }));
    }
    let mut times = Vec::new();
    for follower in took {
        times.push(follower.await.expect("installed"));
    }
    times.sort_unstable();
    assert!(times[3] - times[0] > Duration::from_millis(100), "{times:?}");
    assert!(times[3] < Duration::from_secs(10), "{times:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_pass_is_tried_again_and_what_cannot_ends_it() {
    let site = Site::new();
    publish_version(&site, 1).await;
    let origin = site.serve().await;
    let url = origin.url();
    let address = url.trim_start_matches("http://").trim_end_matches('/').parse().expect("an address");
    origin.shutdown().await;
    let mut options = site.options(&url, "a");
    options.give_up_after = Duration::from_millis(100);
    let mut following = Following::start(options);
    let note = async {
        loop {
            match following.events.recv().await.expect("it runs") {
                Event::Note { message } if message.contains("trying again in") => return,
                _ => {}
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), note).await.expect("it tells");
    let _origin = site.serve_again(address).await;
    following.installed("1.0").await;
    following.stop().await;

    let (sender, _events) = mpsc::channel(8);
    let mut options = site.options(&url, "other");
    options.key = None;
    let (_, result) = follow(options, sender, CancellationToken::new()).await;
    assert!(matches!(result, Err(GetError::Usage(message)) if message.contains("no tenant key")));

    let (sender, _events) = mpsc::channel(8);
    let mut options = site.options(&url, "wrong");
    options.key = Some(freshet_protocol::SigningKey::from_seed(&[9; 32]).public());
    let (_, result) = follow(options, sender, CancellationToken::new()).await;
    assert!(matches!(result, Err(GetError::Forged(_))), "{result:?}");
}
