//! What getting a release would take, said before it is begun.

use std::sync::Arc;

use freshet_protocol::{Name, Part};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::job::wanted;
use crate::network::Documents;
use crate::node::folder::{Before, Folder, look_around};
use crate::node::get::{open_origin, with_patch};
use crate::node::preload::refuse_sealed;
use crate::node::{GetError, GetOptions};
use crate::platform;
use crate::release::{Release, channel_of, content_of, fetch, locate};
use crate::store::{Layout, Local, Preloaded, look};

/// What getting a release would take. All sizes are in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// The content.
    pub content: String,
    /// The version.
    pub version: String,
    /// Its root.
    pub root: String,
    /// The version that is installed now.
    pub installed: Option<String>,
    /// Sum of the files that are going to be installed.
    pub release_bytes: u64,
    /// The parts that may be left out.
    pub parts: Vec<PlannedPart>,
    /// What is going to be fetched, as it is stored: deltas and chunks.
    pub fetch_bytes: u64,
    /// Deltas among that.
    pub deltas: u32,
    /// Bytes of those.
    pub delta_bytes: u64,
    /// Chunks that come whole.
    pub chunks: u32,
    /// Bytes of those.
    pub chunk_bytes: u64,
    /// In files that stay as they are.
    pub kept_bytes: u64,
    /// Of an earlier, unfinished download.
    pub resumed_bytes: u64,
    /// Copied from other places of this disk.
    pub copied_bytes: u64,
    /// What is going to be written to the disk.
    pub write_bytes: u64,
    /// Room needed beside what is there, until the install is done.
    pub temp_bytes: u64,
    /// Room that there is.
    pub free_bytes: Option<u64>,
    /// What the channel prepares.
    pub preload: Option<PlannedPreload>,
}

/// A sealed version that can be fetched ahead of its time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlannedPreload {
    /// The version.
    pub version: String,
    /// When it is meant to open, Unix seconds.
    pub opens: u64,
    /// Whether it is here, as far as it fits this installation.
    pub is_here: bool,
}

/// A part of a release, and whether it is going to be installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlannedPart {
    /// Its name.
    pub name: String,
    /// Sum of its files.
    pub bytes: u64,
    /// Whether it is going to be there.
    pub is_chosen: bool,
}

/// Says what [`get`](crate::get) would take with these options. Nothing is fetched but signed documents and lists, which the
/// folder keeps for later; an install that was cut off is finished first.
///
/// # Errors
/// [`GetError`] as of `get`; the origin must be there.
pub async fn plan(options: &GetOptions, stop: CancellationToken) -> Result<Plan, GetError> {
    let Folder { layout, mut trust, lock: _lock } = Folder::take(options, &stop).await?;
    let origin = open_origin(options)?;
    let target = &options.url.target;
    let located = locate(&origin, &mut trust, &layout, target).await?;
    let documents = Documents::new(trust, layout.clone(), channel_of(target));
    let (sealed, _) = documents.open_sealed(located.id);
    let fetched = fetch(&origin, documents.trust(), &layout, content_of(target), located.id).await;
    let release = fetched?.release;
    refuse_sealed(&release)?;
    let before = Before::load(&layout, documents.trust())?;
    let release = before.choose_parts(options.parts.as_ref(), release)?;
    let release = match &before.release {
        Some(old) => with_patch(&origin, &documents, old, release).await.0,
        None => release,
    };
    let release = Arc::new(release);
    let (local, before) =
        look_around(&layout, &release, before, move |files, old| look(files, old, sealed.as_ref(), &stop))
            .await?;
    let positions: Vec<u32> = wanted(&release, &local).into_iter().flatten().collect();
    let stored = origin.stored_bytes(&release, positions.iter().copied()).await?;
    let mut plan = Plan {
        free_bytes: platform::free_bytes(&options.folder),
        preload: planned_preload(&layout, &documents)?,
        installed: before.installed.map(|installed| installed.version.to_string()),
        ..Plan::of(&release, &local)
    };
    for (position, stored) in positions.into_iter().zip(stored) {
        if release.delta(position).is_some() {
            plan.deltas += 1;
            plan.delta_bytes += stored;
        } else {
            plan.chunks += 1;
            plan.chunk_bytes += stored;
        }
    }
    plan.fetch_bytes = plan.delta_bytes + plan.chunk_bytes;
    plan.write_bytes += plan.delta_bytes;
    plan.temp_bytes += plan.delta_bytes;
    Ok(plan)
}

impl Plan {
    /// Without what is fetched.
    fn of(release: &Release, local: &Local) -> Self {
        // What changes is written beside the old files; what an unfinished download has is written already.
        let staged_bytes = (release.chosen_bytes() - local.kept_bytes).saturating_sub(local.resumed_bytes);
        Self {
            content: release.root.content.to_string(),
            version: release.root.version.to_string(),
            root: release.id.to_string(),
            installed: None,
            release_bytes: release.chosen_bytes(),
            parts: planned_parts(release),
            fetch_bytes: 0,
            deltas: 0,
            delta_bytes: 0,
            chunks: 0,
            chunk_bytes: 0,
            kept_bytes: local.kept_bytes,
            resumed_bytes: local.resumed_bytes,
            copied_bytes: local.copied_bytes,
            write_bytes: staged_bytes + local.changed_bytes,
            temp_bytes: staged_bytes,
            free_bytes: None,
            preload: None,
        }
    }
}

fn planned_preload(layout: &Layout, documents: &Documents) -> Result<Option<PlannedPreload>, GetError> {
    let Some((named, _)) = documents.preload() else { return Ok(None) };
    let known = Preloaded::load(layout).map_err(|error| GetError::io(&layout.preload(), &error))?;
    Ok(Some(PlannedPreload {
        version: named.version.to_string(),
        opens: named.opens,
        is_here: known.is_some_and(|known| known.root == named.root && known.is_whole),
    }))
}

fn planned_parts(release: &Release) -> Vec<PlannedPart> {
    let chosen: Vec<&Name> = release.chosen_parts().collect();
    let planned = |part: &Part| PlannedPart {
        name: part.name.to_string(),
        bytes: part.bytes,
        is_chosen: chosen.contains(&&part.name),
    };
    release.root.parts.iter().map(planned).collect()
}
