//! The file of a token.

use std::path::Path;

use anyhow::Context;

/// The token in a file, without the line's end.
pub(super) fn read(path: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(text.trim().to_owned())
}
