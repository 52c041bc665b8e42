//! Which parts of a release are installed: what the owner says, what was decided before, and what follows for files and
//! chunks.

use std::collections::BTreeMap;
use std::ops::Range;
use std::str::FromStr;

use freshet_protocol::{Name, Root};

use crate::release::map::{FileEntry, FolderEntry, LinkEntry, Release};

/// For each part that was ever decided about, whether it is installed. Others follow the publisher's default.
pub(crate) type PartChoice = BTreeMap<Name, bool>;

/// Which parts to install, as the owner of an installation says it: `all`, `default`, `none`, their names separated by
/// commas, or changes to what is installed, like `+ja,-ko`. What belongs to no part is always installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parts {
    /// All of them.
    All,
    /// Those that the publisher means for everybody.
    Default,
    /// These, and no others.
    Only(Vec<Name>),
    /// What is installed, but for these, each with whether it is to be there.
    Change(Vec<(Name, bool)>),
}

/// Why a choice of parts was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PartsError {
    /// The text is no choice.
    #[error("{0:?} does not say which parts: all, default, none, names like ja,ko, or changes like +ja,-ko")]
    Malformed(String),
    /// The release has no such part.
    #[error("version {version} has no part {name}; it has {known}")]
    Unknown {
        /// The version.
        version: Name,
        /// The part.
        name: Name,
        /// The parts that it has.
        known: String,
    },
}

impl FromStr for Parts {
    type Err = PartsError;

    fn from_str(text: &str) -> Result<Self, PartsError> {
        let malformed = || PartsError::Malformed(text.chars().take(80).collect());
        let change = |item: &str| {
            let is_wanted = item.starts_with('+');
            let name = item.strip_prefix(['+', '-']).and_then(|name| name.parse().ok());
            Ok((name.ok_or_else(malformed)?, is_wanted))
        };
        match text {
            "all" => Ok(Self::All),
            "default" => Ok(Self::Default),
            "none" => Ok(Self::Only(Vec::new())),
            _ if text.starts_with(['+', '-']) => {
                text.split(',').map(change).collect::<Result<_, _>>().map(Self::Change)
            }
            _ => {
                let name = |item: &str| item.parse().map_err(|_| malformed());
                text.split(',').map(name).collect::<Result<_, _>>().map(Self::Only)
            }
        }
    }
}

/// What `parts` means for a release of `root`, where `known` was decided before. What nobody decided stays undecided.
///
/// # Errors
/// [`PartsError::Unknown`].
pub(crate) fn decide(
    parts: Option<&Parts>,
    known: &PartChoice,
    root: &Root,
) -> Result<PartChoice, PartsError> {
    let mut choice = known.clone();
    let named: Vec<&Name> = match parts {
        Some(Parts::Only(names)) => names.iter().collect(),
        Some(Parts::Change(changes)) => changes.iter().map(|(name, _)| name).collect(),
        Some(Parts::All | Parts::Default) | None => Vec::new(),
    };
    if let Some(&name) = named.iter().find(|&&name| root.parts.iter().all(|part| part.name != *name)) {
        let known: Vec<&str> = root.parts.iter().map(|part| part.name.as_str()).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        return Err(PartsError::Unknown { version: root.version.clone(), name: name.clone(), known });
    }
    for part in &root.parts {
        let decided = match parts {
            None => None,
            Some(Parts::All) => Some(true),
            Some(Parts::Default) => Some(part.default),
            Some(Parts::Only(names)) => Some(names.contains(&part.name)),
            Some(Parts::Change(changes)) => {
                changes.iter().rev().find(|(name, _)| *name == part.name).map(|&(_, is_wanted)| is_wanted)
            }
        };
        if let Some(is_wanted) = decided {
            choice.insert(part.name.clone(), is_wanted);
        }
    }
    Ok(choice)
}

/// Which parts of a release are to be installed.
#[derive(Debug, Clone, Default)]
pub(super) struct Chosen {
    choice: PartChoice,
    /// By number, whether a part is not to be installed; those beyond the end are.
    absent: Vec<bool>,
    /// Positions of files that are not to be installed, ascending.
    left_out: Vec<Range<u32>>,
}

/// What of a release is to be installed; all of it, as long as nothing was chosen.
impl Release {
    /// The same release, of which these parts are to be installed.
    pub(crate) fn choose(mut self, choice: PartChoice) -> Self {
        let is_absent =
            |part: &freshet_protocol::Part| !choice.get(&part.name).copied().unwrap_or(part.default);
        let absent: Vec<bool> = self.root.parts.iter().map(is_absent).collect();
        self.chosen = Chosen { choice, absent, left_out: Vec::new() };
        let left_out =
            self.files.iter().filter(|file| !self.has_part(file.part)).map(|file| file.positions.clone());
        self.chosen.left_out = left_out.filter(|positions| !positions.is_empty()).collect();
        self
    }

    /// What was decided about parts.
    pub(crate) fn choice(&self) -> &PartChoice {
        &self.chosen.choice
    }

    /// Whether what is of this part, or of none, is to be installed.
    fn has_part(&self, part: Option<u8>) -> bool {
        let is_absent = |part: u8| self.chosen.absent.get(usize::from(part)) == Some(&true);
        !part.is_some_and(is_absent)
    }

    /// Names of the parts that are to be installed.
    pub(crate) fn chosen_parts(&self) -> impl Iterator<Item = &Name> {
        let parts = (0_u8..).zip(&self.root.parts);
        parts.filter(|&(number, _)| self.has_part(Some(number))).map(|(_, part)| &part.name)
    }

