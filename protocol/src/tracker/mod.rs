//! Messages between a client and its tracker: JSON over WebSocket, one object a message (PROTOCOL.md 8).
//!
//! Unknown fields are ignored and unknown message types become [`ClientMessage::Unknown`] or
//! [`ServerMessage::Unknown`], so old and new talk. Sizes are bounded by [`crate::limits::TRACKER_MESSAGE_BYTES_MAX`].

mod check;
mod client;
mod nat;
mod server;

use std::net::SocketAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::limits::TRACKER_MESSAGE_BYTES_MAX;

pub use client::{Announce, ClientMessage, HaveSummary, PairOutcome};
pub use nat::{Dialer, MappedAddress, Nat};
pub use server::{Locality, ServerMessage};

/// The version of these messages that this program speaks.
pub const TRACKER_VERSION: u32 = 1;

/// Why a message was refused. The sender is the guilty side.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrackerMessageError {
    /// Longer than the limit.
    #[error("message is longer than {TRACKER_MESSAGE_BYTES_MAX} bytes")]
    TooLong,
    /// Not JSON, or not of this form.
    #[error("message is not valid: {0}")]
    Malformed(String),
    /// A field is over its limit.
    #[error("{0} is over its limit")]
    OverLimit(&'static str),
}

/// Bytes that travel as base64 in JSON.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Base64(pub Vec<u8>);

impl std::fmt::Debug for Base64 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Base64({} bytes)", self.0.len())
    }
}

impl Serialize for Base64 {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        STANDARD.decode(String::deserialize(d)?).map(Self).map_err(serde::de::Error::custom)
    }
}

/// How a peer can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    /// QUIC, ALPN `freshet/1`.
    Quic,
    /// WebTransport, ALPN `h3`.
    WebTransport,
    /// WebRTC data channels.
    WebRtc,
    /// One that this version does not know.
    #[serde(other)]
    Unknown,
}

/// An address at which a peer may be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// How.
    pub transport: Transport,
    /// Where.
    pub address: SocketAddr,
}

/// What a client signs to prove to its tracker that it holds its key.
pub fn tracker_proof_message(challenge: &[u8]) -> Vec<u8> {
    [b"freshet tracker proof 1\n", challenge].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::RootId;

    #[test]
    fn limits_are_reached() {
        let lease = |want: u32, done: Vec<u32>| {
            let message = ClientMessage::Lease {
                content: "game/demo".parse().expect("name"),
                root: RootId::of(b""),
                want,
                done,
            };
            ClientMessage::decode(message.encode().as_bytes()).map(drop)
        };
        assert_eq!(lease(256, (0..256).collect()), Ok(()));
        assert_eq!(lease(257, vec![]), Err(TrackerMessageError::OverLimit("number of shards")));
        assert_eq!(lease(1, (0..257).collect()), Err(TrackerMessageError::OverLimit("number of shards")));
        assert_eq!(lease(1, vec![4096]), Err(TrackerMessageError::OverLimit("shard")));
        let signal = |len: usize| {
            let message = ClientMessage::Signal { pair: 1, data: "x".repeat(len) };
            ClientMessage::decode(message.encode().as_bytes()).map(drop)
        };
        assert_eq!(signal(4096), Ok(()));
        assert_eq!(signal(4097), Err(TrackerMessageError::OverLimit("signal")));
        assert_eq!(signal(20_000), Err(TrackerMessageError::TooLong));
    }

    #[test]
    fn the_next_version_is_understood() {
        let message = ClientMessage::decode(br#"{"type":"teleport","to":"moon"}"#);
        assert_eq!(message, Ok(ClientMessage::Unknown));
        let message = ServerMessage::decode(br#"{"type":"drain","reconnect_ms":5,"why":"new field"}"#);
        assert_eq!(message, Ok(ServerMessage::Drain { reconnect_ms: 5 }));
    }
}
