//! Files that other programs wait for: they appear whole, by a rename.

use std::path::Path;

use anyhow::Context;
use serde::Serialize;

/// Writes `value` as JSON.
pub(super) fn write_json(path: &Path, value: &impl Serialize) -> anyhow::Result<()> {
    let mut staged = path.as_os_str().to_owned();
    staged.push(".new");
    let bytes = serde_json::to_vec(value).expect("own values are valid JSON");
    std::fs::write(&staged, bytes)
        .and_then(|()| std::fs::rename(&staged, path))
        .with_context(|| format!("cannot write {}", path.display()))
}
