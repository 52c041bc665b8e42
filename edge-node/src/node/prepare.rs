//! Everything that a job needs to know of a folder before it begins: what is to be fetched, and what is here already.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::event::Event;
use crate::job::{Preloading, wanted};
use crate::network::Documents;
use crate::node::folder::{Before, look_around};
use crate::node::get::with_patch;
use crate::node::preload::{Laid, is_all_here};
use crate::node::{GetError, GetOptions, Preload};
use crate::origin::{EarlyIndex, Origin};
use crate::release::Release;
use crate::report::Report;
use crate::store::{Belief, Layout, Local, Preloaded, SealedStream, scan};

/// What a job fetches, and what it finds.
pub(super) struct Prepared {
    pub(super) release: Arc<Release>,
    pub(super) local: Local,
    pub(super) before: Before,
    /// Where the chunks of the release's first page lie, if that is its only one.
    pub(super) index: Option<EarlyIndex>,
    pub(super) preload: Preloading,
}

/// What preparing takes.
pub(super) struct Preparing<'a> {
    pub(super) options: &'a GetOptions,
    pub(super) origin: &'a Origin,
    pub(super) documents: &'a Documents,
    pub(super) layout: &'a Layout,
    pub(super) events: &'a mpsc::Sender<Event>,
    pub(super) stop: &'a CancellationToken,
}

/// Whether there is something to be fetched ahead of its time.
enum Ahead {
    Now(Box<Prepared>),
    /// Nothing, or not yet.
    No,
    /// It could not be begun.
    Later,
}

impl Preparing<'_> {
    /// Prepares a job for the release; where that is installed already, and something else is prepared, for that. What is
    /// `sealed` here holds chunks of the release.
    pub(super) async fn job(
        &self,
        (release, index): (Release, Option<EarlyIndex>),
        before: Before,
        sealed: Option<SealedStream>,
        report: &mut Report,
    ) -> Result<Prepared, GetError> {
        let is_later = match self.ahead(&release, &before).await? {
            Ahead::Now(prepared) => {
                self.tell(report, &prepared.release, &prepared.local).await;
                return Ok(*prepared);
            }
            Ahead::No => false,
            Ahead::Later => true,
        };
        let (release, note) = match &before.release {
            Some(old) => with_patch(self.origin, self.documents, old, release).await,
            None => (release, None),
        };
        self.note(note).await;
        let is_sealed = sealed.is_some();
        let (release, local, before) = self.look(release, before, sealed).await?;
        if is_sealed {
            // All of it is taken.
            Preloaded::remove(self.layout);
        }
        self.tell(report, &release, &local).await;
        let preload = if is_later { Preloading::later() } else { Preloading::new(None) };
        Ok(Prepared { release, local, before, index, preload })
    }

    /// What the channel prepares, if it is time for that.
    async fn ahead(&self, release: &Release, before: &Before) -> Result<Ahead, GetError> {
        let named = self.documents.preload().map(|(named, _)| named.clone());
        let installed = before.installed.as_ref().map(|installed| installed.root);
        let is_only = match self.options.preload {
            Preload::Never => return Ok(Ahead::No),
            Preload::Only => true,
            Preload::Also if named.is_none() || installed != Some(release.id) => return Ok(Ahead::No),
            Preload::Also => false,
        };
        let Some(named) = named else {
            let message = "the channel prepares nothing; without --preload what it shows is installed";
            return Err(GetError::Usage(message.to_owned()));
        };
        let base = (!is_only).then_some(release);
        let laid = match Laid::lay(self.origin, self.documents, &named, base, installed).await {
            Err(error) if !is_only => {
                self.note(Some(format!("version {} cannot be fetched ahead: {error}", named.version))).await;
                return Ok(Ahead::Later);
            }
            laid => laid?,
        };
        let before = if is_only { Before { installed: None, release: None } } else { before.clone() };
        let (release, local, before) = match self.look(laid.release.clone(), before, None).await {
            // A full disk, say: what is installed is shared all the same.
            Err(error) if !is_only && !self.stop.is_cancelled() => {
                self.note(Some(format!("version {} cannot be fetched ahead: {error}", named.version))).await;
                return Ok(Ahead::Later);
            }
            looked => looked?,
        };
        if !is_only && !is_all_here(&release, &local) {
            return Ok(Ahead::No);
        }
        let _ = self.events.send(laid.event(&local)).await;
        let preload = Preloading::new(Some(laid.record));
        Ok(Ahead::Now(Box::new(Prepared { release, local, before, index: None, preload })))
    }

    /// Looks through the folder.
    async fn look(
        &self,
        release: Release,
        before: Before,
        sealed: Option<SealedStream>,
    ) -> Result<(Arc<Release>, Local, Before), GetError> {
        let belief = if self.options.verify { Belief::Nothing } else { Belief::Untouched };
        let (release, stop) = (Arc::new(release), self.stop.clone());
        let (local, before) = look_around(self.layout, &release, before, move |files, old| {
            scan(files, old, sealed.as_ref(), belief, &stop)
        })
        .await?;
        Ok((release, local, before))
    }

    async fn note(&self, message: Option<String>) {
        if let Some(message) = message {
            let _ = self.events.send(Event::Note { message }).await;
        }
    }

    /// Says which release the job is about.
    async fn tell(&self, report: &mut Report, release: &Release, local: &Local) {
        let root = Some(release.id.to_string());
        if report.root.as_ref().is_some_and(|before| root.as_ref() != Some(before)) {
            // The channel has gone on during a pause.
            (report.installed, report.installed_ms) = (false, None);
        }
        report.version = Some(release.root.version.to_string());
        report.root = root;
        report.release_bytes = release.chosen_bytes();
        report.parts = release.chosen_parts().map(ToString::to_string).collect();
        if self.options.preload != Preload::Only {
            let _ = self.events.send(release_event(release, local)).await;
        }
    }
}

fn release_event(release: &Release, local: &Local) -> Event {
    let is_ahead = release.sealed_root().is_some();
    // Of what is installed nothing is missing while something else is fetched.
    let held_bytes = local.kept_bytes + if is_ahead { 0 } else { local.resumed_bytes + local.copied_bytes };
    Event::Release {
        version: release.root.version.to_string(),
        root: release.id.to_string(),
        parts: release.chosen_parts().map(ToString::to_string).collect(),
        bytes: release.chosen_bytes(),
        files: release.chosen_files().count() as u64,
        missing_bytes: release.chosen_bytes().saturating_sub(held_bytes),
        fetch_bytes: if is_ahead { 0 } else { fetch_bytes(release, local) },
    }
}

/// Bytes of what is going to be fetched: deltas, and chunks that come whole.
fn fetch_bytes(release: &Release, local: &Local) -> u64 {
    wanted(release, local)
        .into_iter()
        .flatten()
        .map(|position| u64::from(release.chunk(position).bytes))
        .sum()
}
