//! Updates between real builds: what players fetch, beside the same builds in fixed blocks of 1 MiB and in chunks cut by
//! content alone.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use freshet_protocol::ChunkId;
use serde::Deserialize;

use super::bench::{Bench, roomy_folder};
use super::child;
use super::needs::Need;
use super::node::get;
use super::row::{Row, Unit, Wanted};
use super::site::Site;
use crate::tree::{TreeDigest, tree_files};

/// Builds in neighbouring versions, and the promise that they are part of.
const PAIRS: [Pair; 8] = [
    Pair { name: "panda3d", from: "1.10.13", to: "1.10.14", group: Group::Builds },
    Pair { name: "panda3d", from: "1.10.14", to: "1.10.15", group: Group::Builds },
    Pair { name: "phaser", from: "3.85.1", to: "3.85.2", group: Group::Builds },
    Pair { name: "three", from: "0.169.0", to: "0.170.0", group: Group::Builds },
    Pair { name: "pygame", from: "2.6.0", to: "2.6.1", group: Group::Further },
    Pair { name: "playcanvas", from: "2.2.0", to: "2.2.1", group: Group::Further },
    Pair { name: "panda3d-stored", from: "1.10.13", to: "1.10.14", group: Group::Archives },
    Pair { name: "panda3d-stored", from: "1.10.14", to: "1.10.15", group: Group::Archives },
];
/// Most bytes of all pairs of a group / bytes of fixed blocks.
const BUILDS_RATIO_MAX: f64 = 0.25;
const ARCHIVES_RATIO_MAX: f64 = 0.65;
/// Fixed blocks, in bytes, and how they are compressed.
const BLOCK_BYTES: usize = 1 << 20;
const BLOCK_ZSTD_LEVEL: i32 = 3;
/// Room for a pair of builds, the store and an installation.
const FOLDER_BYTES: u64 = 4 << 30;
/// Where the builds are, if not there where `make bench` puts them.
const CORPORA_VARIABLE: &str = "FRESHET_CORPORA";
/// What it needs.
pub(super) const NEEDS: &[Need] =
    &[Need::DiskBytes(FOLDER_BYTES), Need::Optimised, Need::Program("npm"), Need::Program("pip3")];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Group {
    Builds,
    /// Archives without compression.
    Archives,
    /// Shown, whatever they show.
    Further,
}

#[derive(Debug, Clone, Copy)]
struct Pair {
    name: &'static str,
    from: &'static str,
    to: &'static str,
    group: Group,
}

