//! A straight line over HTTP: the origin's packs in ranges, as many at a time as a node asks for, and nothing else. The
//! one file here that knows reqwest.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use freshet_protocol::limits::RANGE_BYTES;
use freshet_swarm::limits::FETCHES_MAX;
use reqwest::StatusCode;
use reqwest::header::RANGE;
use tokio::task::JoinSet;

use super::rate_since;
use super::sink::Sink;
use crate::live::Stage;

/// The packs of a release, cut into ranges.
#[derive(Debug)]
pub(in crate::figures) struct Packs {
    ranges: Vec<PackRange>,
}

/// A part of a pack, and where it goes to.
#[derive(Debug, Clone)]
struct PackRange {
    url: String,
    first: u64,
    last: u64,
    offset: u64,
}

impl Packs {
    /// Those of the release on stage.
    ///
    /// # Errors
    /// When the origin's store cannot be read.
    pub(in crate::figures) fn of(stage: &Stage) -> Result<Self> {
        let base = &stage.content;
        let content = base.splitn(4, '/').nth(3).context("a URL with a path")?;
        let folder = stage.folder.join("store").join(content).join("packs");
        let mut ranges = Vec::new();
        let mut offset = 0;
        for entry in std::fs::read_dir(&folder).with_context(|| format!("read {}", folder.display()))? {
            let path = entry?.path();
            if path.extension().is_some() {
                continue;
            }
            let name = path.file_name().context("a pack has a name")?.to_string_lossy().into_owned();
            let bytes = path.metadata()?.len();
            for first in (0..bytes).step_by(RANGE_BYTES as usize) {
                let last = bytes.min(first + RANGE_BYTES) - 1;
                ranges.push(PackRange { url: format!("{base}/packs/{name}"), first, last, offset });
                offset += last + 1 - first;
            }
        }
        Ok(Self { ranges })
    }

    /// Requests in which all of it can be asked for: no range reaches over the end of a pack.
    pub(in crate::figures) fn requests(&self) -> usize {
        self.ranges.len()
    }

    /// Fetches all of them; returns bytes a second.
    ///
    /// # Errors
    /// When the origin does not answer as it should.
    pub(super) async fn rate(&self, sink: Sink) -> Result<f64> {
        let client = reqwest::Client::builder().tcp_nodelay(true).build().context("make the HTTP client")?;
        let started = Instant::now();
        let mut workers = JoinSet::new();
        for worker in 0..FETCHES_MAX {
            let (client, sink) = (client.clone(), sink.clone());
            let ranges: Vec<PackRange> =
                self.ranges.iter().skip(worker).step_by(FETCHES_MAX).cloned().collect();
            workers.spawn(async move {
                for range in ranges {
                    fetch(&client, &range, &sink).await?;
                }
                anyhow::Ok(())
            });
        }
        while let Some(ended) = workers.join_next().await {
            ended.context("a worker ended badly")??;
        }
        Ok(rate_since(started, self.ranges.iter().map(|range| range.last + 1 - range.first).sum()))
    }
}

async fn fetch(client: &reqwest::Client, range: &PackRange, sink: &Sink) -> Result<()> {
    let PackRange { url, first, last, offset } = range;
    let mut response = client.get(url).header(RANGE, format!("bytes={first}-{last}")).send().await?;
    ensure!(response.status() == StatusCode::PARTIAL_CONTENT, "{url} answered {}", response.status());
    let mut run = sink.from(*offset);
    while let Some(part) = response.chunk().await? {
        run.take(&part)?;
    }
    let came = run.finish()?;
    ensure!(came == last + 1 - first, "{url}: {came} bytes instead of {}", last + 1 - first);
    Ok(())
}
