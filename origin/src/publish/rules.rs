//! The rules file: what of a build folder is published, and which parts of it players may leave out.

use std::path::Path;

use freshet_protocol::limits::PARTS_MAX;
use freshet_protocol::{Name, Part, RelPath};
use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};
use serde::Deserialize;

/// Most patterns of a rules file.
const PATTERNS_MAX: usize = 1000;
/// Largest rules file, in bytes.
const FILE_BYTES_MAX: u64 = 256 << 10;
/// What those who choose parts say instead of names.
const PART_WORDS: [&str; 3] = ["all", "default", "none"];

/// Why a rules file was refused.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// It cannot be read.
    #[error("{path}: {error}")]
    Io {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// It is longer than any rules need be.
    #[error("the rules have more than {FILE_BYTES_MAX} bytes or {PATTERNS_MAX} patterns")]
    TooLong,
    /// It is no TOML, or says what rules cannot say.
    #[error("the rules are not valid: {0}")]
    Malformed(String),
    /// A pattern is none.
    #[error("the pattern {pattern:?} is not valid: {reason}")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A part that may not be.
    #[error("the part {name} {reason}")]
    Part {
        /// Its name.
        name: Name,
        /// What is wrong with it.
        reason: &'static str,
    },
}

/// What of a build folder is published, and in which parts. The default is all, in none.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    ignored: GlobSet,
    parts: Vec<PartRule>,
}

#[derive(Debug, Clone)]
struct PartRule {
    name: Name,
    default: bool,
    files: GlobSet,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    ignore: Vec<String>,
    #[serde(default)]
    part: Vec<PartDocument>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PartDocument {
    name: Name,
    #[serde(default = "is_default")]
    default: bool,
    files: Vec<String>,
}

fn is_default() -> bool {
    true
}

impl Rules {
    /// Reads a rules file.
    ///
    /// # Errors
    /// [`RulesError`] says what is wrong with it.
    pub fn load(path: &Path) -> Result<Self, RulesError> {
        let io = |error| RulesError::Io { path: path.to_owned(), error };
        if std::fs::metadata(path).map_err(io)?.len() > FILE_BYTES_MAX {
            return Err(RulesError::TooLong);
        }
        std::fs::read_to_string(path).map_err(io)?.parse()
    }

    /// Whether an entry is left out, and a folder with all that is in it.
    pub(super) fn ignores(&self, path: &RelPath) -> bool {
        !self.ignored.is_empty() && self.ignored.is_match(path.as_str())
    }

    /// Number of the part that an entry is of: the first one that names it, or a folder that it lies in.
    pub(super) fn part_of(&self, path: &RelPath) -> Option<u8> {
        let names = |part: &PartRule| {
            part.files.is_match(path.as_str()) || path.parents().any(|folder| part.files.is_match(folder))
        };
        self.parts.iter().position(names).map(|number| number as u8)
    }

    /// The parts, none with anything in it.
    pub(super) fn parts(&self) -> Vec<Part> {
        let empty = |part: &PartRule| Part { name: part.name.clone(), default: part.default, bytes: 0 };
        self.parts.iter().map(empty).collect()
    }
}

impl std::str::FromStr for Rules {
    type Err = RulesError;

    fn from_str(text: &str) -> Result<Self, RulesError> {
        let document: Document =
            toml::from_str(text).map_err(|error| RulesError::Malformed(error.to_string()))?;
        let in_parts: usize = document.part.iter().map(|part| part.files.len()).sum();
        if document.ignore.len() + in_parts > PATTERNS_MAX {
            return Err(RulesError::TooLong);
        }
        let refused = |name: &Name, reason| Err(RulesError::Part { name: name.clone(), reason });
        for (number, part) in document.part.iter().enumerate() {
            if number == PARTS_MAX {
                return refused(&part.name, "is one too many: a release has at most 64");
            }
            if PART_WORDS.contains(&part.name.as_str()) {
                return refused(&part.name, "has a name that means several parts");
            }
            if document.part[..number].iter().any(|other| other.name == part.name) {
                return refused(&part.name, "is there twice");
            }
        }
        let part =
            |PartDocument { name, default, files }| Ok(PartRule { name, default, files: globs(&files)? });
        Ok(Self {
            ignored: globs(&document.ignore)?,
            parts: document.part.into_iter().map(part).collect::<Result<_, RulesError>>()?,
        })
    }
}

fn globs(patterns: &[String]) -> Result<GlobSet, RulesError> {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        set.add(glob(pattern)?);
    }
    set.build().map_err(|error| RulesError::Malformed(error.to_string()))
}

