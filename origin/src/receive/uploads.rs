//! Larger objects on their way, part by part.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use ring::rand::{SecureRandom, SystemRandom};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::refusal::Refusal;
use crate::private::SILENCE_MAX;
use crate::store::{ContentLock, Upload};

/// Most uploads at once: a publisher has few.
pub(super) const UPLOADS_MAX: usize = 256;
/// What nobody goes on with for so long is given up. A publisher may look through much that has not changed before the
/// next part is full.
const IDLE_MAX: Duration = Duration::from_secs(900);
/// How long one is kept without a part, and a finished one, for publishers that did not hear of it.
const UNHEARD_MAX: Duration = Duration::from_secs(120);
/// How often what is over is looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(30);

/// All of them, by their names.
#[derive(Default)]
pub(super) struct Uploads {
    known: Mutex<HashMap<String, Arc<Coming>>>,
}

/// One on its way.
pub(super) struct Coming {
    stage: tokio::sync::Mutex<Stage>,
    /// Which part is the next. Requests may overtake each other, so later ones wait.
    next: watch::Sender<u64>,
    /// When it is forgotten.
    until: Mutex<Instant>,
}

enum Stage {
    Open(Box<Upload>, Arc<ContentLock>),
    Done,
    /// How much of it is written is not known.
    Broken,
}

impl Uploads {
    /// Opens one, and tells its name.
    pub(super) fn start(&self, upload: Upload, lock: Arc<ContentLock>) -> Result<String, Refusal> {
        let mut random = [0; 16];
        SystemRandom::new().fill(&mut random).expect("the operating system gives random bytes");
        let name = format!("{:032x}", u128::from_be_bytes(random));
        let coming = Coming {
            stage: tokio::sync::Mutex::new(Stage::Open(Box::new(upload), lock)),
            next: watch::Sender::new(0),
            until: Mutex::new(Instant::now() + UNHEARD_MAX),
        };
        let mut known = self.known();
        if known.len() >= UPLOADS_MAX {
            return Err(Refusal::TooManyUploads);
        }
        known.insert(name.clone(), Arc::new(coming));
        Ok(name)
    }

    pub(super) fn find(&self, name: &str) -> Result<Arc<Coming>, Refusal> {
        self.known().get(name).cloned().ok_or(Refusal::Upload)
    }

    pub(super) async fn abort(&self, name: &str) -> Result<(), Refusal> {
        let coming = self.known().remove(name).ok_or(Refusal::Upload)?;
        coming.abort().await;
        Ok(())
    }

    /// Gives up what nobody goes on with, for ever.
    pub(super) async fn sweep(&self) {
        loop {
            tokio::time::sleep(SWEEP_EVERY).await;
            for forgotten in self.take_forgotten() {
                forgotten.abort().await;
            }
        }
    }

    fn take_forgotten(&self) -> Vec<Arc<Coming>> {
        let now = Instant::now();
        self.known().extract_if(|_, coming| *coming.until() < now).map(|(_, coming)| coming).collect()
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, Arc<Coming>>> {
        self.known.lock().expect("nothing panics while it is held")
    }
}

impl Coming {
    /// Waits for the parts before `number`; false where it is there already.
    pub(super) async fn turn(&self, number: u64) -> Result<bool, Refusal> {
        let mut next = self.next.subscribe();
        let came = timeout(SILENCE_MAX, next.wait_for(|next| *next >= number)).await;
        let next = *came.map_err(|_| Refusal::Order)?.expect("the sender lives as long as this");
        Ok(next == number)
    }

    /// Appends the part `number`, whose turn it is; one that another request appended meanwhile is left.
    pub(super) async fn append(&self, number: u64, parts: Vec<Bytes>) -> Result<(), Refusal> {
        let mut stage = self.stage.lock().await;
        let Stage::Open(upload, _) = &mut *stage else { return Err(Refusal::Upload) };
        if *self.next.borrow() != number {
            return Ok(());
        }
        for bytes in parts {
            if let Err(error) = upload.write(bytes).await {
                if let Stage::Open(upload, _) = std::mem::replace(&mut *stage, Stage::Broken) {
                    upload.abort().await;
                }
                return Err(error.into());
            }
        }
        self.next.send_replace(number + 1);
        *self.until() = Instant::now() + IDLE_MAX;
        Ok(())
    }

