//! What functions return, and where the words for it are.

use std::cell::RefCell;
use std::ffi::{CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};

use freshet_edge_node::GetError;

/// How it went. The numbers are those of the program's exit codes.
#[repr(i32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::upper_case_acronyms, non_camel_case_types)]
pub enum FreshetResult {
    /// Well.
    FRESHET_OK = 0,
    /// Badly, for another reason than those below.
    FRESHET_FAILED = 1,
    /// The caller asked for what makes no sense.
    FRESHET_USAGE = 2,
    /// The origin cannot be reached, and no peer could stand in for it.
    FRESHET_ORIGIN = 10,
    /// A key, signature or hash is not what it must be.
    FRESHET_FORGED = 11,
    /// The channel's pointer is expired, or older than one seen before.
    FRESHET_OUTDATED = 12,
    /// The disk is full.
    FRESHET_DISK_FULL = 13,
    /// The folder cannot be written.
    FRESHET_NOT_WRITABLE = 14,
    /// The port to listen on is taken.
    FRESHET_PORT_IN_USE = 15,
    /// Something of an installation is not what it must be.
    FRESHET_NOT_WHOLE = 20,
    /// The library failed in a way that it should not; the job is lost, what was fetched is not.
    FRESHET_INTERNAL = 30,
    /// The time to wait is over, and the job is not.
    FRESHET_TIMEOUT = 31,
    /// Stopped before the release was installed.
    FRESHET_STOPPED = 130,
}

pub(crate) use FreshetResult::{FRESHET_FAILED, FRESHET_INTERNAL, FRESHET_OK, FRESHET_USAGE};

/// Why something failed.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: i32,
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { code: FRESHET_USAGE as i32, message: message.into() }
    }
}

impl From<GetError> for Failure {
    fn from(error: GetError) -> Self {
        Self { code: i32::from(error.exit_code()), message: error.to_string() }
    }
}

thread_local! {
    static LAST: RefCell<CString> = RefCell::default();
}

/// Says why the last function that was called in this thread failed. The text is valid until the next call in it; after
/// one that did not fail it is empty.
#[unsafe(no_mangle)]
pub extern "C" fn freshet_last_error() -> *const c_char {
    LAST.with_borrow(|last| last.as_ptr())
}

/// Does what a function is for: no panic leaves it, and what went wrong is kept for [`freshet_last_error`].
pub(crate) fn guard(act: impl FnOnce() -> Result<i32, Failure>) -> i32 {
    let done = catch_unwind(AssertUnwindSafe(act)).unwrap_or_else(|_| {
        Err(Failure {
            code: FRESHET_INTERNAL as i32,
            message: "the library failed; please report this".to_owned(),
        })
    });
    let (code, message) = match done {
        Ok(code) => (code, String::new()),
        Err(Failure { code, message }) => (code, message),
    };
    // The library's own messages have no zero in them; a path of the caller's cannot, either.
    let message = CString::new(message).unwrap_or_default();
    LAST.with_borrow_mut(|last| *last = message);
    code
}
