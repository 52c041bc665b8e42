//! What the programs of a run spend, kept up while they live.

use std::collections::BTreeMap;

use super::machine::ProcessUse;
use super::node::Node;
use super::stage::Stage;

/// Processor time and memory of every process.
#[derive(Debug, Default)]
pub(super) struct Spending {
    /// By process: its program, what it had spent when the run began, and what it has spent since it was there.
    processes: BTreeMap<u32, Spent>,
}

#[derive(Debug, Clone, Copy)]
struct Spent {
    program: &'static str,
    before_s: f64,
    last: ProcessUse,
}

impl Spending {
    /// What was spent until now does not count.
    pub(super) fn begin(&mut self, stage: &Stage, nodes: &[Node]) {
        self.read(stage, nodes);
        for spent in self.processes.values_mut() {
            spent.before_s = spent.last.cpu_s;
        }
    }

    /// Reads what all running processes have spent; the last reading stands for one that has ended.
    pub(super) fn read(&mut self, stage: &Stage, nodes: &[Node]) {
        let servers = stage.servers().map(|(server, process)| (process, server.sort()));
        let nodes = nodes.iter().filter_map(|node| Some((node.process.as_ref()?, "nodes")));
        let running = servers.chain(nodes).filter(|(process, _)| !process.has_ended);
        let pids = running.map(|(process, program)| (process.pid, program));
        for (pid, program) in pids.chain(stage.network.delay_pid().map(|pid| (pid, "relay"))) {
            if let Some(last) = ProcessUse::read(pid) {
                let fresh = Spent { program, before_s: 0.0, last };
                self.processes.entry(pid).or_insert(fresh).last = last;
            }
        }
    }

    /// Processor time by program, in seconds.
    pub(super) fn cpu_s(&self) -> BTreeMap<String, f64> {
        let mut sums = BTreeMap::new();
        for spent in self.processes.values() {
            *sums.entry(spent.program.to_owned()).or_insert(0.0) += spent.last.cpu_s - spent.before_s;
        }
        sums
    }

    /// Most memory resident at a time in any node, in bytes.
    pub(super) fn node_resident_bytes_max(&self) -> u64 {
        let nodes = self.processes.values().filter(|spent| spent.program == "nodes");
        nodes.map(|spent| spent.last.resident_bytes).max().unwrap_or(0)
    }
}
