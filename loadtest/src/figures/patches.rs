//! A build of 1 GiB is published in four versions: what the last publish takes, with patches from the three before.

use anyhow::{Result, ensure};

use super::bench::{Bench, roomy_folder};
use super::needs::Need;
use super::row::{Row, Unit, Wanted};
use super::site::Site;
use crate::game_build::{Change, change_build};

/// Size of the build.
const BUILD_BYTES: u64 = 1 << 30;
/// Room for the build, the store, and some air.
const FOLDER_BYTES: u64 = BUILD_BYTES * 3;
/// What it needs.
pub(super) const NEEDS: &[Need] = &[Need::DiskBytes(FOLDER_BYTES), Need::Optimised];
/// Most memory resident at a time, in bytes.
const RESIDENT_BYTES_MAX: f64 = 300.0 * 1024.0 * 1024.0;
/// Least processor time / time: with two cores and one disk, both cores are used.
const CORES_MIN: f64 = 1.3;
/// In each version, one of so many bytes changes.
const CHANGE_EVERY_BYTES: u64 = 1 << 20;

/// Publishes once: it takes minutes, and memory varies little.
///
/// # Errors
/// When a program fails.
pub(super) fn measure(bench: &mut Bench) -> Result<Vec<Row>> {
    let folder = roomy_folder(FOLDER_BYTES)?;
    let source = folder.path().join("source");
    bench.make_build(&source, BUILD_BYTES, &folder.path().join("generate.log"))?;
    let programs = bench.programs.clone();
    let site = bench.wait(Site::make(&programs, folder.path()))?;
    let mut published = bench.wait(site.publish(&source, "1"))?;
    for version in 2..=4 {
        change_build(&source, Change { every_bytes: CHANGE_EVERY_BYTES, bytes: 1, seed: version })?;
        published = bench.wait(site.publish(&source, &version.to_string()))?;
        bench.say(&format!("  version {version} in {:.0} s", published.ended.took.as_secs_f64()));
    }
    let ended = published.ended;
    let deltas = ended.last_line.matches("\"deltas\":").count();
    ensure!(deltas == 3, "patches from three versions were to be made: {}", ended.last_line);
    let took_s = ended.took.as_secs_f64();
    let row = |measure, unit, wanted, value| Row::new(measure, unit, wanted, vec![value]);
    let resident_bytes = ended.spent.resident_bytes as f64;
    Ok(vec![
        row("publish, memory", Unit::Mebibytes, Wanted::AtMost(RESIDENT_BYTES_MAX), resident_bytes)
            .beside(format!("1 GiB, patches from 3 versions, in {took_s:.0} s")),
        row("publish, cores at work", Unit::Ratio, Wanted::AtLeast(CORES_MIN), ended.spent.cpu_s / took_s)
            .beside(format!("CPU {:.0} s", ended.spent.cpu_s)),
    ])
}
