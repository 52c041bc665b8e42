//! The releases that are open: each is opened once, whoever asks, and closed when nobody has read it for long.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use tokio::sync::RwLock;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::cache::Cache;
use super::open::{OpenError, Opener};
use super::refusal::Refusal;
use super::release::OpenRelease;
use super::route::ReleaseName;
use crate::control::Pause;
use crate::event::Event;
use crate::node::GetError;
use crate::report::Report;

/// Most releases open at a time: each has a socket, and two bits and a number for each of its chunks.
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
}

pub(super) struct Shelf {
    opener: Opener,
    cache: Cache,
    slots: Mutex<Slots>,
    /// Sums of the jobs that have ended.
    report: Mutex<Report>,
    began: Instant,
    tasks: TaskTracker,
    /// Shared by those who open releases, so that no folder is removed meanwhile.
    folders: RwLock<()>,
}

#[derive(Default)]
struct Slots {
    by_name: BTreeMap<ReleaseName, Slot>,
    /// Jobs that have not ended, with what tells that they have. Each has its folder for itself.
    running: BTreeMap<ReleaseName, CancellationToken>,
    /// Why nothing is opened.
    pause: Option<Pause>,
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
            folders: RwLock::default(),
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
            let traffic = release.traffic();
            report.bytes.peer += traffic.bytes.peer;
            report.bytes.origin += traffic.bytes.origin;
            report.sent_bytes += traffic.sent_bytes;
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
        std::mem::take(&mut self.slots().by_name).into_values().for_each(|slot| slot.close());
    }

    /// Waits for all jobs to end, once all are closed.
    pub(super) async fn end(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Closes what nobody reads, and keeps the cache within its bound; runs until dropped.
    pub(super) async fn look_after(self: Arc<Self>) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            if !self.opener.policies.borrow().sharing {
                self.close_where(|release| release.idle() >= IDLE_MAX);
            }
            self.shrink().await;
        }
    }

    /// Removes what was read longest ago, until the cache is within its bound: releases that nobody reads, and then files of
    /// those that somebody reads. Files that are read now stay.
    async fn shrink(&self) {
        let mut kept = self.cache.look().await;
        for (name, release) in self.open() {
            let folder = self.opener.folder(&name);
            let used = release.used_at();
            kept.iter_mut().filter(|kept| kept.folder == folder).for_each(|kept| kept.used = used);
        }
        kept.sort_by_key(|release| release.used);
        let mut bytes: u64 = kept.iter().map(|release| release.bytes).sum();
        for release in kept {
            if bytes <= self.cache.bytes_max() {
                return;
            }
            let _nobody_opens = self.folders.write().await;
            let is_going = match self.running_in(&release.folder) {
                // Its folder is free with the end of its job: a later look removes it.
                Some(name) => self.close_named(&name, |open| open.readers() == 0),
                None => match self.cache.remove(&release.folder).await {
                    Ok(()) => true,
                    Err(error) => {
                        let folder = release.folder.display();
                        tracing::warn!(%folder, %error, "cannot remove a release from the cache");
                        false
                    }
                },
            };
            if is_going {
                bytes -= release.bytes;
            }
        }
        for (_, release) in self.open() {
            let above = bytes.saturating_sub(self.cache.bytes_max());
            if above > 0 {
                bytes -= release.free(above).await.min(bytes);
            }
        }
    }

    fn running_in(&self, folder: &Path) -> Option<ReleaseName> {
        self.slots().running.keys().find(|name| self.opener.folder(name) == folder).cloned()
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
        // Who asked first may leave; the others wait on.
        let opening = self.tasks.spawn(Arc::clone(self).begin(name.clone()));
        let opening = async move { opening.await.expect("opening does not panic") }.boxed().shared();
        slots.by_name.insert(name.clone(), Slot { opening: opening.clone(), asked: Instant::now() });
        Ok(opening)
    }

    async fn begin(self: Arc<Self>, name: ReleaseName) -> Result<Arc<OpenRelease>, Refusal> {
        let before = self.slots().running.get(&name).cloned();
        if let Some(ended) = before {
            ended.cancelled().await;
        }
        let is_alone = self.slots().running.is_empty();
        let _folder_stays = self.folders.read().await;
        let opened = tokio::select! {
            opened = self.opener.open(&name, is_alone) => opened,
            () = self.opener.stop.cancelled() => Err(GetError::Stopped.into()),
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
        self.cache.used(&self.opener.folder(&name), release.used_at()).await;
        tracing::info!(content = %name.content, version = %name.version, "a release is open");
        let (shelf, ended) = (Arc::clone(&self), CancellationToken::new());
        let open = Arc::clone(&release);
        self.slots().running.insert(name.clone(), ended.clone());
        self.tasks.spawn(async move {
            let _ended = ended.drop_guard();
            let (report, result) = opened.run(Instant::now()).await;
            report.add_to(&mut shelf.report.lock().unwrap_or_else(PoisonError::into_inner), shelf.began);
            shelf.cache.used(&shelf.opener.folder(&name), open.used_at()).await;
            shelf.slots().running.remove(&name);
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
        self.close_named(&name, |release| release.files.release.id != id);
    }

    /// Closes a release that is open, if it fits; whether it is going to be closed.
    fn close_named(&self, name: &ReleaseName, fits: impl Fn(&OpenRelease) -> bool) -> bool {
        let mut slots = self.slots();
        match slots.by_name.get(name).and_then(Slot::open) {
            Some(release) if !fits(&release) => return false,
            Some(_) => slots.by_name.remove(name).into_iter().for_each(Slot::close),
            // Its job winds down, or it is being opened anew.
            None => {}
        }
        !slots.by_name.contains_key(name)
    }

    fn close_where(&self, fits: impl Fn(&OpenRelease) -> bool) {
        for (name, _) in self.open() {
            self.close_named(&name, &fits);
        }
    }
}

impl Slots {
    /// Closes the release that was read longest ago, if there is one that nobody reads.
    fn make_room(&mut self) -> bool {
        let idle = |(name, slot): (&ReleaseName, &Slot)| {
            let release = slot.open().filter(|release| release.readers() == 0)?;
            Some((release.used(), name.clone()))
        };
        let Some((_, name)) = self.by_name.iter().filter_map(idle).min() else { return false };
        if let Some(slot) = self.by_name.remove(&name) {
            slot.close();
        }
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
        if let Some(release) = self.open() {
            release.close();
        }
    }
}
