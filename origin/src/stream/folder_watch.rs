//! Looks for playlists that change in a folder. By looking again and again: that works on every file system, and a look
//! at a few playlists costs less than what a watcher of the system would tell about every write to every segment.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use freshet_listen::hls::playlist::{self, PLAYLIST_BYTES_MAX, Playlist};
use freshet_protocol::RelPath;
use tokio::time::{Interval, MissedTickBehavior};

use super::folder::Stamp;
use crate::platform;

/// How often playlists are looked at.
const EVERY: Duration = Duration::from_millis(200);
/// How often the folder is searched for new playlists, in looks.
const SEARCH_EVERY: u32 = 5;
/// Most playlists.
const PLAYLISTS_MAX: usize = 128;
/// Folders within folders that are searched.
const DEPTH_MAX: usize = 4;
/// Most names that one search looks at.
const NAMES_MAX: usize = 1 << 17;

/// A folder, and what its playlists looked like when they were told.
pub(super) struct FolderWatch {
    folder: PathBuf,
    told: BTreeMap<RelPath, Option<Stamp>>,
    looks: u32,
    every: Interval,
}

/// A playlist that has changed.
pub(super) struct Changed {
    pub(super) path: RelPath,
    pub(super) bytes: Bytes,
    pub(super) playlist: Playlist,
    stamp: Stamp,
}

impl FolderWatch {
    pub(super) fn new(folder: PathBuf) -> Self {
        let mut every = tokio::time::interval(EVERY);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { folder, told: BTreeMap::new(), looks: 0, every }
    }

    /// Waits for the time of the next look, and looks. The watch comes back with what has changed.
    pub(super) async fn next(mut self) -> (Self, Vec<Changed>) {
        self.every.tick().await;
        let looking = tokio::task::spawn_blocking(move || {
            let changed = self.look();
            (self, changed)
        });
        looking.await.expect("looking does not panic")
    }

    /// Playlists that have changed since they were noted, lists of segments first.
    fn look(&mut self) -> Vec<Changed> {
        if self.looks.is_multiple_of(SEARCH_EVERY) {
            for path in search(&self.folder) {
                self.told.entry(path).or_insert(None);
            }
        }
        self.looks = self.looks.wrapping_add(1);
        let mut changed: Vec<_> =
            self.told.iter().filter_map(|(path, told)| read(&self.folder, path, *told)).collect();
        changed.sort_by_key(|changed| matches!(changed.playlist, Playlist::Master(_)));
        changed
    }

    /// Notes that a playlist has been taken as it is.
    pub(super) fn note(&mut self, changed: &Changed) {
        self.told.insert(changed.path.clone(), Some(changed.stamp));
    }
}

/// Reads a playlist that is not as it was told. One that is being written is left for the next look.
fn read(folder: &Path, path: &RelPath, told: Option<Stamp>) -> Option<Changed> {
    let place = folder.join(path.as_str());
    let metadata = fs::metadata(&place).ok()?;
    let stamp = platform::stamp(&metadata);
    if told == Some(stamp) || !metadata.is_file() || metadata.len() > PLAYLIST_BYTES_MAX as u64 {
        return None;
    }
    let bytes = fs::read(&place).ok()?;
    let is_same = fs::metadata(&place).is_ok_and(|after| platform::stamp(&after) == stamp);
    if !is_same || !bytes.ends_with(b"\n") {
        return None;
    }
    match playlist::parse(&bytes) {
        Ok(playlist) => Some(Changed { path: path.clone(), bytes: bytes.into(), playlist, stamp }),
        Err(error) => {
            tracing::debug!(playlist = %path, %error, "not a playlist yet");
            None
        }
    }
}

/// Playlists in a folder and those within it.
fn search(folder: &Path) -> Vec<RelPath> {
    let (mut found, mut names) = (Vec::new(), 0);
    let mut folders = vec![(folder.to_owned(), String::new(), 0)];
    while let Some((at, prefix, depth)) = folders.pop() {
        let Ok(entries) = fs::read_dir(&at) else { continue };
        for entry in entries.flatten() {
            names += 1;
            if names > NAMES_MAX || found.len() == PLAYLISTS_MAX {
                tracing::warn!(folder = %folder.display(), "too many files or playlists; the rest is not looked at");
                return found;
            }
            let Ok(name) = entry.file_name().into_string() else { continue };
            let path = format!("{prefix}{name}");
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                if depth < DEPTH_MAX {
                    folders.push((entry.path(), format!("{path}/"), depth + 1));
                }
            } else if name.ends_with(".m3u8") || name.ends_with(".m3u") {
                found.extend(path.parse::<RelPath>());
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn changes_are_told_once_and_whole() {
        let folder = tempfile::tempdir().expect("folder");
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().expect("parent")).expect("made");
            fs::write(path, text).expect("written");
        };
        let mut watch = FolderWatch::new(folder.path().to_owned());
        let mut look = |is_noted: bool| {
            let changed = watch.look();
            if is_noted {
                changed.iter().for_each(|changed| watch.note(changed));
            }
            changed.iter().map(|changed| changed.path.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(look(true), [""; 0]);
        write("a.m3u8", "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nb/c.m3u8\n");
        write("b/c.m3u8", "#EXTM3U\n0.ts\n");
        write("b/0.ts", "#EXTM3U\n");
        write("half.m3u8", "#EXTM3U\n0.t");
        write("none.m3u8", "hello\n");
        (1..SEARCH_EVERY).for_each(|_| assert_eq!(look(true), [""; 0]));
        assert_eq!(look(false), ["b/c.m3u8", "a.m3u8"], "lists of segments first");
        assert_eq!(look(true), ["b/c.m3u8", "a.m3u8"], "until they are noted");
        assert_eq!(look(true), [""; 0]);
        write("half.m3u8", "#EXTM3U\n0.ts\n");
        assert_eq!(look(true), ["half.m3u8"]);
        write("b/c.m3u8", "#EXTM3U\n0.ts\n1.ts\n");
        assert_eq!(look(true), ["b/c.m3u8"]);
        fs::remove_file(folder.path().join("b/c.m3u8")).expect("removed");
        assert_eq!(look(true), [""; 0]);
    }

    #[tokio::test]
    async fn as_many_playlists_as_allowed() {
        let folder = tempfile::tempdir().expect("folder");
        for n in 0..=PLAYLISTS_MAX {
            fs::write(folder.path().join(format!("{n}.m3u8")), "#EXTM3U\n").expect("written");
        }
        assert_eq!(FolderWatch::new(folder.path().to_owned()).look().len(), PLAYLISTS_MAX);
    }
}
