//! A disk that has been told of changes and loses those that it was not asked to keep, in any choice, when the power goes:
//! the contract of POSIX, and nothing that one file system gives beyond it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::trace::Call;

type Id = usize;

/// What a name stands for.
#[derive(Debug, Clone)]
enum Thing {
    Folder,
    Link(PathBuf),
    File(File),
}

#[derive(Debug, Clone)]
struct File {
    /// As it is on the disk for sure.
    kept: Content,
    /// What was done since, in order.
    pending: Vec<Change>,
    modified: Option<SystemTime>,
    /// Whether its bytes were changed, and so its time.
    is_written: bool,
}

#[derive(Debug, Clone, Default)]
struct Content {
    bytes: Vec<u8>,
    mode: u32,
}

#[derive(Debug, Clone)]
enum Change {
    Write { at: u64, bytes: Vec<u8> },
    Resize(u64),
    Mode(u32),
}

/// A change of names: each happens as a whole or not at all.
#[derive(Debug, Clone)]
struct Naming {
    gone: Option<PathBuf>,
    come: Option<(PathBuf, Id)>,
}

impl Naming {
    fn touches(&self, folder: &Path) -> bool {
        let paths = self.gone.iter().chain(self.come.iter().map(|(path, _)| path));
        paths.into_iter().any(|path| path.parent() == Some(folder))
    }
}

/// The disk, with one folder on it.
#[derive(Debug, Clone, Default)]
pub(super) struct Disk {
    things: Vec<Thing>,
    /// Names as programs see them.
    seen: BTreeMap<PathBuf, Id>,
    /// Names that are on the disk for sure.
    kept: BTreeMap<PathBuf, Id>,
    /// What was done to names since, in order.
    pending: Vec<Naming>,
}

/// Decides of each change that was not synced whether it comes to the disk.
pub(super) type Chance<'a> = &'a mut dyn FnMut() -> bool;

impl Disk {
    /// A disk that has all of a real folder.
    pub(super) fn of(folder: &Path) -> Self {
        let mut disk = Self::default();
        disk.take_in(folder);
        disk.kept = disk.seen.clone();
        disk
    }

    fn take_in(&mut self, folder: &Path) {
        let id = self.add(Thing::Folder);
        self.seen.insert(folder.to_owned(), id);
        for entry in fs::read_dir(folder).expect("readable") {
            let path = entry.expect("readable").path();
            let metadata = path.symlink_metadata().expect("there");
            if metadata.is_dir() {
                self.take_in(&path);
                continue;
            }
            let thing = if metadata.is_symlink() {
                Thing::Link(fs::read_link(&path).expect("a link"))
            } else {
                let bytes = fs::read(&path).expect("readable");
                let kept = Content { bytes, mode: metadata.permissions().mode() & 0o7777 };
                let modified = metadata.modified().ok();
                Thing::File(File { kept, pending: Vec::new(), modified, is_written: false })
            };
            let id = self.add(thing);
            self.seen.insert(path, id);
        }
    }

    fn add(&mut self, thing: Thing) -> Id {
        self.things.push(thing);
        self.things.len() - 1
    }

    /// Gives files the times that they have in a real folder, which is as this disk is seen: whatever was lost of one, it
    /// may look from outside as its owner left it.
    pub(super) fn take_times(&mut self) {
        for (path, id) in &self.seen {
            if let Thing::File(file) = &mut self.things[*id] {
                file.modified = path.symlink_metadata().and_then(|found| found.modified()).ok();
            }
        }
    }

    /// The times of a later state of the same disk, for new files and those that were written to. As long as one is not
    /// synced, its old time may come back.
    pub(super) fn take_times_of(&mut self, later: &Self, chance: Chance<'_>) {
        for (thing, later) in self.things.iter_mut().zip(&later.things) {
            if let (Thing::File(file), Thing::File(later)) = (thing, later) {
                let is_new = file.modified.is_none();
                if is_new || file.is_written && (file.pending.is_empty() || chance()) {
                    file.modified = later.modified;
                }
            }
        }
    }

