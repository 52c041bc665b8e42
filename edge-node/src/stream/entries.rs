//! The signed entries of a stream: pushed by the tracker and peers, or fetched in pages from the origin.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use freshet_protocol::limits::PAGE_SEQUENCES;
use freshet_protocol::{ContentName, PublicKey, SegmentEntry, SegmentError, SegmentKind, decode_entry_page};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::origin::Origin;

/// Most entries kept; those that were taken in first go first.
const ENTRIES_MAX: usize = 4096;
/// Most pages remembered; each covers minutes.
const PAGES_MAX: usize = 256;
/// Time for which a page that could not be had is not asked for again.
const MISSING: Duration = Duration::from_secs(10);
/// Time between two looks at a page that is not full yet.
const AGAIN: Duration = Duration::from_millis(900);

/// A rendition and a sequence, or the number of a page.
type Place = (String, u64);

/// Why an entry goes no further.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EntryError {
    #[error(transparent)]
    Segment(#[from] SegmentError),
    #[error("a second entry says other things about the same place")]
    Contradiction,
}

#[derive(Debug)]
pub(crate) struct Entries {
    stream: ContentName,
    /// Which may sign them.
    keys: Vec<PublicKey>,
    origin: Origin,
    known: Mutex<Known>,
    news: Notify,
}

#[derive(Debug, Default)]
struct Known {
    /// Of several epochs the newest.
    entries: Oldest<SegmentEntry>,
    pages: Oldest<Arc<tokio::sync::Mutex<Page>>>,
}

/// What is known of a page at the origin.
#[derive(Debug, Default)]
struct Page {
    /// Whether it could be had.
    is_there: bool,
    /// When it is worth asking for again; none at the first time.
    again: Option<Instant>,
}

impl Entries {
    pub(crate) fn new(stream: ContentName, keys: Vec<PublicKey>, origin: Origin) -> Self {
        Self { stream, keys, origin, known: Mutex::default(), news: Notify::new() }
    }

    /// Takes an entry in; whether it was news.
    ///
    /// # Errors
    /// [`EntryError`] when it is not good.
    pub(super) fn take(&self, bytes: &[u8]) -> Result<bool, EntryError> {
        let entry = SegmentEntry::open(bytes, &self.stream, &self.keys)?;
        if entry.place.kind != SegmentKind::Media {
            return Ok(false);
        }
        let place = (entry.place.rendition.clone(), entry.place.sequence);
        let mut known = self.known();
        // The first word about a place counts; a later epoch is another place.
        if let Some(before) = known.entries.get(&place)
            && before.place.epoch >= entry.place.epoch
        {
            return match before.contradicts(&entry) {
                true => Err(EntryError::Contradiction),
                false => Ok(false),
            };
        }
        known.entries.put(place, entry, ENTRIES_MAX);
        self.news.notify_waiters();
        Ok(true)
    }

    /// The entry of a media segment, waited for until `until` at most; none when there is none by then.
    pub(crate) async fn find(&self, rendition: &str, sequence: u64, until: Instant) -> Option<SegmentEntry> {
        let place = (rendition.to_owned(), sequence);
        let get = || self.known().entries.get(&place).cloned();
        loop {
            let mut news = std::pin::pin!(self.news.notified());
            news.as_mut().enable();
            if let Some(entry) = get() {
                return Some(entry);
            }
            let is_signed = tokio::select! {
                () = news.as_mut() => continue,
                () = tokio::time::sleep_until(until) => return get(),
                is_signed = self.load(rendition, sequence) => is_signed,
            };
            if let Some(entry) = get() {
                return Some(entry);
            }
            // Where the page cannot be had, nobody signs this rendition; where it lacks the entry, it may be about to come.
            if !is_signed {
                return None;
            }
            let again = Instant::now() + AGAIN;
            tokio::select! {
                () = news => {}
                () = tokio::time::sleep_until(until.min(again)) => {}
            }
            if Instant::now() >= until {
                return get();
            }
        }
    }

