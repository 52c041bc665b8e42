//! A program that is run to its end and watched: what it says, how long it takes, and what it spends.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use crate::live::{Process, ProcessEvent, ProcessUse};

/// How often its memory is read. The most that was resident never falls, so only growth in the last moment is missed.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Lines that wait to be read.
const LINES_MAX: usize = 64;

/// A running program. Dropped, it is killed.
pub(super) struct Child {
    process: Process,
    events: mpsc::Receiver<((), ProcessEvent)>,
    name: String,
    started: Instant,
    spent: ProcessUse,
    last_line: String,
}

/// A program that has ended well.
#[derive(Debug)]
pub(super) struct Ended {
    /// From its start to its end.
    pub(super) took: Duration,
    /// What it spent, as last read.
    pub(super) spent: ProcessUse,
    /// The last line that it printed.
    pub(super) last_line: String,
}

impl Child {
    /// Starts `command`; its standard error goes to the file `log`.
    ///
    /// # Errors
    /// When it does not start.
    pub(super) fn start(command: Command, log: &Path) -> Result<Self> {
        let name = command.get_program().display().to_string();
        let (sender, events) = mpsc::channel(LINES_MAX);
        let started = Instant::now();
        let process = Process::start(command, log.to_owned(), (), sender)?;
        Ok(Self { process, events, name, started, spent: ProcessUse::default(), last_line: String::new() })
    }

    /// Since it was started.
    pub(super) fn age(&self) -> Duration {
        self.started.elapsed()
    }

    /// What it has spent, as last read.
    pub(super) fn spent(&mut self) -> ProcessUse {
        if let Some(spent) = ProcessUse::read(self.process.pid) {
            self.spent = spent;
        }
        self.spent
    }

    /// Ends it at once, without a word to it.
    pub(super) fn kill(&self) {
        self.process.kill();
    }

    /// The last lines that it wrote on standard error.
    pub(super) fn last_words(&self) -> String {
        self.process.last_words()
    }

    /// Waits for a line that fits.
    ///
    /// # Errors
    /// When it ends before.
    pub(super) async fn line(&mut self, fits: impl Fn(&str) -> bool) -> Result<String> {
        loop {
            match self.event().await? {
                ProcessEvent::Line(line) if fits(&line) => return Ok(line),
                ProcessEvent::Line(line) => self.last_line = line,
                ProcessEvent::Ended(status) => {
                    bail!("{} ended too early ({status:?}): {}", self.name, self.last_words())
                }
            }
        }
    }

    /// Waits for its end, whatever it is; whether it ended well.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub(super) async fn end(&mut self) -> Result<bool> {
        loop {
            match self.event().await? {
                ProcessEvent::Line(line) => self.last_line = line,
                ProcessEvent::Ended(status) => {
                    self.process.has_ended = true;
                    return Ok(status.with_context(|| format!("wait for {}", self.name))?.success());
                }
            }
        }
    }

    /// Waits for its good end.
    ///
    /// # Errors
    /// With its last words, when it fails.
    pub(super) async fn ended(mut self) -> Result<Ended> {
        if !self.end().await? {
            bail!("{} failed: {}", self.name, self.last_words());
        }
        Ok(Ended { took: self.started.elapsed(), spent: self.spent, last_line: self.last_line })
    }

    async fn event(&mut self) -> Result<ProcessEvent> {
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                event = self.events.recv() => {
                    let ((), event) = event.with_context(|| format!("{} cannot be heard", self.name))?;
                    return Ok(event);
                }
                _ = looks.tick() => {
                    self.spent();
                }
            }
        }
    }
}

/// Starts `command` and waits for its good end.
///
/// # Errors
/// As [`Child::start`] and [`Child::ended`].
pub(super) async fn run(command: Command, log: &Path) -> Result<Ended> {
    Child::start(command, log)?.ended().await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[tokio::test]
    async fn a_good_end_and_a_bad_one() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let log = folder.path().join("log");
        let ended = run(shell("echo one; echo two"), &log).await.expect("well");
        assert_eq!(ended.last_line, "two");
        let error = run(shell("echo why >&2; exit 3"), &log).await.expect_err("badly").to_string();
        assert!(error.contains("sh failed: why"), "{error}");
    }

    #[tokio::test]
    async fn its_memory_is_watched() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let mut child =
            Child::start(shell("echo up; exec sleep 600"), &folder.path().join("log")).expect("started");
        child.line(|line| line == "up").await.expect("said");
        assert!(child.spent().resident_bytes > 0);
        child.kill();
        assert!(!child.end().await.expect("waited for"), "killed");
    }

    #[tokio::test]
    async fn an_end_before_the_line_is_told() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let mut child = Child::start(shell("echo gone >&2"), &folder.path().join("log")).expect("started");
        let error = child.line(|_| true).await.expect_err("no line").to_string();
        assert!(error.contains("ended too early") && error.contains("gone"), "{error}");
    }
}