/// A pattern as in a .gitignore: one with a slash is a path from the top, one without is a name anywhere; `*` and `?` stop
/// at a slash, `**` goes on.
fn glob(pattern: &str) -> Result<Glob, RulesError> {
    let refused = |reason: String| RulesError::Pattern { pattern: pattern.to_owned(), reason };
    let bare = pattern.trim_end_matches('/');
    let anchored = match bare.strip_prefix('/') {
        Some(from_top) => from_top.to_owned(),
        None if bare.contains('/') => bare.to_owned(),
        None => format!("**/{bare}"),
    };
    if bare.is_empty() || pattern.starts_with('!') {
        return Err(refused("it names nothing".to_owned()));
    }
    let built = GlobBuilder::new(&anchored).literal_separator(true).backslash_escape(true).build();
    built.map_err(|error| refused(error.kind().to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_of_the_first_part_that_names_it() {
        let rules = rules(
            "[[part]]\nname = 'ko'\nfiles = ['ko', '*.ko.pak']\n[[part]]\nname = 'voices'\nfiles = ['/voices/**']\n\
             default = false",
        )
        .expect("rules");
        let check = |path: &str, part: Option<u8>| {
            assert_eq!(rules.part_of(&path.parse().expect("path")), part, "{path}");
        };
        check("game.exe", None);
        check("data/menu.ko.pak", Some(0));
        check("text/ko/deep/menu.txt", Some(0));
        check("voices/ja/1.ogg", Some(1));
        check("voices/ko/1.ogg", Some(0));
        check("voices", None);
        let parts = rules.parts().into_iter().map(|part| (part.name.to_string(), part.default));
        assert_eq!(parts.collect::<Vec<_>>(), [("ko".to_owned(), true), ("voices".to_owned(), false)]);
    }

    fn rules(text: &str) -> Result<Rules, String> {
        text.parse().map_err(|error: RulesError| error.to_string())
    }

    #[test]
    fn patterns_are_names_or_paths() {
        let check = |pattern: &str, path: &str, expected: bool| {
            let rules = rules(&format!("ignore = ['{pattern}']")).expect(pattern);
            assert_eq!(rules.ignores(&path.parse().expect("path")), expected, "{pattern} {path}");
        };
        check("*.pdb", "game.pdb", true);
        check("*.pdb", "bin/x64/game.pdb", true);
        check("*.pdb", "game.pdb.txt", false);
        check("logs", "logs", true);
        check("logs", "data/logs", true);
        check("logs/", "data/logs", true);
        check("/logs", "logs", true);
        check("/logs", "data/logs", false);
        check("data/*.tmp", "data/a.tmp", true);
        check("data/*.tmp", "data/in/a.tmp", false);
        check("data/**/*.tmp", "data/in/deep/a.tmp", true);
        check("data/**", "data/in/a", true);
        check("data/**", "database", false);
        check("save?.dat", "save1.dat", true);
        check("save?.dat", "save10.dat", false);
        check("{a,b}.txt", "in/b.txt", true);
        check("[ab].txt", "c.txt", false);
        check("모험*", "모험.pak", true);
        assert!(!Rules::default().ignores(&"anything".parse().expect("path")));
    }

    #[test]
    fn bad_rules_are_named() {
        let check = |text: &str, expected: &str| {
            let error = rules(text).err().unwrap_or_default();
            assert!(error.contains(expected), "{text}: {error}");
        };
        check("ignore = ['[']", "\"[\" is not valid");
        check("ignore = ['']", "names nothing");
        check("ignore = ['/']", "names nothing");
        check("ignore = ['!keep']", "names nothing");
        check("ignored = []", "ignored");
        let part = |name: &str| format!("[[part]]\nname = '{name}'\nfiles = ['x']\n");
        check(&part("all"), "the part all has a name that means several");
        check(&part("a b"), "not valid");
        check(&[part("ko"), part("ja"), part("ko")].concat(), "the part ko is there twice");
        check("[[part]]\nname = 'ko'", "files");
        check("[[part]]\nname = 'ko'\nfiles = ['[']", "\"[\" is not valid");
        let parts: Vec<String> = (0..=PARTS_MAX).map(|n| part(&format!("p{n}"))).collect();
        check(&parts.concat(), "the part p64 is one too many");
        assert!(rules(&parts[..PARTS_MAX].concat()).is_ok());
        check("ignore = 'one'", "not valid");
        check("ignore = [", "not valid");
        let many = format!("ignore = [{}]", "'x',".repeat(PATTERNS_MAX + 1));
        check(&many, "1000 patterns");
        let many = format!("ignore = [{}]\n{}", "'x',".repeat(PATTERNS_MAX), part("ko"));
        check(&many, "1000 patterns");
        assert!(rules(&format!("ignore = [{}]", "'x',".repeat(PATTERNS_MAX))).is_ok());
        let file = tempfile::NamedTempFile::new().expect("file");
        std::fs::write(file.path(), "# ".repeat(FILE_BYTES_MAX as usize / 2 + 1)).expect("written");
        assert!(matches!(Rules::load(file.path()), Err(RulesError::TooLong)));
        assert!(matches!(Rules::load(Path::new("/nonexistent")), Err(RulesError::Io { .. })));
    }
}
