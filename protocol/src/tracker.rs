//! Messages between a client and its tracker: JSON over WebSocket, one object a message (PROTOCOL.md 8).
//!
//! Unknown fields are ignored and unknown message types become [`ClientMessage::Unknown`] or
//! [`ServerMessage::Unknown`], so old and new talk. Sizes are bounded by [`crate::limits::TRACKER_MESSAGE_BYTES_MAX`].

use std::net::SocketAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::id::{ContentName, Hash, KeyId, PeerId, RootId};
use crate::key::PublicKey;
use crate::limits::{
    ADDRESSES_MAX, AGENT_BYTES_MAX, CERTIFICATES_MAX, CHUNKS_MAX, HOST_BYTES_MAX, INTEGER_MAX,
    LINKS_WANTED_MAX, PUSHED_ENTRY_BYTES_MAX, SHARDS_MAX, SHARDS_PER_MESSAGE_MAX, SIGNAL_BYTES_MAX,
    TRACKER_MESSAGE_BYTES_MAX,
};

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

/// Which shards of a release a peer holds whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HaveSummary {
    /// None yet.
    None,
    /// The whole release.
    All,
    /// One bit a shard, lowest bit of the first byte first.
    Shards(Base64),
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

/// What a client says about itself in one swarm; sent at first and whenever something of it changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announce {
    /// The content: its swarm.
    pub content: ContentName,
    /// The release that the numbers are about.
    pub root: RootId,
    /// Number of chunk positions of that release.
    pub chunks: u32,
    /// What it holds.
    pub have: HaveSummary,
    /// Bytes still to fetch; zero for who only shares.
    pub left_bytes: u64,
    /// Whether it hands out chunks.
    pub sharing: bool,
    /// Links it has.
    pub links: u8,
    /// Further links it wants now.
    pub links_wanted: u8,
    /// Ports and addresses of its own. The tracker keeps only those with the address it sees itself.
    #[serde(default)]
    pub candidates: Vec<Candidate>,
    /// Hashes (SHA-256) of the certificates under which its WebTransport candidates answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub certificates: Vec<Hash>,
}

/// Outcome of a pairing, which feeds back into later ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PairOutcome {
    /// The link is up.
    Linked,
    /// Nobody answered, or the proof failed.
    Failed,
    /// The link was up and is gone.
    Closed,
    /// One that this version does not know.
    #[serde(other)]
    Unknown,
}

/// What a client says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum ClientMessage {
    /// First message.
    Hello {
        /// Lowest version spoken.
        version_min: u32,
        /// Highest version spoken.
        version_max: u32,
        /// The client's signing key.
        key: PublicKey,
        /// Signature over [`tracker_proof_message`] with the challenge from [`ServerMessage::Challenge`].
        proof: Base64,
        /// Program and version, for people.
        agent: String,
        /// The tenant's word about this client, where the tracker asks for one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token: Option<String>,
    },
    /// State in one swarm.
    Announce(Announce),
    /// Leaves one swarm.
    Leave {
        /// The content.
        content: ContentName,
    },
    /// Asks for shards whose first copies it will fetch from the origin.
    Lease {
        /// The content.
        content: ContentName,
        /// The release.
        root: RootId,
        /// Most shards wanted.
        want: u32,
        /// Shards held whole since the last message.
        #[serde(default)]
        done: Vec<u32>,
    },
    /// Signalling for the peer it was paired with.
    Signal {
        /// Number of the pairing.
        pair: u64,
        /// For the other side; opaque to the tracker.
        data: String,
    },
    /// A new entry of a stream, from its publisher, for all peers of its swarm.
    Entry {
        /// The stream.
        content: ContentName,
        /// The signed entry.
        entry: Base64,
    },
    /// What became of a pairing.
    Paired {
        /// Number of the pairing.
        pair: u64,
        /// Outcome.
        outcome: PairOutcome,
    },
    /// A type that this version does not know.
    #[serde(other)]
    Unknown,
}

/// How near two peers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Locality {
    /// The same public address.
    SameAddress,
    /// The same autonomous system.
    SameAs,
    /// The same country.
    SameCountry,
    /// Anything else.
    Any,
    /// One that this version does not know.
    #[serde(other)]
    Unknown,
}

