//! The WebSocket to a tracker.

use freshet_protocol::limits::TRACKER_MESSAGE_BYTES_MAX;
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

/// The connection failed, or was closed; why, for people.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct SocketError(String);

/// What came.
#[derive(Debug)]
pub(super) enum Received {
    /// A message.
    Text(String),
    /// A sign of life.
    Alive,
    /// A message of a kind that trackers do not send.
    Binary,
}

/// An open connection.
pub(super) struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Socket {
    /// Connects to a `ws:` or `wss:` address.
    pub(super) async fn connect(url: &str) -> Result<Self, SocketError> {
        let config = WebSocketConfig::default()
            .read_buffer_size(TRACKER_MESSAGE_BYTES_MAX)
            .write_buffer_size(0)
            .max_message_size(Some(TRACKER_MESSAGE_BYTES_MAX))
            .max_frame_size(Some(TRACKER_MESSAGE_BYTES_MAX));
        // Messages are small and urgent, so Nagle's algorithm is off.
        let connected = Box::pin(connect_async_with_config(url, Some(config), true)).await;
        let (stream, _) = connected.map_err(|error| describe(&error))?;
        Ok(Self { stream })
    }

    /// What comes next. Safe to cancel.
    pub(super) async fn next(&mut self) -> Result<Received, SocketError> {
        let closed = || SocketError("the tracker closed the connection".to_owned());
        match self.stream.next().await {
            Some(Ok(Message::Text(text))) => Ok(Received::Text(text.as_str().to_owned())),
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => Ok(Received::Alive),
            Some(Ok(Message::Binary(_))) => Ok(Received::Binary),
            Some(Ok(Message::Close(Some(close)))) if !close.reason.is_empty() => {
                let reason: String = close.reason.chars().filter(|c| !c.is_control()).collect();
                Err(SocketError(format!("the tracker closed the connection: {reason}")))
            }
            Some(Ok(Message::Close(_))) | None => Err(closed()),
            Some(Err(error)) => Err(describe(&error)),
        }
    }

    /// Sends a message.
    pub(super) async fn send(&mut self, text: String) -> Result<(), SocketError> {
        self.stream.send(Message::text(text)).await.map_err(|error| describe(&error))
    }

    /// Asks for a sign of life.
    pub(super) async fn ping(&mut self) -> Result<(), SocketError> {
        self.stream.send(Message::Ping(Default::default())).await.map_err(|error| describe(&error))
    }

    /// Says goodbye; it is too late for an answer to matter.
    pub(super) async fn close(mut self) {
        let _ = self.stream.close(None).await;
    }
}

fn describe(error: &Error) -> SocketError {
    SocketError(match error {
        Error::ConnectionClosed | Error::AlreadyClosed => "the tracker closed the connection".to_owned(),
        Error::Io(error) => error.to_string(),
        Error::Capacity(_) => {
            format!("the tracker sent a message of more than {TRACKER_MESSAGE_BYTES_MAX} bytes")
        }
        Error::Url(error) => format!("not a tracker address (ws:// or wss://): {error}"),
        Error::HttpFormat(error) => format!("not a tracker address (ws:// or wss://): {error}"),
        Error::Http(response) => format!("the server answered {} instead of a WebSocket", response.status()),
        other => other.to_string(),
    })
}
