//! The releases that are open: each is opened once, whoever asks, and closed when nobody has read it for long.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::cache::{Cache, Kept};
use super::open::{OpenError, Opener};
use super::refusal::Refusal;
use super::release::OpenRelease;
use super::route::ReleaseName;
use crate::control::Pause;
use crate::event::Event;
use crate::node::GetError;
use crate::report::Report;

/// Most releases open at a time: each has a socket, and its map in memory.
const OPEN_MAX: usize = 8;
/// How long a release that nobody reads stays open, where it is not shared.
const IDLE_MAX: Duration = Duration::from_secs(300);
/// How long the origin's word for what a version is counts.
const VERSION_LIFE: Duration = Duration::from_secs(60);
/// How often the shelf is looked after.
const LOOK_EVERY: Duration = Duration::from_secs(5);

type Opening = Shared<BoxFuture<'static, Result<Arc<OpenRelease>, Refusal>>>;

/// A place on the shelf.
struct Slot {
    opening: Opening,
    /// When the origin was asked what the version is.
    asked: Instant,
    /// Ends the job, or the way to it.
    stop: CancellationToken,
}

pub(super) struct Shelf {
    opener: Opener,
    cache: Cache,
    slots: Mutex<Slots>,
    /// Sums of the jobs that have ended.
    report: Mutex<Report>,
    began: Instant,
    tasks: TaskTracker,
}

#[derive(Default)]
struct Slots {
    by_name: BTreeMap<ReleaseName, Slot>,
    /// Folders in which somebody works, with what tells the end of that.
    busy: BTreeMap<PathBuf, CancellationToken>,
    /// Why nothing is opened.
    pause: Option<Pause>,
}

/// A turn to work in a folder, which ends when this is dropped.
struct Turn {
    /// Who has the folder before.
    before: Option<CancellationToken>,
    /// Whether nobody works in another folder.
    is_alone: bool,
    _over: DropGuard,
}

impl Shelf {
    pub(super) fn new(opener: Opener, cache: Cache) -> Arc<Self> {
        Arc::new(Self {
            opener,
            cache,
            slots: Mutex::default(),
            report: Mutex::default(),
            began: Instant::now(),
            tasks: TaskTracker::new(),
        })
    }

    /// The release of this name, opened where it is not open yet.
    pub(super) async fn release(self: &Arc<Self>, name: &ReleaseName) -> Result<Arc<OpenRelease>, Refusal> {
        let opening = self.opening(name)?;
        let opened = opening.await;
        if let Ok(release) = &opened {
            release.touch();
        }
        opened
    }

    /// Those that are open.
    pub(super) fn open(&self) -> Vec<(ReleaseName, Arc<OpenRelease>)> {
        let slots = self.slots();
        let open = slots.by_name.iter().filter_map(|(name, slot)| Some((name.clone(), slot.open()?)));
        open.filter(|(_, release)| !release.is_closed()).collect()
    }

    /// The sums of all jobs, of those that run as far as they have told.
    pub(super) fn report(&self) -> Report {
        let mut report = self.report.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for (_, release) in self.open() {
            let so_far = release.so_far();
            report.bytes += so_far.bytes;
            report.sent_bytes += so_far.sent_bytes;
        }
        report.origin_wire_bytes = self.opener.origin.body_bytes();
        report.origin_requests = self.opener.origin.requests();
        report.time_ms = self.began.elapsed().as_millis() as u64;
        report
    }

    pub(super) fn opener(&self) -> &Opener {
        &self.opener
    }

    pub(super) fn cache(&self) -> &Cache {
        &self.cache
    }

    /// Nothing is done from now on, or all may be done again.
    pub(super) fn set_pause(&self, pause: Option<Pause>) {
        self.slots().pause = pause;
        if pause.is_some() {
            self.close_all();
        }
    }

    /// Closes what is open. Who reads is cut off; what was fetched is kept.
    pub(super) fn close_all(&self) {
        std::mem::take(&mut self.slots().by_name).into_values().for_each(Slot::close);
    }