    /// Loads the page of a sequence, once at a time, where that is worth it; whether it could be had.
    async fn load(&self, rendition: &str, sequence: u64) -> bool {
        let place = (rendition.to_owned(), sequence / PAGE_SEQUENCES);
        let page = {
            let mut known = self.known();
            match known.pages.get(&place) {
                Some(page) => Arc::clone(page),
                None => {
                    let page = Arc::<tokio::sync::Mutex<Page>>::default();
                    known.pages.put(place, Arc::clone(&page), PAGES_MAX);
                    page
                }
            }
        };
        let mut page = page.lock().await;
        if page.again.is_some_and(|again| Instant::now() < again) {
            return page.is_there;
        }
        let loaded = self.origin.entry_page(&self.stream, rendition, sequence).await;
        let entries = loaded.ok().and_then(|bytes| {
            let entries = decode_entry_page(&bytes).ok()?;
            entries.iter().for_each(|entry| drop(self.take(entry)));
            Some(entries.len() as u64)
        });
        page.is_there = entries.is_some();
        page.again = Some(Instant::now() + if entries.is_some() { AGAIN } else { MISSING });
        page.is_there
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A map that forgets what was put in first.
#[derive(Debug)]
struct Oldest<T> {
    by_place: BTreeMap<Place, T>,
    order: VecDeque<Place>,
}

impl<T> Default for Oldest<T> {
    fn default() -> Self {
        Self { by_place: BTreeMap::new(), order: VecDeque::new() }
    }
}

impl<T> Oldest<T> {
    fn get(&self, place: &Place) -> Option<&T> {
        self.by_place.get(place)
    }

    /// Puts in or replaces; at most `max` stay.
    fn put(&mut self, place: Place, value: T, max: usize) {
        if self.by_place.insert(place.clone(), value).is_none() {
            self.order.push_back(place);
        }
        if self.order.len() > max
            && let Some(oldest) = self.order.pop_front()
        {
            self.by_place.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use freshet_protocol::{ChunkId, SegmentPlace, SigningKey};

    use super::*;
    use crate::limiter::Limiter;
    use crate::origin::OriginConfig;

    fn entries() -> Entries {
        // A second test in the same process finds it installed.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // Nobody answers there.
        let base = "http://127.0.0.1:9/".to_owned();
        let config =
            OriginConfig { bases: vec![base], agent: "test".to_owned(), limiter: Limiter::default() };
        Entries::new(stream(), vec![key(1).public()], Origin::new(&config).expect("a client"))
    }

    fn stream() -> ContentName {
        "site/show".parse().expect("a name")
    }

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_seed(&[seed; 32])
    }

    fn entry(epoch: u64, sequence: u64, bytes: u64) -> SegmentEntry {
        let place = SegmentPlace { epoch, rendition: "a".to_owned(), kind: SegmentKind::Media, sequence };
        let (path, pieces) = (format!("{sequence}.ts"), vec![ChunkId::of(&bytes.to_be_bytes())]);
        SegmentEntry { stream: stream(), place, path, offset: 0, bytes, duration_us: 1, init: None, pieces }
    }

    #[tokio::test]
    async fn the_first_word_about_a_place_counts() {
        let entries = entries();
        let take = |entry: SegmentEntry, seed: u8| {
            let taken = entries.take(&entry.seal(&key(seed)).expect("an entry"));
            taken.map_err(|error| error.to_string())
        };
        assert_eq!(take(entry(1, 7, 9), 1), Ok(true));
        assert_eq!(take(entry(1, 7, 9), 1), Ok(false));
        assert!(take(entry(1, 7, 10), 1).is_err_and(|error| error.contains("a second entry")));
        assert_eq!(take(entry(2, 7, 10), 1), Ok(true));
        assert_eq!(take(entry(1, 7, 9), 1), Ok(false));
        assert!(take(entry(1, 8, 9), 2).is_err_and(|error| error.contains("not signed by a trusted key")));
        let init = SegmentPlace { kind: SegmentKind::Init, ..entry(1, 8, 9).place };
        assert_eq!(take(SegmentEntry { place: init, ..entry(1, 8, 9) }, 1), Ok(false));
        let found = entries.find("a", 7, Instant::now()).await;
        assert_eq!(found, Some(entry(2, 7, 10)));
        let until = Instant::now() + Duration::from_secs(20);
        // Where the page cannot be had, nobody waits for the entry.
        assert_eq!(entries.find("a", 8, until).await, None);
        assert!(Instant::now() < until);
    }

    #[tokio::test]
    async fn who_waits_hears_of_news() {
        let entries = Arc::new(entries());
        // It is being loaded all the time.
        let page = Arc::<tokio::sync::Mutex<Page>>::default();
        entries.known().pages.put(("a".to_owned(), 0), Arc::clone(&page), 1);
        let _loading = page.lock().await;
        let finding = Arc::clone(&entries);
        let until = Instant::now() + Duration::from_secs(60);
        let found = tokio::spawn(async move { finding.find("a", 7, until).await });
        tokio::task::yield_now().await;
        entries.take(&entry(1, 7, 9).seal(&key(1)).expect("an entry")).expect("good");
        assert_eq!(found.await.expect("no panic"), Some(entry(1, 7, 9)));
        assert_eq!(entries.find("a", 8, Instant::now()).await, None);
    }

    #[test]
    fn the_oldest_are_forgotten() {
        let mut oldest = Oldest::default();
        let place = |at: u64| ("a".to_owned(), at);
        (0..5).for_each(|at| oldest.put(place(at), at, 3));
        oldest.put(place(3), 30, 3);
        let left: Vec<Option<u64>> = (0..5).map(|at| oldest.get(&place(at)).copied()).collect();
        assert_eq!(left, [None, None, Some(2), Some(30), Some(4)]);
        assert_eq!((oldest.by_place.len(), oldest.order.len()), (3, 3));
    }
}
