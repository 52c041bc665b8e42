//! Jobs: started, waited for, released.

use std::ffi::{c_char, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{JoinHandle, ThreadId};
use std::time::{Duration, Instant};

use freshet_edge_node::{Control, Event, GetError, GetOptions, Policy, Preload, Report, follow, get, repair};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::error::{FRESHET_FAILED, FRESHET_INTERNAL, FRESHET_OK, Failure, FreshetResult, guard};
use crate::event::{FreshetEventCallback, Teller};
use crate::options::{self, FreshetMode, FreshetOptions};
use crate::strings;

/// Events that may wait for a slow callback.
const EVENTS_MAX: usize = 64;
/// Threads that a job works with beside the one for its callback.
const WORKERS: usize = 2;

/// A job. It ends when it is released, at the latest.
pub struct FreshetJob {
    pub(crate) control: Control,
    /// The policy that it began with.
    pub(crate) base: Policy,
    stop: CancellationToken,
    state: Arc<State>,
    thread: Option<JoinHandle<()>>,
    thread_id: ThreadId,
}

#[derive(Default)]
struct State {
    end: Mutex<Option<End>>,
    ended: Condvar,
}

#[derive(Clone)]
struct End {
    code: i32,
    message: String,
    report: String,
}

/// Where events go.
struct Listener {
    callback: FreshetEventCallback,
    user: *mut c_void,
}

// SAFETY: the header says that the callback is called on a thread of the job, with `user`.
unsafe impl Send for Listener {}

/// Starts a job. It is handed out through `job`, and is to be released.
///
/// # Safety
/// `options` is as freshet_options_init filled it in, with texts that end with a zero; `job` may be written to. The callback
/// may be called, with `user`, until the job is released.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn freshet_start(options: *const FreshetOptions, job: *mut *mut FreshetJob) -> i32 {
    guard(|| {
        if job.is_null() {
            return Err(Failure::usage("job is NULL"));
        }
        // SAFETY: as the caller promises.
        let options = unsafe { options::take(options) }?;
        let mode = options.mode()?;
        // SAFETY: as the caller promises.
        let wanted = unsafe { options.to_rust() }?;
        let listener = Listener { callback: options.on_event, user: options.user };
        let started = Box::new(FreshetJob::start(wanted, mode, listener)?);
        // SAFETY: not null, so it may be written to, as the caller promises.
        unsafe { job.write(Box::into_raw(started)) };
        Ok(FRESHET_OK as i32)
    })
}

/// Waits until the job is over, at most `timeout_ms` milliseconds (UINT32_MAX: as long as it takes): how it went, or
/// FRESHET_TIMEOUT.
///
/// # Safety
/// `job` was handed out by freshet_start, and not released.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn freshet_wait(job: *const FreshetJob, timeout_ms: u32) -> i32 {
    guard(|| {
        // SAFETY: as the caller promises.
        let job = unsafe { known(job) }?;
        job.outside_of_callbacks()?;
        let until =
            (timeout_ms < u32::MAX).then(|| Instant::now() + Duration::from_millis(timeout_ms.into()));
        match job.state.wait(until) {
            None => {
                let message = format!("the job is not over after {timeout_ms} ms");
                Err(Failure { code: FreshetResult::FRESHET_TIMEOUT as i32, message })
            }
            Some(End { code: 0, .. }) => Ok(FRESHET_OK as i32),
            Some(End { code, message, .. }) => Err(Failure { code, message }),
        }
    })
}

/// Ends the job, within two seconds, and does not wait for that. What was fetched is kept.
///
/// # Safety
/// `job` was handed out by freshet_start, and not released.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn freshet_stop(job: *const FreshetJob) -> i32 {
    guard(|| {
        // SAFETY: as the caller promises.
        unsafe { known(job) }?.stop.cancel();
        Ok(FRESHET_OK as i32)
    })
}

/// Hands out what a job did that is over, as JSON, like the last line of `freshet-node --json`.
///
/// # Safety
/// `job` was handed out by freshet_start, and not released; `json` may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn freshet_report(job: *const FreshetJob, json: *mut *mut c_char) -> i32 {
    guard(|| {
        // SAFETY: as the caller promises.
        let job = unsafe { known(job) }?;
        let end = job.state.end().clone().ok_or_else(|| Failure::usage("the job is not over"))?;
        // SAFETY: as the caller promises.
        unsafe { strings::hand_out(json, end.report) };
        Ok(FRESHET_OK as i32)
    })
}

