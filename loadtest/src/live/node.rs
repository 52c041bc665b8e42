//! One node of a run: how it is started, and what became of it.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use anyhow::{Context, Result};
use freshet_swarm::Goal;

use super::LiveOptions;
use super::event::{NodeAccount, NodeEvent, SourceBytes};
use super::fault::{self, Disk};
use super::network::node_host;
use super::process::Process;
use super::stage::{Stage, Who};
use crate::plan::{Behaviour, Deed, Group, Plan, bytes_s_of_mbit};
use crate::refused::Refused;
use crate::report::Shaping;

/// What a node that only trickles hands out, in bytes a second.
const TRICKLE_BYTES_S: u64 = 20_000;

/// A node and its figures so far. Times are milliseconds since the run began.
#[derive(Debug, Default)]
pub(super) struct Node {
    /// Number in the plan's order.
    pub(super) number: usize,
    /// Number of its group in the plan.
    pub(super) group: usize,
    /// Whether its job counts.
    pub(super) is_counted: bool,
    /// When it was started.
    pub(super) start_ms: Option<f64>,
    /// When the release was installed.
    pub(super) finish_ms: Option<f64>,
    /// Whether the plan took it away before that.
    pub(super) left_early: bool,
    /// Whether it was not done when the run's time was up.
    pub(super) is_late: bool,
    /// Why it failed, in words.
    pub(super) failure: Option<String>,
    /// What it said before that it was going to fetch.
    pub(super) announced_bytes: Option<u64>,
    /// Bytes that are there, and of the release.
    pub(super) done_bytes: u64,
    pub(super) total_bytes: u64,
    /// Where they came from.
    pub(super) bytes: SourceBytes,
    /// Payload handed to peers, and what of it before the run began.
    pub(super) sent_bytes: u64,
    pub(super) sent_bytes_before: u64,
    /// Its last word.
    pub(super) account: Option<NodeAccount>,
    pub(super) process: Option<Process>,
    /// Its own disk, if it has one.
    pub(super) disk: Option<Disk>,
}

impl Node {
    /// Whether it will not get further: installed, failed or gone.
    pub(super) fn is_settled(&self) -> bool {
        self.finish_ms.is_some() || self.failure.is_some() || self.left_early
    }

    /// Whether its process runs.
    pub(super) fn is_running(&self) -> bool {
        self.process.as_ref().is_some_and(|process| !process.has_ended)
    }

    /// Payload handed to peers in the run.
    pub(super) fn sent_in_run(&self) -> u64 {
        self.sent_bytes.saturating_sub(self.sent_bytes_before)
    }

    /// Share of the release that it holds, 0 to 1.
    pub(super) fn completion(&self) -> f64 {
        match (self.finish_ms, self.total_bytes) {
            (Some(_), _) => 1.0,
            (None, 0) => 0.0,
            (None, total) => self.done_bytes as f64 / total as f64,
        }
    }

    /// Starts its process.
    pub(super) fn start(
        &mut self,
        stage: &Stage,
        plan: &Plan,
        options: &LiveOptions,
        now_ms: f64,
    ) -> Result<()> {
        let folder = folder(&stage.folder, self.number);
        std::fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
        if let (None, Some(bytes)) = (&self.disk, plan.groups[self.group].disk_bytes) {
            self.disk = Some(Disk::lay(&folder, bytes)?);
        }
        let mut command = stage.network.command(&node_host(self.number), &stage.programs.node)?;
        command.arg("get").arg(&stage.url).arg("--into").arg(folder.join("into"));
        command.arg("--listen").arg(stage.network.listen(&node_host(self.number))?.to_string());
        if plan.groups[self.group].remembers {
            command.arg("--state-dir").arg(folder.join("state"));
        }
        command.arg("--json").arg("--report-file").arg(folder.join("report.json"));
        job_arguments(&mut command, plan, &plan.groups[self.group], options.shaping);
        fault::with_clock(plan, &mut command, &folder)?;
        let process =
            Process::start(command, folder.join("log"), Who::Node(self.number), stage.sender.clone())?;
        self.process = Some(process);
        // What ended before has been started again.
        self.failure = None;
        self.start_ms.get_or_insert(now_ms);
        Ok(())
    }