/// What a tracker says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum ServerMessage {
    /// First message: what the client's proof must sign.
    Challenge {
        /// Fresh random bytes.
        nonce: Base64,
    },
    /// Answer to a good Hello.
    Welcome {
        /// Version that both speak.
        version: u32,
        /// The client's id from now on.
        peer: PeerId,
        /// The tracker's ticket key.
        tracker_key: PublicKey,
        /// The address that the tracker sees.
        address: SocketAddr,
        /// UDP ports of the tracker's STUN service, two of them to tell NAT classes apart.
        stun_ports: Vec<u16>,
        /// Host of the STUN service, a name or an address without brackets; none: the host that the client connected to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stun_host: Option<String>,
        /// How often to announce when nothing changes, in milliseconds.
        announce_ms: u32,
    },
    /// A ticket for the swarms that the client has announced; replaces the one before.
    Ticket {
        /// The ticket.
        ticket: Base64,
        /// End of its life, Unix seconds.
        expires: u64,
    },
    /// A pair of peers that should link.
    Pair {
        /// Number of the pairing.
        pair: u64,
        /// The content.
        content: ContentName,
        /// The other peer.
        peer: PeerId,
        /// Its key.
        key: KeyId,
        /// Where it may be reached, over transports that both speak; the side that waits gets them too, to open its
        /// own NAT towards them.
        candidates: Vec<Candidate>,
        /// Hashes (SHA-256) of the certificates under which WebTransport candidates answer.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        certificates: Vec<Hash>,
        /// Whether this side makes the offer (dials).
        dial: bool,
        /// How near it is.
        locality: Locality,
        /// Whether it was chosen at random, to hold the swarm together.
        random: bool,
    },
    /// Shards to fetch from the origin, and the state of the swarm's jobs.
    Shards {
        /// The content.
        content: ContentName,
        /// The release.
        root: RootId,
        /// Granted shards; empty when there is none to give.
        granted: Vec<u32>,
        /// Number of peers that still fetch this content.
        active_jobs: u32,
        /// What the origin may send to all of them together, in bytes a second; none: no limit known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        origin_budget_bytes_s: Option<u64>,
    },
    /// A new entry of a stream that the client takes part in.
    Entry {
        /// The stream.
        content: ContentName,
        /// The signed entry.
        entry: Base64,
    },
    /// Signalling from the other side of a pairing.
    Signal {
        /// Number of the pairing.
        pair: u64,
        /// Opaque to the tracker.
        data: String,
    },
    /// The tracker is about to stop: reconnect after a random wait of up to `reconnect_ms`.
    Drain {
        /// Spread of the reconnections, in milliseconds.
        reconnect_ms: u32,
    },
    /// A message was refused. The connection stays open where the fault is harmless.
    Error {
        /// Stable name of the fault.
        code: String,
        /// For people.
        message: String,
    },
    /// A type that this version does not know.
    #[serde(other)]
    Unknown,
}

/// What a client signs to prove to its tracker that it holds its key.
pub fn tracker_proof_message(challenge: &[u8]) -> Vec<u8> {
    [b"freshet tracker proof 1\n", challenge].concat()
}

impl ClientMessage {
    /// Reads a message and checks its limits.
    ///
    /// # Errors
    /// [`TrackerMessageError`] when it is too long, malformed or over a limit.
    pub fn decode(text: &[u8]) -> Result<Self, TrackerMessageError> {
        let message: Self = read(text)?;
        match &message {
            Self::Hello { agent, proof, token, .. } => {
                limit(agent.len(), AGENT_BYTES_MAX, "agent")?;
                limit(proof.0.len(), 64, "proof")?;
                limit(token.as_ref().map_or(0, String::len), TRACKER_MESSAGE_BYTES_MAX / 2, "token")?;
            }
            Self::Announce(announce) => {
                limit(announce.chunks as usize, CHUNKS_MAX as usize, "number of chunks")?;
                limit(announce.candidates.len(), ADDRESSES_MAX, "number of candidates")?;
                limit(announce.certificates.len(), CERTIFICATES_MAX, "number of certificates")?;
                limit_integer(announce.left_bytes, "bytes left")?;
                limit(announce.links_wanted.into(), LINKS_WANTED_MAX.into(), "number of links wanted")?;
                if let HaveSummary::Shards(bits) = &announce.have {
                    limit(bits.0.len(), SHARDS_MAX.div_ceil(8) as usize, "have summary")?;
                }
            }
            Self::Lease { want, done, .. } => {
                limit(*want as usize, SHARDS_PER_MESSAGE_MAX, "number of shards")?;
                limit(done.len(), SHARDS_PER_MESSAGE_MAX, "number of shards")?;
                limit(
                    done.iter().max().map_or(0, |&shard| shard as usize),
                    SHARDS_MAX as usize - 1,
                    "shard",
                )?;
            }
            Self::Signal { pair, data } => limit_signal(*pair, data)?,
            Self::Entry { entry, .. } => limit(entry.0.len(), PUSHED_ENTRY_BYTES_MAX, "entry size")?,
            Self::Paired { pair, .. } => limit_integer(*pair, "pair number")?,
            Self::Leave { .. } | Self::Unknown => {}
        }
        Ok(message)
    }