/// Ends the job if it is not over, waits for that, and frees it. No callback comes after this. NULL is well.
///
/// # Safety
/// `job` is NULL, or was handed out by freshet_start and not released; nobody uses it at the same time, or later.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn freshet_release(job: *mut FreshetJob) -> i32 {
    guard(|| {
        if job.is_null() {
            return Ok(FRESHET_OK as i32);
        }
        // SAFETY: not null, as the caller promises.
        unsafe { known(job) }?.outside_of_callbacks()?;
        // SAFETY: it comes from `into_raw` in `freshet_start`, once, as the caller promises.
        drop(unsafe { Box::from_raw(job) });
        Ok(FRESHET_OK as i32)
    })
}

/// # Safety
/// `job` is null, or was handed out by [`freshet_start`] and not released.
pub(crate) unsafe fn known<'a>(job: *const FreshetJob) -> Result<&'a FreshetJob, Failure> {
    // SAFETY: as the caller promises.
    unsafe { job.as_ref() }.ok_or_else(|| Failure::usage("job is NULL"))
}

impl FreshetJob {
    fn start(options: GetOptions, mode: FreshetMode, listener: Listener) -> Result<Self, Failure> {
        let runtime = runtime()?;
        let (control, base) = (options.control.clone(), options.policy);
        let (stop, state) = (CancellationToken::new(), Arc::<State>::default());
        let work = {
            let (stop, state) = (stop.clone(), state.clone());
            move || {
                let done =
                    catch_unwind(AssertUnwindSafe(|| runtime.block_on(work(options, mode, stop, listener))));
                // Tasks that hang in the disk keep nobody.
                runtime.shutdown_timeout(Duration::from_secs(1));
                state.set(done.unwrap_or_else(|_| End {
                    code: FRESHET_INTERNAL as i32,
                    message: "the library failed; please report this".to_owned(),
                    report: "{}".to_owned(),
                }));
            }
        };
        let thread = std::thread::Builder::new().name("freshet-job".to_owned()).spawn(work);
        let thread = thread.map_err(|error| Failure {
            code: FRESHET_FAILED as i32,
            message: format!("cannot start a thread: {error}"),
        })?;
        let thread_id = thread.thread().id();
        Ok(Self { control, base, stop, state, thread: Some(thread), thread_id })
    }

    /// From a callback this would wait for itself.
    fn outside_of_callbacks(&self) -> Result<(), Failure> {
        if std::thread::current().id() == self.thread_id {
            return Err(Failure::usage("this must not be called from the job's own callback"));
        }
        Ok(())
    }
}

impl Drop for FreshetJob {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            // It has caught its own panics.
            let _ = thread.join();
        }
    }
}

impl State {
    fn end(&self) -> MutexGuard<'_, Option<End>> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, end: End) {
        *self.end() = Some(end);
        self.ended.notify_all();
    }

    fn wait(&self, until: Option<Instant>) -> Option<End> {
        let mut end = self.end();
        while end.is_none() {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            end = match left {
                Some(Duration::ZERO) => break,
                Some(left) => self.ended.wait_timeout(end, left).unwrap_or_else(PoisonError::into_inner).0,
                None => self.ended.wait(end).unwrap_or_else(PoisonError::into_inner),
            };
        }
        end.clone()
    }
}

/// Does the job, and tells what happens on this thread.
async fn work(options: GetOptions, mode: FreshetMode, stop: CancellationToken, listener: Listener) -> End {
    let (sender, mut events) = mpsc::channel::<Event>(EVENTS_MAX);
    let started = tokio::time::Instant::now();
    let job = match mode {
        FreshetMode::FRESHET_GET => tokio::spawn(get(options, sender, stop, started)),
        FreshetMode::FRESHET_FOLLOW => {
            let options = GetOptions { preload: Preload::Also, ..options };
            tokio::spawn(follow(options, sender, stop))
        }
        FreshetMode::FRESHET_REPAIR => tokio::spawn(repair(options, sender, stop, started)),
    };
    let mut teller = Teller::new(listener.callback, listener.user);
    while let Some(event) = events.recv().await {
        teller.tell(&event);
    }
    let (report, result) = job.await.unwrap_or_else(|_| {
        (Report::default(), Err(GetError::Other("the job failed in a way that it should not".to_owned())))
    });
    let code = result.as_ref().err().map_or(0, |error| i32::from(error.exit_code()));
    teller.ended(&report, &result, code);
    End {
        code,
        message: result.err().map_or_else(String::new, |error| error.to_string()),
        report: serde_json::to_string(&report).expect("a report is valid JSON"),
    }
}

/// What jobs and questions run on.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    // Another one that the process has installed does as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .thread_name("freshet")
        .enable_all()
        .build();
    runtime.map_err(|error| Failure {
        code: FRESHET_FAILED as i32,
        message: format!("cannot start threads: {error}"),
    })
}
