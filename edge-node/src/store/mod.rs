//! The installation folder: what is in it, what is being fetched into it, and how that becomes an install.

mod access;
mod derive;
mod file_system;
mod hot;
mod install;
mod installed;
mod layout;
mod lock;
mod placing;
mod positions;
mod record;
mod scan;
mod siblings;
mod uninstall;
mod verify;
mod writer;

pub(crate) use access::ChunkFiles;
pub(crate) use derive::{OldFiles, derive};
pub(crate) use hot::HotChunks;
pub(crate) use install::{InstallError, install};
pub(crate) use installed::Installed;
pub(crate) use layout::{Layout, STATE_FOLDER};
pub(crate) use lock::{FolderLock, LockError};
pub(crate) use placing::{Placing, pending};
pub(crate) use positions::Positions;
pub(crate) use record::{read_record, write_atomic};
pub(crate) use scan::{Belief, Local, OldRelease, ScanError, look, scan, take_up};
pub(crate) use siblings::Sibling;
pub use uninstall::ChangedFiles;
pub(crate) use uninstall::uninstall;
pub(crate) use verify::{Differences, verify};
pub(crate) use writer::{StoreEvent, WRITES_WAITING_MAX, Writers};
