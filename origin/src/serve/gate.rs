//! Lets requests in: within the places there are, the caps, and what the line carries.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::admission::{Admission, Caps, Class, ComeBack, Load};
use super::pace::{LOT_BYTES, Pace, Pacer, content_bytes_s};

/// The door of an origin.
#[derive(Debug)]
pub(super) struct Gate {
    opened: Instant,
    admission: Mutex<Admission>,
    /// Where the line's rate is known, or capped.
    pacer: Option<Arc<Pacer>>,
    places: Arc<Semaphore>,
    places_max: usize,
    /// Answers that were let in and have not asked for their first turn.
    entering: AtomicU64,
}

/// A request that was let in. It holds its place until it is dropped.
#[derive(Debug)]
pub(super) struct Entry {
    gate: Arc<Gate>,
    _place: OwnedSemaphorePermit,
    class: Class,
    is_entering: bool,
}

impl Gate {
    pub(super) fn new(places_max: usize, line_bytes_s: Option<u64>, caps: Caps) -> Arc<Self> {
        let line_bytes_s = line_bytes_s.map(content_bytes_s);
        let bytes_s = [line_bytes_s, caps.bytes_s_max].into_iter().flatten().min();
        let opened = Instant::now();
        Arc::new(Self {
            opened,
            admission: Mutex::new(Admission::new(caps, line_bytes_s)),
            pacer: bytes_s.map(|bytes_s| Arc::new(Pacer::new(opened, bytes_s))),
            places: Arc::new(Semaphore::new(places_max)),
            places_max,
            entering: AtomicU64::new(0),
        })
    }

    /// Lets a request for about so many bytes in.
    ///
    /// # Errors
    /// [`ComeBack`] where it has to wait.
    pub(super) fn admit(self: &Arc<Self>, class: Class, bytes: u64) -> Result<Entry, ComeBack> {
        let now = Instant::now();
        let now_us = now.duration_since(self.opened).as_micros() as u64;
        let mut admission = self.admission.lock().expect("nothing panics while it is held");
        let place = self.places.clone().try_acquire_owned().ok();
        let load = self.load(now, place.is_some());
        admission.admit(now_us, class, bytes, &load)?;
        let place = place.expect("nobody is let in without a place");
        // While the lock is held: those who come in one moment see each other.
        let is_entering = class == Class::Bulk;
        self.entering.fetch_add(u64::from(is_entering), Relaxed);
        Ok(Entry { gate: self.clone(), _place: place, class, is_entering })
    }

    fn load(&self, now: Instant, has_place: bool) -> Load {
        let (bulk_wait_us, media_wait_us) = self.pacer.as_ref().map_or((0, 0), |pacer| {
            let (bulk, media) = pacer.waits(now);
            let entering = pacer.takes(self.entering.load(Relaxed) * LOT_BYTES);
            ((bulk + entering).as_micros() as u64, media.as_micros() as u64)
        });
        // The place that was just taken is one of those that were free.
        let free = if has_place { self.places.available_permits() + 1 } else { 0 };
        Load { bulk_wait_us, media_wait_us, places_free_permille: (free * 1000 / self.places_max) as u64 }
    }

    #[cfg(test)]
    pub(super) fn places(&self) -> &Arc<Semaphore> {
        &self.places
    }
}

impl Entry {
    /// The way of an answer of so many bytes through the line, where there is a bound.
    pub(super) fn pace(&self, length: u64) -> Option<Pace> {
        self.gate.pacer.clone().map(|pacer| Pace::new(pacer, self.class, length))
    }

    /// Its bytes have begun to ask for their turns, which the line knows of.
    pub(super) fn begun(&mut self) {
        if std::mem::take(&mut self.is_entering) {
            self.gate.entering.fetch_sub(1, Relaxed);
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.begun();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn bulk_that_comes_in_one_moment_is_let_in_as_far_as_the_line_carries_it() {
        let caps = Caps { bytes_s_max: Some(LOT_BYTES * 100), requests_s_max: None };
        let gate = Gate::new(2048, None, caps);
        let crowd = |class| {
            let entries = (0..100).map_while(|_| gate.admit(class, 1 << 20).ok());
            entries.collect::<Vec<Entry>>()
        };
        // 26 lots take more than a quarter of a second.
        let mut entries = crowd(Class::Bulk);
        assert_eq!(entries.len(), 26);
        assert_eq!((crowd(Class::Media).len(), crowd(Class::Document).len()), (100, 100));
        // Whether they have asked for their turns or not is all the same, and who gives up makes room.
        for entry in &mut entries[..10] {
            entry.pace(1 << 20).expect("a line").turn(Instant::now(), 1000);
            entry.begun();
        }
        assert_eq!(crowd(Class::Bulk).len(), 0);
        entries.truncate(20);
        assert_eq!(crowd(Class::Bulk).len(), 6);
        drop(entries);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(crowd(Class::Bulk).len(), 26);
    }
}
