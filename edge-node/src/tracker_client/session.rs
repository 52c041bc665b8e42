//! One connection to one tracker, from the challenge to its end.

use std::time::Duration;

use freshet_protocol::limits::TRACKER_MESSAGE_BYTES_MAX;
use freshet_protocol::{
    Base64, ClientMessage, ServerMessage, TRACKER_VERSION, TrackerMessageError, tracker_proof_message,
};
use tokio::time::{Instant, MissedTickBehavior};

use super::socket::{Received, Socket, SocketError};
use super::{Client, TrackerEvent, Welcome};
use crate::backoff::jitter;

/// Time from dialing to Welcome.
const CONNECT_TIME: Duration = Duration::from_secs(10);
/// Time for a message to leave.
const SEND_TIME: Duration = Duration::from_secs(10);
/// How often a sign of life is asked for; also keeps NAT mappings open.
const PING_TIME: Duration = Duration::from_secs(20);
/// Silence after which the tracker is gone.
const SILENCE_TIME: Duration = Duration::from_secs(50);
/// Malformed messages after which a tracker is left.
const FAULTS_MAX: u32 = 16;
/// Longest wait that a tracker may ask for when it stops.
const RECONNECT_MAX: Duration = Duration::from_secs(300);

/// Why there is no session, or no longer.
#[derive(Debug, thiserror::Error)]
pub(super) enum SessionError {
    #[error("{0}")]
    Socket(#[from] SocketError),
    #[error("the tracker does not answer within {} s", CONNECT_TIME.as_secs())]
    Connect,
    #[error("the tracker does not take messages any more")]
    Send,
    #[error("the tracker has been silent for {} s", SILENCE_TIME.as_secs())]
    Silence,
    #[error("the tracker said something else than {0}")]
    Unexpected(&'static str),
    #[error("the tracker refused this node ({code}): {message}")]
    Refused { code: String, message: String },
    #[error("the tracker speaks version {0}, this program {TRACKER_VERSION}")]
    Version(u32),
    #[error("the tracker's {0}")]
    Message(#[from] TrackerMessageError),
    #[error("the tracker sends malformed messages: {0}")]
    Faults(TrackerMessageError),
    #[error("the tracker stops, and another is to be asked")]
    Drained,
}

/// How a session ended.
pub(super) enum SessionEnd {
    /// This side wants it.
    Closed,
    Failed {
        error: SessionError,
        /// Earliest next try, where the tracker named one.
        retry_at: Option<Instant>,
    },
}

/// A session that is up.
pub(super) struct Session<'a> {
    client: &'a Client,
    socket: Socket,
    heard: Instant,
    faults: u32,
    /// When to leave a tracker that is about to stop.
    leave_at: Option<Instant>,
}

/// Connects to `url` and proves the key.
pub(super) async fn connect<'a>(
    client: &'a Client,
    url: &str,
) -> Result<(Session<'a>, Welcome), SessionError> {
    let greeted = tokio::time::timeout(CONNECT_TIME, greet(client, url)).await;
    let (socket, welcome) = greeted.map_err(|_| SessionError::Connect)??;
    Ok((Session { client, socket, heard: Instant::now(), faults: 0, leave_at: None }, welcome))
}

async fn greet(client: &Client, url: &str) -> Result<(Socket, Welcome), SessionError> {
    let mut socket = Socket::connect(url).await?;
    let ServerMessage::Challenge { nonce } = next_message(&mut socket).await? else {
        return Err(SessionError::Unexpected("a challenge"));
    };
    let hello = ClientMessage::Hello {
        version_min: TRACKER_VERSION,
        version_max: TRACKER_VERSION,
        key: client.config.identity.key(),
        proof: Base64(client.config.identity.sign(&tracker_proof_message(&nonce.0)).to_vec()),
        agent: client.config.agent.clone(),
        token: None,
    };
    socket.send(hello.encode()).await?;
    match next_message(&mut socket).await? {
        ServerMessage::Welcome { version, .. } if version != TRACKER_VERSION => {
            Err(SessionError::Version(version))
        }
        ServerMessage::Welcome {
            version: _,
            peer,
            tracker_key,
            address,
            stun_ports,
            stun_host,
            announce_ms,
        } => {
            let url = url.to_owned();
            Ok((socket, Welcome { url, peer, tracker_key, address, stun_ports, stun_host, announce_ms }))
        }
        ServerMessage::Error { code, message } => Err(SessionError::Refused { code, message }),
        _ => Err(SessionError::Unexpected("a welcome")),
    }
}

/// The next message during the greeting.
async fn next_message(socket: &mut Socket) -> Result<ServerMessage, SessionError> {
    loop {
        match socket.next().await? {
            Received::Text(text) => match ServerMessage::decode(text.as_bytes())? {
                ServerMessage::Unknown => {}
                message => return Ok(message),
            },
            Received::Alive => {}
            Received::Binary => return Err(SessionError::Unexpected("text")),
        }
    }
}

impl Session<'_> {
    /// Carries messages both ways until the end.
    pub(super) async fn run(mut self) -> SessionEnd {
        match self.carry().await {
            Ok(()) => {
                let _ = tokio::time::timeout(SEND_TIME, self.socket.close()).await;
                SessionEnd::Closed
            }
            Err(error) => {
                let retry_at = self.leave_at;
                if matches!(error, SessionError::Drained) {
                    let _ = tokio::time::timeout(SEND_TIME, self.socket.close()).await;
                }
                SessionEnd::Failed { error, retry_at }
            }
        }
    }

