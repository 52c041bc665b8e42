//! Walks a folder in the bytewise order of its paths, holding the names of one branch at a time. Refuses what cannot
//! be installed on every player's machine, by name.

use std::collections::BTreeMap;
use std::fs::{self, FileType};
use std::path::{Path, PathBuf};
use std::vec;

use freshet_protocol::limits::ENTRIES_MAX;
use freshet_protocol::{PathError, RelPath, check_link_target};

use super::rules::Rules;

/// Why a folder cannot be published.
#[derive(Debug, thiserror::Error)]
pub enum WalkError {
    /// A file or folder could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// What could not be read.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A path that may not be in a release.
    #[error("{} {error}; rename or remove it", path.display())]
    Path {
        /// Where it is.
        path: PathBuf,
        /// What is wrong with it.
        error: PathError,
    },
    /// A link that may not be in a release.
    #[error("{} points to {target:?}, which {error}; change or remove it", path.display())]
    Link {
        /// Where it is.
        path: PathBuf,
        /// What it points to.
        target: String,
        /// What is wrong with that.
        error: PathError,
    },
    /// A name that is not UTF-8.
    #[error("{} has a name or target that is not UTF-8; rename or remove it", .0.display())]
    NotUtf8(PathBuf),
    /// Neither file, folder nor link.
    #[error("{} is neither a file, a folder nor a symbolic link; remove it", .0.display())]
    Type(PathBuf),
    /// Two names in one folder that Windows and macOS take for the same.
    #[error("{} and {other:?} differ only in letter case, so many players could hold only one; rename one", path.display())]
    SameName {
        /// Where one is.
        path: PathBuf,
        /// The other's name.
        other: String,
    },
    /// More entries than a release may have.
    #[error("{} holds more than {ENTRIES_MAX} files, folders and links; pack small files together", .0.display())]
    TooMany(PathBuf),
}

/// An entry of the folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Found {
    File { path: RelPath, location: PathBuf },
    Folder(RelPath),
    Link { path: RelPath, target: String },
}

/// The walk: an iterator over entries in path order.
pub(crate) struct Walk<'a> {
    root: PathBuf,
    rules: &'a Rules,
    /// For each folder from the root to where the walk is, what is left of it.
    branch: Vec<vec::IntoIter<Node>>,
    found: usize,
    entries_max: usize,
}

/// A name in a folder being walked.
struct Node {
    path: RelPath,
    kind: NodeKind,
}

enum NodeKind {
    File,
    Link,
    EmptyFolder,
    Folder,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(root: &Path, rules: &'a Rules) -> Result<Self, WalkError> {
        Self::bounded(root, rules, ENTRIES_MAX)
    }

    fn bounded(root: &Path, rules: &'a Rules, entries_max: usize) -> Result<Self, WalkError> {
        let nodes = list(root, None, rules, entries_max)?;
        Ok(Self { root: root.to_owned(), rules, branch: vec![nodes.into_iter()], found: 0, entries_max })
    }

    fn step(&mut self) -> Result<Option<Found>, WalkError> {
        while let Some(folder) = self.branch.last_mut() {
            let Some(Node { path, kind }) = folder.next() else {
                self.branch.pop();
                continue;
            };
            let location = self.root.join(path.as_str());
            let found = match kind {
                NodeKind::Folder => {
                    self.branch.push(list(&location, Some(&path), self.rules, self.entries_max)?.into_iter());
                    continue;
                }
                NodeKind::File => Found::File { path, location },
                NodeKind::EmptyFolder => Found::Folder(path),
                NodeKind::Link => Found::Link { target: link_target(&path, &location)?, path },
            };
            self.found += 1;
            return if self.found > self.entries_max {
                Err(WalkError::TooMany(self.root.clone()))
            } else {
                Ok(Some(found))
            };
        }
        Ok(None)
    }
}

impl Iterator for Walk<'_> {
    type Item = Result<Found, WalkError>;

    fn next(&mut self) -> Option<Self::Item> {
        let step = self.step();
        if step.is_err() {
            self.branch.clear();
        }
        step.transpose()
    }
}

/// The checked names of a folder, in the order in which the paths below them come.
fn list(
    location: &Path,
    parent: Option<&RelPath>,
    rules: &Rules,
    entries_max: usize,
) -> Result<Vec<Node>, WalkError> {
    let fail = |source| WalkError::Io { path: location.to_owned(), source };
    let mut nodes = Vec::new();
    for entry in fs::read_dir(location).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        let at = entry.path();
        let name = entry.file_name().into_string().map_err(|_| WalkError::NotUtf8(at.clone()))?;
        let path = parent.map_or_else(|| name.clone(), |parent| format!("{parent}/{name}"));
        let path: RelPath = path.parse().map_err(|error| WalkError::Path { path: at.clone(), error })?;
        if rules.ignores(&path) {
            continue;
        }
        let file_type = entry.file_type().map_err(|source| WalkError::Io { path: at.clone(), source })?;
        nodes.push(Node { path, kind: kind(file_type, at)? });
        if nodes.len() > entries_max {
            return Err(WalkError::TooMany(location.to_owned()));
        }
    }
    refuse_same_names(location, &nodes)?;
    nodes.sort_unstable_by(|a, b| a.order().cmp(b.order()));
    Ok(nodes)
}

impl Node {
    /// The bytes that all paths below it start with: `a-b` comes before `a/c`.
    fn order(&self) -> impl Iterator<Item = u8> {
        let slash = if matches!(self.kind, NodeKind::Folder) { "/" } else { "" };
        self.path.as_str().bytes().chain(slash.bytes())
    }
}

