//! Questions about installations, and their end.

use std::ffi::c_char;
use std::path::Path;

use freshet_edge_node::{ChangedFiles, plan, uninstall, verify};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::error::{FRESHET_OK, Failure, FreshetResult, guard};
use crate::job::runtime;
use crate::options::{self, FreshetOptions};
use crate::strings;

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("own values are valid JSON")
}

/// Says what a job with these options would fetch, write and need, as JSON like `freshet-node plan --json`, and fetches none
/// of it.
///
/// # Safety
/// As for freshet_start; `json` is NULL, or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn freshet_plan(options: *const FreshetOptions, json: *mut *mut c_char) -> i32 {
    guard(|| {
        // SAFETY: as the caller promises.
        let options = unsafe { options::take(options) }?;
        // SAFETY: as the caller promises.
        let options = unsafe { options.to_rust() }?;
        let planned = runtime()?.block_on(plan(&options, CancellationToken::new()))?;
        // SAFETY: as the caller promises.
        unsafe { strings::hand_out(json, self::json(&planned)) };
        Ok(FRESHET_OK as i32)
    })
}

/// Compares an installation with its signed manifest, as JSON like `freshet-node verify --json`: FRESHET_OK, or
/// FRESHET_NOT_WHOLE. With `is_fast`, files that look as they were left are believed.
///
/// # Safety
/// `folder` ends with a zero; `json` is NULL, or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn freshet_verify(folder: *const c_char, is_fast: bool, json: *mut *mut c_char) -> i32 {
    guard(|| {
        // SAFETY: as the caller promises.
        let folder = unsafe { strings::need("folder", folder) }?;
        let verified = runtime()?.block_on(verify(Path::new(folder), is_fast, CancellationToken::new()))?;
        // SAFETY: as the caller promises.
        unsafe { strings::hand_out(json, self::json(&verified)) };
        if verified.is_whole() {
            return Ok(FRESHET_OK as i32);
        }
        let (changed, missing) = (verified.changed.len(), verified.missing.len());
        let message = format!("{changed} files are changed and {missing} missing; a repair mends that");
        Err(Failure { code: FreshetResult::FRESHET_NOT_WHOLE as i32, message })
    })
}

/// Removes an installation, and all that the node kept in its folder; what the player changed stays, unless
/// `is_changed_removed`. Says what stayed, as JSON.
///
/// # Safety
/// `folder` ends with a zero; `json` is NULL, or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn freshet_uninstall(
    folder: *const c_char,
    is_changed_removed: bool,
    json: *mut *mut c_char,
) -> i32 {
    guard(|| {
        // SAFETY: as the caller promises.
        let folder = unsafe { strings::need("folder", folder) }?;
        let changed = if is_changed_removed { ChangedFiles::Remove } else { ChangedFiles::Keep };
        let kept = runtime()?.block_on(uninstall(Path::new(folder), changed))?;
        // SAFETY: as the caller promises.
        unsafe { strings::hand_out(json, serde_json::json!({ "kept": kept }).to_string()) };
        Ok(FRESHET_OK as i32)
    })
}
