//! A folder at work: locked, its memory open, and an install that was cut off ended, so that what follows sees one release
//! and not two halves.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::node::{GetError, GetOptions};
use crate::release::{Parts, Release, Trust, cached_release, content_of, decide};
use crate::store::{
    Belief, ChunkFiles, FolderLock, Installed, Layout, Local, LockError, OldRelease, ScanError, install,
    pending, scan,
};

/// How long to wait for a lock. A program that is being started has all that its parent has open until it runs, so a lock
/// may outlive its holder for a moment.
const LOCK_PATIENCE: Duration = Duration::from_millis(500);
const LOCK_POLL: Duration = Duration::from_millis(10);

/// A folder that a release is got into.
pub(crate) struct Folder {
    pub(crate) layout: Layout,
    pub(crate) trust: Trust,
    pub(crate) lock: FolderLock,
}

impl Folder {
    /// Takes the folder that `options` name; it is made if there is none.
    pub(crate) async fn take(options: &GetOptions, stop: &CancellationToken) -> Result<Self, GetError> {
        let layout = Layout::new(&options.folder);
        layout.create().map_err(|error| GetError::io(&options.folder, &error))?;
        let lock = lock(&layout).await?;
        let trust = Trust::open(&layout, content_of(&options.url.target), options.key)?;
        finish_begun_install(&layout, &trust, stop).await?;
        Ok(Self { layout, trust, lock })
    }
}

/// Locks a folder that a node has worked in.
pub(super) async fn lock_known(folder: &Path) -> Result<(Layout, FolderLock), GetError> {
    let layout = Layout::new(folder);
    // A link could lead anywhere.
    if !std::fs::symlink_metadata(layout.own("")).is_ok_and(|own| own.is_dir()) {
        return Err(no_installation(folder));
    }
    let lock = lock(&layout).await?;
    Ok((layout, lock))
}

pub(super) fn no_installation(folder: &Path) -> GetError {
    GetError::Usage(format!("{} holds no installation", folder.display()))
}

pub(crate) async fn lock(layout: &Layout) -> Result<FolderLock, GetError> {
    let until = Instant::now() + LOCK_PATIENCE;
    loop {
        match FolderLock::take(layout) {
            Ok(lock) => return Ok(lock),
            Err(LockError::Taken) if Instant::now() < until => sleep(LOCK_POLL).await,
            Err(LockError::Taken) => {
                let folder = layout.folder().display();
                return Err(GetError::Other(format!(
                    "another process works on {folder}; wait for it, or stop it"
                )));
            }
            Err(LockError::Io(error)) => return Err(GetError::io(&layout.lock(), &error)),
        }
    }
}

/// Ends an install that a killed process began.
pub(super) async fn finish_begun_install(
    layout: &Layout,
    trust: &Trust,
    stop: &CancellationToken,
) -> Result<(), GetError> {
    let Some(begun) = pending(layout).map_err(|error| GetError::io(&layout.intent(), &error))? else {
        return Ok(());
    };
    let Some(release) = cached_release(trust, layout, begun.root) else { return Ok(()) };
    let release = Arc::new(release.choose(begun.parts));
    let before = Before::load(layout, trust)?;
    let stop = stop.clone();
    let (local, before) = look_around(layout, &release, before, move |files, old| {
        scan(files, old, None, Belief::Untouched, &stop)
    })
    .await?;
    let is_missing = |position: u32| release.is_chosen(position) && !local.held.contains(position);
    if (0..release.chunk_count()).any(is_missing) {
        // Something was changed since; the usual way fetches what is missing.
        return Ok(());
    }
    let files = ChunkFiles { layout: layout.clone(), release };
    blocking(move || install(&files, &local.placing, before.installed.as_ref())).await?;
    Ok(())
}

pub(super) fn load_installed(layout: &Layout) -> Result<Option<Installed>, GetError> {
    Installed::load(layout).map_err(|error| GetError::io(&layout.installed(), &error))
}

/// What is installed now.
#[derive(Clone)]
pub(super) struct Before {
    pub(super) installed: Option<Installed>,
    /// Its release, with the parts that are installed, where its manifest is known.
    pub(super) release: Option<Arc<Release>>,
}

impl Before {
    pub(super) fn load(layout: &Layout, trust: &Trust) -> Result<Self, GetError> {
        let installed = load_installed(layout)?;
        let release = installed.as_ref().and_then(|installed| {
            let release = cached_release(trust, layout, installed.root)?;
            Some(Arc::new(release.choose(installed.parts.clone())))
        });
        Ok(Self { installed, release })
    }

    /// The newer release, with the parts that `parts` says, or that were decided on before.
    pub(super) fn choose_parts(&self, parts: Option<&Parts>, release: Release) -> Result<Release, GetError> {
        let known = self.installed.as_ref().map(|installed| installed.parts.clone()).unwrap_or_default();
        let choice =
            decide(parts, &known, &release.root).map_err(|error| GetError::Usage(error.to_string()))?;
        Ok(release.choose(choice))
    }
}

/// What of the release is here already, as `look` finds it.
pub(super) async fn look_around(
    layout: &Layout,
    release: &Arc<Release>,
    before: Before,
    look: impl FnOnce(&ChunkFiles, Option<OldRelease<'_>>) -> Result<Local, ScanError> + Send + 'static,
) -> Result<(Local, Before), GetError> {
    let files = ChunkFiles { layout: layout.clone(), release: Arc::clone(release) };
    blocking(move || {
        let Before { installed, release } = &before;
        let old = installed.as_ref().map(|installed| OldRelease { installed, release: release.as_ref() });
        let local = look(&files, old)?;
        Ok((local, before))
    })
    .await
}

/// Runs what waits for disks beside the async tasks.
pub(crate) async fn blocking<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(run).await.expect("disk work does not panic")
}
