//! The client of a tracker: keeps one connection open to one of several trackers, and carries messages.
//!
//! What the tracker knows of this node is gone with the connection, so after each [`TrackerEvent::Up`] the job
//! announces afresh.

mod outbox;
mod session;
mod socket;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use freshet_protocol::{ClientMessage, PeerId, PublicKey, ServerMessage};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::backoff::{Backoff, jitter};
use crate::identity::Identity;
use outbox::Outbox;
use session::SessionEnd;

/// Events that wait for the job; the client stops reading when it is full.
const EVENTS_MAX: usize = 256;
/// Longest first wait before a tracker is tried again, and longest of all.
const WAIT: Duration = Duration::from_millis(500);
const WAIT_MAX: Duration = Duration::from_secs(30);

/// What a client is made of.
#[derive(Debug, Clone)]
pub struct TrackerConfig {
    /// Addresses of trackers, `ws:` or `wss:`, tried in this order and round again.
    pub urls: Vec<String>,
    /// Who this node is.
    pub identity: Arc<Identity>,
    /// Program and version as the tracker sees it, at most 64 bytes.
    pub agent: String,
}

/// What the client tells the job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrackerEvent {
    /// A tracker answers. It knows nothing of this node yet.
    Up {
        /// Its first words.
        welcome: Welcome,
    },
    /// No tracker answers. Comes once, however long it lasts, and once at the start when the first try fails.
    Down {
        /// Why, for people.
        reason: String,
    },
    /// The tracker says something: all but Challenge, Welcome and Drain, which stay inside.
    Message(ServerMessage),
}

/// A tracker's first words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Welcome {
    /// The tracker's address.
    pub url: String,
    /// What it calls this node from now on.
    pub peer: PeerId,
    /// The key of its tickets.
    pub tracker_key: PublicKey,
    /// The address that it sees.
    pub address: SocketAddr,
    /// UDP ports of its STUN service.
    pub stun_ports: Vec<u16>,
    /// Host of that service; none: the host in `url`.
    pub stun_host: Option<String>,
    /// How often to announce when nothing changes, in milliseconds.
    pub announce_ms: u32,
}

/// Starts clients.
#[derive(Debug)]
pub struct TrackerClient;

/// Drives a client. Cheap to clone; all calls return at once.
#[derive(Debug, Clone)]
pub struct TrackerHandle {
    outbox: Arc<Outbox>,
    closing: CancellationToken,
}

/// What the client's task works with.
#[derive(Debug)]
struct Client {
    config: TrackerConfig,
    outbox: Arc<Outbox>,
    closing: CancellationToken,
    events: mpsc::Sender<TrackerEvent>,
}

impl TrackerClient {
    /// Starts to connect. The task ends with [`TrackerHandle::close`], or when the receiver is dropped.
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    pub fn start(config: TrackerConfig) -> (TrackerHandle, mpsc::Receiver<TrackerEvent>) {
        let (events_in, events) = mpsc::channel(EVENTS_MAX);
        let handle = TrackerHandle { outbox: Arc::default(), closing: CancellationToken::new() };
        let client = Client {
            config,
            outbox: Arc::clone(&handle.outbox),
            closing: handle.closing.clone(),
            events: events_in,
        };
        tokio::spawn(client.run());
        (handle, events)
    }
}

impl TrackerHandle {
    /// Sends a message, if a tracker answers now; without one it is dropped. Of several announces of one content that
    /// wait, the newest is sent; a full queue drops announces first.
    pub fn send(&self, message: ClientMessage) {
        self.outbox.push(message);
    }

    /// Ends the client; the channel of events closes when the connection is.
    pub fn close(&self) {
        self.closing.cancel();
    }
}

impl Client {
    async fn run(self) {
        let mut backoff = Backoff::new(WAIT, WAIT_MAX);
        let mut is_down = false;
        for url in self.config.urls.iter().cycle() {
            let started = Instant::now();
            let (end, was_up) = tokio::select! {
                () = self.closing.cancelled() => return,
                () = self.events.closed() => return,
                connected = session::connect(&self, url) => match connected {
                    Ok((session, welcome)) => {
                        is_down = false;
                        self.outbox.open();
                        self.tell(TrackerEvent::Up { welcome }).await;
                        (session.run().await, true)
                    }
                    Err(error) => (SessionEnd::Failed { error, retry_at: None }, false),
                }
            };
            self.outbox.shut();
            let SessionEnd::Failed { error, retry_at } = end else { return };
            tracing::debug!(url, %error, "no tracker");
            if !is_down {
                is_down = true;
                self.tell(TrackerEvent::Down { reason: format!("{url}: {error}") }).await;
            }
            let lasted = if was_up { started.elapsed() } else { Duration::ZERO };
            let wait_max = backoff.ended(lasted);
            let retry_at = retry_at.unwrap_or_else(|| Instant::now() + jitter(wait_max));
            tokio::select! {
                () = self.closing.cancelled() => return,
                () = self.events.closed() => return,
                () = tokio::time::sleep_until(retry_at) => {}
            }
        }
        self.tell(TrackerEvent::Down { reason: "no tracker is named".to_owned() }).await;
    }

    async fn tell(&self, event: TrackerEvent) {
        // A job that is gone is seen at the next step.
        let _ = self.events.send(event).await;
    }
}
