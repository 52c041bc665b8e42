//! Pages of entries in the store.

use std::collections::BTreeMap;

use bytes::Bytes;
use freshet_protocol::limits::{CONTENT_BYTES_MAX, ENTRY_PAGE_BYTES_MAX, PAGE_SEQUENCES, PATH_BYTES_MAX};
use freshet_protocol::{ContentName, Hash, PublicKey, Reader, SegmentEntry, WireError, decode_entry_page};

use super::error::StreamError;
use super::rendition::Rendition;
use crate::layout::{self, Kind};
use crate::store::{Store, StoreError};

/// Writes a page as the rendition has it now, or deletes it where it would be empty.
pub(super) async fn write(
    store: &Store,
    content: &ContentName,
    rendition_hash: Hash,
    rendition: &Rendition,
    number: u64,
) -> Result<(), StoreError> {
    let object = layout::entry_page(content, rendition_hash, number);
    match rendition.page(number) {
        Some(page) => store.replace(&object, page.into()).await,
        None => store.delete(&object).await,
    }
}

/// Deletes pages of a rendition that are not its own: those of an epoch before.
pub(super) async fn delete_others(
    store: &Store,
    content: &ContentName,
    rendition_hash: Hash,
    rendition: &Rendition,
) -> Result<(), StoreError> {
    let pages = rendition.pages();
    for object in store.list(&layout::folder(content, &format!("entries/{rendition_hash}"))).await? {
        match layout::parse(&object.path) {
            Some((_, Kind::Entries(_, number))) if !pages.contains(&number) => {
                store.delete(&object.path).await?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Reads what the store holds of a stream: of each rendition the entries of its newest epoch. Entries that none of
/// `trusted` signed are as good as missing, and so are pages that cannot be read.
pub(super) async fn read(
    store: &Store,
    content: &ContentName,
    trusted: &[PublicKey],
    now: u64,
) -> Result<BTreeMap<String, Rendition>, StreamError> {
    let mut renditions: BTreeMap<String, Rendition> = BTreeMap::new();
    for object in store.list(&layout::folder(content, "entries")).await? {
        let Some((_, Kind::Entries(..))) = layout::parse(&object.path) else { continue };
        let page = store.read(&object.path, ENTRY_PAGE_BYTES_MAX as u64).await?;
        match decode_entry_page(&page) {
            Ok(entries) => entries.iter().for_each(|sealed| {
                take(&mut renditions, content, trusted, page.slice_ref(sealed), now);
            }),
            Err(error) => tracing::warn!(object = object.path, %error, "a page of entries is damaged"),
        }
    }
    Ok(renditions)
}

fn take(
    renditions: &mut BTreeMap<String, Rendition>,
    content: &ContentName,
    trusted: &[PublicKey],
    sealed: Bytes,
    now: u64,
) {
    let entry = match SegmentEntry::open(&sealed, content, trusted) {
        Ok(entry) => entry,
        Err(error) => return tracing::warn!(%content, %error, "an entry in the store is not used"),
    };
    let (path, epoch) = (entry.place.rendition.clone(), entry.place.epoch);
    let new = || Rendition::new(path.clone(), epoch);
    let rendition = renditions.entry(path.clone()).or_insert_with(new);
    if rendition.epoch() < epoch {
        *rendition = new();
    }
    if rendition.epoch() == epoch {
        // The page is in memory as long as one of its entries is, so each gets bytes of its own.
        rendition.keep(&entry, Bytes::copy_from_slice(&sealed), now);
    }
}

/// Whether no entry for what is played will be added to a page.
pub(crate) fn is_full(page: &[u8]) -> bool {
    decode_entry_page(page).is_ok_and(|entries| {
        entries.iter().filter(|entry| is_played(entry).unwrap_or(false)).count() as u64 == PAGE_SEQUENCES
    })
}

/// Whether an entry, whoever signed it, is for what is played.
fn is_played(entry: &[u8]) -> Result<bool, WireError> {
    let mut reader = Reader::new(entry);
    let (_version, _signer) = (reader.varint()?, reader.hash()?);
    let _stream = reader.bytes_max(CONTENT_BYTES_MAX, "stream")?;
    let _epoch = reader.varint()?;
    let _rendition = reader.bytes_max(PATH_BYTES_MAX, "rendition")?;
    Ok(reader.varint()? == 0)
}
