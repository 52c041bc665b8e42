//! What is here already: installed files that stay, a download to resume, and chunks of the installed release that the
//! new one uses too. Nothing of this is fetched again, and nothing is believed without its hash, except where this node
//! itself checked and synced it before.

use std::fs::{File, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use freshet_protocol::{VerifiedChunk, is_changed_in_place, staying_chunks};
use tokio_util::sync::CancellationToken;

use crate::platform;
use crate::release::{FileEntry, Release};
use crate::store::access::{ChunkFiles, read_chunk};
use crate::store::derive::{OldFiles, derive};
use crate::store::file_system::{FileSystem, try_link};
use crate::store::installed::Installed;
use crate::store::placing::{Placing, Way, may_change};
use crate::store::positions::Positions;
use crate::store::sealed_file::SealedStream;
use crate::store::unseal::{Unsealing, batch_bytes};

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
    pub(crate) placing: Placing,
    /// Bytes that stay in installed files, or are shared with them.
    pub(crate) kept_bytes: u64,
    /// Bytes that are going to be written into installed files, once they are staged.
    pub(crate) changed_bytes: u64,
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

/// Looks through the folder and copies what is useful into staging; what a sealed file holds moves there.
///
/// # Errors
/// [`ScanError`]; what was copied before stays usable.
pub(crate) fn scan(
    files: &ChunkFiles,
    old: Option<OldRelease<'_>>,
    sealed: Option<&SealedStream>,
    belief: Belief,
    stop: &CancellationToken,
) -> Result<Local, ScanError> {
    let mut scan = Scan::new(files, old, belief, stop);
    scan.sealed = sealed;
    scan.check_links()?;
    scan.installed_files()?;
    scan.staged_files()?;
    scan.clone_files()?;
    scan.change_files();
    scan.check_space()?;
    scan.open_sealed()?;
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
    sealed: Option<&SealedStream>,
    stop: &CancellationToken,
) -> Result<Local, ScanError> {
    let mut scan = Scan::new(files, old, Belief::Untouched, stop);
    scan.sealed = sealed;
    scan.installed_files()?;
    scan.staged_files()?;
    scan.change_files();
    scan.count_known_chunks();
    scan.name_twice();
    Ok(scan.local)
}

/// Takes up what an unfinished download has staged, and nothing else.
///
/// # Errors
/// [`ScanError`].
pub(crate) fn take_up(files: &ChunkFiles, stop: &CancellationToken) -> Result<Local, ScanError> {
    let mut scan = Scan::new(files, None, Belief::Untouched, stop);
    scan.staged_files()?;
    Ok(scan.local)
}

struct Scan<'a> {
    files: &'a ChunkFiles,
    old: Option<OldRelease<'a>>,
    /// What was fetched ahead of its time.
    sealed: Option<&'a SealedStream>,
    belief: Belief,
    stop: &'a CancellationToken,
    system: FileSystem,
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
            placing: Placing {
                ways: vec![Way::Moved; release.files.len()],
                staying: Positions::new(release.chunk_count()),
            },
            kept_bytes: 0,
            changed_bytes: 0,
            resumed_bytes: 0,
            copied_bytes: 0,
        };
        let good_at_target = Positions::new(release.chunk_count());
        let system = FileSystem::look(&files.layout);
        Self { files, old, sealed: None, belief, stop, system, local, good_at_target }
    }

    /// A release with links is refused where there can be none, before anything is fetched for it.
    fn check_links(&self) -> Result<(), ScanError> {
        let layout = &self.files.layout;
        match self.files.release.chosen_links().next() {
            None => Ok(()),
            Some(link) => try_link(layout)
                .map_err(|error| ScanError::Io { path: layout.installed_at(&link.path), error }),
        }
    }

    fn installed_files(&mut self) -> Result<(), ScanError> {
        let release = &self.files.release;
        for (number, entry) in release.chosen_files() {
            let path = self.files.installed(number);
            let Ok(metadata) = std::fs::symlink_metadata(&path) else { continue };
            if !metadata.is_file() {
                continue;
            }
            let is_as_long = metadata.len() == entry.bytes;
            if !self.believe(entry, &metadata) && (is_as_long || self.is_changing(entry)) {
                self.check_file(number, &path)?;
            }
            if is_as_long && self.good_at_target.contains_all(entry.positions.clone()) {
                self.local.placing.ways[number] = Way::Kept;
                self.stay(entry.positions.clone());
            }
        }
        Ok(())
    }

    /// These positions are held, and stay where they are.
    fn stay(&mut self, positions: impl Iterator<Item = u32>) {
        for position in positions {
            self.local.placing.staying.insert(position);
            if self.local.held.insert(position) {
                self.local.kept_bytes += u64::from(self.files.release.chunk(position).bytes);
            }
        }
    }

    /// Where nobody touched the file since the installed release put it there: notes what of it the new release has at the
    /// same place.
    fn believe(&mut self, entry: &FileEntry, metadata: &Metadata) -> bool {
        let Some(OldRelease { installed, release: Some(old) }) = self.old else { return false };
        let is_believed = self.belief == Belief::Untouched && installed.is_untouched(&entry.path, metadata);
        let Some(known) = old.file(&entry.path).filter(|_| is_believed) else { return false };
        for number in staying_chunks(old.chunks_of(known), self.files.release.chunks_of(entry)) {
            self.good_at_target.insert(entry.positions.start + number as u32);
        }
        true
    }

    /// Whether an install that was cut off writes into the file.
    fn is_changing(&self, entry: &FileEntry) -> bool {
        self.old.is_some_and(|old| old.installed.changing.contains(&entry.path))
    }

    /// Notes which chunks of the file at `path` are good.
    fn check_file(&mut self, number: usize, path: &Path) -> Result<(), ScanError> {
        let Ok(file) = File::open(path) else { return Ok(()) };
        for position in self.files.release.files[number].positions.clone() {
            self.check_stopped()?;
            if self.files.read_from(&file, position).is_ok() {
                self.good_at_target.insert(position);
            }
        }
        Ok(())
    }

    /// Files whose changes are few, each with what of it stays where it is.
    fn little_changed(&self) -> Vec<(usize, Vec<u32>)> {
        let release = &self.files.release;
        let little_changed = |(number, entry): (usize, &FileEntry)| {
            let positions = entry.positions.clone().filter(|_| self.local.placing.ways[number] == Way::Moved);
            let staying: Vec<u32> =
                positions.filter(|&position| self.good_at_target.contains(position)).collect();
            // What an unfinished download has of it already is not left lying.
            let is_staged = staying.iter().all(|&position| self.local.held.contains(position));
            let is_little = is_changed_in_place(entry.bytes, release.sum_of(&staying)) && !is_staged;
            (is_little && self.is_ours_to_change(number, entry)).then_some((number, staying))
        };
        release.chosen_files().filter_map(little_changed).collect()
    }

    fn is_ours_to_change(&self, number: usize, entry: &FileEntry) -> bool {
        let path = self.files.installed(number);
        let is_ours = self.old.is_some_and(|old| old.installed.owns(&entry.path, &path));
        is_ours && std::fs::symlink_metadata(&path).is_ok_and(|found| may_change(entry, &found, self.system))
    }

    /// Where the file system shares blocks between files, one that changes a little begins as a clone of the old one.
    fn clone_files(&mut self) -> Result<(), ScanError> {
        for (number, staying) in self.little_changed() {
            let is_cloned = self.files.clone_staged(number).map_err(|error| self.io(number, error))?;
            if !is_cloned {
                // The others would not do any better: this is not such a file system.
                break;
            }
            for position in staying {
                if self.local.held.insert(position) {
                    self.local.kept_bytes += u64::from(self.files.release.chunk(position).bytes);
                }
            }
        }
        Ok(())
    }

    /// Of those that were not cloned, only the changes are staged.
    fn change_files(&mut self) {
        for (number, staying) in self.little_changed() {
            let release = &self.files.release;
            self.local.changed_bytes += release.files[number].bytes - release.sum_of(&staying);
            self.local.placing.ways[number] = Way::Changed;
            self.stay(staying.into_iter());
        }
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
        for (number, positions) in files.chain(deltas).chain(release.sealed_files()) {
            if self.local.placing.ways.get(number) == Some(&Way::Kept) {
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
        // A sealed file gets shorter as what is in it is staged.
        let sealed_bytes = self.sealed.map_or(0, SealedStream::file_bytes);
        let missing_bytes = missing_bytes.saturating_sub(sealed_bytes) + self.room_to_open(sealed_bytes);
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

    /// Room that is needed beside a sealed file of so many bytes while it is taken.
    fn room_to_open(&self, sealed_bytes: u64) -> u64 {
        let release = &self.files.release;
        let is_staged = |(number, _): &(usize, &FileEntry)| self.local.placing.ways[*number] == Way::Moved;
        let largest = release.chosen_files().filter(is_staged).map(|(_, file)| file.bytes).max();
        // Systems that keep no modes have no sparse files either: the first chunk takes the room of all.
        let at_once = if self.system.keeps_modes { 0 } else { largest.unwrap_or(0) };
        sealed_bytes.min(batch_bytes(sealed_bytes) + at_once)
    }

    /// Moves what was fetched ahead of its time to staging.
    fn open_sealed(&mut self) -> Result<(), ScanError> {
        let Some(stream) = self.sealed else { return Ok(()) };
        let mut unsealing = Unsealing {
            files: self.files,
            old: self.old.and_then(|old| old.release),
            held: &mut self.local.held,
            staying: &self.local.placing.staying,
        };
        let opened = unsealing.run(stream, self.stop).map_err(|error| match error.kind() {
            io::ErrorKind::Interrupted if self.stop.is_cancelled() => ScanError::Stopped,
            _ => ScanError::Io { path: stream.file.place.clone(), error },
        })?;
        self.local.copied_bytes += opened;
        Ok(())
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
            if is_missing && (self.is_sealed(position) || self.is_elsewhere(position)) {
                self.local.held.insert(position);
                self.local.copied_bytes += u64::from(release.chunk(position).bytes);
            }
        }
    }

    /// Whether the chunk of `position` is sealed here, or the delta that it is made of.
    fn is_sealed(&self, position: u32) -> bool {
        let release = &self.files.release;
        let names = [position, release.fetched_for(position)].map(|name| release.chunk(name).id);
        self.sealed.is_some_and(|sealed| names.into_iter().any(|id| sealed.has(id)))
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
            let is_staged = self.local.held.contains(other) && !self.local.placing.staying.contains(other);
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
