//! One file at an origin 40 ms away, and a node behind a line of 100 Mbit/s: where programs that fetch it are put beside
//! each other.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use tempfile::TempDir;

use super::bench::{Bench, memory_folder};
use crate::live::{Release, Stage, node_host};
use crate::plan::read_plan;
use crate::random::Random;
use crate::report::Shaping;

const FILE_NAME: &str = "film.bin";
const PLAN: &str = "one-http";
const SETTINGS: [&str; 2] = ["origin.rtt_ms=40", "groups.0.rtt_ms=40"];

pub(super) struct FarFile {
    pub(super) stage: Stage,
    _folder: TempDir,
}

impl FarFile {
    /// Publishes a file of so many bytes.
    ///
    /// # Errors
    /// When the stage cannot be set.
    pub(super) fn publish(bench: &mut Bench, bytes: usize) -> Result<Self> {
        let plan = read_plan(PLAN, &SETTINGS.map(str::to_owned))?;
        let seed = bench.seeds().start;
        let folder = memory_folder()?;
        let source = folder.path().join("source");
        make(&source, bytes, seed)?;
        let options = bench.options(Shaping::Lab, Release::Folder(source), seed);
        let run = folder.path().join("run");
        std::fs::create_dir(&run)?;
        let stage = bench.wait(Stage::set(&plan, &options, &run))?;
        Ok(Self { stage, _folder: folder })
    }

    /// The file in the origin's plain view.
    pub(super) fn url(&self) -> String {
        format!("{}/files/1/{FILE_NAME}", self.stage.content)
    }

    /// A program on the node's machine.
    ///
    /// # Errors
    /// When the laboratory has no such machine.
    pub(super) fn command(&self, program: impl AsRef<OsStr>) -> Result<Command> {
        self.stage.network.command(&node_host(0), program)
    }

    /// curl on the node's machine, which says nothing where all is well.
    ///
    /// # Errors
    /// When the laboratory has no such machine.
    pub(super) fn curl(&self) -> Result<Command> {
        let mut command = self.command("curl")?;
        command.args(["--silent", "--show-error", "--fail"]);
        Ok(command)
    }
}

/// A file that no compression makes smaller.
fn make(folder: &Path, bytes: usize, seed: u64) -> Result<()> {
    let mut random = Random::new(seed);
    let words = (0..bytes / 8).flat_map(|_| random.next_u64().to_le_bytes());
    std::fs::create_dir(folder)
        .and_then(|()| std::fs::write(folder.join(FILE_NAME), words.collect::<Vec<u8>>()))
        .context("make the file")
}
