//! How near one node comes to what the machine can do: files in memory, everybody on loopback, and beside it a straight
//! line over the same transport that hashes and writes and does nothing else.

mod http;
mod quic;
mod sink;

pub(super) use http::Packs;

use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::bench::{Bench, memory_folder};
use super::child::{self, Child};
use super::needs::Need;
use super::node::{Done, get};
use super::row::{Row, Unit, Wanted, median};
use crate::live::{Release, Stage};
use crate::plan::read_plan;
use crate::report::Shaping;
use sink::Sink;

/// What it needs.
pub(super) const NEEDS: &[Need] = &[Need::MemoryBytes(6 << 30), Need::Optimised];
/// Least rate of the node / rate of the straight line.
const RATIO_MIN: f64 = 0.8;
/// Share of the bytes that must come from where they are meant to. A node may ask the origin before its link is up.
const SHARE_MIN: f64 = 0.95;
/// What is fetched each time.
const BYTES: u64 = 1 << 30;
/// A chunk as releases have them on average, in bytes.
const CHUNK_BYTES: usize = 128 << 10;

/// Rates of one source, in bytes a second, a value for each run.
#[derive(Debug, Default)]
struct Rates {
    /// The transport alone.
    bare: Vec<f64>,
    /// With hashing and writing.
    straight: Vec<f64>,
    node: Vec<f64>,
}

/// Bare, straight and node in turns, from the origin and from a peer.
///
/// # Errors
/// When one of them fails, or the node got its bytes from elsewhere.
pub(super) fn measure(bench: &mut Bench) -> Result<Vec<Row>> {
    // Another figure may have installed it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let plan = read_plan("one", &[format!(r#"content={{"kind":"cut","bytes":{BYTES}}}"#)])?;
    let folder = memory_folder()?;
    let options = bench.options(Shaping::None, Release::OfPlan, bench.seeds().start);
    let stage = bench.wait(Stage::set(&plan, &options, folder.path()))?;
    std::fs::remove_dir_all(&stage.source).context("remove what was published")?;
    // It goes on sharing until it is dropped.
    let _seed = bench.wait(seed(&stage))?;
    let (mut origin, mut peer) = (Rates::default(), Rates::default());
    for _ in 0..bench.runs {
        let packs = Packs::of(&stage)?;
        origin.bare.push(bench.wait(packs.rate(Sink::Nothing))?);
        origin.straight.push(bench.wait(packs.rate(Sink::file(folder.path())?))?);
        origin.node.push(bench.wait(node_rate(&stage, &["--no-p2p"], |done| done.bytes.origin))?);
        peer.bare.push(bench.wait(quic::rate(BYTES, Sink::Nothing))?);
        peer.straight.push(bench.wait(quic::rate(BYTES, Sink::file(folder.path())?))?);
        let from_peer = ["--goal", "offload", "--offload-slack", "0", "--listen", "127.0.0.1:0"];
        peer.node.push(bench.wait(node_rate(&stage, &from_peer, |done| done.bytes.peer))?);
        bench.say(&format!("  from the origin: {}", words(&origin)));
        bench.say(&format!("  from a peer: {}", words(&peer)));
    }
    Ok(vec![
        row("node / straight line, from the origin", &origin),
        row("node / straight line, from a peer", &peer),
    ])
}

/// A node that has the release and hands it out.
async fn seed(stage: &Stage) -> Result<Child> {
    let command = stage.network.command("", &stage.programs.node)?;
    let mut command = get(command, &stage.url, &stage.folder.join("seed"));
    command.args(["--share", "--seed-for", "forever", "--listen", "127.0.0.1:0"]);
    let mut seed = Child::start(command, &stage.folder.join("seed.log"))?;
    seed.line(|line| line.contains(r#""event":"installed""#))
        .await
        .context("fetch the release beforehand")?;
    Ok(seed)
}

/// Lets a node fetch the release; `meant` picks the bytes that came from where they are meant to.
async fn node_rate(stage: &Stage, arguments: &[&str], meant: fn(&Done) -> u64) -> Result<f64> {
    let into = stage.folder.join("node");
    // Only now, as the straight line empties its file: memory that was freed a while ago costs much more to write to,
    // where the host of a virtual machine has taken it back.
    if into.exists() {
        std::fs::remove_dir_all(&into).context("remove what the node fetched before")?;
    }
    let mut command = get(stage.network.command("", &stage.programs.node)?, &stage.url, &into);
    command.args(arguments);
    let ended = child::run(command, &stage.folder.join("node.log")).await?;
    let done = Done::parse(&ended.last_line)?;
    let share = meant(&done) as f64 / done.release_bytes as f64;
    ensure!(share >= SHARE_MIN, "only {:.1} % came from where it should: {}", share * 100.0, ended.last_line);
    Ok(done.rate())
}

fn row(measure: &str, rates: &Rates) -> Row {
    let ratios = rates.node.iter().zip(&rates.straight).map(|(node, straight)| node / straight).collect();
    Row::new(measure, Unit::Share, Wanted::AtLeast(RATIO_MIN), ratios).beside(words(rates))
}

fn words(rates: &Rates) -> String {
    let [node, straight, bare] = [&rates.node, &rates.straight, &rates.bare].map(|rates| median(rates) / 1e6);
    format!("node {node:.0}, straight line {straight:.0}, bare {bare:.0} MB/s")
}

/// Bytes a second of `bytes` since `started`.
fn rate_since(started: std::time::Instant, bytes: u64) -> f64 {
    bytes as f64 / started.elapsed().as_secs_f64()
}

/// Where a straight line writes to within `folder`.
fn sink_path(folder: &Path) -> std::path::PathBuf {
    folder.join("straight-line")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn the_straight_line_over_quic_delivers_every_byte() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let _ = rustls::crypto::ring::default_provider().install_default();
        let bytes = 5 * CHUNK_BYTES as u64;
        for sink in [Sink::Nothing, Sink::file(folder.path()).expect("made")] {
            assert!(quic::rate(bytes, sink).await.expect("delivered") > 0.0);
        }
        assert_eq!(std::fs::metadata(sink_path(folder.path())).expect("written").len(), bytes);
    }

    #[test]
    fn each_run_is_compared_with_its_own_straight_line() {
        let rates = Rates { bare: vec![9e8], straight: vec![5e8, 4e8, 6e8], node: vec![4.5e8, 3.6e8, 3e8] };
        let row = row("x", &rates);
        assert_eq!((row.values.as_slice(), row.is_reached()), ([0.9, 0.9, 0.5].as_slice(), true));
        assert_eq!(row.reference, "node 360, straight line 500, bare 900 MB/s");
    }
}
