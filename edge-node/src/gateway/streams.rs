//! The streams whose swarms the gateway takes part in: each is joined once, when its first playlist passes, and left when
//! nobody has watched it for long. What cannot be had from a swarm is the origin's to answer, so nothing here fails.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use freshet_protocol::{ContentName, KeyDocument, Pointer, PublicKey, Role};
use freshet_swarm::OriginReason;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::open::{Opener, free_port};
use super::playlists::Playlists;
use crate::clock::unix_now;
use crate::node::{GetError, join};
use crate::release::content_of;
use crate::report::Report;
use crate::stream::{Joining, Stream};

/// Most streams at a time: each has a socket, and keeps what was watched last in memory.
const STREAMS_MAX: usize = 4;
/// Most KiB of segments that are read at a time, over all streams: each stays in memory while its client reads.
const READ_KIB_MAX: usize = 256 << 10;
/// How long a stream that nobody watches is kept.
const IDLE_MAX: Duration = Duration::from_secs(300);
/// Who has not asked for anything for so long watches something else by now, where the place is wanted.
const LEFT: Duration = Duration::from_secs(20);
/// When a stream that could not be joined is tried again.
const AGAIN: Duration = Duration::from_secs(30);
/// How often streams are looked after.
const LOOK_EVERY: Duration = Duration::from_secs(5);

type Opening = Shared<BoxFuture<'static, Option<Arc<Stream>>>>;

/// A stream, joined or to be.
struct Slot {
    joining: Opening,
    began: Instant,
    used: Instant,
    stop: CancellationToken,
}

pub(super) struct Streams {
    opener: Opener,
    playlists: Mutex<Playlists>,
    slots: Mutex<Slots>,
    /// Sums of the sessions that have ended, and of segments that were passed on.
    report: Mutex<Report>,
    room: Arc<Semaphore>,
    tasks: TaskTracker,
}

#[derive(Default)]
struct Slots {
    by_name: BTreeMap<ContentName, Slot>,
    is_paused: bool,
}

impl Streams {
    pub(super) fn new(opener: Opener) -> Arc<Self> {
        Arc::new(Self {
            opener,
            playlists: Mutex::default(),
            slots: Mutex::default(),
            report: Mutex::default(),
            room: Arc::new(Semaphore::new(READ_KIB_MAX)),
            tasks: TaskTracker::new(),
        })
    }

    /// What playlists have said so far.
    pub(super) fn playlists(&self) -> std::sync::MutexGuard<'_, Playlists> {
        self.playlists.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The stream of this name, joined where that is not so yet; none where it cannot be.
    pub(super) async fn joined(self: &Arc<Self>, name: &ContentName) -> Option<Arc<Stream>> {
        let joining = self.joining(name)?;
        joining.await.filter(|stream| !stream.is_closed())
    }

    /// Begins to join, so that peers are there when the first segment is asked for.
    pub(super) fn expect(self: &Arc<Self>, name: &ContentName) {
        drop(self.joining(name));
    }

