//! Live streams: segments and playlists come in over HTTP or appear in a folder; they are stored, signed and shown, in
//! this order, and go when they are older than the window.

mod files;
mod http;
mod options;
mod room;
mod sweep;
mod watch;

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

pub use options::{IngestError, IngestOptions, Input};
pub(super) use options::{check_folder, check_knobs};
use room::Room;

/// A stream that is taken in. Dropped, it stops at once.
#[derive(Debug)]
pub struct Ingesting {
    address: Option<SocketAddr>,
    stop: DropGuard,
    task: JoinHandle<()>,
}

/// Starts to take in a stream.
///
/// # Errors
/// [`IngestError`] when the options make no sense, the store fails, or the address cannot be listened on.
pub async fn ingest(options: IngestOptions) -> Result<Ingesting, IngestError> {
    options.check()?;
    let IngestOptions { store, key, content, input, trackers, dvr } = options;
    let room = Arc::new(Room::open(store, content, key, trackers, dvr).await?);
    let stop = CancellationToken::new();
    let sweeping = sweep::run(room.clone());
    let (address, work): (_, Pin<Box<dyn Future<Output = ()> + Send>>) = match input {
        Input::Http { listen, token } => {
            let (address, work) = http::listen(listen, token, room.clone(), stop.clone()).await?;
            (Some(address), Box::pin(work))
        }
        Input::Watch(folder) => {
            let (watching, stopped) = (watch::run(room.clone(), folder), stop.clone());
            (None, Box::pin(async move { stopped.run_until_cancelled(watching).await.unwrap_or(()) }))
        }
    };
    let task = tokio::spawn(async move {
        tokio::select! {
            () = work => {}
            () = sweeping => {}
        }
        // Nobody else has it any more, unless something that came in has not ended within its grace.
        if let Some(room) = Arc::into_inner(room) {
            room.finish().await;
        }
    });
    Ok(Ingesting { address, stop: stop.drop_guard(), task })
}

impl Ingesting {
    /// Where it listens, where it comes in over HTTP.
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Stops; what is on its way has a few seconds to end.
    pub async fn shutdown(self) {
        drop(self.stop);
        if let Err(error) = self.task.await {
            tracing::error!(%error, "taking in the stream ended badly");
        }
    }
}