    pub(super) fn apply(&mut self, call: &Call) {
        match call {
            Call::Create { path, truncates } => match self.seen.get(path) {
                Some(&id) if *truncates => self.change(id, Change::Resize(0)),
                Some(_) => {}
                None => {
                    let kept = Content { bytes: Vec::new(), mode: 0o644 };
                    let file =
                        Thing::File(File { kept, pending: Vec::new(), modified: None, is_written: false });
                    self.name(path, file);
                }
            },
            Call::Write { path, at, bytes } => {
                // A file that has lost its name cannot be found again.
                let Some(&id) = self.seen.get(path) else { return };
                let at = at.unwrap_or_else(|| self.content(id, &mut || true).bytes.len() as u64);
                self.change(id, Change::Write { at, bytes: bytes.clone() });
            }
            Call::Resize { path, bytes } => self.change(self.seen[path], Change::Resize(*bytes)),
            Call::SetMode { path, mode } => self.change(self.seen[path], Change::Mode(*mode)),
            Call::MakeFolder { path } => self.name(path, Thing::Folder),
            Call::MakeLink { path, target } => self.name(path, Thing::Link(target.clone())),
            Call::Rename { from, to } => {
                let id = self.seen[from];
                assert!(!matches!(self.things[id], Thing::Folder), "the model renames no folders");
                self.rename(Naming { gone: Some(from.clone()), come: Some((to.clone(), id)) });
            }
            Call::Remove { path } => self.rename(Naming { gone: Some(path.clone()), come: None }),
            Call::Sync { path } => self.sync(path),
            Call::SyncAll => {
                (0..self.things.len()).for_each(|id| self.settle(id));
                self.kept = self.seen.clone();
                self.pending.clear();
            }
        }
    }

    fn name(&mut self, path: &Path, thing: Thing) {
        let id = self.add(thing);
        self.rename(Naming { gone: None, come: Some((path.to_owned(), id)) });
    }

    fn rename(&mut self, naming: Naming) {
        follow(&mut self.seen, &naming);
        self.pending.push(naming);
    }

    fn change(&mut self, id: Id, change: Change) {
        let Thing::File(file) = &mut self.things[id] else { panic!("only files are written") };
        file.is_written |= !matches!(change, Change::Mode(_));
        file.pending.push(change);
    }

    fn sync(&mut self, path: &Path) {
        let Some(&id) = self.seen.get(path) else { return };
        self.settle(id);
        if matches!(self.things[id], Thing::Folder) {
            let pending = std::mem::take(&mut self.pending);
            for naming in pending {
                if naming.touches(path) { follow(&mut self.kept, &naming) } else { self.pending.push(naming) }
            }
        }
    }

    fn settle(&mut self, id: Id) {
        let kept = self.content(id, &mut || true);
        if let Thing::File(file) = &mut self.things[id] {
            (file.kept, file.pending) = (kept, Vec::new());
        }
    }

    /// What a file holds with those changes that have come to the disk.
    fn content(&self, id: Id, chance: Chance<'_>) -> Content {
        let Thing::File(file) = &self.things[id] else { return Content::default() };
        let mut content = file.kept.clone();
        for change in file.pending.iter().filter(|_| chance()) {
            match change {
                Change::Resize(bytes) => content.bytes.resize(*bytes as usize, 0),
                Change::Mode(mode) => content.mode = *mode,
                Change::Write { at, bytes } => {
                    let end = *at as usize + bytes.len();
                    if content.bytes.len() < end {
                        content.bytes.resize(end, 0);
                    }
                    content.bytes[*at as usize..end].copy_from_slice(bytes);
                }
            }
        }
        content
    }

    /// Writes what is there after a power cut: `folder` of the disk, as `into`.
    pub(super) fn cut(&self, folder: &Path, into: &Path, chance: Chance<'_>) {
        let mut names = self.kept.clone();
        self.pending.iter().filter(|_| chance()).for_each(|naming| follow(&mut names, naming));
        // A folder comes before what lies in it; what lies in one that was lost is lost with it.
        for (path, id) in names {
            let target = into.join(path.strip_prefix(folder).expect("all lies in the folder"));
            if target != into && !target.parent().is_some_and(Path::is_dir) {
                continue;
            }
            match &self.things[id] {
                Thing::Folder => fs::create_dir(&target).expect("made"),
                Thing::Link(to) => symlink(to, &target).expect("made"),
                Thing::File(file) => {
                    let content = self.content(id, chance);
                    fs::write(&target, content.bytes).expect("written");
                    fs::set_permissions(&target, PermissionsExt::from_mode(content.mode)).expect("set");
                    if let Some(modified) = file.modified {
                        let opened = fs::File::options().write(true).open(&target);
                        opened.and_then(|opened| opened.set_modified(modified)).expect("set");
                    }
                }
            }
        }
    }
}

fn follow(names: &mut BTreeMap<PathBuf, Id>, naming: &Naming) {
    if let Some(gone) = &naming.gone {
        names.remove(gone);
    }
    if let Some((path, id)) = &naming.come {
        names.insert(path.clone(), *id);
    }
}
