//! The client of a tracker: keeps one connection open to one of several trackers, and carries messages.
//!
//! They are tried in their order. Who is with another than the first looks from time to time whether one before it answers
//! again, and changes over once it is connected there: peers of one swarm come together again.
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
use session::{Session, SessionEnd};

/// Events that wait for the job; the client stops reading when it is full.
const EVENTS_MAX: usize = 256;
/// Longest first wait before a tracker is tried again, and longest of all.
const WAIT: Duration = Duration::from_millis(500);
const WAIT_MAX: Duration = Duration::from_secs(30);

/// How long to stay with a tracker that is not the first before those before it are looked at again, at least; at most
/// twice as long, so that a tracker that is back is not stormed.
const RETURN_AFTER: Duration = Duration::from_secs(300);

/// What a client is made of.
#[derive(Debug, Clone)]
pub struct TrackerConfig {
    /// Addresses of trackers, `ws:` or `wss:`, tried in this order: the first that answers is used.
    pub urls: Vec<String>,
    /// Who this node is.
    pub identity: Arc<Identity>,
    /// Program and version as the tracker sees it, at most 64 bytes.
    pub agent: String,
    /// How long to stay with a tracker that is not the first before those before it are tried again, at least; at most twice
    /// as long.
    pub return_after: Duration,
}

impl TrackerConfig {
    /// The usual times.
    pub fn new(urls: Vec<String>, identity: Arc<Identity>, agent: impl Into<String>) -> Self {
        Self { urls, identity, agent: agent.into(), return_after: RETURN_AFTER }
    }
}

/// What the client tells the job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrackerEvent {
    /// A tracker answers. It knows nothing of this node yet.
    Up {
        /// Its first words.
        welcome: Welcome,
    },
    /// No tracker answers, or another one is about to be used. Comes once, however long it lasts, and once at the start when
    /// the first try fails.
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
    /// Stays with the first tracker that answers; ends when it is closed, or where none is named.
    async fn run(self) {
        let mut backoff = Backoff::new(WAIT, WAIT_MAX);
        let (mut place, mut is_down) = (0, false);
        while let Some(url) = self.config.urls.get(place) {
            let started = Instant::now();
            let Some(connected) = self.unless_closed(session::connect(&self, url)).await else { return };
            let was_up = connected.is_ok();
            let end = match connected {
                Ok(connected) => {
                    is_down = false;
                    self.stay(&mut place, connected).await
                }
                Err(error) => SessionEnd::Failed { error, retry_at: None },
            };
            let SessionEnd::Failed { error, retry_at } = end else { return };
            let url = &self.config.urls[place];
            tracing::debug!(url, %error, "no tracker");
            if !is_down {
                is_down = true;
                self.tell(TrackerEvent::Down { reason: format!("{url}: {error}") }).await;
            }
            place = self.place_after(place, was_up);
            let wait_max = backoff.ended(if was_up { started.elapsed() } else { Duration::ZERO });
            let retry_at = retry_at.unwrap_or_else(|| Instant::now() + jitter(wait_max));
            if self.unless_closed(tokio::time::sleep_until(retry_at)).await.is_none() {
                return;
            }
        }
        self.tell(TrackerEvent::Down { reason: "no tracker is named".to_owned() }).await;
    }

    async fn unless_closed<T>(&self, what: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            () = self.closing.cancelled() => None,
            () = self.events.closed() => None,
            done = what => Some(done),
        }
    }

    /// Which tracker to try after the one at `place`: the next; after one that was used, the first of the others.
    fn place_after(&self, place: usize, was_up: bool) -> usize {
        if was_up && place > 0 { 0 } else { (place + 1) % self.config.urls.len() }
    }

    /// Carries messages until the connection ends, changing over to trackers that come before the one at `place`.
    async fn stay<'a>(&'a self, place: &mut usize, mut connected: (Session<'a>, Welcome)) -> SessionEnd {
        loop {
            let (session, welcome) = connected;
            self.outbox.open();
            self.tell(TrackerEvent::Up { welcome }).await;
            tokio::select! {
                end = session.run() => {
                    self.outbox.shut();
                    return end;
                }
                found = self.find_before(*place) => (*place, connected) = found,
            }
            self.outbox.shut();
            let reason = format!("{}: it answers again and comes first", self.config.urls[*place]);
            self.tell(TrackerEvent::Down { reason }).await;
        }
    }

    /// A connection to a tracker that comes before the one at `place`, once there is one.
    async fn find_before(&self, place: usize) -> (usize, (Session<'_>, Welcome)) {
        loop {
            let rest = self.config.return_after;
            tokio::time::sleep(rest + jitter(rest)).await;
            for (before, url) in self.config.urls.iter().enumerate().take(place) {
                match session::connect(self, url).await {
                    Ok(connected) => return (before, connected),
                    Err(error) => tracing::debug!(url, %error, "not back yet"),
                }
            }
        }
    }

    async fn tell(&self, event: TrackerEvent) {
        // A job that is gone is seen at the next step.
        let _ = self.events.send(event).await;
    }
}
