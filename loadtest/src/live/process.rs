//! A program under load: started, listened to, and never left behind.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context, Result};
use rustix::fd::OwnedFd;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::sync::mpsc;

use crate::plan::Deed;

/// Lines of a failed program's own words that are shown.
const TAIL_LINES: usize = 12;
/// Bytes of its log that are looked through for them.
const TAIL_BYTES: u64 = 8 << 10;

/// What a process says and does, in order.
#[derive(Debug)]
pub(crate) enum ProcessEvent {
    /// It printed a line on standard output.
    Line(String),
    /// It ended, or cannot be waited for.
    Ended(std::io::Result<ExitStatus>),
}

/// A running program. Dropping it kills it, if it still runs.
#[derive(Debug)]
pub(crate) struct Process {
    /// Its number.
    pub(crate) pid: u32,
    /// Whether its owner has seen it end.
    pub(crate) has_ended: bool,
    /// Whether that is as it should be.
    pub(crate) is_meant_to_end: bool,
    /// Names this very process, so that no signal reaches another that got its number later.
    handle: OwnedFd,
    log: PathBuf,
}

impl Process {
    /// Starts `command`; its standard error goes to the file `log`. What it says and does is sent to `events`, with `who`.
    ///
    /// # Errors
    /// When the log cannot be made or the program does not start.
    pub(crate) fn start<Who: Copy + Send + 'static>(
        mut command: Command,
        log: PathBuf,
        who: Who,
        events: mpsc::Sender<(Who, ProcessEvent)>,
    ) -> Result<Self> {
        let name = format!("{command:?}");
        let stderr = File::create(&log).with_context(|| format!("write {}", log.display()))?;
        // A group of its own: Ctrl-C reaches the load test alone, which then ends the others in order.
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr).process_group(0);
        let mut child = tokio::process::Command::from(command)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("start {name}"))?;
        let pid = child.id().expect("it has not been waited for");
        let handle = i32::try_from(pid)
            .ok()
            .and_then(Pid::from_raw)
            .context("a process has a positive number")
            .and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).context("hold on to the process"))?;
        let output = child.stdout.take().expect("it was asked for");
        tokio::spawn(async move {
            let mut lines = BufReader::new(output).lines();
            // Output that is not text ends the reading, not the process.
            while let Ok(Some(line)) = lines.next_line().await {
                if events.send((who, ProcessEvent::Line(line))).await.is_err() {
                    return;
                }
            }
            let ended = child.wait().await;
            // Nobody listens once the run is over.
            let _ = events.send((who, ProcessEvent::Ended(ended))).await;
        });
        Ok(Self { pid, has_ended: false, is_meant_to_end: false, handle, log })
    }

    /// Asks it to end.
    pub(crate) fn terminate(&self) {
        // Failing means that it has ended.
        let _ = pidfd_send_signal(&self.handle, Signal::TERM);
    }

    /// Ends it at once.
    pub(crate) fn kill(&self) {
        let _ = pidfd_send_signal(&self.handle, Signal::KILL);
    }

    /// Ends it as a fault does; that is no failure.
    pub(crate) fn fall(&mut self, deed: Deed) {
        self.is_meant_to_end = true;
        if deed == Deed::Terminate { self.terminate() } else { self.kill() }
    }

    /// The last lines that it wrote on standard error.
    pub(crate) fn last_words(&self) -> String {
        tail(&self.log).unwrap_or_else(|error| format!("({} cannot be read: {error})", self.log.display()))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

fn tail(log: &Path) -> std::io::Result<String> {
    let mut file = File::open(log)?;
    let bytes = file.metadata()?.len();
    file.seek(SeekFrom::Start(bytes.saturating_sub(TAIL_BYTES)))?;
    let mut text = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut text)?;
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    Ok(lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn run(script: &str, act: impl FnOnce(&Process)) -> (Vec<String>, ExitStatus, String) {
        let folder = tempfile::tempdir().expect("temporary folder");
        let (sender, mut events) = mpsc::channel(1);
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        let process = Process::start(command, folder.path().join("log"), 7, sender).expect("started");
        let mut act = Some(act);
        let mut lines = Vec::new();
        loop {
            match events.recv().await.expect("the process ends") {
                (7, ProcessEvent::Line(line)) => {
                    if let Some(act) = act.take() {
                        act(&process);
                    }
                    lines.push(line);
                }
                (7, ProcessEvent::Ended(status)) => {
                    return (lines, status.expect("waited for"), process.last_words());
                }
                (number, _) => panic!("event of {number}"),
            }
        }
    }

    #[tokio::test]
    async fn what_it_says_and_how_it_ends() {
        let (lines, status, words) = run("echo one; echo two; echo sorry >&2; exit 3", |_| ()).await;
        assert_eq!((lines.join(" ").as_str(), status.code(), words.as_str()), ("one two", Some(3), "sorry"));
    }

    #[tokio::test]
    async fn it_ends_when_told() {
        use std::os::unix::process::ExitStatusExt;
        let (_, status, _) =
            run("trap 'exit 5' TERM; echo up; while :; do sleep 0.01; done", Process::terminate).await;
        assert_eq!(status.code(), Some(5));
        let (_, status, _) = run("trap '' TERM; echo up; while :; do sleep 0.01; done", Process::kill).await;
        assert_eq!(status.signal(), Some(9));
    }

    #[tokio::test]
    async fn last_words_are_bounded() {
        let (_, _, words) =
            run("i=0; while [ $i -lt 5000 ]; do echo line $i >&2; i=$((i+1)); done", |_| ()).await;
        assert_eq!(words.lines().count(), TAIL_LINES);
        assert!(words.ends_with("line 4999"), "{words}");
    }
}
