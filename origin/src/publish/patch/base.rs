//! Chooses, for each chunk that the older release lacks, the part of the older release that is most likely like it:
//! in the same file, as far behind the last common chunk as the new one is.

use std::collections::BTreeMap;
use std::ops::Range;

use freshet_protocol::RelPath;
use freshet_protocol::limits::{DELTA_BASE_BYTES_MAX, DELTA_BASE_CHUNKS_MAX};

use super::super::map::{MappedFile, ReleaseMap};

/// How far around the expected place to look, in average chunks on either side.
const AROUND_CHUNKS: u64 = 2;

/// A chunk that the older release lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    /// Its first position in the newer release.
    pub(super) position: u32,
    /// Positions in the older release of what is probably like it.
    pub(super) base: Option<Range<u32>>,
}

/// All chunks that `old` lacks, in the order of their positions.
pub(super) fn targets(old: &ReleaseMap, new: &ReleaseMap) -> Vec<Target> {
    let similar = Similar::new(old);
    let mut targets = Vec::new();
    for file in &new.files {
        let aligned = Aligned::new(old, new, file, similar.file(&file.path));
        for position in file.positions.clone() {
            let id = new.chunk(position).id;
            if old.position(id).is_none() && new.position(id) == Some(position) {
                targets.push(Target { position, base: aligned.base(position) });
            }
        }
    }
    targets
}

/// Files of the older release by path, and by path without digits: names often carry a version.
struct Similar<'a> {
    old: &'a ReleaseMap,
    by_name: BTreeMap<String, &'a MappedFile>,
}

impl<'a> Similar<'a> {
    fn new(old: &'a ReleaseMap) -> Self {
        let by_name = old.files.iter().map(|file| (without_digits(&file.path), file)).collect();
        Self { old, by_name }
    }

    fn file(&self, path: &RelPath) -> Option<&'a MappedFile> {
        self.old.file(path).or_else(|| self.by_name.get(&without_digits(path)).copied())
    }
}

fn without_digits(path: &RelPath) -> String {
    path.as_str().chars().filter(|character| !character.is_ascii_digit()).collect()
}

/// A file of the newer release beside the older one.
struct Aligned<'a> {
    old: &'a ReleaseMap,
    new: &'a ReleaseMap,
    file: &'a MappedFile,
    /// The older file that is probably the same one.
    counterpart: Option<&'a MappedFile>,
    /// For each position of the file, the nearest common chunk before it: its position in both.
    before: Vec<Option<Anchor>>,
    /// The first common chunk of the file.
    first: Option<Anchor>,
}

/// A chunk that both releases have.
#[derive(Debug, Clone, Copy)]
struct Anchor {
    old: u32,
    new: u32,
}

impl<'a> Aligned<'a> {
    fn new(
        old: &'a ReleaseMap,
        new: &'a ReleaseMap,
        file: &'a MappedFile,
        counterpart: Option<&'a MappedFile>,
    ) -> Self {
        let is_there = |position: u32| counterpart.is_none_or(|there| there.positions.contains(&position));
        let anchor = |position: u32| {
            let old = old.position(new.chunk(position).id).filter(|&old| is_there(old))?;
            Some(Anchor { old, new: position })
        };
        let mut last = None;
        let mut first = None;
        let before = file.positions.clone().map(|position| {
            let known = last;
            last = anchor(position).or(last);
            first = first.or(last);
            known
        });
        let before = before.collect();
        Self { old, new, file, counterpart, before, first }
    }

    /// The positions of the older release around the place where the chunk at `position` would have been.
    fn base(&self, position: u32) -> Option<Range<u32>> {
        let chunk = self.new.span(position);
        let anchor = self.before[(position - self.file.positions.start) as usize].or(self.first);
        let (file, expected) = match anchor {
            Some(anchor) => {
                let there = self.old.span(anchor.old).start as i64 - self.new.span(anchor.new).start as i64;
                (self.old.file_of(anchor.old), chunk.start as i64 + there)
            }
            None => {
                // Nothing in common: at the same share of the file's length.
                let there = self.counterpart?;
                let share = chunk.start as f64 / self.file.bytes.max(1) as f64;
                (there, (share * there.bytes as f64) as i64)
            }
        };
        let expected = expected.max(0) as u64;
        let around = AROUND_CHUNKS * u64::from(self.new.root.chunker.bytes_avg);
        let end = (expected + (chunk.end - chunk.start) + around).min(file.bytes);
        self.within(file, expected.saturating_sub(around)..end)
    }