    /// Makes the object of `parts` parts appear; once it has, that may be said again.
    pub(super) async fn finish(&self, parts: u64) -> Result<(), Refusal> {
        let mut stage = self.stage.lock().await;
        if *self.next.borrow() != parts {
            return Err(Refusal::Order);
        }
        match std::mem::replace(&mut *stage, Stage::Broken) {
            Stage::Open(upload, _lock) => upload.finish().await?,
            Stage::Done => {}
            Stage::Broken => return Err(Refusal::Upload),
        }
        *stage = Stage::Done;
        *self.until() = Instant::now() + UNHEARD_MAX;
        Ok(())
    }

    async fn abort(&self) {
        let stage = std::mem::replace(&mut *self.stage.lock().await, Stage::Broken);
        if let Stage::Open(upload, _lock) = stage {
            upload.abort().await;
        }
    }

    fn until(&self) -> MutexGuard<'_, Instant> {
        self.until.lock().expect("nothing panics while it is held")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Store, StoreError};
    use freshet_protocol::ContentName;

    struct Place {
        store: Store,
        content: ContentName,
        _folder: tempfile::TempDir,
    }

    impl Place {
        fn new() -> Self {
            let folder = tempfile::tempdir().expect("folder");
            let store = Store::open(folder.path().to_str().expect("text")).expect("store");
            Self { store, content: "game/demo".parse().expect("name"), _folder: folder }
        }

        fn start(&self, uploads: &Uploads) -> String {
            let lock = Arc::new(ContentLock::take(&self.store, &self.content).expect("free"));
            uploads.start(self.store.upload("game/demo/media/a"), lock).expect("there is room")
        }

        fn is_locked(&self) -> bool {
            matches!(ContentLock::take(&self.store, &self.content), Err(StoreError::Busy { .. }))
        }
    }

    fn part(byte: u8) -> Vec<Bytes> {
        vec![Bytes::from(vec![byte; 3])]
    }

    #[tokio::test(start_paused = true)]
    async fn parts_wait_for_those_before_them() {
        let (place, uploads) = (Place::new(), Uploads::default());
        let coming = uploads.find(&place.start(&uploads)).expect("there");
        assert!(matches!(coming.turn(1).await, Err(Refusal::Order)), "the part before never comes");
        let second = {
            let coming = coming.clone();
            tokio::spawn(async move {
                assert!(coming.turn(1).await.expect("its turn comes"));
                coming.append(1, part(2)).await.expect("appended");
            })
        };
        assert!(coming.turn(0).await.expect("at once"));
        coming.append(0, part(1)).await.expect("appended");
        coming.append(0, part(9)).await.expect("another request did it");
        second.await.expect("it ends");
        assert!(!coming.turn(0).await.expect("there already"));
        assert!(matches!(coming.finish(3).await, Err(Refusal::Order)));
        coming.finish(2).await.expect("finished");
        coming.finish(2).await.expect("said again");
        assert!(!place.is_locked());
        assert_eq!(place.store.read("game/demo/media/a", 99).await.expect("there"), [1, 1, 1, 2, 2, 2][..]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_nobody_goes_on_with_is_given_up() {
        let (place, uploads) = (Place::new(), Uploads::default());
        let check = async |parts: u64, kept: Duration| {
            let name = place.start(&uploads);
            let coming = uploads.find(&name).expect("there");
            for number in 0..parts {
                coming.append(number, part(1)).await.expect("appended");
            }
            let sweeping = async |time| drop(timeout(time, uploads.sweep()).await);
            sweeping(kept - Duration::from_secs(1)).await;
            assert!(uploads.find(&name).is_ok() && place.is_locked());
            sweeping(SWEEP_EVERY * 2).await;
            assert!(uploads.find(&name).is_err() && !place.is_locked());
            assert!(place.store.size("game/demo/media/a").await.is_err());
        };
        check(0, UNHEARD_MAX).await;
        check(1, IDLE_MAX).await;
    }
}
