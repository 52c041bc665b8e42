//! Where things lie in an installation folder. All of the node's own is below one folder of it.

use std::io;
use std::path::{Path, PathBuf};

use freshet_protocol::{Name, PageId, PatchId, RelPath, RootId};

use crate::release::SealedPart;

/// The node's own folder within the installation.
pub(crate) const STATE_FOLDER: &str = ".freshet";

/// Names of the paths of one installation.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    folder: PathBuf,
}

impl Layout {
    pub(crate) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// Makes the folders that the node keeps for itself.
    ///
    /// # Errors
    /// When one cannot be made, or is a symbolic link, which could lead anywhere.
    pub(crate) fn create(&self) -> io::Result<()> {
        std::fs::create_dir_all(&self.folder)?;
        for folder in ["", "roots", "patches", "pages", "progress"].map(|name| self.own(name)) {
            std::fs::create_dir_all(&folder)?;
            if !std::fs::symlink_metadata(&folder)?.is_dir() {
                let message = format!("{} is not a folder", folder.display());
                return Err(io::Error::new(io::ErrorKind::NotADirectory, message));
            }
        }
        Ok(())
    }

    /// The installation folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where an entry of a release is installed.
    pub(crate) fn installed_at(&self, path: &RelPath) -> PathBuf {
        path.parts().fold(self.folder.clone(), |folder, part| folder.join(part))
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.own("lock")
    }

    pub(crate) fn trust(&self) -> PathBuf {
        self.own("trust.json")
    }

    pub(crate) fn keys(&self) -> PathBuf {
        self.own("keys")
    }

    pub(crate) fn pointer(&self, channel: &Name) -> PathBuf {
        self.own(&format!("pointer-{channel}"))
    }

    pub(crate) fn root(&self, id: RootId) -> PathBuf {
        self.own("roots").join(id.to_string())
    }

    pub(crate) fn page(&self, id: PageId) -> PathBuf {
        self.own("pages").join(id.to_string())
    }

    /// Which positions of a release are known to be good in its staging.
    pub(crate) fn progress(&self, id: RootId) -> PathBuf {
        self.own("progress").join(id.to_string())
    }

    /// Staging of a release.
    pub(crate) fn staging(&self, id: RootId) -> PathBuf {
        self.own("staging").join(id.to_string())
    }

    /// Staging of one file, by its number: names of the release never reach the file system before the install.
    pub(crate) fn staged_file(&self, id: RootId, file: usize) -> PathBuf {
        self.staging(id).join(format!("{:04x}", file >> 8)).join(format!("{:02x}", file & 0xff))
    }

    /// Deltas of a patch, by what its staging is about. Peers may ask for them until the job ends.
    pub(crate) fn deltas(&self, id: RootId) -> PathBuf {
        self.own("deltas").join(id.to_string())
    }

    /// Sealed files that wait for their time.
    pub(crate) fn sealed(&self) -> PathBuf {
        self.own("sealed")
    }

    /// A file of a sealed release.
    pub(crate) fn sealed_file(&self, root: RootId, part: SealedPart) -> PathBuf {
        let name = match part {
            SealedPart::Inner => "inner",
            SealedPart::Stream => "stream",
        };
        self.sealed().join(root.to_string()).join(name)
    }

    /// What is known of them.
    pub(crate) fn preload(&self) -> PathBuf {
        self.own("preload.json")
    }

    pub(crate) fn patch(&self, id: PatchId) -> PathBuf {
        self.own("patches").join(id.to_string())
    }

    /// What is installed.
    pub(crate) fn installed(&self) -> PathBuf {
        self.own("installed.json")
    }

    /// An install that has begun.
    pub(crate) fn intent(&self) -> PathBuf {
        self.own("install-intent.json")
    }

    pub(crate) fn own(&self, name: &str) -> PathBuf {
        let own = self.folder.join(STATE_FOLDER);
        if name.is_empty() { own } else { own.join(name) }
    }
}
