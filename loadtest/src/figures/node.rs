//! One node by itself: how it is started, and what it tells at its end.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde::Deserialize;

/// What a node tells at its end, as far as figures need it.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Done {
    /// Sum of the release's files, in bytes.
    pub(super) release_bytes: u64,
    /// Where they came from.
    pub(super) bytes: Sources,
    /// From the first chunk to the last one written, in milliseconds.
    pub(super) download_ms: u64,
}

/// Verified bytes by source.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Sources {
    /// From peers.
    pub(super) peer: u64,
    /// From the origin.
    pub(super) origin: u64,
}

impl Done {
    /// Reads the last line of `get --json`.
    ///
    /// # Errors
    /// When it is something else.
    pub(super) fn parse(line: &str) -> Result<Self> {
        serde_json::from_str(line).with_context(|| format!("the node's last line is {line:?}"))
    }

    /// Bytes a second.
    pub(super) fn rate(&self) -> f64 {
        self.release_bytes as f64 / (self.download_ms.max(1) as f64 / 1000.0)
    }
}

/// Completes a command that runs `freshet-node`: gets `url` into a folder, and tells how it went.
pub(super) fn get(mut command: Command, url: &str, into: &Path) -> Command {
    command.arg("get").arg(url).arg("--into").arg(into).args(["--json", "--log", "warn"]);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates() {
        let line = r#"{"event":"done","release_bytes":5000,"bytes":{"peer":1,"origin":2,"local":3},"download_ms":500}"#;
        assert_eq!(Done::parse(line).expect("good").rate(), 10_000.0);
        assert!(Done::parse("installed").is_err());
    }
}
