//! What a tracker says to a client.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::check::{limit, limit_integer, limit_pointer, limit_signal, read};
use super::{Base64, Candidate, TrackerMessageError};
use crate::id::{ContentName, Hash, KeyId, PeerId, RootId};
use crate::key::PublicKey;
use crate::limits::{
    ADDRESSES_MAX, CERTIFICATES_MAX, HOST_BYTES_MAX, PUSHED_ENTRY_BYTES_MAX, SHARDS_MAX,
    SHARDS_PER_MESSAGE_MAX, TICKET_BYTES_MAX,
};

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

impl Locality {
    /// Its name in messages and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::SameAddress => "same-address",
            Self::SameAs => "same-as",
            Self::SameCountry => "same-country",
            Self::Any => "any",
            Self::Unknown => "unknown",
        }
    }
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
    /// The new pointer of a channel of a content that the client takes part in.
    Pointer {
        /// The content.
        content: ContentName,
        /// The signed pointer.
        pointer: Base64,
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
            Self::Pointer { pointer, .. } => limit_pointer(pointer)?,
            Self::Ticket { ticket, expires } => {
                limit_integer(*expires, "expires")?;
                limit(ticket.0.len(), TICKET_BYTES_MAX, "ticket")?;
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
