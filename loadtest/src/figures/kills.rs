//! A `get` that is killed (SIGKILL) again and again at random instants, on the way to a first installation and to an update,
//! and then ends well: what is installed is what was published, byte for byte.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::time::timeout;

use super::bench::{Bench, memory_folder};
use super::child::{self, Child};
use super::needs::Need;
use super::node::get;
use super::row::{Row, Unit, Wanted};
use super::site::Site;
use crate::game_build::{BuildKind, BuildSpec, Change, change_build, generate_build};
use crate::random::Random;
use crate::tree::TreeDigest;

/// What it needs.
pub(super) const NEEDS: &[Need] = &[Need::MemoryBytes(2 << 30)];
/// Times that a folder is filled and then updated.
const ROUNDS: u64 = 40;
/// Kills on the way to one installed release, at most.
const KILLS_MAX: u32 = 5;
/// Size of each release: several seconds of work for the kills to fall into.
const BUILD_BYTES: u64 = 200_000_000;
/// What changes in an update.
const CHANGE_EVERY_BYTES: u64 = 256 << 10;
const CHANGE_BYTES: u64 = 4 << 10;
/// A kill may come this much later than an undisturbed job takes, so that some come after its end.
const LATE_FACTOR: f64 = 1.1;

/// A published release.
struct Version {
    url: String,
    digest: TreeDigest,
}

/// What the kills hit.
#[derive(Debug, Default)]
struct Hits {
    kills: u64,
    /// Of these, in the middle of an install.
    installs: u64,
}

/// Installs and updates under kills.
///
/// # Errors
/// When a job that nobody kills fails, or leaves another tree than was published; names the seed.
pub(super) fn measure(bench: &mut Bench) -> Result<Vec<Row>> {
    let folder = memory_folder()?;
    let programs = bench.programs.clone();
    let mut site = bench.wait(Site::make(&programs, folder.path()))?;
    bench.wait(site.serve())?;
    let first_seed = bench.seeds().start;
    let source = folder.path().join("source");
    generate_build(&source, BuildSpec { kind: BuildKind::Game, bytes: BUILD_BYTES, seed: first_seed })?;
    let first = bench.wait(publish(&site, &source, "1"))?;
    change_build(&source, Change { every_bytes: CHANGE_EVERY_BYTES, bytes: CHANGE_BYTES, seed: first_seed })?;
    let second = bench.wait(publish(&site, &source, "2"))?;
    // The channel names the patch that leads there.
    let versions = [first, Version { url: site.channel_url(), ..second }];
    std::fs::remove_dir_all(&source).context("remove what was published")?;
    let node = &programs.node;
    let whole = bench.wait(child::run(
        get_command(node, &versions[0], &folder.path().join("undisturbed")),
        &folder.path().join("node.log"),
    ))?;
    let within = whole.took.mul_f64(LATE_FACTOR);
    let mut hits = Hits::default();
    for seed in first_seed..first_seed + ROUNDS {
        let into = folder.path().join(format!("into-{seed}"));
        let mut random = Random::new(seed);
        for version in &versions {
            bench.wait(install(node, version, &into, (&mut random, within), &mut hits)).with_context(
                || format!("under kills of seed {seed}; again: freshet-loadtest figures kills --seed {seed}"),
            )?;
        }
        std::fs::remove_dir_all(&into).context("remove what was installed")?;
    }
    let trees = (ROUNDS * versions.len() as u64) as f64;
    let reference = format!(
        "seeds {first_seed} to {}: {} kills, {} of them in an install",
        first_seed + ROUNDS - 1,
        hits.kills,
        hits.installs
    );
    Ok(vec![
        Row::new("trees as published", Unit::Count, Wanted::AtLeast(trees), vec![trees]).beside(reference),
    ])
}

async fn publish(site: &Site, source: &Path, version: &str) -> Result<Version> {
    let published = site.publish(source, version).await?;
    Ok(Version { url: published.url(site), digest: TreeDigest::of(source)? })
}

/// Gets a version, however often it is killed on the way.
async fn install(
    node: &Path,
    version: &Version,
    into: &Path,
    (random, within): (&mut Random, Duration),
    hits: &mut Hits,
) -> Result<()> {
    let log = into.with_extension("log");
    for _ in 0..KILLS_MAX {
        let mut job = Child::start(get_command(node, version, into), &log)?;
        let alive = Duration::from_micros(random.below(within.as_micros() as u64));
        match timeout(alive, job.end()).await {
            Ok(ended) => ensure!(ended?, "the node failed by itself: {}", job.last_words()),
            Err(_) => {
                job.kill();
                job.end().await?;
                hits.kills += 1;
                hits.installs += u64::from(into.join(".freshet/install-intent.json").exists());
            }
        }
    }
    child::run(get_command(node, version, into), &log).await?;
    let installed = TreeDigest::of(into)?;
    ensure!(
        installed == version.digest,
        "{} files and {} bytes are installed, and not the {} and {} that were published",
        installed.files,
        installed.bytes,
        version.digest.files,
        version.digest.bytes
    );
    Ok(())
}

fn get_command(node: &Path, version: &Version, into: &Path) -> Command {
    let mut command = get(Command::new(node), &version.url, into);
    command.arg("--no-p2p");
    command
}
