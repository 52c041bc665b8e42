//! The node behind a C border: for launchers in C, C++, and through P/Invoke in C#. The header is the manual.

mod care;
mod error;
mod event;
mod job;
mod options;
mod steer;
mod strings;

pub use care::{freshet_plan, freshet_uninstall, freshet_verify};
pub use error::{FreshetResult, freshet_last_error};
pub use event::{FreshetEvent, FreshetEventCallback, FreshetEventKind, FreshetPause};
pub use job::{FreshetJob, freshet_release, freshet_report, freshet_start, freshet_stop, freshet_wait};
pub use options::{FreshetGoal, FreshetMode, FreshetOptions, freshet_options_init};
pub use steer::{
    freshet_set_download_rate, freshet_set_hours, freshet_set_paused, freshet_set_playing,
    freshet_set_sharing, freshet_set_upload_rate, freshet_set_while_playing,
};
pub use strings::{freshet_free_string, freshet_version};
