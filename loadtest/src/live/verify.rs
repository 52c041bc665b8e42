//! Whether what the nodes installed is what was published.

use std::path::Path;

use anyhow::{Context, Result};

use super::node::{Node, folder};
use crate::tree::TreeDigest;

/// Which installed trees are compared with what was published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Verify {
    /// Every node's.
    All,
    /// That of the node that was done last.
    One,
    /// None.
    None,
}

/// What was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Verified {
    /// Trees that are equal.
    pub(super) equal: u32,
    /// In words, what is not.
    pub(super) faults: Vec<String>,
}

/// Compares the trees of those nodes that said they were done.
///
/// # Errors
/// When the published tree cannot be read.
pub(super) fn compare(verify: Verify, source: &Path, run: &Path, nodes: &[Node]) -> Result<Verified> {
    let done = nodes.iter().filter(|node| node.finish_ms.is_some());
    let chosen: Vec<&Node> = match verify {
        Verify::All => done.collect(),
        Verify::One => {
            done.max_by(|a, b| a.finish_ms.partial_cmp(&b.finish_ms).expect("times")).into_iter().collect()
        }
        Verify::None => return Ok(Verified::default()),
    };
    let published = TreeDigest::of(source).context("read what was published")?;
    let mut verified = Verified::default();
    for node in chosen {
        match TreeDigest::of(&folder(run, node.number).join("into")) {
            Ok(installed) if installed == published => verified.equal += 1,
            Ok(installed) => verified.faults.push(format!(
                "node {} installed something else than was published: {} files and {} bytes instead of {} and {}",
                node.number, installed.files, installed.bytes, published.files, published.bytes
            )),
            Err(error) => {
                verified.faults.push(format!("what node {} installed cannot be read: {error:#}", node.number));
            }
        }
    }
    Ok(verified)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_tree_is_named() {
        let run = tempfile::tempdir().expect("temporary folder");
        let write = |path: &Path, text: &str| {
            std::fs::create_dir_all(path).expect("made");
            std::fs::write(path.join("file"), text).expect("written");
        };
        let source = run.path().join("build");
        write(&source, "right");
        let finishes = [Some(5.0), Some(9.0), None, Some(7.0)];
        let texts = ["right", "wrong", "half", "right"];
        let nodes: Vec<Node> =
            (0..4).map(|number| Node { number, finish_ms: finishes[number], ..Node::default() }).collect();
        for (node, text) in nodes.iter().zip(texts) {
            write(&folder(run.path(), node.number).join("into"), text);
        }
        let check = |verify, equal, faults: &[&str]| {
            let found = compare(verify, &source, run.path(), &nodes).expect("readable");
            assert_eq!((found.equal, found.faults.len()), (equal, faults.len()), "{verify:?}");
            assert!(found.faults.iter().zip(faults).all(|(found, part)| found.contains(part)), "{found:?}");
        };
        check(Verify::All, 2, &["node 1 installed something else"]);
        check(Verify::One, 0, &["node 1"]);
        check(Verify::None, 0, &[]);
    }
}
