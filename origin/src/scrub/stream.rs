//! Checks a stream: its pages of entries, and that the segments in the store are what their entries say.

use freshet_listen::hls::file_of;
use freshet_protocol::limits::{ENTRY_PAGE_BYTES_MAX, PAGE_SEQUENCES};
use freshet_protocol::{
    Hash, PublicKey, Role, SegmentEntry, SegmentError, SegmentKind, decode_entry_page, origin_path,
};
use futures_util::TryStreamExt;

use super::Scrub;
use crate::layout;
use crate::release;
use crate::store::StoreError;
use crate::stream::Cutter;

impl Scrub<'_> {
    /// Checks all entries, by the key document as it lies in the store; whether the tenant signed that is checked apart.
    pub(super) async fn stream(&mut self) {
        if self.inventory.entries.is_empty() {
            return;
        }
        let trusted = match release::key_document(self.store, &self.content).await {
            Ok(document) => document.keys_for(Role::Stream, 0),
            Err(error) => return self.found.note_unreadable(origin_path::keys(&self.content), error),
        };
        let pages: Vec<(Hash, u64)> = self.inventory.entries.keys().copied().collect();
        for (rendition, number) in pages {
            let object = layout::entry_page(&self.content, rendition, number);
            match self.store.read(&object, ENTRY_PAGE_BYTES_MAX as u64).await {
                Ok(page) => self.entry_page(&object, rendition, number, &page, &trusted).await,
                Err(error) => self.found.note(object, error),
            }
        }
    }

    async fn entry_page(
        &mut self,
        object: &str,
        rendition: Hash,
        number: u64,
        page: &[u8],
        trusted: &[PublicKey],
    ) {
        self.found.entry_pages += 1;
        let entries = match decode_entry_page(page) {
            Ok(entries) => entries,
            Err(error) => return self.found.note(object.to_owned(), error),
        };
        for sealed in entries {
            match SegmentEntry::open(sealed, &self.content, trusted) {
                Ok(entry) => {
                    let place = &entry.place;
                    let is_here = Hash::of(place.rendition.as_bytes()) == rendition
                        && (place.kind == SegmentKind::Init || place.sequence / PAGE_SEQUENCES == number);
                    if !is_here {
                        self.found.note(object.to_owned(), "an entry belongs to another page");
                    }
                    self.segment(&entry).await;
                }
                Err(SegmentError::Untrusted) => {
                    let reason = "an entry is signed by no key that the key document lets sign streams";
                    self.found.note(object.to_owned(), reason);
                }
                Err(error) => self.found.note(object.to_owned(), error),
            }
        }
    }

    /// Checks a segment against its entry, where its media lies in this store.
    async fn segment(&mut self, entry: &SegmentEntry) {
        let Ok(file) = file_of(&entry.path) else { return };
        let Some(held) = self.inventory.media.get(&file) else { return };
        let object = held.path.clone();
        self.found.segments += 1;
        match self.pieces(&object, entry).await {
            Ok(true) => {}
            Ok(false) if self.found.is_noted(&object) => {}
            Ok(false) => self.found.note(object, "its bytes are not those that its entry says"),
            Err(error) => self.found.note(object, error),
        }
    }

    async fn pieces(&self, object: &str, entry: &SegmentEntry) -> Result<bool, StoreError> {
        let end = entry.offset + entry.bytes;
        if self.store.size(object).await? < end {
            return Ok(false);
        }
        let mut cutter = Cutter::new();
        let mut bytes = self.store.stream(object, entry.offset..end, None);
        while let Some(part) = bytes.try_next().await? {
            if cutter.push(&part).is_err() {
                return Ok(false);
            }
        }
        let pieces = cutter.finish();
        Ok((pieces.bytes, pieces.ids) == (entry.bytes, entry.pieces.clone()))
    }
}
