//! The entries of one rendition: which are there, which are new, and when numbering has begun anew. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use freshet_protocol::limits::PAGE_SEQUENCES;
use freshet_protocol::{ContentName, Hash, SegmentEntry, SegmentKind, SegmentPlace, encode_entry_page};

use super::pieces::Pieces;

/// Most segments of a rendition that have entries at once: 36 hours of segments of two seconds.
pub(crate) const MEDIA_MAX: usize = 1 << 16;

/// A segment as a playlist lists it.
#[derive(Debug, Clone)]
pub(super) struct Listed {
    pub(super) sequence: u64,
    pub(super) path: String,
    pub(super) offset: u64,
    pub(super) duration_us: u64,
    /// None where it is what its entry says, as far as is known.
    pub(super) pieces: Option<Arc<Pieces>>,
    pub(super) init: Option<Arc<ListedInit>>,
}

/// An initialisation as a playlist lists it.
#[derive(Debug, Clone)]
pub(super) struct ListedInit {
    pub(super) path: String,
    pub(super) offset: u64,
    /// As in [`Listed::pieces`].
    pub(super) pieces: Option<Arc<Pieces>>,
}

/// The entries of a rendition, all of one epoch.
#[derive(Debug)]
pub(super) struct Rendition {
    path: String,
    epoch: u64,
    media: BTreeMap<u64, Kept>,
    inits: BTreeMap<u64, Kept>,
}

/// A signed entry, and what of it is asked for.
#[derive(Debug)]
struct Kept {
    path: String,
    offset: u64,
    bytes: u64,
    /// Hash of its pieces' hashes.
    fingerprint: Hash,
    init: Option<u64>,
    sealed: Bytes,
    /// When a playlist listed it last, Unix seconds.
    seen: u64,
}

impl Rendition {
    pub(super) fn new(path: String, epoch: u64) -> Self {
        Self { path, epoch, media: BTreeMap::new(), inits: BTreeMap::new() }
    }

    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    pub(super) fn len(&self) -> usize {
        self.media.len()
    }

    /// Whether an entry says what lies at a sequence: this part of this resource.
    pub(super) fn has(&self, sequence: u64, path: &str, range: Option<(u64, u64)>) -> bool {
        self.media.get(&sequence).is_some_and(|kept| kept.is_at(path, range))
    }

    /// Whether an entry says what lies in an initialisation.
    pub(super) fn has_init(&self, path: &str, range: Option<(u64, u64)>) -> bool {
        self.inits.values().any(|kept| kept.is_at(path, range))
    }

    /// Whether what is listed is the same as its entry says.
    pub(super) fn agrees(&self, listed: &Listed) -> bool {
        self.media
            .get(&listed.sequence)
            .is_some_and(|kept| kept.is(&listed.path, listed.offset, &listed.pieces))
    }

    /// Whether a playlist goes on with the numbers that there are. One that lists something else at a number, or only
    /// numbers before all that there are, has begun anew. One that lags behind has not: it agrees with some.
    pub(super) fn continues(&self, listing: &[Listed]) -> bool {
        let Some((&last, _)) = self.media.last_key_value() else { return true };
        let mut agrees = listing.is_empty();
        for listed in listing {
            match self.media.contains_key(&listed.sequence) {
                true if self.agrees(listed) => agrees = true,
                true => return false,
                false => agrees |= listed.sequence > last,
            }
        }
        agrees
    }

    /// Whether all that has an entry is listed.
    pub(super) fn is_within(&self, listing: &[Listed]) -> bool {
        let listed: BTreeSet<u64> = listing.iter().map(|listed| listed.sequence).collect();
        self.media.keys().all(|sequence| listed.contains(sequence))
    }

    /// What is to be signed: entries of what is listed and has none, each after the initialisation that it needs.
    pub(super) fn unsigned(&self, stream: &ContentName, listing: &[Listed]) -> Vec<SegmentEntry> {
        let mut entries = Vec::new();
        let mut new_inits: Vec<(u64, &ListedInit)> = Vec::new();
        let mut next_init = self.inits.last_key_value().map_or(0, |(last, _)| last + 1);
        for listed in listing {
            let Some(pieces) = listed.pieces.as_ref().filter(|_| !self.media.contains_key(&listed.sequence))
            else {
                continue;
            };
            let init = listed.init.as_deref().and_then(|init| {
                let new = || new_inits.iter().find(|(_, new)| new.is(init)).map(|(number, _)| *number);
                self.init_of(init).or_else(new).or_else(|| {
                    let place = self.place(SegmentKind::Init, next_init);
                    entries.push(entry(stream, place, &init.path, init.offset, init.pieces.as_ref()?));
                    new_inits.push((next_init, init));
                    next_init += 1;
                    Some(next_init - 1)
                })
            });
            let place = self.place(SegmentKind::Media, listed.sequence);
            let media = entry(stream, place, &listed.path, listed.offset, pieces);
            entries.push(SegmentEntry { duration_us: listed.duration_us, init, ..media });
        }
        entries
    }