    /// Files that are to be installed, with their numbers.
    pub(crate) fn chosen_files(&self) -> impl Iterator<Item = (usize, &FileEntry)> {
        self.files.iter().enumerate().filter(|(_, file)| self.has_part(file.part))
    }

    /// Empty folders that are to be made.
    pub(crate) fn chosen_folders(&self) -> impl Iterator<Item = &FolderEntry> {
        self.folders.iter().filter(|folder| self.has_part(folder.part))
    }

    /// Symbolic links that are to be made.
    pub(crate) fn chosen_links(&self) -> impl Iterator<Item = &LinkEntry> {
        self.links.iter().filter(|link| self.has_part(link.part))
    }

    /// Whether the chunk at this position is to be installed there; those of a patch are for others.
    pub(crate) fn is_chosen(&self, position: u32) -> bool {
        let left_out = &self.chosen.left_out;
        let next = left_out.partition_point(|range| range.end <= position);
        left_out.get(next).is_none_or(|range| position < range.start)
    }

    /// Sum of the files that are to be installed, in bytes.
    pub(crate) fn chosen_bytes(&self) -> u64 {
        self.chosen_files().map(|(_, file)| file.bytes).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::release::map::tests::{build, file, in_part};
    use freshet_protocol::ChunkId;

    fn name(text: &str) -> Name {
        text.parse().expect("name")
    }

    #[test]
    fn what_may_be_said() {
        let check = |text: &str, expected: Option<Parts>| assert_eq!(text.parse().ok(), expected, "{text}");
        check("all", Some(Parts::All));
        check("default", Some(Parts::Default));
        check("none", Some(Parts::Only(vec![])));
        check("ja", Some(Parts::Only(vec![name("ja")])));
        check("ja,voice-ko", Some(Parts::Only(vec![name("ja"), name("voice-ko")])));
        check("+ja,-ko", Some(Parts::Change(vec![(name("ja"), true), (name("ko"), false)])));
        check("-ko", Some(Parts::Change(vec![(name("ko"), false)])));
        for refused in ["", ",", "ja,", "ja,+ko", "+ja,ko", "+", "ja ko", "+ja,,"] {
            check(refused, None);
        }
    }

    /// Chunks: `both` in the base and in `ja`, `base`, `ja`, `ko`.
    fn release() -> Release {
        let pages = vec![vec![
            in_part(1, file("0-ko", 0, 5, &[("both", 2), ("ko", 3)])),
            file("1-base", 0, 5, &[("both", 2), ("base", 3)]),
            in_part(0, file("2-empty", 0, 0, &[])),
            in_part(0, file("3-ja", 0, 6, &[("ja", 4), ("both", 2)])),
        ]];
        build(pages).expect("consistent")
    }

    fn decided(parts: &str, known: &[(&str, bool)]) -> Vec<(String, bool)> {
        let known = known.iter().map(|&(part, is)| (name(part), is)).collect();
        let parts = (!parts.is_empty()).then(|| parts.parse().expect("parts"));
        let choice = decide(parts.as_ref(), &known, &release().root).expect("known");
        choice.into_iter().map(|(name, is)| (name.to_string(), is)).collect()
    }

    #[test]
    fn what_was_said_before_stays() {
        let check = |parts: &str, known: &[(&str, bool)], expected: &[(&str, bool)]| {
            let expected: Vec<_> = expected.iter().map(|&(name, is)| (name.to_owned(), is)).collect();
            assert_eq!(decided(parts, known), expected, "{parts} {known:?}");
        };
        check("", &[], &[]);
        check("", &[("ja", true), ("gone", true)], &[("gone", true), ("ja", true)]);
        check("all", &[("ja", false), ("gone", false)], &[("gone", false), ("ja", true), ("ko", true)]);
        check("default", &[("ja", false)], &[("ja", true), ("ko", false)]);
        check("none", &[], &[("ja", false), ("ko", false)]);
        check("ko", &[("ja", true)], &[("ja", false), ("ko", true)]);
        check("+ko", &[("ja", false)], &[("ja", false), ("ko", true)]);
        check("+ko,-ko", &[], &[("ko", false)]);
        let unknown = "+xx".parse().expect("parts");
        let error =
            decide(Some(&unknown), &PartChoice::new(), &release().root).expect_err("unknown").to_string();
        assert_eq!(error, "version 1 has no part xx; it has ja, ko");
    }

    #[test]
    fn what_is_left_out() {
        let all = release();
        assert_eq!((all.chosen_files().count(), all.chosen_bytes()), (4, 16));
        assert!((0..all.chunk_count()).all(|position| all.is_chosen(position)));
        // By default `ja` is there and `ko` is not.
        let release = release().choose(PartChoice::new());
        assert_eq!(release.chosen_parts().collect::<Vec<_>>(), [&name("ja")]);
        assert_eq!(release.chosen_files().map(|(number, _)| number).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(release.chosen_bytes(), 11);
        let chosen: Vec<bool> =
            (0..release.chunk_count()).map(|position| release.is_chosen(position)).collect();
        assert_eq!(chosen, [false, false, true, true, true, true]);
        assert_eq!(release.positions_of(ChunkId::of(b"both")).collect::<Vec<_>>(), [2, 5]);
        assert_eq!(release.positions_of(ChunkId::of(b"ko")).count(), 0);
        assert_eq!(release.places_of(0).collect::<Vec<_>>(), [2, 5]);
        let only_base = release.choose([(name("ja"), false)].into());
        assert_eq!(only_base.chosen_bytes(), 5);
        assert!(!only_base.is_chosen(5) && only_base.is_chosen(3));
    }
}
