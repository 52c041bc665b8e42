//! Text over the border.

use std::ffi::{CStr, CString, c_char};

use crate::error::Failure;

/// A text that the caller passes, if any.
///
/// # Safety
/// `text` is null, or leads to bytes that end with a zero.
pub(crate) unsafe fn read<'a>(name: &str, text: *const c_char) -> Result<Option<&'a str>, Failure> {
    if text.is_null() {
        return Ok(None);
    }
    // SAFETY: not null, so it ends with a zero, as the caller promises.
    let text = unsafe { CStr::from_ptr(text) };
    text.to_str().map(Some).map_err(|_| Failure::usage(format!("{name} is not UTF-8")))
}

/// As [`read`], of a text that must be there.
///
/// # Safety
/// As for [`read`].
pub(crate) unsafe fn need<'a>(name: &str, text: *const c_char) -> Result<&'a str, Failure> {
    // SAFETY: as the caller promises.
    let text = unsafe { read(name, text) }?;
    text.ok_or_else(|| Failure::usage(format!("{name} is NULL")))
}

/// Hands out a text, which the caller gives back.
///
/// # Safety
/// `place` is null, or may be written to.
pub(crate) unsafe fn hand_out(place: *mut *mut c_char, text: String) {
    if !place.is_null() {
        let text = CString::new(text).unwrap_or_default().into_raw();
        // SAFETY: not null, so it may be written to, as the caller promises.
        unsafe { place.write(text) };
    }
}

/// Frees a text that a function handed out through a `char **`. NULL is well.
///
/// # Safety
/// `text` was handed out by this library, and not freed before.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn freshet_free_string(text: *mut c_char) {
    if !text.is_null() {
        // SAFETY: it comes from `into_raw` in `hand_out`, once, as the caller promises.
        drop(unsafe { CString::from_raw(text) });
    }
}

/// The library's version, like "0.1.0".
#[unsafe(no_mangle)]
pub extern "C" fn freshet_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}
