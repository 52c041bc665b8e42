//! Gets the signed documents of a release, from the folder's cache where they are there, and from the origin.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use freshet_protocol::origin_path::Target;
use freshet_protocol::{
    ContentName, Name, Page, PageError, PageRef, PatchId, PatchPage, PatchPageRef, Pointer, RootId,
};
use futures_util::{StreamExt, TryStreamExt, stream};

use crate::backoff::jitter;
use crate::origin::{EarlyIndex, Origin, OriginError};
use crate::release::map::{Release, ReleaseError};
use crate::release::trust::{Trust, TrustError};
use crate::store::{Layout, write_atomic};

/// Pages fetched at the same time.
const PAGES_PARALLEL: usize = 8;
/// Pauses between attempts to get a document.
const PAUSES: [Duration; 2] = [Duration::from_millis(300), Duration::from_millis(1200)];
/// Longest wait that an origin may ask for before a document, and how often it may: beyond that peers are asked, or what the
/// folder remembers is used.
const TOLD_MAX: Duration = Duration::from_secs(30);
const TOLD_TIMES_MAX: usize = 10;

/// Why a release's documents could not be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DocumentError {
    #[error(transparent)]
    Origin(#[from] OriginError),
    #[error(transparent)]
    Trust(#[from] TrustError),
    #[error(transparent)]
    Release(#[from] ReleaseError),
    #[error("{path}: {error}")]
    Io { path: std::path::PathBuf, error: std::io::Error },
}

/// Which release a target names.
#[derive(Debug)]
pub(crate) struct Located {
    pub(crate) id: RootId,
    pub(crate) trackers: Vec<String>,
    /// Said to the user where the origin could not be asked.
    pub(crate) note: Option<String>,
}

/// A release, and with it where its chunks lie at the origin, if that was asked already.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub(crate) release: Release,
    /// Of a release whose only page was not here yet, where none is installed: every job on it is going to need it.
    pub(crate) index: Option<EarlyIndex>,
}

/// Finds which release `target` names, from the origin; where that cannot be reached, from what the folder remembers.
///
/// # Errors
/// [`DocumentError`] when neither suffices, or something does not check out.
pub(crate) async fn locate(
    origin: &Origin,
    trust: &mut Trust,
    layout: &Layout,
    target: &Target,
) -> Result<Located, DocumentError> {
    match target {
        Target::Root(content, id) => {
            let note = fetch_keys(origin, trust, content).await?;
            Ok(Located { id: *id, trackers: Vec::new(), note })
        }
        Target::Channel(content, channel) => {
            // Together, since a round trip to a busy origin takes a tenth of a second.
            let keys = retry(|| origin.keys(content));
            let (keys, pointer) = tokio::join!(keys, retry(|| origin.pointer(content, channel)));
            let note = take_keys(trust, keys)?;
            let pointer = match pointer {
                Ok(envelope) => trust.take_pointer(channel, &envelope)?,
                Err(error) if error.may_pass() => {
                    cached_pointer(trust, layout, channel).ok_or(DocumentError::Origin(error))??
                }
                Err(error) => return Err(error.into()),
            };
            let id = trust.offer(&pointer).root;
            Ok(Located { id, trackers: pointer.trackers, note })
        }
    }
}

/// Gets the key document; what to say where it cannot be had and an older one is known.
///
/// # Errors
/// [`DocumentError`] where none is known, or it is not the tenant's.
pub(crate) async fn fetch_keys(
    origin: &Origin,
    trust: &mut Trust,
    content: &ContentName,
) -> Result<Option<String>, DocumentError> {
    take_keys(trust, retry(|| origin.keys(content)).await)
}

/// Follows the key document; what to say where it could not be had and an older one is known.
fn take_keys(trust: &mut Trust, keys: Result<Bytes, OriginError>) -> Result<Option<String>, DocumentError> {
    match keys {
        Ok(envelope) => trust.take_keys(&envelope).map(|()| None).map_err(Into::into),
        Err(error) if trust.has_keys() => Ok(Some(format!("{error}; going on with what is known here"))),
        Err(error) => Err(error.into()),
    }
}

/// Gets the release `id` from the folder's cache and the origin.
///
/// # Errors
/// [`DocumentError`] when that does not suffice, or something does not check out.
pub(crate) async fn fetch(
    origin: &Origin,
    trust: &Trust,
    layout: &Layout,
    content: &ContentName,
    id: RootId,
) -> Result<Fetched, DocumentError> {
    let open_root = |envelope: &[u8]| trust.open_root(id, envelope);
    let root = get_signed(&layout.root(id), open_root, || origin.root(content, id)).await?;
    // An update looks into the index of its patch instead.
    let is_update = layout.installed().exists();
    let index = match root.pages.as_slice() {
        [page] if !is_update && cached_page(layout, page).is_none() => {
            Some(origin.early_index(content, page))
        }
        _ => None,
    };
    let get = async |page: &PageRef| {
        let open = |plain: &Bytes| Page::open(page, plain);
        get_page(&layout.page(page.id), open, || origin.page(content, page)).await
    };
    let pages: Vec<Page> =
        stream::iter(root.pages.iter().map(get)).buffered(PAGES_PARALLEL).try_collect().await?;
    Ok(Fetched { release: Release::build(id, root, &pages)?, index })
}

/// Gets the patch `id` from the folder's cache and the origin, and joins it with the two releases.
///
/// # Errors
/// [`DocumentError`] when it cannot be had or does not fit; chunks are then fetched whole.
pub(crate) async fn fetch_patched(
    origin: &Origin,
    trust: &Trust,
    layout: &Layout,
    id: PatchId,
    from: &Release,
    to: &Release,
) -> Result<Release, DocumentError> {
    let content = &to.root.content;
    let open_patch = |envelope: &[u8]| trust.open_patch(id, envelope);
    let patch = get_signed(&layout.patch(id), open_patch, || origin.patch(content, id)).await?;
    let get = async |page: &PatchPageRef| {
        let open = |plain: &Bytes| PatchPage::open(page, plain);
        get_page(&layout.page(page.id), open, || origin.patch_page(content, page)).await
    };
    let pages: Vec<PatchPage> =
        stream::iter(patch.pages.iter().map(get)).buffered(PAGES_PARALLEL).try_collect().await?;
    Ok(to.patched(id, &patch, pages, from)?)
}

/// The content that a target belongs to.
pub(crate) fn content_of(target: &Target) -> &ContentName {
    match target {
        Target::Channel(content, _) | Target::Root(content, _) => content,
    }
}

/// The channel that a target follows, if it follows one.
pub(crate) fn channel_of(target: &Target) -> Option<Name> {
    match target {
        Target::Channel(_, channel) => Some(channel.clone()),
        Target::Root(..) => None,
    }
}

/// The release `id` from the folder's cache alone; none unless all of it is there and good.
pub(crate) fn cached_release(trust: &Trust, layout: &Layout, id: RootId) -> Option<Release> {
    let root = trust.open_root(id, &std::fs::read(layout.root(id)).ok()?).ok()?;
    let pages: Option<Vec<Page>> = root.pages.iter().map(|page| cached_page(layout, page)).collect();
    Release::build(id, root, &pages?).ok()
}

/// A page from the cache.
fn cached_page(layout: &Layout, page: &PageRef) -> Option<Page> {
    Page::open(page, &Bytes::from(std::fs::read(layout.page(page.id)).ok()?)).ok()
}

fn cached_pointer(trust: &mut Trust, layout: &Layout, channel: &Name) -> Option<Result<Pointer, TrustError>> {
    let envelope = std::fs::read(layout.pointer(channel)).ok()?;
    Some(trust.take_pointer(channel, &envelope))
}

/// A signed document from the folder's cache; what is not good there is fetched, and kept.
async fn get_signed<T, F: Future<Output = Result<Bytes, OriginError>>>(
    path: &Path,
    open: impl Fn(&[u8]) -> Result<T, TrustError>,
    attempt: impl FnMut() -> F,
) -> Result<T, DocumentError> {
    if let Ok(envelope) = std::fs::read(path)
        && let Ok(opened) = open(&envelope)
    {
        return Ok(opened);
    }
    let envelope = retry(attempt).await?;
    let opened = open(&envelope)?;
    keep(path, &envelope)?;
    Ok(opened)
}

/// A page from the folder's cache; what is not good there is fetched, and kept.
async fn get_page<T, F: Future<Output = Result<(Bytes, T), OriginError>>>(
    path: &Path,
    open: impl Fn(&Bytes) -> Result<T, PageError>,
    attempt: impl FnMut() -> F,
) -> Result<T, DocumentError> {
    if let Ok(plain) = std::fs::read(path)
        && let Ok(opened) = open(&plain.into())
    {
        return Ok(opened);
    }
    let (plain, opened) = retry(attempt).await?;
    keep(path, &plain)?;
    Ok(opened)
}

/// Keeps a checked document for the next run.
fn keep(path: &Path, bytes: &[u8]) -> Result<(), DocumentError> {
    write_atomic(path, bytes).map_err(|error| DocumentError::Io { path: path.to_owned(), error })
}

/// Tries again what may pass: as the origin tells, or a few times. Who was refused together does not come back together.
async fn retry<T, F: Future<Output = Result<T, OriginError>>>(
    mut attempt: impl FnMut() -> F,
) -> Result<T, OriginError> {
    let (mut pauses, mut told_times) = (PAUSES.into_iter(), 0);
    loop {
        let result = attempt().await;
        let Some(error) = result.as_ref().err().filter(|error| error.may_pass()) else { return result };
        let wait = match error.retry_after {
            Some(told) if told > TOLD_MAX || told_times == TOLD_TIMES_MAX => None,
            Some(told) => {
                told_times += 1;
                let least = told.max(PAUSES[0]);
                Some(least + jitter(least))
            }
            None => pauses.next().map(|pause| pause / 2 + jitter(pause / 2)),
        };
        let Some(wait) = wait else { return result };
        tokio::time::sleep(wait).await;
    }
}
