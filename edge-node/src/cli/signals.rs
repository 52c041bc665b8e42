//! The signals that ask the program to end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio_util::sync::CancellationToken;

/// Which signal came, as the exit code that shells know it by; 0 for none.
#[derive(Debug, Clone, Default)]
pub(crate) struct Signals {
    code: Arc<AtomicU8>,
}

impl Signals {
    /// Watches for SIGINT and SIGTERM, the first of which cancels `stop`.
    pub(crate) fn watch(stop: CancellationToken) -> std::io::Result<Self> {
        let signals = Self::default();
        let code = Arc::clone(&signals.code);
        let mut next = Listener::new()?;
        tokio::spawn(async move {
            code.store(next.next().await, Ordering::Relaxed);
            stop.cancel();
        });
        Ok(signals)
    }

    /// The exit code of a program that a signal ended.
    pub(crate) fn exit_code(&self) -> Option<u8> {
        Some(self.code.load(Ordering::Relaxed)).filter(|code| *code != 0)
    }
}

#[cfg(unix)]
struct Listener {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Listener {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) -> u8 {
        tokio::select! {
            _ = self.interrupt.recv() => 130,
            _ = self.terminate.recv() => 143,
        }
    }
}

#[cfg(not(unix))]
struct Listener;

#[cfg(not(unix))]
impl Listener {
    fn new() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> u8 {
        // Without a handler the system ends the program by itself.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        130
    }
}
