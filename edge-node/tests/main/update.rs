//! From one version to the next, with the owner's own files in between.

use crate::site::{Site, installed};
use crate::tree::{assert_same, entries, make_sample, noise, write};

/// Two versions: a changed file, a new one, a removed one, a folder that becomes a file and the reverse.
async fn two_versions(site: &Site) -> [std::path::PathBuf; 2] {
    let [first, second] = ["1", "2"].map(|name| site.source(name));
    for folder in [&first, &second] {
        make_sample(folder);
    }
    write(&first, "gone/old.bin", &noise(7, 300_000));
    write(&first, "turns/into-a-file", b"x");
    write(&first, "turns-into-a-folder", b"x");
    let mut big = noise(1, 5_000_000);
    big.splice(2_000_000..2_000_100, noise(9, 5000));
    write(&second, "data/big.pak", &big);
    write(&second, "turns", b"now a file");
    write(&second, "turns-into-a-folder/file", b"y");
    write(&second, "moved/old.bin", &noise(7, 300_000));
    site.publish(&first, "1.0").await;
    [first, second]
}

#[tokio::test(flavor = "multi_thread")]
async fn fetches_the_difference_alone() {
    let site = Site::new();
    let [first, second] = two_versions(&site).await;
    let origin = site.serve().await;
    installed(site.options(&origin.url(), "a")).await;
    assert_same(&first, &site.target("a"));

    site.publish(&second, "2.0").await;
    let before = origin.counters().pack.body_bytes;
    let report = installed(site.options(&origin.url(), "a")).await;
    assert_same(&second, &site.target("a"));
    let fetched = origin.counters().pack.body_bytes - before;
    assert!(fetched < 1_600_000, "{fetched} bytes for 5 kB of change");
    assert!(report.moved_aside.is_empty(), "{:?}", report.moved_aside);

    // Back is as good as forward, when the publisher says so under a new name.
    site.publish(&first, "2.1").await;
    installed(site.options(&origin.url(), "a")).await;
    assert_same(&first, &site.target("a"));
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_the_user_are_never_lost() {
    let site = Site::new();
    let [_, second] = two_versions(&site).await;
    let origin = site.serve().await;
    let target = site.target("a");
    write(&target, "saves/slot1", b"mine");
    write(&target, "small/0/0.txt", b"in the way");
    let report = installed(site.options(&origin.url(), "a")).await;
    let backup = target.join("small/0/0.txt.freshet-backup");
    assert_eq!(report.moved_aside, std::slice::from_ref(&backup));
    assert_eq!(std::fs::read(&backup).expect("kept"), b"in the way");
    assert_eq!(std::fs::read(target.join("small/0/0.txt")).expect("installed"), b"0");

    // Edited after the install: the update keeps the edit beside the new file, and does not remove an edited old one.
    write(&target, "data/big.pak", b"edited");
    write(&target, "gone/old.bin", b"edited too");
    write(&target, "turns/note", b"in a folder that goes");
    site.publish(&second, "2.0").await;
    installed(site.options(&origin.url(), "a")).await;
    let read = |name: &str| std::fs::read(target.join(name)).expect(name);
    assert_eq!(read("data/big.pak.freshet-backup"), b"edited");
    assert_eq!(read("gone/old.bin"), b"edited too");
    assert_eq!(read("turns"), b"now a file");
    assert_eq!(read("turns.freshet-backup/note"), b"in a folder that goes");
    assert_eq!(read("saves/slot1"), b"mine");
    for (path, entry) in entries(&second) {
        assert_eq!(entries(&target).get(&path), Some(&entry), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_is_repaired_by_fetching_what_is_damaged() {
    let site = Site::new();
    let source = site.source("1");
    make_sample(&source);
    site.publish(&source, "1.0").await;
    let origin = site.serve().await;
    installed(site.options(&origin.url(), "a")).await;
    let path = site.target("a").join("data/big.pak");
    let mut bytes = std::fs::read(&path).expect("installed");
    bytes[3_000_000] ^= 1;
    std::fs::write(&path, bytes).expect("written");
    std::fs::remove_file(site.target("a").join("small/1/1.txt")).expect("removed");
    let before = origin.counters().pack.body_bytes;
    let report = installed(site.options(&origin.url(), "a")).await;
    assert!(origin.counters().pack.body_bytes - before <= 512 << 10);
    assert_eq!(report.moved_aside.len(), 1, "the damaged file may be the owner's work");
    std::fs::remove_file(&report.moved_aside[0]).expect("there");
    assert_same(&source, &site.target("a"));
}
