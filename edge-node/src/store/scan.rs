//! What is here already: installed files that stay, a download to resume, and chunks of the installed release that the
//! new one uses too. Nothing of this is fetched again, and nothing is believed without its hash, except where this node
//! itself checked and synced it before.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use freshet_protocol::VerifiedChunk;
use tokio_util::sync::CancellationToken;

use crate::platform;
use crate::release::Release;
use crate::store::access::{ChunkFiles, read_chunk};
use crate::store::derive::{OldFiles, derive};
use crate::store::installed::Installed;
use crate::store::positions::Positions;

/// Room that must be left beside the release itself, for pages and records, in bytes.
const SPACE_MARGIN_BYTES: u64 = 1 << 20;

/// Why the folder could not be prepared.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ScanError {
    #[error("{folder}: {needed_bytes} bytes are needed and {free_bytes} are free")]
    Full { folder: PathBuf, needed_bytes: u64, free_bytes: u64 },
    #[error("{path}: {error}")]
    Io { path: PathBuf, error: io::Error },
    #[error("stopped")]
    Stopped,
}

/// What the folder holds.
#[derive(Debug)]
pub(crate) struct Local {
    /// Positions that need not be fetched.
    pub(crate) held: Positions,
    /// Files, by number, whose installed file is already what it should be.
    pub(crate) in_place: Vec<bool>,
    /// Bytes in files that stay as they are.
    pub(crate) kept_bytes: u64,
    /// Bytes of an earlier, unfinished download.
    pub(crate) resumed_bytes: u64,
    /// Bytes copied from installed files.
    pub(crate) copied_bytes: u64,
}

/// What is believed of installed files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Belief {
    /// That those which look as they were left are what they were.
    Untouched,
    /// Nothing: all are hashed.
    Nothing,
}

/// The release that is installed now, with its manifest where that is still known.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OldRelease<'a> {
    pub(crate) installed: &'a Installed,
    pub(crate) release: Option<&'a Arc<Release>>,
}

/// Looks through the folder and copies what is useful into staging.
///
/// # Errors
/// [`ScanError`]; what was copied before stays usable.
pub(crate) fn scan(
    files: &ChunkFiles,
    old: Option<OldRelease<'_>>,
    belief: Belief,
    stop: &CancellationToken,
) -> Result<Local, ScanError> {
    let mut scan = Scan::new(files, old, belief, stop);
    scan.installed_files()?;
    scan.staged_files()?;
    scan.check_space()?;
    scan.copy_known_chunks()?;
    scan.name_twice();
    Ok(scan.local)
}

/// Looks through the folder as [`scan`] does, but changes nothing: what would be copied is counted, and believed to be good
/// where it looks untouched.
///
/// # Errors
/// [`ScanError`].
pub(crate) fn look(
    files: &ChunkFiles,
    old: Option<OldRelease<'_>>,
    stop: &CancellationToken,
) -> Result<Local, ScanError> {
    let mut scan = Scan::new(files, old, Belief::Untouched, stop);
    scan.installed_files()?;
    scan.staged_files()?;
    scan.count_known_chunks();
    scan.name_twice();
    Ok(scan.local)
}

struct Scan<'a> {
    files: &'a ChunkFiles,
    old: Option<OldRelease<'a>>,
    belief: Belief,
    stop: &'a CancellationToken,
    local: Local,
    /// Positions that the file at the target path holds, though the file as a whole must change.
    good_at_target: Positions,
}

impl<'a> Scan<'a> {
    fn new(
        files: &'a ChunkFiles,
        old: Option<OldRelease<'a>>,
        belief: Belief,
        stop: &'a CancellationToken,
    ) -> Self {
        let release = &files.release;
        let local = Local {
            held: Positions::new(release.chunk_count()),
            in_place: vec![false; release.files.len()],
            kept_bytes: 0,
            resumed_bytes: 0,
            copied_bytes: 0,
        };
        let good_at_target = Positions::new(release.chunk_count());
        Self { files, old, belief, stop, local, good_at_target }
    }

    fn installed_files(&mut self) -> Result<(), ScanError> {
        let release = &self.files.release;
        for (number, entry) in release.chosen_files() {
            let path = self.files.installed(number);
            let Ok(metadata) = std::fs::symlink_metadata(&path) else { continue };
            if !metadata.is_file() || metadata.len() != entry.bytes {
                continue;
            }
            let is_believed =
                self.belief == Belief::Untouched && self.is_same_as_installed(number, &metadata);
            let is_kept = is_believed || self.check_file(number, &path)?;
            if is_kept {
                self.local.in_place[number] = true;
                self.local.kept_bytes += entry.bytes;
                for position in entry.positions.clone() {
                    self.local.held.insert(position);
                }
            }
        }
        Ok(())
    }

