//! Updates by deltas.

use crate::peers::Swarm;
use crate::site::{Site, installed};
use crate::tree::{assert_same, make_sample, noise, write};

/// Two versions whose large file differs a little in ten places, and the patch between them.
pub(crate) async fn two_versions(site: &Site, trackers: Vec<String>) -> [std::path::PathBuf; 2] {
    let [first, second] = ["1", "2"].map(|name| site.source(name));
    for folder in [&first, &second] {
        make_sample(folder);
    }
    let mut big = noise(1, 8_000_000);
    write(&first, "data/big.pak", &big);
    for n in 0..10 {
        big.splice(n * 700_000..n * 700_000 + 5, noise(n as u64, 300));
    }
    write(&second, "data/big.pak", &big);
    write(&second, "data/new.pak", &noise(7, 400_000));
    site.publish_naming(&first, "1.0", trackers).await;
    [first, second]
}

#[tokio::test(flavor = "multi_thread")]
async fn deltas_are_fetched_and_what_is_new() {
    let site = Site::new();
    let [_, second] = two_versions(&site, Vec::new()).await;
    let origin = site.serve().await;
    installed(site.options(&origin.url(), "a")).await;
    let published = site.publish(&second, "2.0").await;
    let update = &published.updates[0].update;
    assert!(update.deltas >= 10 && update.fetched_bytes() < 450_000, "{update:?}");
    let before = origin.counters();
    let report = installed(site.options(&origin.url(), "a")).await;
    assert_same(&second, &site.target("a"));
    let after = origin.counters();
    let packs = after.pack.body_bytes - before.pack.body_bytes;
    assert_eq!(packs, update.delta_bytes + update.chunk_bytes, "no byte more, and none less");
    assert_eq!(after.page.body_bytes - before.page.body_bytes, update.page_bytes);
    assert_eq!(report.bytes.local + report.bytes.origin, report.release_bytes);
    assert!(!site.target("a").join(".freshet/deltas").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_older_file_was_edited_chunks_come_whole() {
    let site = Site::new();
    let [_, second] = two_versions(&site, Vec::new()).await;
    let origin = site.serve().await;
    installed(site.options(&origin.url(), "a")).await;
    let path = site.target("a").join("data/big.pak");
    let mut bytes = std::fs::read(&path).expect("installed");
    bytes[700_100] ^= 1;
    std::fs::write(&path, bytes).expect("written");
    let published = site.publish(&second, "2.0").await;
    let before = origin.counters().pack.body_bytes;
    let report = installed(site.options(&origin.url(), "a")).await;
    let fetched = origin.counters().pack.body_bytes - before;
    let update = &published.updates[0].update;
    assert!(fetched > update.delta_bytes + update.chunk_bytes + 30_000, "{fetched} for {update:?}");
    assert!(fetched < 3_000_000, "{fetched}");
    let [backup] = report.moved_aside.as_slice() else { panic!("{:?}", report.moved_aside) };
    std::fs::remove_file(backup).expect("there");
    assert_same(&second, &site.target("a"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patch_that_cannot_be_read_costs_bytes_and_nothing_else() {
    for collection in ["patches", "pages"] {
        let site = Site::new();
        let [_, second] = two_versions(&site, Vec::new()).await;
        let origin = site.serve().await;
        installed(site.options(&origin.url(), "a")).await;
        let known = site.content_files(collection);
        let published = site.publish(&second, "2.0").await;
        let pages = published.pages as usize;
        let mut fresh: Vec<_> =
            site.content_files(collection).into_iter().filter(|path| !known.contains(path)).collect();
        if collection == "pages" {
            // The release's own pages must stay good.
            fresh.retain(|path| !is_page_of_release(&site, path));
            assert!(pages > 0);
        }
        assert!(!fresh.is_empty(), "{collection}");
        for path in fresh {
            let mut bytes = std::fs::read(&path).expect("read");
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            std::fs::write(&path, bytes).expect("written");
        }
        installed(site.options(&origin.url(), "a")).await;
        assert_same(&second, &site.target("a"));
    }
}

/// Pages of releases have a form for browsers beside them.
fn is_page_of_release(_: &Site, path: &std::path::Path) -> bool {
    path.with_extension("gz").exists()
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_of_one_version_take_deltas_from_each_other() {
    const NODES: usize = 4;
    let swarm = Swarm::new().await;
    let [_, second] = two_versions(&swarm.site, vec![swarm.url()]).await;
    let origin = swarm.site.serve().await;
    for number in 0..NODES {
        installed(swarm.site.options(&origin.url(), &format!("n{number}"))).await;
    }
    let published = swarm.site.publish_naming(&second, "2.0", vec![swarm.url()]).await;
    let update = &published.updates[0].update;
    let before = origin.counters().pack.body_bytes;
    let reports = swarm.run_together(&origin.url(), NODES, &second).await;
    let from_peers: u64 = reports.iter().map(|report| report.bytes.peer).sum();
    let sent = origin.counters().pack.body_bytes - before;
    let copy = update.delta_bytes + update.chunk_bytes;
    assert!(sent < 2 * copy, "{sent} bytes from the origin, {copy} for each of {NODES} nodes");
    assert!(from_peers > copy, "{from_peers}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_was_taken_back_goes_back_by_deltas() {
    let site = Site::new();
    let [first, second] = two_versions(&site, Vec::new()).await;
    site.publish(&second, "2.0").await;
    let origin = site.serve().await;
    installed(site.options(&origin.url(), "a")).await;
    assert_same(&second, &site.target("a"));
    let update = &site.roll_back().await.updates[0].update;
    let before = origin.counters().pack.body_bytes;
    let report = installed(site.options(&origin.url(), "a")).await;
    assert_same(&first, &site.target("a"));
    assert_eq!(report.version.as_deref(), Some("1.0"));
    let fetched = origin.counters().pack.body_bytes - before;
    assert_eq!(fetched, update.delta_bytes + update.chunk_bytes);
    assert!(fetched < 100_000, "{fetched}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_update_takes_is_said_before() {
    let site = Site::new();
    let [_, second] = two_versions(&site, Vec::new()).await;
    let origin = site.serve().await;
    let planned = async || {
        let options = site.options(&origin.url(), "a");
        freshet_edge_node::plan(&options, tokio_util::sync::CancellationToken::new()).await.expect("planned")
    };
    let fetched = async || {
        let before = origin.counters().pack.body_bytes;
        installed(site.options(&origin.url(), "a")).await;
        origin.counters().pack.body_bytes - before
    };
    let first = planned().await;
    assert_eq!((first.installed.as_deref(), first.deltas, first.kept_bytes), (None, 0, 0));
    assert!(!site.target("a").join("data").exists(), "nothing is installed");
    assert_eq!(first.fetch_bytes, fetched().await);

    let update = site.publish(&second, "2.0").await.updates[0].update.clone();
    let plan = planned().await;
    assert_eq!((plan.installed.as_deref(), plan.version.as_str()), (Some("1.0"), "2.0"));
    assert_eq!((plan.deltas, plan.delta_bytes), (update.deltas, update.delta_bytes));
    assert_eq!((plan.chunks, plan.chunk_bytes), (update.chunks, update.chunk_bytes));
    assert!(plan.write_bytes > 8_000_000 && plan.temp_bytes >= plan.write_bytes, "{plan:?}");
    assert!(plan.copied_bytes > 5_000_000 && plan.kept_bytes > 0, "{plan:?}");
    assert_eq!(plan.fetch_bytes, fetched().await);
    let done = planned().await;
    assert_eq!((done.fetch_bytes, done.write_bytes, done.kept_bytes), (0, 0, done.release_bytes));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_reaches_its_share_and_the_others_keep_what_they_have() {
    const NODES: usize = 16;
    let site = Site::new();
    let [_, second] = two_versions(&site, Vec::new()).await;
    site.publish(&second, "2.0").await;
    site.roll_back().await;
    let origin = site.serve().await;
    let versions = async || {
        let mut versions = Vec::new();
        for number in 0..NODES {
            let report = installed(site.options(&origin.url(), &format!("n{number}"))).await;
            versions.push(report.version.expect("known"));
        }
        versions
    };
    assert!(versions().await.iter().all(|version| version == "1.0"));
    site.roll_out("2.0", 500).await;
    let some = versions().await;
    let taking = some.iter().filter(|version| *version == "2.0").count();
    // Of 16 installations all would be on one side once in 32,768 runs.
    assert!((1..NODES).contains(&taking), "{some:?}");
    assert_eq!(versions().await, some, "always the same ones");
    site.roll_out("2.0", 999).await;
    for (before, after) in some.iter().zip(versions().await) {
        assert!(after == "2.0" || before == "1.0", "a larger share holds the smaller one");
    }
    site.roll_back().await;
    assert!(versions().await.iter().all(|version| version == "1.0"));
}
