//! What may change while a job runs.

use std::ffi::c_char;

use freshet_edge_node::{Policy, WhilePlaying, Wishes};

use crate::error::{FRESHET_OK, Failure, guard};
use crate::job::{FreshetJob, known};
use crate::options::{bound, download_rate};
use crate::strings;

/// # Safety
/// As for [`known`].
unsafe fn change(
    job: *const FreshetJob,
    change: impl FnOnce(&mut Wishes, &mut Policy) -> Result<(), Failure>,
) -> i32 {
    guard(|| {
        // SAFETY: as the caller promises.
        let job = unsafe { known(job) }?;
        let mut changed = Ok(());
        job.control.change(|wishes| {
            let mut policy = wishes.policy.unwrap_or(job.base);
            changed = change(wishes, &mut policy);
            if wishes.policy.is_some() || policy != job.base {
                wishes.policy = Some(policy);
            }
        });
        changed.map(|()| FRESHET_OK as i32)
    })
}

/// Pauses the job, or lets it go on. A paused job has no connections, and keeps what it has.
///
/// # Safety
/// `job` was handed out by freshet_start, and not released.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn freshet_set_paused(job: *const FreshetJob, is_paused: bool) -> i32 {
    // SAFETY: as the caller promises.
    unsafe {
        change(job, |wishes, _| {
            wishes.paused = is_paused;
            Ok(())
        })
    }
}

/// Says whether the game is played: nothing is handed out or installed then, and what is fetched
/// freshet_set_while_playing bounds.
///
/// # Safety
/// `job` was handed out by freshet_start, and not released.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn freshet_set_playing(job: *const FreshetJob, is_playing: bool) -> i32 {
    // SAFETY: as the caller promises.
    unsafe {
        change(job, |wishes, _| {
            wishes.playing = is_playing;
            Ok(())
        })
    }
}

/// Sets what is fetched while the game is played: so many bytes a second, at least 64000, or 0: nothing, as at first.
///
/// # Safety
/// `job` was handed out by freshet_start, and not released.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn freshet_set_while_playing(job: *const FreshetJob, bytes_per_second: u64) -> i32 {
    // SAFETY: as the caller promises.
    unsafe {
        change(job, |wishes, _| {
            let rate = download_rate(bytes_per_second)?;
            wishes.while_playing = rate.map_or(WhilePlaying::Nothing, WhilePlaying::BytesPerSecond);
            Ok(())
        })
    }
}

/// Bounds what is fetched from all together, in bytes a second, at least 64000; 0: no bound.
///
/// # Safety
/// `job` was handed out by freshet_start, and not released.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn freshet_set_download_rate(job: *const FreshetJob, bytes_per_second: u64) -> i32 {
    // SAFETY: as the caller promises.
    unsafe {
        change(job, |_, policy| {
            policy.download_bytes_s_max = download_rate(bytes_per_second)?;
            Ok(())
        })
    }
}

/// Bounds what is handed to peers, in bytes a second; 0: no bound.
///
/// # Safety
/// `job` was handed out by freshet_start, and not released.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn freshet_set_upload_rate(job: *const FreshetJob, bytes_per_second: u64) -> i32 {
    // SAFETY: as the caller promises.
    unsafe {
        change(job, |_, policy| {
            policy.upload_bytes_s_max = bound(bytes_per_second);
            Ok(())
        })
    }
}

/// Says whether something is handed to peers. Ask the player first.
///
/// # Safety
/// `job` was handed out by freshet_start, and not released.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn freshet_set_sharing(job: *const FreshetJob, is_sharing: bool) -> i32 {
    // SAFETY: as the caller promises.
    unsafe {
        change(job, |_, policy| {
            policy.sharing = is_sharing;
            Ok(())
        })
    }
}

/// Sets the hours of the day at which something may be done, like 02:00-08:00 by the local clock; NULL: all.
///
/// # Safety
/// `job` was handed out by freshet_start, and not released; `hours` is NULL, or ends with a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn freshet_set_hours(job: *const FreshetJob, hours: *const c_char) -> i32 {
    // SAFETY: as the caller promises.
    let hours = unsafe { strings::read("hours", hours) };
    // SAFETY: as the caller promises.
    unsafe {
        change(job, |wishes, _| {
            let parse = |text: &str| text.parse().map_err(|error| Failure::usage(format!("{error}")));
            wishes.hours = hours?.map(parse).transpose()?;
            Ok(())
        })
    }
}
