//! Puts a complete release into its folder. Every step can be done twice, so a killed install is simply done again.
//!
//! Order: staged files are synced; the intent is written; files that only get another
//! letter case are taken back to staging, and what only the old release had is removed; folders are made and
//! synced; staged files and links move to their places, and staged changes are written into theirs; folders are synced; the
//! record of what is installed is written; the intent and the staging go.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use freshet_protocol::RelPath;

use crate::platform;
use crate::release::Release;
use crate::store::access::ChunkFiles;
use crate::store::file_system::FileSystem;
use crate::store::installed::{Fingerprint, Installed};
use crate::store::placing::{Intent, Placing, Way, may_change};
use crate::store::{Layout, Preloaded, write_atomic};

/// Most folders that are synced one by one.
const FOLDERS_SYNCED_SINGLY_MAX: usize = 16;
/// Most backups of one name.
const BACKUPS_MAX: u32 = 1000;
const BACKUP_SUFFIX: &str = ".freshet-backup";

/// Why an install stopped. Done again, it goes on where it was.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {error}")]
pub(crate) struct InstallError {
    pub(crate) path: PathBuf,
    pub(crate) error: io::Error,
}

/// Installs the release of `files`, each of which is in its place or staged, as `placing` says. Returns the paths to which
/// foreign files that were in the way have been moved.
///
/// # Errors
/// [`InstallError`] names the path.
pub(crate) fn install(
    files: &ChunkFiles,
    placing: &Placing,
    old: Option<&Installed>,
) -> Result<Vec<PathBuf>, InstallError> {
    let (layout, release) = (&files.layout, &*files.release);
    let (placing, moved_aside, synced) = (placing.clone(), Vec::new(), BTreeSet::new());
    let system = FileSystem::look(layout);
    let mut install = Install { files, layout, release, placing, old, system, moved_aside, changed: synced };
    install.settle_ways()?;
    install.complete_staging()?;
    let intent = Intent { root: release.id, parts: release.choice().clone(), changed: install.changing() };
    let intent = serde_json::to_vec(&intent).expect("an intent is valid JSON");
    at(&layout.intent(), |path| write_atomic(path, &intent))?;
    install.take_renamed()?;
    install.remove_old()?;
    // What moves into a folder that a power cut takes back is lost with it.
    install.make_folders()?;
    install.sync_folders()?;
    install.place_files()?;
    install.place_links()?;
    install.sync_folders()?;
    let installed = install.record()?;
    at(&layout.installed(), |_| installed.save(layout))?;
    let moved_aside = install.moved_aside;
    at(&layout.intent(), |path| std::fs::remove_file(path))?;
    remove_leftovers(layout, release);
    Ok(moved_aside)
}

struct Install<'a> {
    files: &'a ChunkFiles,
    layout: &'a Layout,
    release: &'a Release,
    placing: Placing,
    old: Option<&'a Installed>,
    system: FileSystem,
    moved_aside: Vec<PathBuf>,
    /// Folders whose entries changed.
    changed: BTreeSet<PathBuf>,
}

