//! Takes in a stream from a folder. A segment is read once a playlist lists it: before, it may not be whole.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use freshet_listen::hls;
use freshet_listen::hls::playlist::Playlist;
use freshet_protocol::RelPath;
use tokio::fs::{self, File};
use tokio::time::Instant;
use tokio_util::io::ReaderStream;

use super::room::{Room, TakeError};
use crate::platform;
use crate::stream::folder::Stamp;
use crate::stream::folder_watch::{Changed, FolderWatch};

/// How long a playlist waits for files that it lists.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(5);
/// Bytes read at once.
const READ_BYTES: usize = 256 << 10;

pub(super) async fn run(room: Arc<Room>, folder: PathBuf) {
    let mut watching =
        Watching { room, folder: folder.clone(), taken: BTreeMap::new(), waiting: BTreeMap::new() };
    let mut watch = FolderWatch::new(folder);
    loop {
        let changed;
        (watch, changed) = watch.next().await;
        for changed in changed {
            match watching.take(&changed).await {
                Ok(true) => watch.note(&changed),
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(playlist = %changed.path, %error, "the playlist is not shown as it is now");
                    watch.note(&changed);
                }
            }
        }
    }
}

struct Watching {
    room: Arc<Room>,
    folder: PathBuf,
    /// What each file looked like when it was taken, for those that a playlist lists.
    taken: BTreeMap<RelPath, BTreeMap<RelPath, Stamp>>,
    /// Since when a playlist waits for files.
    waiting: BTreeMap<RelPath, Instant>,
}

impl Watching {
    /// Stores what a playlist lists and has changed, then shows it. False: files are missing, so it is to be looked at
    /// again.
    async fn take(&mut self, changed: &Changed) -> Result<bool, TakeError> {
        let url = self.room.names().url(&changed.path);
        let (mut files, mut links) = (BTreeSet::new(), BTreeSet::new());
        if let Playlist::Media(media) = &changed.playlist {
            let file = |uri: &String| hls::join(&url, uri).and_then(|url| self.room.names().file(&url)).ok();
            files.extend(media.segments.iter().filter_map(|segment| file(&segment.resource.uri)));
            files.extend(media.inits.iter().filter_map(|init| file(&init.uri)));
            links.extend(media.links.iter().filter_map(file).filter(|link| !Room::is_playlist(link)));
        }
        let before = self.taken.remove(&changed.path).unwrap_or_default();
        let mut taken = BTreeMap::new();
        let mut is_whole = true;
        for file in &files {
            match self.take_file(file, before.get(file)).await? {
                Some(stamp) => drop(taken.insert(file.clone(), stamp)),
                None => is_whole = false,
            }
        }
        // Keys; the next part of a live stream is not there yet.
        for link in &links {
            if let Some(stamp) = self.take_file(link, before.get(link)).await? {
                taken.insert(link.clone(), stamp);
            }
        }
        self.taken.insert(changed.path.clone(), taken);
        let since = *self.waiting.entry(changed.path.clone()).or_insert_with(Instant::now);
        if !is_whole && since.elapsed() < PATIENCE {
            return Ok(false);
        }
        self.waiting.remove(&changed.path);
        self.room.take_playlist(&url, &changed.path, changed.bytes.clone()).await?;
        Ok(true)
    }

    /// Stores a file unless it is as it was. Returns what it looks like; none where it is missing or being written.
    async fn take_file(&self, file: &RelPath, before: Option<&Stamp>) -> Result<Option<Stamp>, TakeError> {
        let place = self.folder.join(file.as_str());
        let Ok(metadata) = fs::metadata(&place).await else { return Ok(None) };
        let stamp = platform::stamp(&metadata);
        if !metadata.is_file() || before == Some(&stamp) {
            return Ok(metadata.is_file().then_some(stamp));
        }
        let Ok(open) = File::open(&place).await else { return Ok(None) };
        self.room.take_file(file, ReaderStream::with_capacity(open, READ_BYTES)).await?;
        let after = fs::metadata(&place).await;
        Ok(after.is_ok_and(|after| platform::stamp(&after) == stamp).then_some(stamp))
    }
}