    /// The message's JSON.
    pub fn encode(&self) -> String {
        serde_json::to_string(self).expect("a message is valid JSON")
    }
}

impl ServerMessage {
    /// Reads a message and checks its limits.
    ///
    /// # Errors
    /// [`TrackerMessageError`] when it is too long, malformed or over a limit.
    pub fn decode(text: &[u8]) -> Result<Self, TrackerMessageError> {
        let message: Self = read(text)?;
        match &message {
            Self::Challenge { nonce } => limit(nonce.0.len(), 64, "nonce")?,
            Self::Welcome { stun_ports, stun_host, .. } => {
                limit(stun_ports.len(), 2, "number of STUN ports")?;
                limit(stun_host.as_ref().map_or(0, String::len), HOST_BYTES_MAX, "STUN host")?;
            }
            Self::Pair { pair, candidates, certificates, .. } => {
                limit_integer(*pair, "pair number")?;
                limit(candidates.len(), ADDRESSES_MAX, "number of candidates")?;
                limit(certificates.len(), CERTIFICATES_MAX, "number of certificates")?;
            }
            Self::Shards { granted, origin_budget_bytes_s, .. } => {
                limit_integer(origin_budget_bytes_s.unwrap_or_default(), "origin budget")?;
                limit(granted.len(), SHARDS_PER_MESSAGE_MAX, "number of shards")?;
                limit(
                    granted.iter().max().map_or(0, |&shard| shard as usize),
                    SHARDS_MAX as usize - 1,
                    "shard",
                )?;
            }
            Self::Signal { pair, data } => limit_signal(*pair, data)?,
            Self::Entry { entry, .. } => limit(entry.0.len(), PUSHED_ENTRY_BYTES_MAX, "entry size")?,
            Self::Ticket { ticket, expires } => {
                limit_integer(*expires, "expires")?;
                limit(ticket.0.len(), crate::limits::TICKET_BYTES_MAX, "ticket")?;
            }
            Self::Drain { .. } | Self::Error { .. } | Self::Unknown => {}
        }
        Ok(message)
    }

    /// The message's JSON.
    pub fn encode(&self) -> String {
        serde_json::to_string(self).expect("a message is valid JSON")
    }
}

fn read<T: for<'de> Deserialize<'de>>(text: &[u8]) -> Result<T, TrackerMessageError> {
    if text.len() > TRACKER_MESSAGE_BYTES_MAX {
        return Err(TrackerMessageError::TooLong);
    }
    serde_json::from_slice(text).map_err(|error| TrackerMessageError::Malformed(error.to_string()))
}

fn limit(value: usize, max: usize, what: &'static str) -> Result<(), TrackerMessageError> {
    if value <= max { Ok(()) } else { Err(TrackerMessageError::OverLimit(what)) }
}

fn limit_integer(value: u64, what: &'static str) -> Result<(), TrackerMessageError> {
    if value <= INTEGER_MAX { Ok(()) } else { Err(TrackerMessageError::OverLimit(what)) }
}

fn limit_signal(pair: u64, data: &str) -> Result<(), TrackerMessageError> {
    limit_integer(pair, "pair number")?;
    limit(data.len(), SIGNAL_BYTES_MAX, "signal")
}

#[cfg(test)]
mod tests {
    use super::*;

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
