//! Indexes a folder.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use freshet_listen::hls::Names;
use freshet_listen::hls::playlist::Playlist;
use freshet_protocol::RelPath;
use tokio::time::Instant;

use super::{Index, Indexed};
use crate::platform;
use crate::stream::error::SegmentProblem;
use crate::stream::folder::{self, Stamp};
use crate::stream::folder_watch::FolderWatch;
use crate::stream::live::IngestError;
use crate::stream::pieces::Pieces;
use crate::stream::source::{Source, Wanted};

/// How long a playlist is looked at again for segments that cannot be read.
const PATIENCE: Duration = Duration::from_secs(5);
/// Most files whose looks are remembered; those beyond are read again.
const SEEN_MAX: usize = 1 << 17;

pub(super) async fn run(mut index: Index, folder: PathBuf) -> Result<Indexed, IngestError> {
    let source =
        SeenFolder { folder: folder.clone(), names: index.desk.names().clone(), seen: Mutex::default() };
    let mut watch = FolderWatch::new(folder.clone());
    let mut waiting: BTreeMap<RelPath, Instant> = BTreeMap::new();
    loop {
        let changed;
        (watch, changed) = watch.next().await;
        if changed.is_empty() && index.way.is_once {
            let source = std::io::Error::other("it has no playlist that can be read");
            return Err(IngestError::Folder { path: folder, source });
        }
        for changed in changed {
            let Playlist::Media(media) = &changed.playlist else {
                watch.note(&changed);
                continue;
            };
            let url = index.desk.names().url(&changed.path);
            let has_problem = index.enter(&url, media, &source).await?;
            let since = *waiting.entry(changed.path.clone()).or_insert_with(Instant::now);
            if !has_problem || since.elapsed() >= PATIENCE {
                waiting.remove(&changed.path);
                watch.note(&changed);
            }
        }
        index.sweep().await?;
        if index.way.is_once {
            return Ok(index.finish().await);
        }
    }
}

/// A folder whose files are read again only when they have changed.
struct SeenFolder {
    folder: PathBuf,
    names: Names,
    seen: Mutex<BTreeMap<RelPath, Stamp>>,
}

impl Source for SeenFolder {
    async fn look(&self, wanted: Wanted) -> Result<Option<Arc<Pieces>>, SegmentProblem> {
        let file = self.names.file(&wanted.url)?;
        let place = self.folder.join(file.as_str());
        let metadata = tokio::fs::metadata(&place).await.map_err(|_| SegmentProblem::Missing)?;
        let stamp = platform::stamp(&metadata);
        if wanted.is_known
            && self.seen.lock().expect("nothing panics while it is held").get(&file) == Some(&stamp)
        {
            return Ok(None);
        }
        let reading = tokio::task::spawn_blocking(move || folder::read(&place, wanted.range));
        let pieces = reading.await.expect("reading does not panic")?;
        let mut seen = self.seen.lock().expect("nothing panics while it is held");
        if seen.len() == SEEN_MAX {
            seen.clear();
        }
        seen.insert(file, stamp);
        Ok(Some(Arc::new(pieces)))
    }
}