    /// Waits for all jobs to end, once all are closed.
    pub(super) async fn end(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Closes what nobody reads, and keeps the cache within its bound; runs until dropped.
    pub(super) async fn look_after(self: Arc<Self>) {
        // What was taken in at the look before, and when all of it was on the disk and the cache within its bound.
        let (mut before, mut settled) = (None, None);
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            if !self.opener.policies.borrow().sharing {
                for (name, _) in self.open() {
                    self.close_if(&name, |release| release.idle() >= IDLE_MAX);
                }
            }
            let taken = Some(self.taken_bytes());
            if settled != taken && self.shrink().await && before == taken {
                settled = taken;
            }
            before = taken;
        }
    }

    /// Changes with whatever may make the cache larger.
    fn taken_bytes(&self) -> u64 {
        let report = self.report();
        report.origin_wire_bytes + report.bytes.peer + report.bytes.local
    }

    /// Removes what was read longest ago, until the cache is within its bound: releases that nobody reads, and then files of
    /// those that somebody reads. Files that are read now stay. Whether it is within its bound, with nothing left to remove.
    async fn shrink(&self) -> bool {
        let mut kept = self.cache.look().await;
        for (name, release) in self.open() {
            let folder = self.opener.folder(&name);
            let used = release.used_at();
            kept.iter_mut().filter(|(kept, _)| kept.folder == folder).for_each(|(kept, _)| kept.used = used);
        }
        kept.sort_by_key(|(kept, _)| kept.used);
        let mut bytes: u64 = kept.iter().map(|(_, bytes)| bytes).sum();
        let mut closing = false;
        for (Kept { folder, .. }, its_bytes) in kept {
            if bytes <= self.cache.bytes_max() {
                break;
            }
            let turn = self.slots().turn_if_free(&folder);
            let is_going = match turn {
                // Its folder is free with the end of its job: a later look removes it.
                None if self.close_unread(&folder) => {
                    closing = true;
                    true
                }
                None => false,
                Some(_turn) => match self.cache.remove(&folder).await {
                    Ok(()) => true,
                    Err(error) => {
                        let folder = folder.display();
                        tracing::warn!(%folder, %error, "cannot remove a release from the cache");
                        false
                    }
                },
            };
            if is_going {
                bytes -= its_bytes;
            }
        }
        for (_, release) in self.open() {
            let above = bytes.saturating_sub(self.cache.bytes_max());
            if above > 0 {
                bytes -= release.free(above).await.min(bytes);
            }
        }
        bytes <= self.cache.bytes_max() && !closing
    }

    fn slots(&self) -> std::sync::MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn opening(self: &Arc<Self>, name: &ReleaseName) -> Result<Opening, Refusal> {
        let mut slots = self.slots();
        if let Some(pause) = slots.pause {
            return Err(Refusal::Paused(pause));
        }
        if let Some(slot) = slots.by_name.get_mut(name)
            && !slot.is_over()
        {
            if slot.asked.elapsed() >= VERSION_LIFE {
                slot.asked = Instant::now();
                self.tasks.spawn(Arc::clone(self).ask_again(name.clone()));
            }
            return Ok(slot.opening.clone());
        }
        slots.by_name.retain(|_, slot| !slot.is_over());
        if slots.by_name.len() >= OPEN_MAX && !slots.make_room() {
            return Err(Refusal::Busy);
        }
        let (stop, turn) = (self.opener.stop.child_token(), slots.turn(self.opener.folder(name)));
        let opening = Arc::clone(self).begin(name.clone(), turn, stop.clone()).boxed().shared();
        // It goes on though who asked first has left.
        self.tasks.spawn(opening.clone());
        let slot = Slot { opening: opening.clone(), asked: Instant::now(), stop };
        slots.by_name.insert(name.clone(), slot);
        Ok(opening)
    }

