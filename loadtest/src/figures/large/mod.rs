//! A game of 60 GB in 480,000 chunks: that it is loaded and planned quickly and in little memory.
//!
//! No chunk's bytes are needed. A real node gets the real manifest from a real origin, up to the moment at which it asks
//! for the first chunk; the core with 30 links is measured in a process of its own.

mod core;
mod release;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use freshet_origin::{ServeOptions, Serving, Store, serve};
use tokio::time::{Instant, sleep};

use super::bench::{Bench, roomy_folder};
use super::child::{self, Child};
use super::needs::Need;
use super::node::get;
use super::row::{Row, Unit, Wanted, median};
use core::CoreMeasured;
pub(crate) use core::measure_core;

/// Positions of the release.
const CHUNKS: u32 = 480_000;
/// Size of each chunk, in bytes: 60 GB in all.
const CHUNK_BYTES: u32 = 125_000;
/// Links of the core.
const LINKS: u32 = 30;
/// Room for the manifest, twice.
const MANIFEST_BYTES: u64 = 256 << 20;
/// Room that a node wants to see before it begins.
const RELEASE_ROOM_BYTES: u64 = 62_000_000_000;
/// What it needs.
pub(super) const NEEDS: &[Need] = &[Need::Optimised, Need::RootOrDiskBytes(RELEASE_ROOM_BYTES)];

/// Most time to load and plan, in seconds.
const PLAN_S_MAX: f64 = 3.0;
/// Most memory of the node that has done so, in bytes.
const NODE_BYTES_MAX: f64 = 200.0 * 1024.0 * 1024.0;
/// Most memory of the core with its links, in bytes.
const CORE_BYTES_MAX: f64 = 64.0 * 1024.0 * 1024.0;
/// Most memory of what one peer holds, in bytes.
const LINK_BYTES_MAX: f64 = 64.0 * 1024.0;
/// Most processor time for one decision, in microseconds.
const DECISION_US_MAX: f64 = 20.0;
/// The node asks for its first chunk long before this, or something is wrong.
const FIRST_ASK_WITHIN: Duration = Duration::from_secs(60);
const FIRST_ASK_POLL: Duration = Duration::from_millis(2);

/// What a node spent until it asked for its first chunk.
#[derive(Debug, Clone, Copy)]
struct Loaded {
    took_s: f64,
    resident_bytes: f64,
}

/// Loads and plans the release.
///
/// # Errors
/// When the release cannot be made, or a process fails.
pub(super) fn measure(bench: &mut Bench) -> Result<Vec<Row>> {
    let folder = roomy_folder(MANIFEST_BYTES)?;
    let made = release::make(&folder.path().join("store"))?;
    let (mut loaded, mut cores) = (Vec::new(), Vec::new());
    for _ in 0..bench.runs {
        loaded.push(bench.wait(load(&bench.programs.node.clone(), folder.path(), &made))?);
        let core = bench.own(&["measure-core"])?;
        let line = bench.wait(child::run(core, &folder.path().join("core.log")))?.last_line;
        cores.push(serde_json::from_str(&line).with_context(|| format!("the core's measure is {line:?}"))?);
    }
    Ok(rows(&loaded, &cores))
}

