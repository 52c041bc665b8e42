//! Gets a release into a folder: finds it, looks what is there, runs the job, installs, shares.

mod address;
mod care;
mod error;
mod folder;
mod follow;
mod get;
mod options;
mod plan;
mod repair;
mod steer;

pub use address::ReleaseUrl;
pub use care::{Verified, uninstall, verify};
pub use error::GetError;
pub use follow::follow;
pub use options::GetOptions;
pub use plan::{Plan, PlannedPart, plan};
pub use repair::repair;
pub use steer::get;
