//! What the local gateway keeps.

use std::time::Duration;

use reqwest::StatusCode;
use tokio::time::Instant;

use crate::gate::{Gate, ask, body, cache, options, published};
use crate::site::Site;
use crate::tree::{noise, write};

#[tokio::test(flavor = "multi_thread")]
async fn what_was_read_is_kept_and_needs_no_origin() {
    let (site, origin) = published().await;
    let gate = Gate::start(options(&site, &origin.url())).await;
    body(&gate.file("1.0", "data/big.pak")).await;
    gate.stop().await;
    let base = origin.url();
    origin.shutdown().await;
    let gate = Gate::start(options(&site, &base)).await;
    assert!(body(&gate.file("1.0", "data/big.pak")).await == noise(1, 3_000_000));
    // What was not read is not there, and that is said before a byte is sent.
    let answer = ask(&gate.file("1.0", "small.txt"), &[]).await;
    assert_eq!(answer.status(), StatusCode::BAD_GATEWAY);
    let sentence = answer.text().await.expect("text");
    assert!(sentence.contains("neither the origin nor peers deliver"), "{sentence}");
    let answer = ask(&gate.file("2.0", "small.txt"), &[]).await;
    assert_eq!(answer.status(), StatusCode::BAD_GATEWAY);
    gate.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_changed_in_the_cache_is_got_anew() {
    let (site, origin) = published().await;
    let gate = Gate::start(options(&site, &origin.url())).await;
    let url = gate.file("1.0", "data/big.pak");
    body(&url).await;
    gate.stop().await;
    let mut spoilt = 0;
    let mut folders = vec![cache(&site)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("readable") {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.metadata().expect("there").len() == 3_000_000 {
                let mut bytes = std::fs::read(&path).expect("readable");
                bytes[1_000_000] ^= 1;
                std::fs::write(&path, bytes).expect("written");
                spoilt += 1;
            }
        }
    }
    assert_eq!(spoilt, 1);
    let before = origin.counters().pack.body_bytes;
    let gate = Gate::start(options(&site, &origin.url())).await;
    assert!(body(&gate.file("1.0", "data/big.pak")).await == noise(1, 3_000_000));
    let again = origin.counters().pack.body_bytes - before;
    assert!((1..600_000).contains(&again), "{again} bytes");
    gate.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cache_stays_within_its_bound() {
    let (site, origin) = published().await;
    let source = site.source("2");
    write(&source, "data/big.pak", &noise(2, 3_000_000));
    site.publish(&source, "2.0").await;
    let mut small = options(&site, &origin.url());
    small.cache_bytes_max = 4_000_000;
    let gate = Gate::start(small).await;
    for version in ["1.0", "2.0"] {
        body(&gate.file(version, "data/big.pak")).await;
    }
    let folders = || {
        let entries =
            std::fs::read_dir(cache(&site)).expect("readable").map(|entry| entry.expect("readable"));
        entries.filter(|entry| entry.file_name() != ".freshet").count()
    };
    let until = Instant::now() + Duration::from_secs(30);
    while folders() > 1 {
        assert!(Instant::now() < until, "both are kept");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // The one that was read last is the one that is left.
    let before = origin.counters().pack.body_bytes;
    assert!(body(&gate.file("2.0", "data/big.pak")).await == noise(2, 3_000_000));
    assert_eq!(origin.counters().pack.body_bytes, before);
    assert!(body(&gate.file("1.0", "data/big.pak")).await == noise(1, 3_000_000));
    gate.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_version_has_is_not_fetched_again() {
    let (site, origin) = published().await;
    let source = site.source("2");
    let mut changed = noise(1, 3_000_000);
    changed[1_500_000] ^= 1;
    write(&source, "data/renamed.pak", &changed);
    site.publish(&source, "2.0").await;
    let gate = Gate::start(options(&site, &origin.url())).await;
    body(&gate.file("1.0", "data/big.pak")).await;
    gate.stop().await;
    let before = origin.counters().pack.body_bytes;
    let gate = Gate::start(options(&site, &origin.url())).await;
    assert!(body(&gate.file("2.0", "data/renamed.pak")).await == changed);
    let packs = origin.counters().pack.body_bytes - before;
    assert!((1..1_100_000).contains(&packs), "{packs} bytes of packs");
    let report = gate.stop().await;
    assert_eq!(report.bytes.origin + report.bytes.local, 3_000_000, "{report:?}");
}

/// What a folder takes of the disk.
#[cfg(unix)]
fn taken_bytes(folder: &std::path::Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let entries = std::fs::read_dir(folder).expect("readable").map(|entry| entry.expect("readable"));
    let taken = |entry: std::fs::DirEntry| match entry.metadata().expect("there") {
        found if found.is_dir() => taken_bytes(&entry.path()),
        found => found.blocks() * 512,
    };
    entries.map(taken).sum()
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_is_read_loses_what_was_read_of_it_before() {
    let site = Site::new();
    let source = site.source("1");
    for (number, name) in (1..).zip(["a", "b"]) {
        write(&source, name, &noise(number, 3_000_000));
    }
    site.publish(&source, "1.0").await;
    let origin = site.serve().await;
    let mut small = options(&site, &origin.url());
    small.cache_bytes_max = 4_000_000;
    let gate = Gate::start(small).await;
    assert!(body(&gate.file("1.0", "a")).await == noise(1, 3_000_000));
    let mut reader = ask(&gate.file("1.0", "b"), &[]).await;
    let mut bytes = reader.chunk().await.expect("flows").expect("some").to_vec();
    let until = Instant::now() + Duration::from_secs(30);
    while taken_bytes(&cache(&site)) > 4_100_000 || origin.counters().pack.body_bytes < 6_000_000 {
        assert!(Instant::now() < until, "{} bytes are kept", taken_bytes(&cache(&site)));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    while let Some(more) = reader.chunk().await.expect("flows") {
        bytes.extend_from_slice(&more);
    }
    assert!(bytes == noise(2, 3_000_000));
    assert!(body(&gate.file("1.0", "a")).await == noise(1, 3_000_000));
    let packs = origin.counters().pack.body_bytes;
    // Some of it may have been in memory.
    assert!((6_000_000..9_010_000).contains(&packs), "{packs} bytes of packs");
    gate.stop().await;
}
