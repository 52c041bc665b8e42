//! What is fetched ahead of its time, beside the release that is installed and shared meanwhile.

use std::time::Duration;

use tokio::time::Instant;

use crate::event::Event;
use crate::job::{Job, Phase};
use crate::node::GetError;
use crate::store::Preloaded;

/// After so long a sealed release that could not be begun is told again.
const AGAIN: Duration = Duration::from_secs(60);

/// A job's part in it.
#[derive(Debug, Default)]
pub(crate) struct Preloading {
    /// What is fetched by this job.
    pub(crate) laid: Option<Preloaded>,
    /// When to look whether the channel prepares something else.
    pub(super) look_at: Option<Instant>,
}

impl Preloading {
    /// Of a job that fetches what is laid behind its release, or the release itself.
    pub(crate) fn new(laid: Option<Preloaded>) -> Self {
        Self { laid, look_at: Some(Instant::now()) }
    }

    /// Of a job that goes on without what the channel prepares, for now.
    pub(crate) fn later() -> Self {
        Self { laid: None, look_at: Some(Instant::now() + AGAIN) }
    }
}

impl Job {
    /// What is installed is so from the beginning.
    pub(super) fn begin_preload(&mut self) {
        if self.preloading.laid.is_some() && self.config.installed.is_some() {
            self.progress.installed(Vec::new(), &self.config.events);
        }
    }

    /// All of it is here: it waits for its key once it is on the disk.
    pub(super) fn end_preload(&mut self) -> Result<(), GetError> {
        if !self.content.is_settled() {
            if self.content.is_written() {
                self.content.start_checkpoint();
            }
            return Ok(());
        }
        let layout = self.content.files.layout.clone();
        let Some(laid) = &mut self.preloading.laid else { return Ok(()) };
        laid.is_whole = true;
        laid.save(&layout).map_err(|error| GetError::io(&layout.preload(), &error))?;
        let event = Event::Preloaded { version: laid.version.to_string(), opens: laid.opens };
        self.progress.fetched();
        // Nobody need listen; the report says so too.
        let _ = self.config.events.try_send(event);
        self.share();
        Ok(())
    }

    /// Tells what the channel prepares, once nothing else is to be done, where it is something that this job does not fetch.
    pub(super) fn tell_preload(&mut self) {
        let is_time = self.preloading.look_at.is_some_and(|at| at <= Instant::now());
        if !is_time || !matches!(self.phase, Phase::Sharing(_)) {
            return;
        }
        self.preloading.look_at = None;
        let Some((preload, start_window_s)) = self.documents.preload() else { return };
        if self.preloading.laid.as_ref().is_some_and(|laid| laid.root == preload.root) {
            return;
        }
        let (version, opens) = (preload.version.to_string(), preload.opens);
        self.untold.get_or_insert(Event::NewPreload { version, opens, start_window_s });
        self.tell_news();
    }
}
