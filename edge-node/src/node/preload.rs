//! What is fetched of a channel ahead of its time: which sealed release, and which of its files fits the folder.

use freshet_protocol::{Preload as Named, RootId};

use crate::event::Event;
use crate::network::Documents;
use crate::node::GetError;
use crate::origin::Origin;
use crate::release::{Release, fetch, stream_path};
use crate::store::{Layout, Local, Preloaded};

/// Whether a sealed release that a channel prepares is fetched ahead of its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Preload {
    /// It is not.
    #[default]
    Never,
    /// It is, once the release that the channel shows is installed; that one is shared meanwhile.
    Also,
    /// It alone is, and nothing is installed.
    Only,
}

/// A sealed release, laid behind what is installed.
pub(super) struct Laid {
    pub(super) release: Release,
    pub(super) record: Preloaded,
}

impl Laid {
    /// Fetches the documents of a sealed release, and lays the file of it that fits behind `base`, or behind nothing. A
    /// folder that has begun with another file goes on with that.
    ///
    /// # Errors
    /// [`GetError`] when they cannot be had, or it is no sealed release.
    pub(super) async fn lay(
        origin: &Origin,
        documents: &Documents,
        named: &Named,
        base: Option<&Release>,
        installed: Option<RootId>,
    ) -> Result<Self, GetError> {
        let layout = documents.layout();
        let content = documents.content();
        let fetched = fetch(origin, documents.trust(), layout, content, named.root).await;
        let sealed = fetched?.release;
        let io = |error| GetError::io(&layout.preload(), &error);
        let known = Preloaded::load(layout).map_err(io)?.filter(|known| known.root == named.root);
        let stream =
            known.as_ref().map_or_else(|| stream_path(&sealed, installed), |known| known.stream.clone());
        let nothing = Release::nothing_of(&sealed.root);
        let release = base.unwrap_or(&nothing).with_sealed(&sealed, &stream)?;
        let record = Preloaded {
            root: named.root,
            version: named.version.clone(),
            opens: named.opens,
            stream,
            bytes: release.sealed_bytes().unwrap_or(0),
            pages: sealed.root.pages.iter().map(|page| page.id).collect(),
            staging: release.staging_id(),
            is_whole: known.is_some_and(|known| known.is_whole),
        };
        record.save(layout).map_err(io)?;
        Ok(Self { release, record })
    }

    /// What is told when it begins.
    pub(super) fn event(&self, local: &Local) -> Event {
        let positions = self.release.sealed_positions().into_iter().flatten();
        let missing = positions.filter(|&position| !local.held.contains(position));
        Event::Preload {
            version: self.record.version.to_string(),
            opens: self.record.opens,
            bytes: self.record.bytes,
            missing_bytes: missing.map(|position| u64::from(self.release.chunk(position).bytes)).sum(),
        }
    }
}

/// Removes sealed files that the channel does not name any more.
pub(super) fn tidy(layout: &Layout, documents: &Documents) {
    if !Preloaded::is_any(layout) {
        return;
    }
    let known = Preloaded::load(layout).ok().flatten();
    // Without a pointer nobody says that it is not to come.
    if known.is_none_or(|known| documents.names_sealed(known.root) == Some(false)) {
        Preloaded::remove(layout);
    }
}

/// Nobody installs the files of a sealed release.
pub(super) fn refuse_sealed(release: &Release) -> Result<(), GetError> {
    match release.root.sealed {
        None => Ok(()),
        Some(_) => Err(GetError::Usage(format!(
            "version {} is sealed: name its channel with --preload to fetch it ahead of its time",
            release.root.version
        ))),
    }
}

/// Whether all of the release itself is here and installed, so that there is time for what is to come.
pub(super) fn is_all_here(release: &Release, local: &Local) -> bool {
    (0..release.root.chunks).all(|position| !release.is_chosen(position) || local.held.contains(position))
}