impl Install<'_> {
    fn numbers(&self, way: Way) -> Vec<usize> {
        let chosen = self.release.chosen_files().map(|(number, _)| number);
        chosen.filter(|&number| self.placing.ways[number] == way).collect()
    }

    /// What may no longer be changed where it is, since somebody uses or has touched it, is staged whole instead.
    fn settle_ways(&mut self) -> Result<(), InstallError> {
        let changing = self.numbers(Way::Changed);
        if changing.is_empty() {
            return Ok(());
        }
        let in_use = platform::files_in_use();
        for number in changing {
            let entry = &self.release.files[number];
            let target = self.files.installed(number);
            let found = at(&target, |target| std::fs::symlink_metadata(target))?;
            let is_safe = may_change(entry, &found, self.system)
                && self.is_ours(&entry.path, &target)
                && !in_use.has(&target);
            if !is_safe {
                at(&target, |target| self.stage_rest(number, target))?;
                self.placing.ways[number] = Way::Moved;
            }
        }
        Ok(())
    }

    /// Copies to staging what was to stay in the file at `target`.
    fn stage_rest(&self, number: usize, target: &Path) -> io::Result<()> {
        let installed = File::open(target)?;
        let staged = self.files.open_staged(number)?;
        let positions = self.release.files[number].positions.clone();
        for position in positions.filter(|&position| self.placing.staying.contains(position)) {
            let chunk = self.files.read_from(&installed, position).map_err(|_| touched())?;
            self.files.write(&staged, position, &chunk)?;
        }
        Ok(())
    }

    /// Makes the empty files, which have no chunk that would make them, and syncs all others.
    fn complete_staging(&mut self) -> Result<(), InstallError> {
        let mut staged = self.numbers(Way::Moved);
        for &number in staged.iter().filter(|&&number| self.release.files[number].bytes == 0) {
            at(&self.files.staged(number), |path| {
                std::fs::create_dir_all(parent(path))?;
                File::create(path).map(drop)
            })?;
        }
        // A file that only gets shorter has no changes.
        let changed = self.numbers(Way::Changed).into_iter();
        staged.extend(changed.filter(|&number| self.files.staged(number).exists()));
        at(&self.layout.staging(self.release.id), |_| self.files.sync_staged(&staged))
    }

    /// Files that are written into, those of an install included that was cut off before.
    fn changing(&self) -> BTreeSet<RelPath> {
        let before = self.old.iter().flat_map(|old| &old.changing).cloned();
        let changing = self.numbers(Way::Changed).into_iter();
        before.chain(changing.map(|number| self.release.files[number].path.clone())).collect()
    }

    /// Takes files that stay but get a name in other letter case out of the way: where the file system cannot tell the two
    /// names apart, removing the old one would remove the file.
    fn take_renamed(&mut self) -> Result<(), InstallError> {
        let Some(old) = self.old.filter(|_| !self.system.tells_cases) else { return Ok(()) };
        let known: BTreeMap<String, &RelPath> = old.files.keys().map(|path| (path.folded(), path)).collect();
        for number in self.numbers(Way::Kept) {
            let path = &self.release.files[number].path;
            if known.get(&path.folded()).is_some_and(|known| *known != path) {
                let (target, staged) = (self.files.installed(number), self.files.staged(number));
                at(&staged, |staged| std::fs::create_dir_all(parent(staged)))?;
                at(&target, |target| std::fs::rename(target, &staged))?;
                self.placing.ways[number] = Way::Moved;
            }
        }
        Ok(())
    }

    /// Removes files and links that only the old release had and that nobody touched, and folders left empty by it.
    fn remove_old(&mut self) -> Result<(), InstallError> {
        let Some(old) = self.old else { return Ok(()) };
        let files: BTreeSet<&RelPath> = self.release.chosen_files().map(|(_, file)| &file.path).collect();
        let links: BTreeSet<&RelPath> = self.release.chosen_links().map(|link| &link.path).collect();
        let mut folders: BTreeSet<String> = old.folders.iter().map(|path| path.to_string()).collect();
        let gone_files = old.files.keys().filter(|path| !files.contains(path));
        let gone_links = old.links.keys().filter(|path| !links.contains(path));
        for path in gone_files.chain(gone_links) {
            folders.extend(path.parents().map(str::to_owned));
            let target = self.layout.installed_at(path);
            if self.is_ours(path, &target) {
                at(&target, |target| if_there(std::fs::remove_file(target)))?;
                self.changed.insert(parent(&target));
            }
        }
        // One that only gets a name in other letter case stays as it is.
        let needed: BTreeSet<String> = match self.system.tells_cases {
            true => BTreeSet::new(),
            false => self.folders().iter().map(RelPath::folded).collect(),
        };
        for folder in folders.iter().rev() {
            let path: RelPath = folder.parse().expect("a parent of a checked path is a checked path");
            if needed.contains(&path.folded()) {
                continue;
            }
            let folder = self.layout.installed_at(&path);
            // Only an empty folder can be removed this way; one that holds anything of the user's stays.
            if std::fs::remove_dir(&folder).is_ok() {
                self.changed.remove(&folder);
                self.changed.insert(parent(&folder));
            }
        }
        Ok(())
    }

    fn place_files(&mut self) -> Result<(), InstallError> {
        for (number, file) in self.release.chosen_files() {
            let target = self.layout.installed_at(&file.path);
            match self.placing.ways[number] {
                // Whole as it is, it may not yet be on the disk.
                Way::Kept if self.is_changing(&file.path) => {
                    at(&target, |target| File::open(target)?.sync_all())?
                }
                Way::Kept => {}
                Way::Changed => at(&target, |target| self.write_changes(number, target))?,
                Way::Moved => {
                    self.clear_the_way(&file.path, &target)?;
                    let staged = self.layout.staged_file(self.release.id, number);
                    at(&target, |target| std::fs::rename(&staged, target))?;
                    self.changed.insert(parent(&target));
                }
            }
            if self.system.keeps_modes {
                at(&target, |target| platform::set_executable(target, file.executable))?;
            }
        }
        Ok(())
    }

    /// Whether an install that was cut off writes into the file.
    fn is_changing(&self, path: &RelPath) -> bool {
        self.old.is_some_and(|old| old.changing.contains(path))
    }

    /// Writes what is staged of a file into the one at `target`.
    fn write_changes(&self, number: usize, target: &Path) -> io::Result<()> {
        let entry = &self.release.files[number];
        if !self.is_ours(&entry.path, target) {
            return Err(touched());
        }
        let file = File::options().read(true).write(true).open(target)?;
        let staged = File::open(self.files.staged(number));
        for position in entry.positions.clone().filter(|&position| !self.placing.staying.contains(position)) {
            let staged = staged.as_ref().map_err(|error| io::Error::from(error.kind()))?;
            self.files.write(&file, position, &self.files.read_from(staged, position)?)?;
        }
        file.set_len(entry.bytes)?;
        file.sync_all()
    }

    fn place_links(&mut self) -> Result<(), InstallError> {
        for link in self.release.chosen_links() {
            let target = self.layout.installed_at(&link.path);
            if std::fs::read_link(&target).is_ok_and(|found| found == Path::new(&link.target)) {
                continue;
            }
            self.clear_the_way(&link.path, &target)?;
            if std::fs::symlink_metadata(&target).is_ok() {
                at(&target, |target| std::fs::remove_file(target))?;
            }
            at(&target, |target| platform::make_link(&link.target, target))?;
            self.changed.insert(parent(&target));
        }
        Ok(())
    }

    fn sync_folders(&mut self) -> Result<(), InstallError> {
        let changed = std::mem::take(&mut self.changed);
        let all_at_once = changed.len() > FOLDERS_SYNCED_SINGLY_MAX;
        if all_at_once && at(self.layout.folder(), platform::sync_file_system)? {
            return Ok(());
        }
        changed.iter().try_for_each(|folder| at(folder, platform::sync_folder))
    }

    /// All folders of the release, and those on the way to what it holds; what lies in others comes after them.
    fn folders(&self) -> Vec<RelPath> {
        let release = self.release;
        let folders = || release.chosen_folders().map(|folder| &folder.path);
        let files = release.chosen_files().map(|(_, file)| &file.path);
        let entries = files.chain(release.chosen_links().map(|link| &link.path)).chain(folders());
        let above = entries.flat_map(RelPath::parents);
        let all: BTreeSet<&str> = above.chain(folders().map(RelPath::as_str)).collect();
        let path = |folder: &&str| folder.parse().expect("a parent of a checked path is a checked path");
        all.iter().map(path).collect()
    }

    fn make_folders(&mut self) -> Result<(), InstallError> {
        self.folders().iter().try_for_each(|folder| self.make_folder(folder))
    }

    /// Makes one folder; what is there and is none, even a link to one, goes out of the way.
    fn make_folder(&mut self, path: &RelPath) -> Result<(), InstallError> {
        let folder = self.layout.installed_at(path);
        let is_folder = std::fs::symlink_metadata(&folder).is_ok_and(|found| found.is_dir());
        if !is_folder {
            self.clear_the_way(path, &folder)?;
            if std::fs::symlink_metadata(&folder).is_ok() {
                at(&folder, |folder| std::fs::remove_file(folder))?;
            }
            at(&folder, |folder| std::fs::create_dir(folder))?;
            self.changed.insert(parent(&folder));
        }
        Ok(())
    }

    /// Moves aside what lies at `target` and was not put there by an install.
    fn clear_the_way(&mut self, path: &RelPath, target: &Path) -> Result<(), InstallError> {
        if std::fs::symlink_metadata(target).is_err() || self.is_ours(path, target) {
            return Ok(());
        }
        let backup = free_backup_name(target)?;
        if at(target, |target| if_there(std::fs::rename(target, &backup)))?.is_some() {
            self.moved_aside.push(backup);
        }
        Ok(())
    }

    fn is_ours(&self, path: &RelPath, target: &Path) -> bool {
        self.old.is_some_and(|old| old.owns(path, target))
    }

    /// How everything looks now. Fails where a file is missing, so that a half-done install is never called done.
    fn record(&self) -> Result<Installed, InstallError> {
        let mut files = BTreeMap::new();
        for (_, file) in self.release.chosen_files() {
            let target = self.layout.installed_at(&file.path);
            let found = at(&target, |target| std::fs::symlink_metadata(target))?;
            if !found.is_file() || found.len() != file.bytes {
                return Err(InstallError { path: target, error: touched() });
            }
            files.insert(file.path.clone(), Fingerprint::of(&found));
        }
        let links = self.release.chosen_links().map(|link| (link.path.clone(), link.target.clone()));
        let folders = self.release.chosen_folders().map(|folder| folder.path.clone());
        Ok(Installed {
            root: self.release.id,
            version: self.release.root.version.clone(),
            files,
            links: links.collect(),
            folders: folders.collect(),
            parts: self.release.choice().clone(),
            changing: BTreeSet::new(),
        })
    }
}

