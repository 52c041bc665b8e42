//! The delay relay as the lab holds it: a child process in the core namespace and what it says.

use std::fmt;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, ensure};

/// What the relay says once it is at work.
pub(super) const READY: &str = "ready";

/// What the relay did; printed at its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DelayReport {
    /// Packets or trains of packets.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Refused by the kernel, or more than the relay holds.
    pub dropped: u64,
    /// More than 5 ms behind their time: the machine was too busy for the figures to be trusted.
    pub late: u64,
    /// How late the latest was, in microseconds.
    pub worst_late_us: u64,
    /// How late they were on average, in microseconds.
    pub mean_late_us: u64,
}

impl fmt::Display for DelayReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { packets, bytes, dropped, late, worst_late_us, mean_late_us } = self;
        write!(f, "{packets} {bytes} {dropped} {late} {worst_late_us} {mean_late_us}")
    }
}

impl DelayReport {
    fn parse(line: &str) -> Option<Self> {
        let mut numbers = line.split_whitespace().map(|word| word.parse::<u64>().ok());
        let mut next = || numbers.next().flatten();
        Some(Self {
            packets: next()?,
            bytes: next()?,
            dropped: next()?,
            late: next()?,
            worst_late_us: next()?,
            mean_late_us: next()?,
        })
    }
}

/// A child that lives as long as its standard input stays open, so it also ends when the lab's process is killed.
#[derive(Debug)]
pub(super) struct DelayRelay {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl DelayRelay {
    /// Starts `command`, which is expected to end up in `serve_delay`, and waits until it is at work.
    pub(super) fn start(mut command: Command) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("start the delay relay {command:?}"))?;
        let output = BufReader::new(child.stdout.take().expect("it was asked for"));
        // From here on, dropping the relay ends the child.
        let mut relay = Self { child, output };
        let line = relay.line()?;
        ensure!(line.trim() == READY, "the delay relay said {line:?} instead of {READY}");
        Ok(relay)
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends the relay and returns what it did.
    pub(super) fn finish(mut self) -> Result<DelayReport> {
        drop(self.child.stdin.take());
        let line = self.line()?;
        DelayReport::parse(&line).with_context(|| format!("the delay relay said {line:?} at its end"))
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.output.read_line(&mut line).context("read from the delay relay")?;
        Ok(line)
    }
}

impl Drop for DelayRelay {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_survives_the_pipe() {
        let report =
            DelayReport { packets: 1, bytes: 2, dropped: 3, late: 4, worst_late_us: 5, mean_late_us: 6 };
        assert_eq!(DelayReport::parse(&report.to_string()), Some(report));
        assert_eq!(DelayReport::parse("1 2 3"), None);
    }
}
