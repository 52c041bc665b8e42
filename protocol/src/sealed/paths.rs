//! The files of a sealed release, by their paths.

use crate::id::RootId;

/// Path of the file for everybody, which says what is in the others.
pub const SEALED_INNER: &str = "inner";
/// Path of the file for who has nothing.
pub const SEALED_FULL: &str = "full";
/// What stands before the root of a release in the path of the file for who has it.
const FROM: &str = "from/";

/// Path of the file for who has the release `root`.
pub fn sealed_from(root: RootId) -> String {
    format!("{FROM}{root}")
}

/// Whose file that is; none where it is for no release, and an error where it only looks so.
///
/// # Errors
/// [`IdError`](crate::IdError) when what follows is no root.
pub fn parse_sealed_from(path: &str) -> Option<Result<RootId, crate::IdError>> {
    path.strip_prefix(FROM).map(str::parse)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_releases() {
        let root = RootId::of(b"root");
        assert_eq!(parse_sealed_from(&sealed_from(root)), Some(Ok(root)));
        assert_eq!(parse_sealed_from(SEALED_FULL), None);
        assert!(parse_sealed_from("from/x").is_some_and(|parsed| parsed.is_err()));
    }
}
