//! An update: every node has an older version, and wants the one that is published now.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::event::NodeAccount;
use super::network::node_host;
use super::node::folder;
use super::stage::{Stage, last_object};
use crate::game_build::{Change, change_build};
use crate::plan::Plan;

/// So much of a build changes, all over: about what a patch of a game does.
const CHANGE_EVERY_BYTES: u64 = 128 << 10;
const CHANGE_BYTES: u64 = 8 << 10;

impl Stage {
    /// Installs what is published in the folder of every node, and publishes a version that differs a little.
    pub(super) async fn make_older(&mut self, plan: &Plan, seed: u64) -> Result<()> {
        let older = self.folder.join("older");
        let mut command = self.network.command(&node_host(0), &self.programs.node)?;
        command.arg("get").arg(&self.url).arg("--into").arg(&older).args(["--json", "--no-p2p"]);
        let NodeAccount { installed, .. } =
            last_object(command).await.context("install the older version")?;
        ensure!(installed, "the older version was not installed");
        for number in 0..plan.nodes() as usize {
            let node = folder(&self.folder, number);
            std::fs::create_dir_all(&node).with_context(|| format!("make {}", node.display()))?;
            copy(&older, &node.join("into")).await?;
        }
        std::fs::remove_dir_all(&older).context("remove the older version")?;
        change_build(&self.source, Change { every_bytes: CHANGE_EVERY_BYTES, bytes: CHANGE_BYTES, seed })?;
        // The channel keeps its tracker.
        self.published = self.publish_update().await?;
        Ok(())
    }
}

/// Copies a tree with its times, by which a node knows what nobody touched.
async fn copy(from: &Path, to: &Path) -> Result<()> {
    let mut command = Command::new("cp");
    command.args(["--archive", "--reflink=auto"]).arg(from).arg(to);
    let status = tokio::process::Command::from(command).status().await.context("start cp")?;
    ensure!(status.success(), "cp from {} to {} failed: {status}", from.display(), to.display());
    Ok(())
}
