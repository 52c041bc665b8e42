//! A build of 4 GiB is published and got: how much memory each takes.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::bench::{Bench, roomy_folder};
use super::child::{self, Ended};
use super::needs::Need;
use super::node::get;
use super::row::{Row, Unit, Wanted};
use super::site::Site;

/// Size of the build.
const BUILD_BYTES: u64 = 4 << 30;
/// Room for the build, the store and the installation, and some air.
const FOLDER_BYTES: u64 = BUILD_BYTES * 7 / 2;
/// What it needs.
pub(super) const NEEDS: &[Need] = &[Need::DiskBytes(FOLDER_BYTES), Need::Optimised];
/// Most memory resident at a time, in bytes.
const RESIDENT_BYTES_MAX: f64 = 200.0 * 1024.0 * 1024.0;

/// Publishes and gets once: it takes minutes, and memory varies little.
///
/// # Errors
/// When a program fails.
pub(super) fn measure(bench: &mut Bench) -> Result<Vec<Row>> {
    let folder = roomy_folder(FOLDER_BYTES)?;
    let source = folder.path().join("source");
    bench.make_build(&source, BUILD_BYTES, &folder.path().join("generate.log"))?;
    let programs = bench.programs.clone();
    let mut site = bench.wait(Site::make(&programs, folder.path()))?;
    let published = bench.wait(site.publish(&source, "1"))?;
    bench.say(&format!("  published in {:.0} s", published.ended.took.as_secs_f64()));
    std::fs::remove_dir_all(&source).context("remove the build")?;
    bench.wait(site.serve())?;
    let got = bench.wait(fetch(&programs.node, &published.url(&site), folder.path()))?;
    Ok(vec![row("publish", &published.ended), row("get", &got)])
}

async fn fetch(node: &Path, url: &str, folder: &Path) -> Result<Ended> {
    let mut command = get(Command::new(node), url, &folder.join("into"));
    command.arg("--no-p2p");
    child::run(command, &folder.join("node.log")).await
}

fn row(measure: &str, ended: &Ended) -> Row {
    let resident = ended.spent.resident_bytes as f64;
    let reference = format!("4 GiB in {:.0} s", ended.took.as_secs_f64());
    Row::new(measure, Unit::Mebibytes, Wanted::Below(RESIDENT_BYTES_MAX), vec![resident]).beside(reference)
}
