//! Gets a release into a folder: finds it, looks what is there, runs the job, installs, shares.

mod address;
mod error;
mod get;
mod options;

pub use address::ReleaseUrl;
pub use error::GetError;
pub use get::get;
pub use options::GetOptions;
