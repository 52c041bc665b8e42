//! One connection to a tracker, from the challenge to its end. It takes part in no swarm: it only speaks.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use freshet_protocol::limits::TRACKER_MESSAGE_BYTES_MAX;
use freshet_protocol::{
    Base64, ClientMessage, ServerMessage, SigningKey, TRACKER_VERSION, TrackerMessageError,
    tracker_proof_message,
};
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, MissedTickBehavior, timeout};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

use super::outbox::Outbox;

/// Time from dialing to Welcome.
const CONNECT_TIME: Duration = Duration::from_secs(10);
/// Time for a message to leave.
const SEND_TIME: Duration = Duration::from_secs(10);
/// How long to wait for a tracker's objection.
const OBJECTION_TIME: Duration = Duration::from_millis(250);
/// How often a sign of life is asked for.
const PING_TIME: Duration = Duration::from_secs(20);
/// Silence after which the tracker is gone.
const SILENCE_TIME: Duration = Duration::from_secs(50);

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Why there is no session, or no longer.
#[derive(Debug, thiserror::Error)]
pub(super) enum SessionError {
    #[error("{0}")]
    Socket(Box<Error>),
    #[error("it does not answer within {} s", CONNECT_TIME.as_secs())]
    Connect,
    #[error("it does not take messages any more")]
    Send,
    #[error("it closed the connection")]
    Closed,
    #[error("it has been silent for {} s", SILENCE_TIME.as_secs())]
    Silence,
    #[error("it said something else than {0}")]
    Unexpected(&'static str),
    #[error("it refused ({code}): {message}")]
    Refused { code: String, message: String },
    #[error("its {0}")]
    Message(#[from] TrackerMessageError),
    #[error("it is about to stop")]
    Drained,
}

impl From<Error> for SessionError {
    fn from(error: Error) -> Self {
        match error {
            Error::ConnectionClosed | Error::AlreadyClosed => Self::Closed,
            error => Self::Socket(Box::new(error)),
        }
    }
}

/// Says one thing to a tracker, waits a moment for its objection, and hangs up. How long that may take, the caller bounds.
pub(super) async fn say(url: &str, key: &SigningKey, message: &ClientMessage) -> Result<(), SessionError> {
    let mut socket = greet(url, key).await?;
    send(&mut socket, Message::text(message.encode())).await?;
    let objection = async {
        loop {
            if let ServerMessage::Error { code, message } = next(&mut socket).await? {
                return Err(SessionError::Refused { code, message });
            }
        }
    };
    timeout(OBJECTION_TIME, objection).await.unwrap_or(Ok(()))
}

/// What a session is made of.
pub(super) struct Session {
    pub(super) url: String,
    pub(super) key: Arc<SigningKey>,
    pub(super) outbox: Arc<Outbox>,
}

impl Session {
    /// Connects and sends messages until that fails; tells why.
    pub(super) async fn run(&self) -> SessionError {
        let error = self.try_run().await;
        self.outbox.done();
        error
    }

    async fn try_run(&self) -> SessionError {
        let greeted =
            timeout(CONNECT_TIME, greet(&self.url, &self.key)).await.unwrap_or(Err(SessionError::Connect));
        match greeted {
            Ok(socket) => match self.carry(socket).await {
                Ok(never) => match never {},
                Err(error) => error,
            },
            Err(error) => error,
        }
    }

    async fn carry(&self, mut socket: Socket) -> Result<std::convert::Infallible, SessionError> {
        let mut ping = tokio::time::interval(PING_TIME);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard = Instant::now();
        loop {
            tokio::select! {
                message = self.outbox.next() => {
                    send(&mut socket, Message::text(message)).await?;
                    self.outbox.done();
                }
                message = socket.next() => {
                    heard = Instant::now();
                    match decode(message.ok_or(SessionError::Closed)??)? {
                        Some(ServerMessage::Drain { .. }) => return Err(SessionError::Drained),
                        // Such as: not a publisher. It will not change its mind about one entry and take the next.
                        Some(ServerMessage::Error { code, message }) => {
                            return Err(SessionError::Refused { code, message });
                        }
                        _ => {}
                    }
                }
                _ = ping.tick() => {
                    if heard.elapsed() >= SILENCE_TIME {
                        return Err(SessionError::Silence);
                    }
                    send(&mut socket, Message::Ping(Bytes::new())).await?;
                }
            }
        }
    }
}

async fn greet(url: &str, key: &SigningKey) -> Result<Socket, SessionError> {
    let config = WebSocketConfig::default()
        .read_buffer_size(TRACKER_MESSAGE_BYTES_MAX)
        .write_buffer_size(0)
        .max_message_size(Some(TRACKER_MESSAGE_BYTES_MAX))
        .max_frame_size(Some(TRACKER_MESSAGE_BYTES_MAX));
    // Messages are small and urgent, so Nagle's algorithm is off.
    let (mut socket, _) = Box::pin(connect_async_with_config(url, Some(config), true)).await?;
    let ServerMessage::Challenge { nonce } = next(&mut socket).await? else {
        return Err(SessionError::Unexpected("a challenge"));
    };
    let hello = ClientMessage::Hello {
        version_min: TRACKER_VERSION,
        version_max: TRACKER_VERSION,
        key: key.public(),
        proof: Base64(key.sign(&tracker_proof_message(&nonce.0)).to_vec()),
        agent: concat!("freshet-origin/", env!("CARGO_PKG_VERSION")).to_owned(),
        token: None,
    };
    send(&mut socket, Message::text(hello.encode())).await?;
    match next(&mut socket).await? {
        ServerMessage::Welcome { .. } => Ok(socket),
        ServerMessage::Error { code, message } => Err(SessionError::Refused { code, message }),
        _ => Err(SessionError::Unexpected("a welcome")),
    }
}

async fn send(socket: &mut Socket, message: Message) -> Result<(), SessionError> {
    Ok(timeout(SEND_TIME, socket.send(message)).await.map_err(|_| SessionError::Send)??)
}

/// The next message during the greeting.
async fn next(socket: &mut Socket) -> Result<ServerMessage, SessionError> {
    loop {
        let message = socket.next().await.ok_or(SessionError::Closed)??;
        if let Some(message) = decode(message)? {
            return Ok(message);
        }
    }
}

/// What the tracker said; none for signs of life, and for what this version does not know.
fn decode(message: Message) -> Result<Option<ServerMessage>, SessionError> {
    match message {
        Message::Text(text) => match ServerMessage::decode(text.as_bytes())? {
            ServerMessage::Unknown => Ok(None),
            message => Ok(Some(message)),
        },
        Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => Ok(None),
        Message::Binary(_) => Err(SessionError::Unexpected("text")),
        Message::Close(_) => Err(SessionError::Closed),
    }
}
