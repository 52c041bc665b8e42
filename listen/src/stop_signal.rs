//! What ends the program from outside.

use std::io;

/// SIGTERM or SIGINT, listened for from the moment this is made.
#[cfg(unix)]
#[derive(Debug)]
pub struct StopSignal {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl StopSignal {
    /// Starts to listen.
    ///
    /// # Errors
    /// When the system refuses a listener.
    pub fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for either.
    pub async fn received(mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Ctrl-C.
#[cfg(not(unix))]
#[derive(Debug)]
pub struct StopSignal;

#[cfg(not(unix))]
impl StopSignal {
    /// Starts to listen.
    ///
    /// # Errors
    /// Never here.
    pub fn new() -> io::Result<Self> {
        Ok(Self)
    }

    /// Waits for it.
    pub async fn received(self) {
        if let Err(error) = tokio::signal::ctrl_c().await {
            tracing::error!(%error, "cannot listen for Ctrl-C; stopping");
        }
    }
}
