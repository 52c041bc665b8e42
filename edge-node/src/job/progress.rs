//! What the job tells its owner while it runs and when it ends.

use std::path::PathBuf;

use freshet_swarm::Totals;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::event::Event;
use crate::job::Job;
use crate::network::LinkTally;
use crate::release::Release;
use crate::report::{Report, Sources};
use crate::store::Local;

pub(super) struct Progress {
    local_bytes: u64,
    first_chunk: Option<Instant>,
    fetched: Option<Instant>,
    installed: Option<Instant>,
    moved_aside: Vec<PathBuf>,
    release_bytes: u64,
    /// Payload bytes of pages and roots handed to peers; the core counts those of chunks.
    pub(super) document_bytes_sent: u64,
}

/// What a job did.
#[derive(Debug)]
pub(crate) struct JobReport {
    preloaded: Option<String>,
    totals: Totals,
    document_bytes_sent: u64,
    local_bytes: u64,
    download: std::time::Duration,
    installed: Option<Instant>,
    moved_aside: Vec<PathBuf>,
    links: LinkTally,
}

impl Progress {
    pub(super) fn new(release: &Release, local: &Local) -> Self {
        Self {
            // What is installed is no part of what is fetched ahead of its time.
            local_bytes: local.resumed_bytes
                + if release.sealed_root().is_some() { 0 } else { local.kept_bytes + local.copied_bytes },
            first_chunk: None,
            fetched: None,
            installed: None,
            moved_aside: Vec::new(),
            release_bytes: release.sealed_bytes().unwrap_or_else(|| release.chosen_bytes()),
            document_bytes_sent: 0,
        }
    }

    pub(super) fn first_chunk(&mut self) {
        self.first_chunk.get_or_insert_with(Instant::now);
    }

    pub(super) fn fetched(&mut self) {
        self.fetched.get_or_insert_with(Instant::now);
    }

    pub(super) fn installed(&mut self, moved_aside: Vec<PathBuf>, events: &mpsc::Sender<Event>) {
        self.installed = Some(Instant::now());
        for path in &moved_aside {
            let message = format!("a file of yours was in the way and is kept as {}", path.display());
            // Nobody need listen; the report names the files too.
            let _ = events.try_send(Event::Note { message });
        }
        self.moved_aside = moved_aside;
        let _ = events.try_send(Event::Installed);
    }
}

impl Job {
    pub(super) fn report_progress(&self) {
        let totals = self.core.totals();
        let event = Event::Progress {
            done_bytes: self.progress.release_bytes.saturating_sub(totals.missing_bytes),
            total_bytes: self.progress.release_bytes,
            bytes: self.sources(&totals),
            sent_bytes: totals.sent_bytes + self.progress.document_bytes_sent,
            links: self.links.count() as u32,
        };
        // A listener that is behind gets the next one.
        let _ = self.config.events.try_send(event);
    }

    fn sources(&self, totals: &Totals) -> Sources {
        Sources {
            peer: totals.peer_bytes,
            origin: totals.origin_bytes.iter().sum(),
            local: self.local_bytes(),
        }
    }

    /// What was not fetched.
    fn local_bytes(&self) -> u64 {
        self.progress.local_bytes + self.deriving.made_bytes + self.readers.copied_bytes
    }

    pub(super) fn job_report(&self) -> JobReport {
        let started = self.progress.first_chunk.unwrap_or(self.clock.began());
        let ended = self.progress.fetched.unwrap_or_else(Instant::now);
        let whole = self.preloading.laid.as_ref().filter(|laid| laid.is_whole);
        JobReport {
            preloaded: whole.map(|laid| laid.version.to_string()),
            totals: self.core.totals(),
            document_bytes_sent: self.progress.document_bytes_sent,
            local_bytes: self.local_bytes(),
            download: ended.saturating_duration_since(started),
            installed: self.progress.installed,
            moved_aside: self.progress.moved_aside.clone(),
            links: self.links.tally().clone(),
        }
    }
}

impl JobReport {
    /// Adds what the job did to the whole report.
    pub(crate) fn add_to(self, report: &mut Report, process_started: Instant) {
        let is_first = report.bytes == Sources::default();
        let counted = Report::of(&self.totals, self.links);
        report.add(Report {
            bytes: Sources {
                // After a pause what was fetched before it is there, too.
                local: if is_first { self.local_bytes } else { 0 },
                ..counted.bytes
            },
            sent_bytes: counted.sent_bytes + self.document_bytes_sent,
            download_ms: self.download.as_millis() as u64,
            ..counted
        });
        report.preloaded = self.preloaded;
        report.installed |= self.installed.is_some();
        let installed_ms = |at: Instant| at.saturating_duration_since(process_started).as_millis() as u64;
        report.installed_ms = report.installed_ms.or(self.installed.map(installed_ms));
        report.moved_aside.extend(self.moved_aside);
    }
}