fn rows(loaded: &[Loaded], cores: &[CoreMeasured]) -> Vec<Row> {
    let of_core = |value: fn(&CoreMeasured) -> f64| cores.iter().map(value).collect::<Vec<f64>>();
    let both = |load: fn(&Loaded) -> f64, core: fn(&CoreMeasured) -> f64| {
        loaded.iter().zip(cores).map(|(loaded, measured)| load(loaded) + core(measured)).collect::<Vec<f64>>()
    };
    let load_s = median(&loaded.iter().map(|loaded| loaded.took_s).collect::<Vec<_>>());
    let resident = median(&loaded.iter().map(|loaded| loaded.resident_bytes).collect::<Vec<_>>());
    let plan_ms = median(&of_core(|core| core.links_us / 1000.0));
    let links = median(&of_core(|core| core.links_bytes));
    let decisions = cores.first().map_or(0, |core| core.decisions);
    let row = |measure: &str, unit, max, values| Row::new(measure, unit, Wanted::AtMost(max), values);
    vec![
        row("load and plan", Unit::Seconds, PLAN_S_MAX, both(|load| load.took_s, |core| core.links_us / 1e6))
            .beside(format!("node to its first request {load_s:.2} s, {LINKS} links {plan_ms:.0} ms")),
        row(
            "memory of both",
            Unit::Mebibytes,
            NODE_BYTES_MAX,
            both(|load| load.resident_bytes, |core| core.links_bytes),
        )
        .beside(format!(
            "node {}, links {}",
            Unit::Mebibytes.show(resident),
            Unit::Mebibytes.show(links)
        )),
        row("core with 30 links", Unit::Mebibytes, CORE_BYTES_MAX, of_core(|core| core.core_bytes))
            .beside("resident after all decisions"),
        row("what one peer holds", Unit::Kibibytes, LINK_BYTES_MAX, of_core(|core| core.link_bytes))
            .beside(format!("one bit a chunk: {}", Unit::Kibibytes.show(f64::from(CHUNKS) / 8.0))),
        row("one decision", Unit::Microseconds, DECISION_US_MAX, of_core(|core| core.decision_us))
            .beside(format!("processor time, mean of {decisions}")),
    ]
}

/// Starts a node and waits until the origin is asked for chunks. There are none, so the node is ended then.
async fn load(node: &Path, folder: &Path, made: &release::Made) -> Result<Loaded> {
    let origin = origin(&folder.join("store")).await?;
    let into = folder.join("into");
    std::fs::create_dir(&into).context("make the folder to install into")?;
    let mut command = get(with_room(node, &into), &format!("{}{}", origin.url(), made.channel), &into);
    command.args(["--no-p2p", "--key", &made.key]);
    let mut node = Child::start(command, &folder.join("node.log"))?;
    let deadline = Instant::now() + FIRST_ASK_WITHIN;
    while origin.counters().pack.requests == 0 {
        ensure!(Instant::now() < deadline, "the node has not asked for a chunk after {FIRST_ASK_WITHIN:?}");
        tokio::select! {
            ended = node.end() => {
                ended?;
                bail!("the node ended before it asked for a chunk: {}", node.last_words());
            }
            () = sleep(FIRST_ASK_POLL) => {}
        }
    }
    let loaded =
        Loaded { took_s: node.age().as_secs_f64(), resident_bytes: node.spent().resident_bytes as f64 };
    node.kill();
    node.end().await?;
    origin.shutdown().await;
    std::fs::remove_dir_all(&into).context("remove what the node began")?;
    Ok(loaded)
}

/// A command that runs `node` and lets it see room for the release in `into`, as it asks for before it begins. Root
/// gives it a file system in memory that is larger than any memory, in a mount namespace that goes with the process.
fn with_room(node: &Path, into: &Path) -> Command {
    if !rustix::process::geteuid().is_root() {
        return Command::new(node);
    }
    let mut command = Command::new("unshare");
    let script = r#"mount -t tmpfs -o size="$1" freshet "$2" && shift 2 && exec "$@""#;
    command.args(["--mount", "sh", "-c", script, "sh"]);
    command.arg(RELEASE_ROOM_BYTES.to_string()).arg(into).arg(node);
    command
}

async fn origin(store: &Path) -> Result<Serving> {
    let store = Store::open(store.to_str().context("the store's path is not Unicode")?)?;
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    Ok(serve(ServeOptions::new(store, listen)).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_parts_count() {
        let loaded = [Loaded { took_s: 2.0, resident_bytes: 190.0 * 1048576.0 }];
        let core = CoreMeasured {
            links_us: 900_000.0,
            links_bytes: 9.0 * 1048576.0,
            core_bytes: 1.0,
            link_bytes: 60_000.0,
            decision_us: 5.0,
            decisions: 100_000,
        };
        let check = |core: CoreMeasured, expected: [bool; 5]| {
            let reached: Vec<bool> = rows(&loaded, &[core]).iter().map(Row::is_reached).collect();
            assert_eq!(reached, expected);
        };
        check(core, [true; 5]);
        check(CoreMeasured { links_us: 1_100_000.0, ..core }, [false, true, true, true, true]);
        check(CoreMeasured { links_bytes: 11.0 * 1048576.0, ..core }, [true, false, true, true, true]);
    }
}
