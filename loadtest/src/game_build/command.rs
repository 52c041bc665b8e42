//! The subcommand `generate`.

use std::path::PathBuf;

use anyhow::Result;

use super::{BUILD_BYTES_DEFAULT, BuildKind, BuildSpec, generate_build};

/// Arguments of `generate`.
#[derive(Debug, clap::Args)]
pub(crate) struct GenerateArgs {
    /// Folder to make the build in; must be empty or absent.
    dir: PathBuf,
    /// Size of all files together: 1000000 to 17179869184, or from 1 with --incompressible.
    #[arg(long, default_value_t = BUILD_BYTES_DEFAULT, value_name = "N")]
    bytes: u64,
    /// Another seed gives other bytes throughout.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// A few files that no compression makes smaller, instead of what a game is made of.
    #[arg(long)]
    incompressible: bool,
}

impl GenerateArgs {
    /// Makes the build and tells what it is.
    ///
    /// # Errors
    /// As [`generate_build`].
    pub(crate) fn run(self) -> Result<()> {
        let kind = if self.incompressible { BuildKind::Incompressible } else { BuildKind::Game };
        let made = generate_build(&self.dir, BuildSpec { kind, bytes: self.bytes, seed: self.seed })?;
        println!("{} files, {} bytes in {}", made.files, made.bytes, self.dir.display());
        Ok(())
    }
}
