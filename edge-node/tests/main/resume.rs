//! A download that is killed goes on where it was.

use crate::crooked::{Crooked, Manner};
use crate::program::{node, wait_for_line};
use crate::site::{Site, installed};
use crate::tree::{assert_same, make_sample, write};

/// Bytes that may be fetched twice: six fetches may be in the middle of a chunk of up to 512 KiB when the kill comes.
const REPEATED_BYTES_MAX: u64 = 6 * (512 << 10);

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_download_fetches_the_rest_alone() {
    for hold_after in [0, 700_000, 2_500_000, 5_000_000] {
        let site = Site::new();
        let source = site.source("1");
        make_sample(&source);
        let published = site.publish(&source, "1.0").await;
        let mut held = Crooked::start(&site.store_folder(), Manner::HoldsAfter { bytes: hold_after }).await;
        let mut child = node(&site, &held.url(), &site.target("a")).spawn().expect("starts");
        held.holds().await;
        let arrived = hold_after.saturating_sub(REPEATED_BYTES_MAX);
        let mut child = tokio::task::spawn_blocking(move || {
            wait_for_line(&mut child, |line| {
                line["event"] == "progress" && line["bytes"]["origin"].as_u64() >= Some(arrived)
            });
            child
        })
        .await
        .expect("the line comes");
        // SIGKILL: nothing of the program runs any more.
        child.kill().expect("runs");
        child.wait().expect("ends");

        let origin = site.serve().await;
        installed(site.options(&origin.url(), "a")).await;
        assert_same(&source, &site.target("a"));
        let fetched = held.pack_bytes() + origin.counters().pack.body_bytes;
        let repeated = fetched - published.totals.stored_bytes;
        assert!(repeated <= REPEATED_BYTES_MAX, "{repeated} bytes twice after {hold_after}");
    }
}

/// Files of the release whose install is killed.
const MANY: usize = 1200;

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_install_ends_well() {
    let site = Site::new();
    for version in ["1", "2"] {
        let source = site.source(version);
        for number in 0..MANY {
            let text = format!("{version} {}", if number % 3 == 0 { "same" } else { version });
            write(&source, &format!("many/{number:04}"), text.as_bytes());
        }
        write(&source, &format!("only-in-{version}/file"), b"x");
    }
    site.publish(&site.source("1"), "1.0").await;
    let origin = site.serve().await;
    let names = ["a", "b"];
    for name in names {
        installed(site.options(&origin.url(), name)).await;
    }
    site.publish(&site.source("2"), "2.0").await;
    let mut hits = 0;
    for (name, file) in names.into_iter().zip([0, MANY / 2]) {
        let target = site.target(name);
        let child = node(&site, &origin.url(), &target).spawn().expect("starts");
        let watched = target.clone();
        let kill = move || kill_when_placed(child, &watched, file);
        tokio::task::spawn_blocking(kill).await.expect("killed");
        hits += usize::from(target.join(".freshet/install-intent.json").exists());
        let report = installed(site.options(&origin.url(), name)).await;
        assert!(report.moved_aside.is_empty(), "{:?}", report.moved_aside);
        assert_same(&site.source("2"), &target);
    }
    assert!(hits > 0, "no kill came in the middle of an install");
}

/// Kills the program as soon as this file has its new content.
fn kill_when_placed(mut child: std::process::Child, target: &std::path::Path, file: usize) {
    let path = target.join(format!("many/{file:04}"));
    let is_placed = || std::fs::read(&path).is_ok_and(|bytes| bytes.starts_with(b"2"));
    while !is_placed() && child.try_wait().expect("runs").is_none() {
        std::thread::yield_now();
    }
    child.kill().expect("runs, or has ended");
    child.wait().expect("ends");
}
