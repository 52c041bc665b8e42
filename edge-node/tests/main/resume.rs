//! A download that is killed goes on where it was.

use crate::crooked::{Crooked, Manner};
use crate::program::{node, wait_for_line};
use crate::site::{Site, installed};
use crate::tree::{assert_same, make_sample};

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
