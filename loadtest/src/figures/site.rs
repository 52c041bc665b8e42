//! A publisher with keys, a store and an origin on loopback, each step by the real program.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::child::{self, Child, Ended};
use crate::live::Programs;

const TENANT: &str = "load";
const CONTENT: &str = "load/build";

/// A publisher's machine.
pub(super) struct Site {
    program: PathBuf,
    folder: PathBuf,
    key: String,
    origin: Option<(Child, String)>,
}

/// A release.
pub(super) struct Published {
    root: String,
    /// How publishing went.
    pub(super) ended: Ended,
}

#[derive(Deserialize)]
struct KeysMade {
    key: String,
}

#[derive(Deserialize)]
struct PublishedLine {
    root: String,
}

impl Site {
    /// Makes the tenant's keys in `folder`.
    ///
    /// # Errors
    /// When the program fails.
    pub(super) async fn make(programs: &Programs, folder: &Path) -> Result<Self> {
        let mut command = Command::new(&programs.origin);
        command.args(["keys", "--json", "--tenant", TENANT, "--keys-dir"]).arg(folder.join("keys"));
        let line = child::run(command, &folder.join("keys.log")).await?.last_line;
        let KeysMade { key } =
            serde_json::from_str(&line).with_context(|| format!("keys printed {line:?}"))?;
        Ok(Self { program: programs.origin.clone(), folder: folder.to_owned(), key, origin: None })
    }

    /// Publishes a folder.
    ///
    /// # Errors
    /// When the program fails.
    pub(super) async fn publish(&self, source: &Path, version: &str) -> Result<Published> {
        let mut command = Command::new(&self.program);
        command.arg("publish").arg(source).args(["--json", "--content", CONTENT, "--version", version]);
        command.arg("--keys-dir").arg(self.folder.join("keys")).arg("--store").arg(self.store());
        let ended = child::run(command, &self.folder.join("publish.log")).await?;
        let PublishedLine { root } = serde_json::from_str(&ended.last_line)
            .with_context(|| format!("publish printed {:?}", ended.last_line))?;
        Ok(Published { root, ended })
    }

    /// Starts the origin, which serves until the site is dropped.
    ///
    /// # Errors
    /// When the program fails.
    pub(super) async fn serve(&mut self) -> Result<()> {
        let mut command = Command::new(&self.program);
        command.args(["serve", "--listen", "127.0.0.1:0", "--store"]).arg(self.store());
        let mut origin = Child::start(command, &self.folder.join("origin.log"))?;
        let address = origin.line(|_| true).await?;
        self.origin = Some((origin, address));
        Ok(())
    }

    /// The URL of the channel, with the tenant's key.
    ///
    /// # Panics
    /// When the site does not serve.
    pub(super) fn channel_url(&self) -> String {
        self.url("channels/live")
    }

    fn url(&self, what: &str) -> String {
        let (_, address) = self.origin.as_ref().expect("asked for once it serves");
        format!("http://{address}/{CONTENT}/{what}#key={}", self.key)
    }

    fn store(&self) -> PathBuf {
        self.folder.join("store")
    }
}

impl Published {
    /// The release's own URL, with the tenant's key.
    ///
    /// # Panics
    /// When the site does not serve.
    pub(super) fn url(&self, site: &Site) -> String {
        site.url(&format!("roots/{}", self.root))
    }
}
