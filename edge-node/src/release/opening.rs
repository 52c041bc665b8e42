//! Opens a sealed release that was fetched ahead of its time: the documents in it go to the folder's cache, where they are
//! worth what they would be worth from the origin, and what holds the chunks is ready to be taken.

use std::io;

use bytes::Bytes;
use freshet_protocol::{Page, PageError, PatchId, PatchPage, RootId, SEALED_INNER, SealedHead, Unsealed};

use crate::release::SealedPart;
use crate::release::trust::{Trust, TrustError};
use crate::store::{Layout, Preloaded, SealedFile, SealedFileError, SealedStream, write_atomic};

/// Why a sealed release of this folder was not opened. The release is then fetched like any other.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    #[error("the key that the channel tells is not that of the sealed release")]
    Key,
    #[error(transparent)]
    Trust(#[from] TrustError),
    #[error(transparent)]
    File(#[from] SealedFileError),
    #[error("what is in the sealed release is not what the channel shows")]
    Other,
    #[error("what is in the sealed release is not consistent: {0}")]
    Page(#[from] PageError),
    #[error("what is in the sealed release cannot be kept: {0}")]
    Io(#[from] io::Error),
}

/// Opens what waits in the folder, if it is the sealed release that is opened now: the documents of the release `id`, and of
/// the `patch` that leads there from what is installed. Returns what holds its chunks, where anything is left of it.
///
/// # Errors
/// [`OpenError`] says what does not fit; documents that were good are kept.
pub(crate) fn open_sealed(
    trust: &Trust,
    layout: &Layout,
    unsealed: &Unsealed,
    id: RootId,
    patch: Option<PatchId>,
) -> Result<Option<SealedStream>, OpenError> {
    let Some(waiting) = Preloaded::load(layout)?.filter(|waiting| waiting.root == unsealed.root) else {
        return Ok(None);
    };
    let Unsealed { root, key } = *unsealed;
    let sealed_root = trust.open_root(root, &std::fs::read(layout.root(root))?)?;
    let Some(sealed) = sealed_root.sealed.filter(|sealed| sealed.key_hash == key.hash()) else {
        return Err(OpenError::Key);
    };
    tracing::debug!(opens = sealed.opens, "a sealed release opens");
    let chunk_bytes = sealed_root.chunker.bytes_max;
    let file = |part: SealedPart, path: &str| {
        let place = layout.sealed_file(root, part);
        SealedFile { place, path: path.to_owned(), key, chunk_bytes }
    };
    let (inner, _) = file(SealedPart::Inner, SEALED_INNER).head()?;
    keep_release(trust, layout, id, inner)?;
    let file = file(SealedPart::Stream, &waiting.stream);
    if std::fs::metadata(&file.place).is_ok_and(|found| found.len() < u64::from(chunk_bytes)) {
        // All of it was taken, and there was no time to remove it.
        return Ok(None);
    }
    let (head, start) = file.head()?;
    if let Some(patch) = patch {
        keep_patch(trust, layout, patch, &head)?;
    }
    Ok(Some(SealedStream::new(file, head.blobs, start)))
}

fn keep_release(trust: &Trust, layout: &Layout, id: RootId, head: SealedHead) -> Result<(), OpenError> {
    let envelope = head.root.ok_or(OpenError::Other)?;
    let root = trust.open_root(id, &envelope)?;
    if root.pages.len() != head.pages.len() {
        return Err(OpenError::Other);
    }
    for (page, plain) in root.pages.iter().zip(head.pages) {
        let plain = Bytes::from(plain);
        Page::open(page, &plain)?;
        keep(&layout.page(page.id), &plain)?;
    }
    Ok(write_atomic(&layout.root(id), &envelope)?)
}

/// A patch from elsewhere, or none, is fetched if it is of use.
fn keep_patch(trust: &Trust, layout: &Layout, id: PatchId, head: &SealedHead) -> Result<(), OpenError> {
    let Some(envelope) = &head.patch else { return Ok(()) };
    let Ok(patch) = trust.open_patch(id, envelope) else { return Ok(()) };
    if patch.pages.len() != head.patch_pages.len() {
        return Err(OpenError::Other);
    }
    for (page, plain) in patch.pages.iter().zip(&head.patch_pages) {
        let plain = Bytes::copy_from_slice(plain);
        PatchPage::open(page, &plain)?;
        keep(&layout.page(page.id), &plain)?;
    }
    Ok(write_atomic(&layout.patch(id), envelope)?)
}

/// Writes a page that is not there yet.
fn keep(path: &std::path::Path, plain: &[u8]) -> io::Result<()> {
    if std::fs::read(path).is_ok_and(|known| known == plain) {
        return Ok(());
    }
    write_atomic(path, plain)
}
