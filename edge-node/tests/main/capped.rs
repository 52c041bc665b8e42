//! An origin that more is asked of than it may send: jobs come back as told, and end well.

use std::time::Duration;

use freshet_origin::Caps;

use crate::site::{Running, Site};
use crate::tree::{assert_same, noise};

const JOBS: usize = 8;
const FILE_BYTES: usize = 2_000_000;

#[tokio::test(flavor = "multi_thread")]
async fn all_complete_with_less_than_twice_the_requests() {
    let site = Site::new();
    let source = site.source("1");
    std::fs::write(source.join("data"), noise(1, FILE_BYTES)).expect("written");
    site.publish(&source, "1.0").await;
    let origin = site.serve_capped(Caps { bytes_s_max: Some(3_000_000), requests_s_max: None }).await;
    let names: Vec<String> = (0..JOBS).map(|number| format!("job{number}")).collect();
    let start = |name: &String| {
        let mut options = site.options(&origin.url(), name);
        // Who is told to wait has not failed, however long that takes.
        options.give_up_after = Duration::from_millis(300);
        Running::start(options)
    };
    let jobs: Vec<Running> = names.iter().map(start).collect();
    for (job, name) in jobs.into_iter().zip(&names) {
        let (_, result) = job.end().await;
        result.expect("installed");
        assert_same(&source, &site.target(name));
    }
    let pack = origin.shutdown().await.pack;
    assert!(pack.refused > 0, "that was no flood: {pack:?}");
    assert!(pack.requests < 2 * (pack.requests - pack.refused), "{pack:?}");
    assert!(pack.body_bytes < (JOBS as u64 + 1) * FILE_BYTES as u64, "nothing was begun anew: {pack:?}");
}
