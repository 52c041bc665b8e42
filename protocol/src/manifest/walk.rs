//! The way to a file of a release where symbolic links are on it, folder by folder, as a file system would go. It never
//! leaves the release.

use std::collections::VecDeque;

use crate::path::RelPath;

/// Most links followed on one way; more is a circle.
const HOPS_MAX: usize = 16;

/// A walk to a path.
#[derive(Debug)]
pub struct Walk {
    to_come: VecDeque<String>,
    here: Vec<String>,
    hops: usize,
}

impl Walk {
    /// Sets out to `path`.
    pub fn to(path: &RelPath) -> Self {
        let to_come = path.parts().map(str::to_owned).collect();
        Self { to_come, here: Vec::new(), hops: 0 }
    }

    /// What to look at next, and whether it is the end of the way; none where there is nothing more to look at.
    pub fn step(&mut self) -> Option<(RelPath, bool)> {
        while let Some(part) = self.to_come.pop_front() {
            match part.as_str() {
                "" | "." => {}
                ".." => {
                    self.here.pop()?;
                }
                _ => {
                    self.here.push(part);
                    let at = self.here.join("/").parse().ok()?;
                    return Some((at, self.to_come.is_empty()));
                }
            }
        }
        None
    }

    /// What was looked at is a link to `target`: the walk goes on there. Whether it may.
    pub fn follow(&mut self, target: &str) -> bool {
        if self.hops == HOPS_MAX {
            return false;
        }
        self.hops += 1;
        self.here.pop();
        target.split('/').rev().for_each(|part| self.to_come.push_front(part.to_owned()));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// Where a walk ends among these links, if anywhere.
    fn end(path: &str, links: &[(&str, &str)]) -> Option<String> {
        let links: BTreeMap<&str, &str> = links.iter().copied().collect();
        let mut walk = Walk::to(&path.parse().expect("path"));
        while let Some((at, is_end)) = walk.step() {
            match links.get(at.as_str()) {
                Some(target) if !walk.follow(target) => return None,
                Some(_) => {}
                None if is_end => return Some(at.to_string()),
                None => {}
            }
        }
        None
    }

    #[test]
    fn ways() {
        let check = |path, links: &[(&str, &str)], expected: Option<&str>| {
            assert_eq!(end(path, links).as_deref(), expected, "{path} {links:?}");
        };
        check("a/b", &[], Some("a/b"));
        check("a/b", &[("a/b", "c")], Some("a/c"));
        check("a/b", &[("a", "x/./y")], Some("x/y/b"));
        check("a/b", &[("a/b", "../c")], Some("c"));
        check("a/b", &[("a/b", "../../c")], None);
        check("a/b", &[("a", "c"), ("c", "d")], Some("d/b"));
        check("a", &[("a", "a")], None);
        check("a", &[("a", "b"), ("b", "a")], None);
        check("a", &[("a", "..")], None);
    }

    #[test]
    fn as_many_links_as_allowed() {
        let name = |number| format!("l{number}");
        let links: Vec<_> = (0..=HOPS_MAX).map(|number| (name(number), name(number + 1))).collect();
        let links: Vec<_> = links.iter().map(|(from, to)| (from.as_str(), to.as_str())).collect();
        assert_eq!(end("l1", &links), Some(name(HOPS_MAX + 1)));
        assert_eq!(end("l0", &links), None);
    }
}
