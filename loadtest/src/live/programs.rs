//! Where the programs under load lie.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::refused::{Refused, refuse_unless};

/// The programs that a run starts.
#[derive(Debug, Clone)]
pub(crate) struct Programs {
    /// `freshet-origin`.
    pub(crate) origin: PathBuf,
    /// `freshet-tracker`.
    pub(crate) tracker: PathBuf,
    /// `freshet-node`.
    pub(crate) node: PathBuf,
    /// What several trackers need, where it is installed.
    broker: Option<PathBuf>,
}

/// The program of the broker between trackers.
const BROKER: &str = "nats-server";

impl Programs {
    /// The broker between several trackers.
    ///
    /// # Errors
    /// When it is not installed.
    pub(super) fn broker(&self) -> Result<PathBuf, Refused> {
        let missing = || Refused(format!("several trackers need {BROKER}: apt-get install {BROKER}"));
        self.broker.clone().ok_or_else(missing)
    }

    /// Finds them in `folder`, or beside the running program.
    ///
    /// # Errors
    /// When one is missing; says how to build it.
    pub(crate) fn find(folder: Option<&Path>) -> Result<Self> {
        let folder = match folder {
            Some(folder) => folder.to_owned(),
            None => {
                let own = std::env::current_exe().context("cannot tell where this program lies")?;
                own.parent().context("this program lies in no folder")?.to_owned()
            }
        };
        let find = |name: &str| {
            let path = folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
            refuse_unless(path.is_file(), || {
                format!(
                    "{} is missing; build the programs with `cargo build --release --bins`, or name their folder with \
                     --bin-dir",
                    path.display()
                )
            })?;
            path.canonicalize().with_context(|| format!("look for {}", path.display()))
        };
        // Not everybody's path leads to where Debian puts servers.
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
        let broker = folders.map(|folder| folder.join(BROKER)).find(|program| program.is_file());
        Ok(Self {
            broker,
            origin: find("freshet-origin")?,
            tracker: find("freshet-tracker")?,
            node: find("freshet-node")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_missing_program_is_named() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let check = |missing: &str| {
            let error = Programs::find(Some(folder.path())).expect_err("incomplete").to_string();
            assert!(error.contains(missing) && error.contains("--bin-dir"), "{error}");
            std::fs::write(folder.path().join(missing), "").expect("written");
        };
        check("freshet-origin");
        check("freshet-tracker");
        check("freshet-node");
        assert!(Programs::find(Some(folder.path())).is_ok());
    }
}