/// The last line of `publish --json`, as far as it is needed.
#[derive(Deserialize)]
struct PublishedLine {
    /// Of the release.
    bytes: u64,
    updates: Vec<Update>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
struct Update {
    delta_bytes: u64,
    chunk_bytes: u64,
    page_bytes: u64,
    without_deltas_bytes: u64,
    written_bytes: u64,
}

impl Update {
    fn fetched_bytes(&self) -> u64 {
        self.delta_bytes + self.chunk_bytes + self.page_bytes
    }
}

/// What one pair takes.
struct Measured {
    pair: Pair,
    update: Update,
    release_bytes: u64,
    fixed_bytes: u64,
    publish_cpu_s: f64,
    apply_cpu_s: f64,
}

/// Publishes each pair and updates an installation, once: bytes do not vary.
///
/// # Errors
/// When the builds cannot be fetched, or a program fails.
pub(super) fn measure(bench: &mut Bench) -> Result<Vec<Row>> {
    let corpora =
        std::env::var_os(CORPORA_VARIABLE).map_or_else(|| PathBuf::from("target/corpora"), PathBuf::from);
    let mut fetch = Command::new("scripts/corpora.sh");
    fetch.arg(&corpora);
    let log = roomy_folder(FOLDER_BYTES)?;
    bench.wait(child::run(fetch, &log.path().join("corpora.log"))).context("fetch the builds")?;
    let mut measured = Vec::new();
    for pair in PAIRS {
        measured.push(measure_pair(bench, &corpora, pair)?);
        let Measured { update, fixed_bytes, .. } = measured.last().expect("just added");
        bench.say(&format!("  {} of {fixed_bytes} bytes", update.fetched_bytes()));
    }
    Ok(rows(&measured))
}

fn measure_pair(bench: &mut Bench, corpora: &Path, pair: Pair) -> Result<Measured> {
    let Pair { name, from, to, .. } = pair;
    bench.say(&format!("  {name} {from} to {to}"));
    let [old, new] = [from, to].map(|version| corpora.join(format!("{name}-{version}")));
    let folder = roomy_folder(FOLDER_BYTES)?;
    let programs = bench.programs.clone();
    let mut site = bench.wait(Site::make(&programs, folder.path()))?;
    let first = bench.wait(site.publish(&old, "1"))?;
    bench.wait(site.serve())?;
    let into = folder.path().join("into");
    let log = folder.path().join("node.log");
    let node = |url: &str| {
        let mut command = get(Command::new(&programs.node), url, &into);
        command.arg("--no-p2p");
        child::run(command, &log)
    };
    bench.wait(node(&first.url(&site)))?;
    let published = bench.wait(site.publish(&new, "2"))?.ended;
    let line: PublishedLine = serde_json::from_str(&published.last_line)?;
    let update = *line.updates.first().context("publish tells of no update")?;
    let applied = bench.wait(node(&site.channel_url()))?;
    ensure!(TreeDigest::of(&new)? == TreeDigest::of(&into)?, "{name} {to} is not what was installed");
    Ok(Measured {
        pair,
        update,
        release_bytes: line.bytes,
        fixed_bytes: fixed_bytes(&old, &new)?,
        publish_cpu_s: published.spent.cpu_s,
        apply_cpu_s: applied.spent.cpu_s,
    })
}

fn rows(measured: &[Measured]) -> Vec<Row> {
    let total = |group, name: &str, max| {
        let of_group = || measured.iter().filter(move |one| one.pair.group == group);
        let ours: u64 = of_group().map(|one| one.update.fetched_bytes()).sum();
        let fixed: u64 = of_group().map(|one| one.fixed_bytes).sum();
        let by_content: u64 = of_group().map(|one| one.update.without_deltas_bytes).sum();
        let cpu: [f64; 2] =
            [of_group().map(|one| one.publish_cpu_s).sum(), of_group().map(|one| one.apply_cpu_s).sum()];
        let reference = format!(
            "{} of {}, CDC alone {}; CPU: publish {:.1} s, apply {:.1} s",
            Unit::Mebibytes.show(ours as f64),
            Unit::Mebibytes.show(fixed as f64),
            Unit::Mebibytes.show(by_content as f64),
            cpu[0],
            cpu[1]
        );
        Row::new(name, Unit::Ratio, Wanted::AtMost(max), vec![ours as f64 / fixed as f64]).beside(reference)
    };
    let mut rows = vec![
        total(Group::Builds, "all builds / fixed 1 MiB", BUILDS_RATIO_MAX),
        total(Group::Archives, "all stored archives / fixed 1 MiB", ARCHIVES_RATIO_MAX),
    ];
    rows.extend(measured.iter().map(|one| {
        let Measured { pair: Pair { name, from, to, .. }, update, release_bytes, fixed_bytes, .. } = one;
        let fetched = update.fetched_bytes() as f64;
        let reference = format!(
            "{}, {} of them lists; fixed 1 MiB {}; {} of {} written",
            Unit::Kibibytes.show(fetched),
            Unit::Kibibytes.show(update.page_bytes as f64),
            Unit::Kibibytes.show(*fixed_bytes as f64),
            Unit::Mebibytes.show(update.written_bytes as f64),
            Unit::Mebibytes.show(*release_bytes as f64)
        );
        let ratio = fetched / update.without_deltas_bytes as f64;
        Row::new(format!("{name} {from} -> {to} / CDC alone"), Unit::Ratio, Wanted::AtMost(1.0), vec![ratio])
            .beside(reference)
    }));
    rows
}

/// What a player fetches where files are cut into blocks of fixed size.
fn fixed_bytes(old: &Path, new: &Path) -> Result<u64> {
    let mut known = BTreeSet::new();
    for file in tree_files(old)? {
        for block in fs::read(old.join(file))?.chunks(BLOCK_BYTES) {
            known.insert(ChunkId::of(block));
        }
    }
    let mut bytes = 0;
    for file in tree_files(new)? {
        for block in fs::read(new.join(file))?.chunks(BLOCK_BYTES) {
            if known.insert(ChunkId::of(block)) {
                bytes += zstd::bulk::compress(block, BLOCK_ZSTD_LEVEL)?.len().min(block.len()) as u64;
            }
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_judged_as_a_whole_and_pairs_by_themselves() {
        let one = |at: usize, fetched: u64, without: u64| Measured {
            pair: PAIRS[at],
            update: Update {
                delta_bytes: fetched,
                chunk_bytes: 0,
                page_bytes: 0,
                without_deltas_bytes: without,
                written_bytes: 0,
            },
            release_bytes: 0,
            fixed_bytes: 1000,
            publish_cpu_s: 1.0,
            apply_cpu_s: 1.0,
        };
        let reached = |measured: &[Measured]| rows(measured).iter().map(Row::is_reached).collect::<Vec<_>>();
        assert_eq!(reached(&[one(0, 400, 500), one(2, 100, 100), one(6, 650, 900)]), [true; 5]);
        assert_eq!(
            reached(&[one(0, 400, 399), one(2, 101, 300), one(6, 651, 900)]),
            [false, false, false, true, true]
        );
    }

    #[test]
    fn blocks_that_are_known_cost_nothing() {
        let folder = tempfile::tempdir().expect("folder");
        let [old, new] = ["old", "new"].map(|name| folder.path().join(name));
        fs::create_dir_all(old.join("in")).expect("made");
        fs::create_dir_all(&new).expect("made");
        let block = |byte: u8| vec![byte; BLOCK_BYTES];
        fs::write(old.join("in/a"), [block(1), block(2)].concat()).expect("written");
        fs::write(new.join("b"), [block(2), block(1)].concat()).expect("written");
        assert_eq!(fixed_bytes(&old, &new).expect("read"), 0);
        fs::write(new.join("c"), [block(3), block(3)].concat()).expect("written");
        let packed = zstd::bulk::compress(&block(3), 3).expect("packed").len() as u64;
        assert_eq!(fixed_bytes(&old, &new).expect("read"), packed, "once");
    }
}
