//! Makes deltas: zstd frames whose prefix is the older bytes.

use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use tokio::sync::oneshot;
use zstd::zstd_safe::{self, CCtx, CParameter};

/// Threads that make deltas, one for each core. They end when this is dropped.
///
/// They are their own: compression takes tens of megabytes, and an allocator keeps for each thread what that once needed,
/// so a pool of many threads would hold many times as much.
pub(super) struct DeltaMakers {
    jobs: Sender<Job>,
}

struct Job {
    base: Vec<u8>,
    chunk: Vec<u8>,
    made: oneshot::Sender<io::Result<Vec<u8>>>,
}

impl DeltaMakers {
    /// # Errors
    /// When the system gives no threads.
    pub(super) fn start(level: i32) -> io::Result<Self> {
        let (jobs, waiting) = channel();
        let waiting = Arc::new(Mutex::new(waiting));
        for _ in 0..cores() {
            let waiting = Arc::clone(&waiting);
            thread::Builder::new().name("deltas".to_owned()).spawn(move || {
                while let Some(Job { base, chunk, made }) = next(&waiting) {
                    // Whoever asked may have given up.
                    let _ = made.send(make(&base, &chunk, level));
                }
            })?;
        }
        Ok(Self { jobs })
    }

    /// The frame in which `chunk` is written with `base` known to the reader.
    ///
    /// # Errors
    /// When the library is out of memory.
    pub(super) async fn make(&self, base: Vec<u8>, chunk: Vec<u8>) -> io::Result<Vec<u8>> {
        let (made, result) = oneshot::channel();
        let gone = || io::Error::other("the threads that make deltas are gone");
        self.jobs.send(Job { base, chunk, made }).map_err(|_| gone())?;
        result.await.map_err(|_| gone())?
    }
}

/// How many deltas are made at a time.
pub(super) fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

fn next(waiting: &Mutex<Receiver<Job>>) -> Option<Job> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}

fn make(base: &[u8], chunk: &[u8], level: i32) -> io::Result<Vec<u8>> {
    let failed = |code| io::Error::other(zstd_safe::get_error_name(code));
    let mut context = CCtx::create();
    let mut set = |parameter| context.set_parameter(parameter).map_err(failed);
    set(CParameter::CompressionLevel(level))?;
    // The window must reach back over the whole prefix.
    set(CParameter::WindowLog((base.len() + chunk.len()).next_power_of_two().ilog2().max(10)))?;
    set(CParameter::ChecksumFlag(false))?;
    context.ref_prefix(base).map_err(failed)?;
    let mut out = Vec::with_capacity(zstd_safe::compress_bound(chunk.len()));
    context.compress2(&mut out, chunk).map_err(failed)?;
    // Deltas wait in hundreds for their pack to be written.
    out.shrink_to_fit();
    Ok(out)
}
