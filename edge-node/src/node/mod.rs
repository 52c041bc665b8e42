//! Gets a release into a folder: finds it, looks what is there, runs the job, installs, shares.

mod address;
mod care;
mod error;
mod folder;
mod follow;
mod get;
mod options;
mod plan;
mod preload;
mod prepare;
mod repair;
mod steer;

pub use address::ReleaseUrl;
pub use care::{Verified, uninstall, verify};
pub use error::GetError;
pub(crate) use folder::{Folder, blocking, lock as lock_folder};
pub use follow::follow;
pub(crate) use get::{Found, find, join, open_origin};
pub use options::GetOptions;
pub use plan::{Plan, PlannedPart, PlannedPreload, plan};
pub use preload::Preload;
pub use repair::repair;
pub(crate) use steer::can_follow;
pub use steer::get;