    async fn begin(
        self: Arc<Self>,
        name: ReleaseName,
        turn: Turn,
        stop: CancellationToken,
    ) -> Result<Arc<OpenRelease>, Refusal> {
        if let Some(before) = &turn.before {
            before.cancelled().await;
        }
        let opened = tokio::select! {
            opened = self.opener.open(&name, turn.is_alone, &stop) => opened,
            () = stop.cancelled() => Err(GetError::Stopped.into()),
        };
        let opened = match opened {
            Ok(opened) => opened,
            Err(OpenError::NotFound) => return Err(Refusal::NotFound),
            Err(OpenError::Failed(error)) => {
                tracing::warn!(content = %name.content, version = %name.version, %error, "cannot open a release");
                return Err(Refusal::from(&error));
            }
        };
        let release = Arc::clone(&opened.release);
        let folder = self.opener.folder(&name);
        self.cache.used(&folder, release.used_at()).await;
        tracing::info!(content = %name.content, version = %name.version, "a release is open");
        let (shelf, open) = (Arc::clone(&self), Arc::clone(&release));
        self.tasks.spawn(async move {
            let _turn = turn;
            let (job_report, result) = opened.run().await;
            let mut report = Report::default();
            job_report.add_to(&mut report, shelf.began);
            shelf.report.lock().unwrap_or_else(PoisonError::into_inner).add(report);
            shelf.cache.used(&folder, open.used_at()).await;
            if let Err(error) = result {
                let message = format!("{} {}: {error}", name.content, name.version);
                let _ = shelf.opener.events.send(Event::Note { message }).await;
            }
        });
        Ok(release)
    }

    /// Closes a release whose version is another one by now: it was removed, and published anew.
    async fn ask_again(self: Arc<Self>, name: ReleaseName) {
        let Ok(id) = self.opener.origin.version(&name.content, &name.version).await else { return };
        self.close_if(&name, |release| release.files.release.id != id);
    }

    /// Closes what is open in a folder, if nobody reads it; whether the folder is going to be free.
    fn close_unread(&self, folder: &Path) -> bool {
        let name = self.slots().by_name.keys().find(|name| self.opener.folder(name) == folder).cloned();
        name.is_none_or(|name| self.close_if(&name, |release| release.readers() == 0))
    }

    /// Closes a release that is open, if it fits; whether it did.
    fn close_if(&self, name: &ReleaseName, fits: impl Fn(&OpenRelease) -> bool) -> bool {
        let mut slots = self.slots();
        let closes = slots.by_name.get(name).and_then(Slot::open).is_some_and(|release| fits(&release));
        if closes {
            slots.by_name.remove(name).into_iter().for_each(Slot::close);
        }
        closes
    }
}

impl Slots {
    /// The next turn to work in a folder.
    fn turn(&mut self, folder: PathBuf) -> Turn {
        self.busy.retain(|_, over| !over.is_cancelled());
        let is_alone = self.busy.keys().all(|busy| *busy == folder);
        let over = CancellationToken::new();
        let before = self.busy.insert(folder, over.clone());
        Turn { before, is_alone, _over: over.drop_guard() }
    }

    /// The same, if nobody works there.
    fn turn_if_free(&mut self, folder: &Path) -> Option<Turn> {
        let is_free = self.busy.get(folder).is_none_or(CancellationToken::is_cancelled);
        is_free.then(|| self.turn(folder.to_owned()))
    }

    /// Closes the release that was read longest ago, if there is one that nobody reads.
    fn make_room(&mut self) -> bool {
        let idle = |(name, slot): (&ReleaseName, &Slot)| {
            let release = slot.open().filter(|release| release.readers() == 0)?;
            Some((release.used(), name.clone()))
        };
        let Some((_, name)) = self.by_name.iter().filter_map(idle).min() else { return false };
        self.by_name.remove(&name).into_iter().for_each(Slot::close);
        true
    }
}

impl Slot {
    /// The release, once it is open.
    fn open(&self) -> Option<Arc<OpenRelease>> {
        self.opening.peek()?.as_ref().ok().cloned()
    }

    /// Whether it could not be opened, or is closed.
    fn is_over(&self) -> bool {
        match self.opening.peek() {
            None => false,
            Some(Ok(release)) => release.is_closed(),
            Some(Err(_)) => true,
        }
    }

    fn close(self) {
        self.stop.cancel();
    }
}