    /// Whether the installed release has the same file and nobody touched it since.
    fn is_same_as_installed(&self, number: usize, metadata: &std::fs::Metadata) -> bool {
        let entry = &self.files.release.files[number];
        let Some(OldRelease { installed, release: Some(old) }) = self.old else { return false };
        installed.is_untouched(&entry.path, metadata)
            && old.files.binary_search_by(|file| file.path.cmp(&entry.path)).is_ok_and(|at| {
                let chunks = |release: &Release, at: usize| {
                    let positions = release.files[at].positions.clone();
                    release.chunks()[positions.start as usize..positions.end as usize].to_vec()
                };
                chunks(old, at) == chunks(&self.files.release, number)
            })
    }

    /// Whether every chunk of the file at `path` is good; notes those that are.
    fn check_file(&mut self, number: usize, path: &Path) -> Result<bool, ScanError> {
        let Ok(file) = File::open(path) else { return Ok(false) };
        let mut all = true;
        for position in self.files.release.files[number].positions.clone() {
            self.check_stopped()?;
            if self.files.read_from(&file, position).is_ok() {
                self.good_at_target.insert(position);
            } else {
                all = false;
            }
        }
        Ok(all)
    }

    /// Takes up an unfinished download: positions of the last checkpoint are good, later ones are hashed.
    fn staged_files(&mut self) -> Result<(), ScanError> {
        let release = &self.files.release;
        let id = release.staging_id();
        let trusted = std::fs::read(self.files.layout.progress(id))
            .ok()
            .and_then(|bytes| Positions::decode(&bytes, id, release.chunk_count()))
            .unwrap_or_else(|| Positions::new(release.chunk_count()));
        let files = release.chosen_files().map(|(number, file)| (number, file.positions.clone()));
        let deltas = release.delta_file().map(|number| (number, release.fetched_span().positions));
        for (number, positions) in files.chain(deltas) {
            if self.local.in_place.get(number) == Some(&true) {
                continue;
            }
            let Ok(file) = File::open(self.files.staged(number)) else { continue };
            if !file.metadata().is_ok_and(|metadata| metadata.len() == release.file_bytes(number)) {
                continue;
            }
            let mut data_at = 0;
            for position in positions.filter(|&position| !release.is_alias(position)) {
                self.check_stopped()?;
                let (_, offset) = release.place(position);
                let bytes = release.chunk(position).bytes;
                if !trusted.contains(position) {
                    // Nothing was written in a hole, so there is nothing to read.
                    if data_at < offset {
                        data_at = platform::next_data(&file, offset)
                            .map_err(|error| self.io(number, error))?
                            .unwrap_or(u64::MAX);
                    }
                    if data_at >= offset + u64::from(bytes) || self.files.read_from(&file, position).is_err()
                    {
                        continue;
                    }
                }
                self.local.held.insert(position);
                self.local.resumed_bytes += u64::from(bytes);
            }
        }
        Ok(())
    }

    fn check_space(&self) -> Result<(), ScanError> {
        let release = &self.files.release;
        let is_missing = |&position: &u32| {
            !self.local.held.contains(position) && release.is_chosen(position) && !release.is_alias(position)
        };
        let missing = (0..release.chunk_count()).filter(is_missing);
        let missing_bytes: u64 = missing.map(|position| u64::from(release.chunk(position).bytes)).sum();
        let needed_bytes = missing_bytes + SPACE_MARGIN_BYTES;
        match platform::free_bytes(self.files.layout.folder()) {
            Some(free_bytes) if missing_bytes > 0 && free_bytes < needed_bytes => Err(ScanError::Full {
                folder: self.files.layout.folder().to_owned(),
                needed_bytes,
                free_bytes,
            }),
            _ => Ok(()),
        }
    }

    fn copy_known_chunks(&mut self) -> Result<(), ScanError> {
        let mut source = LastFile::default();
        let mut target: Option<(usize, File)> = None;
        for position in 0..self.files.release.root.chunks {
            if self.local.held.contains(position) || !self.files.release.is_chosen(position) {
                continue;
            }
            self.check_stopped()?;
            let Some(chunk) = self.find_elsewhere(position, &mut source) else { continue };
            let (number, _) = self.files.release.place(position);
            if target.as_ref().is_none_or(|(open, _)| *open != number) {
                let file = self.files.open_staged(number).map_err(|error| self.io(number, error))?;
                target = Some((number, file));
            }
            let (_, file) = target.as_ref().expect("opened above");
            self.files.write(file, position, &chunk).map_err(|error| self.io(number, error))?;
            self.local.held.insert(position);
            self.local.copied_bytes += chunk.bytes().len() as u64;
        }
        Ok(())
    }

