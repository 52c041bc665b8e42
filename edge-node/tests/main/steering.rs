//! Jobs that their owner steers while they run.

use std::io::Write;
use std::process::Stdio;
use std::time::{Duration, Instant};

use freshet_edge_node::{Control, Event, GetError, Pause, Policy, SeedFor, WhilePlaying, Wishes};

use crate::peers::Swarm;
use crate::program::{node, wait_for_line};
use crate::site::{Running, Site, installed};
use crate::tree::{assert_same, noise, write};

const BYTES: u64 = 4_000_000;
/// What a pause may lose of what was on its way.
const ON_ITS_WAY: u64 = 1_500_000;

async fn published() -> Site {
    let site = Site::new();
    let source = site.source("1");
    write(&source, "data.pak", &noise(1, BYTES as usize));
    site.publish(&source, "1.0").await;
    site
}

fn is_paused(event: &Event) -> bool {
    matches!(event, Event::Paused { .. })
}

fn has_fetched(event: &Event) -> bool {
    matches!(event, Event::Progress { done_bytes: 1.., .. })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_is_one_and_what_was_fetched_stays() {
    let site = published().await;
    let origin = site.serve_slowly().await;
    let options = site.options(&origin.url(), "a");
    let control = options.control.clone();
    let mut job = Running::start(options);
    job.wait_for(has_fetched).await;
    control.change(|wishes| wishes.paused = true);
    let paused = job.wait_for(is_paused).await;
    assert_eq!(paused, Event::Paused { pause: Pause::Asked });
    let sent = origin.counters().body_bytes;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(origin.counters().body_bytes, sent, "nothing is fetched");
    control.change(|wishes| wishes.playing = true);
    control.change(|wishes| wishes.paused = false);
    assert_eq!(job.wait_for(is_paused).await, Event::Paused { pause: Pause::Playing });
    control.change(|wishes| *wishes = Wishes::default());
    job.wait_for(|event| *event == Event::Resumed).await;
    job.installed().await;
    let (report, result) = job.end().await;
    result.expect("installed");
    assert_same(&site.source("1"), &site.target("a"));
    assert_eq!((report.bytes.origin, report.bytes.local), (BYTES, 0), "counted once, over the pauses");
    let sent = origin.counters().pack.body_bytes;
    assert!((BYTES..BYTES + ON_ITS_WAY).contains(&sent), "{sent} of {BYTES}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_job_can_be_stopped() {
    let site = published().await;
    let origin = site.serve().await;
    let options = site.options(&origin.url(), "a");
    options.control.change(|wishes| wishes.paused = true);
    let mut job = Running::start(options);
    job.wait_for(is_paused).await;
    let (_, result) = job.stop().await;
    assert!(matches!(result, Err(GetError::Stopped)));
    assert_eq!(origin.counters().connections, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_paused_job_says_at_its_end_is_true() {
    let site = published().await;
    let origin = site.serve().await;
    let mut options = site.options(&origin.url(), "a");
    options.seed_for = SeedFor::Forever;
    let control = options.control.clone();
    let start = || Running::start(options.clone());
    let pause = async |job: &mut Running| {
        job.installed().await;
        control.change(|wishes| wishes.paused = true);
        job.wait_for(is_paused).await;
    };
    let mut job = start();
    pause(&mut job).await;
    let (report, result) = job.stop().await;
    result.expect("it is installed");
    assert!(report.installed);

    // Another version is out when it goes on, and does not come.
    control.change(|wishes| wishes.paused = false);
    let mut job = start();
    pause(&mut job).await;
    let second = site.source("2");
    write(&second, "data.pak", &noise(2, BYTES as usize));
    site.publish(&second, "2.0").await;
    site.content_files("packs").iter().for_each(|pack| std::fs::remove_file(pack).expect("removed"));
    control.change(|wishes| wishes.paused = false);
    job.wait_for(|event| matches!(event, Event::Release { version, .. } if version == "2.0")).await;
    let (report, result) = job.stop().await;
    result.expect_err("it is not installed");
    assert_eq!((report.version.as_deref(), report.installed), (Some("2.0"), false));
}

#[tokio::test(flavor = "multi_thread")]
async fn at_every_hour_one_half_of_the_day_is_over() {
    let site = published().await;
    let origin = site.serve().await;
    let mut paused = 0;
    for (name, hours) in [("a", "00:00-12:00"), ("b", "12:00-24:00")] {
        let options = site.options(&origin.url(), name);
        let control = options.control.clone();
        control.change(|wishes| wishes.hours = Some(hours.parse().expect("hours")));
        let mut job = Running::start(options);
        let first = job.wait_for(|event| is_paused(event) || *event == Event::Installed).await;
        if is_paused(&first) {
            paused += 1;
            control.change(|wishes| wishes.hours = None);
            job.installed().await;
        }
        job.end().await.1.expect("installed");
    }
    assert_eq!(paused, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_is_fetched_keeps_to_the_limit() {
    let swarm = Swarm::new().await;
    let source = swarm.site.source("1");
    write(&source, "data.pak", &noise(1, BYTES as usize));
    swarm.site.publish_naming(&source, "1.0", vec![swarm.url()]).await;
    let origin = swarm.site.serve().await;
    let mut seeder = Running::start(swarm.options(&origin.url(), "seeder", true));
    seeder.installed().await;
    for p2p in [false, true] {
        let mut options = swarm.options(&origin.url(), &format!("p2p-{p2p}"), false);
        options.policy.p2p = p2p;
        let control = options.control.clone();
        let limited = Policy { download_bytes_s_max: Some(1_000_000), ..options.policy };
        control.change(|wishes| wishes.policy = Some(limited));
        let begun = Instant::now();
        let mut job = Running::start(options);
        let half = |event: &Event| matches!(event, Event::Progress { done_bytes: 2_000_000.., .. });
        job.wait_for(half).await;
        let took = begun.elapsed();
        assert!(took > Duration::from_millis(1500), "half of it after {took:?}");
        // Lifted, it holds no longer: the rest would take two seconds.
        control.change(|wishes| wishes.policy = None);
        job.installed().await;
        let (report, result) = job.end().await;
        result.expect("installed");
        assert!(begun.elapsed() - took < Duration::from_millis(1500), "{:?}", begun.elapsed() - took);
        assert_eq!(report.waste_bytes, 0, "{report:?}");
    }
    seeder.stop().await.1.expect("installed");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_game_is_played_nothing_is_handed_out() {
    let swarm = Swarm::new().await;
    let source = swarm.site.source("1");
    // More than a node asks of the origin before it has a link.
    write(&source, "data.pak", &noise(1, 4_000_000));
    swarm.site.publish_naming(&source, "1.0", vec![swarm.url()]).await;
    // There is time for links.
    let origin = swarm.site.serve_slowly().await;
    let options = swarm.options(&origin.url(), "seeder", true);
    let control = options.control.clone();
    let mut seeder = Running::start(options);
    seeder.installed().await;
    control.change(|wishes| {
        wishes.playing = true;
        wishes.while_playing = WhilePlaying::BytesPerSecond(100_000);
    });
    // It takes part anew, without sharing.
    seeder.wait_for(|event| matches!(event, Event::Listening { .. })).await;
    let alone = installed(swarm.options(&origin.url(), "a", false)).await;
    assert_eq!((alone.bytes.peer, alone.bytes.origin), (0, 4_000_000));
    control.change(|wishes| wishes.playing = false);
    // Each time that it takes part it finds the release installed; the last time counts.
    seeder.wait_for(|event| matches!(event, Event::Listening { .. })).await;
    seeder.installed().await;
    let mut options = swarm.options(&origin.url(), "b", false);
    options.policy.goal = freshet_edge_node::Goal::Offload;
    let again = installed(options).await;
    assert!(again.bytes.peer > 0, "{again:?}");
    let (report, result) = seeder.stop().await;
    result.expect("installed");
    assert!(report.sent_bytes >= again.bytes.peer);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_of_sharing_goes_on_after_a_pause() {
    let site = published().await;
    let origin = site.serve().await;
    let mut options = site.options(&origin.url(), "a");
    options.seed_for = SeedFor::Time(Duration::from_secs(2));
    let control: Control = options.control.clone();
    let begun = Instant::now();
    let mut job = Running::start(options);
    job.installed().await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    control.change(|wishes| wishes.paused = true);
    job.wait_for(is_paused).await;
    control.change(|wishes| wishes.paused = false);
    job.end().await.1.expect("installed");
    let took = begun.elapsed();
    assert!((Duration::from_secs(2)..Duration::from_millis(3400)).contains(&took), "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_launcher_steers_the_program_by_stdin() {
    let site = published().await;
    let origin = site.serve().await;
    let mut command = node(&site, &origin.url(), &site.target("a"));
    let mut child =
        command.args(["--stdin", "--limit-rate", "200kB/s"]).stdin(Stdio::piped()).spawn().expect("starts");
    let mut stdin = child.stdin.take().expect("piped");
    let mut say = |line: &str| writeln!(stdin, "{line}").expect("it listens");
    say("{\"paused\":true}");
    say("nonsense");
    wait_for_line(&mut child, |line| line["event"] == "paused" && line["pause"] == "asked");
    say("{\"paused\":false,\"download_rate\":null}");
    wait_for_line(&mut child, |line| line["event"] == "resumed");
    wait_for_line(&mut child, |line| line["event"] == "done");
    let output = child.wait_with_output().expect("ends");
    assert_eq!(output.status.code(), Some(0));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        errors.contains("\"nonsense\" is no JSON object like {\"paused\":true}; nothing changes"),
        "{errors}"
    );
    assert_same(&site.source("1"), &site.target("a"));

    // A launcher that went away takes its node with it.
    let mut command = node(&site, &origin.url(), &site.target("b"));
    let mut child =
        command.args(["--stdin", "--limit-rate", "200kB/s"]).stdin(Stdio::piped()).spawn().expect("starts");
    wait_for_line(&mut child, |line| line["event"] == "progress");
    drop(child.stdin.take());
    let last = wait_for_line(&mut child, |line| line["event"] == "failed");
    assert_eq!(last["code"], 130);
    assert_eq!(child.wait().expect("ends").code(), Some(130));
}

#[tokio::test(flavor = "multi_thread")]
async fn under_a_low_limit_many_peers_waste_nothing() {
    let swarm = Swarm::new().await;
    let source = swarm.site.source("1");
    write(&source, "data.pak", &noise(1, 1_500_000));
    swarm.site.publish_naming(&source, "1.0", vec![swarm.url()]).await;
    let origin = swarm.site.serve().await;
    let mut seeders = Vec::new();
    for number in 0..6 {
        let mut seeder = Running::start(swarm.options(&origin.url(), &format!("seeder-{number}"), true));
        seeder.installed().await;
        seeders.push(seeder);
    }
    let mut options = swarm.options(&origin.url(), "a", false);
    options.policy.download_bytes_s_max = Some(300_000);
    let report = installed(options).await;
    assert_eq!(report.waste_bytes, 0, "{report:?}");
    assert!(report.bytes.peer > report.bytes.origin, "{report:?}");
    for seeder in seeders {
        seeder.stop().await.1.expect("installed");
    }
}
