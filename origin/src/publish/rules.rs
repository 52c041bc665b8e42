//! The rules file: what of a build folder is published.

use std::path::Path;

use freshet_protocol::RelPath;
use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};
use serde::Deserialize;

/// Most patterns of a rules file.
const PATTERNS_MAX: usize = 1000;
/// Largest rules file, in bytes.
const FILE_BYTES_MAX: u64 = 256 << 10;

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
}

/// What of a build folder is published. The default is all.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    ignored: GlobSet,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    ignore: Vec<String>,
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
}

impl std::str::FromStr for Rules {
    type Err = RulesError;

    fn from_str(text: &str) -> Result<Self, RulesError> {
        let document: Document =
            toml::from_str(text).map_err(|error| RulesError::Malformed(error.to_string()))?;
        if document.ignore.len() > PATTERNS_MAX {
            return Err(RulesError::TooLong);
        }
        let mut ignored = GlobSetBuilder::new();
        for pattern in &document.ignore {
            ignored.add(glob(pattern)?);
        }
        let ignored = ignored.build().map_err(|error| RulesError::Malformed(error.to_string()))?;
        Ok(Self { ignored })
    }
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
        return Err(refused("it names nothing that can be left out".to_owned()));
    }
    let built = GlobBuilder::new(&anchored).literal_separator(true).backslash_escape(true).build();
    built.map_err(|error| refused(error.kind().to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

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
        check("ignore = 'one'", "not valid");
        check("ignore = [", "not valid");
        let many = format!("ignore = [{}]", "'x',".repeat(PATTERNS_MAX + 1));
        check(&many, "1000 patterns");
        assert!(rules(&format!("ignore = [{}]", "'x',".repeat(PATTERNS_MAX))).is_ok());
        let file = tempfile::NamedTempFile::new().expect("file");
        std::fs::write(file.path(), "# ".repeat(FILE_BYTES_MAX as usize / 2 + 1)).expect("written");
        assert!(matches!(Rules::load(file.path()), Err(RulesError::TooLong)));
        assert!(matches!(Rules::load(Path::new("/nonexistent")), Err(RulesError::Io { .. })));
    }
}
