//! Paths inside a release. What cannot live on every player's file system, or would leave the folder, cannot be built.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::id::text_serde;
use crate::limits::{NAME_BYTES_MAX, PATH_BYTES_MAX};

/// Why a path was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// Nothing, or a part of nothing between slashes.
    #[error("has an empty part")]
    Empty,
    /// Starts at a root or a drive.
    #[error("is absolute")]
    Absolute,
    /// `.` or `..`.
    #[error("has a \".\" or \"..\" part")]
    Dots,
    /// Longer than the limits.
    #[error("is longer than {PATH_BYTES_MAX} bytes, or a part longer than {NAME_BYTES_MAX}")]
    TooLong,
    /// A character that Windows does not allow in names.
    #[error("has a character that Windows does not allow (control, < > : \" | ? * or backslash)")]
    Character,
    /// A device name such as `NUL` or `COM1`, with any extension.
    #[error("has a part that Windows reserves for a device (CON, PRN, AUX, NUL, COM1-9, LPT1-9)")]
    Reserved,
    /// A part that ends in a dot or a space, which Windows drops.
    #[error("has a part that ends in a dot or a space")]
    Ending,
    /// A symbolic link that leads out of the folder.
    #[error("is a link that leaves the folder")]
    Escapes,
}

/// A checked path relative to the release's folder, with `/` between its parts.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelPath(String);

text_serde!(RelPath);

impl RelPath {
    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The parts, outermost first.
    pub fn parts(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/')
    }

    /// All folders above this path, outermost first.
    pub fn parents(&self) -> impl Iterator<Item = &str> {
        self.0.match_indices('/').map(|(at, _)| &self.0[..at])
    }

    /// A form in which two paths are equal when a file system without letter case cannot tell them apart.
    pub fn folded(&self) -> String {
        self.0.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect()
    }
}

impl fmt::Display for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl FromStr for RelPath {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        if text.starts_with('/') {
            return Err(PathError::Absolute);
        }
        if text.len() > PATH_BYTES_MAX {
            return Err(PathError::TooLong);
        }
        text.split('/').try_for_each(check_part)?;
        Ok(Self(text.to_owned()))
    }
}

fn check_part(part: &str) -> Result<(), PathError> {
    match part {
        "" => return Err(PathError::Empty),
        "." | ".." => return Err(PathError::Dots),
        _ => {}
    }
    if part.len() > NAME_BYTES_MAX {
        return Err(PathError::TooLong);
    }
    if part.chars().any(|c| c.is_control() || "<>:\"|?*\\".contains(c)) {
        return Err(PathError::Character);
    }
    if part.ends_with(['.', ' ']) {
        return Err(PathError::Ending);
    }
    if is_device(part) { Err(PathError::Reserved) } else { Ok(()) }
}

/// Whether Windows takes `part` for a device, as `Naming Files, Paths, and Namespaces` (Microsoft) lists them.
fn is_device(part: &str) -> bool {
    let stem = part.split('.').next().unwrap_or_default().trim_end_matches(' ').to_ascii_uppercase();
    if matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$") {
        return true;
    }
    let numbered = stem.strip_prefix("COM").or_else(|| stem.strip_prefix("LPT"));
    numbered.is_some_and(|n| {
        matches!(n, "0" | "1" | "2" | "3" | "4" | "5" | "6" | "7" | "8" | "9" | "¹" | "²" | "³")
    })
}

/// Checks the target of a symbolic link at `link`: relative, and inside the folder wherever it leads.
///
/// # Errors
/// [`PathError`] when it is absolute, too long, holds a refused character, or leaves the folder.
pub fn check_link_target(link: &RelPath, target: &str) -> Result<(), PathError> {
    if target.is_empty() {
        return Err(PathError::Empty);
    }
    if target.starts_with('/') {
        return Err(PathError::Absolute);
    }
    if target.len() > PATH_BYTES_MAX {
        return Err(PathError::TooLong);
    }
    let mut depth = link.parts().count() - 1;
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => depth = depth.checked_sub(1).ok_or(PathError::Escapes)?,
            name => {
                check_part(name)?;
                depth += 1;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let check = |text: &str, expected: Result<(), PathError>| {
            assert_eq!(text.parse::<RelPath>().map(drop), expected, "{text:?}");
        };
        check("a", Ok(()));
        check("data/한국어/모험.pak", Ok(()));
        check(".gitignore", Ok(()));
        check("console.txt", Ok(()));
        check("a b/c.d", Ok(()));
        check("", Err(PathError::Empty));
        check("a//b", Err(PathError::Empty));
        check("a/", Err(PathError::Empty));
        check("/etc/passwd", Err(PathError::Absolute));
        check("../up", Err(PathError::Dots));
        check("a/../../b", Err(PathError::Dots));
        check("./a", Err(PathError::Dots));
        check("C:/windows", Err(PathError::Character));
        check("a\\b", Err(PathError::Character));
        check("a\0b", Err(PathError::Character));
        check("what?", Err(PathError::Character));
        check("NUL", Err(PathError::Reserved));
        check("a/com1.txt", Err(PathError::Reserved));
        check("a/lpt9", Err(PathError::Reserved));
        check("aux .h", Err(PathError::Reserved));
        check("name.", Err(PathError::Ending));
        check("name ", Err(PathError::Ending));
        check(&"x".repeat(255), Ok(()));
        check(&"x".repeat(256), Err(PathError::TooLong));
        check(&vec!["x".repeat(204); 5].join("/"), Ok(()));
        check(&vec!["x".repeat(205); 5].join("/"), Err(PathError::TooLong));
    }

    #[test]
    fn link_targets() {
        let check = |link: &str, target: &str, expected| {
            let link: RelPath = link.parse().expect("good path");
            assert_eq!(check_link_target(&link, target), expected, "{target:?}");
        };
        check("lib/libx.so", "libx.so.1", Ok(()));
        check("lib/libx.so", "../bin/x", Ok(()));
        check("lib/libx.so", "../../x", Err(PathError::Escapes));
        check("x", "..", Err(PathError::Escapes));
        check("x", "a/../../b", Err(PathError::Escapes));
        check("x", "/etc", Err(PathError::Absolute));
        check("x", "", Err(PathError::Empty));
        check("x", "a\\..\\..", Err(PathError::Character));
    }

    #[test]
    fn folded_paths_meet() {
        let fold = |text: &str| text.parse::<RelPath>().expect("good path").folded();
        assert_eq!(fold("Data/README"), fold("data/readme"));
        assert_eq!(fold("ÄÖ"), fold("äö"));
        assert_ne!(fold("a"), fold("b"));
    }
}