    /// Room to read so many bytes at a time, if there is as much.
    pub(super) fn room(&self, bytes: u64) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.room).try_acquire_many_owned(u32::try_from(bytes.div_ceil(1024)).ok()?).ok()
    }

    /// Those that are joined.
    pub(super) fn open(&self) -> Vec<(ContentName, Arc<Stream>)> {
        let slots = self.slots();
        let open = slots.by_name.iter().filter_map(|(name, slot)| Some((name.clone(), slot.open()?)));
        open.filter(|(_, stream)| !stream.is_closed()).collect()
    }

    /// A segment, or a part of one, came from the origin as it is.
    pub(super) fn passed(&self, bytes: u64, reason: OriginReason) {
        let mut report = self.report.lock().unwrap_or_else(PoisonError::into_inner);
        report.bytes.origin += bytes;
        *report.origin_bytes_by_reason.entry(reason.name()).or_default() += bytes;
    }

    /// The sums of the sessions that have ended, and of what was passed on.
    pub(super) fn report(&self) -> Report {
        self.report.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// No peer is spoken to from now on, or they may be again.
    pub(super) fn set_pause(&self, is_paused: bool) {
        self.slots().is_paused = is_paused;
        if is_paused {
            self.close_all();
        }
    }

    pub(super) fn close_all(&self) {
        std::mem::take(&mut self.slots().by_name).into_values().for_each(|slot| slot.stop.cancel());
    }

    /// Waits for all sessions to end, once all are closed.
    pub(super) async fn end(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Leaves streams that nobody watches, until dropped.
    pub(super) async fn look_after(&self) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            self.slots().by_name.retain(|_, slot| {
                let stays = slot.used.elapsed() < IDLE_MAX;
                if !stays {
                    slot.stop.cancel();
                }
                stays
            });
        }
    }

    fn slots(&self) -> std::sync::MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn joining(self: &Arc<Self>, name: &ContentName) -> Option<Opening> {
        let mut slots = self.slots();
        if slots.is_paused || !self.opener.policies.borrow().p2p {
            return None;
        }
        if let Some(slot) = slots.by_name.get_mut(name)
            && !slot.is_over()
        {
            slot.used = Instant::now();
            return Some(slot.joining.clone());
        }
        slots.by_name.retain(|_, slot| !slot.is_over());
        if !slots.has_room(Instant::now()) {
            return None;
        }
        let stop = self.opener.stop.child_token();
        let joining = Arc::clone(self).begin(name.clone(), stop.clone()).boxed().shared();
        // It goes on though nobody waits for it.
        self.tasks.spawn(joining.clone());
        let now = Instant::now();
        slots.by_name.insert(name.clone(), Slot { joining: joining.clone(), began: now, used: now, stop });
        Some(joining)
    }

    async fn begin(self: Arc<Self>, name: ContentName, stop: CancellationToken) -> Option<Arc<Stream>> {
        let joined = tokio::select! {
            joined = self.join(&name, &stop) => joined,
            () = stop.cancelled() => return None,
        };
        match joined {
            Ok(stream) => stream,
            Err(error) => {
                tracing::info!(stream = %name, %error, "a stream comes from the origin alone");
                None
            }
        }
    }

    /// Joins a stream; none where there is no tracker to join it by.
    async fn join(
        self: &Arc<Self>,
        name: &ContentName,
        stop: &CancellationToken,
    ) -> Result<Option<Arc<Stream>>, GetError> {
        let Opener { options, origin, policies, events, .. } = &self.opener;
        let keys = self.keys(name).await?;
        let trusted = keys.keys_for(Role::Stream, unix_now());
        if trusted.is_empty() {
            return Err(GetError::Other("no key may sign its entries".to_owned()));
        }
        let trackers = match options.trackers.is_empty() {
            true => self.trackers().await?,
            false => options.trackers.clone(),
        };
        let mut options = options.clone();
        options.policy = *policies.borrow();
        options.listen = free_port(options.listen);
        // The identity that is kept is for releases.
        options.state_dir = None;
        let tracker_keys = keys.keys_for(Role::Tracker, unix_now());
        let Some(network) = join(&options, name, trackers, tracker_keys, events).await? else {
            return Ok(None);
        };
        let (stream, session) = Stream::join(Joining {
            stream: name.clone(),
            keys: trusted,
            network,
            origin: origin.clone(),
            policies: policies.clone(),
            stop: stop.clone(),
        });
        tracing::info!(stream = %name, "a stream is joined");
        let streams = Arc::clone(self);
        self.tasks.spawn(async move {
            let report = session.await;
            streams.report.lock().unwrap_or_else(PoisonError::into_inner).add(report);
        });
        Ok(Some(Arc::new(stream)))
    }

    /// The trackers of the channel that the gateway is about.
    async fn trackers(&self) -> Result<Vec<String>, GetError> {
        let Opener { options, channel, origin, .. } = &self.opener;
        let content = content_of(&options.url.target);
        // A site that has streams alone names its trackers on the command line.
        let Ok(envelope) = origin.pointer(content, channel).await else { return Ok(Vec::new()) };
        let keys = self.keys(content).await?.keys_for(Role::Pointer, unix_now());
        let forged = |error: String| GetError::Forged(format!("channel {channel} of {content}: {error}"));
        let pointer = Pointer::open(&envelope, &keys).map_err(|error| forged(error.to_string()))?;
        match pointer.content == *content && pointer.channel == *channel {
            true => Ok(pointer.trackers),
            false => Err(forged("it is of another channel".to_owned())),
        }
    }

    async fn keys(&self, content: &ContentName) -> Result<KeyDocument, GetError> {
        let no_key = || GetError::Usage("without --key no signature of a stream can be checked".to_owned());
        let key: PublicKey = self.opener.options.key.ok_or_else(no_key)?;
        let envelope = self.opener.origin.keys(content).await?;
        let forged = |error| GetError::Forged(format!("the key document of {content}: {error}"));
        KeyDocument::open(&envelope, key).map_err(forged)
    }
}

impl Slots {
    /// Whether one more may be joined; leaves the one that was watched longest ago, where nobody watches it any more.
    fn has_room(&mut self, now: Instant) -> bool {
        if self.by_name.len() < STREAMS_MAX {
            return true;
        }
        let left = self.by_name.iter().filter(|(_, slot)| now - slot.used >= LEFT);
        let oldest = left.min_by_key(|(_, slot)| slot.used).map(|(name, _)| name.clone());
        let Some(slot) = oldest.and_then(|name| self.by_name.remove(&name)) else { return false };
        slot.stop.cancel();
        true
    }
}

impl Slot {
    fn open(&self) -> Option<Arc<Stream>> {
        self.joining.peek()?.clone()
    }

    /// Whether the session has ended, or joining failed long enough ago to be tried again.
    fn is_over(&self) -> bool {
        match self.joining.peek() {
            None => false,
            Some(Some(stream)) => stream.is_closed(),
            Some(None) => self.began.elapsed() >= AGAIN,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_changes_channels_takes_the_place_of_what_nobody_watches() {
        let mut slots = Slots::default();
        let now = Instant::now();
        let name = |number: u64| format!("site/{number}").parse::<ContentName>().expect("a name");
        let mut stops = Vec::new();
        for number in 0..STREAMS_MAX as u64 {
            assert!(slots.has_room(now));
            let joining = futures_util::future::ready(None).boxed().shared();
            let (used, stop) = (now + Duration::from_secs(number), CancellationToken::new());
            stops.push(stop.clone());
            slots.by_name.insert(name(number), Slot { joining, began: now, used, stop });
        }
        assert!(!slots.has_room(now + LEFT - Duration::from_millis(1)));
        assert!(slots.has_room(now + LEFT + Duration::from_secs(1)));
        assert!(!slots.by_name.contains_key(&name(0)));
        let ended: Vec<bool> = stops.iter().map(CancellationToken::is_cancelled).collect();
        assert_eq!(ended, [true, false, false, false]);
    }
}
