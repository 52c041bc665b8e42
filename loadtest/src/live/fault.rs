//! Carries out what a plan wants to go wrong.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::network::{Network, node_host};
use super::node;
use super::servers::Server;
use super::stage::Stage;
use crate::plan::{Deed, Fault, Plan, Whom};
use crate::random::Random;
use crate::refused::{Refused, refuse_unless};
use crate::report::Shaping;

/// Where Debian has it, and where it reads how far a clock is off.
const FAKE_TIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";
const CLOCK: &str = "clock";
/// What fills a disk.
const FILLER: &str = "filler";
const FILLER_BYTES: usize = 1 << 20;

/// Refuses faults that need more than there is.
pub(super) fn check(plan: &Plan, shaping: Shaping) -> Result<(), Refused> {
    let is_of_line = |fault: &&Fault| matches!(fault.deed, Deed::CutOff | Deed::Lose | Deed::Rejoin);
    let needs_root = plan.faults.iter().any(|fault| is_of_line(&fault) || fault.deed == Deed::FillDisk);
    refuse_unless(!needs_root || shaping == Shaping::Lab, || {
        "lines are cut and disks filled in the laboratory alone, which needs root".to_owned()
    })?;
    refuse_unless(!has_clocks(plan) || Path::new(FAKE_TIME).exists(), || {
        format!("clocks jump by {FAKE_TIME}, which is not there: apt-get install faketime")
    })
}

/// Nodes in the order in which faults find them.
pub(super) fn order(mut nodes: Vec<usize>, seed: u64) -> Vec<usize> {
    let mut random = Random::new(seed ^ 0xfa_017);
    for last in (1..nodes.len()).rev() {
        nodes.swap(last, random.below(last as u64 + 1) as usize);
    }
    nodes
}

/// Those of `order` that a fault finds.
pub(super) fn found(fault: &Fault, order: &[usize]) -> Vec<usize> {
    let count = (order.len() as f64 * fault.percent / 100.0).round() as usize;
    order[..count].to_vec()
}

/// The servers that a fault finds.
pub(super) fn servers(plan: &Plan, fault: &Fault) -> Vec<Server> {
    match (fault.who, fault.number) {
        (Whom::Origin, _) => vec![Server::Origin],
        (Whom::Tracker, Some(number)) => vec![Server::Tracker(number as usize)],
        (Whom::Tracker, None) => (0..plan.trackers.count as usize).map(Server::Tracker).collect(),
        (Whom::Broker, _) => vec![Server::Broker],
        (Whom::Nodes, _) => Vec::new(),
    }
}

/// The hosts whose lines a fault finds.
fn hosts(plan: &Plan, fault: &Fault, order: &[usize]) -> Vec<String> {
    let nodes = if fault.who == Whom::Nodes { found(fault, order) } else { Vec::new() };
    let servers = servers(plan, fault).into_iter().map(Server::host);
    servers.chain(nodes.into_iter().map(node_host)).collect()
}

/// Cuts, spoils or mends lines.
pub(super) fn lines(network: &Network, plan: &Plan, fault: &Fault, order: &[usize]) -> Result<()> {
    let Network::Lab(lab) = network else { bail!("there are no lines") };
    let lost_permille = match fault.deed {
        Deed::CutOff => 1000,
        Deed::Lose => fault.permille,
        _ => 0,
    };
    hosts(plan, fault, order).iter().try_for_each(|host| lab.lose(host, lost_permille))
}

fn has_clocks(plan: &Plan) -> bool {
    plan.faults.iter().any(|fault| fault.deed == Deed::Clock)
}

/// Lets a node's clock be moved later, where the plan wants that.
pub(super) fn with_clock(plan: &Plan, command: &mut Command, folder: &Path) -> Result<()> {
    if has_clocks(plan) {
        let clock = folder.join(CLOCK);
        std::fs::write(&clock, "+0").with_context(|| format!("write {}", clock.display()))?;
        command.env("LD_PRELOAD", FAKE_TIME).env("FAKETIME_TIMESTAMP_FILE", clock);
        command.env("FAKETIME_NO_CACHE", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    }
    Ok(())
}

/// Moves a node's clock.
pub(super) fn move_clock(stage: &Stage, number: usize, seconds: i64) -> Result<()> {
    let clock = node::folder(&stage.folder, number).join(CLOCK);
    let moved = clock.with_extension("new");
    std::fs::write(&moved, format!("{seconds:+}"))
        .and_then(|()| std::fs::rename(&moved, &clock))
        .with_context(|| format!("write {}", clock.display()))
}

/// A disk of its own for a node, in memory; it is gone with the last program that has it.
#[derive(Debug)]
pub(super) struct Disk {
    folder: PathBuf,
}

impl Disk {
    /// Lays it at `folder`.
    pub(super) fn lay(folder: &Path, bytes: u64) -> Result<Self> {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={bytes}"), "tmpfs"]).arg(folder);
        run(mount)?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// Leaves no room on it.
    pub(super) fn fill(&self) -> Result<()> {
        let path = self.folder.join(FILLER);
        let mut file = File::create(&path).with_context(|| format!("write {}", path.display()))?;
        let filler = vec![0; FILLER_BYTES];
        loop {
            match file.write(&filler) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => return Ok(()),
                Err(error) => return Err(error).with_context(|| format!("write {}", path.display())),
            }
        }
    }

    /// Gives the room back.
    pub(super) fn free(&self) -> Result<()> {
        let path = self.folder.join(FILLER);
        std::fs::remove_file(&path).with_context(|| format!("remove {}", path.display()))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let mut umount = Command::new("umount");
        umount.arg("-l").arg(&self.folder);
        if let Err(error) = run(umount) {
            eprintln!("{error:#}");
        }
    }
}

fn run(mut command: Command) -> Result<()> {
    let output = command.output().with_context(|| format!("start {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_nodes_are_found_again() {
        let all = order((0..20).collect(), 3);
        assert_eq!(all, order((0..20).collect(), 3));
        assert_ne!(all, order((0..20).collect(), 4));
        let fault = |percent| Fault {
            at_ms: 0,
            deed: Deed::Kill,
            who: Whom::Nodes,
            percent,
            number: None,
            permille: 0,
            seconds: 0,
        };
        let check =
            |percent, count: usize| assert_eq!(found(&fault(percent), &all), all[..count], "{percent}");
        check(0.0, 0);
        check(10.0, 2);
        check(100.0, 20);
    }
}