    /// Takes in a line that it printed.
    pub(super) fn heard(&mut self, line: &str, now_ms: f64) {
        match NodeEvent::parse(line) {
            Some(NodeEvent::Progress { done_bytes, total_bytes, bytes, sent_bytes }) => {
                (self.done_bytes, self.total_bytes) = (done_bytes, total_bytes);
                (self.bytes, self.sent_bytes) = (bytes, sent_bytes);
            }
            Some(NodeEvent::Release { fetch_bytes }) => self.announced_bytes = Some(fetch_bytes),
            Some(NodeEvent::Installed) => self.finish_ms = Some(now_ms),
            Some(NodeEvent::Done(account)) => {
                if account.installed {
                    self.finish_ms.get_or_insert(now_ms);
                }
                (self.bytes, self.sent_bytes) = (account.bytes, account.sent_bytes);
                self.account = Some(account);
            }
            // One that was stopped by the run's end has not failed.
            Some(NodeEvent::Failed { message }) if !self.is_settled() => self.failure = Some(message),
            Some(NodeEvent::Failed { .. } | NodeEvent::Other) | None => {}
        }
    }

    /// Takes in its end.
    pub(super) fn ended(&mut self, status: std::io::Result<ExitStatus>) {
        let is_settled = self.is_late || self.is_settled() && self.failure.is_none();
        let Some(process) = &mut self.process else { return };
        process.has_ended = true;
        let is_well = is_settled || process.is_meant_to_end;
        if is_well {
            return;
        }
        let how = match status {
            Ok(status) => status.to_string(),
            Err(error) => format!("cannot be waited for: {error}"),
        };
        let message =
            self.failure.take().unwrap_or_else(|| "ended before the release was installed".to_owned());
        self.failure = Some(format!(
            "node {} failed ({how}): {message}; its last words:\n{}",
            self.number,
            process.last_words()
        ));
    }

    /// Ends its process as a fault does; it may start again.
    pub(super) fn fall(&mut self, deed: Deed) {
        let Some(process) = self.process.as_mut().filter(|process| !process.has_ended) else { return };
        process.fall(deed);
    }

    /// The disk that it has for itself.
    pub(super) fn disk(&self) -> Result<&Disk> {
        self.disk.as_ref().context("the node has no disk of its own: give its group disk_bytes")
    }

    /// Takes it away without a word, as the plan says.
    pub(super) fn leave(&mut self) {
        self.left_early = self.finish_ms.is_none();
        if let Some(process) = &self.process {
            process.kill();
        }
    }
}

/// Where a node's files lie.
pub(super) fn folder(run: &Path, number: usize) -> PathBuf {
    run.join("nodes").join(number.to_string())
}

/// Refuses what no real node can be made to do.
pub(super) fn check_group(group: &Group, shaping: Shaping) -> Result<(), Refused> {
    if group.behaviour.is_hostile() {
        return Err(Refused(
            "real nodes do not lie: leave out the groups that are corrupt or stall, or simulate the plan with `sim`"
                .to_owned(),
        ));
    }
    match group.lab_only().filter(|_| shaping != Shaping::Lab) {
        None => Ok(()),
        Some(what) => Err(Refused(format!("{what} is there in the laboratory alone, which needs root"))),
    }
}

