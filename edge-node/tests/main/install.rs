//! What is installed is what was published.

use crate::site::{Site, installed};
use crate::tree::{assert_same, make_sample};

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_entry_arrives() {
    let site = Site::new();
    let source = site.source("1");
    make_sample(&source);
    let published = site.publish(&source, "1.0").await;
    let origin = site.serve().await;
    let report = installed(site.options(&origin.url(), "a")).await;
    assert_same(&source, &site.target("a"));
    assert_eq!(report.version.as_deref(), Some("1.0"));
    assert_eq!(report.waste_bytes, 0);
    // One copy of each chunk, as stored, and nothing twice.
    let counters = origin.counters();
    assert_eq!(counters.pack.body_bytes, published.totals.stored_bytes);
    assert_eq!(report.origin_wire_bytes, counters.body_bytes);
    assert_eq!(report.origin_bytes_by_reason.values().sum::<u64>(), report.bytes.origin);
    assert!(report.bytes.origin < report.release_bytes, "a chunk at two places is fetched once");

    let again = installed(site.options(&origin.url(), "a")).await;
    assert_eq!((again.bytes.origin, again.bytes.local), (0, again.release_bytes));
    assert_eq!(origin.counters().pack, counters.pack);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_root_can_be_named_and_the_key_is_remembered() {
    let site = Site::new();
    let source = site.source("1");
    make_sample(&source);
    let published = site.publish(&source, "1.0").await;
    let origin = site.serve().await;
    let url = format!("{}/game/demo/roots/{}", origin.url().trim_end_matches('/'), published.root);
    let named = freshet_edge_node::GetOptions::new(&format!("{url}#key={}", site.key()), site.target("a"));
    let mut options = named.expect("good URL");
    options.policy.p2p = false;
    installed(options.clone()).await;
    assert_same(&source, &site.target("a"));
    options.key = None;
    installed(options).await;
}
