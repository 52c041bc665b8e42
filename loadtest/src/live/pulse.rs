//! What the trackers count of themselves, second by second.

use std::process::Stdio;

use anyhow::Result;
use serde::Deserialize;
use tokio::task::JoinSet;

use super::servers::Server;
use super::stage::Stage;
use crate::report::TrackerBeat;

/// Time between two beats, in milliseconds.
const BEAT_MS: f64 = 1000.0;
/// How long an answer may take, in seconds: a tracker that was killed gives none.
const ANSWER_S: &str = "1";
/// Most beats of one run: eight trackers for some hours.
const BEATS_MAX: usize = 100_000;

/// What a tracker says at `/stats`, as far as it is needed.
#[derive(Debug, Deserialize)]
struct Stats {
    clients: u64,
    pairs_linked: u64,
    messages_total: u64,
}

/// Beats so far.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    asked: JoinSet<Option<TrackerBeat>>,
    beats: Vec<TrackerBeat>,
    last_ms: Option<f64>,
}

impl Pulse {
    /// Asks each of several trackers when it is time to, by a program on its own host; nobody waits for the answers.
    pub(super) fn look(&mut self, at_ms: f64, stage: &Stage, trackers: u32) -> Result<()> {
        self.take_answers();
        let is_due = self.last_ms.is_none_or(|last_ms| at_ms - last_ms >= BEAT_MS);
        if trackers < 2 || !is_due || self.beats.len() >= BEATS_MAX {
            return Ok(());
        }
        self.last_ms = Some(at_ms);
        for tracker in 0..trackers {
            let server = Server::Tracker(tracker as usize);
            let Some(address) = stage.server_address(server) else { continue };
            let authority = stage.network.authority(&server.host(), address.port())?;
            let mut command = stage.network.command(&server.host(), "curl")?;
            command.args([
                "--silent",
                "--fail",
                "--max-time",
                ANSWER_S,
                &format!("http://{authority}/stats"),
            ]);
            self.asked.spawn(async move {
                let mut command = tokio::process::Command::from(command);
                let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await.ok()?;
                let Stats { clients, pairs_linked, messages_total } =
                    serde_json::from_slice(&output.stdout).ok()?;
                Some(TrackerBeat { at_ms, tracker, clients, pairs_linked, messages_total })
            });
        }
        Ok(())
    }

    fn take_answers(&mut self) {
        while let Some(beat) = self.asked.try_join_next() {
            self.beats.extend(beat.ok().flatten());
        }
    }

    /// All beats, by time.
    pub(super) fn into_beats(mut self) -> Vec<TrackerBeat> {
        self.take_answers();
        self.beats.sort_by(|a, b| a.at_ms.total_cmp(&b.at_ms).then(a.tracker.cmp(&b.tracker)));
        self.beats
    }
}
