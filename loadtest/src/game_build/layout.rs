//! What lies where in a generated build, and how large it is.

use super::matter::Matter;
use super::{BuildKind, BuildSpec};

/// Largest file of an incompressible build, in bytes.
const BLOB_BYTES_MAX: u64 = 16 << 20;
/// A script for so many bytes of the build.
const BYTES_PER_SCRIPT: u64 = 60_000;
/// Scripts are this long on average, in bytes.
const SCRIPT_BYTES: u64 = 3_000;
/// Fewest and most scripts.
const SCRIPTS: std::ops::RangeInclusive<u64> = 8..=5_000;
/// Largest loose texture, in bytes.
const TEXTURE_BYTES_MAX: u64 = 2 << 20;
/// Folders that scripts lie in: names as players of several countries have them.
const REGIONS: [&str; 8] =
    ["castle", "강가 마을", "forêt", "Вьюга", "雪原", "deep/caves/lower", "ui/widgets", "quests/main"];

/// One thing to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    /// Path below the build's folder.
    pub(super) path: String,
    /// What to make there.
    pub(super) kind: Kind,
}

/// Kinds of things.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// An empty folder.
    Folder,
    /// A symbolic link.
    Link { target: &'static str },
    /// A file of one matter.
    File { matter: Matter, bytes: u64, is_program: bool },
    /// An uncompressed archive whose members have so many bytes together.
    Archive { bytes: u64 },
}

/// All items of a build.
pub(super) fn items(spec: BuildSpec) -> Vec<Item> {
    match spec.kind {
        BuildKind::Game => game(spec.bytes),
        BuildKind::Incompressible => blobs(spec.bytes),
    }
}

fn file(path: impl Into<String>, matter: Matter, bytes: u64) -> Item {
    Item { path: path.into(), kind: Kind::File { matter, bytes, is_program: false } }
}

fn program(path: &str, matter: Matter, bytes: u64) -> Item {
    Item { path: path.to_owned(), kind: Kind::File { matter, bytes, is_program: true } }
}

fn blobs(bytes: u64) -> Vec<Item> {
    let count = bytes.div_ceil(BLOB_BYTES_MAX);
    let size = |number: u64| BLOB_BYTES_MAX.min(bytes - number * BLOB_BYTES_MAX);
    (0..count).map(|number| file(format!("data/{number:04}.bin"), Matter::Noise, size(number))).collect()
}

fn game(bytes: u64) -> Vec<Item> {
    let percent = |share: u64| bytes * share / 100;
    let mut items = vec![
        program("bin/meadow", Matter::Code, percent(5)),
        program("bin/libengine.so.3", Matter::Code, percent(3)),
        Item { path: "bin/libengine.so".to_owned(), kind: Kind::Link { target: "libengine.so.3" } },
        program("start.sh", Matter::Text, 400),
        Item { path: "saves".to_owned(), kind: Kind::Folder },
        Item { path: "mods/설치한 모드".to_owned(), kind: Kind::Folder },
        file("data/empty.lock", Matter::Text, 0),
        file("locale/한국어/대사.tsv", Matter::Text, percent(1)),
        file("locale/日本語/台詞.tsv", Matter::Text, percent(1)),
    ];
    let archives = ["base", "levels", "sound", "characters"];
    items.extend(
        archives.iter().map(|name| Item {
            path: format!("data/{name}.pak"),
            kind: Kind::Archive { bytes: percent(14) },
        }),
    );
    items.extend(textures(percent(18)));
    items.extend(scripts((bytes / BYTES_PER_SCRIPT).clamp(*SCRIPTS.start(), *SCRIPTS.end())));
    let rest = bytes.saturating_sub(items.iter().map(|item| item.kind.bytes()).sum());
    items.push(file("movies/opening.webm", Matter::Noise, rest));
    items
}

fn textures(bytes: u64) -> impl Iterator<Item = Item> {
    let count = bytes.div_ceil(TEXTURE_BYTES_MAX).max(4);
    (0..count).map(move |number| file(format!("textures/{number:03}.dds"), Matter::Image, bytes / count))
}

/// Sizes from a few bytes to twice the average, spread evenly.
fn scripts(count: u64) -> impl Iterator<Item = Item> {
    (0..count).map(move |number| {
        let region = REGIONS[number as usize % REGIONS.len()];
        let bytes = 16 + 2 * SCRIPT_BYTES * number / count;
        file(format!("scripts/{region}/{number:04}.lua"), Matter::Text, bytes)
    })
}

impl Kind {
    fn bytes(&self) -> u64 {
        match self {
            Self::Folder | Self::Link { .. } => 0,
            Self::File { bytes, .. } | Self::Archive { bytes } => *bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_can_be_published() {
        let mut seen = std::collections::BTreeSet::new();
        for item in items(BuildSpec { kind: BuildKind::Game, bytes: 150_000_000, seed: 1 }) {
            let path: freshet_protocol::RelPath = item.path.parse().expect("a good path");
            assert!(seen.insert(path.folded()), "{path} twice");
            if let Kind::Link { target } = item.kind {
                freshet_protocol::check_link_target(&path, target).expect("a good target");
            }
        }
        assert!(seen.len() > 2_000, "{}", seen.len());
    }
}