fn touched() -> io::Error {
    io::Error::other("the file was changed while it was installed; run again")
}

/// That there is nothing is no failure: a file system may remember a name for a moment after its file has got another one.
fn if_there<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        result => result.map(Some),
    }
}

fn at<T>(path: &Path, act: impl FnOnce(&Path) -> io::Result<T>) -> Result<T, InstallError> {
    act(path).map_err(|error| InstallError { path: path.to_owned(), error })
}

fn parent(path: &Path) -> PathBuf {
    path.parent().expect("installed paths lie in a folder").to_owned()
}

fn free_backup_name(target: &Path) -> Result<PathBuf, InstallError> {
    let name = |number: u32| {
        let mut name = target.as_os_str().to_owned();
        name.push(BACKUP_SUFFIX);
        if number > 1 {
            name.push(format!("-{number}"));
        }
        PathBuf::from(name)
    };
    let is_free = |path: &PathBuf| std::fs::symlink_metadata(path).is_err();
    (1..=BACKUPS_MAX).map(name).find(is_free).ok_or_else(|| InstallError {
        path: target.to_owned(),
        error: io::Error::other(format!("there are {BACKUPS_MAX} backups of it already; remove some")),
    })
}

/// Staging, progress and cached manifests of other releases are of no use any more; what cannot be removed only takes
/// space.
fn remove_leftovers(layout: &Layout, release: &Release) {
    let _ = std::fs::remove_dir_all(layout.own("staging"));
    // What waits for its time needs its own.
    let waiting = Preloaded::load(layout).ok().flatten();
    let waiting = waiting.as_ref();
    let keep_roots =
        [Some(release.id), waiting.map(|waiting| waiting.root)].map(|id| id.map(|id| id.to_string()));
    let keep_progress = waiting.map(|waiting| waiting.staging.to_string());
    let waiting_pages = waiting.iter().flat_map(|waiting| &waiting.pages);
    let keep_pages: BTreeSet<String> = release
        .pages()
        .map(|page| page.id)
        .chain(waiting_pages.copied())
        .map(|page| page.to_string())
        .collect();
    let keep_patch = release.staging_id().to_string();
    remove_others(&layout.own("progress"), |name| keep_progress.as_deref() == Some(name));
    remove_others(&layout.own("roots"), |name| keep_roots.iter().flatten().any(|keep| keep == name));
    remove_others(&layout.own("pages"), |name| keep_pages.contains(name));
    for folder in ["patches", "deltas"] {
        remove_others(&layout.own(folder), |name| name == keep_patch);
    }
}

fn remove_others(folder: &Path, keep: impl Fn(&str) -> bool) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if !entry.file_name().to_str().is_some_and(&keep) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}