    /// Counts what would be copied.
    fn count_known_chunks(&mut self) {
        let release = Arc::clone(&self.files.release);
        for position in 0..release.root.chunks {
            let is_missing = !self.local.held.contains(position) && release.is_chosen(position);
            if is_missing && self.is_elsewhere(position) {
                self.local.held.insert(position);
                self.local.copied_bytes += u64::from(release.chunk(position).bytes);
            }
        }
    }

    /// Whether the chunk of `position` is in the file in its way, in another place, in a file of the old release that looks
    /// untouched, or can be made of a delta that was fetched before.
    fn is_elsewhere(&self, position: u32) -> bool {
        let release = &self.files.release;
        let is_here = |other: u32| self.local.held.contains(other) || self.good_at_target.contains(other);
        let Some(OldRelease { installed, release: Some(old) }) = self.old else {
            return release.places_of(position).any(is_here);
        };
        let is_untouched = |position: u32| {
            let path = &old.files[old.place(position).0].path;
            let found = std::fs::symlink_metadata(self.files.layout.installed_at(path));
            found.is_ok_and(|found| installed.is_untouched(path, &found))
        };
        let delta = release.fetched_for(position);
        release.places_of(position).any(is_here)
            || old.positions_of(release.chunk(position).id).any(is_untouched)
            || release.delta(delta).is_some() && self.local.held.contains(delta)
    }

    /// What a patch names again is held under both names.
    fn name_twice(&mut self) {
        let held = self.local.held.ranges();
        for position in self.files.release.also_in_patch(&held).into_iter().flatten() {
            self.local.held.insert(position);
        }
    }

    /// The chunk of `position`, from the file in its way, from another place of the release, from the old release, or from
    /// its delta, where that was fetched before.
    fn find_elsewhere(&self, position: u32, source: &mut LastFile) -> Option<VerifiedChunk> {
        let release = &self.files.release;
        let chunk = *release.chunk(position);
        let (number, offset) = release.place(position);
        let mut read = |path: PathBuf, offset: u64| {
            let bytes = source.read(path, offset, chunk.bytes)?;
            VerifiedChunk::check(chunk.id, bytes).ok()
        };
        if self.good_at_target.contains(position) {
            return read(self.files.installed(number), offset);
        }
        let elsewhere = |&other: &u32| self.local.held.contains(other) || self.good_at_target.contains(other);
        if let Some(other) = release.places_of(position).find(elsewhere) {
            let (number, offset) = release.place(other);
            let is_staged = self.local.held.contains(other) && !self.local.in_place[number];
            let path = if is_staged { self.files.staged(number) } else { self.files.installed(number) };
            return read(path, offset);
        }
        let old = self.old?.release?;
        let copied = old.positions_of(chunk.id).find_map(|position| {
            let (number, offset) = old.place(position);
            read(self.files.layout.installed_at(&old.files[number].path), offset)
        });
        copied.or_else(|| {
            let delta = release.fetched_for(position);
            release.delta(delta).filter(|_| self.local.held.contains(delta))?;
            let old = OldFiles { layout: self.files.layout.clone(), release: Arc::clone(old) };
            derive(self.files, &old, delta, None).ok()
        })
    }

    fn check_stopped(&self) -> Result<(), ScanError> {
        if self.stop.is_cancelled() { Err(ScanError::Stopped) } else { Ok(()) }
    }

    fn io(&self, number: usize, error: io::Error) -> ScanError {
        ScanError::Io { path: self.files.staged(number), error }
    }
}

/// The file read last, kept open because neighbouring chunks come from one file.
#[derive(Default)]
struct LastFile {
    open: Option<(PathBuf, File)>,
}

impl LastFile {
    fn read(&mut self, path: PathBuf, offset: u64, bytes: u32) -> Option<bytes::Bytes> {
        if self.open.as_ref().is_none_or(|(open, _)| *open != path) {
            let file = File::open(&path).ok()?;
            self.open = Some((path, file));
        }
        let (_, file) = self.open.as_ref()?;
        read_chunk(file, offset, bytes).ok()
    }
}
