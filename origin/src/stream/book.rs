//! All entries of a stream, as they are in the store: signs what is new, and writes it before anybody needs it.

use std::collections::{BTreeMap, BTreeSet};

use freshet_protocol::limits::PAGE_SEQUENCES;
use freshet_protocol::{ContentName, Hash, Role, SegmentEntry, SegmentKind};

use super::error::{SegmentProblem, StreamError};
use super::grant;
use super::pages;
use super::rendition::{Known, Listed, MEDIA_MAX, Rendition};
use crate::keys::StreamKey;
use crate::publish::unix_now;
use crate::store::Store;

/// Most renditions of a stream: video in all sizes, audio and subtitles in all languages.
pub(crate) const RENDITIONS_MAX: usize = 64;

/// The entries of a stream.
#[derive(Debug)]
pub(super) struct Book {
    store: Store,
    content: ContentName,
    key: StreamKey,
    renditions: BTreeMap<String, Rendition>,
}

/// What came of entering a listing.
#[derive(Debug, Default)]
pub(super) struct Entered {
    /// New entries, as signed.
    pub(super) entries: Vec<bytes::Bytes>,
    /// How many of them are for what is played.
    pub(super) segments: usize,
    /// What could not be signed, by its path.
    pub(super) problems: Vec<(String, SegmentProblem)>,
}

impl Book {
    /// Reads what the store holds, after making sure that it also holds the word about the key.
    pub(super) async fn open(
        store: Store,
        content: ContentName,
        key: StreamKey,
    ) -> Result<Self, StreamError> {
        let document = grant::ensure(&store, &content, &key).await?;
        let trusted = document.keys_for(Role::Stream, 0);
        let renditions = pages::read(&store, &content, &trusted, unix_now()).await?;
        let book = Self { store, content, key, renditions };
        // A writer that was killed while an epoch began may have left pages of the one before.
        for path in book.renditions.keys() {
            book.clean(path).await?;
        }
        Ok(book)
    }

    pub(super) fn rendition(&self, path: &str) -> Option<&Rendition> {
        self.renditions.get(path)
    }

    /// Paths of all renditions.
    pub(super) fn paths(&self) -> Vec<String> {
        self.renditions.keys().cloned().collect()
    }

    /// Paths of all resources that entries are about.
    pub(super) fn resources(&self) -> impl Iterator<Item = &str> {
        self.renditions.values().flat_map(Rendition::resources)
    }

    /// Makes a rendition ready for a listing. Where it does not go on with the numbers that there are, a new epoch
    /// begins and all that was known is forgotten; then everything has to be looked at. Returns whether that is so.
    pub(super) fn turn(&mut self, path: &str, listing: &[Listed]) -> Result<bool, StreamError> {
        self.turn_if(path, |rendition| rendition.continues(listing))
    }

    /// As [`Book::turn`], for a listing that says all there is: one that leaves something out begins anew too, as what
    /// comes there later may be something else.
    pub(super) fn turn_whole(&mut self, path: &str, listing: &[Listed]) -> Result<bool, StreamError> {
        self.turn_if(path, |rendition| rendition.continues(listing) && rendition.is_within(listing))
    }

    fn turn_if(&mut self, path: &str, continues: impl Fn(&Rendition) -> bool) -> Result<bool, StreamError> {
        let newest = self.renditions.values().map(Rendition::epoch).max();
        match self.renditions.get(path) {
            Some(rendition) if continues(rendition) => Ok(false),
            Some(rendition) => {
                // A packager that begins anew does so with all renditions; they end up in the same epoch.
                let epoch = newest.unwrap_or(0).max(rendition.epoch() + 1);
                tracing::info!(content = %self.content, rendition = path, epoch, "numbering begins anew");
                self.renditions.insert(path.to_owned(), Rendition::new(path.to_owned(), epoch));
                Ok(true)
            }
            None if self.renditions.len() == RENDITIONS_MAX => Err(StreamError::TooManyRenditions),
            None => {
                let epoch = newest.unwrap_or(1);
                self.renditions.insert(path.to_owned(), Rendition::new(path.to_owned(), epoch));
                Ok(false)
            }
        }
    }

    /// Signs what is listed and new, and writes the pages that changed.
    pub(super) async fn enter(&mut self, path: &str, listing: &[Listed]) -> Result<Entered, StreamError> {
        let now = unix_now();
        let rendition = self.renditions.get_mut(path).expect("it was turned to before");
        let mut entered = Entered::default();
        let (mut changed, mut unsigned_inits) = (BTreeSet::new(), BTreeSet::new());
        for entry in rendition.unsigned(&self.content, listing) {
            if rendition.len() == MEDIA_MAX && entry.place.kind == SegmentKind::Media {
                return Err(StreamError::TooManySegments(path.to_owned()));
            }
            if entry.init.is_some_and(|init| unsigned_inits.contains(&init)) {
                continue;
            }
            match entry.seal(self.key.signing()) {
                Ok(sealed) => {
                    let sealed = bytes::Bytes::from(sealed);
                    rendition.keep(&entry, sealed.clone(), now);
                    entered.entries.push(sealed);
                    if let SegmentEntry { place, .. } = entry
                        && place.kind == SegmentKind::Media
                    {
                        entered.segments += 1;
                        changed.insert(place.sequence / PAGE_SEQUENCES);
                    }
                }
                Err(error) => {
                    if entry.place.kind == SegmentKind::Init {
                        unsigned_inits.insert(entry.place.sequence);
                    }
                    let problem =
                        if entry.bytes == 0 { SegmentProblem::Empty } else { SegmentProblem::Wire(error) };
                    entered.problems.push((entry.path, problem));
                }
            }
        }
        rendition.see(listing, now);
        self.write(path, &changed).await?;
        Ok(entered)
    }

    /// Drops the entries that `is_gone`, and writes the pages that changed.
    pub(super) async fn forget(
        &mut self,
        path: &str,
        is_gone: impl Fn(Known<'_>) -> bool,
    ) -> Result<(), StreamError> {
        let Some(rendition) = self.renditions.get_mut(path) else { return Ok(()) };
        let changed = rendition.forget(is_gone);
        self.write(path, &changed).await
    }

    /// Deletes pages of epochs before.
    pub(super) async fn clean(&self, path: &str) -> Result<(), StreamError> {
        let Some(rendition) = self.renditions.get(path) else { return Ok(()) };
        let hash = Hash::of(path.as_bytes());
        Ok(pages::delete_others(&self.store, &self.content, hash, rendition).await?)
    }

    async fn write(&self, path: &str, changed: &BTreeSet<u64>) -> Result<(), StreamError> {
        let (rendition, hash) = (&self.renditions[path], Hash::of(path.as_bytes()));
        for number in changed {
            pages::write(&self.store, &self.content, hash, rendition, *number).await?;
        }
        Ok(())
    }
}