    /// Notes a signed entry of this rendition and epoch.
    pub(super) fn keep(&mut self, entry: &SegmentEntry, sealed: Bytes, now: u64) {
        let kept = Kept {
            path: entry.path.clone(),
            offset: entry.offset,
            bytes: entry.bytes,
            fingerprint: fingerprint(&entry.pieces),
            init: entry.init,
            sealed,
            seen: now,
        };
        match entry.place.kind {
            SegmentKind::Media => self.media.insert(entry.place.sequence, kept),
            SegmentKind::Init => self.inits.insert(entry.place.sequence, kept),
        };
    }

    /// Notes that a playlist lists these.
    pub(super) fn see(&mut self, listing: &[Listed], now: u64) {
        for listed in listing {
            if let Some(kept) = self.media.get_mut(&listed.sequence) {
                kept.seen = now;
            }
        }
    }

    /// Paths of all resources that entries are about.
    pub(super) fn resources(&self) -> impl Iterator<Item = &str> {
        self.media.values().chain(self.inits.values()).map(|kept| kept.path.as_str())
    }

    /// Numbers of the pages that there are.
    pub(super) fn pages(&self) -> BTreeSet<u64> {
        self.media.keys().map(|sequence| sequence / PAGE_SEQUENCES).collect()
    }

    /// A page: the initialisations that its segments need, and those; none where it would be empty.
    pub(super) fn page(&self, number: u64) -> Option<Vec<u8>> {
        let first = number.saturating_mul(PAGE_SEQUENCES);
        let media: Vec<&Kept> =
            self.media.range(first..first.saturating_add(PAGE_SEQUENCES)).map(|(_, kept)| kept).collect();
        let inits: BTreeSet<u64> = media.iter().filter_map(|kept| kept.init).collect();
        let inits = inits.iter().filter_map(|number| self.inits.get(number));
        let entries = inits.chain(media.iter().copied()).map(|kept| &kept.sealed);
        (!media.is_empty()).then(|| encode_entry_page(entries))
    }

    /// Drops entries, all but the newest: the epoch and its numbers must not be forgotten. Returns the pages that changed.
    pub(super) fn forget(&mut self, is_gone: impl Fn(Known<'_>) -> bool) -> BTreeSet<u64> {
        let newest = self.media.last_key_value().map(|(sequence, _)| *sequence);
        let mut changed = BTreeSet::new();
        self.media.retain(|&sequence, kept| {
            let known = Known { path: &kept.path, seen: kept.seen };
            let stays = Some(sequence) == newest || !is_gone(known);
            if !stays {
                changed.insert(sequence / PAGE_SEQUENCES);
            }
            stays
        });
        let needed: BTreeSet<u64> = self.media.values().filter_map(|kept| kept.init).collect();
        // A number is not given twice within an epoch, so the last one stays.
        let last = self.inits.last_key_value().map(|(last, _)| *last);
        self.inits.retain(|number, _| needed.contains(number) || Some(*number) == last);
        changed
    }

    fn place(&self, kind: SegmentKind, sequence: u64) -> SegmentPlace {
        SegmentPlace { epoch: self.epoch, rendition: self.path.clone(), kind, sequence }
    }

    /// Number of an initialisation that has an entry.
    fn init_of(&self, init: &ListedInit) -> Option<u64> {
        self.inits
            .iter()
            .rev()
            .find(|(_, kept)| kept.is(&init.path, init.offset, &init.pieces))
            .map(|(n, _)| *n)
    }
}

impl ListedInit {
    fn is(&self, other: &Self) -> bool {
        (&self.path, self.offset, &self.pieces) == (&other.path, other.offset, &other.pieces)
    }
}

/// What is known of an entry that may be dropped.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known<'a> {
    pub(super) path: &'a str,
    /// When a playlist listed it last, Unix seconds.
    pub(super) seen: u64,
}

impl Kept {
    fn is_at(&self, path: &str, range: Option<(u64, u64)>) -> bool {
        self.path == path && range.map_or(self.offset == 0, |range| range == (self.offset, self.bytes))
    }

    fn is(&self, path: &str, offset: u64, pieces: &Option<Arc<Pieces>>) -> bool {
        let is_same =
            |pieces: &Arc<Pieces>| pieces.bytes == self.bytes && fingerprint(&pieces.ids) == self.fingerprint;
        self.path == path && self.offset == offset && pieces.as_ref().is_none_or(is_same)
    }
}

fn entry(
    stream: &ContentName,
    place: SegmentPlace,
    path: &str,
    offset: u64,
    pieces: &Pieces,
) -> SegmentEntry {
    SegmentEntry {
        stream: stream.clone(),
        place,
        path: path.to_owned(),
        offset,
        bytes: pieces.bytes,
        duration_us: 0,
        init: None,
        pieces: pieces.ids.clone(),
    }
}

fn fingerprint(pieces: &[freshet_protocol::ChunkId]) -> Hash {
    let mut all = Vec::with_capacity(pieces.len() * 32);
    pieces.iter().for_each(|piece| all.extend_from_slice(&piece.0.0));
    Hash::of(&all)
}

#[cfg(test)]
mod tests;