    /// The chunks of an older file that lie in `wanted`, within the bounds of a delta.
    fn within(&self, file: &MappedFile, wanted: Range<u64>) -> Option<Range<u32>> {
        let positions = file.positions.clone();
        let spans = &self.old.offsets[positions.start as usize..positions.end as usize];
        let first = spans.partition_point(|&start| start <= wanted.start).saturating_sub(1) as u32;
        let mut base = positions.start + first..positions.start + first;
        let mut bytes = 0;
        while base.end < positions.end && base.end - base.start < DELTA_BASE_CHUNKS_MAX {
            let span = self.old.span(base.end);
            bytes += span.end - span.start;
            if span.start >= wanted.end || bytes > DELTA_BASE_BYTES_MAX {
                break;
            }
            base.end += 1;
        }
        (!base.is_empty()).then_some(base)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use freshet_protocol::{ChunkId, ChunkRef, Chunker, Encoding, PackId, Place, ROOT_SCHEMA, Root, RootId};

    /// A release whose chunks have 100 bytes and are named by numbers.
    fn map(files: &[(&str, &[u32])]) -> ReleaseMap {
        map_of(100, files)
    }

    /// A release whose chunks have so many bytes each, though on average they should have 100.
    fn map_of(bytes: u32, files: &[(&str, &[u32])]) -> ReleaseMap {
        let root = Root {
            schema: ROOT_SCHEMA,
            content: "game/demo".parse().expect("name"),
            version: "1".parse().expect("name"),
            chunker: Chunker {
                algorithm: "fastcdc-2020".to_owned(),
                bytes_min: 50,
                bytes_avg: 100,
                bytes_max: 400,
            },
            entries: files.len() as u32,
            bytes: 0,
            chunks: 0,
            pages: Vec::new(),
            parts: Vec::new(),
            sealed: None,
            requires: Vec::new(),
        };
        let parts = files.iter().map(|(path, chunks)| {
            let chunk = |n: &u32| ChunkRef { id: ChunkId::of(&n.to_be_bytes()), bytes };
            (path.parse().expect("path"), chunks.iter().map(chunk).collect())
        });
        let place =
            Place { pack: PackId([0; 16]), offset: 0, stored_bytes: 100, encoding: Encoding::Identity };
        ReleaseMap::of_files(RootId::of(b"root"), root, parts, place)
    }

    #[test]
    fn the_part_that_is_probably_alike() {
        let old = map(&[
            ("a", &[1, 2, 3, 4, 5, 6, 7, 8, 9]),
            ("lib-1.2.so", &[20, 21, 22, 23, 24, 25, 26]),
            ("other", &[30, 31]),
        ]);
        let check = |path: &str, chunks: &[u32], expected: &[(u32, Option<Range<u32>>)]| {
            let new = map(&[(path, chunks)]);
            let found: Vec<_> =
                targets(&old, &new).into_iter().map(|target| (target.position, target.base)).collect();
            assert_eq!(found, expected, "{path} {chunks:?}");
        };
        check("a", &[1, 2, 3, 4, 5, 6, 7, 8, 9], &[]);
        check("a", &[1, 2, 3, 4, 50, 6, 7, 8, 9], &[(4, Some(2..7))]);
        // One chunk more: those behind it have moved, and what follows is counted from the last common chunk.
        check("a", &[1, 50, 51, 2, 3, 4, 52], &[(1, Some(0..4)), (2, Some(0..5)), (6, Some(2..7))]);
        // Nothing in common before it, so counted back from the first common chunk.
        check("a", &[50, 3], &[(0, Some(0..4))]);
        // Nothing in common at all: at the same share of the file's length.
        check("a", &[50, 51, 52], &[(0, Some(0..3)), (1, Some(1..6)), (2, Some(4..9))]);
        // The same name but for a number; the same chunk elsewhere is no anchor for this file.
        check("lib-1.3.so", &[20, 50, 22], &[(1, Some(9..13))]);
        check("lib-1.3.so", &[30, 50], &[(1, Some(10..16))]);
        // An unknown name: only what it has in common with any file leads somewhere.
        check("new", &[50, 51], &[(0, None), (1, None)]);
        check("new", &[31, 50], &[(1, Some(16..18))]);
        check("new", &[4, 50], &[(1, Some(2..7))]);
        // Twice the same new chunk is one target.
        check("a", &[1, 50, 50], &[(1, Some(0..4))]);
    }

    #[test]
    fn bases_are_within_the_bounds_of_deltas() {
        let check = |bytes: u32, expected: Range<u32>| {
            let chunks: Vec<u32> = (0..1000).collect();
            let old = map_of(bytes, &[("a", &chunks)]);
            let new = map_of(bytes, &[("a", &[&chunks[..500], &[5000], &chunks[501..]].concat())]);
            assert_eq!(targets(&old, &new), [Target { position: 500, base: Some(expected) }], "{bytes}");
        };
        check(1, 300..300 + DELTA_BASE_CHUNKS_MAX);
        check(DELTA_BASE_BYTES_MAX as u32 / 2, 499..501);
        check(DELTA_BASE_BYTES_MAX as u32 / 2 - 67, 499..501);
    }
}
