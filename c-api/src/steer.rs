//! What may change while a job runs.

use std::ffi::c_char;

use freshet_edge_node::{Policy, WhilePlaying, Wishes};

use crate::error::{FRESHET_OK, Failure, guard};
use crate::job::{FreshetJob, known};
use crate::options::{bound, download_rate, parsed};
use crate::strings;

/// # Safety
/// As for [`known`].
unsafe fn change(job: *const FreshetJob, change: impl FnOnce(&mut Wishes, Policy)) -> i32 {
    guard(|| {
        // SAFETY: as the caller promises.
        let job = unsafe { known(job) }?;
        job.control.change(|wishes| change(wishes, job.base));
        Ok(FRESHET_OK as i32)
    })
}

/// As [`change`], by a value that was looked at before.
///
/// # Safety
/// As for [`known`].
unsafe fn change_by<T>(
    job: *const FreshetJob,
    value: Result<T, Failure>,
    act: impl FnOnce(&mut Wishes, Policy, T),
) -> i32 {
    match value {
        // SAFETY: as the caller promises.
        Ok(value) => unsafe { change(job, |wishes, base| act(wishes, base, value)) },
        Err(failure) => guard(|| Err(failure)),
    }
}

/// Pauses the job, or lets it go on. A paused job has no connections, and keeps what it has.
///
/// # Safety
/// `job` was handed out by freshet_start, and not released.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn freshet_set_paused(job: *const FreshetJob, is_paused: bool) -> i32 {
    // SAFETY: as the caller promises.
    unsafe { change(job, |wishes, _| wishes.paused = is_paused) }
}

/// Says whether the game is played: nothing is handed out or installed then, and what is fetched
/// freshet_set_while_playing bounds.
///
/// # Safety
/// `job` was handed out by freshet_start, and not released.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn freshet_set_playing(job: *const FreshetJob, is_playing: bool) -> i32 {
    // SAFETY: as the caller promises.
    unsafe { change(job, |wishes, _| wishes.playing = is_playing) }
}

/// Sets what is fetched while the game is played: so many bytes a second, at least 64000, or 0: nothing, as at first.
///
/// # Safety
/// `job` was handed out by freshet_start, and not released.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn freshet_set_while_playing(job: *const FreshetJob, bytes_per_second: u64) -> i32 {
    let rate = download_rate(bytes_per_second);
    let set = |wishes: &mut Wishes, _, rate: Option<u64>| {
        wishes.while_playing = rate.map_or(WhilePlaying::Nothing, WhilePlaying::BytesPerSecond);
    };
    // SAFETY: as the caller promises.
    unsafe { change_by(job, rate, set) }
}

/// Bounds what is fetched from all together, in bytes a second, at least 64000; 0: no bound.
///
/// # Safety
/// `job` was handed out by freshet_start, and not released.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn freshet_set_download_rate(job: *const FreshetJob, bytes_per_second: u64) -> i32 {
    let rate = download_rate(bytes_per_second);
    let set = |wishes: &mut Wishes, base, rate| wishes.policy_mut(base).download_bytes_s_max = rate;
    // SAFETY: as the caller promises.
    unsafe { change_by(job, rate, set) }
}

/// Bounds what is handed to peers, in bytes a second; 0: no bound.
///
/// # Safety
/// `job` was handed out by freshet_start, and not released.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn freshet_set_upload_rate(job: *const FreshetJob, bytes_per_second: u64) -> i32 {
    // SAFETY: as the caller promises.
    unsafe {
        change(job, |wishes, base| wishes.policy_mut(base).upload_bytes_s_max = bound(bytes_per_second))
    }
}

/// Says whether something is handed to peers. Ask the player first.
///
/// # Safety
/// `job` was handed out by freshet_start, and not released.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn freshet_set_sharing(job: *const FreshetJob, is_sharing: bool) -> i32 {
    // SAFETY: as the caller promises.
    unsafe { change(job, |wishes, base| wishes.policy_mut(base).sharing = is_sharing) }
}

/// Sets the hours of the day at which something may be done, like 02:00-08:00 by the local clock; NULL: all.
///
/// # Safety
/// `job` was handed out by freshet_start, and not released; `hours` is NULL, or ends with a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn freshet_set_hours(job: *const FreshetJob, hours: *const c_char) -> i32 {
    // SAFETY: as the caller promises.
    let hours = unsafe { strings::read("hours", hours) }.and_then(|hours| parsed("hours", hours));
    // SAFETY: as the caller promises.
    unsafe { change_by(job, hours, |wishes, _, hours| wishes.hours = hours) }
}
