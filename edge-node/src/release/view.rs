//! The plain file view of a release: paths, links and byte ranges, for those who know nothing of chunks.

use std::ops::Range;

use freshet_protocol::{Hash, RelPath, Walk};

use crate::release::Release;

impl Release {
    /// The file that `path` leads to, by its place in `files`; links are followed inside the release.
    pub(crate) fn resolve(&self, path: &RelPath) -> Option<usize> {
        let mut walk = Walk::to(path);
        while let Some((at, is_end)) = walk.step() {
            if let Ok(number) = self.files.binary_search_by(|file| file.path.cmp(&at)) {
                return is_end.then_some(number);
            }
            if let Ok(number) = self.links.binary_search_by(|link| link.path.cmp(&at))
                && !walk.follow(&self.links[number].target)
            {
                return None;
            }
        }
        None
    }

    /// The positions that hold these bytes of a file.
    pub(crate) fn positions_in(&self, file: usize, bytes: &Range<u64>) -> Range<u32> {
        let positions = self.files[file].positions.clone();
        if bytes.is_empty() {
            return positions.start..positions.start;
        }
        let first = partition(&positions, |position| self.place(position).1 <= bytes.start);
        let end = partition(&positions, |position| self.place(position).1 < bytes.end);
        first.saturating_sub(1).max(positions.start)..end
    }

    /// SHA-256 of a file, where one chunk is all of it.
    pub(crate) fn digest_of(&self, file: usize) -> Option<Hash> {
        match self.chunks_of(&self.files[file]) {
            [] => Some(Hash::of(b"")),
            [only] => Some(only.id.0),
            _ => None,
        }
    }
}

/// The first position for which it does not hold; it holds for those before and for none behind.
fn partition(positions: &Range<u32>, holds: impl Fn(u32) -> bool) -> u32 {
    let (mut low, mut high) = (positions.start, positions.end);
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::release::map::tests::{build, file, link_to};

    #[test]
    fn ranges_and_their_positions() {
        let release = build(vec![vec![
            file("a", 0, 10, &[("x", 4), ("y", 5), ("z", 1)]),
            file("b", 0, 0, &[]),
            file("c", 0, 3, &[("w", 3)]),
        ]])
        .expect("release");
        let check = |file, bytes: Range<u64>, expected: Range<u32>| {
            assert_eq!(release.positions_in(file, &bytes), expected, "{file} {bytes:?}");
        };
        check(0, 0..10, 0..3);
        check(0, 0..4, 0..1);
        check(0, 3..5, 0..2);
        check(0, 4..9, 1..2);
        check(0, 9..10, 2..3);
        check(0, 9..9, 0..0);
        check(1, 0..0, 3..3);
        check(2, 0..3, 3..4);
        assert_eq!(release.digest_of(0), None);
        assert_eq!(release.digest_of(1), Some(Hash::of(b"")));
        assert_eq!(release.digest_of(2), Some(Hash::of(b"w")));
    }

    #[test]
    fn links_lead_to_files() {
        let release = build(vec![vec![
            file("a/b", 0, 1, &[("x", 1)]),
            link_to("c", "a/b"),
            link_to("d", "a"),
            link_to("e", "../x"),
            link_to("f", "f"),
        ]])
        .expect("release");
        let check = |path: &str, expected| {
            assert_eq!(release.resolve(&path.parse().expect("path")), expected, "{path}");
        };
        check("a/b", Some(0));
        check("c", Some(0));
        check("d/b", Some(0));
        for path in ["a", "a/b/c", "d", "e", "f", "g"] {
            check(path, None);
        }
    }
}