fn kind(file_type: FileType, at: PathBuf) -> Result<NodeKind, WalkError> {
    if file_type.is_symlink() {
        Ok(NodeKind::Link)
    } else if file_type.is_file() {
        Ok(NodeKind::File)
    } else if !file_type.is_dir() {
        Err(WalkError::Type(at))
    } else {
        match fs::read_dir(&at).map(|mut inside| inside.next().is_none()) {
            Ok(true) => Ok(NodeKind::EmptyFolder),
            Ok(false) => Ok(NodeKind::Folder),
            Err(source) => Err(WalkError::Io { path: at, source }),
        }
    }
}

/// Paths can only meet when folded if two names of one folder do.
fn refuse_same_names(location: &Path, nodes: &[Node]) -> Result<(), WalkError> {
    let mut seen = BTreeMap::new();
    for node in nodes {
        let name = node.path.parts().next_back().unwrap_or_default();
        if let Some(other) = seen.insert(node.path.folded(), name) {
            let (first, second) = (name.min(other), name.max(other));
            return Err(WalkError::SameName { path: location.join(first), other: second.to_owned() });
        }
    }
    Ok(())
}

fn link_target(path: &RelPath, location: &Path) -> Result<String, WalkError> {
    let target = fs::read_link(location)
        .map_err(|source| WalkError::Io { path: location.to_owned(), source })?
        .into_os_string()
        .into_string()
        .map_err(|_| WalkError::NotUtf8(location.to_owned()))?;
    match check_link_target(path, &target) {
        Ok(()) => Ok(target),
        Err(error) => Err(WalkError::Link { path: location.to_owned(), target, error }),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;

    fn walk(root: &Path) -> Result<Vec<Found>, WalkError> {
        Walk::new(root, &Rules::default())?.collect()
    }

    fn path_of(found: &Found) -> &RelPath {
        match found {
            Found::File { path, .. } | Found::Folder(path) | Found::Link { path, .. } => path,
        }
    }

    #[test]
    fn paths_come_in_bytewise_order() {
        let folder = tempfile::tempdir().expect("folder");
        let root = folder.path();
        for file in ["a/z", "a/b/c", "a-b", "a.txt", "a0", "B", "한글/파일", "a/b-c"] {
            let path = root.join(file);
            fs::create_dir_all(path.parent().expect("parent")).expect("made");
            fs::write(path, file).expect("written");
        }
        fs::create_dir_all(root.join("e/empty")).expect("made");
        fs::create_dir(root.join("a!")).expect("made");
        fs::create_dir(root.join("d")).expect("made");
        fs::write(root.join("d!"), "").expect("written");
        symlink("../a.txt", root.join("a/link")).expect("made");
        let found = walk(root).expect("walked");
        let paths: Vec<_> = found.iter().map(|f| path_of(f).clone()).collect();
        assert_eq!(paths.len(), 13);
        assert!(paths.is_sorted(), "{paths:?}");
        assert!(found.contains(&Found::Folder("e/empty".parse().expect("path"))));
        assert!(found.contains(&Found::Folder("d".parse().expect("path"))));
    }

    #[test]
    fn refused_names() {
        let check = |make: &dyn Fn(&Path), expected: &str| {
            let folder = tempfile::tempdir().expect("folder");
            fs::create_dir(folder.path().join("in")).expect("made");
            make(&folder.path().join("in"));
            let error = walk(folder.path()).expect_err(expected).to_string();
            assert!(error.contains("/in/") && error.contains(expected), "{error}");
        };
        let write = |name: &'static str| move |at: &Path| fs::write(at.join(name), "x").expect("written");
        check(&write("NUL.txt"), "Windows reserves");
        check(&write("what?"), "Windows does not allow");
        check(&write("ends."), "ends in a dot");
        check(&|at| fs::write(at.join(OsStr::from_bytes(b"\xff")), "x").expect("written"), "not UTF-8");
        check(
            &|at| symlink("/etc/passwd", at.join("l")).expect("made"),
            "points to \"/etc/passwd\", which is absolute",
        );
        check(&|at| symlink("../../x", at.join("l")).expect("made"), "leaves the folder");
        check(&|at| symlink(OsStr::from_bytes(b"\xff"), at.join("l")).expect("made"), "not UTF-8");
        check(
            &|at| drop(std::os::unix::net::UnixListener::bind(at.join("s")).expect("bound")),
            "is neither a file",
        );
        let both = |at: &Path| {
            ["Read.me", "READ.ME"].iter().for_each(|n| fs::write(at.join(n), "x").expect("written"))
        };
        check(&both, "READ.ME and \"Read.me\" differ only in letter case");
        let folders = |at: &Path| {
            fs::create_dir(at.join("data")).expect("made");
            fs::write(at.join("Data"), "x").expect("written");
        };
        check(&folders, "Data and \"data\" differ only in letter case");
    }

    #[test]
    fn as_many_entries_as_allowed() {
        let folder = tempfile::tempdir().expect("folder");
        fs::create_dir(folder.path().join("in")).expect("made");
        for name in ["a", "in/b", "in/c"] {
            fs::write(folder.path().join(name), "x").expect("written");
        }
        let walk = |entries_max| {
            Walk::bounded(folder.path(), &Rules::default(), entries_max)?.collect::<Result<Vec<_>, _>>()
        };
        assert_eq!(walk(3).expect("within the bound").len(), 3);
        assert!(matches!(walk(2), Err(WalkError::TooMany(_))), "all together");
        assert!(matches!(walk(1), Err(WalkError::TooMany(_))), "in one folder");
    }

    #[test]
    fn a_folder_that_is_missing_is_named() {
        let error =
            Walk::new(Path::new("/nonexistent-build"), &Rules::default()).err().expect("missing").to_string();
        assert!(error.contains("cannot read /nonexistent-build"), "{error}");
    }
}