    async fn carry(&mut self) -> Result<(), SessionError> {
        let client = self.client;
        let mut ping = tokio::time::interval(PING_TIME);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let leave_at = self.leave_at;
            tokio::select! {
                () = client.closing.cancelled() => return Ok(()),
                () = client.events.closed() => return Ok(()),
                () = tokio::time::sleep_until(leave_at.unwrap_or_else(Instant::now)), if leave_at.is_some() => {
                    return Err(SessionError::Drained);
                }
                message = client.outbox.next() => self.send(&message).await?,
                received = self.socket.next() => self.take(received?).await?,
                _ = ping.tick() => {
                    if self.heard.elapsed() >= SILENCE_TIME {
                        return Err(SessionError::Silence);
                    }
                    timely(self.socket.ping()).await?;
                }
            }
        }
    }

    async fn send(&mut self, message: &ClientMessage) -> Result<(), SessionError> {
        let text = message.encode();
        if text.len() > TRACKER_MESSAGE_BYTES_MAX {
            tracing::warn!(bytes = text.len(), "a message that is too long for the tracker is left out");
            return Ok(());
        }
        timely(self.socket.send(text)).await
    }

    async fn take(&mut self, received: Received) -> Result<(), SessionError> {
        self.heard = Instant::now();
        let decoded = match received {
            Received::Alive => return Ok(()),
            Received::Text(text) => ServerMessage::decode(text.as_bytes()),
            Received::Binary => Err(TrackerMessageError::Malformed("not text".to_owned())),
        };
        match decoded {
            Ok(ServerMessage::Drain { reconnect_ms }) => {
                let wait = jitter(Duration::from_millis(reconnect_ms.into()).min(RECONNECT_MAX));
                self.leave_at.get_or_insert_with(|| Instant::now() + wait);
            }
            // Nothing new at this point, or nothing that this version knows.
            Ok(ServerMessage::Challenge { .. } | ServerMessage::Welcome { .. } | ServerMessage::Unknown) => {}
            Ok(message) => {
                // A job that is gone is seen by the loop.
                let _ = self.client.events.send(TrackerEvent::Message(message)).await;
            }
            Err(error) => {
                tracing::debug!(%error, "malformed message from the tracker");
                self.faults += 1;
                if self.faults >= FAULTS_MAX {
                    return Err(SessionError::Faults(error));
                }
            }
        }
        Ok(())
    }
}

async fn timely(sending: impl Future<Output = Result<(), SocketError>>) -> Result<(), SessionError> {
    Ok(tokio::time::timeout(SEND_TIME, sending).await.map_err(|_| SessionError::Send)??)
}
