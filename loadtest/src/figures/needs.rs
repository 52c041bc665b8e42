//! What a figure needs of the machine. One that cannot run says what is missing, and is counted apart.

use std::path::{Path, PathBuf};

use crate::live::{MEMORY_FOLDER, free_bytes};

/// One thing that must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// The laboratory network: root, a TUN device, and the programs that lay it.
    Lab,
    /// A program.
    Program(&'static str),
    /// So many free bytes in memory-backed storage.
    MemoryBytes(u64),
    /// So many free bytes for temporary files.
    DiskBytes(u64),
    /// Root, or so many free bytes for temporary files.
    RootOrDiskBytes(u64),
    /// This program without debugging aids: with them, times are those of the aids.
    Optimised,
}

impl Need {
    /// What is missing, in words; none: it is there.
    pub(super) fn missing(self) -> Option<String> {
        match self {
            Self::Lab => lab_lacks(),
            Self::Program(name) => (!is_there(name)).then(|| format!("the program {name}")),
            Self::MemoryBytes(bytes) => lacks_room(Path::new(MEMORY_FOLDER), bytes),
            Self::DiskBytes(bytes) => lacks_room(&std::env::temp_dir(), bytes),
            Self::RootOrDiskBytes(bytes) => {
                let lacks = if rustix::process::geteuid().is_root() {
                    None
                } else {
                    Self::DiskBytes(bytes).missing()
                };
                lacks.map(|room| format!("root, or {room}"))
            }
            Self::Optimised => {
                cfg!(debug_assertions).then(|| "a release build (cargo build --release)".to_owned())
            }
        }
    }
}

fn lab_lacks() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("root, for network namespaces".to_owned());
    }
    if !Path::new("/dev/net/tun").exists() {
        return Some("the device /dev/net/tun".to_owned());
    }
    let missing = ["ip", "tc", "chrt"].into_iter().find(|name| !is_there(name));
    missing.map(|name| format!("the program {name}"))
}

fn is_there(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|folder: PathBuf| folder.join(program)).any(|path| path.is_file())
}

fn lacks_room(folder: &Path, bytes: u64) -> Option<String> {
    let has_room = free_bytes(folder).is_some_and(|free| free >= bytes);
    (!has_room).then(|| format!("{} MB free in {}", bytes / 1_000_000, folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named() {
        let check = |need: Need, expected: Option<&str>| {
            assert_eq!(need.missing().as_deref().is_some(), expected.is_some(), "{need:?}");
            let words = need.missing().unwrap_or_default();
            assert!(words.contains(expected.unwrap_or_default()), "{need:?}: {words}");
        };
        check(Need::Program("sh"), None);
        check(Need::Program("no-such-program"), Some("no-such-program"));
        check(Need::DiskBytes(1), None);
        check(Need::DiskBytes(u64::MAX), Some("free in"));
        check(Need::MemoryBytes(u64::MAX), Some(MEMORY_FOLDER));
    }
}
