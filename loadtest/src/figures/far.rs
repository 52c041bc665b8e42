//! P2P off at 40 ms round trip: the node beside curl in the same laboratory, both fetching one file from one origin.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use freshet_origin::Counters;
use tokio::time::{Instant, sleep};

use super::bench::Bench;
use super::child;
use super::far_file::FarFile;
use super::node::get;
use super::row::{Row, Unit, Wanted, median};
use super::wire::Packs;

/// Least rate of the node / rate of curl.
const RATIO_MIN: f64 = 0.95;
/// Size of the file: long enough that fetching a manifest first is a small part of it.
const FILE_BYTES: usize = 256 << 20;
/// The origin writes each second what it sent.
const ORIGIN_REPORTS_WITHIN: Duration = Duration::from_secs(5);
const ORIGIN_REPORT_POLL: Duration = Duration::from_millis(50);

/// Both, in turns.
///
/// # Errors
/// When one of them fails.
pub(super) fn measure(bench: &mut Bench) -> Result<Vec<Row>> {
    let file = FarFile::publish(bench, FILE_BYTES)?;
    let (mut curl_s, mut node_s, mut requests) = (Vec::new(), Vec::new(), Vec::new());
    for turn in 0..bench.runs {
        // Whoever comes second finds a warmer machine, so they take turns.
        let curl_first = turn % 2 == 0;
        for is_curl in [curl_first, !curl_first] {
            if is_curl {
                curl_s.push(bench.wait(by_curl(&file))?);
            } else {
                let (took_s, asked) = bench.wait(by_node(&file))?;
                node_s.push(took_s);
                requests.push(asked);
            }
        }
        bench.say(&format!("  curl {:.2} s, node {:.2} s", median(&curl_s), median(&node_s)));
    }
    let ratios = curl_s.iter().zip(&node_s).map(|(curl, node)| curl / node).collect();
    let reference = format!("node {:.2} s, curl {:.2} s", median(&node_s), median(&curl_s));
    let rate = Row::new("rate of node / curl", Unit::Ratio, Wanted::AtLeast(RATIO_MIN), ratios);
    let requests_max = Packs::of(&file.stage)?.requests() as f64;
    let asked = Row::new("origin requests for chunks", Unit::Count, Wanted::AtMost(requests_max), requests);
    Ok(vec![rate.beside(reference), asked.every_run().beside("one per 4 MiB of each of its packs")])
}

/// From the start of curl to its end, in seconds. It reads the origin's plain file view.
async fn by_curl(file: &FarFile) -> Result<f64> {
    let folder = &file.stage.folder;
    let into = folder.join("curl");
    let mut command = file.curl()?;
    command.arg("--output").arg(&into).arg(file.url());
    let ended = child::run(command, &folder.join("curl.log")).await?;
    let bytes = std::fs::metadata(&into).context("look at what curl fetched")?.len();
    ensure!(bytes == FILE_BYTES as u64, "curl fetched {bytes} bytes");
    std::fs::remove_file(&into).context("remove what curl fetched")?;
    Ok(ended.took.as_secs_f64())
}

/// From the start of the node to its end, in seconds, and the requests for chunks that the origin got.
async fn by_node(file: &FarFile) -> Result<(f64, f64)> {
    let stage = &file.stage;
    let report = stage.origin_report();
    let before = counters(&report)?;
    let into = stage.folder.join("node");
    let mut command = get(file.command(&stage.programs.node)?, &stage.url, &into);
    command.arg("--no-p2p");
    let ended = child::run(command, &stage.folder.join("node.log")).await?;
    std::fs::remove_dir_all(&into).context("remove what the node fetched")?;
    let deadline = Instant::now() + ORIGIN_REPORTS_WITHIN;
    let sent = loop {
        let after = counters(&report)?;
        if after.pack.body_bytes >= before.pack.body_bytes + stage.published.stored_bytes {
            break after;
        }
        ensure!(Instant::now() < deadline, "the origin does not report what it sent");
        sleep(ORIGIN_REPORT_POLL).await;
    };
    Ok((ended.took.as_secs_f64(), (sent.pack.requests - before.pack.requests) as f64))
}

fn counters(report: &Path) -> Result<Counters> {
    let json = std::fs::read(report).context("read the origin's report")?;
    serde_json::from_slice(&json).context("read the origin's report")
}