fn job_arguments(command: &mut Command, plan: &Plan, group: &Group, shaping: Shaping) {
    let policy = plan.policy(group);
    command.arg("--goal").arg(match policy.goal {
        Goal::Speed => "speed",
        Goal::Offload => "offload",
    });
    command.arg("--offload-slack").arg((f64::from(policy.offload_slack_permille) / 1000.0).to_string());
    if !policy.p2p {
        command.arg("--no-p2p");
    }
    if group.port_mapping.is_some() {
        command.arg("--map-port");
    }
    if !policy.sharing {
        return;
    }
    command.arg("--share").arg("--seed-for").arg(match group.seed_ms {
        Some(ms) => format!("{ms}ms"),
        None if plan.seed_until_last || group.seed => "forever".to_owned(),
        None => "0s".to_owned(),
    });
    // Where no line is shaped, the node's own cap stands in for its uplink.
    let line = (shaping == Shaping::User).then(|| bytes_s_of_mbit(group.up_mbit));
    let trickle = (group.behaviour == Behaviour::Slow).then_some(TRICKLE_BYTES_S);
    let cap = [policy.upload_bytes_s_max, line, trickle].into_iter().flatten().min();
    command.args(cap.map(|bytes_s| format!("--share-rate={bytes_s}B/s")));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::read_plan;

    fn arguments(name: &str, settings: &[&str], shaping: Shaping) -> String {
        let settings: Vec<String> = settings.iter().map(|&setting| setting.to_owned()).collect();
        let plan = read_plan(name, &settings).expect("built in");
        let mut command = Command::new("node");
        job_arguments(&mut command, &plan, &plan.groups[0], shaping);
        command.get_args().map(|argument| argument.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_plan_decides_what_a_node_is_asked() {
        let check = |name, settings: &[&str], shaping, expected: &str| {
            assert_eq!(arguments(name, settings, shaping), expected, "{name} {settings:?} {shaping:?}");
        };
        check("tiny", &[], Shaping::Lab, "--goal offload --offload-slack 0.5 --share --seed-for forever");
        check(
            "tiny",
            &["groups.0.up_mbit=8"],
            Shaping::User,
            "--goal offload --offload-slack 0.5 --share --seed-for forever --share-rate=1000000B/s",
        );
        check("one-http", &[], Shaping::Lab, "--goal speed --offload-slack 0.5 --no-p2p");
        check("tiny", &["groups.0.sharing=false"], Shaping::User, "--goal offload --offload-slack 0.5");
        check(
            "flash-leavers",
            &[],
            Shaping::Lab,
            "--goal offload --offload-slack 0.5 --share --seed-for 5000ms",
        );
        check(
            "tiny",
            &["seed_until_last=false", "groups.0.behaviour=slow", "offload_slack_permille=250"],
            Shaping::Lab,
            "--goal offload --offload-slack 0.25 --share --seed-for 0s --share-rate=20000B/s",
        );
    }

    #[test]
    fn what_becomes_of_a_node() {
        let check = |lines: &[&str], is_settled: bool, finish_ms: Option<f64>, completion: f64| {
            let mut node = Node { is_counted: true, ..Node::default() };
            lines.iter().for_each(|line| node.heard(line, 7.0));
            assert_eq!(
                (node.is_settled(), node.finish_ms, node.completion()),
                (is_settled, finish_ms, completion),
                "{lines:?}"
            );
        };
        let half = r#"{"event":"progress","done_bytes":5,"total_bytes":10,"bytes":{},"sent_bytes":0}"#;
        let done = r#"{"event":"done","installed":true}"#;
        let failed = r#"{"event":"failed","code":13,"message":"the disk is full"}"#;
        check(&[], false, None, 0.0);
        check(&[half], false, None, 0.5);
        check(&[half, r#"{"event":"installed"}"#], true, Some(7.0), 1.0);
        check(&[done], true, Some(7.0), 1.0);
        check(&[half, failed], true, None, 0.5);
    }

    #[test]
    fn what_real_nodes_cannot_do_is_refused() {
        let check = |settings: &str, shaping: Shaping, expected: &str| {
            let plan = read_plan("tiny", &[settings.to_owned()]).expect("a plan");
            let found = check_group(&plan.groups[0], shaping).map_err(|error| error.to_string());
            assert_eq!(found.is_ok(), expected.is_empty(), "{settings}");
            assert!(found.err().unwrap_or_default().contains(expected), "{settings}");
        };
        check("groups.0.behaviour=honest", Shaping::Lab, "");
        check("groups.0.behaviour=slow", Shaping::Lab, "");
        check("groups.0.behaviour=corrupt", Shaping::Lab, "do not lie");
        check("groups.0.behaviour=stall", Shaping::Lab, "do not lie");
        check("groups.0.nat=symmetric", Shaping::Lab, "");
        check("groups.0.nat=symmetric", Shaping::User, "symmetric");
        check("groups.0.nat=open", Shaping::User, "");
    }
}
